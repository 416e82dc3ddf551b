#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a capture: 5M packets, 170k flows, Zipf 1.1, snap length 128. CPU, time, peak memory.

Usage: capture.py [BUILD] [RUNS]     Needs tcpdump, nfdump; no root. Medians of RUNS runs, taken in
turn; the tcpdump pipeline, which takes longest, runs once, and on a part of the file that is scaled
up if the whole would take over a minute.
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
RUNS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
PACKETS, DRAWN_FROM = 5_000_000, 200_000
SLICE = 500_000
FILE = os.path.join(BUILD, "bench", "capture.pcap")
GOALS = {"tcpdump": 40, "nfdump": 20, "libpcap": 3}
MEMORY_GOAL = 100 << 20


def measure(argv, ok=(0,)):
    """CPU seconds with all children, wall seconds, peak bytes of the largest process, output."""
    with tempfile.TemporaryFile() as out:
        start = time.monotonic()
        p = subprocess.Popen(argv, stdout=out, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                             env={**os.environ, "LC_ALL": "C"})
        _, status, use = os.wait4(p.pid, 0)
        wall = time.monotonic() - start
        p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode not in ok:
            sys.exit(f"{argv[0]}: exit {p.returncode}")
        # Only the end: a child's peak is never below what this process had when it was forked.
        out.seek(max(0, out.seek(0, os.SEEK_END) - 4096))
        return use.ru_utime + use.ru_stime, wall, use.ru_maxrss * 1024, out.read().decode(errors="replace")


def tcpdump(count):
    return measure(["sh", "-c", f"tcpdump -q -t -nn -r {FILE} -c {count} | awk '{{print $2,$4}}' | "
                    "sort | uniq -c | sort -nr | head -n 20"])


def tcpdump_scaled():
    """(result for the whole file, what was done)"""
    part = tcpdump(SLICE)
    factor = PACKETS / SLICE
    if part[1] * factor > 60:
        return tuple(v * factor for v in part[:2]) + part[2:], f"{SLICE} packets, times {factor:g}"
    return tcpdump(PACKETS), "the whole file, once"


def nfdump(scratch, how):
    flows = tempfile.mkdtemp(dir=scratch)
    r = measure(["sh", "-c", f"nfpcapd -r {FILE} -w {flows} && nfdump -R {flows} "
                 f"-A proto,srcip,srcport,dstip,dstport {how}"])
    shutil.rmtree(flows)
    return r


def watch(scratch, *more):
    # 1: it found an upload in the capture, as it should. The memory is that of the larger process;
    # parent and reading child together stay below twice that.
    return measure([os.path.join(BUILD, "stanch"), "--state", os.path.join(scratch, "state"),
                    "--config", "/dev/null", "watch", "--file", FILE, *more], ok=(0, 1))


def flows_of(text):
    return int(text.rsplit(" flows", 1)[0].split()[-1])


def main():
    helper = {n: os.path.join(BUILD, "bench", n) for n in ("mkcapture", "pcaphash", "capture_dump")}
    for need in (*helper.values(), os.path.join(BUILD, "stanch")):
        if not os.path.exists(need):
            sys.exit(f"{need} is missing: ninja -C {BUILD} stanch "
                     + " ".join("bench/" + n for n in helper))
    for need in ("tcpdump", "nfpcapd", "nfdump"):
        if not shutil.which(need):
            sys.exit(f"{need} is missing: apt-get install tcpdump nfdump")
    if not os.path.exists(FILE):
        subprocess.run([helper["mkcapture"], FILE + ".new", str(PACKETS), str(DRAWN_FROM)],
                       check=True)
        os.rename(FILE + ".new", FILE)

    takes = {
        "watch": watch,
        "reading": lambda s: measure([helper["capture_dump"], "-q", FILE]),
        "libpcap": lambda s: measure([helper["pcaphash"], FILE]),
        "nfdump": lambda s: nfdump(s, "-O bytes -n 20 -q"),
        "json": lambda s: watch(s, "--json"),
        "csv": lambda s: nfdump(s, "-o csv"),
    }
    labels = {
        "watch": "stanch watch --file (whole command)",
        "reading": "  of it: source and flow table alone",
        "libpcap": "libpcap + hash table",
        "nfdump": "nfpcapd + nfdump, top 20",
        "tcpdump": "tcpdump | awk | sort | uniq | sort",
        "json": "stanch watch --file --json (all flows)",
        "csv": "nfpcapd + nfdump -o csv (all flows)",
    }
    runs = {n: [] for n in takes}
    with tempfile.TemporaryDirectory(dir=os.path.dirname(FILE)) as scratch:
        for take in takes.values():
            take(scratch)  # warms the page cache and each program
        for _ in range(RUNS):
            for n, take in takes.items():
                runs[n].append(take(scratch))
    flows = {n: flows_of(runs[n][0][3]) for n in ("watch", "libpcap")}
    if flows["watch"] != flows["libpcap"]:
        sys.exit(f"the programs do not agree about the number of flows: {flows}")
    result = {n: [statistics.median(r[i] for r in rs) for i in range(3)] for n, rs in runs.items()}
    whole, how = tcpdump_scaled()
    result["tcpdump"] = list(whole[:3])

    print(f"{PACKETS} packets, {flows['watch']} flows, {os.path.getsize(FILE) >> 20} MiB; "
          f"medians of {RUNS} runs; tcpdump: {how}")
    print(f"{'':40}{'CPU s':>8}{'wall s':>8}{'Mpps/CPU':>10}{'peak MiB':>10}{'CPU ratio':>11}{'goal':>6}")
    for n, label in labels.items():
        cpu, wall, rss = result[n]
        ratio = f"{cpu / result['watch'][0]:.1f}x" if n in GOALS else ""
        goal = f"{GOALS[n]}x" if n in GOALS else ""
        print(f"{label:40}{cpu:8.2f}{wall:8.2f}{PACKETS / cpu / 1e6:10.2f}{rss / 2**20:10.1f}"
              f"{ratio:>11}{goal:>6}")
    print(f"all flows printed: {result['csv'][0] / result['json'][0]:.1f}x nfpcapd + nfdump")
    for n, goal in GOALS.items():
        if result[n][0] < goal * result["watch"][0]:
            print(f"falls short: {labels[n]}: goal {goal}x, whole command "
                  f"{result[n][0] / result['watch'][0]:.1f}x, reading alone "
                  f"{result[n][0] / result['reading'][0]:.1f}x")
    if result["watch"][2] > MEMORY_GOAL:
        print(f"falls short: peak memory, goal {MEMORY_GOAL >> 20} MiB")


if __name__ == "__main__":
    main()

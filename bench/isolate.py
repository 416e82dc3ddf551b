#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`isolate self` against the same rules by nft: netlink phase and whole process, medians and ratios.

Usage: isolate.py [BUILD] [RUNS] [DEVICES…]    (as root; works in network namespaces of its own)

Every round measures each contender once, so that what else the machine does meets all of them alike;
the time of an empty process started in the same way is taken off. Syncs are counted by strace, not by
us.
"""
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
RUNS = int(sys.argv[2]) if len(sys.argv) > 2 else 15
DEVICES = [int(n) for n in sys.argv[3:]] or [4, 40]
PEERS = ["192.0.2.1", "2001:db8::1", "198.51.100.0/24", "203.0.113.7"]
STANCH = os.path.join(BUILD, "stanch")
PHASE = os.path.join(BUILD, "bench", "isolate_phase")
GOALS = {"netlink_to_nft_file": 0.3, "whole_to_nft_file": 1.0, "syncs_fresh": 3, "syncs_used": 3}
EACH_MAX = 400  # more lines than this by one nft each say nothing new


def run(*argv, **more):
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120, **more)


class Bed:
    """A namespace with veths, a kept address that answers, and what is measured in it."""

    def __init__(self, devices, tmp):
        self.ns = f"st-bench-iso{os.getpid()}-{devices}"
        self.far = self.ns + "-far"
        self.devices, self.tmp = devices, tmp
        self.config = os.path.join(tmp, "stanch.conf")
        self.rules = os.path.join(tmp, f"rules-{devices}.nft")
        open(self.config, "w").close()

    def __enter__(self):
        run("ip", "netns", "add", self.ns)
        run("ip", "netns", "add", self.far)
        run("ip", "-n", self.ns, "link", "set", "lo", "up")
        for i in range(self.devices):
            run("ip", "-n", self.ns, "link", "add", f"v{i}", "type", "veth", "peer", "name", f"w{i}")
            run("ip", "-n", self.ns, "link", "set", f"v{i}", "up")
            run("ip", "-n", self.ns, "link", "set", f"w{i}", "up")
        run("ip", "-n", self.ns, "link", "set", "w0", "netns", self.far)
        run("ip", "-n", self.far, "link", "set", "w0", "up")
        run("ip", "-n", self.far, "addr", "add", "192.0.2.1/24", "dev", "w0")
        run("ip", "-n", self.ns, "addr", "add", "192.0.2.10/24", "dev", "v0")
        run("ip", "-n", self.ns, "addr", "add", "2001:db8::10/64", "dev", "v0", "nodad")
        run("ip", "-n", self.ns, "route", "add", "default", "via", "192.0.2.1")
        with open(self.rules, "w", encoding="ascii") as f:
            f.write(self.inside(PHASE, "describe", *PEERS).stdout)
        return self

    def __exit__(self, *why):
        for ns in (self.ns, self.far):
            subprocess.run(["ip", "netns", "del", ns], capture_output=True, check=False)

    def argv(self, *argv):
        return ("nsenter", f"--net=/run/netns/{self.ns}", *argv)

    def inside(self, *argv):
        return run(*self.argv(*argv))

    def flush(self):
        self.inside("nft", "flush", "ruleset")

    def stanch(self, state, *argv):
        return self.argv(STANCH, "--state", os.path.join(self.tmp, state), "--config", self.config,
                         *argv)

    def isolate(self, state):
        return self.stanch(state, "isolate", "self", "--yes", "--keep", PEERS[0] + ":22")

    def undo(self, state):
        run(*self.stanch(state, "undo", "--all", "--yes"))


def clock(*argv):
    """Wall and processor time of one command, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    run(*argv)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1e3, cpu * 1e3


def one_round(bed, times):
    def take(name, *argv):
        wall, cpu = clock(*argv)
        times.setdefault(name + "_ms", []).append(wall)
        times.setdefault(name + "_cpu_ms", []).append(cpu)

    take("empty_process", *bed.argv("/bin/true"))
    take("nft_file", *bed.argv("nft", "-f", bed.rules))
    bed.flush()
    for row in json.loads(bed.inside(PHASE, "1", *PEERS).stdout):
        times.setdefault("netlink_transaction_ms", []).append(row["apply"])
        times.setdefault("netlink_readback_ms", []).append(row["verify"])
        times.setdefault("netlink_phase_ms", []).append(row["apply"] + row["verify"])
    for state in ("used", "fresh"):
        if state == "fresh":
            shutil.rmtree(os.path.join(bed.tmp, state), ignore_errors=True)
        take("whole_" + state, *bed.isolate(state))
        bed.undo(state)


def one_nft_a_rule(bed):
    with open(bed.rules, encoding="ascii") as f:
        lines = [line for line in f.read().splitlines() if line.strip()]
    if len(lines) > EACH_MAX:
        return len(lines), None
    start = time.monotonic()
    for line in lines:
        run(*bed.argv("nft", line))
    took = (time.monotonic() - start) * 1e3
    bed.flush()
    return len(lines), took


SYNCS = "fsync,fdatasync,sync,syncfs,sync_file_range,msync"


def syncs(bed, state):
    """Counted by strace over all threads; None without strace. The process that holds the queues is traced
    until the order is undone, so the tracer stands aside (-D)."""
    if not shutil.which("strace"):
        return None
    log = os.path.join(bed.tmp, "strace")
    subprocess.run(("strace", "-D", "-f", "-o", log, "-e", "trace=" + SYNCS, *bed.isolate(state)), check=True,
                   timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    bed.undo(state)
    for _ in range(100):
        if subprocess.run(("pgrep", "-f", f"strace -D .*{log}"), capture_output=True, check=False).returncode:
            break
        time.sleep(0.1)
    with open(log, encoding="utf-8", errors="replace") as f:
        return sum(1 for line in f if re.search(rf" ({SYNCS.replace(',', '|')})\(", line))


def spread(times):
    """Median, and the quarter that was fastest: what another load leaves of a measurement."""
    return {"median": round(statistics.median(times), 2),
            "p25": round(statistics.quantiles(times, n=4)[0], 2), "min": round(min(times), 2)}


def verdict(value, goal):
    return {"value": value, "goal": goal,
            "is": "not measured" if value is None else "holds" if value <= goal else "falls short"}


def measure(bed):
    times = {}
    bed.flush()
    for i in range(RUNS + 1):
        one_round(bed, times)
        if i == 0:
            times = {}  # warms up
    lines, each = one_nft_a_rule(bed)
    out = {"devices": 2 * bed.devices - 1, "nft_lines": lines, "runs": RUNS,
           "times": {k: spread(v) for k, v in times.items()}, "nft_each_ms": each and round(each, 1)}
    m = {k: v["median"] for k, v in out["times"].items()}
    nft = m["nft_file_ms"] - m["empty_process_ms"]
    ratios = {"netlink_to_nft_file": m["netlink_phase_ms"] / nft,
              "whole_to_nft_file": (m["whole_used_ms"] - m["empty_process_ms"]) / nft}
    found = {k: round(v, 3) for k, v in ratios.items()}
    shutil.rmtree(os.path.join(bed.tmp, "counted"), ignore_errors=True)
    found["syncs_fresh"], found["syncs_used"] = syncs(bed, "counted"), syncs(bed, "counted")
    out["goals"] = {k: verdict(v, GOALS[k]) for k, v in found.items()}
    if each:
        out["netlink_to_nft_each"] = round(m["netlink_phase_ms"] / each, 5)
    return out


def main():
    if os.geteuid() != 0:
        sys.exit("isolate.py: needs root for network namespaces")
    tmp = tempfile.mkdtemp()
    try:
        for devices in DEVICES:
            with Bed(devices, tmp) as bed:
                out = measure(bed)
            shutil.rmtree(os.path.join(tmp, "used"), ignore_errors=True)
            print(json.dumps(out, indent=1))
            for name, v in out["goals"].items():
                print(f"{out['devices']} devices: {name} {v['value']} (goal <= {v['goal']}): {v['is']}")
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    main()

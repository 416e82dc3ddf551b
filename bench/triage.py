#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`stanch triage` on a host of 2,000 processes against what a responder would type first: ps aux, last and
lsof -n. All see the same processes (a pid namespace of their own), in turns, medians of five."""
import os
import shutil
import statistics
import subprocess
import sys
import time

PROCESSES = 2000
TURNS = 5


def timed(*commands):
    begin = time.perf_counter()
    for c in commands:
        r = subprocess.run(c, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        assert r.returncode in (0, 1, 5), c
    return time.perf_counter() - begin


def crowd():
    """Processes of several kinds: with sockets, pipes, threads' worth of descriptors."""
    for i in range(PROCESSES):
        if os.fork():
            continue
        import socket
        keep = [socket.socket(), os.pipe(), open("/dev/null")]
        if i % 10 == 0:
            keep[0].bind(("127.0.0.1", 0))
            keep[0].listen()
        time.sleep(600)
        os._exit(len(keep))


def measure(stanch):
    crowd()
    time.sleep(1)
    peers = [["ps", "aux"], ["last"], ["lsof", "-n"]]
    peers = [c for c in peers if shutil.which(c[0])]
    areas = subprocess.run([stanch, "triage", "--area", "?"], capture_output=True, text=True, check=False)
    print(f"areas: {areas.stderr.split('there are ')[-1].strip()}; peers: {', '.join(' '.join(c) for c in peers)}")
    ours, theirs = [], []
    for _ in range(TURNS):
        ours.append(timed([stanch, "triage", "--json", "--state", "/dev/shm/triage-bench"]))
        theirs.append(timed(*peers))
    a, b = statistics.median(ours), statistics.median(theirs)
    count = sum(d.isdigit() for d in os.listdir("/proc"))
    print(f"{count} processes: stanch triage {a:.2f} s, peers together {b:.2f} s, ratio {a / b:.2f}")
    shutil.rmtree("/dev/shm/triage-bench", ignore_errors=True)
    return 0


def main(args):
    if "--inside" in args:
        return measure(args[0])
    # The namespace's init is this script: with it all 2,000 end.
    return subprocess.run(["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "--propagation",
                           "private", sys.executable, "-B", os.path.abspath(__file__),
                           os.path.abspath(os.path.join(args[0], "stanch")), "--inside"], check=False,
                          timeout=300).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

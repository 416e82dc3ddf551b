#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Freezing and killing a tree of five hundred processes, against a loop of `kill -9` over the same tree.

Usage: freeze.py [BUILD]    (as root; works in a container root)

Each process starts a child anew that it misses. Survivors are counted half a second
after. Exits 1 when stanch leaves one.
"""
import os
import statistics
import sys
import time

os.environ["STANCH_BUILD"] = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
# In place of this folder, whose inspect.py would stand before the library's.
sys.path[0] = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "container")
import container_bed as B  # noqa: E402

SIZE, RUNS = 500, 3
TREE = f"""
import os, time
def node(n):
    # Two subtrees, kept alive.
    shares = [(n - 1) // 2, (n - 1) - (n - 1) // 2]
    pids = [0, 0]
    while True:
        for i in (0, 1):
            if shares[i] and not pids[i]:
                pids[i] = os.fork()
                if pids[i] == 0:
                    return node(shares[i])
        try:
            gone, _ = os.waitpid(-1, os.WNOHANG)
            pids = [0 if p == gone else p for p in pids]
        except ChildProcessError:
            pass
        time.sleep(.02)
node({SIZE})
"""
NAME = "tree-of-many"


def count(c):
    return len(c.pids(NAME))


def plant(c):
    c.run("systemctl", "reset-failed", NAME, check=False)
    pid = c.start("python3", "-c", f"# {NAME}\n{TREE}", unit=NAME, KillMode="process")
    B.wait_for(f"{SIZE} processes", lambda: count(c) >= SIZE, 60)
    return pid


def kill_loop(c, pid):
    """Six rounds by name, which knows each of them beforehand: as quick as it gets, nothing is captured."""
    for _ in range(6):
        c.run("sh", "-c", f"pkill -9 -f {NAME}", check=False)


def main():
    frozen, killed, by_hand, alive_freeze, alive_kill, alive_hand = [], [], [], [], [], []
    with B.Container() as c:
        for _ in range(RUNS):
            pid = plant(c)
            begun = time.monotonic()
            r = c.stanch("freeze", str(pid), "--yes", "--json")
            frozen.append(time.monotonic() - begun)
            if r.code:
                sys.exit(f"freeze: {r}")
            order = r.objects()[-1]["order"]["order"]
            alive_freeze.append(sum(not c.cgroup_of(p).startswith("/stanch-frozen-") for p in c.pids(NAME)))
            c.stanch("undo", order, "--yes")
            begun = time.monotonic()
            r = c.stanch("kill", str(pid), "--yes", "--json")
            killed.append(time.monotonic() - begun)
            if r.code:
                sys.exit(f"kill: {r}")
            time.sleep(0.5)
            alive_kill.append(count(c))
            pid = plant(c)
            begun = time.monotonic()
            kill_loop(c, pid)
            by_hand.append(time.monotonic() - begun)
            time.sleep(0.5)
            alive_hand.append(count(c))
            c.stanch("kill", "service", NAME, "--yes")
            c.stanch("undo", "--all", "--yes")
    for name, spans, alive in (("stanch freeze", frozen, alive_freeze),
                               ("stanch kill (captured first)", killed, alive_kill),
                               ("six rounds of pkill -9", by_hand, alive_hand)):
        print(f"{name:30} {SIZE} processes: median {statistics.median(spans):.3f} s, survivors {alive}")
    return any(alive_freeze) or any(alive_kill)


sys.exit(main())

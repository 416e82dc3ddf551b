# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns which socket, by looking again and again, as nethogs and bandwhich do: the sockets of each
network namespace from /proc/PID/net, their holders from /proc/*/fd. Prints what it saw as JSON
({"proto sport": pid}) when its standard input is closed.

poller.py SECONDS PID…      a pid in each network namespace
"""
import glob
import json
import os
import select
import sys
import time


def sockets(pid):
    """{inode: "udp 40000"}"""
    found = {}
    for proto in ("tcp", "tcp6", "udp", "udp6"):
        try:
            with open(f"/proc/{pid}/net/{proto}", encoding="ascii") as f:
                for line in f.readlines()[1:]:
                    w = line.split()
                    found[w[9]] = f"{proto[:3]} {int(w[1].rsplit(':', 1)[1], 16)}"
        except OSError:
            pass
    return found


def holders():
    """{inode: pid}"""
    found = {}
    for fd in glob.iglob("/proc/[0-9]*/fd/[0-9]*"):
        try:
            to = os.readlink(fd)
        except OSError:
            continue
        if to.startswith("socket:["):
            found.setdefault(to[8:-1], int(fd.split("/")[2]))
    return found


def main():
    seen, looks = {}, 0
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        begin = time.monotonic()
        held = holders()
        for pid in sys.argv[2:]:
            for inode, name in sockets(pid).items():
                if inode in held:
                    seen.setdefault(name, []).append(held[inode])
        looks += 1
        time.sleep(max(0.0, float(sys.argv[1]) - (time.monotonic() - begin)))
    print(json.dumps({"looks": looks, "seen": {k: sorted(set(v)) for k, v in seen.items()}}))


main()

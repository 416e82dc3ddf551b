#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What root on an isolated host tries, what of it comes out, and for how long: the table of
doc/threat-model.md, measured.

Usage: adversary.py [BUILD]    (as root; works in network namespaces of its own)

Every way is played twice on the same range (tests/range/adversary.py): without a guard, where `reassert`
repairs after each, and with two guards that are started again 100 ms after they end. One marked frame a
millisecond is sent by each of several means; counted on the wire behind the host (out) and by a program
on it (in). Exits 1 when something leaks that is not owned up to.
"""
import os
import sys

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
os.environ["STANCH_BUILD"] = BUILD
# In place of this folder, whose inspect.py would stand before the library's.
sys.path[0] = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "range")
import adversary as A  # noqa: E402
import bed as B  # noqa: E402


def play(guarded):
    with B.Bed() as bed:
        a = A.Adversary(bed)
        A.isolate(bed)
        if not guarded:
            return a.ways, a.play_all(a.ways, repair=True)
        a.guards = A.Resident(bed)
        try:
            return a.ways, a.play_all(a.ways)
        finally:
            a.guards.stop()


def main():
    _, bare = play(False)
    ways, rows = play(True)
    print(A.table(rows, bare))
    times = sorted(r["mended_ms"] for r in rows if r["mended_ms"])
    print(f"\n{len(rows)} ways; put back after {times[len(times) // 2]:.1f} ms in the middle, "
          f"{times[-1]:.1f} ms at worst ({len(times)} ways)")
    bad = [r for r in rows if (r["leaked"] or r["heard"]) and not r["owned"]]
    late = [r for w, r in zip(ways, rows) if w.limit_ms and r["ms"] > w.limit_ms]
    for r in rows:
        if (r["leaked"] or r["heard"]) and r["owned"]:
            print(f"owned up to: {r['what']}: {r['owned']}")
    for r in bad + late:
        print(f"NOT owned up to: {r['what']}: {r['leaked']} out, {r['heard']} in, {r['ms']:.0f} ms")
    return 1 if bad or late else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays the labelled implants and their harmless twins on a stage, looks with `stanch triage`, and tells
recall, and which twins it would act on. Rules are tuned on the half `tune`; the half `report` is what
they are worth. Exit 1: an implant of those played was missed, or a twin acted on.

usage: run.py [--half tune|report] [--json] [NAME…]
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import processes  # noqa: E402
import stage  # noqa: E402

CASES = processes.CASES


def figures(results):
    """{half: (implants found, implants, twins acted on, twins)}"""
    out = {}
    for case, right, _ in results:
        row = out.setdefault(case.half, [0, 0, 0, 0])
        if case.expect is None:
            row[3] += 1
            row[2] += not right
        else:
            row[1] += 1
            row[0] += right
    return out


def main(args):
    if "--on-stage" not in args:
        return stage.enter(os.path.abspath(__file__), args)
    args.remove("--on-stage")
    stage.prepare()
    half = args[args.index("--half") + 1] if "--half" in args else None
    names = [a for i, a in enumerate(args) if not a.startswith("--") and (not i or args[i - 1] != "--half")]
    cases = [c for c in CASES if (not half or c.half == half) and (not names or c.name in names)]
    results, stray, stats = stage.run(cases)
    if "--json" in args:
        print(json.dumps({"cases": [[c.name, c.area, c.half, c.expect is not None, right, told]
                                    for c, right, told in results],
                          "stray": [[f["rule"], f["subject"], f["reasons"]] for f in stray], "stats": stats}))
    else:
        for case, right, told in results:
            if not right or names:
                print(f"{'ok  ' if right else 'MISS' if case.expect else 'ACT '} {case.name}: {', '.join(told) or 'nothing'}")
        for f in stray:
            print(f"ACT  on what is of no case: {f['rule']} {f['subject']} {f['reasons']}")
        for name, (found, implants, acted, twins) in sorted(figures(results).items()):
            print(f"{name:7s} recall {found}/{implants}, twins acted on {acted}/{twins}")
    return 0 if all(right for _, right, _ in results) and not stray else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

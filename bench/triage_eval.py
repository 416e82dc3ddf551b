#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recall and false alarms of `stanch triage` on the labelled implants and twins of tests/eval_triage:
both halves; the rules were tuned on `tune`."""
import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main(build):
    r = subprocess.run([sys.executable, "-B", os.path.join(TOP, "tests/eval_triage/run.py"), "--json"],
                       capture_output=True, text=True, timeout=300, check=False,
                       env=dict(os.environ, BUILD=os.path.abspath(build)))
    if not r.stdout:
        print(r.stderr, file=sys.stderr)
        return 2
    told = json.loads(r.stdout.splitlines()[-1])
    for half in ("tune", "report"):
        mine = [c for c in told["cases"] if c[2] == half]
        implants, twins = [c for c in mine if c[3]], [c for c in mine if not c[3]]
        found = sum(c[4] for c in implants)
        acted = [c[0] for c in twins if not c[4]]
        looked = sum(any(float(t.split()[-1]) >= 0.40 for t in c[5]) for c in twins)
        print(f"{half:7s} recall {found}/{len(implants)} ({found / len(implants):.1%}); harmless twins: "
              f"act {len(acted)}/{len(twins)}, look {looked}/{len(twins)}")
        for c in mine:
            if not c[4]:
                print(f"        {'missed' if c[3] else 'act on'} {c[0]}: {', '.join(c[5]) or 'nothing'}")
    for rule, subject, _ in told["stray"]:
        print(f"act on what is of no case: {rule} {subject}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nanoseconds of CPU a call of the look into payloads (bench/inspect_cost.c): medians of nine rounds, and
each as a multiple of a plain pass over 1,200 bytes, which does not depend on the machine."""
import os
import subprocess
import sys


def main():
    out = subprocess.run([os.path.join(sys.argv[1], "bench", "inspect_cost")], capture_output=True, text=True,
                         timeout=120, check=True).stdout
    cost = {k: float(v) for k, v in (line.split() for line in out.splitlines())}
    for kind, nsec in cost.items():
        print(f"  {kind:13} {nsec:9.2f} ns  {nsec / cost['walk']:6.2f} x")


main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""stanch is killed -9 at every mark (in CI: one here and there) of an order at a point that is typed at and at a
PAN-OS firewall: undo brings back what was, and nothing is left of it."""
import json
import os
import random
import signal
import subprocess

import pytest
from netconf_bed import TOP

FAULTY = os.path.join(TOP, "build", "tests", "faults", "stanch-faulty")
pytestmark = pytest.mark.skipif(not os.path.exists(FAULTY), reason=f"{FAULTY} is not built")


def faulty(bed, state, env, *argv):
    return subprocess.run([FAULTY, "--state", state, "--config", bed.config(), *argv], capture_output=True, text=True,
                          timeout=120, check=False, env={**os.environ, **env})


def killed_everywhere(bed, order, world):
    clean = world()
    report = bed.path("marks.json")
    r = faulty(bed, bed.path("count"), {"STANCH_FAULT_COUNT": report}, *order)
    assert r.returncode == 0, r
    with open(report, encoding="utf-8") as f:
        marks = json.load(f)["marks"]
    r = faulty(bed, bed.path("count"), {}, "undo", "--all", "--yes")
    assert r.returncode == 0 and world() == clean and marks > 4, (r, marks)
    every = range(1, marks + 1)
    for k in every if os.environ.get("FAULTS") == "all" else random.sample(every, 3):
        r = faulty(bed, bed.path("state"), {"STANCH_FAULT": f"mark:*:{k}"}, *order)
        assert r.returncode == -signal.SIGKILL, f"mark {k}: {r}"
        r = bed.stanch("undo", "--all", "--yes")
        assert r.returncode in (0, 3) and world() == clean, f"mark {k}: {r}"


@pytest.mark.parametrize("device", ["asa"], indirect=True)
def test_cli(device):
    killed_everywhere(device, ("block", "203.0.113.5", "--via", "edge", "--yes"), device.running)


def test_panos(panos):
    r = panos.stanch("points", "setup", "edge-panos", "--yes")
    assert r.returncode == 0, r
    killed_everywhere(panos, ("isolate", "web01", "--yes"), lambda: (panos.running(), panos.tags()))

# SPDX-License-Identifier: GPL-3.0-or-later
"""`guard --points`: deadlines at points that hold none end by it alone, also after it was killed and started anew."""
import json
import os
import signal
import subprocess

import pytest
from netconf_bed import wait_for

ORDERS = [("block", "203.0.113.5", "--via", "{point}", "--for", "8s", "--yes"),
          ("isolate", "web01", "--confirm-within", "8s", "--yes")]


def ok(r, code=0):
    assert r.returncode == code, f"exit {r.returncode}, not {code}\n{r.stdout}\n{r.stderr}"
    return r


class Keeper:
    def __init__(self, bed):
        self.bed, self.log = bed, bed.path("keeper.log")

    def __enter__(self):
        with open(self.log, "ab") as log:
            self.p = subprocess.Popen(self.bed.argv("guard", "--points", "--every", "1s"), stdout=log, stderr=log,
                                      stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *why):
        self.stop(signal.SIGTERM)

    def stop(self, how):
        if self.p.poll() is None:
            self.p.send_signal(how)
        return self.p.wait(timeout=60)

    def said(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()


def ends_by_itself(bed, point, order):
    before = bed.running()
    with Keeper(bed) as k:
        wait_for("the keeper", lambda: "guard_standing" in k.said(), 30)
        ok(bed.stanch(*[a.format(point=point) for a in order]))
        assert bed.running() != before
        assert k.stop(signal.SIGKILL) == -signal.SIGKILL
    with Keeper(bed) as k:
        wait_for("the deadline", lambda: bed.running() == before, 60)
        wait_for("what it says of it", lambda: "was lifted" in k.said(), 30)
        assert k.stop(signal.SIGTERM) == 0
    assert "expired" in bed.stanch("status", "o1").stdout
    assert bed.running() == before


@pytest.mark.parametrize("device", ["asa"], indirect=True)
def test_a_device_that_is_typed_at(device):
    ends_by_itself(device, "edge", ORDERS[0])


def test_junos(junos):
    ends_by_itself(junos, "core-junos", ORDERS[1])


@pytest.mark.parametrize("device", ["asa"], indirect=True)
def test_not_on_an_asset(device):
    """Where one of this host's own addresses is an asset's, no credential is loaded."""
    own = subprocess.run(["ip", "-j", "-4", "addr", "show", "scope", "global"], check=True, capture_output=True,
                         text=True).stdout
    addresses = [a["local"] for link in json.loads(own) for a in link["addr_info"]]
    if not addresses:
        pytest.skip("this host has no address")
    with open(device.config(), encoding="utf-8") as f:
        text = f.read().replace('"192.0.2.10"', f'"{addresses[0]}"')
    with open(device.path("own.conf"), "w", encoding="utf-8") as f:
        f.write(text)
    os.unlink(device.path("login"))
    r = ok(device.stanch("guard", "--points", config=device.path("own.conf")), 3)
    assert "this host is the asset web01" in r.stderr

# SPDX-License-Identifier: GPL-3.0-or-later
"""The cli driver: ASA, IOS and FortiOS by their descriptions, against doubles that keep a running configuration
and refuse what the devices refuse. Before and after are compared whole."""
import os
import random
import re

import pytest

ALL = pytest.mark.parametrize("device", ["asa", "ios", "fortios"], indirect=True)
WITH_PERMITS = pytest.mark.parametrize("device", ["asa", "ios"], indirect=True)


def ok(r, code=0):
    assert r.returncode == code, f"exit {r.returncode}, not {code}\n{r.stdout}\n{r.stderr}"
    return r


@ALL
def test_block_and_back(device):
    before = device.running()
    ok(device.stanch("block", "203.0.113.5", "198.51.100.0/24", "--via", "edge", "--dry-run", "-v"))
    assert device.running() == before
    ok(device.stanch("block", "203.0.113.5", "198.51.100.0/24", "--via", "edge", "--yes"))
    now = "\n".join(device.running())
    assert all(line in now for line in before)
    assert "203.0.113.5" in now and "198.51.100.0" in now
    ok(device.stanch("verify", "o1"))
    assert "already" in ok(device.stanch("block", "203.0.113.5", "--via", "edge", "--yes"), 3).stderr
    ok(device.stanch("block", "203.0.113.5", "192.0.2.77", "--via", "edge", "--yes"))
    for order in ("o1", "o2"):
        ok(device.stanch("verify", order))
    ok(device.stanch("undo", "o1", "--yes"))
    ok(device.stanch("verify", "o2"))
    ok(device.stanch("undo", "o2", "--yes"))
    assert device.running() == before
    assert not [c for c in device.commands() if re.match(r"write|copy|execute backup", c)]


@WITH_PERMITS
def test_isolate_keeps_the_way_in(device):
    before = device.running()
    ok(device.stanch("isolate", "web01", "--keep-in", "198.51.100.7@22", "--yes"))
    mine = [line for line in device.running() if line not in before]
    permits = [line for line in mine if "permit tcp" in line]
    name = "inside_in" if device.kind == "asa" else "EDGE_IN"
    at = [line for line in device.running() if name in line]
    assert permits and "permit tcp host 192.0.2.10 eq 22 host 198.51.100.7" in at[0], at
    first_deny = [i for i, line in enumerate(at) if "deny ip host 192.0.2.10 any" in line][0]
    assert all(i < first_deny for i, line in enumerate(at) if line in permits)
    if device.kind == "asa":
        assert any("deny ip host 2001:db8::10 any" in line for line in mine)
        assert "clear conn address 192.0.2.10" in device.commands()
    ok(device.stanch("verify", "o1"))
    ok(device.stanch("undo", "o1", "--yes"))
    assert device.running() == before


@pytest.mark.parametrize("device", ["asa", "fortios"], indirect=True)
def test_sessions_are_counted(device):
    """What is left in the device's table is counted; what is kept, or another's, is not."""
    plan = ok(device.stanch("block", "203.0.113.5", "198.51.100.0/24", "--via", "edge", "--dry-run"))
    assert "4 sessions of these addresses will be cut now: with 192.0.2.10 (3), 192.0.2.99 (1)" in plan.stdout
    ok(device.stanch("block", "203.0.113.5", "198.51.100.0/24", "--via", "edge", "--yes"))
    r = ok(device.stanch("verify", "o1"))
    assert "0 sessions of these addresses are left" in r.stdout
    device.sticky(40002)
    r = ok(device.stanch("block", "203.0.113.96/29", "--via", "edge", "--yes"), 5)
    ends = ("192.0.2.99:40002", "203.0.113.99:443")  # conn names the far interface first, the others who opened it
    first, second = reversed(ends) if device.kind == "asa" else ends
    assert f"1 sessions of these addresses are left, the first: {first} -> {second}" in r.stdout + r.stderr
    assert "are left" in ok(device.stanch("verify", "o2"), 1).stdout
    device.sticky(0)
    ok(device.stanch("undo", "--all", "--yes"))


@pytest.mark.parametrize("device", ["asa"], indirect=True)
def test_kept_sessions_are_not_left(device):
    device.sticky(22)  # clear conn takes the kept one, too; here it comes back at once
    plan = ok(device.stanch("isolate", "web01", "--keep-in", "198.51.100.7@22", "--dry-run"))
    assert "2 sessions of these addresses will be cut now" in plan.stdout and "1 are kept" in plan.stdout
    ok(device.stanch("isolate", "web01", "--keep-in", "198.51.100.7@22", "--yes"))
    assert "1 are kept" in ok(device.stanch("verify", "o1")).stdout


@pytest.mark.parametrize("device", ["asa"], indirect=True)
def test_a_table_that_cannot_be_read_is_not_known(device):
    """A description of somebody's own that clears and does not say how the table reads."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/enforce/cli/devices/asa.dev")
    with open(source, encoding="utf-8") as f:
        lines = [x for x in f if not x.startswith(("shown = ", "entry = ^([A-Z"))]
    with open(device.path("mine.dev"), "w", encoding="utf-8") as f:
        f.writelines(lines)
    with open(device.config(), encoding="utf-8") as f:
        text = f.read().replace('device = "asa"', f'device_file = "{device.path("mine.dev")}"')
    with open(device.path("mine.conf"), "w", encoding="utf-8") as f:
        f.write(text)
    r = ok(device.stanch("block", "203.0.113.5", "--via", "edge", "--yes", config=device.path("mine.conf")), 5)
    assert "what is left is not known" in r.stdout + r.stderr


@pytest.mark.parametrize("device", ["fortios"], indirect=True)
def test_what_a_description_lacks_is_refused(device):
    before = device.running()
    r = ok(device.stanch("isolate", "web01", "--keep", "198.51.100.7:22", "--yes"), 3)
    assert "--keep cannot be honoured" in r.stderr
    r = ok(device.stanch("block", "2001:db8::5", "--via", "edge", "--yes"), 3)
    assert "knows no IPv6" in r.stderr
    assert device.running() == before


@pytest.mark.parametrize("device", ["ios"], indirect=True)
def test_no_room_is_told_before(device):
    before = device.running()
    r = ok(device.stanch("block", *[f"203.0.113.{n}" for n in range(1, 9)], "--via", "edge", "--yes"), 3)
    assert "do not fit in front" in r.stderr and device.running() == before


@pytest.mark.parametrize("device", ["asa"], indirect=True)
def test_doors(device):
    before = device.running()
    for name in ("login", "enable"):
        with open(os.open(device.path("wrong"), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write("wrong\n")
        r = ok(device.stanch("isolate", "web01", "--yes", config=device.config(**{name: device.path("wrong")})), 3)
        assert ("does not let" if name == "login" else "does not take the password") in r.stderr
    assert device.running() == before
    r = device.stanch("isolate", "web01", "--yes", "--json", "-v")
    everything = r.stdout + r.stderr
    for name in os.listdir(device.path("state")):
        with open(os.path.join(device.path("state"), name), "rb") as f:
            everything += f.read().decode("latin-1")
    assert "enable-me" not in everything


@pytest.mark.parametrize("device", ["asa", "fortios"], indirect=True)
def test_connections_that_are_lost(device):
    before = device.running()
    n0 = len(device.commands())
    ok(device.stanch("block", "203.0.113.5", "198.51.100.20", "--via", "edge", "--yes"))
    total = len(device.commands()) - n0
    ok(device.stanch("undo", "o1", "--yes"))
    assert device.running() == before
    step = 1 if os.environ.get("FAULTS") == "all" else max(total // 2, 1)
    for i, n in enumerate(range(random.randint(1, step), total + 1, step)):
        device.knob("drop_after" if i % 2 else "drop", len(device.commands()) + n)
        r = device.stanch("block", "203.0.113.5", "198.51.100.20", "--via", "edge", "--yes")
        device.knob("drop", 0)
        assert r.returncode in (0, 3, 4, 5), f"{n}: {r}"
        if r.returncode in (3, 4):
            assert device.running() == before, f"{n}: {r.stdout}{r.stderr}"
        ok(device.stanch("undo", "--all", "--yes"))
        assert device.running() == before, n

# SPDX-License-Identifier: GPL-3.0-or-later
"""The junos driver: against netconfd, read by ncclient; and against the double of a Junos device, which keeps
the order of terms. Before and after are compared whole, so that nothing foreign may change."""
import json
import os
import random
import re
import signal
import subprocess
import time

import pytest
from netconf_bed import NS, Config, free_port, wait_for

TAG = r"stanch-[0-9a-f]{12}"


def ok(r, code=0):
    assert r.returncode == code, f"exit {r.returncode}, not {code}\n{r.stdout}\n{r.stderr}"
    return r


def untagged(names):
    return [re.sub(TAG, "TAG", n) for n in names]


def order_state(bed, order="o1"):
    out = bed.stanch("status", order, "--json").stdout
    return [json.loads(line)["order"]["state"] for line in out.splitlines() if '"state"' in line][0]


def test_isolate_and_back(netconf):
    before = netconf.running()
    plan = ok(netconf.stanch("isolate", "web01", "--keep", "198.51.100.7:22", "--dry-run", "-v"))
    assert "set interfaces ge-0/0/1 unit 0 family inet filter input stanch-in4-ge-0_0_1.0" in plan.stdout
    assert netconf.running() == before
    ok(netconf.stanch("isolate", "web01", "--keep", "198.51.100.7:22", "--yes"))
    c = Config(netconf.running())
    assert untagged(c.terms("stanch-in4-ge-0_0_1.0")) == [
        "TAG-in-keep1", "TAG-in-keep2", "TAG-in-cut", "stanch-rest"]
    assert untagged(c.terms("stanch-out6-ge-0_0_1.0", "inet6")) == ["TAG-out-cut", "stanch-rest"]
    cut = "//c:term[contains(c:name,'-in-cut')]"
    assert sorted(c.text(cut + "/c:from/c:source-address/c:name")) == ["192.0.2.10/32", "2001:db8::10/128"]
    assert len(c.root.xpath(cut + "/c:then/c:discard", namespaces={"c": NS})) == 2
    assert len(c.text("//c:interface[c:name='ge-0/0/1']//c:filter-name")) == 4
    ok(netconf.stanch("verify", "o1"))
    again = ok(netconf.stanch("isolate", "web01", "--yes"), 3)
    assert "o1 does that here already" in again.stderr
    term = c.terms("stanch-in4-ge-0_0_1.0")[2]
    netconf.edit("<firewall><family><inet><filter><name>stanch-in4-ge-0_0_1.0</name><term "
                 f'nc:operation="delete"><name>{term}</name></term></filter></inet></family></firewall>')
    drift = ok(netconf.stanch("verify", "o1"), 1)
    assert f"{term} is not there" in drift.stdout
    ok(netconf.stanch("undo", "o1", "--yes"))
    assert netconf.running() == before


def test_a_server_that_loses_the_order_is_found_out(netconf):
    """netconfd puts terms last that were to come first: what is read back decides, not the ok."""
    before = netconf.running()
    r = ok(netconf.stanch("isolate", "web02", "--yes"), 4)
    assert "does not stand where it was put" in r.stdout + r.stderr
    assert netconf.running() == before


def test_locks_and_doors(netconf):
    before = netconf.running()
    with netconf.client() as m:
        m.lock("candidate")
        r = ok(netconf.stanch("isolate", "web01", "--yes"), 4)
        assert "cannot be locked" in r.stdout + r.stderr
        m.unlock("candidate")
    r = ok(netconf.stanch("isolate", "web01", "--yes", config=netconf.config(host_key="SHA256:" + "A" * 43)), 3)
    assert "it may be somebody in between" in r.stderr
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", netconf.path("other")], check=True)
    r = ok(netconf.stanch("isolate", "web01", "--yes", config=netconf.config(key=netconf.path("other"))), 3)
    assert "does not let" in r.stderr
    port, netconf.port = netconf.port, free_port()
    r = netconf.stanch("isolate", "web01", "--yes")
    assert r.returncode in (3, 4) and "no connection" in r.stderr
    netconf.port = port
    with netconf.client() as m:  # no lock was left behind
        m.lock("candidate")
        m.unlock("candidate")
    assert netconf.running() == before


def test_sessions_that_are_lost(netconf):
    """At each request of an isolate the session breaks off, before it is handed over or after: what is told
    and what holds agree, no lock stays, and undo brings back what was."""
    before = netconf.running()
    netconf.fault()
    ok(netconf.stanch("isolate", "web01", "--yes"))
    total = netconf.requests()
    ok(netconf.stanch("undo", "o1", "--yes"))
    assert total > 8 and netconf.running() == before
    step = 1 if os.environ.get("FAULTS") == "all" else 6
    for i, n in enumerate(range(random.randint(2, 1 + step), total + 1, step)):
        netconf.fault("after" if i % 2 else "before", n)
        r = netconf.stanch("isolate", "web01", "--yes")
        netconf.fault()
        cut = "in-cut" in netconf.running()
        assert r.returncode in (0, 3, 4, 5), f"{n}: {r}"
        assert cut == (r.returncode in (0, 5)) or r.returncode == 5, f"{n}: {r.stdout}{r.stderr}"
        r = netconf.stanch("undo", "--all", "--yes")
        assert r.returncode == 0, f"{n}: {r.stdout}{r.stderr}"
        assert netconf.running() == before, n


def test_terms_come_first(junos):
    before = junos.running()
    ok(junos.stanch("isolate", "web02", "--keep", "198.51.100.7:22", "--yes"))
    c = Config(junos.running())
    assert untagged(c.terms("edge-in")) == ["TAG-in-keep1", "TAG-in-keep2", "TAG-in-cut", "ssh", "all"]
    ok(junos.stanch("block", "203.0.113.5", "198.51.100.20", "2001:db8:bad::/48", "--via", "core-junos", "--yes"))
    c = Config(junos.running())
    assert untagged(c.terms("edge-in")) == ["TAG-in-cut", "TAG-in-keep1", "TAG-in-keep2", "TAG-in-cut", "ssh",
                                            "all"]
    assert untagged(c.terms("edge6-in", "inet6")) == ["TAG-in-cut", "all"]
    assert c.text("//c:interface[c:name='ge-0/0/0']//c:output-list") == [
        "stanch-out4-ge-0_0_0.0", "count-all"]
    for order in ("o1", "o2"):
        ok(junos.stanch("verify", order))
    assert "command clear security flow session source-prefix 203.0.113.5" in junos.log()
    ok(junos.stanch("undo", "o1", "--yes"))
    ok(junos.stanch("verify", "o2"))
    ok(junos.stanch("undo", "o2", "--yes"))
    assert junos.running() == before


def test_sessions_are_counted(junos):
    junos.sticky(22)
    plan = ok(junos.stanch("isolate", "web02", "--keep-in", "198.51.100.7@22", "--dry-run"))
    assert "1 sessions of these addresses will be cut now: with 203.0.113.5 (1); 1 are kept" in plan.stdout
    ok(junos.stanch("isolate", "web02", "--keep-in", "198.51.100.7@22", "--yes"))
    assert "0 sessions of these addresses are left, 1 are kept" in ok(junos.stanch("verify", "o1")).stdout
    junos.sticky(40002)
    r = ok(junos.stanch("block", "203.0.113.96/29", "--via", "core-junos", "--yes"), 5)
    assert "1 sessions of these addresses are left, the first: 192.0.2.99:40002" in r.stdout + r.stderr
    assert "are left" in ok(junos.stanch("verify", "o2"), 1).stdout


def test_a_router_has_no_sessions_to_clear(junos):
    before = junos.running()
    with junos.router():
        plan = " ".join(ok(junos.stanch("isolate", "web02", "--dry-run")).stdout.split())
        assert "no session is cleared" in plan, plan
        assert "syntax error" in plan and "it is stateless" in plan, plan
        ok(junos.stanch("isolate", "web02", "--yes"))
        ok(junos.stanch("verify", "o1"))
        assert not [line for line in junos.log() if "clear security flow" in line]
        ok(junos.stanch("undo", "o1", "--yes"))
    assert junos.running() == before


def test_blocks_share_a_filter_of_ours(junos):
    before = junos.running()
    ok(junos.stanch("isolate", "web01", "--yes"))
    ok(junos.stanch("block", "203.0.113.5", "--via", "core-junos", "--yes"))
    ok(junos.stanch("block", "198.51.100.20", "--via", "core-junos", "--yes"))
    r = ok(junos.stanch("block", "203.0.113.5", "--via", "core-junos", "--yes"), 3)
    assert "o2 does that here already" in r.stderr
    ok(junos.stanch("undo", "o2", "--yes"))
    ok(junos.stanch("verify", "o3"))
    ok(junos.stanch("undo", "--all", "--yes"))
    assert junos.running() == before


def test_killed_while_the_commit_waits(junos):
    """The device alone takes back what was committed and never confirmed; then stanch tells so."""
    before = junos.running()
    p = subprocess.Popen(junos.argv("isolate", "web02", "--yes"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_for("the commit", lambda: "in-cut" in junos.running(), 20)
        p.send_signal(signal.SIGKILL)
    finally:
        p.communicate()
    time.sleep(0.1)
    if "ROLLBACK" not in junos.log() and junos.log()[-1] != "commit":
        wait_for("the rollback", lambda: "ROLLBACK" in junos.log(), 20)
        assert junos.running() == before
    r = junos.stanch("undo", "--all", "--yes")
    assert r.returncode == 0 and ("half done" in r.stdout or order_state(junos) in ("undone", "failed")), r
    assert junos.running() == before


@pytest.mark.parametrize("name", ["a\"b", "a\nb", "]]>]]>", "a&b<c"])
def test_names_that_would_break_out(junos, name):
    r = junos.stanch("isolate", name, "--yes")
    assert r.returncode == 3 and "no asset" in r.stderr

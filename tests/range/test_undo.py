# SPDX-License-Identifier: GPL-3.0-or-later
"""`undo` restores exactly: rules, tc, XDP and sysctls read by nft, tc, ip and /proc are equal before
and after, with foreign rules of several kinds present."""
import time

import bed as B
import pytest
from helpers import order_id, our_tables, same_kernel

DOCKER = """table ip nat {
    chain PREROUTING {
        type nat hook prerouting priority dstnat; policy accept;
        fib daddr type local counter jump DOCKER
    }
    chain POSTROUTING {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr 172.17.0.0/16 oifname != "docker0" counter masquerade
    }
    chain DOCKER {
        iifname "docker0" counter return
        iifname != "docker0" tcp dport 8088 counter dnat to 198.18.31.2:80
    }
}
table ip filter {
    chain DOCKER { }
    chain DOCKER-USER { counter return; }
    chain FORWARD {
        type filter hook forward priority filter; policy accept;
        counter jump DOCKER-USER
        oifname "docker0" ct state related,established counter accept
    }
}
"""
FIREWALLD = """table inet firewalld {
    set allowed { type ipv4_addr; flags interval,timeout; elements = { 203.0.113.0/24 timeout 2h } }
    chain filter_INPUT {
        type filter hook input priority filter + 10; policy accept;
        ct state { established, related } accept
        iifname "lo" accept
    }
    chain filter_OUTPUT {
        type filter hook output priority filter + 10; policy accept;
        ip daddr @allowed accept
    }
}
"""
ATTACKER = """table inet kworker {
    chain a {
        type filter hook output priority -500; policy accept;
        accept
    }
    chain b {
        type filter hook prerouting priority -500; policy accept;
        accept
    }
}
table netdev kworker {
    chain e {
        type filter hook egress device "eth0" priority -500; policy accept;
        accept
    }
}
"""
FOREIGN = {"docker": DOCKER, "firewalld": FIREWALLD, "attacker": ATTACKER}


def foreign_tc(bed):
    """A tc filter and qdisc of somebody else on eth0."""
    bed.sh("victim", "tc", "qdisc", "add", "dev", "eth0", "clsact")
    bed.sh("victim", "tc", "filter", "add", "dev", "eth0", "ingress", "pref", "50", "protocol", "ip",
           "u32", "match", "ip", "dst", "192.0.2.77/32", "action", "ok", check=False)


def owner_table(bed):
    """A table with the owner flag, held by a process that stays: others may not change it."""
    p = bed.spawn("victim", "nft", "-i", stdin=B.subprocess.PIPE)
    p.stdin.write("add table inet held { flags owner; }\nadd chain inet held c\n")
    p.stdin.flush()
    B.wait_for("the owner's table is there", lambda: "held" in bed.sh(
        "victim", "nft", "list", "tables").stdout, 5)


@pytest.mark.parametrize("foreign", ["none", "docker", "firewalld", "attacker", "all"])
@pytest.mark.parametrize("verb", ["isolate", "block"])
def test_equal_after_undo(bed, verb, foreign):
    for name, text in FOREIGN.items():
        if foreign in (name, "all"):
            bed.nft("victim", text)
    if foreign == "all":
        foreign_tc(bed)
        owner_table(bed)
    before = bed.kernel()
    args = {"isolate": ("isolate", "self"), "block": ("block", B.C2A, B.C2B6, "198.51.100.0/28")}[verb]
    r = bed.stanch_ssh(*args, "--yes")
    assert r.code in (0, 5), str(r)
    assert same_kernel(before, bed.kernel()), "nothing changed: this test cannot fail"
    assert bed.sh("victim", "ping", "-c1", "-W1", "-q", B.C2A, check=False).returncode != 0, \
        "foreign rules let it through"
    u = bed.stanch_ssh("undo", order_id(r), "--yes")
    assert u.code == 0, str(u)
    assert same_kernel(before, bed.kernel()) == ""
    assert our_tables(bed) == []
    assert bed.sh("victim", "ping", "-c1", "-W2", "-q", B.C2A).returncode == 0


def test_undo_after_expiry_tidies(bed):
    before = bed.kernel()
    r = bed.stanch_ssh("block", B.C2A, "--for", "2s", "--yes")
    assert r.code == 0, str(r)
    time.sleep(2.5)
    u = bed.stanch_ssh("undo", "--all", "--yes")
    assert u.code == 0, str(u)
    assert same_kernel(before, bed.kernel()) == ""


def test_undo_restores_traffic_of_an_isolated_host(bed):
    uploads = bed.bleed()
    time.sleep(0.5)
    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code in (0, 5), str(r)
    time.sleep(0.5)
    assert not any(u.ask()["connected"] for u in uploads.values())
    assert bed.stanch_ssh("undo", "--all", "--yes").code == 0
    B.wait_for("the uploads are back", lambda: all(u.ask()["connected"] for u in uploads.values()), 8)


def test_verify_names_drift(bed):
    """A table that somebody removed is named, by reading the kernel."""
    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code in (0, 5), str(r)
    oid = order_id(r)
    v = bed.stanch_ssh("verify", oid)
    assert v.code == 0, str(v)
    for table in our_tables(bed):
        if table.startswith("netdev"):
            bed.sh("victim", "nft", "delete", "table", *table.split())
    v = bed.stanch_ssh("verify", oid)
    assert v.code == 1, str(v)
    assert "netdev" in v.out + v.err

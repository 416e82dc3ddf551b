# SPDX-License-Identifier: GPL-3.0-or-later
"""`block` cuts just what it names: exact addresses, both directions, hosts and containers."""
import json
import time

import bed as B
import pytest
from helpers import bleeding, order_id, our_tables

BAD = (B.C2A, B.C2B)


def conntrack_on(bed):
    """Connection tracking in the victim, as with any stateful firewall."""
    bed.nft("victim", """table inet fw {
    chain in {
        type filter hook input priority 0
        ct state established,related accept
    }
    chain out {
        type filter hook output priority 0
        ct state new counter accept
    }
    chain forward_in {
        type filter hook forward priority 0
        ct state new counter accept
    }
}
""")


def tracked(bed, address):
    # -L with a filter of either end.
    out = bed.sh("victim", "conntrack", "-L", check=False).stdout
    return [x for x in out.splitlines() if f"={address} " in x]


def test_block_is_exact(bed):
    """The two bad ones end; the neighbour's and the benign bytes are whole."""
    conntrack_on(bed)
    uploads = bed.bleed()
    container = bed.traffic("ctr", "plain", B.C2A, 7000, 20000)
    macvlan = bed.traffic("mac", "plain", B.C2B, 7000, 20000)
    benign = {"own": bed.traffic("victim", "benign", B.WEB, 8443),
              "container": bed.traffic("ctr", "benign", B.WEB, 8443),
              "inward": bed.traffic("mgmt", "benign", B.VICTIM, 8080)}
    time.sleep(1.5)
    assert all(bleeding(bed, uploads, uploads).values())
    assert container.ask()["connected"] and macvlan.ask()["connected"]
    assert tracked(bed, B.C2A) and tracked(bed, B.C2B)
    sent_before = uploads[B.NEIGHBOUR].ask()["bytes"]

    r = bed.stanch_ssh("block", *BAD, "--yes")
    assert r.code == 0, str(r)
    assert r.out.count(B.C2A) and r.out.count(B.C2B)
    time.sleep(4)
    for host in ("c2a", "c2b"):
        own = {B.C2A: "c2a", B.C2B: "c2b"}
        bad = [x for x in bed.at[host].rows(r.ended) if own.get(x.get("dst")) == host
               and x["proto"] != "arp"]
        assert bad == [], f"frames arrived at {host} after the block"
    for address in BAD:
        assert tracked(bed, address) == [], "conntrack still knows the blocked address"
    for name, b in benign.items():
        got = b.ask()
        assert got["errors"] == [] and got["mismatches"] == 0, f"{name}: {got}"
    n = uploads[B.NEIGHBOUR].ask()
    assert n["errors"] == [] and n["bytes"] > sent_before
    # Byte for byte: what the neighbour's server took is what was sent, but for what is under way.
    B.wait_for("the neighbour has all bytes", lambda: uploads[B.NEIGHBOUR].ask()["bytes"] -
               bed.far["neigh"].ask()["443"]["bytes"] < 65536, 3)
    assert uploads[B.C2A].ask()["errors"] and uploads[B.C2B].ask()["errors"]

    # Inward as well: what the blocked one sends ends at this host.
    at_victim = bed.traffic("c2a", "plain", B.VICTIM, 8080, 1000)
    # (The first address of c2a, the blocked one, is its source.)
    time.sleep(1.5)
    assert at_victim.ask()["connections"] == 0

    assert bed.stanch("undo", order_id(r), "--yes").code == 0
    assert our_tables(bed) == []
    assert B.wait_for("traffic is back", lambda: all(bleeding(bed, uploads, BAD).values()), 10)


def test_prefixes_and_families(bed):
    """A prefix takes its members and no neighbour; v6 equals v4."""
    def answers(address):
        return bed.sh("victim", "ping", "-c1", "-W1", "-q", address, check=False).returncode == 0
    r = bed.stanch_ssh("block", "203.0.113.0/26", "2001:db8:51::/64", "--yes")
    assert r.code == 0, str(r)
    assert not answers(B.C2A) and answers(B.WEB), "203.0.113.0/26 ends before .80"
    assert not answers(B.C2B6) and answers(B.C2B)
    assert answers(B.C2A6) and answers(B.NEIGHBOUR6)


def test_time_to_live_ends_and_extends(bed):
    """--for: gone by itself, though nobody runs; a second order with a longer one extends."""
    def answers(address):
        return bed.sh("victim", "ping", "-c1", "-W1", "-q", address, check=False).returncode == 0
    t = time.monotonic()
    r = bed.stanch_ssh("block", B.C2A, B.C2B, "--for", "5s", "--yes")
    assert r.code == 0, str(r)
    r = bed.stanch_ssh("block", B.C2B, "--for", "60s", "--yes")
    assert r.code == 0, str(r)
    assert not answers(B.C2A) and not answers(B.C2B)
    time.sleep(max(0, t + 7 - time.monotonic()))
    assert answers(B.C2A), "the time to live is over"
    assert not answers(B.C2B), "the longer order still wants it"


def test_two_orders_share_an_address(bed):
    """Undoing one leaves what the other wants."""
    def answers(address):
        return bed.sh("victim", "ping", "-c1", "-W1", "-q", address, check=False).returncode == 0
    first = bed.stanch_ssh("block", B.C2A, B.C2B, "--yes")
    second = bed.stanch_ssh("block", B.C2A, "--yes")
    assert first.code == 0 and second.code == 0, f"{first}{second}"
    assert bed.stanch_ssh("undo", order_id(first), "--yes").code == 0
    assert not answers(B.C2A) and answers(B.C2B)
    assert bed.stanch_ssh("undo", order_id(second), "--yes").code == 0
    assert answers(B.C2A) and our_tables(bed) == []


@pytest.mark.parametrize("target, guard", [
    (B.MGMT, "operator"), ("198.18.0.0/24", "operator"), ("127.0.0.1", "loopback"),
    ("0.0.0.0/0", "everything"), ("::/0", "everything")])
def test_guards(bed, target, guard):
    before = bed.kernel()
    r = bed.stanch_ssh("block", target, "--yes")
    assert r.code == 3, f"{guard}: {r}"
    assert before == bed.kernel()


def test_the_rules_are_readable_by_nft(bed):
    """The independent oracle sees the addresses as they were given, in v4 and v6."""
    r = bed.stanch_ssh("block", B.C2A, B.C2B6, "198.51.100.0/28", "--yes")
    assert r.code == 0, str(r)
    text = json.dumps(json.loads(bed.sh("victim", "nft", "-j", "list", "ruleset").stdout))
    for wanted in (B.C2A, B.C2B6, "198.51.100.0"):
        assert wanted in text

# SPDX-License-Identifier: GPL-3.0-or-later
"""An isolation on kernel 6.1 among the other rules and devices of a host: VLANs, which the machine's own
kernel need not have; reloads of nftables; a card that is plugged in later; undo."""
import os
import time

import bed as B
import pytest
import test_undo
from helpers import cells_marked, order_id, our_tables, strangers

HERE = os.path.dirname(os.path.abspath(__file__))
VLAN = 7
HERE4, THERE4 = "198.18.7.10", "198.18.7.5"
CARD, BESIDE = "198.51.101.10", "198.51.101.20"
TAGGED = {"tagged-packet-v4", "tagged-bypass-v4"}
HERE6, THERE6 = "2001:db8:7::10", "2001:db8:7::5"


def add_vlan(guest, address, address6):
    guest.script(f"ip link add link eth0 name eth0.{VLAN} type vlan id {VLAN}\n"
                 f"ip addr add {address}/24 dev eth0.{VLAN}\n"
                 f"ip addr add {address6}/64 dev eth0.{VLAN} nodad\n"
                 f"ip link set eth0.{VLAN} up")


@pytest.fixture(scope="module", autouse=True)
def tagged(lasting_bed):
    with open(f"{HERE}/tagged.py", "rb") as f:
        lasting_bed.guest.put("/root/tagged.py", f.read())


@pytest.fixture
def peer(bed, template):
    """A second guest on the victim's VLAN, with the operator's key in it."""
    with template.clone() as g:
        # Its image has the victim's addresses.
        g.script("systemctl -q stop systemd-networkd.socket systemd-networkd")
        g.add_nic(bed.ns("router"), "ppeer", mac="52:54:00:00:02:77")
        bed.ip("router", "link set ppeer master lan0\nlink set ppeer up\n")
        g.run("ip", "link", "set", "eth0", "up")
        add_vlan(g, THERE4, THERE6)
        add_vlan(bed.guest, HERE4, HERE6)
        with open(f"{bed.dir}/user_key", "rb") as f:
            g.put("/root/key", f.read(), 0o600)
        yield g
    bed.guest.run("ip", "link", "del", f"eth0.{VLAN}")


def ssh_by_vlan(peer, command, address):
    return peer.run("ssh", "-i", "/root/key", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
                    "-o", "ConnectTimeout=30", f"root@{address}", command, check=False)


def send_tagged(bed):
    """All ways into a VLAN; what of it came to the cable's far end."""
    since = time.time_ns()
    for family, address in ((4, THERE4), (6, THERE6)):
        bed.sh("victim", "bash", "-c", f"for i in 1 2 3; do echo '<leak:vlan-udp-v{family}>' "
               f">/dev/udp/{address}/5353; done", check=False)
    bed.sh("victim", B.PYTHON, "-B", "/root/tagged.py", "eth0", "99", THERE4)
    time.sleep(0.3)
    return cells_marked(bed.wire.rows(since))


def kept_by_vlan(row):
    """The peer's port 22 either way, and asking for its link address."""
    far = {THERE4, THERE6}
    if row["proto"] == "tcp":
        return row["dst"] in far and 22 in (row["sport"], row["dport"])
    return row["proto"] in ("arp", "icmp6") and far & {row["dst"], row.get("about")}


def test_a_vlan_neither_leaks_nor_loses_the_operator(bed, peer):
    """The operator comes by a VLAN, over both families: tagged frames, when they pass the card below."""
    assert send_tagged(bed) == {k: 3 for k in TAGGED | {"vlan-udp-v4", "vlan-udp-v6"}}
    isolate = bed.command("isolate", "self", "--yes", "--keep", f"[{THERE6}]:22")
    r = ssh_by_vlan(peer, isolate, HERE4)
    returned = time.time_ns()
    assert r.returncode in (0, 5), r.stdout + r.stderr
    # Longer than a neighbour's entry is believed, shortened.
    for g in (bed.guest, peer):
        g.script(f"ip neigh flush dev eth0.{VLAN}")
    for host in (HERE4, HERE6):
        assert ssh_by_vlan(peer, "echo in", host).stdout == "in\n", host
    assert send_tagged(bed) == {}
    foreign = [x for x in strangers(bed.wire.rows(returned)) if not kept_by_vlan(x)]
    assert foreign == []


def test_undo_is_exact(bed):
    """With rules of Docker's, firewalld's and an attacker's kind, and a tc filter of somebody's."""
    test_undo.test_equal_after_undo(bed, "isolate", "all")
    bed.sh("victim", "tc", "qdisc", "del", "dev", "eth0", "clsact")


def our_rules(bed):
    """All of our tables, as `nft` reads them."""
    return [rule for rule in bed.kernel()["rules"]
            if any(v.get("table", v.get("name", "")).startswith("stanch") for v in rule.values())]


def test_a_flush_is_told_and_repaired(bed):
    """Debian's nftables.service begins with `flush ruleset`, as does who wants us gone."""
    r = bed.stanch_ssh("isolate", "self", "--yes", "--no-deadline")
    assert r.code in (0, 5), str(r)
    standing = our_rules(bed)
    assert standing
    for how in (("systemctl", "restart", "nftables.service"), ("nft", "flush", "ruleset")):
        bed.guest.run(*how)
        assert our_tables(bed) == []
        v = bed.stanch("verify", order_id(r))
        assert v.code == 1 and "stanch_isolate" in v.out + v.err, str(v)
        assert bed.stanch("reassert").code == 0
        assert our_rules(bed) == standing
        assert bed.stanch("verify", order_id(r)).code == 0


def test_a_card_that_comes_later(bed):
    """6.1 takes no chain for a device that is not there; the inet layer needs none, and the layers of the
    device follow when they are asked for."""
    r = bed.stanch_ssh("isolate", "self", "--yes", "--no-deadline")
    assert r.code in (0, 5), str(r)
    nic = bed.add_card("eth9", "c2b", "side0")
    try:
        bed.ip("victim", f"link set eth9 up\naddr add {CARD}/24 dev eth9\n")
        bed.ip("c2b", f"link set side0 up\naddr add {BESIDE}/24 dev side0\n")
        side = B.Counter(bed, "c2b", "side0")
        assert bed.sh("victim", "ping", "-c1", "-W1", "-q", BESIDE, check=False).returncode != 0
        v = bed.stanch("verify", order_id(r))
        assert v.code == 1 and "eth9" in v.out + v.err, str(v)
        since = time.time_ns()
        bed.sh("victim", B.PYTHON, "-B", "/root/tagged.py", "eth9", "99", BESIDE)
        assert set(cells_marked(side.rows(since))) == TAGGED, "nothing was uncovered: this cannot fail"

        a = bed.stanch("reassert")
        assert a.code == 0, str(a)
        v = bed.stanch("verify", order_id(r))
        assert v.code == 0, f"{a}{v}"
        since = time.time_ns()
        bed.sh("victim", B.PYTHON, "-B", "/root/tagged.py", "eth9", "99", BESIDE)
        time.sleep(0.3)
        assert cells_marked(side.rows(since)) == {}
        assert bed.ssh("echo in").stdout == "in\n"
    finally:
        bed.guest.remove_nic(nic)

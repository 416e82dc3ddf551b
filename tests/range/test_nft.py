# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver `host` by itself: what nft lists, what packets do, what time does. No journal."""
import json
import os
import socket
import struct
import subprocess
import time

import pytest

from bed import remove_netns

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("STANCH_BUILD", os.path.join(ROOT, "build"))
HOSTCTL = os.path.join(BUILD, "tests", "hostctl")
PEER, OTHER, PEER6, OTHER6 = "198.18.0.2", "198.18.0.3", "2001:db8:1::2", "2001:db8:1::3"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")


def run(*argv, check=True, **more):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=check, **more)


class Rig:
    """A victim with a bridge, and a peer that has four addresses; one cable."""

    def __init__(self, tmp):
        self.tmp = tmp
        self.v, self.p = f"st-nft-v{os.getpid()}", f"st-nft-p{os.getpid()}"
        self.helpers = []

    def __enter__(self):
        run("ip", "netns", "add", self.v)
        run("ip", "netns", "add", self.p)
        run("ip", "link", "add", "v0", "netns", self.v, "type", "veth", "peer", "name", "p0",
            "netns", self.p)
        run("ip", "-n", self.v, "link", "add", "br0", "type", "bridge")
        for ns, dev, a4, a6 in ((self.v, "v0", ["198.18.0.1"], ["2001:db8:1::1"]),
                                (self.p, "p0", [PEER, OTHER], [PEER6, OTHER6])):
            run("ip", "-n", ns, "link", "set", "lo", "up")
            run("ip", "-n", ns, "link", "set", dev, "up")
            for a in a4:
                run("ip", "-n", ns, "addr", "add", a + "/24", "dev", dev)
            for a in a6:
                run("ip", "-n", ns, "addr", "add", a + "/64", "dev", dev, "nodad")
        run("ip", "-n", self.v, "link", "set", "br0", "up")
        run("ip", "-n", self.v, "route", "add", "default", "via", OTHER)
        self.listen(self.p, PEER, 7000)
        self.listen(self.p, PEER, 7001)
        self.listen(self.p, OTHER, 7000)
        self.listen(self.v, "198.18.0.1", 22)
        self.listen(self.v, "127.0.0.1", 22)
        return self

    def __exit__(self, *why):
        for h in self.helpers:
            h.kill()
            h.wait()
        for ns in (self.v, self.p):
            remove_netns(ns)

    def inside(self, ns, *argv, **more):
        return run("nsenter", f"--net=/run/netns/{ns}", *argv, **more)

    def listen(self, ns, addr, port):
        code = ("import socket,sys\ns=socket.create_server((sys.argv[1],int(sys.argv[2])))\n"
                "print(1,flush=True)\nk=[]\nwhile 1: k.append(s.accept())")
        h = subprocess.Popen(["nsenter", f"--net=/run/netns/{ns}", "/usr/bin/python3", "-c", code,
                              addr, str(port)], stdout=subprocess.PIPE)
        self.helpers.append(h)
        h.stdout.readline()

    def connects(self, addr, port, ns=None):
        code = ("import socket,sys\ntry: socket.create_connection((sys.argv[1],int(sys.argv[2])),1)"
                "\nexcept OSError: sys.exit(1)")
        return self.inside(ns or self.v, "/usr/bin/python3", "-c", code, addr, str(port),
                           check=False).returncode == 0

    def pings(self, addr, ns=None):
        return self.inside(ns or self.v, "ping", "-c1", "-W1", addr, check=False).returncode == 0

    def nft(self, *argv):
        return self.inside(self.v, "nft", *argv).stdout

    def ruleset(self):
        """What nft lists, without counters of time and the versions line."""
        def strip(x):
            if isinstance(x, dict):
                return {k: strip(v) for k, v in x.items() if k != "expires"}
            return [strip(i) for i in x] if isinstance(x, list) else x
        return strip(json.loads(self.nft("-j", "list", "ruleset")))

    def host(self, verb, order, *others, ok=True):
        paths = []
        for o in (order, *others):
            path = os.path.join(self.tmp, f"order{o['id']}")
            with open(path + ".json", "w") as f:
                json.dump(o, f)
            paths += [path + ".json", path + ".steps"]
        r = self.inside(self.v, HOSTCTL, verb, *paths, check=False)
        lines = [json.loads(x) for x in r.stdout.splitlines()]
        if ok:
            assert r.returncode == 0, r.stdout + r.stderr
        return lines

    def isolate(self, order):
        full = self.host("sustain", order)[0]
        self.host("plan", full)
        self.host("apply", full)
        return full

    def block(self, order, *others):
        self.host("plan", order, *others)
        self.host("apply", order, *others)
        return order

    def verdict(self, order, *others, kind=None):
        lines = self.host("verify", order, *others)
        one = [x for x in lines if x["kind"] == (kind or f"host.{CUTS[order['verb']]}")][0]
        return one["verdict"], one.get("drift", "")


CUTS = {"isolate": "cut", "block": "block"}


def flow(peer, proto=0, local=0, port=0, glass=False):
    return {"kind": "flow", "peer": peer, "proto": proto, "local_port": local, "peer_port": port,
            "breakglass": glass, "why": "test"}


def within(seconds):
    """A deadline on the clock that runs on through suspend, as orders have them; 0: none."""
    return int((time.clock_gettime(time.CLOCK_BOOTTIME) + seconds) * 1e6) if seconds else 0


def order(verb, ident=1, permits=(), prefixes=(), seconds=0, expiry="open"):
    targets = [{"kind": "prefix", "name": p, "prefix": p, "domain": ""} for p in prefixes]
    if verb == "isolate":
        targets = [{"kind": "host", "name": "self", "prefix": None, "domain": ""}]
    return {"id": ident, "verb": verb, "state": "planned", "targets": targets,
            "permits": list(permits), "all_or_nothing": False, "reason": "",
            "deadlines": {"confirm_by_boot": within(seconds), "confirm_by_wall": 0,
                          "until_wall": 0, "until_boot": 0, "boot": "", "on_expiry": expiry}}


KEEPS = (flow(PEER, 6, local=22), flow(PEER, 0, port=7000), flow(PEER6))


@pytest.fixture
def rig(tmp_path):
    if not os.path.exists(HOSTCTL):
        pytest.skip("hostctl is not built")
    with Rig(str(tmp_path)) as r:
        yield r


def all_open(r):
    """Everything flows; what a moment ago was cut may have to ask for its neighbour anew."""
    return (all(r.pings(a) for a in (PEER, OTHER, PEER6, OTHER6)) and r.connects(PEER, 7001) and
            r.connects(OTHER, 7000) and r.pings("198.18.0.1", r.p))


def cut_as_ordered(r):
    assert r.connects(PEER, 7000), "kept peer and port"
    assert r.pings(PEER6), "kept v6 peer"
    assert r.connects("127.0.0.1", 22), "loopback"
    for closed in (PEER, OTHER, OTHER6):
        assert not r.pings(closed), closed
    assert not r.connects(PEER, 7001) and not r.connects(OTHER, 7000)
    assert not r.pings("198.18.0.1", r.p), "inbound"
    assert r.connects("198.18.0.1", 22, r.p), "own session's port"


FOREIGN = """
add table ip nat
add chain ip nat PREROUTING { type nat hook prerouting priority -100; policy accept; }
add chain ip nat DOCKER
add rule ip nat PREROUTING fib daddr type local jump DOCKER
add table inet firewalld
add chain inet firewalld filter_INPUT { type filter hook input priority 10; policy accept; }
add rule inet firewalld filter_INPUT ct state established,related accept
add table inet early
add chain inet early out { type filter hook output priority -400; policy accept; }
add rule inet early out accept
add table netdev theirs
add chain netdev theirs in { type filter hook ingress device "v0" priority -500; policy accept; }
"""


def test_isolate_and_undo(rig):
    rig.inside(rig.v, "nft", "-f", "-", input=FOREIGN)
    assert all_open(rig)
    before = rig.ruleset()
    o = rig.isolate(order("isolate", permits=KEEPS))
    cut_as_ordered(rig)
    assert rig.verdict(o)[0] == "holds"
    tables = [(x["table"]["family"], x["table"]["name"]) for x in rig.ruleset()["nftables"]
              if "table" in x]
    assert {("inet", "stanch_isolate"), ("netdev", "stanch_isolate"),
            ("bridge", "stanch_isolate")} <= set(tables)
    rig.host("undo", o)
    assert rig.ruleset() == before
    assert all_open(rig)
    rig.host("undo", o)  # twice is once
    assert rig.verdict(o)[0] == "absent"


def test_apply_twice_is_once(rig):
    o = rig.isolate(order("isolate", permits=KEEPS))
    first = rig.ruleset()
    rig.host("apply", o)
    def plain(rules):
        return [{k: {a: b for a, b in v.items() if a != "handle"} for k, v in x.items()}
                for x in rules["nftables"]]
    assert plain(rig.ruleset()) == plain(first)
    cut_as_ordered(rig)


def test_a_second_isolation_is_refused(rig):
    o = rig.isolate(order("isolate", permits=KEEPS))
    second = order("isolate", 2, permits=KEEPS)
    said = rig.host("plan", second, o, ok=False)
    assert said[0]["code"] == -114 and "o1" in said[0]["text"]


@pytest.mark.parametrize("what,says", [
    (["flush", "chain", "inet", "stanch_isolate", "out"], "out"),
    (["flush", "set", "netdev", "stanch_isolate", "armed"], "armed"),
    (["delete", "table", "netdev", "stanch_isolate"], "netdev"),
    (["insert", "rule", "inet", "stanch_isolate", "out", "accept"], "out"),
    (["add", "rule", "inet", "stanch_isolate", "permit_out", "tcp", "dport", "443", "accept"],
     "permit_out"),
    (["add", "chain", "inet", "stanch_isolate", "x",
      "{ type filter hook output priority -400; }"], "x"),
])
def test_verify_names_drift(rig, what, says):
    o = rig.isolate(order("isolate", permits=KEEPS))
    rig.nft(*what)
    verdict, drift = rig.verdict(o)
    assert verdict == "drifted" and says in drift, drift
    rig.host("apply", o)
    assert rig.verdict(o)[0] == "holds"


def test_verify_names_a_new_device(rig):
    o = rig.isolate(order("isolate", permits=KEEPS))
    run("ip", "-n", rig.v, "link", "add", "late0", "type", "veth", "peer", "name", "late1")
    verdict, drift = rig.verdict(o)
    assert verdict == "drifted" and "late0" in drift and "late1" in drift
    rig.host("apply", o)
    assert rig.verdict(o)[0] == "holds"
    run("ip", "-n", rig.v, "link", "del", "late0")
    assert rig.verdict(o)[0] == "holds"  # a device that went takes nothing with it
    rig.host("undo", o)


def test_undo_leaves_a_table_that_is_not_ours(rig):
    o = rig.isolate(order("isolate", permits=KEEPS))
    rig.nft("delete table inet stanch_isolate")
    rig.nft("add table inet stanch_isolate")
    said = rig.host("undo", o, ok=False)
    assert [x["code"] for x in said if x["kind"] == "host.cut"] == [-116]
    assert "stanch_isolate" in rig.nft("list", "tables", "inet")


def test_the_kernel_opens_by_itself(rig):
    o = rig.isolate(order("isolate", permits=KEEPS, seconds=4))
    start = time.monotonic()
    assert not rig.pings(OTHER)
    while time.monotonic() - start < 2:
        assert not rig.connects(OTHER, 7000)
    time.sleep(max(0, 5.0 - (time.monotonic() - start)))
    assert all_open(rig)
    assert rig.verdict(o)[0] in ("absent", "released")


def test_confirm_takes_the_timer_away(rig):
    o = rig.isolate(order("isolate", permits=KEEPS, seconds=4))
    start = time.monotonic()
    assert "expires" in rig.nft("-j", "list", "set", "inet", "stanch_isolate", "armed")
    o["deadlines"]["confirm_by_boot"] = 0
    rig.host("rearm", o)
    for family in ("inet", "netdev", "bridge"):
        assert "expires" not in rig.nft("-j", "list", "set", family, "stanch_isolate", "armed")
    time.sleep(max(0, 5.5 - (time.monotonic() - start)))
    cut_as_ordered(rig)
    assert rig.verdict(o)[0] == "holds"


def test_confirm_comes_too_late(rig):
    o = rig.isolate(order("isolate", permits=KEEPS, seconds=1))
    time.sleep(2)
    o["deadlines"]["confirm_by_boot"] = 0
    said = rig.host("rearm", o, ok=False)
    assert {x["code"] for x in said if x["kind"] in ("host.cut", "host.raw")} == {-2}
    assert all_open(rig)


def test_widening_opens_only_break_glass(rig):
    permits = (flow(PEER6), flow(OTHER + "/32", 6, local=22, glass=True))
    o = rig.isolate(order("isolate", permits=permits, seconds=4, expiry="widen"))
    start = time.monotonic()

    def from_other():
        code = ("import socket,sys\ns=socket.socket();s.bind((sys.argv[1],0));s.settimeout(1)\n"
                "try: s.connect(('198.18.0.1',22))\nexcept OSError: sys.exit(1)")
        return rig.inside(rig.p, "/usr/bin/python3", "-c", code, OTHER, check=False).returncode == 0
    assert not from_other() and time.monotonic() - start < 3.5
    time.sleep(max(0, 5.0 - (time.monotonic() - start)))
    assert from_other()
    assert not rig.pings(OTHER) and not rig.connects(OTHER, 7000)
    assert rig.verdict(o)[0] == "holds"


def frame(src_mac, dst_mac, dst_ip):
    """An Ethernet frame with UDP in it, as a packet socket would send it."""
    udp = struct.pack("!HHHH", 4444, 5555, 8 + 4, 0) + b"leak"
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                     socket.inet_aton("198.18.0.1"), socket.inet_aton(dst_ip))
    s = sum(struct.unpack("!10H", ip))
    s = ~((s >> 16) + (s & 0xffff)) & 0xffff
    ip = ip[:10] + struct.pack("!H", s) + ip[12:]
    return dst_mac + src_mac + b"\x08\x00" + ip + udp


SEND = ("import socket,sys\ns=socket.socket(socket.AF_PACKET,socket.SOCK_RAW)\n"
        "s.setsockopt(263,20,int(sys.argv[2]))\ns.bind(('v0',0))\n"
        "for i in range(5):\n try: s.send(bytes.fromhex(sys.argv[1]))\n except OSError: pass")


def packets_in(rig):
    text = run("ip", "-n", rig.p, "-s", "-j", "link", "show", "p0").stdout
    return json.loads(text)[0]["stats64"]["rx"]["packets"]


def mac(ns, dev):
    text = run("ip", "-n", ns, "-j", "link", "show", dev).stdout
    return bytes.fromhex(json.loads(text)[0]["address"].replace(":", ""))


@pytest.mark.parametrize("bypass", [0, 1])
def test_packet_sockets_do_not_get_past(rig, bypass):
    f = frame(mac(rig.v, "v0"), mac(rig.p, "p0"), OTHER)
    before = packets_in(rig)
    rig.inside(rig.v, "/usr/bin/python3", "-c", SEND, f.hex(), str(bypass))
    assert packets_in(rig) - before >= 5, "the test's own frames arrive when nothing is cut"
    rig.isolate(order("isolate", permits=(flow(PEER, 6, local=22),)))
    before = packets_in(rig)
    rig.inside(rig.v, "/usr/bin/python3", "-c", SEND, f.hex(), str(bypass))
    assert packets_in(rig) - before == 0


def test_block_cuts_what_it_names_only(rig):
    before = rig.ruleset()
    o = rig.block(order("block", prefixes=(OTHER, OTHER6)))
    assert rig.pings(PEER) and rig.pings(PEER6) and rig.connects(PEER, 7001)
    assert not rig.pings(OTHER) and not rig.pings(OTHER6) and not rig.connects(OTHER, 7000)
    assert rig.verdict(o)[0] == "holds"
    f = frame(mac(rig.v, "v0"), mac(rig.p, "p0"), OTHER)
    count = packets_in(rig)
    rig.inside(rig.v, "/usr/bin/python3", "-c", SEND, f.hex(), "1")
    assert packets_in(rig) - count == 0
    rig.host("undo", o)
    assert rig.ruleset() == before and all_open(rig)


def test_two_blocks_of_one_address(rig):
    before = rig.ruleset()
    a = rig.block(order("block", 1, prefixes=(OTHER, "203.0.113.0/24")))
    b = rig.block(order("block", 2, prefixes=("198.18.0.3/32", "203.0.113.64/26")), a)
    assert rig.verdict(a, b)[0] == "holds" and rig.verdict(b, a)[0] == "holds"
    rig.host("undo", a, b)
    assert not rig.pings(OTHER), "the other order still wants it"
    assert rig.verdict(b)[0] == "holds"
    text = rig.nft("list", "set", "inet", "stanch_block", "net4")
    assert "203.0.113.64" in text and "203.0.113.0" not in text
    rig.host("undo", b)
    assert rig.ruleset() == before and all_open(rig)


def test_block_runs_out_and_can_be_extended(rig):
    o = rig.block(order("block", prefixes=(OTHER, "198.18.0.64/26"), seconds=3))
    start = time.monotonic()
    assert not rig.pings(OTHER)
    o["deadlines"]["confirm_by_boot"] = within(60)
    rig.host("rearm", o)
    time.sleep(max(0, 4.0 - (time.monotonic() - start)))
    assert not rig.pings(OTHER)
    o["deadlines"]["confirm_by_boot"] = within(2)
    rig.host("rearm", o)
    time.sleep(3)
    assert rig.pings(OTHER)


def test_verify_names_block_drift(rig):
    o = rig.block(order("block", prefixes=(OTHER, "203.0.113.0/24")))
    rig.nft("delete", "element", "inet", "stanch_block", "hot4", "{ %s }" % OTHER)
    verdict, drift = rig.verdict(o)
    assert verdict == "drifted" and OTHER in drift
    rig.nft("add", "element", "inet", "stanch_block", "hot4", "{ 198.18.0.9 }")
    assert "198.18.0.9" in rig.verdict(o)[1]
    rig.host("apply", o)
    assert rig.verdict(o)[0] == "holds"


def test_sustain_names_the_way_only(rig):
    o = rig.host("sustain", order("isolate", permits=KEEPS))[0]
    got = sorted((p["kind"], p["peer"]) for p in o["permits"] if p["kind"] != "flow")
    assert got == [("arp", PEER), ("arp", OTHER), ("nd", PEER6), ("toobig", None)]


def test_sustain_follows_a_lease(rig):
    run("ip", "-n", rig.v, "addr", "add", "198.18.5.9/24", "dev", "v0", "valid_lft", "600",
        "preferred_lft", "600")
    o = rig.host("sustain", order("isolate", permits=KEEPS))[0]
    kinds = [(p["kind"], p["peer"]) for p in o["permits"]]
    assert ("dhcp4", "255.255.255.255") in kinds

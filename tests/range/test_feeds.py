# SPDX-License-Identifier: GPL-3.0-or-later
"""`block --feed`: what a list names is cut, what must live is spared, and no change lets a packet out.

A bed of its own, small, shared by all: a victim with a container behind it and one far host. What
arrives is counted by nftables at the far end, what is held is read by bpftool.
"""
import ipaddress
import json
import os
import shutil
import subprocess
import textwrap
import time

import pytest

from bed import remove_netns

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("STANCH_BUILD", os.path.join(ROOT, "build"))
STANCH = os.path.join(BUILD, "stanch")
BAD, BAD2, GOOD = "203.0.113.7", "203.0.113.8", "203.0.113.200"
BAD6, GOOD6 = "2001:db8:51::7", "2001:db8:51::200"
FAR, VICTIM = "192.0.2.1", "192.0.2.10"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")


def run(*argv, check=True, **more):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=check, **more)


class Bed:
    def __init__(self, tmp):
        self.tmp, self.n = tmp, 0
        self.ns = {r: f"st-feeds{os.getpid()}-{r}" for r in ("victim", "far", "ctr")}

    def sh(self, role, *argv, check=True, **more):
        return run("nsenter", f"--net=/run/netns/{self.ns[role]}", *argv, check=check, **more)

    def ip(self, role, lines):
        for line in textwrap.dedent(lines).strip().splitlines():
            self.sh(role, "ip", *line.split())

    def __enter__(self):
        try:
            return self.build()
        except BaseException:
            self.__exit__()
            raise

    def build(self):
        for ns in self.ns.values():
            run("ip", "netns", "add", ns)
        v, f, c = (self.ns[r] for r in ("victim", "far", "ctr"))
        run("ip", "-n", v, "link", "add", "eth0", "type", "veth", "peer", "name", "w0", "netns", f)
        run("ip", "-n", v, "link", "add", "veth1", "type", "veth", "peer", "name", "c0", "netns", c)
        self.ip("far", f"""
            addr add {FAR}/24 dev w0
            addr add 2001:db8::1/64 dev w0 nodad
            link set w0 up
            link set lo up
            route add 172.31.0.0/24 via {VICTIM}""")
        for a in (BAD, BAD2, GOOD):
            self.ip("far", f"addr add {a}/32 dev lo")
        for a in (BAD6, GOOD6):
            self.ip("far", f"addr add {a}/128 dev lo nodad")
        self.ip("victim", f"""
            link set lo up
            link set eth0 up
            link set veth1 up
            addr add {VICTIM}/24 dev eth0
            addr add 2001:db8::10/64 dev eth0 nodad
            addr add 172.31.0.1/24 dev veth1
            route add default via {FAR}
            route add default via 2001:db8::1""")
        self.sh("victim", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.ip("ctr", """
            link set lo up
            link set c0 up
            addr add 172.31.0.2/24 dev c0
            route add default via 172.31.0.1""")
        self.sh("far", "nft", "-f", "-", input=f"""table ip count {{
            chain c {{
                type filter hook prerouting priority -300;
                ip daddr {BAD} udp dport 9 counter
            }}
        }}
        """)
        with open(self.conf(), "w", encoding="ascii"):
            pass
        return self

    def __exit__(self, *why):
        for ns in self.ns.values():
            remove_netns(ns)

    def conf(self):
        return str(self.tmp / "stanch.conf")

    def feed(self, text, name="feed.txt"):
        path = self.tmp / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return str(path)

    def fresh(self):
        """A journal of its own for each test."""
        self.n += 1

    def stanch(self, *argv):
        return self.sh("victim", STANCH, "--state", str(self.tmp / f"state{self.n}"), "--config",
                       self.conf(), *argv, check=False)

    def block(self, *argv, code=0):
        r = self.stanch("block", *argv, "--yes")
        assert r.returncode == code, f"{r.returncode}: {r.stdout}{r.stderr}"
        return r

    def answers(self, address, role="victim"):
        return self.sh(role, "ping", "-c1", "-W0.4", "-q", address, check=False).returncode == 0

    def arrived(self):
        r = json.loads(self.sh("far", "nft", "-j", "list", "table", "ip", "count").stdout)
        rule = next(x["rule"] for x in r["nftables"] if "rule" in x)
        return next(e["counter"]["packets"] for e in rule["expr"] if "counter" in e)

    def tc(self):
        return [self.sh("victim", "tc", "-j", "qdisc", "show").stdout] + [
            self.sh("victim", "tc", "filter", "show", "dev", d, h).stdout
            for d in ("eth0", "veth1") for h in ("ingress", "egress")]

    def programs(self):
        text = self.sh("victim", "tc", "-j", "filter", "show", "dev", "eth0", "egress").stdout
        return [f["options"]["prog"]["id"] for f in json.loads(text or "[]")
                if f.get("options", {}).get("bpf_name", "").startswith("stanch_bulk")]

    def held(self):
        """Prefixes in the tries, as bpftool reads them."""
        prog = json.loads(run("bpftool", "-j", "prog", "show", "id", str(self.programs()[0])).stdout)
        out = set()
        for m in prog["map_ids"]:
            if "stanch_bulk" not in json.loads(run("bpftool", "-j", "map", "show", "id", str(m)).stdout)["name"]:
                continue
            for x in json.loads(run("bpftool", "-j", "map", "dump", "id", str(m)).stdout):
                key = bytes(int(b, 16) for b in x["key"])
                n = int.from_bytes(key[:4], "little")
                out.add(str(ipaddress.ip_network((key[4:], n))))
        return out


@pytest.fixture(scope="module", name="the_bed")
def fixture_the_bed(tmp_path_factory):
    if not shutil.which("bpftool"):
        pytest.skip("needs bpftool")
    with Bed(tmp_path_factory.mktemp("feeds")) as b:
        yield b


@pytest.fixture(name="bed")
def fixture_bed(the_bed):
    the_bed.fresh()
    before = the_bed.tc()
    yield the_bed
    r = the_bed.stanch("undo", "--all", "--yes")
    assert the_bed.tc() == before, f"undo is not exact: {r.stdout}{r.stderr}"


def test_a_feed_cuts_both_families_the_host_and_containers(bed):
    assert all(bed.answers(a) for a in (BAD, BAD6, GOOD, GOOD6)) and bed.answers(BAD, "ctr")
    feed = bed.feed(f"""
        # a list
        {BAD} ; the worst
        2001:db8:51::/121
        198.51.100.0/25
        198.51.100.128/25
        """)
    r = bed.block("--feed", feed)
    assert "done and read back" in r.stdout
    assert not bed.answers(BAD) and not bed.answers(BAD6) and not bed.answers(BAD, "ctr")
    assert bed.answers(GOOD) and bed.answers(GOOD6) and bed.answers(GOOD, "ctr")
    # Inward: what the listed address sends does not reach the victim.
    assert bed.sh("far", "ping", "-c1", "-W0.4", "-I", BAD, VICTIM, check=False).returncode
    assert bed.sh("far", "ping", "-c1", "-W0.4", "-I", GOOD, VICTIM, check=False).returncode == 0
    assert bed.held() == {f"{BAD}/32", "2001:db8:51::/121", "198.51.100.0/24"}
    r = bed.stanch("status", BAD)
    assert f"o1: {BAD} of {feed}, line 3, \"the worst\": to be blocked" in r.stdout and "hold it" in r.stdout
    assert "no order in force names it" in bed.stanch("status", GOOD).stdout
    r = bed.block("--feed", feed)
    assert "o1 holds just this already" in r.stdout
    r = bed.stanch("verify", "o1")
    assert r.returncode == 0 and "3 prefixes of feeds were read back" in r.stdout
    # Somebody takes one out: told, and set right.
    prog = json.loads(run("bpftool", "-j", "prog", "show", "id", str(bed.programs()[0])).stdout)
    run("bpftool", "map", "delete", "id", str(min(prog["map_ids"])), "key", "32", "0", "0", "0",
        *BAD.split("."))
    assert bed.answers(BAD)
    r = bed.stanch("verify", "o1")
    assert r.returncode == 1 and f"{BAD} is not blocked as ordered" in r.stdout
    # And all of it: as after a restart.
    bed.sh("victim", "tc", "qdisc", "del", "dev", "eth0", "clsact")
    assert bed.answers(BAD)
    assert bed.stanch("verify", "o1").returncode == 1
    assert bed.stanch("reassert").returncode == 0
    assert not bed.answers(BAD) and not bed.answers(BAD6)
    assert bed.stanch("verify", "o1").returncode == 0


SENDER = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
n, end = 0, time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    try:
        s.sendto(b"x", (sys.argv[1], 9))
    except OSError:
        pass
    n += 1
    if n % 4 == 0:
        time.sleep(0.001)
print(n)
"""


def test_no_packet_passes_while_feeds_are_swapped(bed):
    """The address stays listed, by other prefixes each time; other entries come and go."""
    lists = [[f"{BAD}/32"] + [f"198.51.100.{i}" for i in range(0, 250, 2)],
             ["203.0.113.0/25"] + [f"198.51.100.{i}" for i in range(1, 250, 2)],
             ["203.0.113.0/29", "203.0.112.0/24"] + [f"100.64.{i}.0/24" for i in range(90)]]
    feed = bed.feed("\n".join(lists[0]))
    bed.block("--feed", feed, "--quiet")
    before = bed.arrived()
    sender = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{bed.ns['victim']}", "/usr/bin/python3", "-c", SENDER, BAD,
         "4"], stdout=subprocess.PIPE, text=True)
    swaps = 0
    while sender.poll() is None:
        swaps += 1
        bed.feed("\n".join(lists[swaps % 3]))
        bed.block("--feed", feed, "--quiet")
    sent = int(sender.communicate()[0])
    assert sent > 1000 and swaps >= 5, f"{sent} packets, {swaps} swaps"
    assert bed.arrived() == before, f"of {sent} packets some passed during {swaps} swaps"
    want = {str(ipaddress.ip_network(x)) for x in lists[swaps % 3]}
    assert bed.held() == {str(x) for x in ipaddress.collapse_addresses(
        ipaddress.ip_network(w) for w in want)}
    # The counter can count: without the block they arrive.
    assert bed.stanch("undo", "--all", "--yes", "--quiet").returncode == 0
    bed.sh("victim", "/usr/bin/python3", "-c", SENDER, BAD, "0.1")
    assert bed.arrived() > before


def test_a_feed_that_fails_or_shrinks_changes_nothing(bed):
    many = "\n".join([BAD] + [f"198.51.100.{i}" for i in range(100)])
    feed = bed.feed(many)
    bed.block("--feed", feed)
    held = bed.held()

    def refused(text, guard, *more):
        bed.feed(text)
        r = bed.block("--feed", feed, *more, code=3)
        assert guard in r.stderr, r.stderr
        assert bed.held() == held and not bed.answers(BAD)

    refused(f"{BAD}\n198.51.100.1\n", "feed-shrink")
    refused("# nothing today\n", "has no address")
    refused("<html><body>Service unavailable</body></html>\n", "has no address")
    refused(many + "\n" + "what is this\n" * 40, "feed-broken")
    refused("# Entries         : 900 subnets, 900 unique IPs\n# ipv4 hash:net ipset\n" + many,
            "feed-shrink")
    r = bed.block("--feed", str(bed.tmp / "absent"), code=3)
    assert "cannot open" in r.stderr and bed.held() == held
    bed.feed(f"{BAD}\n198.51.100.1\n")
    r = bed.block("--feed", feed, "--force", "feed-shrink")
    assert "o2 has taken its place" in r.stdout
    assert bed.held() == {f"{BAD}/32", "198.51.100.1/32"}


def test_stored_entries_that_were_changed_are_found_out(bed):
    feed = bed.feed(f"{BAD}\n")
    bed.block("--feed", feed)
    folder = bed.tmp / f"state{bed.n}" / "feeds"
    stored = max(folder.iterdir(), key=lambda f: b"this host" not in f.read_bytes() and f.stat().st_size < 200)
    good = stored.read_bytes()
    stored.write_bytes(good.replace(bytes([203, 0, 113, 7]), bytes([203, 0, 113, 8])))
    r = bed.stanch("verify", "o1")
    assert r.returncode == 1 and "hash differs" in r.stdout, f"{r.stdout}{r.stderr}"
    stored.write_bytes(good)
    assert bed.stanch("verify", "o1").returncode == 0
    # Without its entries an order can still be undone.
    stored.unlink()
    assert bed.stanch("verify", "o1").returncode == 1
    assert bed.stanch("undo", "o1", "--yes").returncode == 0
    assert bed.answers(BAD)


def test_what_must_live_is_spared_and_told(bed):
    warning = bed.feed(json.dumps({
        "name": "Known CDN", "type": "cidr", "version": 1, "matching_attributes": ["ip-dst"],
        "list": ["198.51.100.64/26"]}), "warninglist.json")
    feed = bed.feed(f"{BAD}\n192.0.2.0/24\n198.51.100.0/24\n100.64.0.0/10\n224.0.0.0/3\n0.0.0.0/0\n")
    r = bed.block("--feed", feed, "--allow", warning, "--allow", "100.65.0.0/16")
    out = " ".join(r.stdout.split())
    assert "192.0.2.0/24 of" in out and "own network" in out and "gateway" in out
    assert "198.51.100.64/26, Known CDN" in out and "100.65.0.0/16, --allow" in out
    assert "2 prefixes wider than /8" in out
    assert bed.answers(FAR) and not bed.answers(BAD)
    want = {ipaddress.ip_network(f"{BAD}/32"), ipaddress.ip_network("198.51.100.0/26"),
            ipaddress.ip_network("198.51.100.128/25")}
    want |= set(ipaddress.ip_network("100.64.0.0/10").address_exclude(
        ipaddress.ip_network("100.65.0.0/16")))
    assert bed.held() == {str(w) for w in want}
    r = bed.block("--feed", warning, code=2)
    assert "warning list" in r.stderr


def test_each_entry_keeps_its_own_end(bed):
    """The kernel lifts what has ended though nobody runs; a longer one that covers it stays."""
    soon = int(time.time()) + 4
    feed = bed.feed(f"ip,expires,comment\n{BAD},{soon},ends soon\n203.0.113.8/32,{soon},covered\n"
                    f"203.0.113.8/31,{soon + 3600},longer\n{BAD6},{soon - 3600},ended\n", "f.csv")
    r = bed.block("--feed", feed)
    assert "1 that have ended" in r.stdout and bed.answers(BAD6)
    assert not bed.answers(BAD) and not bed.answers(BAD2)
    time.sleep(max(0, soon + 1.2 - time.time()))
    assert bed.answers(BAD), "its time is over"
    assert not bed.answers(BAD2), "a longer entry covers it"
    assert bed.stanch("verify", "o1").returncode == 0
    # Given again it is extended.
    bed.feed(f"ip,expires\n{BAD},{soon + 600}\n203.0.113.8/31,{soon + 3600}\n", "f.csv")
    bed.block("--feed", feed)
    assert not bed.answers(BAD)
    assert bed.stanch("undo", "--all", "--yes").returncode == 0
    bed.block("--feed", feed, "--for", "2s")
    assert not bed.answers(BAD)
    time.sleep(2.2)
    assert bed.answers(BAD) and bed.answers(BAD2)


FORMATS = {
    "list": "1.2.3.4 # one\n5.6.7.0/24\n9.9.9.8-9.9.9.11\n2a00::1\n",
    "netset": "#\n# test\n#\n# ipv4 hash:net ipset\n#\n# Entries         : 3 subnets, 9 unique IPs\n#\n"
              "1.2.3.4\n5.6.7.0/24\n9.9.9.8/30\n",
    "csv": "# \"first_seen\",\"dst_ip\",\"malware\"\n\"2026-01-01\",\"1.2.3.4\",\"x, y\"\n"
           "\"2026-01-01\",\"5.6.7.0/24\",\"z\"\n\"2026-01-01\",\"9.9.9.8/30\",\"z\"\n",
    "nft": "table ip t {\n  set s {\n    type ipv4_addr\n    flags interval,timeout\n    elements = { "
           "1.2.3.4 timeout 1h expires 59m3s comment \"a, }\",\n 5.6.7.0/24, 9.9.9.8-9.9.9.11 }\n  }\n}\n",
    "stix": json.dumps({"type": "bundle", "id": "bundle--1", "objects": [
        {"type": "indicator", "id": "indicator--1", "pattern_type": "stix", "pattern":
         "[ipv4-addr:value = '1.2.3.4' OR ipv4-addr:value ISSUBSET '5.6.7.0/24']"},
        {"type": "indicator", "id": "indicator--2", "pattern_type": "stix", "pattern":
         "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value IN "
         "('9.9.9.8/30')]", "valid_until": "2099-01-01T00:00:00Z"},
        {"type": "indicator", "id": "indicator--3", "pattern_type": "stix", "revoked": True,
         "pattern": "[ipv4-addr:value = '8.8.8.8']"},
        {"type": "indicator", "id": "indicator--4", "pattern_type": "stix", "pattern":
         "[ipv4-addr:value = '8.8.4.4' AND network-traffic:dst_port = 53]"},
        {"type": "ipv4-addr", "id": "ipv4-addr--1", "value": "8.8.8.8"}]}),
    "misp": json.dumps({"response": [{"Event": {"info": "campaign", "Attribute": [
        {"type": "ip-dst", "value": "1.2.3.4", "to_ids": True, "uuid": "u1"},
        {"type": "ip-src", "value": "8.8.8.8", "to_ids": False},
        {"type": "md5", "value": "00", "to_ids": True}],
        "Object": [{"Attribute": [{"type": "ip-dst|port", "value": "5.6.7.0/24|443", "to_ids": True},
                                  {"type": "domain|ip", "value": "evil.example|9.9.9.8/30",
                                   "to_ids": True}]}]}}]}),
}


def test_every_format_says_the_same(bed):
    want = {"1.2.3.4/32", "5.6.7.0/24", "9.9.9.8/30"}
    for name, text in FORMATS.items():
        feed = bed.feed("", name + ".feed")
        with open(feed, "w", encoding="utf-8") as f:
            f.write(text)
        r = bed.block("--feed", feed)
        assert f"{name}.feed ({name}" in r.stdout, r.stdout
        assert bed.held() - {"2a00::1/128"} == want, name
        assert bed.stanch("undo", "--all", "--yes").returncode == 0


SERVER = """
import http.server, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"# from afar\\n203.0.113.7\\n"
        status = {"/ok": 200, "/cut": 200, "/moved": 301}.get(self.path, 404)
        self.send_response(status)
        self.send_header("Location", "https://203.0.113.200/ok")
        self.send_header("Content-Length", str(len(body) + 9 * (self.path == "/cut")))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a):
        pass
s = http.server.ThreadingHTTPServer((sys.argv[1], 443), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain(sys.argv[2], sys.argv[3])
s.socket = c.wrap_socket(s.socket, server_side=True)
print("ready", flush=True)
s.serve_forever()
"""


def test_a_url_is_fetched_and_its_server_checked(bed):
    cert, key = str(bed.tmp / "c.pem"), str(bed.tmp / "k.pem")
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
        "-subj", "/CN=feed", "-addext", f"subjectAltName=IP:{GOOD}")
    p = subprocess.Popen(["nsenter", f"--net=/run/netns/{bed.ns['far']}", "/usr/bin/python3", "-c", SERVER, GOOD,
                          cert, key], stdout=subprocess.PIPE, text=True)
    try:
        assert p.stdout.readline().strip() == "ready"
        base, ca = f"https://{GOOD}", ("--feed-ca", cert)
        for path, more, says in (("/ok", (), "not trusted"), ("/absent", ca, "answered 404"),
                                 ("/moved", ca, "leads elsewhere"), ("/cut", ca, "connection was lost")):
            r = bed.block("--feed", base + path, *more, code=3)
            assert says in r.stderr and bed.answers(BAD), r.stderr
        # A name that the certificate does not have.
        r = bed.block("--feed", f"https://{BAD2}/ok", *ca, code=3)
        bed.block("--feed", base + "/ok", *ca)
        assert not bed.answers(BAD) and bed.answers(GOOD)
    finally:
        p.terminate()
        p.wait()
    # The server has gone: what holds stays.
    r = bed.block("--feed", base + "/ok", *ca, code=3)
    assert "refused" in r.stderr and not bed.answers(BAD)


def test_isolation_and_feeds_share_a_qdisc(bed):
    """Whoever goes last takes the qdisc that was made for either."""
    feed = bed.feed(f"{BAD}\n")
    for first, second in ((0, 1), (1, 0)):
        for undone in (("o1", "o2"), ("o2", "o1")):
            bed.fresh()
            before = bed.tc()
            steps = [lambda: bed.block("--feed", feed),
                     lambda: bed.stanch("isolate", "self", "--console", "--yes", "--no-deadline")]
            for i in (first, second):
                assert steps[i]().returncode in (0, 5)
            assert bed.stanch("verify", "o1", "o2").returncode == 0
            for o in undone:
                assert bed.stanch("undo", o, "--yes").returncode in (0, 5)
            assert bed.tc() == before, f"{first} first, {undone} undone"

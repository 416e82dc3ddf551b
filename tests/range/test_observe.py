# SPDX-License-Identifier: GPL-3.0-or-later
"""rates, watch and reach on real traffic between two network namespaces."""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STANCH = os.environ.get("STANCH_BIN", os.path.join(ROOT, "build", "stanch"))
A4, B4, A6, B6 = "192.0.2.10", "203.0.113.5", "2001:db8::10", "2001:db8::5"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")


class Pair:
    """Namespaces A (this side, device up0) and B (the far side), joined by a veth."""

    def __init__(self, state):
        self.names = [f"st-live-{os.getpid()}-{x}" for x in "ab"]
        self.state = str(state)
        self.children = []

    def __enter__(self):
        try:
            for name in self.names:
                subprocess.run(["ip", "netns", "add", name], check=True)
            a, b = self.names
            ip = ["ip", "-n", a]
            subprocess.run(ip + ["link", "add", "up0", "type", "veth", "peer", "name", "up1",
                                 "netns", b], check=True)
            for name, dev, v4, v6 in ((a, "up0", A4, A6), (b, "up1", B4, B6)):
                run = ["ip", "-n", name]
                for words in (["link", "set", dev, "addrgenmode", "none"],
                              ["addr", "add", f"{v4}/32", "dev", dev],
                              ["addr", "add", f"{v6}/64", "dev", dev, "nodad"],
                              ["link", "set", "lo", "up"], ["link", "set", dev, "up"],
                              ["route", "add", "192.0.2.0/24", "dev", dev],
                              ["route", "add", "203.0.113.0/24", "dev", dev]):
                    subprocess.run(run + words, check=True)
            subprocess.run(["ping", "-c", "1", "-W", "5", "-q", B4], check=True,
                           preexec_fn=self.enter(a), stdout=subprocess.DEVNULL)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False)

    @staticmethod
    def enter(name):
        def go():
            fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
            os.setns(fd, os.CLONE_NEWNET) if hasattr(os, "setns") else _setns(fd)
            os.close(fd)
        return go

    def popen(self, side, words, **more):
        child = subprocess.Popen(words, preexec_fn=self.enter(self.names["ab".index(side)]), **more)
        self.children.append(child)
        return child

    def python(self, side, code, *args):
        """Runs code there; the first line it prints means that it is ready."""
        child = self.popen(side, ["/usr/bin/python3", "-c", code, *map(str, args)],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child.ready = child.stdout.readline().strip()
        return child

    def stanch(self, *words, timeout=60):
        done = self.popen("a", [STANCH, "--state", self.state, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
        out, err = done.communicate(timeout=timeout)
        return done.returncode, out, err

    def start(self, *words):
        return self.popen("a", [STANCH, "--state", self.state, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)

    def counters(self):
        out = subprocess.run(["ip", "-n", self.names[0], "-s", "-j", "link", "show", "up0"],
                             check=True, capture_output=True, text=True).stdout
        return json.loads(out)[0]["stats64"]


def _setns(fd):
    import ctypes
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) < 0:
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def pair(tmp_path):
    with Pair(tmp_path / "state") as p:
        yield p


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


SENDER = """
import socket, sys, time
to, port, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
s.connect((to, port))
print("ready", flush=True)
sys.stdin.readline()
for i in range(count):
    try:
        s.send(bytes(size))
    except ConnectionRefusedError:
        s.send(bytes(size))
    time.sleep(0.0005)
print("sent", flush=True)
sys.stdin.readline()
"""

SINK = """
import socket, sys
host, port, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET,
                  socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((host, port))
if kind == "udp":
    print("ready", flush=True)
    while True:
        s.recv(65536)
s.listen(5)
print("ready", flush=True)
while True:
    c, _ = s.accept()
    while c.recv(1 << 20):
        pass
    c.close()
"""


def send(pair, to, port, size, count):
    """The sender is left running, so that its socket stays open."""
    child = pair.python("a", SENDER, to, port, size, count)
    assert child.ready == "ready"
    child.stdin.write("go\n")
    child.stdin.flush()
    return child


def test_rates_agree_with_ip(pair):
    pair.python("b", SINK, B4, 9000, "udp")
    before = pair.counters()
    rates = pair.start("rates", "up0", "--every", "500ms", "--count", "5", "--json")
    time.sleep(0.3)
    sender = send(pair, B4, 9000, 1000, 800)
    assert sender.stdout.readline().strip() == "sent"
    out, err = rates.communicate(timeout=30)
    after = pair.counters()
    assert rates.returncode == 0, err
    rows = lines(out)
    steps = [r for r in rows if r["event_type"] == "rates"]
    total = [r for r in rows if r["event_type"] == "rates_average"]
    assert len(steps) == 5 and len(total) == 1
    for way in ("tx", "rx"):
        for what in ("packets", "bytes"):
            seen = sum(r[f"{way}_{what}"] for r in steps)
            there = after[way][what] - before[way][what]
            assert seen == total[0][f"{way}_{what}"]
            assert abs(seen - there) <= (5 if what == "packets" else 500), (way, what)
    assert total[0]["tx_packets"] >= 800
    assert total[0]["tx_bytes"] >= 800 * 1042


def test_rates_text_and_interrupt(pair):
    rates = pair.start("rates", "up0", "--every", "200ms")
    time.sleep(1)
    rates.send_signal(signal.SIGINT)
    out, _ = rates.communicate(timeout=10)
    assert rates.returncode == 0
    assert "rxpck/s" in out and "Average:" in out.splitlines()[-1]
    code, _, err = pair.stanch("rates", "no-such0")
    assert code == 2 and "no-such0" in err


@pytest.mark.parametrize("tier", ["bpf", "tpacket_v3"])
def test_watch_agrees_with_counters(pair, tier):
    pair.python("b", SINK, B4, 9000, "udp")
    pair.python("b", SINK, B6, 9001, "udp")
    pair.python("b", SINK, B4, 9002, "tcp")
    watch = pair.start("watch", "up0", "--run", "5s", "--json", "--tier", tier)
    time.sleep(1)
    before = pair.counters()
    senders = [send(pair, B4, 9000, 1000, 700), send(pair, B6, 9001, 500, 300)]
    code = ("import socket,sys\ns=socket.create_connection((sys.argv[1],9002))\n"
            "s.sendall(bytes(5000000))\nprint('sent',flush=True)\nsys.stdin.readline()\n")
    stream = pair.python("a", code, B4)
    assert stream.ready == "sent"
    for s in senders:
        assert s.stdout.readline().strip() == "sent"
    after = pair.counters()
    out, err = watch.communicate(timeout=30)
    assert watch.returncode in (0, 1), err
    rows = lines(out)
    stats = rows[-1]
    assert stats["event_type"] == "stats" and stats["tier"] == tier
    assert stats["dropped"] == 0 and stats["evicted"] == 0
    flows = {(r["dest_ip"], r.get("dest_port")): r for r in rows if r["event_type"] == "flow"}
    udp4, udp6, tcp = flows[B4, 9000], flows[B6, 9001], flows[B4, 9002]
    assert udp4["flow"]["pkts_toserver"] == 700
    assert udp4["flow"]["bytes_toserver"] == 700 * (14 + 20 + 8 + 1000)
    assert udp6["flow"]["bytes_toserver"] == 300 * (14 + 40 + 8 + 500)
    assert udp4["proto"] == "UDP" and tcp["proto"] == "TCP"
    assert tcp["src_ip"] == A4 and tcp["flow"]["bytes_toserver"] > 5000000
    sent = sum(r["flow"]["bytes_toserver"] for r in flows.values() if r["src_ip"] in (A4, A6))
    there = after["tx"]["bytes"] - before["tx"]["bytes"]
    assert abs(sent - there) <= there / 100
    # Whose they are.
    assert udp4["owner"]["pid"] == senders[0].pid
    assert udp6["owner"]["pid"] == senders[1].pid
    assert tcp["owner"]["pid"] == stream.pid
    assert tcp["owner"]["uid"] == 0 and tcp["owner"]["comm"].startswith("python3")
    assert tcp["owner"]["exe"].startswith("/usr/bin/python3")


WEBSITE = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *_):
        pass
server = http.server.HTTPServer((sys.argv[1], 8000), Page)
print("ready", flush=True)
server.serve_forever()
"""


def visit(pair):
    """A short visit by a process of its own; its pid."""
    curl = pair.popen("a", ["curl", "-s", "-H", "Host: shop.example", f"http://{B4}:8000/"],
                      stdout=subprocess.PIPE, text=True)
    assert curl.communicate(timeout=20)[0] == "hello"
    return curl.pid


def without(*rights):
    """Root, but for these capabilities."""
    gone = ",".join("-" + r for r in rights)
    return ["setpriv", f"--bounding-set={gone}", f"--inh-caps={gone}"]


@pytest.mark.parametrize("tier", ["bpf", "tpacket_v3"])
def test_names_live(pair, tier):
    pair.python("b", WEBSITE, B4)
    watch = pair.start("watch", "up0", "--run", "4s", "--json", "--tier", tier)
    time.sleep(1.5)
    pids = [visit(pair) for _ in range(3)]
    out, err = watch.communicate(timeout=30)
    flows = [r for r in lines(out) if r["event_type"] == "flow" and r.get("dest_port") == 8000]
    assert len(flows) == 3, err
    assert {(f["app_proto"], f["dest_name"], f["dest_name_source"]) for f in flows} == \
        {("http", "shop.example", "http")}
    if tier == "bpf":
        # Whoever was gone at once, too.
        assert sorted(f["owner"]["pid"] for f in flows) == sorted(pids)
        assert all(f["owner"]["exe"].endswith("/curl") and f["owner"]["parents"].startswith("python3(")
                   for f in flows), flows


def test_a_baseline_is_learned_only_when_asked(pair):
    path = os.path.join(pair.state, "baseline")
    os.makedirs(pair.state, exist_ok=True)
    pair.python("b", WEBSITE, B4)

    def watch(*more):
        child = pair.start("watch", "up0", "--run", "3s", "--json", *more)
        time.sleep(1.2)
        visit(pair)
        out, err = child.communicate(timeout=30)
        assert child.returncode == 0, err
        return [r["message"] for r in lines(out) if r["event_type"] == "note"]

    assert watch() == [] and not os.path.exists(path)
    assert watch("--learn") == [] and os.path.getsize(path) > 0
    learned = open(path, "rb").read()
    assert watch() == [] and open(path, "rb").read() == learned
    with open(path, "r+b") as f:
        f.seek(len(learned) // 2)
        f.write(bytes([learned[len(learned) // 2] ^ 1]))
    broken = open(path, "rb").read()
    assert any("nothing counts as usual" in text for text in watch("--learn"))
    assert open(path, "rb").read() == broken


def test_the_ladder(pair):
    """One rung down where a right is missing, and that is told."""
    pair.python("b", WEBSITE, B4)
    for gone, tier, named, text in ((["bpf", "sys_admin"], "tpacket_v3", True, "no tier bpf: "),
                                    (["net_raw"], "bpf", False, "CAP_NET_RAW")):
        watch = pair.popen("a", [*without(*gone), STANCH, "--state", pair.state, "watch", "up0", "--run",
                                 "4s", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(1.5)
        visit(pair)
        out, err = watch.communicate(timeout=30)
        rows = lines(out)
        assert rows[-1]["tier"] == tier, err
        assert text in err + out, err
        flows = [r for r in rows if r["event_type"] == "flow" and r.get("dest_port") == 8000]
        assert len(flows) == 1 and ("dest_name" in flows[0]) == named
        assert "unowned_bytes" in rows[-1] and rows[-1]["blind_spots"]


def test_upload_is_found_and_stored(pair):
    pair.python("b", SINK, B4, 443, "tcp")
    watch = pair.start("watch", "up0", "--run", "4s", "--json")
    time.sleep(1)
    code = ("import socket,sys\ns=socket.create_connection((sys.argv[1],443))\n"
            "s.sendall(bytes(60000000))\nprint('sent',flush=True)\nsys.stdin.readline()\n")
    stream = pair.python("a", code, B4)
    out, err = watch.communicate(timeout=30)
    assert watch.returncode == 1, err
    found = [r for r in lines(out) if r["event_type"] == "finding"]
    last = found[-1]
    assert last["final"] and last["kind"] == "upload" and last["score"] >= 0.7
    assert (last["src_ip"], last["dest_ip"], last["selector"]) == (A4, B4, B4)
    assert last["id"] == "f1" and len(last["reasons"]) >= 3
    assert {f["id"] for f in found} == {"f1"}
    assert stream.ready == "sent"


ACCEPTOR = """
import socket, sys
s = socket.socket(socket.AF_INET6 if sys.argv[2] == "dual" else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::" if sys.argv[2] == "dual" else sys.argv[3], int(sys.argv[1])))
s.listen(5)
print("ready", flush=True)
if sys.argv[4] == "accept":
    c, _ = s.accept()
    c.send(bytes(100000))
sys.stdin.readline()
"""


@pytest.mark.parametrize("family,accept", [("v4", "accept"), ("dual", "accept"),
                                           ("v4", "listen")])
def test_owner_of_what_comes_in(pair, family, accept):
    server = pair.python("a", ACCEPTOR, 8080, family, A4, accept)
    assert server.ready == "ready"
    watch = pair.start("watch", "up0", "--run", "3s", "--json")
    time.sleep(1)
    code = ("import socket,sys\ns=socket.create_connection((sys.argv[1],8080))\n"
            "s.send(b'hello')\nprint('sent',flush=True)\nsys.stdin.readline()\n")
    pair.python("b", code, A4)
    out, err = watch.communicate(timeout=30)
    flows = [r for r in lines(out) if r["event_type"] == "flow" and r.get("dest_port") == 8080]
    assert len(flows) == 1, out + err
    assert flows[0]["src_ip"] == B4 and flows[0]["dest_ip"] == A4
    assert flows[0]["owner"]["pid"] == server.pid


def test_short_flow_stays_known(pair):
    """Its process ends long before the watch does."""
    pair.python("b", SINK, B4, 9002, "tcp")
    watch = pair.start("watch", "up0", "--run", "4s", "--json")
    time.sleep(1)
    code = ("import socket,sys,time\ns=socket.create_connection((sys.argv[1],9002))\n"
            "s.send(b'x')\ntime.sleep(0.7)\n")
    short = pair.popen("a", ["/usr/bin/python3", "-c", code, B4])
    out, _ = watch.communicate(timeout=30)
    assert short.wait() == 0
    flows = [r for r in lines(out) if r.get("dest_port") == 9002]
    assert flows[0]["owner"]["pid"] == short.pid


def test_watch_refuses_with_reason(pair):
    for words, code, text in ((["--tier", "file"], 3, "tpacket_v3"), (["--tier", "x"], 3, "tier"),
                              (["nope0"], 3, "nope0")):
        got, _, err = pair.stanch("watch", *words)
        assert got == code and text in err, err


SSHD = """
import socket, sys, struct
banner = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
banner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
banner.bind((sys.argv[1], int(sys.argv[2])))
banner.listen(5)
print("ready", flush=True)
while True:
    c, _ = banner.accept()
    if sys.argv[3] == "banner":
        c.send(b"SSH-2.0-test\\x1b[2J\\r\\n")
    elif sys.argv[3] == "http":
        c.send(b"HTTP/1.0 400\\r\\n")
    else:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
"""

RULES = """
table inet far {
  chain input {
    type filter hook input priority 0; policy accept;
    tcp dport 81 drop
    meta nfproto ipv4 tcp dport 82 reject with icmp type admin-prohibited
    meta nfproto ipv6 tcp dport 82 reject with icmpv6 type admin-prohibited
    tcp dport 86 reject with icmpx type port-unreachable
  }
}
"""


def outcome(out, probe, port=None):
    rows = [r for r in lines(out) if r["probe"] == probe and r.get("port") == port]
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize("to", [B4, B6])
def test_reach_outcomes(pair, to):
    pair.python("b", SSHD, to, 22, "banner")
    pair.python("b", SSHD, to, 84, "reset")
    pair.python("b", SINK, to, 85, "tcp")
    rules = pair.popen("b", ["nft", "-f", "-"], stdin=subprocess.PIPE, text=True)
    rules.communicate(RULES, timeout=10)
    assert rules.returncode == 0
    code, out, err = pair.stanch("reach", to, "--json", *(w for p in (22, 81, 82, 83, 84, 85, 86)
                                                          for w in ("--port", str(p))))
    assert code == 1, err
    assert outcome(out, "icmp")["outcome"] == "reachable"
    ssh = outcome(out, "ssh", 22)
    assert ssh["outcome"] == "reachable" and ssh["banner"] == "SSH-2.0-test?[2J"
    assert 0 < ssh["latency_usec"] < 2000000
    silent = outcome(out, "tcp", 81)
    assert silent["outcome"] == "filtered" and "no answer" in silent["detail"]
    assert "latency_usec" not in silent
    forbidden = outcome(out, "tcp", 82)
    assert forbidden["outcome"] == "filtered" and "prohibited" in forbidden["detail"]
    assert to in forbidden["detail"]
    assert outcome(out, "tcp", 83)["outcome"] == "refused"
    assert outcome(out, "tcp", 84)["outcome"] == "reset"
    assert outcome(out, "tcp", 85)["outcome"] == "reachable"
    port = outcome(out, "tcp", 86)
    assert port["outcome"] == "filtered" and "port unreachable" in port["detail"]
    code, out, _ = pair.stanch("reach", to, "--port", "85", "--from", A4 if to == B4 else A6)
    assert code == 0 and "reachable" in out


def test_reach_nobody_there(pair):
    code, out, _ = pair.stanch("reach", "203.0.113.77", "--json")
    assert code == 1
    assert outcome(out, "icmp")["outcome"] == "unreachable"
    assert outcome(out, "ssh", 22)["outcome"] == "unreachable"
    code, out, _ = pair.stanch("reach", "198.51.100.1", "--json")
    assert code == 1 and outcome(out, "ssh", 22)["outcome"] == "no_route"
    code, out, _ = pair.stanch("reach", B4, "--from", "198.51.100.9", "--json")
    assert code == 1 and outcome(out, "ssh", 22)["outcome"] == "local_error"
    pair.python("b", SSHD, B4, 22, "http")
    code, out, _ = pair.stanch("reach", B4, "--json")
    assert code == 1 and outcome(out, "ssh", 22)["outcome"] == "no_ssh"


def test_reach_routers_word(pair):
    """A router (B) says that the host behind it cannot be reached."""
    a, b = pair.names
    subprocess.run(["ip", "-n", a, "route", "add", "198.51.100.0/24", "via", B4, "dev", "up0",
                    "onlink"], check=True)
    pair.popen("b", ["/usr/bin/python3", "-c",
                     "open('/proc/sys/net/ipv4/ip_forward','w').write('1')\n"
                     "open('/proc/sys/net/ipv4/icmp_ratelimit','w').write('0')"]).wait()
    subprocess.run(["ip", "-n", b, "route", "add", "unreachable", "198.51.100.7/32"], check=True)
    subprocess.run(["ip", "-n", b, "route", "add", "prohibit", "198.51.100.8/32"], check=True)
    code, out, _ = pair.stanch("reach", "198.51.100.7", "--json")
    assert code == 1
    for probe, port in (("icmp", None), ("ssh", 22)):
        row = outcome(out, probe, port)
        assert row["outcome"] == "unreachable" and B4 in row["detail"], row
    code, out, _ = pair.stanch("reach", "198.51.100.8", "--json")
    for probe, port in (("icmp", None), ("ssh", 22)):
        row = outcome(out, probe, port)
        assert row["outcome"] == "filtered" and "prohibited" in row["detail"], row

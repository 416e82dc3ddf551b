# SPDX-License-Identifier: GPL-3.0-or-later
"""What observe/inspect.h says of captures against what tshark says of them.

The captures are of real programs in a network namespace (openssl, curl, dnsmasq with a resolver's
questions), of scapy, and of the datagrams of the unit tests. tshark names hosts, questions and
addresses; the driver `inspectctl` must name the same, no more and no less.
"""
import os
import re
import shutil
import socket
import struct
import subprocess
import time

import pytest

scapy = pytest.importorskip("scapy.all")
from scapy.all import DNS, DNSQR, DNSRR, IP, IPv6, TCP, UDP, Ether, Raw, wrpcap  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("STANCH_BUILD", os.path.join(ROOT, "build"))
CTL = os.path.join(BUILD, "tests", "inspectctl")
A, B = "192.0.2.1", "198.51.100.2"
MACS = dict(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def ours(path):
    out = subprocess.run([CTL, str(path)], capture_output=True, text=True, timeout=60, check=True).stdout
    return [line.split(" ") for line in out.splitlines()]


def tshark(path, filter_, *fields, options=()):
    """Rows of one value a field; several of one kind joined with ','."""
    cmd = ["tshark", "-r", str(path), "-Y", filter_, "-T", "fields", "-E", "occurrence=a", *options]
    for f in fields:
        cmd += ["-e", f]
    out = subprocess.run(cmd, capture_output=True, text=True, timeout=60, check=True).stdout
    return [line.split("\t") for line in out.splitlines()]


def named(path, app):
    """{client port: name} as we say."""
    return {int(w[5]): w[3].replace("-", "", w[3] == "-") for w in ours(path) if w[0] == "app" and w[1] == app}


# ---- real programs -----------------------------------------------------------------------------

class Net:
    """A namespace of its own with a loopback, and a tcpdump in it."""

    def __init__(self, path):
        self.name, self.path, self.procs = f"nm{os.getpid()}", path, []
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "up"], check=True)
        self.dump = self.start("tcpdump", "--immediate-mode", "-i", "lo", "-U", "-s", "0", "-w", str(path))
        deadline = time.time() + 10
        while not (path.exists() and path.stat().st_size >= 24) and time.time() < deadline:
            time.sleep(0.05)

    def start(self, *cmd):
        p = subprocess.Popen(["ip", "netns", "exec", self.name, *cmd], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.procs.append(p)
        return p

    def run(self, *cmd):
        subprocess.run(["ip", "netns", "exec", self.name, "timeout", "10", *cmd], input=b"",
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_port(self, port):
        for _ in range(100):
            out = subprocess.run(["ip", "netns", "exec", self.name, "ss", "-Hlnt", f"sport = :{port}"],
                                 capture_output=True, text=True).stdout
            if out.strip():
                return
            time.sleep(0.05)
        pytest.fail(f"nothing listens on {port}")

    def close(self):
        if not self.procs:
            return
        time.sleep(0.3)
        while self.procs:
            p = self.procs.pop()
            p.terminate()
            p.wait(10)
        subprocess.run(["ip", "netns", "del", self.name], check=False)


@pytest.fixture
def net(tmp_path):
    if os.geteuid():
        pytest.skip("needs root for a network namespace")
    n = Net(tmp_path / "lo.pcap")
    yield n
    n.close()


def serve_tls(net, tmp_path):
    key, cert = str(tmp_path / "k.pem"), str(tmp_path / "c.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-subj", "/CN=x", "-days", "2"], check=True, capture_output=True)
    net.start("openssl", "s_server", "-accept", "4433", "-key", key, "-cert", cert, "-www")
    net.wait_port(4433)


def test_tls_of_openssl_and_curl(net, tmp_path):
    serve_tls(net, tmp_path)
    client = ["openssl", "s_client", "-connect", "127.0.0.1:4433"]
    net.run(*client, "-servername", "Www.Example.ORG", "-alpn", "h2,http/1.1")
    net.run(*client, "-servername", "old.example.org", "-tls1_2")
    net.run(*client, "-noservername")
    # So many protocols that the hello takes several segments of a small MTU.
    subprocess.run(["ip", "-n", net.name, "link", "set", "lo", "mtu", "1280"], check=True)
    net.run(*client, "-servername", "long.example.org", "-alpn", ",".join(f"protocol-{i:03}-xxxxxxxx" for i in range(120)))
    if shutil.which("curl"):
        net.run("curl", "-sk", "--resolve", "api.example.net:4433:127.0.0.1", "https://api.example.net:4433/")
    net.close()
    rows = tshark(net.path, "tls.handshake.type == 1", "tcp.srcport", "tls.handshake.extensions_server_name",
                  options=("-d", "tcp.port==4433,tls"))
    expected = {int(port): name.lower() for port, name in rows}
    assert len(expected) >= 4 and "long.example.org" in expected.values()
    assert named(net.path, "tls") == expected


def test_http_of_curl(net):
    if not shutil.which("curl"):
        pytest.skip("no curl")
    net.start("/usr/bin/python3", "-m", "http.server", "8080", "--bind", "127.0.0.1")
    net.wait_port(8080)
    net.run("curl", "-s", "--resolve", "Web.example.net:8080:127.0.0.1", "http://Web.example.net:8080/")
    net.run("curl", "-s", "-x", "http://127.0.0.1:8080", "http://far.example.net:81/x")
    net.run("curl", "-s", "http://127.0.0.1:8080/")
    net.run("curl", "-s", "-H", "Cookie: " + "c" * 3000, "-H", "Host: big.example.net", "http://127.0.0.1:8080/")
    net.close()
    rows = tshark(net.path, "http.request", "tcp.srcport", "http.host")
    assert len(rows) == 4
    # An address is what we leave out.
    expected = {int(p): "" if re.match(r"[0-9.:]+$", h) else h.split(":")[0].lower() for p, h in rows}
    assert named(net.path, "http") == expected


def question(name, kind, number):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


def in_net(net, job):
    """Runs job in a child that has joined the namespace."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with open(f"/run/netns/{net.name}", "rb") as ns:
                import ctypes
                if ctypes.CDLL(None, use_errno=True).setns(ns.fileno(), 0x40000000) == 0:
                    job()
                    code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def test_dns_of_dnsmasq(net, tmp_path):
    if not shutil.which("dnsmasq"):
        pytest.skip("no dnsmasq")
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.10 one.example\n192.0.2.11 two.example\n2001:db8::2 two.example\n" +
                     "".join(f"192.0.2.{i} many.example\n" for i in range(100, 106)))
    os.chmod(tmp_path, 0o755)
    net.start("dnsmasq", "-k", "-u", "root", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", f"--addn-hosts={hosts}",
              "--cname=alias.example,one.example", "--cname=alias2.example,alias.example", "--pid-file=")
    net.wait_port(53)
    asked = [("one.example", 1), ("TWO.example", 28), ("two.example", 1), ("alias2.example", 1), ("many.example", 1),
             ("nothing.example", 1), ("one.example", 16)]

    def ask():
        for i, (name, kind) in enumerate(asked):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(5)
            s.sendto(question(name, kind, i), ("127.0.0.1", 53))
            s.recv(4096)
        t = socket.create_connection(("127.0.0.1", 53), 5)
        for i, (name, kind) in enumerate(asked[:3]):
            q = question(name, kind, 100 + i)
            t.sendall(struct.pack(">H", len(q)))
            time.sleep(0.05)
            t.sendall(q)
            n = struct.unpack(">H", t.recv(2, socket.MSG_WAITALL))[0]
            t.recv(n, socket.MSG_WAITALL)

    in_net(net, ask)
    net.close()
    same_dns(net.path, 2 * len(asked) + 6)


def same_dns(path, least):
    expected = []
    for name, kind, rcode, qr, a, aaaa in tshark(path, "dns", "dns.qry.name", "dns.qry.type", "dns.flags.rcode",
                                                 "dns.flags.response", "dns.a", "dns.aaaa"):
        addrs = sorted(x for x in (a + "," + aaaa).split(",") if x)
        expected.append((name.lower(), kind.split(",")[0], rcode or "0", {"True": "1", "False": "0"}.get(qr, qr), addrs))
    got = [(w[1], w[2], w[3], w[4], sorted(x for x in w[5].split(",") if x != "-")) for w in ours(path) if w[0] == "dns"]
    assert len(expected) >= least
    assert got == expected


# ---- made by scapy -----------------------------------------------------------------------------

def test_dns_of_scapy(tmp_path):
    path, packets = tmp_path / "dns.pcap", []
    for i in range(60):
        name = f"host-{i}.{'sub.' * (i % 7)}Example.org"
        net = IPv6(src="2001:db8::1", dst="2001:db8::53") if i % 2 else IP(src=A, dst=B)
        back = IPv6(src="2001:db8::53", dst="2001:db8::1") if i % 2 else IP(src=B, dst=A)
        query = DNS(id=i, rd=1, qd=DNSQR(qname=name, qtype=["A", "AAAA", "TXT"][i % 3]))
        answers = DNSRR(rrname=name, type="CNAME", rdata=f"edge-{i}.cdn.example")
        for k in range(i % 5):
            answers /= DNSRR(rrname=f"edge-{i}.cdn.example", type="A", rdata=f"203.0.113.{k}")
        answers /= DNSRR(rrname=f"edge-{i}.cdn.example", type="AAAA", rdata=f"2001:db8::{i + 1:x}")
        reply = DNS(id=i, qr=1, ra=1, rcode=3 if i % 10 == 9 else 0, qd=query.qd, an=answers)
        packets += [Ether(**MACS) / net / UDP(sport=3000 + i, dport=53) / query,
                    Ether(**MACS) / back / UDP(sport=53, dport=3000 + i) / reply]
    wrpcap(str(path), packets)
    same_dns(path, 120)


def test_quic(tmp_path):
    """The vectors of RFC 9001 and RFC 9369, and aioquic's hello over two datagrams."""
    page = open(os.path.join(ROOT, "src/wire/quic_vectors.h"), encoding="ascii").read()
    vectors = {n: bytes.fromhex("".join(re.findall(r'"([0-9a-f]+)"', b)))
               for n, b in re.findall(r"char (\w+)\[\] =\n(.*?);", page, re.S)}
    assert len(vectors) == 5
    path, packets = tmp_path / "quic.pcap", []
    for port, names in enumerate((["rfc9001_a2"], ["rfc9369_a2"], ["aioquic_1", "aioquic_2"]), 6001):
        packets += [Ether(**MACS) / IP(src=A, dst=B) / UDP(sport=port, dport=443) / Raw(vectors[n]) for n in names]
    wrpcap(str(path), packets)
    rows = tshark(path, "tls.handshake.extensions_server_name", "udp.srcport", "tls.handshake.extensions_server_name")
    expected = {int(p): n.lower() for p, n in rows}
    assert expected[6001] == "example.com"
    got = named(path, "quic")
    # What this tshark cannot open or put together it leaves out; where it speaks, we agree.
    assert {p: got.get(p) for p in expected} == expected
    assert got == {6001: "example.com", 6002: "example.com", 6003: "media.example.net"}


def test_other_protocols(tmp_path):
    """What tshark calls by their names where they speak on the wrong ports, by payload alone."""
    path, packets = tmp_path / "other.pcap", []
    says = {"ssh": (b"SSH-2.0-OpenSSH_9.2\r\n", False), "smtp": (b"220 mx.example ESMTP\r\n", False),
            "ftp": (b"220 (vsFTPd 3.0.3)\r\n", False),
            "rdp": (bytes.fromhex("030000130ee000000000000100080003000000"), True)}
    for port, (payload, up) in enumerate(says.values(), 7001):
        net, ports = (IP(src=A, dst=B), dict(sport=port, dport=4000))
        packets.append(Ether(**MACS) / net / TCP(flags="S", seq=1, **ports))
        if not up:
            net, ports = IP(src=B, dst=A), dict(sport=4000, dport=port)
        packets.append(Ether(**MACS) / net / TCP(flags="PA", seq=2, **ports) / Raw(payload))
    wrpcap(str(path), packets)
    got = {int(w[5]): w[1] for w in ours(path) if w[0] == "app"}
    assert got == dict(enumerate(says, 7001))

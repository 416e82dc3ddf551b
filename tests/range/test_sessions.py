# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cut ends besides packets: sockets and tracked connections, of the host and its containers;
what it leaves alone; and what it writes down first. Judged by ss, conntrack, tcpdump, and the
applications on both sides."""
import glob
import json
import sqlite3
import subprocess
import time

import bed as B
import pytest

# Connects, says so, then sends on and on; tells the first error. UDP sockets are connected ones.
CLIENT = """
import socket, sys, time
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.connect((host, port))
s.send(b"x" * 1000)
print("up", s.getsockname()[1], flush=True)
s.settimeout(0.1)
while True:
    try:
        try:
            if s.recv(65536) == b"":
                raise ConnectionError("end of file")
        except TimeoutError:
            pass
        s.send(b"x" * 1000)
    except OSError as e:
        if kind == "udp" and e.errno == 1:
            continue  # the drop is noticed at once; the socket is still there
        print("error", e.errno or e, flush=True)
        break
"""


class Client:
    """One connection from a namespace to the outside."""

    def __init__(self, bed, role, kind, host, port):
        self.role, self.kind, self.host, self.dport = role, kind, host, port
        self.process = bed.spawn(role, B.PYTHON, "-c", CLIENT, kind, host, str(port),
                                 stdout=subprocess.PIPE)
        word, number = self.process.stdout.readline().split()
        assert word == "up"
        self.port = int(number)
        self.pid = self.process.pid

    def error(self, timeout=5):
        """The first error that the application saw; None: none within the time."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        return self.process.stdout.read().split()[1]


def sockets(bed, role, *options):
    """Peers of the established sockets that ss lists in a namespace."""
    out = bed.sh(role, "ss", "-Hntu", "state", "established", *options).stdout
    return {line.split()[-1] for line in out.splitlines()}


def tracked(bed):
    return bed.sh("victim", "conntrack", "-L", check=False).stdout


def evidence(bed):
    """What the journal keeps of the newest host.sessions step, and its counts."""
    files = [f for f in glob.glob(f"{bed.state}/*") if open(f, "rb").read(15) == b"SQLite format 3"]
    with sqlite3.connect(f"file:{files[0]}?mode=ro", uri=True) as db:
        row = db.execute("SELECT evidence, result FROM steps WHERE kind='host.sessions' "
                         "ORDER BY order_id DESC LIMIT 1").fetchone()
    return json.loads(row[0]), json.loads(row[1])


def assert_ended(clients):
    """ECONNABORTED for who had a socket destroyed."""
    for c in clients:
        assert c.error() == "103", (c.role, c.kind, c.host)


@pytest.fixture
def tracking(bed):
    """The victim tracks connections, with counters."""
    bed.nft("victim", """table inet tracker {
    chain o { type filter hook output priority 0; ct state new counter; }
    chain f { type filter hook forward priority 0; ct state new counter; }
    chain i { type filter hook input priority 0; ct state new counter; }
}
""")
    bed.script("victim", "echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct")
    return bed


def resets(bed, role, seconds=0):
    """A tcpdump for resets that arrive at an outside host."""
    return bed.spawn(role, "tcpdump", "-lnni", "eth0", "--immediate-mode", "(tcp[13] & 4 != 0)",
                     stdout=subprocess.PIPE)


def lines_of(process):
    process.terminate()
    return process.communicate(timeout=5)[0].splitlines()


def test_isolate_ends_what_goes_out(tracking):
    bed = tracking
    gone = [Client(bed, "victim", "tcp", B.C2A, 7000), Client(bed, "victim", "tcp", B.C2A6, 7000),
            Client(bed, "victim", "udp", B.C2B, 5353), Client(bed, "ctr", "tcp", B.C2A, 7000),
            Client(bed, "mac", "tcp", B.C2B, 7000)]
    stays = [Client(bed, "victim", "tcp", B.VICTIM, 8080), Client(bed, "victim", "tcp", "127.0.0.1", 8080),
             Client(bed, "neigh", "tcp", B.C2A, 7000)]
    sniffer = bed.spawn("victim", "tcpdump", "-ni", "eth0", "-w", "/dev/null")
    far = {role: resets(bed, role) for role in ("c2a", "c2b")}
    B.wait_for("the sniffer is there", lambda: "tcpdump" in bed.sh("victim", "ss", "-H0p").stdout)
    time.sleep(0.7)
    assert any(f"{c.host}:{c.dport}" in sockets(bed, c.role) for c in gone)
    assert B.C2A in tracked(bed)

    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code in (0, 5), str(r)

    assert_ended(gone)
    for role in ("victim", "ctr", "mac"):
        assert not [p for p in sockets(bed, role) if B.C2A in p or B.C2B in p or B.C2A6 in p]
    # What stays on the host, and what is another host's, is not touched.
    assert [c.error(0.5) for c in stays] == [None] * len(stays)
    assert bed.ssh("echo here").stdout == "here\n"
    assert B.C2A not in tracked(bed) and B.C2B not in tracked(bed)

    # Both far ends know: a reset of each connection arrived.
    time.sleep(0.3)
    seen = {role: "\n".join(lines_of(p)) for role, p in far.items()}
    for c, role in ((gone[0], "c2a"), (gone[3], "c2a"), (gone[4], "c2b")):
        assert f".{c.port} >" in seen[role], f"no reset from {c.role} at {role}"

    facts, counts = evidence(bed)
    by_pid = {s["owner"]["pid"]: s for s in facts["sockets"] if s["owner"]}
    for c in gone:
        s = by_pid[c.pid]
        assert s["peer"] == (f"[{c.host}]:{c.dport}" if ":" in c.host else f"{c.host}:{c.dport}")
        assert s["local"].endswith(f":{c.port}") and s["state"] == "established"
        assert s["owner"]["comm"].startswith("python3") and s["uid"] == 0
        assert (s["netns"] != 0) == (c.role != "victim")
        if s["proto"] == "tcp":
            assert s["tcp"]["bytes_acked"] >= 1000 and s["tcp"]["segs_out"] >= 3
            assert 0 < s["tcp"]["rtt_usec"] < 1e6 and s["tcp"]["last_data_sent_msec"] < 2000
    assert not set(by_pid) & {c.pid for c in stays}
    assert facts["namespaces"]["containers"] == 2
    flow = next(f for f in facts["flows"] if f["orig"]["src"] == f"{B.VICTIM}:{gone[0].port}")
    assert flow["orig"]["dst"] == f"{B.C2A}:7000" and flow["tcp_state"] == "established"
    assert flow["reply"]["src"] == f"{B.C2A}:7000" and flow["counted"] and flow["bytes_orig"] > 1000
    assert sniffer.pid in [p["owner"]["pid"] for p in facts["packet_sockets"] if p["owner"]]
    assert counts["sockets_destroyed"] >= 5 and counts["sockets_failed"] == 0, counts
    assert counts["flows_deleted"] >= 4 and counts["flows_failed"] == 0, counts


def test_block_ends_only_what_it_names(tracking):
    bed = tracking
    gone = [Client(bed, "victim", "tcp", B.C2A, 7000), Client(bed, "victim", "udp", B.C2A, 5353),
            Client(bed, "ctr", "tcp", B.C2A, 7000)]
    stays = [Client(bed, "victim", "tcp", B.WEB, 7000), Client(bed, "victim", "tcp", B.C2B, 7000),
             Client(bed, "victim", "udp", B.C2B, 5353), Client(bed, "ctr", "tcp", B.C2B, 7000),
             Client(bed, "neigh", "tcp", B.C2A, 7000), Client(bed, "victim", "tcp", B.C2A6, 7000)]
    r = bed.stanch_ssh("block", B.C2A, "--yes")
    assert r.code in (0, 5), str(r)
    assert_ended(gone)
    assert [c.error(0.5) for c in stays] == [None] * len(stays)
    listed = tracked(bed)
    assert f"dst={B.C2A} " not in listed
    assert f"dst={B.C2B} " in listed and f"dst={B.WEB} " in listed
    facts, counts = evidence(bed)
    assert {s["owner"]["pid"] for s in facts["sockets"] if s["owner"]} == {c.pid for c in gone}
    assert counts["sockets_destroyed"] == 3, counts
    # Nothing left: nothing found is a success.
    r = bed.stanch_ssh("block", B.C2A + "/32", "--yes")
    assert r.code in (0, 5), str(r)


def test_namespaces_above_are_never_entered(bed):
    """The router is a veth's other end, too, but the victim is not its way out."""
    up = Client(bed, "router", "tcp", B.C2A, 7000)
    near = Client(bed, "neigh", "tcp", B.C2B, 7000)
    r = bed.stanch("isolate", "self", "--yes", "--console")
    assert r.code in (0, 5), str(r)
    assert up.error(0.5) is None and near.error(0.5) is None
    assert evidence(bed)[0]["namespaces"]["others"] >= 3


def test_many_sockets_fit_into_the_journal(bed):
    """Two thousand connections: all ended, all written down."""
    many = bed.spawn("victim", B.PYTHON, "-c", f"""
import socket, time, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
v = [socket.create_connection(("{B.C2A}", 7000)) for _ in range(2000)]
print("up", flush=True)
time.sleep(300)
""", stdout=subprocess.PIPE)
    assert many.stdout.readline() == "up\n"
    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code in (0, 5), str(r)
    facts, counts = evidence(bed)
    assert len(facts["sockets"]) >= 2000 and facts["unlisted"]["sockets"] == 0
    assert {s["owner"]["pid"] for s in facts["sockets"] if s["owner"]} == {many.pid}
    assert counts["sockets_destroyed"] >= 2000
    assert not sockets(bed, "victim", "dst", B.C2A)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The lower rungs of watch: tracked connections and TCP sockets, against the interface's counters."""
import os
import subprocess
import time

import pytest

import test_observe as O

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")

# Takes any number of connections at once, and tells how many bytes each brought.
TAKER = """
import socketserver, sys
class Take(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(1 << 20):
            pass
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
s = Server((sys.argv[1], int(sys.argv[2])), Take)
print("ready", flush=True)
s.serve_forever()
"""

# One upload that stays open, and n short connections of 700 bytes; how many bytes of TCP it sent.
CALLER = """
import socket, sys
to, n = sys.argv[1], int(sys.argv[2])
up = socket.create_connection((to, 9002))
up.sendall(bytes(5000000))
for i in range(n):
    s = socket.create_connection((to, 9002))
    s.sendall(bytes(700))
    s.shutdown(socket.SHUT_WR)
    s.recv(1)
    s.close()
print("sent", flush=True)
sys.stdin.readline()
"""
SHORT = 40


def sh(pair, *words):
    child = pair.popen("a", list(words), stdout=subprocess.PIPE, text=True)
    out = child.communicate(timeout=20)[0]
    assert child.returncode == 0, words
    return out


def account(pair):
    sh(pair, "nft", "add table inet t; add chain inet t c { type filter hook input priority 0; }; "
       "add rule inet t c ct state new counter")
    sh(pair, "sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1")


def watch_traffic(pair, *words, rights=()):
    """What stanch saw of the traffic, what it printed, and what the interface sent meanwhile."""
    watch = pair.popen("a", [*rights, O.STANCH, "--state", pair.state, "watch", "--run", "3s", "--json", *words],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    before = pair.counters()
    senders = [O.send(pair, O.B4, 9000, 1000, 500), O.send(pair, O.B6, 9001, 22, 300)]
    caller = pair.python("a", CALLER, O.B4, SHORT)
    for s in senders:
        assert s.stdout.readline().strip() == "sent"
    after = pair.counters()
    out, err = watch.communicate(timeout=30)
    caller.kill()
    rows = O.lines(out)
    assert rows and rows[-1]["event_type"] == "stats", err
    return ([r for r in rows if r["event_type"] == "flow"], rows[-1], rows,
            {x: after[x]["bytes"] - before[x]["bytes"] for x in ("rx", "tx")}, caller.pid)


@pytest.fixture
def far(pair):
    pair.python("b", O.SINK, O.B4, 9000, "udp")
    pair.python("b", O.SINK, O.B6, 9001, "udp")
    pair.python("b", TAKER, O.B4, 9002)
    return pair


pair = O.pair


def test_conntrack_counts_what_the_interface_counts(far):
    """Within 1 %, small packets and large ones from segmentation offload, and short connections whole."""
    code, _, err = far.stanch("watch", "--tier", "conntrack", "--run", "1s")
    assert code == 3 and "not" in err
    assert sh(far, "sysctl", "-n", "net.netfilter.nf_conntrack_acct").strip() == "0"
    account(far)
    code, _, err = far.stanch("watch", "up0", "--tier", "conntrack", "--run", "1s")
    assert code == 3 and "which interface" in err
    flows, stats, rows, there, pid = watch_traffic(far, "--tier", "conntrack")
    assert stats["tier"] == "conntrack" and "tracked" in stats["blind_spots"] and stats["dropped"] == 0
    for way, field in (("tx", "bytes_toserver"), ("rx", "bytes_toclient")):
        seen = sum(f["flow"][field] for f in flows)
        assert abs(seen - there[way]) <= there[way] / 100, (seen, there)
    tcp = [f for f in flows if f.get("dest_port") == 9002]
    assert len(tcp) == SHORT + 1 and all(f["src_ip"] == O.A4 for f in tcp)
    assert {f["dest_port"]: f["flow"]["pkts_toserver"] for f in flows if f["proto"] == "UDP"} == \
        {9000: 500, 9001: 300}
    assert max(tcp, key=lambda f: f["flow"]["bytes_toserver"])["owner"]["pid"] == pid
    assert any("no names" in r["message"] for r in rows if r["event_type"] == "note")


def test_inet_diag_counts_streams(far):
    flows, stats, _, _, pid = watch_traffic(far, "--tier", "inet_diag")
    assert stats["tier"] == "inet_diag" and "no UDP" in stats["blind_spots"]
    assert {f["proto"] for f in flows} == {"TCP"}
    sent = sorted(f["flow"]["bytes_toserver"] for f in flows if f["dest_port"] == 9002)
    assert sent[:-1] == [700] * SHORT and 5000000 <= sent[-1] < 5500000  # what was sent again counts
    upload = max(flows, key=lambda f: f["flow"]["bytes_toserver"])
    assert upload["owner"]["pid"] == pid and upload["src_ip"] == O.A4


def test_one_rung_after_the_other(far):
    """Without the rights for packets: tracked connections where they are counted, else sockets."""
    rights = O.without("bpf", "sys_admin", "net_raw")
    flows, stats, _, _, _ = watch_traffic(far, rights=rights)
    assert stats["tier"] == "inet_diag" and flows
    for tier in ("bpf", "tpacket_v3", "conntrack"):
        assert f"no tier {tier}: " in stats["blind_spots"]
    account(far)
    _, stats, _, _, _ = watch_traffic(far, rights=rights)
    assert stats["tier"] == "conntrack" and "no tier tpacket_v3: " in stats["blind_spots"]
    # An interface that is named is not what those two can tell.
    child = far.popen("a", [*rights, O.STANCH, "--state", far.state, "watch", "up0", "--run", "1s", "--json"],
                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = child.communicate(timeout=20)
    assert child.returncode == 3 and "name none" in err, err

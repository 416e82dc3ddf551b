# SPDX-License-Identifier: GPL-3.0-or-later
"""The labelled evaluation itself: its captures are sound, its table is whole, its arithmetic is right."""
import collections
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "eval"))

import make  # noqa: E402
import run  # noqa: E402

CASES = ["beacon_2s_http", "dns_tunnel_null_one_flow", "icmp_file_in_echoes", "beacon_ipv6", "phones"]


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    d = tmp_path_factory.mktemp("eval")
    make.make(d, CASES)
    return d


SUMS = ("ip.checksum.status", "tcp.checksum.status", "udp.checksum.status", "icmp.checksum.status")
NAMES = ("frame.cap_len", "frame.len", "tcp.stream", "tcp.flags.syn", "tcp.flags.ack", "tcp.analysis.lost_segment",
         "tcp.analysis.ack_lost_segment", "ip.addr", "ipv6.addr") + SUMS


def frames(path):
    """tshark's view of every frame, checksums verified."""
    argv = ["tshark", "-r", path, "-T", "fields"]
    argv += [x for k in ("ip", "tcp", "udp") for x in ("-o", f"{k}.check_checksum:TRUE")]
    p = subprocess.run(argv + [x for n in NAMES for x in ("-e", n)], capture_output=True, text=True, check=True,
                       timeout=120)
    return [dict(zip(NAMES, x.split("\t"))) for x in p.stdout.splitlines()]


def test_table():
    rows = [run.Row(*r) for r in make.table()]
    count = collections.Counter((r.label, r.half) for r in rows)
    assert min(count["malicious", h] + count["benign", h] for h in ("tune", "report")) >= 15
    assert sum(count["malicious", h] for h in ("tune", "report")) >= 15
    assert sum(count["benign", h] for h in ("tune", "report")) >= 15
    for family in {(r.label, r.family) for r in rows}:
        assert {r.half for r in rows if (r.label, r.family) == family} == {"tune", "report"}, family
    assert all((r.src == "-") == (r.label == "benign") for r in rows)


def test_same_bytes_and_small(captures, tmp_path):
    make.make(tmp_path, CASES[:2])
    for name in CASES[:2]:
        a, b = (open(os.path.join(d, name + ".pcap"), "rb").read() for d in (captures, tmp_path))
        assert a == b and len(a) < 1_000_000


@pytest.mark.parametrize("name", CASES)
def test_tshark_finds_them_sound(captures, name):
    seen = frames(os.path.join(captures, name + ".pcap"))
    sums = collections.Counter(x for f in seen if f["frame.cap_len"] == f["frame.len"] for k in SUMS
                               for x in f[k].split(",") if x)
    assert sums["1"] > 500 and not sums["0"] and not sums["Bad"], sums
    assert not [f for f in seen if f["tcp.analysis.lost_segment"] or f["tcp.analysis.ack_lost_segment"]]
    # Every connection that was answered was opened by a SYN.
    syns = {(f["tcp.stream"], f["tcp.flags.ack"]) for f in seen if f["tcp.flags.syn"] == "1"}
    answered = {s for s, ack in syns if ack == "1"}
    assert len(answered) > 10 and answered <= {s for s, ack in syns if ack == "0"}
    row = run.Row(*next(r for r in make.table() if r[0] == name + ".pcap"))
    if row.label == "malicious":
        pair = {row.src, row.dest}
        assert sum(pair <= set((f["ip.addr"] + f["ipv6.addr"]).split(",")) for f in seen) > 100


def test_arithmetic():
    bad = run.Row("a.pcap", "malicious", "tune", "beacon", "beacon", "10.0.0.1", "192.0.2.1")
    good = run.Row("b.pcap", "benign", "tune", "bulk", "-", "-", "-")
    anywhere = bad._replace(dest="-")

    def found(score, src, dest, kind="beacon"):
        return {"kind": kind, "score": score, "src_ip": src, "dest_ip": dest}

    true, low, other = found(0.7, "10.0.0.1", "192.0.2.1"), found(0.69, "10.0.0.1", "192.0.2.1"), found(
        0.9, "10.0.0.1", "192.0.2.9", "upload")
    cases = [(bad, [true], (1, 0, 0)), (bad, [low], (0, 0, 1)), (bad, [], (0, 0, 1)), (bad, [true, other], (1, 1, 0)),
             (bad, [other, other], (0, 1, 1)), (good, [low], (0, 0, 0)), (good, [true, other], (0, 2, 0)),
             (anywhere, [other], (1, 0, 0)), (bad, [found(0.8, "192.0.2.1", "10.0.0.1", "scan")], (1, 0, 0))]
    for row, findings, expected in cases:
        assert run.rates([run.judge(row, findings)])[:3] == expected
    assert run.judge(bad, [true])["named"] and not run.judge(bad, [found(0.8, "10.0.0.1", "192.0.2.1", "scan")])["named"]
    tp, fp, fn, p, r = run.rates([run.judge(row, f) for row, f, _ in cases])
    assert (tp, fp, fn) == (4, 4, 3) and p == tp / (tp + fp) and r == tp / 7

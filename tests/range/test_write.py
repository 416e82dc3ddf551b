# SPDX-License-Identifier: GPL-3.0-or-later
"""`watch --write`: the packets of what was found, judged by tshark and capinfos."""
import json
import os
import subprocess
import sys
import time

import pytest

import test_observe as O

sys.path.insert(0, os.path.join(O.ROOT, "tests", "eval"))

import make  # noqa: E402

# A case, and what tshark says its packets are.
CASES = {
    "beacon_2s_http": "tcp.port==80",
    "dns_tunnel_null_one_flow": "udp.port==53",
    "beacon_ipv6": "tcp",
}


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    d = tmp_path_factory.mktemp("write")
    make.make(d, list(CASES))
    return d


def stanch(tmp_path, *words, **more):
    return subprocess.run([O.STANCH, "watch", "--json", "--state", str(tmp_path / "state"), *words],
                          capture_output=True, timeout=60, check=False, **more)


def objects(done):
    return [json.loads(x) for x in done.stdout.decode().splitlines()]


def tshark(path, *words):
    return subprocess.run(["tshark", "-n", "-r", str(path), *words], check=True, text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def frames(path, only=""):
    """Time, both lengths and every byte of each frame."""
    out = tshark(path, *(["-Y", only] if only else []), "-T", "json", "-x", "-j", "frame")
    return [(p["_source"]["layers"]["frame_raw"][0],
             p["_source"]["layers"]["frame"]["frame.time_epoch"],
             p["_source"]["layers"]["frame"]["frame.len"]) for p in json.loads(out)]


@pytest.mark.parametrize("name", CASES)
def test_file_holds_the_packets_of_the_finding(captures, tmp_path, name):
    source, out, piped = os.path.join(captures, name + ".pcap"), tmp_path / "o.pcapng", tmp_path / "p.pcapng"
    done = stanch(tmp_path, "--file", source, "--write", str(out))
    events = objects(done)
    finding = [e for e in events if e["event_type"] == "finding" and e["score"] >= 0.4]
    written = [e for e in events if e["event_type"] == "written"][0]
    assert len(finding) == 1 and written["findings"] == 1, events
    ip = "ipv6" if ":" in finding[0]["src_ip"] else "ip"
    only = f"{CASES[name]} && {ip}.addr=={finding[0]['src_ip']} && {ip}.addr=={finding[0]['dest_ip']}"
    want = frames(source, only)
    assert 100 < len(want) == written["packets"] == int(
        subprocess.run(["capinfos", "-T", "-r", "-B", "-c", str(out)], check=True, capture_output=True,
                       text=True).stdout.split()[-1])
    assert frames(out) == want
    assert os.stat(out).st_size == written["bytes"] and os.stat(out).st_mode & 0o777 == 0o600
    comments = tshark(out, "-Y", "frame.comment", "-T", "fields", "-e", "frame.number", "-e", "frame.comment")
    number, text = comments.splitlines()[0].split("\t")
    assert number == "1" and finding[0]["kind"] in text and len(comments.splitlines()) == 1
    if "domain" in finding[0]:
        assert finding[0]["domain"] in text
    # From a pipe it can be read only once: the same comes out of the ring.
    with open(source, "rb") as f:
        cat = subprocess.Popen(["cat"], stdin=f, stdout=subprocess.PIPE)
        done = stanch(tmp_path, "--file", "-", "--write", str(piped), stdin=cat.stdout)
        cat.stdout.close()
        cat.wait()
    assert [e["ring_bytes"] for e in objects(done) if e["event_type"] == "written"] == [64 << 20]
    assert open(piped, "rb").read() == open(out, "rb").read()


def test_selection_and_refusals(captures, tmp_path):
    source, out = os.path.join(captures, "beacon_2s_http.pcap"), tmp_path / "o.pcapng"
    host = [e["src_ip"] for e in objects(stanch(tmp_path, "--file", source)) if e["event_type"] == "flow"][0]
    done = stanch(tmp_path, "--file", source, "--write", str(out), "--select", "0.0.0.0/0", "--select", host)
    assert done.returncode == 1
    assert frames(out) == frames(source, "ip")
    before = open(out, "rb").read()
    done = stanch(tmp_path, "--file", source, "--write", str(out))
    assert done.returncode == 3 and b"exists" in done.stderr and open(out, "rb").read() == before
    done = stanch(tmp_path, "--file", source, "--select", host)
    assert done.returncode == 2
    done = stanch(tmp_path, "--file", source, "--write", str(tmp_path / "q"), "--select", "nobody")
    assert done.returncode == 2
    done = stanch(tmp_path, "--file", "/nonexistent", "--write", str(tmp_path / "q"))
    assert done.returncode == 3
    # Nothing that failed leaves anything behind.
    assert sorted(os.listdir(tmp_path)) in (["o.pcapng"], ["o.pcapng", "state"])


@needs_root
def test_live_upload_is_written_from_its_start(tmp_path):
    """Found after a second and more; the SYN is in the file all the same, and who sent it."""
    out = tmp_path / "live.pcapng"
    code = ("import socket,sys,time\ns=socket.create_connection((sys.argv[1],443))\n"
            "for i in range(40): s.sendall(bytes(500000)); time.sleep(0.02)\n"
            "print('sent',flush=True)\nsys.stdin.readline()\n")
    with O.Pair(tmp_path / "state") as pair:
        pair.python("b", O.SINK, O.B4, 443, "tcp")
        watching = pair.start("watch", "up0", "--json", "--run", "4s", "--write", str(out), "--select",
                              f"[{O.B6}]:9000")
        time.sleep(1)
        for port, count in ((9000, 200), (9001, 50)):
            pair.python("a", O.SENDER, O.B6, port, 1400, count).communicate("\n")
        stream = pair.python("a", code, O.B4)
        events = O.lines(watching.communicate(timeout=30)[0])
        pid = stream.pid
    flows = {e["dest_port"]: e["flow"] for e in events if e["event_type"] == "flow" and e["proto"] == "UDP"}
    assert flows[9000]["pkts_toserver"] == 200 and flows[9001]["pkts_toserver"] == 50
    flow = [e for e in events if e["event_type"] == "flow" and e.get("dest_port") == 443][0]
    finding = [e for e in events if e["event_type"] == "finding"][-1]
    written = [e for e in events if e["event_type"] == "written"][0]
    assert finding["kind"] == "upload" and written["late"] == 0 and written["findings"] == 1
    assert tshark(out, "-Y", "udp && !icmpv6", "-T", "fields", "-e", "udp.dstport", "-e", "frame.len", "-e", "frame.cap_len",
                  "-e", "frame.interface_name").splitlines() == ["9000\t1462\t1462\tup0"] * 200
    got = [x.split("\t") for x in tshark(out, "-Y", "tcp", "-T", "fields", "-e", "tcp.flags.syn", "-e", "frame.len", "-e",
                                         "frame.cap_len", "-e", "tcp.dstport").splitlines()]
    assert got[0][0] in ("1", "True") and all(x[1] == x[2] for x in got)
    assert sum(x[3] == "443" for x in got) == flow["flow"]["pkts_toserver"]
    assert sum(int(x[1]) for x in got) == flow["flow"]["bytes_toserver"] + flow["flow"]["bytes_toclient"]
    text = tshark(out, "-Y", "frame.comment", "-T", "fields", "-e", "frame.comment")
    assert "selected: " in text and "upload, score" in text and f"python3[{pid}], uid 0, /usr/bin/python3" in text

# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways below the layers of a cut: AF_XDP sockets, whose places ours hold; programs at XDP, which are named
and, when they came later, taken away; and who else sits down there, named with his pid. Judged by the
frames on the wire and by `ip` and `ss`."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import bed as B
from helpers import cells, order_id

sys.path.insert(0, B.LEAK)

PLACES = (("host", "victim", "eth0", B.GATEWAY, B.GATEWAY6),
          ("ctr", "ctr", "eth0", "198.18.31.1", "2001:db8:31::1"),
          ("mac", "mac", "mac0", B.GATEWAY, B.GATEWAY6))


def said(result):
    return " ".join((result.out + result.err).split())


def xdp_senders(bed):
    return {place: B.Talker(bed, role, B.PYTHON, "-B", f"{B.LEAK}/xsk.py", dev, gw, gw6, B.C2A, B.C2A6,
                            place, ready=30)
            for place, role, dev, gw, gw6 in PLACES}


def on_wire(bed, seconds=0.6):
    since = time.time_ns()
    time.sleep(seconds)
    return sorted(cells(bed.wire.rows(since)))


def holder(bed):
    """The process of ours that holds the places, as `ss` names it."""
    out = bed.sh("victim", "ss", "-xlpH").stdout
    return [int(x.split("pid=")[1].split(",")[0]) for x in out.splitlines() if "@stanch-hold-" in x]


def test_af_xdp_sends_nothing(bed):
    """From the host and its containers, both families: on the wire before, not in the cut, again after."""
    every = sorted(f"{p}-afxdp-v{f}" for p, *_ in PLACES for f in (4, 6))
    senders = xdp_senders(bed)
    assert all(s.ask({"take": True})["queues"] for s in senders.values())
    assert on_wire(bed) == every, "not every sender gets through before the cut"
    for s in senders.values():
        s.ask({"drop": True})

    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code == 0, str(r)
    took = {p: s.ask({"take": True}) for p, s in senders.items()}
    assert took["host"]["queues"] == 0 and "busy" in took["host"]["error"], took
    assert took["ctr"]["queues"] and took["mac"]["queues"], took
    assert on_wire(bed) == []
    assert bed.stanch_ssh("confirm", order_id(r)).code == 0
    assert bed.stanch_ssh("verify", order_id(r)).code == 0

    # Who ends the process opens the places; that is told, and reassert closes them.
    pids = holder(bed)
    assert len(pids) == 1
    with open(f"/proc/{pids[0]}/status", encoding="ascii") as f:
        status = f.read()
    assert "CapEff:\t0000000000000000" in status and "Uid:\t0" not in status, status
    os.kill(pids[0], signal.SIGKILL)
    v = bed.stanch_ssh("verify", order_id(r))
    assert v.code == 1 and "AF_XDP" in said(v) and "raw partial" in said(v), str(v)
    assert bed.stanch("reassert").code == 0
    assert senders["host"].ask({"take": True})["queues"] == 0 and on_wire(bed) == []
    assert bed.stanch_ssh("verify", order_id(r)).code == 0

    assert bed.stanch_ssh("undo", order_id(r), "--yes").code == 0
    assert holder(bed) == []
    senders["host"].ask({"take": True})
    assert on_wire(bed) == every


def test_the_holder_keeps_its_own_time(bed):
    r = bed.stanch("isolate", "self", "--yes", "--console", "--confirm-within", "5s", "--on-expiry", "open")
    assert r.code == 0 and len(holder(bed)) == 1, str(r)
    time.sleep(max(0, 5.2 - (time.time_ns() - r.begun) / 1e9))
    B.wait_for("it ends by itself", lambda: holder(bed) == [], 3)


def test_a_redirect_at_xdp_is_told_and_ends(bed):
    bed.cable("victim", "leak1", "ctr", "leak-in")
    for role, dev in (("victim", "leak1"), ("ctr", "leak-in")):
        bed.script(role, f"echo 1 >/proc/sys/net/ipv6/conf/{dev}/disable_ipv6; ip link set {dev} up")
    index = json.loads(bed.sh("victim", "ip", "-j", "link", "show", "eth0").stdout)[0]["ifindex"]
    obj = f"{bed.dir}/xdp_redirect.o"
    B.run("clang", "-O2", "-g", "-target", "bpf", "-I", f"/usr/include/{os.uname().machine}-linux-gnu",
          f"-DOUT_IFINDEX={index}", "-c", f"{B.LEAK}/xdp_redirect.bpf.c", "-o", obj)
    attach = f"ip link set dev leak1 xdp off; ip link set dev leak1 xdpgeneric obj {obj} sec xdp"
    bed.script("victim", attach)
    bed.sh("victim", "ping", "-c1", "-W1", "-q", B.GATEWAY)
    link = B.Talker(bed, "ctr", B.PYTHON, "-B", "-c", FEEDER, B.LEAK, "leak-in")
    assert on_wire(bed) == ["via-redirect-v4"]

    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code == 5 and "raw partial" in said(r), str(r)
    assert "(redirect) on device leak1" in said(r) and "passes every layer" in said(r), str(r)
    assert bed.stanch_ssh("confirm", order_id(r)).code in (0, 5)
    # What status proposes ends it; then the place is ours.
    command = "ip link set dev leak1 xdpgeneric off"
    assert "to end it: " + command in said(bed.stanch_ssh("status"))
    bed.sh("victim", *command.split())
    assert bed.stanch("reassert").code == 0
    assert on_wire(bed) == []
    assert "raw contained" in said(bed.stanch_ssh("status"))

    # One that comes now is drift; the guard would take it away.
    bed.script("victim", attach)
    assert on_wire(bed) == ["via-redirect-v4"]
    v = bed.stanch_ssh("verify", order_id(r))
    assert v.code == 1 and "in the place of ours" in said(v), str(v)
    guard = bed.spawn("victim", *bed.stanch_argv("guard"))
    B.wait_for("the guard takes it away", lambda: on_wire(bed, 0.3) == [], 5)
    assert "stanch_cut_in" in bed.sh("victim", "ip", "-d", "link", "show", "leak1").stdout
    guard.terminate()
    link.stop()


FEEDER = """
import json, socket, struct, sys, threading, time
sys.path.insert(0, sys.argv[1])
import send as S
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[2], 0))
text = S.marker("via", "redirect", 4)
udp = struct.pack("!HHHH", 4000, 5353, 8 + len(text), 0) + text
ends = socket.inet_aton("192.0.2.10") + socket.inet_aton("203.0.113.5")
ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0)
ip = ip[:10] + struct.pack("!H", S.checksum(ip + ends)) + ends
def loop():
    while True:
        s.send(b"\\xff" * 6 + bytes(6) + b"\\x08\\x00" + ip + udp)
        time.sleep(0.05)
threading.Thread(target=loop, daemon=True).start()
print(json.dumps({"ready": True}), flush=True)
for _ in sys.stdin:
    print("{}", flush=True)
"""


def test_who_sits_below_is_named(bed):
    """Sockets and programs that were there: each with its owner, what it can do, and what ends it."""
    code = ("import socket,time; a=socket.socket(17,3,0x300); b=socket.socket(2,3,253); "
            "c=socket.socket(10,3,58); time.sleep(99)")
    back_door = bed.spawn("victim", B.PYTHON, "-c", code)
    bed.ip("victim", f"link add vx4 type vxlan id 5 remote {B.C2A} dstport 4789 dev eth0\n")
    bed.redirector("victim", "eth0", "ctr")
    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code == 0 and "raw contained" in said(r), str(r)
    for what in ("packet sockets", "raw IP sockets", "raw IPv6 sockets"):
        assert f"1 {what} of pid {back_door.pid} (python3" in said(r), (what, str(r))
    assert "device vx4 is a tunnel (vxlan)" in said(r)
    assert "(redirect) on device leak1, ingress" in said(r)
    # A packet socket does not make sessions partial, and nothing of ours is named.
    status = said(bed.stanch_ssh("status"))
    assert "sessions contained" in status and "stanch_" not in status and "AF_XDP" not in status, status

    # What passes every layer makes raw partial, also where our programs do not stand.
    obj = f"{bed.dir}/pass.o"
    subprocess.run(["clang", "-target", "bpf", "-O2", "-g", "-x", "c", "-c", "-", "-o", obj], text=True,
                   check=True, input='__attribute__((section("xdp"), used)) int somebody(void *c)'
                                     ' { return 2; }')
    bed.sh("victim", "ip", "link", "set", "dev", "lo", "xdpgeneric", "obj", obj, "sec", "xdp")
    status = said(bed.stanch_ssh("status"))
    assert "raw partial" in status and "(somebody) on device lo" in status, status


def test_ways_by_the_kernels_tables_are_named(bed, tmp_path):
    """Flow tables, routing rules, programs of others at cgroups: each with what ends it, and ended by that."""
    with open("/proc/mounts", encoding="utf-8") as f:
        top = next((w[1] for w in map(str.split, f) if w[2] == "cgroup2"), None)
    # Not every kernel has flow tables; the answer's shape is judged by a unit test, too.
    bed.sh("victim", "nft", "add table ip theirs")
    flows = bed.sh("victim", "nft", "add flowtable ip theirs fast"
                   " { hook ingress priority 0; devices = { eth0 }; }", check=False).returncode == 0
    bed.sh("victim", "ip", "rule", "add", "priority", "99", "fwmark", "7", "table", "77", "protocol", "static")
    folder = top and f"{top}/stanch-evade-{os.getpid()}"
    sleeper = bed.spawn("victim", "sleep", "99")
    try:
        if top:
            os.mkdir(folder)
            with open(f"{folder}/cgroup.procs", "w", encoding="ascii") as f:
                f.write(str(sleeper.pid))
            obj = f"{tmp_path}/connect.o"
            subprocess.run(["clang", "-target", "bpf", "-O2", "-g", "-x", "c", "-c", "-", "-o", obj], text=True,
                           check=True, input='__attribute__((section("cgroup/connect4"), used))'
                                             ' int leads_away(void *c) { return 1; }')
            pins = tmp_path / "pins"
            pins.mkdir()
            B.run("unshare", "-m", "sh", "-ec", f"mount -t bpf bpf {pins}; bpftool prog load {obj} {pins}/p;"
                  f" bpftool cgroup attach {folder} connect4 pinned {pins}/p multi")
        r = bed.stanch_ssh("isolate", "self", "--yes")
        assert r.code == 0 and "raw contained" in said(r), str(r)
        told = said(r)
        assert ("flow table fast of nftables table ip theirs, on 1 devices, the first eth0" in told) == flows, told
        assert "IPv4 routing rule 99 asks table 77 (made by: static)" in told, told
        ends = ["ip -4 rule del priority 99"] + ["nft delete flowtable ip theirs fast"] * flows
        if top:
            assert f"(leads_away) at cgroup /{os.path.basename(folder)}, cgroup_inet4_connect" in told, told
            ends.append(re.search(r"bpftool cgroup detach \S+ \S+ id \d+", told)[0])
        for command in ends:
            assert "to end it: " + command in told, told
            words = [w.replace("/sys/fs/cgroup", top) if top else w for w in command.split()]
            bed.sh("victim", *words)
        after = said(bed.stanch_ssh("status"))
        for name in ("flow table", "routing rule", "leads_away"):
            assert name not in after, after
    finally:
        sleeper.kill()
        sleeper.wait()
        if top and os.path.isdir(folder):
            B.wait_for("the cgroup is empty", lambda: not open(f"{folder}/cgroup.procs").read(), 3)
            os.rmdir(folder)

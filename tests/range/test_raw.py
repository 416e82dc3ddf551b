# SPDX-License-Identifier: GPL-3.0-or-later
"""The tc layer in the range: a frame that a BPF redirect puts on the uplink behind netfilter's back,
counted outside; who stands in front of us is told; the deadline is the kernel's. Judged by tc and by
the far end."""
import subprocess
import time

import bed as B
import pytest
from helpers import order_id

# Puts N frames for the far host into the second veth, as they would leave the uplink.
SENDER = """
import socket, struct, sys
dev, mac, src, dst, port, n = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((dev, 0))
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 48, 1, 0, 64, 17, 0, socket.inet_aton(src), socket.inet_aton(dst))
total = sum(struct.unpack("!10H", ip))
total = (total & 0xffff) + (total >> 16)
ip = ip[:10] + struct.pack("!H", ~total & 0xffff) + ip[12:]
udp = struct.pack("!HHHH", 4000, port, 28, 0) + b"leak" * 5
frame = bytes.fromhex(mac.replace(":", "")) + bytes(6) + b"\\x08\\x00" + ip + udp
for _ in range(n):
    s.send(frame)
"""


class Leak:
    """The detour: five frames in, what comes out at the far end. They come from another namespace,
    where no cut of the victim's sees them, and are redirected before netfilter does, too."""

    def __init__(self, bed):
        self.bed = bed
        self.dev = bed.redirector("victim", "eth0", "ctr")
        bed.sh("victim", "ping", "-c1", "-W1", "-q", B.GATEWAY)
        self.mac = bed.sh("victim", "ip", "neigh", "show", B.GATEWAY).stdout.split("lladdr ")[1].split()[0]

    def open(self):
        """Takes our XDP program off the detour's entrance, where it stops the frames before the tc
        program has to."""
        self.bed.sh("victim", "ip", "link", "set", "dev", "leak1", "xdp", "off")

    def out(self, n=5, dst=B.C2A, port=4444):
        since = time.time_ns()
        self.bed.sh("ctr", B.PYTHON, "-c", SENDER, self.dev, self.mac, B.VICTIM, dst, str(port), str(n))
        time.sleep(0.3)
        return self.bed.wire.frames(since, proto="udp", dst=dst, dport=port)


def filters(bed, dev="eth0"):
    return bed.sh("victim", "tc", "filter", "show", "dev", dev, "egress", check=False).stdout


def test_a_redirect_leaks_past_netdev_and_not_past_us(bed):
    leak = Leak(bed)
    assert leak.out() == 5
    bed.nft("victim", """table netdev only {
    chain e { type filter hook egress device "eth0" priority 0; policy drop; }
}
""")
    assert leak.out() == 5, "a netdev egress drop alone would do"
    bed.sh("victim", "nft", "delete", "table", "netdev", "only")

    r = bed.stanch_ssh("isolate", "self", "--yes", "--keep", B.C2B)
    assert r.code in (0, 5), str(r)
    assert leak.out() == 0
    leak.open()
    assert leak.out() == 0
    assert leak.out(dst=B.C2B) == 5, "a kept peer is cut"
    for dev in ("eth0", "br0", "vctr"):
        assert "stanch_cut" in filters(bed, dev), dev
    assert "stanch_cut" not in filters(bed, "lo")

    u = bed.stanch_ssh("undo", order_id(r), "--yes")
    assert u.code == 0, str(u)
    assert leak.out() == 5
    assert "stanch_cut" not in filters(bed) and "clsact" not in bed.sh(
        "victim", "tc", "qdisc", "show", "dev", "eth0").stdout


def test_the_program_keeps_its_own_time(bed):
    """Nobody confirms, stanch is long gone: the program opens by the kernel's clock alone."""
    leak = Leak(bed)
    r = bed.stanch("isolate", "self", "--yes", "--console", "--confirm-within", "4s", "--on-expiry", "open")
    assert r.code in (0, 5), str(r)
    leak.open()
    assert leak.out() == 0
    time.sleep(max(0, 4.2 - (time.time_ns() - r.begun) / 1e9))
    B.wait_for("the deadline", lambda: leak.out() == 5, 4, 0.2)
    assert "stanch_cut" in filters(bed), "the program went instead of opening"


def test_confirm_takes_the_programs_time_away(bed):
    leak = Leak(bed)
    r = bed.stanch_ssh("isolate", "self", "--yes", "--confirm-within", "5s", "--on-expiry", "open")
    assert r.code in (0, 5), str(r)
    c = bed.stanch_ssh("confirm", order_id(r))
    assert c.code == 0, str(c)
    time.sleep(5.5)
    leak.open()
    assert leak.out() == 0


@pytest.mark.parametrize("who", ["classic", "program"])
def test_who_stands_in_front_is_told(bed, who):
    """A filter that keeps the first place and lets everything pass: told, never removed. A BPF filter
    for every protocol shares its place, so that ours runs first all the same."""
    bed.sh("victim", "tc", "qdisc", "add", "dev", "eth0", "clsact")
    if who == "classic":
        bed.sh("victim", "tc", "filter", "add", "dev", "eth0", "egress", "prio", "1", "protocol", "ip",
               "u32", "match", "u32", "0", "0", "flowid", "1:1")
    else:
        obj = f"{bed.dir}/pass.o"
        subprocess.run(["clang", "-target", "bpf", "-O2", "-x", "c", "-c", "-", "-o", obj], text=True,
                       check=True, input='__attribute__((section("tc"), used)) int pass_all(void *c)'
                                         ' { return 0; }')
        bed.sh("victim", "tc", "filter", "add", "dev", "eth0", "egress", "prio", "1", "bpf", "da",
               "obj", obj, "sec", "tc")
    leak = Leak(bed)
    assert leak.out() == 5
    r = bed.stanch_ssh("isolate", "self", "--yes")
    if who == "classic":
        assert r.code == 5 and "eth0" in r.out + r.err, str(r)
        assert "another tc egress program runs before ours" in r.out + r.err, str(r)
    else:
        assert r.code in (0, 5), str(r)
        assert "runs before ours" not in r.out + r.err, str(r)
        leak.open()
        assert leak.out() == 0
    assert bed.stanch_ssh("undo", order_id(r), "--yes").code == 0
    left = filters(bed)
    assert "stanch_cut" not in left and ("u32" in left or "pass.o" in left)
    assert leak.out() == 5


def test_a_filter_removed_is_drift(bed):
    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code in (0, 5), str(r)
    assert bed.stanch_ssh("verify", order_id(r)).code == 0
    bed.sh("victim", "tc", "filter", "del", "dev", "eth0", "egress")
    v = bed.stanch_ssh("verify", order_id(r))
    assert v.code == 1 and "eth0" in v.out + v.err and "tc egress" in v.out + v.err, str(v)


def test_a_forged_ssh_connection_is_no_operator(bed):
    """The environment is a hint only: what no live socket bears out keeps nothing."""
    r = bed.stanch("isolate", "self", "--yes",
                   env={"SSH_CONNECTION": f"{B.C2A} 50000 {B.VICTIM} 22"})
    assert r.code == 3, str(r)
    assert bed.sh("victim", "ping", "-c1", "-W1", "-q", B.C2A).returncode == 0

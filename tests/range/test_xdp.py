# SPDX-License-Identifier: GPL-3.0-or-later
"""The XDP layer in the range: after `isolate self` packet sockets in the host and in its containers hear
nothing of what knocks from outside; the way in is heard. Whoever had the place keeps it; undo leaves what
was there before. Judged by packet sockets of our own, by `ip -j` and `ethtool`."""
import json
import subprocess
import sys
import time

import bed as B
from helpers import order_id, same_kernel

sys.path.insert(0, B.LEAK)
import knock  # noqa: E402

PLACES = {"host": ("victim", "eth0", B.VICTIM, B.VICTIM6), "ctr": ("ctr", "eth0", B.CTR, B.CTR6),
          "mac": ("mac", "mac0", B.MAC, B.MAC6)}
# Frames made by hand come from the host's own link: they reach what hangs on it.
CELLS = sorted(f"{p}-{k}-v{f}" for p in PLACES for k in knock.KINDS for f in (4, 6)
               if p != "ctr" or k not in knock.FRAMES)


class Ears:
    """A packet socket in each place: BPFDoor's way of listening."""

    def __init__(self, bed):
        self.bed = bed
        self.at = {p: B.Counter(bed, role, dev) for p, (role, dev, _, _) in PLACES.items()}
        self.mac = {p: json.loads(bed.sh(role, "ip", "-j", "link", "show", dev).stdout)[0]["address"]
                    for p, (role, dev, _, _) in PLACES.items()}

    def knock(self):
        """Knocks everywhere; the cells that were heard, and all rows of each place."""
        since = time.time_ns()
        procs = []
        for p, (_, _, to, to6) in PLACES.items():
            procs.append(self.bed.spawn("c2a", B.PYTHON, "-B", f"{B.LEAK}/knock.py", p, to, to6))
            if p != "ctr":
                procs.append(self.bed.spawn("neigh", B.PYTHON, "-B", f"{B.LEAK}/knock.py", p, to, to6,
                                            "eth0", self.mac[p]))
        assert [x.wait(20) for x in procs] == [0] * len(procs), self.bed.log_text()
        time.sleep(0.3)
        cells, rows = set(), {}
        for p, ear in self.at.items():
            rows[p] = ear.rows(since)
            for r in rows[p]:
                if (r.get("marker") or "").startswith("in-"):
                    cells.add(r["marker"][3:])
                cells.update(f"{q}-tcp-v{f}" for q in PLACES for f in (4, 6)
                             if r.get("dport") == knock.syn_port(q, f))
        return sorted(cells), rows


def xdp(bed, dev="eth0", role="victim"):
    return json.loads(bed.sh(role, "ip", "-j", "-d", "link", "show", dev).stdout)[0].get("xdp")


def features(bed):
    return [bed.sh(role, "ethtool", "-k", dev).stdout
            for role, dev in (("victim", "eth0"), ("victim", "br0"), ("victim", "vctr"),
                              ("router", "pvictim"), ("ctr", "eth0"), ("mac", "mac0"))]


def test_packet_sockets_hear_nothing(bed):
    """Kind × place × family: heard before, not heard in the cut, heard after undo; the way in lives."""
    ears = Ears(bed)
    kernel, offload = bed.kernel(), features(bed)
    before, _ = ears.knock()
    assert before == CELLS, "not everything is heard before the cut"

    operator = bed.operator()
    r = bed.stanch_ssh("isolate", "self", "--yes", "--keep-in", f"{B.MGMT6}/128@22", "--json")
    assert r.code in (0, 5), str(r)
    after, rows = ears.knock()
    assert after == [], "heard in spite of the cut"
    strangers = {B.C2A, B.C2A6, B.NEIGHBOUR, B.NEIGHBOUR6}
    for place, all_rows in rows.items():
        assert [x for x in all_rows if x.get("src") in strangers and x["proto"] != "icmp6"] == [], place
    # The ears are open: what is kept is heard, an old and a new session of the operator.
    since = time.time_ns()
    assert operator.type("echo here") == (0, "here\n")
    assert bed.ssh("echo new").stdout == "new\n" and bed.ssh("echo six", host=B.VICTIM6).stdout == "six\n"
    assert ears.at["host"].frames(since, proto="tcp", src=B.MGMT, dport=22) > 0
    for dev in ("eth0", "vctr"):
        assert xdp(bed, dev)["prog"]["name"] == "stanch_cut_in", dev
    assert xdp(bed, "lo") is None and xdp(bed, "br0") is None
    assert bed.stanch_ssh("verify", order_id(r)).code == 0

    # Each layer is needed: without the XDP program all is heard on this device, and nothing is let out.
    bed.sh("victim", "ip", "link", "set", "dev", "eth0", "xdp", "off")
    gone, _ = ears.knock()
    assert [c for c in CELLS if c.startswith(("host", "mac"))] == [c for c in gone if c[:3] != "ctr"]
    v = bed.stanch_ssh("verify", order_id(r))
    assert v.code == 1 and "eth0" in v.out + v.err and "XDP" in v.out + v.err, str(v)
    assert "raw partial" in " ".join(bed.stanch_ssh("status").out.split()), bed.stanch_ssh("status").out

    assert bed.stanch_ssh("undo", order_id(r), "--yes").code == 0
    assert ears.knock()[0] == CELLS
    assert same_kernel(kernel, bed.kernel()) == "" and features(bed) == offload


def test_the_program_keeps_its_own_time(bed):
    """Nobody confirms, stanch is long gone: the program stays where it is and lets everything in."""
    ears = Ears(bed)
    r = bed.stanch("isolate", "self", "--yes", "--console", "--confirm-within", "6s", "--on-expiry", "open")
    assert r.code in (0, 5), str(r)
    assert ears.knock()[0] == []
    time.sleep(max(0, 6.3 - (time.time_ns() - r.begun) / 1e9))
    B.wait_for("the deadline", lambda: ears.knock()[0] == CELLS, 4, 0.2)
    assert xdp(bed)["prog"]["name"] == "stanch_cut_in", "the program went instead of opening"


def test_who_has_the_place_keeps_it(bed):
    """A program that is there already is neither replaced nor removed; what that means is told."""
    obj = f"{bed.dir}/pass.o"
    subprocess.run(["clang", "-target", "bpf", "-O2", "-g", "-x", "c", "-c", "-", "-o", obj], text=True,
                   check=True, input='__attribute__((section("xdp"), used)) int somebody(void *c)'
                                     ' { return 2; }')
    bed.sh("victim", "ip", "link", "set", "dev", "eth0", "xdpgeneric", "obj", obj, "sec", "xdp")
    before, theirs = bed.kernel(), xdp(bed)
    r = bed.stanch_ssh("isolate", "self", "--yes")
    said = " ".join((r.out + r.err).split())
    assert r.code == 5 and "another XDP program (id" in said and "eth0" in said.split("another XDP program (id")[0][-20:], str(r)
    assert xdp(bed) == theirs and xdp(bed, "vctr")["prog"]["name"] == "stanch_cut_in"
    assert "raw partial" in " ".join(bed.stanch_ssh("status").out.split())
    assert bed.stanch_ssh("undo", order_id(r), "--yes").code == 0
    assert xdp(bed) == theirs and same_kernel(before, bed.kernel()) == ""

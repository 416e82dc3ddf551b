#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocklists at scale: `block --feed` and its tries against `nft -f`, ipset, CrowdSec's way and an nft set by netlink.

Usage: blocklist.py [BUILD] [SIZES…]    (as root; works in network namespaces of its own)

For each size: time to load, one add, one delete, a delta of 1,000, kernel memory, cost of a packet that is on no
list. Then packets that pass while the feed is swapped (counted at the far end), ten million look-ups against a plain
reference, and the growth from 1k to 4M entries, drawn into BUILD/bench/blocklist-growth.svg.
Peers that are not installed are left out and named. NFT_MAX: largest list that `nft -f` gets (1000000; it takes
minutes).
"""
import json
import math
import os
import random
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
SIZES = [int(n) for n in sys.argv[2:]] or [100_000, 1_000_000]
GROWTH = [1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000, 4_000_000]
NFT_MAX = int(os.environ.get("NFT_MAX", "1000000"))
NFT_GROWTH_MAX, INTERVAL_GROWTH_MAX = 64_000, 1_000_000
STANCH = os.path.join(BUILD, "stanch")
LOAD = os.path.join(BUILD, "bench", "blocklist_load")
EXACT = os.path.join(BUILD, "host_bulk_pieces_test")
PACKETS = 60_000
FAR, LISTED = "203.0.113.200", "198.51.99.7"
GOALS = {"load_to_nft_file": 0.1, "load_to_ipset": 1.0, "add_ms_at_1m": 1.0, "delta_ms_at_1m": 50.0,
         "passed_during_swaps": 0}


def run(*argv, check=True, timeout=1800, **more):
    return subprocess.run(argv, check=check, capture_output=True, text=True, timeout=timeout, **more)


def make_list(path, n):
    """Mixed: 70 % IPv4 addresses, 15 % /24, 8 % IPv6 addresses, 7 % /64; none that the bench itself uses."""
    r = random.Random(7)
    bits = r.getrandbits
    with open(path, "w", encoding="ascii") as f:
        k = 0
        while k < n:
            kind, v = bits(8), bits(32)
            a = v >> 24
            if kind < 218:
                if a in (0, 10, 127, 192, 198, 203) or a >= 224:
                    continue
                host = v & 255 if kind < 180 else 0
                f.write(f"{a}.{v >> 16 & 255}.{v >> 8 & 255}.{host}{'' if kind < 180 else '/24'}\n")
            elif kind < 238:
                f.write(f"2a01:{v >> 16:x}:{v & 0xffff:x}:{bits(16):x}::{bits(16) | 1:x}\n")
            else:
                f.write(f"2a02:{v >> 16:x}:{v & 0xffff:x}:{bits(15) | 1:x}::/64\n")
            k += 1


def families(path):
    v4, v6 = [], []
    with open(path, encoding="ascii") as f:
        for line in f:
            (v6 if ":" in line else v4).append(line.strip())
    return v4, v6


class Bed:
    """A namespace under test with an uplink, and a far host that counts."""

    def __init__(self, tmp):
        self.tmp, self.ns = tmp, f"st-bench-bl{os.getpid()}"
        self.far = self.ns + "-far"
        open(os.path.join(tmp, "stanch.conf"), "w").close()

    def __enter__(self):
        for ns in (self.ns, self.far):
            run("ip", "netns", "add", ns)
            run("ip", "-n", ns, "link", "set", "lo", "up")
        run("ip", "-n", self.ns, "link", "add", "v0", "type", "veth", "peer", "name", "w0", "netns", self.far)
        for ns, dev, addr in ((self.ns, "v0", "192.0.2.10/24"), (self.far, "w0", "192.0.2.1/24")):
            run("ip", "-n", ns, "addr", "add", addr, "dev", dev)
            run("ip", "-n", ns, "link", "set", dev, "up")
        for a in (FAR, LISTED):
            run("ip", "-n", self.far, "addr", "add", a + "/32", "dev", "lo")
        run("ip", "-n", self.ns, "route", "add", "default", "via", "192.0.2.1")
        run("nsenter", f"--net=/run/netns/{self.far}", "nft", "-f", "-", input=f"""table ip count {{
            chain c {{
                type filter hook prerouting priority -300;
                ip daddr {LISTED} udp dport 9 counter
            }}
        }}
        """)
        return self

    def __exit__(self, *why):
        for ns in (self.ns, self.far):
            run("ip", "netns", "del", ns, check=False)

    def argv(self, *argv):
        return ("nsenter", f"--net=/run/netns/{self.ns}", *argv)

    def inside(self, *argv, **more):
        return run(*self.argv(*argv), **more)

    def stanch(self, *argv, **more):
        return self.inside(STANCH, "--state", os.path.join(self.tmp, "state"), "--config",
                           os.path.join(self.tmp, "stanch.conf"), *argv, **more)

    def arrived(self):
        text = run("nsenter", f"--net=/run/netns/{self.far}", "nft", "list", "table", "ip", "count").stdout
        return int(re.search(r"packets (\d+)", text).group(1))

    def sender(self, target, seconds=None, packets=None):
        code = ("import socket,sys,time,resource\n"
                "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
                "a=(sys.argv[1],9);n=0;end=time.monotonic()+float(sys.argv[2]);most=int(sys.argv[3])\n"
                "t=resource.getrusage(resource.RUSAGE_SELF).ru_stime\n"
                "while n<most and (n&255 or time.monotonic()<end):\n"
                "    try: s.sendto(b'x',a)\n"
                "    except OSError: pass\n"
                "    n+=1\n"
                "print(n,resource.getrusage(resource.RUSAGE_SELF).ru_stime-t)\n")
        return subprocess.Popen(self.argv(sys.executable, "-c", code, target, str(seconds or 600),
                                          str(packets or 1 << 40)), stdout=subprocess.PIPE, text=True)

    def packet_ns(self):
        """Kernel time of one packet on its way out, the far end's share included; the least of five."""
        out = []
        for _ in range(5):
            n, took = self.sender(FAR, packets=PACKETS).communicate()[0].split()
            out.append(float(took) / int(n) * 1e9)
        return min(out)


def slab():
    """Unreclaimable kernel memory in MiB, settled."""
    time.sleep(0.5)
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(re.search(r"SUnreclaim:\s+(\d+)", f.read()).group(1)) / 1024


def timed(*argv, **more):
    start = time.monotonic()
    run(*argv, **more)
    return (time.monotonic() - start) * 1e3


def held(bed, means, path):
    """blocklist_load in its own process: its figures, and the memory while it holds them."""
    before = slab()
    p = subprocess.Popen(bed.argv(LOAD, means, path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    line = p.stdout.readline()
    got = json.loads(line) if line else {}
    got["memory_mib"] = slab() - before
    p.communicate("\n")
    if p.returncode:
        raise RuntimeError(f"blocklist_load {means} failed")
    bed.inside("nft", "flush", "ruleset")
    return got


# ---- peers -----------------------------------------------------------------------------------------------

def nft_text(path):
    v4, v6 = families(path)
    rows = ["table inet peer {"]
    for name, kind, v in (("v4", "ipv4_addr", v4), ("v6", "ipv6_addr", v6)):
        rows.append(f"set {name} {{ type {kind}; flags interval; auto-merge; elements = {{ {', '.join(v)} }} }}")
    rows += ["chain out { type filter hook output priority 0;", "ip daddr @v4 drop", "ip saddr @v4 drop",
             "ip6 daddr @v6 drop", "}", "}"]
    return "\n".join(rows) + "\n"


def nft_file(bed, path, n, full=True):
    rules = os.path.join(bed.tmp, "peer.nft")
    with open(rules, "w", encoding="ascii") as f:
        f.write(nft_text(path))
    before = slab()
    got = {"load_ms": timed(*bed.argv("nft", "-f", rules))}
    if full:
        got["memory_mib"] = slab() - before
        got["packet_ns"] = bed.packet_ns()
        if n <= 100_000: # with a million resident one command takes minutes
            got["add_ms"] = timed(*bed.argv("nft", "add", "element", "inet", "peer", "v4", "{ 198.18.0.1 }"))
            got["delete_ms"] = timed(*bed.argv("nft", "delete", "element", "inet", "peer", "v4", "{ 198.18.0.1 }"))
    bed.inside("nft", "flush", "ruleset")
    return got


def ipset(bed, path, n, full=True):
    v4, v6 = families(path)
    restore = os.path.join(bed.tmp, "peer.ipset")
    with open(restore, "w", encoding="ascii") as f:
        for name, family, v in (("p4", "inet", v4), ("p6", "inet6", v6)):
            f.write(f"create {name} hash:net family {family} maxelem {max(len(v), 65536) * 2} hashsize 65536\n")
            f.writelines(f"add {name} {x}\n" for x in v)
    delta = os.path.join(bed.tmp, "delta.ipset")
    with open(delta, "w", encoding="ascii") as f:
        f.writelines(f"add p4 198.18.{i >> 8}.{i & 255}\n" for i in range(500))
        f.writelines(f"del p4 {x}\n" for x in list(dict.fromkeys(v4))[:500])
    before = slab()
    got = {"load_ms": timed(*bed.argv("ipset", "restore", "-exist", "-file", restore))}
    got["add_ms"] = timed(*bed.argv("ipset", "add", "p4", "198.19.0.1"))
    if full:
        got["delete_ms"] = timed(*bed.argv("ipset", "del", "p4", "198.19.0.1"))
        got["delta_ms"] = timed(*bed.argv("ipset", "restore", "-exist", "-file", delta))
        got["memory_mib"] = slab() - before
        if shutil.which("iptables"):
            for d in ("dst", "src"):
                bed.inside("iptables", "-A", "OUTPUT", "-m", "set", "--match-set", "p4", d, "-j", "DROP")
            got["packet_ns"] = bed.packet_ns()
            bed.inside("iptables", "-F")
    bed.inside("ipset", "destroy")
    return got


def whole(bed, path, n):
    """The command as a person runs it: parsed, journalled, loaded, read back twice."""
    feed = os.path.join(bed.tmp, "feed.txt")
    shutil.copy(path, feed)
    before = slab()
    got = {"command_ms": timed(*bed.argv(STANCH, "--state", os.path.join(bed.tmp, "state"), "--config",
                                         os.path.join(bed.tmp, "stanch.conf"), "block", "--feed", feed, "--yes"))}
    got["memory_mib"] = slab() - before
    got["packet_ns"] = bed.packet_ns()
    got["verify_ms"] = timed(*bed.argv(STANCH, "--state", os.path.join(bed.tmp, "state"), "--config",
                                       os.path.join(bed.tmp, "stanch.conf"), "verify", "o1"))
    got["block_one_ms"] = timed(*bed.argv(STANCH, "--state", os.path.join(bed.tmp, "state"), "--config",
                                          os.path.join(bed.tmp, "stanch.conf"), "block", "198.18.0.1", "--yes"))
    return got


def swaps(bed, path, n):
    """Two feeds that both hold the address, by other prefixes, one after the other while packets are sent."""
    feed = os.path.join(bed.tmp, "feed.txt")
    with open(path, encoding="ascii") as f:
        lines = f.readlines()
    versions = ([LISTED + "\n"] + lines[:-500], ["198.51.96.0/21\n"] + lines[500:])
    before, swapped = bed.arrived(), 0
    sender = None
    for turn in range(7):
        with open(feed, "w", encoding="ascii") as f:
            f.writelines(versions[turn % 2])
        if turn == 1:
            before = bed.arrived()
            sender = bed.sender(LISTED, seconds=600)
        bed.stanch("block", "--feed", feed, "--yes", "-q")
        swapped += turn > 0
    sender.terminate()
    sender.wait()
    passed = bed.arrived() - before
    bed.stanch("undo", "--all", "--yes", "-q")
    bed.sender(LISTED, packets=1000).wait()
    if bed.arrived() - before <= passed:
        raise RuntimeError("the far end counts nothing: the measurement is void")
    return {"entries": n, "swaps": swapped, "passed": passed}


# ---- the table -------------------------------------------------------------------------------------------

def measure(bed, path, n):
    rows = {"no list": {"packet_ns": bed.packet_ns()}}
    rows["stanch, kernel part"] = held(bed, "trie", path)
    rows["stanch block --feed"] = whole(bed, path, n)
    rows["stanch block --feed"]["swap"] = swaps(bed, path, n)
    shutil.rmtree(os.path.join(bed.tmp, "state"))
    rows["nft set by netlink"] = held(bed, "interval", path)
    rows["CrowdSec's way"] = held(bed, "chunks", path)
    if shutil.which("ipset"):
        rows["ipset restore"] = ipset(bed, path, n)
    else:
        print("ipset is not installed: left out")
    if n <= NFT_MAX:
        rows["nft -f"] = nft_file(bed, path, n)
    return rows


COLUMNS = ("command_ms", "load_ms", "add_ms", "delete_ms", "delta_ms", "readback_ms", "packet_ns", "memory_mib")


def print_table(n, rows):
    print(f"{n:,} mixed prefixes")
    print(f"  {'':22}" + "".join(f"{c:>13}" for c in COLUMNS))
    for name, r in rows.items():
        print(f"  {name:22}" + "".join(f"{r[c]:13.3f}" if c in r else f"{'':13}" for c in COLUMNS))
    s = rows["stanch block --feed"]["swap"]
    print(f"  swapped {s['swaps']} times while packets were sent to a listed address: {s['passed']} passed")


def goals(n, rows):
    ours = rows["stanch, kernel part"]
    got = {"passed_during_swaps": rows["stanch block --feed"]["swap"]["passed"]}
    if n >= 1_000_000:
        got["add_ms_at_1m"], got["delta_ms_at_1m"] = ours["add_ms"], ours["delta_ms"]
    for peer, key in (("nft -f", "load_to_nft_file"), ("ipset restore", "load_to_ipset")):
        if peer in rows:
            got[key] = ours["load_ms"] / rows[peer]["load_ms"]
            print(f"  whole command to {peer}: {rows['stanch block --feed']['command_ms'] / rows[peer]['load_ms']:.3f}")
    met = True
    for key, value in got.items():
        good = value <= GOALS[key]
        met &= good
        print(f"  {key}: {value:.4f} (goal {GOALS[key]}) {'ok' if good else 'MISSED'}")
    return met


# ---- growth ----------------------------------------------------------------------------------------------

COLOURS = {"stanch (tries)": "#0b6", "ipset": "#06c", "nft set by netlink": "#c60", "nft -f": "#c03"}


def grow(bed, whole_list):
    load = {k: {} for k in COLOURS}
    add = {k: {} for k in COLOURS if k != "nft -f"}
    path = os.path.join(bed.tmp, "part.txt")
    for n in GROWTH:
        run("sh", "-c", f"head -n {n} {whole_list} > {path}")
        t = held(bed, "trie", path)
        load["stanch (tries)"][n], add["stanch (tries)"][n] = t["load_ms"], t["add_ms"]
        if shutil.which("ipset"):
            p = ipset(bed, path, n, full=False)
            load["ipset"][n], add["ipset"][n] = p["load_ms"], p["add_ms"]
        if n <= INTERVAL_GROWTH_MAX:
            i = held(bed, "interval", path)
            load["nft set by netlink"][n], add["nft set by netlink"][n] = i["load_ms"], i["add_ms"]
        if n <= NFT_GROWTH_MAX:
            load["nft -f"][n] = nft_file(bed, path, n, full=False)["load_ms"]
    for title, series in (("load", load), ("one more entry", add)):
        print(f"growth, {title}, ms")
        for name, points in series.items():
            print(f"  {name:20}" + " ".join(f"{n}:{v:.4g}" for n, v in points.items()))
    return load, add


def panel(out, x0, title, series):
    """Both axes logarithmic. One panel of 400 by 300 at x0."""
    values = [v for s in series.values() for v in s.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    left, right = math.log10(GROWTH[0]), math.log10(GROWTH[-1])

    def x(n):
        return x0 + (math.log10(n) - left) / (right - left) * 400

    def y(v):
        return 350 - (math.log10(v) - low) / (high - low) * 300
    out.append(f'<text x="{x0}" y="36" font-weight="bold">{title}</text>')
    for d in range(low, high + 1):
        label = f"{10 ** (d - 3):g} s" if d >= 3 else f"{10 ** d:g} ms"
        out.append(f'<path d="M{x0} {y(10 ** d):.1f}h400" stroke="#ddd"/>'
                   f'<text x="{x0 - 6}" y="{y(10 ** d) + 4:.1f}" text-anchor="end">{label}</text>')
    for n in GROWTH:
        label = f"{n // 1_000_000}M" if n >= 1_000_000 else f"{n // 1000}k"
        out.append(f'<text x="{x(n):.1f}" y="368" text-anchor="middle">{label}</text>')
    for name, points in series.items():
        if not points:
            continue
        line = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in points.items())
        n, v = list(points.items())[-1]
        out.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        out += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{COLOURS[name]}"/>' for a, b in points.items()]
        out.append(f'<text x="{x(n) - 4:.1f}" y="{y(v) - 8:.1f}" text-anchor="end" fill="{COLOURS[name]}">{name}</text>')


def draw(path, load, add):
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="980" height="400" viewBox="0 0 980 400" '
           'font-family="sans-serif" font-size="12">', '<rect width="980" height="400" fill="#fff"/>']
    panel(out, 70, "Loading a list of n prefixes", load)
    panel(out, 550, "One more entry, n being there", add)
    out.append(f'<text x="70" y="392" fill="#666">bench/blocklist.py, kernel {os.uname().release}, '
               f'{os.cpu_count()} processors; ipset by its command, which costs a process each time</text></svg>')
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out) + "\n")
    print(f"drawn into {path}")


def exact():
    r = run(EXACT, env=dict(os.environ, STANCH_TEST_LOOKUPS="10000000"), check=False)
    line = [x for x in r.stdout.splitlines() if "look-ups" in x]
    print("exactness:", line[0] if line else r.stdout + r.stderr)
    return r.returncode == 0


def main():
    met = exact()
    with tempfile.TemporaryDirectory(prefix="stanch-bench") as tmp, Bed(tmp) as bed:
        everything = os.path.join(tmp, "all.txt")
        make_list(everything, max(SIZES + GROWTH))
        for n in SIZES:
            path = os.path.join(tmp, "list.txt")
            run("sh", "-c", f"head -n {n} {everything} > {path}")
            rows = measure(bed, path, n)
            print_table(n, rows)
            met &= goals(n, rows)
            print(json.dumps({"entries": n, "rows": rows}))
        load, add = grow(bed, everything)
        draw(os.path.join(BUILD, "bench", "blocklist-growth.svg"), load, add)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

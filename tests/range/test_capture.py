# SPDX-License-Identifier: GPL-3.0-or-later
"""`stanch watch --file` against tshark, packet for packet and byte for byte.

Captures of many kinds are made here with scapy. tshark says for each frame what it is; this test
adds that up by 5-tuple and direction (outermost IP, fragments joined by id, frame lengths on the
wire) and compares with the flows that stanch prints. STANCH_BIN names the binary.
"""
import collections
import json
import os
import random
import struct
import subprocess

import pytest

scapy = pytest.importorskip("scapy.all")
from scapy.all import (  # noqa: E402
    AH, ARP, CookedLinux, Dot1AD, Dot1Q, Ether, GRE, ICMP, IP, IPv6, LLC, SNAP, STP, TCP, UDP,
    ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NS, ICMPv6PacketTooBig, IPOption_Router_Alert,
    IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN, PPP, PPPoE,
    Raw, RouterAlert, SCTP, SCTPChunkInit, SCTPChunkInitAck, SCTPChunkData, fragment,
    fragment6)

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
STANCH = os.environ.get("STANCH_BIN") or os.path.join(
    os.environ.get("STANCH_BUILD", os.path.join(ROOT, "build")), "stanch")

A, B, C = "192.0.2.1", "198.51.100.2", "203.0.113.3"
A6, B6 = "2001:db8::1", "2001:db8::2"
MACS = dict(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
ETHERNET, RAW, LOOP, NULL, SLL, SLL2, IPV4, IPV6 = 1, 101, 108, 0, 113, 276, 228, 229


# ---- packets -----------------------------------------------------------------------------------

def talk(a=A, b=B, sport=40000, dport=443, n=3, size=100, net=None):
    """A TCP conversation from handshake to end, IP packets only."""
    net = net or (IPv6 if ":" in a else IP)
    there, back = net(src=a, dst=b), net(src=b, dst=a)
    to, fro = dict(sport=sport, dport=dport), dict(sport=dport, dport=sport)
    out = [there / TCP(flags="S", **to), back / TCP(flags="SA", **fro), there / TCP(flags="A", **to)]
    for i in range(n):
        out.append(there / TCP(flags="PA", **to) / Raw(b"x" * (size + i)))
        out.append(back / TCP(flags="A", **fro) / Raw(b"y" * (7 * i)))
    return out + [there / TCP(flags="FA", **to), back / TCP(flags="FA", **fro)]


def dns(a=A, b=B, sport=5353):
    net = IPv6 if ":" in a else IP
    return [net(src=a, dst=b) / UDP(sport=sport, dport=53) / Raw(b"q" * 30),
            net(src=b, dst=a) / UDP(sport=53, dport=sport) / Raw(b"r" * 200)]


def ether(packets, *tags):
    out = []
    for p in packets:
        e = Ether(**MACS)
        for t in tags:
            e = e / t.copy()
        out.append(e / p)
    return out


def mixed():
    return talk() + dns() + talk(A6, B6, 40001, 80) + dns(A6, B6)


def big_datagram(a=A, b=B, sport=7000, size=4000, ident=77):
    if ":" in a:
        whole = IPv6(src=a, dst=b) / IPv6ExtHdrFragment(id=ident) / UDP(
            sport=sport, dport=7001) / Raw(b"z" * size)
        return fragment6(whole, 1280)
    whole = IP(src=a, dst=b, id=ident) / UDP(sport=sport, dport=7001) / Raw(b"z" * size)
    return fragment(whole, 1200)


# ---- files -------------------------------------------------------------------------------------

def pcap(path, frames, link=ETHERNET, snap=None, order="<", nano=False, wire=None, modified=False):
    """Frames are scapy packets or bytes; wire: lengths, where they differ from what is there."""
    magic = 0xa1b2cd34 if modified else 0xa1b23c4d if nano else 0xa1b2c3d4
    with open(path, "wb") as f:
        f.write(struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap or 262144, link))
        for i, p in enumerate(frames):
            b = bytes(p)
            n = wire[i] if wire else len(b)
            cut = b[:snap] if snap else b
            f.write(struct.pack(order + "IIII", 1700000000 + i, 1000 * i, len(cut), n))
            if modified:
                f.write(struct.pack(order + "IHBB", 2, 0x0800, 0, 0))
            f.write(cut)


def block(kind, body, order):
    body += b"\0" * (-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(
        order + "I", len(body) + 12)


def section(order):
    return block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1), order)


def interface(link, order, snap=0, resol=None):
    body = struct.pack(order + "HHI", link, 0, snap)
    if resol is not None:
        body += struct.pack(order + "HHB3x", 9, 1, resol) + struct.pack(order + "HH", 0, 0)
    return block(1, body, order)


def enhanced(iface, ticks, frame, order, snap=None):
    b = bytes(frame)
    cut = b[:snap] if snap else b
    body = struct.pack(order + "IIIII", iface, ticks >> 32, ticks & 0xffffffff, len(cut), len(b))
    body += cut + b"\0" * (-len(cut) % 4) + struct.pack(order + "HH2xHH", 1, 2, 0, 0)[:0]
    return block(6, body, order)


def write(path, *parts):
    with open(path, "wb") as f:
        for p in parts:
            f.write(p)


# ---- captures: each writes one file ------------------------------------------------------------

def cap_ipv4(path):
    pcap(path, ether(talk() + dns() + talk(C, A, 50000, 22)))


def cap_ipv6(path):
    pcap(path, ether(talk(A6, B6) + dns(A6, B6)))


def cap_vlan(path):
    pcap(path, ether(mixed(), Dot1Q(vlan=100)))


def cap_qinq(path):
    pcap(path, ether(mixed(), Dot1AD(vlan=7), Dot1Q(vlan=100)))


def cap_vlan_thrice(path):
    pcap(path, ether(mixed(), Dot1Q(vlan=1), Dot1Q(vlan=2), Dot1Q(vlan=3)))


def cap_sll(path):
    pcap(path, [CookedLinux(proto=0x86dd if IPv6 in p else 0x0800) / p for p in mixed()], SLL)


def cap_sll2(path):
    pcap(path, [struct.pack(">HHIHBB8s", 0x86dd if IPv6 in p else 0x0800, 0, 2, 1, 0, 6,
                            b"\2\0\0\0\0\1") + bytes(p) for p in mixed()], SLL2)


def cap_raw(path):
    pcap(path, mixed(), RAW)


def cap_ipv4_link(path):
    pcap(path, talk() + dns(), IPV4)


def cap_ipv6_link(path):
    pcap(path, talk(A6, B6), IPV6)


def cap_null(path):
    pcap(path, [struct.pack("<I", 30 if IPv6 in p else 2) + bytes(p) for p in mixed()], NULL)


def cap_null_big_endian(path):
    pcap(path, [struct.pack(">I", 24 if IPv6 in p else 2) + bytes(p) for p in mixed()], NULL,
         order=">")


def cap_loop(path):
    pcap(path, [struct.pack(">I", 24 if IPv6 in p else 2) + bytes(p) for p in mixed()], LOOP)


def cap_nanoseconds(path):
    pcap(path, ether(mixed()), nano=True)


def cap_big_endian(path):
    pcap(path, ether(mixed()), order=">")


def cap_big_endian_nanoseconds(path):
    pcap(path, ether(mixed()), order=">", nano=True)


def cap_modified(path):
    pcap(path, ether(mixed()), modified=True)


def cap_pcapng_two_interfaces(path):
    frames = mixed()
    write(path, section("<"), interface(ETHERNET, "<"), interface(RAW, "<", resol=9),
          *(enhanced(i % 2, i * 1000, p if i % 2 else ether([p])[0], "<")
            for i, p in enumerate(frames)))


def cap_pcapng_sections(path):
    frames = ether(mixed())
    parts = []
    for i, order in enumerate("<>><"):
        parts += [section(order), block(0x0bad, b"who knows" * 50, order),
                  interface(ETHERNET, order, resol=(6, 9, 0x8a, 3)[i])]
        parts += [enhanced(0, 1000 + k, p, order) for k, p in enumerate(frames[i::4])]
    write(path, *parts)


def cap_pcapng_simple(path):
    frames = ether(mixed())
    write(path, section("<"), interface(ETHERNET, "<", snap=80), *(
        block(3, struct.pack("<I", len(p)) + bytes(p)[:80], "<") for p in frames))


def cap_pcapng_obsolete(path):
    write(path, section(">"), interface(ETHERNET, ">"), *(
        block(2, struct.pack(">HHIIII", 0, 0, 0, i, len(p), len(p)) + bytes(p), ">")
        for i, p in enumerate(ether(mixed()))))


def cap_pcapng_snapped(path):
    write(path, section("<"), interface(ETHERNET, "<", snap=66),
          *(enhanced(0, i, p, "<", 66) for i, p in enumerate(ether(talk() + dns()))))


def cap_extension_headers(path):
    top = IPv6(src=A6, dst=B6)
    chains = [
        IPv6ExtHdrHopByHop(options=[RouterAlert(value=0)]),
        IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)]),
        IPv6ExtHdrRouting(addresses=["2001:db8::9"]),
        IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting(addresses=[]),
        IPv6ExtHdrFragment(id=5),
    ]
    frames = [top / AH(nh=17, payloadlen=4, spi=1, seq=1, icv=b"\1" * 12) / UDP(sport=999, dport=53)]
    for i, c in enumerate(chains):
        frames += [top / c.copy() / UDP(sport=1000 + i, dport=53) / Raw(b"x" * 20),
                   top / c.copy() / TCP(sport=2000 + i, dport=80, flags="S")]
    pcap(path, ether(frames))


def cap_fragments(path):
    pcap(path, ether(big_datagram() + dns() + big_datagram(sport=7002, ident=78)))


def cap_fragments_backwards(path):
    pcap(path, ether(list(reversed(big_datagram())) + dns()))


def cap_fragments_woven(path):
    a, b = big_datagram(ident=1), list(reversed(big_datagram(sport=7002, ident=2)))
    c = big_datagram(B, A, sport=7003, ident=1)
    pcap(path, ether([p for three in zip(a, b, c) for p in three]))


def cap_fragments6(path):
    pcap(path, ether(big_datagram(A6, B6) + big_datagram(A6, B6, 7002, ident=78)))


def cap_fragments6_backwards(path):
    pcap(path, ether(list(reversed(big_datagram(A6, B6))) + big_datagram(B6, A6, 7003, ident=77)))


def cap_fragments_without_first(path):
    pcap(path, ether(big_datagram()[1:] + big_datagram(A6, B6)[1:] + dns()))


def cap_sctp(path):
    there, back = IP(src=A, dst=B), IP(src=B, dst=A)
    pcap(path, ether([
        there / SCTP(sport=5000, dport=2905) / SCTPChunkInit(),
        back / SCTP(sport=2905, dport=5000) / SCTPChunkInitAck(),
        there / SCTP(sport=5000, dport=2905) / SCTPChunkData(data=b"x" * 40),
        IPv6(src=A6, dst=B6) / SCTP(sport=5001, dport=2905) / SCTPChunkInit()]))


def cap_icmp(path):
    ping, pong = IP(src=A, dst=B) / ICMP(type=8, id=3), IP(src=B, dst=A) / ICMP(type=0, id=3)
    lost = IP(src=C, dst=A) / ICMP(type=3, code=3) / IP(src=A, dst=B) / UDP(sport=9, dport=10)
    v6 = [IPv6(src=A6, dst=B6) / ICMPv6EchoRequest(data=b"x"), IPv6(src=B6, dst=A6) / ICMPv6EchoReply(),
          IPv6(src=A6, dst="ff02::1:ff00:2") / ICMPv6ND_NS(tgt=B6),
          IPv6(src=B6, dst=A6) / ICMPv6PacketTooBig(mtu=1280) / IPv6(src=A6, dst=B6) / TCP()]
    pcap(path, ether([ping, pong, ping, lost, pong] + v6))


def cap_ip_options(path):
    pcap(path, ether([IP(src=A, dst=B, options=[IPOption_Router_Alert()]) / UDP(sport=1, dport=2),
                      IP(src=A, dst=B, options=[IPOption_Router_Alert()] * 5) /
                      TCP(sport=3, dport=4)]))


def cap_padding(path):
    frames = ether([IP(src=A, dst=B) / UDP(sport=1, dport=2), IP(src=A, dst=B, proto=17),
                    IP(src=A, dst=B) / TCP(sport=3, dport=4)] + talk(A6, B6, n=1))
    pcap(path, [bytes(f) + b"\x55" * max(0, 60 - len(f)) + b"\xaa" * 4 for f in frames])


def cap_snapped(path):
    frames = ether(talk() + dns())
    pcap(path, frames, snap=54, wire=[len(f) for f in frames])


def cap_snapped_in_ports(path):
    frames = ether(talk() + dns() + talk(A6, B6))
    pcap(path, frames, snap=36, wire=[len(f) for f in frames])


def cap_snapped_in_address(path):
    frames = ether(talk() + dns())
    pcap(path, frames, snap=28, wire=[len(f) for f in frames])


def cap_jumbo(path):
    big = ether([IP(src=A, dst=B) / TCP(sport=1, dport=2) / Raw(b"j" * 8960),
                 IP(src=A, dst=B) / TCP(sport=1, dport=2) / Raw(b"j" * 60000)])
    offload = [bytearray(bytes(f)) for f in big]
    for f in offload:
        f[16:18] = b"\0\0"
    pcap(path, big + offload)


def cap_tunnels(path):
    inner = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2)
    inner6 = IPv6(src="2001:db8:1::1", dst="2001:db8:1::2") / UDP(sport=3, dport=4)
    pcap(path, ether([
        IP(src=A, dst=B) / GRE() / inner, IP(src=A, dst=B, proto=4) / inner,
        IP(src=A, dst=B, proto=41) / inner6, IPv6(src=A6, dst=B6) / inner6,
        IPv6(src=A6, dst=B6, nh=4) / inner, IP(src=A, dst=B) / GRE(proto=0x86dd) / inner6,
        IP(src=A, dst=B) / UDP(sport=5000, dport=4789) /
        Raw(b"\x08\0\0\0\0\0\x07\0" + bytes(ether([inner])[0]))]))


def cap_noise(path):
    stp = scapy.Dot3(**MACS) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP()
    snap = scapy.Dot3(**MACS) / LLC(dsap=0xaa, ssap=0xaa, ctrl=3) / SNAP(code=0x0800)
    lldp = Ether(**MACS, type=0x88cc) / Raw(b"\2\7\4\1\2\3\4\5\6")
    pcap(path, [Ether(**MACS) / ARP(psrc=A, pdst=B), stp, lldp] + ether(talk()) +
         [snap / dns()[0], Ether(**MACS, type=0x1234) / Raw(b"x" * 50)])


def cap_pppoe(path):
    pcap(path, [Ether(**MACS) / PPPoE(sessionid=5) / PPP(proto=0x57 if IPv6 in p else 0x21) / p
                for p in mixed()])


def cap_mpls(path):
    pcap(path, [Ether(**MACS, type=0x8847) / Raw(bytes.fromhex("0001003f" "0002013f") + bytes(p))
                for p in mixed()])


def cap_midstream(path):
    pcap(path, ether(talk()[4:8] + talk(C, B, 50001, 8080)[5:]))


def cap_port_reuse(path):
    pcap(path, ether(talk() + talk(n=2) + talk(n=1, size=900)))


def cap_other_protocols(path):
    pcap(path, ether([IP(src=A, dst=B, proto=n) / Raw(b"\1\2\3\4" * 8) for n in (50, 89, 112, 2)] +
                     [IP(src=A, dst="224.0.0.18", proto=112) / Raw(b"x" * 20)] +
                     [IPv6(src=A6, dst=B6, nh=n) / Raw(b"\1\2\3\4" * 8) for n in (50, 89, 59)]))


def cap_self_and_equal_ports(path):
    pcap(path, ether([IP(src=A, dst=A) / UDP(sport=5, dport=5) / Raw(b"x" * 9),
                      IP(src=A, dst=A) / UDP(sport=6, dport=5), IP(src=A, dst=A) / UDP(sport=5, dport=6),
                      IP(src=A, dst=B) / UDP(sport=123, dport=123),
                      IP(src=B, dst=A) / UDP(sport=123, dport=123)]))


def cap_many(path):
    """Thousands of conversations, any order of packets."""
    rng, frames = random.Random(7), []
    for i in range(1500):
        a, b = f"10.0.{i % 7}.{i % 250 + 1}", f"203.0.113.{i % 200 + 1}"
        frames += dns(a, b, 10000 + i) if i % 3 else talk(a, b, 20000 + i, 443, 1)
    rng.shuffle(frames)
    pcap(path, [bytes(f) for f in ether(frames)])


def cap_empty(path):
    pcap(path, [])


CAPTURES = {n[4:]: f for n, f in sorted(globals().items()) if n.startswith("cap_")}


HOLLOW = {"empty", "snapped_in_address"}
assert len(CAPTURES) >= 20


# ---- what tshark says --------------------------------------------------------------------------

FIELDS = ("frame.len frame.protocols ip.src ip.dst ip.proto ip.id ip.frag_offset ip.flags.mf ipv6.src "
          "ipv6.dst ipv6.fraghdr.ident ipv6.fraghdr.offset ipv6.fraghdr.more ipv6.fraghdr.nxt "
          "tcp.srcport tcp.dstport udp.srcport udp.dstport sctp.srcport sctp.dstport icmp.type "
          "icmp.code icmpv6.type icmpv6.code ipv6.nxt").split()
PORTS = {6: "tcp", 17: "udp", 132: "sctp"}
NAMES6 = {"tcp": 6, "udp": 17, "sctp": 132, "icmpv6": 58, "ip": 4, "ipv6": 41, "gre": 47, "esp": 50,
          "ospf": 89, "ipv6.nonxt": 59}
REQUEST = {(1, 0): 8, (58, 129): 128}


def rows(path):
    argv = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "occurrence=f", "-o",
            "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-o", "ip.tso_support:TRUE"]
    for f in FIELDS:
        argv += ["-e", f]
    r = subprocess.run(argv, capture_output=True, text=True, timeout=120,
                       env={**os.environ, "HOME": "/nonexistent"})
    for line in r.stdout.splitlines():
        row = dict(zip(FIELDS, line.split("\t")))
        # tshark makes a frame of a pcapng block that it does not know.
        if row["frame.protocols"] != "data":
            yield row


def number(text):
    return int(text, 0) if text else 0


def proto6(row):
    """The protocol behind the outermost IPv6 header and its extension headers."""
    names = row["frame.protocols"].split(":")
    for n in names[names.index("ipv6") + 1:]:
        if n in NAMES6:
            return NAMES6[n]
        if not n.startswith("ipv6.") and n != "ah":
            break
    return number(row["ipv6.nxt"])


def frame_of(row):
    """(src, dst, proto, fragment key, is first fragment) of the outermost IP, or None."""
    names = row["frame.protocols"].split(":")
    v4 = names.index("ip") if "ip" in names and row["ip.src"] else 999
    v6 = names.index("ipv6") if "ipv6" in names and row["ipv6.src"] else 999
    if v4 == v6:
        return None
    if v4 < v6:
        src, dst, proto = row["ip.src"], row["ip.dst"], number(row["ip.proto"])
        more, offset = row["ip.flags.mf"] in ("1", "True"), number(row["ip.frag_offset"])
        key = (src, dst, proto, number(row["ip.id"])) if more or offset else None
        return src, dst, proto, key, not offset
    src, dst = row["ipv6.src"], row["ipv6.dst"]
    more, offset = row["ipv6.fraghdr.more"] in ("1", "True"), number(row["ipv6.fraghdr.offset"])
    key = (src, dst, number(row["ipv6.fraghdr.ident"])) if more or offset else None
    proto = number(row["ipv6.fraghdr.nxt"]) if offset else proto6(row)
    return src, dst, proto, key, not offset


def ports_of(row, proto):
    if proto in PORTS:
        name = PORTS[proto]
        return number(row[name + ".srcport"]), number(row[name + ".dstport"])
    if proto in (1, 58):
        name = "icmp" if proto == 1 else "icmpv6"
        kind = number(row[name + ".type"])
        return REQUEST.get((proto, kind), kind), number(row[name + ".code"])
    return 0, 0


def by_tshark(path):
    """{(src, sport, dst, dport, proto): [packets, bytes]} of each direction, frames, their bytes, not IP."""
    sums, firsts, wait = collections.defaultdict(lambda: [0, 0]), {}, []
    frames = other = total = 0

    def add(src, dst, proto, ports, size):
        s = sums[(src, ports[0], dst, ports[1], proto)]
        s[0] += 1
        s[1] += size

    for row in rows(path):
        frames += 1
        total += number(row["frame.len"])
        f = frame_of(row)
        if not f:
            other += 1
            continue
        src, dst, proto, key, first = f
        size = number(row["frame.len"])
        if first:
            ports = ports_of(row, proto)
            if key:
                firsts[key] = proto, ports
            add(src, dst, proto, ports, size)
        else:
            wait.append((src, dst, proto, key, size))
    for src, dst, proto, key, size in wait:
        proto, ports = firsts.get(key, (proto, (0, 0)))
        add(src, dst, proto, ports, size)
    return dict(sums), frames, total, other


# ---- what stanch says --------------------------------------------------------------------------

PROTO = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "ipv6-icmp": 58, "igmp": 2, "gre": 47,
         "esp": 50, "ah": 51}


def stanch(path, tmp, stdin=None):
    return subprocess.run(
        [STANCH, "--state", str(tmp / "state"), "--config", str(tmp / "none.conf"), "watch", "--file",
         path, "--json"], capture_output=True, text=True, timeout=120, stdin=stdin)


def by_stanch(lines):
    sums, stats = collections.defaultdict(lambda: [0, 0]), None
    for line in lines:
        o = json.loads(line)
        if o["event_type"] == "stats":
            stats = o
        if o["event_type"] != "flow":
            continue
        p = o["proto"].lower()
        proto = PROTO[p] if p in PROTO else int(p)
        types = proto in (1, 58)
        sport, dport = ((o["icmp_type"], o["icmp_code"]) if types else
                        (o["src_port"], o["dest_port"]))
        there = o["src_ip"], sport, o["dest_ip"], dport, proto
        back = (o["dest_ip"], sport if types else dport, o["src_ip"], dport if types else sport, proto)
        f = o["flow"]
        for key, way in ((there, "toserver"), (back, "toclient")):
            if f["pkts_" + way]:
                sums[key][0] += f["pkts_" + way]
                sums[key][1] += f["bytes_" + way]
    return dict(sums), stats


@pytest.fixture
def tmp(tmp_path):
    (tmp_path / "none.conf").write_text("")
    return tmp_path


@pytest.mark.parametrize("name", CAPTURES)
def test_agrees_with_tshark(name, tmp):
    path = str(tmp / "x.cap")
    CAPTURES[name](path)
    want, frames, total, other = by_tshark(path)
    # Or it would be a comparison of nothing with nothing.
    assert bool(want) != (name in HOLLOW)
    r = stanch(path, tmp)
    assert r.returncode in (0, 1), r.stderr
    got, stats = by_stanch(r.stdout.splitlines())
    assert got == want
    assert stats["packets"] == frames
    assert stats["bytes"] == total
    assert stats["undecoded"] + stats["truncated"] + stats["malformed"] >= other
    assert stats["evicted"] == 0


def test_who_opened_it(tmp):
    path = str(tmp / "x.cap")
    pcap(path, ether(talk()[1:] + talk(C, B, 50000, 8080)[4:]))
    flows = [json.loads(x) for x in stanch(path, tmp).stdout.splitlines()]
    flows = {f["dest_port"]: f for f in flows if f["event_type"] == "flow"}
    assert flows[443]["src_ip"] == A and not flows[443]["flow"]["src_guessed"]
    assert flows[8080]["src_ip"] == C and flows[8080]["flow"]["src_guessed"]


def test_from_a_pipe(tmp):
    path = str(tmp / "x.cap")
    cap_many(path)
    with open(path, "rb") as f:
        cat = subprocess.Popen(["cat"], stdin=f, stdout=subprocess.PIPE)
        r = stanch("-", tmp, stdin=cat.stdout)
        cat.stdout.close()
        cat.wait(timeout=20)
    assert r.returncode in (0, 1), r.stderr
    assert by_stanch(r.stdout.splitlines())[0] == by_tshark(path)[0]


@pytest.mark.parametrize("make", [cap_many, cap_pcapng_sections])
def test_cut_off(make, tmp):
    path, cut = str(tmp / "x.cap"), str(tmp / "cut.cap")
    make(path)
    whole = open(path, "rb").read()
    for n in (len(whole) - 1, len(whole) - 50, len(whole) // 2 + 1, 30, 23, 4):
        write(cut, whole[:n])
        r = stanch(cut, tmp)
        assert 0 <= r.returncode <= 6
        assert r.returncode != 0 and "byte" in r.stderr, (n, r)
        if n == len(whole) // 2 + 1:
            want = by_tshark(cut)[0]
            assert by_stanch(r.stdout.splitlines())[0] == want


@pytest.mark.parametrize("content", [b"", b"x", b"{}\n" * 50, b"\x1f\x8b\x08" + b"\0" * 30, b"\0" * 4096])
def test_no_capture_file(content, tmp):
    path = str(tmp / "x.cap")
    write(path, content)
    r = stanch(path, tmp)
    assert r.returncode > 0
    assert "not a capture file" in r.stderr and path in r.stderr


def test_no_such_file(tmp):
    r = stanch(str(tmp / "absent.cap"), tmp)
    assert r.returncode > 0 and "absent.cap" in r.stderr


def test_broken_bytes_never_crash(tmp):
    rng = random.Random(20)
    path = str(tmp / "x.cap")
    for make in (cap_extension_headers, cap_pcapng_sections, cap_tunnels, cap_sctp, cap_fragments6):
        make(path)
        whole = open(path, "rb").read()
        for _ in range(8):
            b = bytearray(whole)
            for _ in range(rng.randint(1, 40)):
                b[rng.randrange(24, len(b))] = rng.randrange(256)
            write(path, bytes(b))
            r = stanch(path, tmp)
            assert 0 <= r.returncode <= 6, r
            if r.returncode > 1:
                assert "byte" in r.stderr, r.stderr
            else:
                assert by_stanch(r.stdout.splitlines())[1] is not None

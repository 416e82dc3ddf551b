#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""knock.py PLACE TARGET4 TARGET6 [DEV MAC]: knocks at a host from outside, as somebody does who wakes a
back door that listens on a packet socket: every kind three times, none of them asks for an answer.

Each packet carries <leak:in-PLACE-KIND-vN>, but for TCP, whose SYN is known by the port syn_port(). With
DEV frames are made by hand as well, to MAC and to everybody on the link.
"""
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import send as S  # noqa: E402

KINDS = ("tcp", "udp", "icmp", "raw", "sctp", "frame", "broadcast", "odd")
FRAMES = KINDS[5:]


def syn_port(place, family):
    return 7200 + S.PLACES.index(place) * 10 + family


def marker(place, kind, family):
    return f"<leak:in-{place}-{kind}-v{family}>".encode()


def by_socket(place, kind, family, to):
    af = socket.AF_INET if family == 4 else socket.AF_INET6
    text = marker(place, kind, family)
    if kind == "tcp":
        s = socket.socket(af, socket.SOCK_STREAM)
        s.setblocking(False)
        try:
            s.connect((to, syn_port(place, family)))
        except BlockingIOError:
            pass
        s.close()
    elif kind == "udp":
        socket.socket(af, socket.SOCK_DGRAM).sendto(text, (to, 5353))
    else:
        proto = {"icmp": 1 if family == 4 else 58, "raw": 253, "sctp": 132}[kind]
        head = struct.pack("!BBHHH", 8 if family == 4 else 128, 0, 0, 7, 1) if kind == "icmp" else b""
        if kind == "icmp" and family == 4:
            total = S.checksum(head + text)
            head = head[:2] + struct.pack("!H", total) + head[4:]
        socket.socket(af, socket.SOCK_RAW, proto).sendto(head + text, (to, 0))


def by_hand(place, kind, family, to, dev, mac, link):
    text = marker(place, kind, family)
    dst = b"\xff" * 6 if kind == "broadcast" else mac
    if kind == "odd":  # no IP at all
        link.send(dst + S.mac_of(dev) + b"\x88\xb5" + text + bytes(46))
        return
    af = socket.AF_INET if family == 4 else socket.AF_INET6
    udp = struct.pack("!HHHH", 40000, 5353, 8 + len(text), 0) + text
    ends = socket.inet_pton(af, to) * 2
    if family == 6:
        ip = struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + ends
    else:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0)
        ip = ip[:10] + struct.pack("!H", S.checksum(ip + ends)) + ends
    link.send(dst + S.mac_of(dev) + (b"\x08\x00" if family == 4 else b"\x86\xdd") + ip + udp)


def main():
    place, to4, to6 = sys.argv[1:4]
    link = None
    if len(sys.argv) > 4:
        dev, mac = sys.argv[4], bytes.fromhex(sys.argv[5].replace(":", ""))
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        link.bind((dev, 0))
    for _ in range(3):
        for family, to in ((4, to4), (6, to6)):
            for kind in KINDS:
                if kind not in FRAMES:
                    by_socket(place, kind, family, to)
                elif link:
                    by_hand(place, kind, family, to, dev, mac, link)


if __name__ == "__main__":
    main()

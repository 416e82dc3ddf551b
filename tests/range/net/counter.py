#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""counter.py IFACE: counts the frames that arrive on an interface, with the kernel's nanosecond stamps.

Runs in the network namespace of the host that it speaks for. Talks in lines of JSON: prints {"ready"};
a line {"since": ns, "until": ns} on stdin is answered by {"rows": [...], "drops": n}, one row for each
(src, dst, proto, sport, dport, marker, info) with frames, bytes, first, last. Bytes are frame lengths.
Frames that the interface sends are not counted.
"""
import json
import os
import re
import select
import socket
import struct
import sys

ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS, PACKET_AUXDATA = 263, 6, 8
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
PACKET_OUTGOING = 4
MARK = re.compile(rb"<leak:([a-z0-9_.:-]+)>")
EXTENSIONS = {0, 43, 60}


def arp(p):
    return {"proto": "arp", "src": socket.inet_ntoa(p[14:18]), "dst": socket.inet_ntoa(p[24:28]),
            "info": "request" if p[7] == 1 else "reply"}


def transport(proto, p):
    d = {"proto": {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp6", 132: "sctp"}.get(proto, f"ip{proto}")}
    if proto in (6, 17) and len(p) >= 4:
        d["sport"], d["dport"] = struct.unpack("!HH", p[:4])
        if proto == 6 and len(p) >= 14 and p[13] & 4:
            d["info"] = "rst"
    elif proto in (1, 58) and len(p) >= 2:
        d["info"] = f"{p[0]}/{p[1]}"
        if proto == 58 and p[0] in (135, 136) and len(p) >= 24:
            d["about"] = socket.inet_ntop(socket.AF_INET6, p[8:24])
    return d


def ip4(p):
    ihl = (p[0] & 15) * 4
    d = {"src": socket.inet_ntoa(p[12:16]), "dst": socket.inet_ntoa(p[16:20])}
    if struct.unpack("!H", p[6:8])[0] & 0x1FFF:
        return {**d, "proto": f"fragment{p[9]}"}
    return {**d, **transport(p[9], p[ihl:])}


def ip6(p):
    d = {"src": socket.inet_ntop(socket.AF_INET6, p[8:24]),
         "dst": socket.inet_ntop(socket.AF_INET6, p[24:40])}
    proto, at = p[6], 40
    while proto in EXTENSIONS and len(p) >= at + 2:
        proto, at = p[at], at + 8 + p[at + 1] * 8
    return {**d, **transport(proto, p[at:])}


def describe(frame):
    kind = struct.unpack("!H", frame[12:14])[0]
    try:
        d = {0x0806: arp, 0x0800: ip4, 0x86DD: ip6}[kind](frame[14:])
    except (KeyError, IndexError, struct.error, OSError):
        d = {"proto": f"ether{kind:04x}"}
    m = MARK.search(frame)
    if m:
        d["marker"] = m.group(1).decode()
    return json.dumps(d, sort_keys=True)


class Counter:
    def __init__(self, iface):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.sock.bind((iface, ETH_P_ALL))
        self.sock.setblocking(False)
        self.frames, self.drops = [], 0

    def take(self):
        for _ in range(2000):
            try:
                data, anc, _, addr = self.sock.recvmsg(2048, 256)
            except BlockingIOError:
                return
            if addr[2] == PACKET_OUTGOING:
                continue
            stamp, size = 0, len(data)
            for level, kind, value in anc:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    sec, nsec = struct.unpack("qq", value[:16])
                    stamp = sec * 10**9 + nsec
                elif level == SOL_PACKET and kind == PACKET_AUXDATA:
                    size = struct.unpack("=III", value[:12])[1]  # uncut
            self.frames.append((stamp, size, describe(data)))

    def count(self, since, until):
        self.drops += struct.unpack("II", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        rows = {}
        for stamp, size, key in self.frames:
            if since <= stamp < until:
                r = rows.setdefault(key, [0, 0, stamp, stamp])
                r[0] += 1
                r[1] += size
                r[2], r[3] = min(r[2], stamp), max(r[3], stamp)
        return [{**json.loads(k), "frames": v[0], "bytes": v[1], "first": v[2], "last": v[3]}
                for k, v in rows.items()]


def main():
    c = Counter(sys.argv[1])
    print(json.dumps({"ready": True}), flush=True)
    pending = b""
    while True:
        readable, _, _ = select.select([c.sock, 0], [], [])
        c.take()
        if 0 not in readable:
            continue
        data = os.read(0, 65536)
        if not data:
            return
        pending += data
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            ask = json.loads(line)
            while select.select([c.sock], [], [], 0)[0]:
                c.take()
            rows = c.count(ask.get("since", 0), ask.get("until", 1 << 63))
            print(json.dumps({"rows": rows, "drops": c.drops}), flush=True)


main()

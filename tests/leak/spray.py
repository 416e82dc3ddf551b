#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""spray.py send DEV GATEWAY4|MAC TARGET4 TARGET6 | spray.py count IFACE | spray.py listen PORT

send: root's ways of sending, one frame each every millisecond, in the network namespace that it runs
in; each frame carries <adv:WAY:N>, N counting up. Lines of JSON on stdin: {"way": W, "how": H, …} begins
one of HOWS, {"drop": W} ends it; each is answered by {"ok": true} or {"error": …}. {"sent": W} → {"n": N}.

count: counts those marks as they arrive on an interface: {"way": W, "since": ns} (W: how their names
begin) is answered by
{"frames": n, "first": ns, "last": ns, "by": {way: n}, "lost": n}, by the kernel's stamps. listen: the same for datagrams
that come to a port.
"""
import fcntl
import json
import os
import re
import select
import socket
import struct
import sys
import threading
import time

import send as S

ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS, PACKET_OUTGOING = 263, 6, 4
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
MARK = re.compile(rb"<adv:([a-z0-9_.-]+):(\d+)>")
EVERY = 0.001


def open_tun(name):
    t = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(t, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1001))
    return t


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


class Send:
    """HOWS: a method each; makes what one way of sending needs and returns send(payload)."""

    def __init__(self, dev, gateway, to4, to6):
        self.dev, self.gateway, self.to4, self.to6 = dev, gateway, to4, to6
        self.ways, self.sent = {}, {}
        self.mac = mac_bytes(gateway) if gateway.count(":") == 5 else S.neighbour_mac(dev, gateway)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            u.connect((to4, 9))
            self.source = u.getsockname()[0]

    def udp(self, to=None, port=5353, source=None, dev=None, mark=None):
        to = to or self.to4
        s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
        s.setblocking(False)
        if dev:
            s.setsockopt(socket.SOL_SOCKET, 25, dev.encode() + b"\0")
        if mark:
            s.setsockopt(socket.SOL_SOCKET, 36, mark)
        if source:
            s.setsockopt(socket.IPPROTO_IP, 19, 1)  # IP_TRANSPARENT
            s.bind((source, 0))
        return lambda p: s.sendto(p, (to, port))

    def udp6(self):
        return self.udp(self.to6)

    def tcp_data(self, to=None, port=80):
        """A SYN that carries data: no connection is needed for the frame to count."""
        to = to or self.to4
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        head = struct.pack("!HHIIBBHHH", 44444, port, 1, 0, 5 << 4, 2, 1024, 0, 0)
        return lambda p: s.sendto(self.ip(6, head + p, to) + head + p, (to, 0))

    def raw(self):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        return lambda p: s.sendto(self.ip(S.RAW_PROTO, p, self.to4) + p, (self.to4, 0))

    def raw6(self):
        s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, S.RAW_PROTO)
        return lambda p: s.sendto(p, (self.to6, 0))

    def icmp(self):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        head = struct.pack("!BBHHH", 8, 0, 0, 7, 7)
        return lambda p: s.sendto(head + p, (self.to4, 0))

    def ip(self, proto, payload, to, source=None):
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, 0, 64, proto, 0)
        ends = socket.inet_aton(source or self.source) + socket.inet_aton(to)
        return head[:10] + struct.pack("!H", S.checksum(head + ends)) + ends

    def frame(self, p, macs, kind=0x0800, source=None):
        udp = struct.pack("!HHHH", 40000, 5353, 8 + len(p), 0) + p
        return macs + struct.pack("!H", kind) + self.ip(17, udp, self.to4, source) + udp

    def packet(self, dev=None, source_mac=None, to_mac=None, bypass=False, **more):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        if bypass:
            s.setsockopt(SOL_PACKET, S.PACKET_QDISC_BYPASS, 1)
        s.bind((dev or self.dev, 0))
        macs = ((mac_bytes(to_mac) if to_mac else self.mac) +
                (mac_bytes(source_mac) if source_mac else S.mac_of(self.dev)))
        return lambda p: s.send(self.frame(p, macs, **more))

    def bypass(self, dev=None):
        return self.packet(dev, bypass=True)

    def via(self, link):
        """From another namespace's device: LINK@FILE, see send.py."""
        s, macs = S.packet_socket(link), self.mac + S.mac_of(self.dev)
        return lambda p: s.send(self.frame(p, macs))

    def odd(self, name="adv9"):
        """A device of a link type that nobody knows, and a datagram."""
        self.kept = open_tun(name)
        fcntl.ioctl(self.kept, 0x400454CD, 0x1234)  # TUNSETLINK
        os.system(f"ip link set {name} up")
        return self.udp()

    def tun(self, name="adv0"):
        """A tunnel device whose frames a process of the attacker puts on the card."""
        t = open_tun(name)
        os.system(f"ip link set {name} up; ip route add 203.0.113.80/32 dev {name}")
        out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        out.bind((self.dev, 0))
        head = self.mac + S.mac_of(self.dev) + b"\x08\x00"

        def pump():
            while True:
                try:
                    out.send(head + os.read(t, 2000))
                except OSError:
                    pass
        threading.Thread(target=pump, daemon=True).start()
        return self.udp("203.0.113.80")

    def add(self, way, how, **more):
        self.ways[way] = getattr(self, how.replace("-", "_"))(**more)
        self.sent.setdefault(way, 0)

    def tick(self):
        for way, f in list(self.ways.items()):
            self.sent[way] += 1
            try:
                f(f"<adv:{way}:{self.sent[way]}>".encode())
            except OSError:
                pass

    def loop(self):
        at = time.monotonic()
        while True:
            self.tick()
            at += EVERY
            now = time.monotonic()
            if at > now:
                time.sleep(at - now)
            elif now > at + 0.05:
                at = now

    def answer(self, q):
        if "sent" in q:
            return {"n": self.sent.get(q["sent"], 0)}
        if "drop" in q:
            self.ways.pop(q["drop"], None)
            return {"ok": True}
        try:
            self.add(**q)
            return {"ok": True}
        except OSError as e:
            return {"error": str(e)}


class Count:
    def __init__(self, iface):
        self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.s.bind((iface, ETH_P_ALL))
        self.seen, self.lost = {}, 0

    def take(self):
        while True:
            try:
                data, extra, _, where = self.s.recvmsg(65535, 256, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if where[2] == PACKET_OUTGOING:
                continue
            m = MARK.search(data)
            if m:
                sec, nsec = struct.unpack("qq", extra[0][2][:16])
                self.seen.setdefault(m.group(1).decode(), []).append(sec * 10**9 + nsec)

    def dropped(self):
        self.lost += struct.unpack("II", self.s.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        return self.lost

    def answer(self, q):
        self.take()
        by = {way: [t for t in times if t >= q.get("since", 0)]
              for way, times in self.seen.items() if way.startswith(q["way"])}
        v = [t for times in by.values() for t in times]
        return {"frames": len(v), "first": min(v, default=0), "last": max(v, default=0),
                "by": {way: len(times) for way, times in by.items()}, "lost": self.dropped()}


class Listen(Count):
    """What a program on the host gets."""

    def __init__(self, port):
        self.s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.s.bind(("::", int(port)))
        self.seen = {}

    def take(self):
        while True:
            try:
                data, extra, _, _ = self.s.recvmsg(65535, 256, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            m = MARK.search(data)
            if m:
                sec, nsec = struct.unpack("qq", extra[0][2][:16])
                self.seen.setdefault(m.group(1).decode(), []).append(sec * 10**9 + nsec)

    def dropped(self):
        return 0


def main():
    if sys.argv[1] == "send":
        side = Send(*sys.argv[2:])
        threading.Thread(target=side.loop, daemon=True).start()
    else:
        side = {"count": Count, "listen": Listen}[sys.argv[1]](sys.argv[2])
    print(json.dumps({"ready": True}), flush=True)
    line = b""
    while True:
        if isinstance(side, Count):
            ready, _, _ = select.select([0, side.s], [], [])
            side.take()
            if 0 not in ready:
                continue
        part = os.read(0, 65536)
        if not part:
            return
        line += part
        while b"\n" in line:
            one, line = line.split(b"\n", 1)
            print(json.dumps(side.answer(json.loads(one))), flush=True)


if __name__ == "__main__":
    main()

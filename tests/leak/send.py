#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""send.py PLACE DEV GATEWAY4 GATEWAY6 TARGET4 TARGET6 [LINK]: every way a process with root's rights
has to send a frame, a round each LEAK_EVERY seconds, in the network namespace that it runs in.

Each frame carries the marker <leak:PLACE-KIND-vN>, but for a new TCP connection, whose SYN has no
payload: it is known by the port that PORTS gives it. LINK is a veth whose other end redirects by BPF
into DEV; LINK@FILE: it is in the network namespace FILE. Prints {"ready"}; each line on stdin is answered by {"sent": {marker: n}, "errors": {…}}.
"""
import ctypes
import fcntl
import json
import os
import random
import socket
import struct
import sys
import threading
import time

PLACES = ("host", "ctr", "mac")
KINDS = ("tcp-new", "tcp-old", "udp", "raw", "packet", "bypass", "redirect")
SINK = 7000
UDP_PORT = 5353
PACKET_QDISC_BYPASS = 20
RAW_PROTO = 253


def syn_port(place, family):
    return 7100 + PLACES.index(place) * 10 + family


def marker(place, kind, family):
    return f"<leak:{place}-{kind}-v{family}>".encode()


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mac_of(dev):
    s = socket.socket()
    return fcntl.ioctl(s, 0x8927, struct.pack("256s", dev.encode()))[18:24]


def neighbour_mac(dev, address):
    """The link address of the gateway, from the neighbour table (asked for by a datagram first)."""
    import subprocess
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _ in range(50):
        socket.socket(family, socket.SOCK_DGRAM).sendto(b"", (address, 9))
        out = subprocess.run(["ip", "-j", "neigh", "show", address, "dev", dev],
                             capture_output=True, text=True, check=True).stdout
        for n in json.loads(out or "[]"):
            if n.get("lladdr"):
                return bytes.fromhex(n["lladdr"].replace(":", ""))
        time.sleep(0.1)
    raise SystemExit(f"no link address for {address} on {dev}")


def packet_socket(link):
    """Bound to LINK or LINK@FILE; a socket stays in the namespace in which it was made."""
    dev, _, other = link.partition("@")
    with open("/proc/thread-self/ns/net", "rb") as here, open(other or here.name, "rb") as there:
        libc = ctypes.CDLL(None, use_errno=True)
        if other and libc.setns(there.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), f"setns {other}")
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        s.bind((dev, 0))
        if other and libc.setns(here.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), "setns back")
    return s


class Sender:
    def __init__(self, place, dev, gw4, gw6, to4, to6, link=None):
        self.place, self.dev, self.link = place, dev, link
        self.to = {4: to4, 6: to6}
        self.sent, self.errors = {}, {}
        self.source, self.gateway, self.old = {}, {}, {}
        for family, gw in ((4, gw4), (6, gw6)):
            af = socket.AF_INET if family == 4 else socket.AF_INET6
            self.gateway[family] = neighbour_mac(dev, gw)
            u = socket.socket(af, socket.SOCK_DGRAM)
            u.connect((self.to[family], 9))
            self.source[family] = u.getsockname()[0]
            self.old[family] = socket.create_connection((self.to[family], SINK), 5)
            self.old[family].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.old[family].setblocking(False)
        self.packet = packet_socket(dev)
        self.bypass = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.bypass.setsockopt(263, PACKET_QDISC_BYPASS, 1)
        self.bypass.bind((dev, 0))
        if link:
            self.via = packet_socket(link)

    def af(self, family):
        return socket.AF_INET if family == 4 else socket.AF_INET6

    def ip_header(self, family, proto, size):
        src = socket.inet_pton(self.af(family), self.source[family])
        dst = socket.inet_pton(self.af(family), self.to[family])
        if family == 6:
            return struct.pack("!IHBB", 6 << 28, size, proto, 64) + src + dst
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, random.randrange(65536), 0, 64, proto, 0)
        total = checksum(head + src + dst)
        return head[:10] + struct.pack("!H", total) + src + dst

    def frame(self, family, payload):
        udp = struct.pack("!HHHH", 40000, UDP_PORT, 8 + len(payload), 0) + payload
        src = socket.inet_pton(self.af(family), self.source[family])
        dst = socket.inet_pton(self.af(family), self.to[family])
        total = checksum(src + dst + struct.pack("!IxxxB", len(udp), 17) + udp) or 0xFFFF
        udp = udp[:6] + struct.pack("!H", total) + udp[8:]
        kind = struct.pack("!H", 0x0800 if family == 4 else 0x86DD)
        return (self.gateway[family] + mac_of(self.dev) + kind +
                self.ip_header(family, 17, len(udp)) + udp)

    # One method a kind; the keys of KINDS.

    def tcp_new(self, family, payload):
        s = socket.socket(self.af(family), socket.SOCK_STREAM)
        s.setblocking(False)
        try:
            s.connect((self.to[family], syn_port(self.place, family)))
        except BlockingIOError:
            pass
        finally:
            s.close()

    def tcp_old(self, family, payload):
        self.old[family].send(payload)

    def udp(self, family, payload):
        with socket.socket(self.af(family), socket.SOCK_DGRAM) as s:
            s.sendto(payload, (self.to[family], UDP_PORT))

    def raw(self, family, payload):
        if family == 4:
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
                s.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
                s.sendto(self.ip_header(4, RAW_PROTO, len(payload)) + payload, (self.to[4], 0))
        else:
            with socket.socket(socket.AF_INET6, socket.SOCK_RAW, RAW_PROTO) as s:
                s.sendto(payload, (self.to[6], 0))

    def packet_frame(self, family, payload):
        self.packet.send(self.frame(family, payload))

    def bypass_frame(self, family, payload):
        self.bypass.send(self.frame(family, payload))

    def redirect(self, family, payload):
        self.via.send(self.frame(family, payload))

    def round(self):
        jobs = {"tcp-new": self.tcp_new, "tcp-old": self.tcp_old, "udp": self.udp, "raw": self.raw,
                "packet": self.packet_frame, "bypass": self.bypass_frame, "redirect": self.redirect}
        for kind in KINDS:
            for family in (4, 6):
                name = f"{self.place}-{kind}-v{family}"
                try:
                    jobs[kind](family, marker(self.place, kind, family))
                    self.sent[name] = self.sent.get(name, 0) + 1
                except OSError as e:
                    self.errors.setdefault(name, {}).setdefault(e.strerror or str(e), 0)
                    self.errors[name][e.strerror or str(e)] += 1


def main():
    s = Sender(*sys.argv[1:])
    pause = float(os.environ.get("LEAK_EVERY", "0.1"))

    def loop():
        while True:
            s.round()
            time.sleep(pause)

    threading.Thread(target=loop, daemon=True).start()
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"sent": s.sent, "errors": s.errors}), flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""early.py DEV TARGET4 TARGET6: sends from the first moment of the boot, fifty times a second: UDP,
and frames past every socket filter (AF_PACKET, with and without the queue). Runs as a unit of sysinit.
What it sends bears <leak:early-KIND-vN>; what cannot be sent yet is tried again."""
import contextlib
import socket
import struct
import sys
import time

PORT = 5353
PACKET_QDISC_BYPASS = 20


def datagram(family, target):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.setblocking(False)
        s.sendto(f"<leak:early-udp-v{4 if family == socket.AF_INET else 6}>".encode(), (target, PORT))


def frame(dev, bypass):
    """To everybody, with a protocol number of nobody: no address is needed for it."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.setsockopt(263, PACKET_QDISC_BYPASS, bypass)
        s.bind((dev, 0))
        kind = "bypass" if bypass else "packet"
        s.send(b"\xff" * 6 + b"\x02" + b"\0" * 5 + struct.pack("!H", 0x88B5) +
               f"<leak:early-{kind}-v4>".encode().ljust(46, b"\0"))


def main():
    dev, target4, target6 = sys.argv[1:]
    jobs = [lambda: datagram(socket.AF_INET, target4), lambda: datagram(socket.AF_INET6, target6),
            lambda: frame(dev, 0), lambda: frame(dev, 1)]
    while True:
        for job in jobs:
            with contextlib.suppress(OSError):
                job()
        time.sleep(0.02)


main()

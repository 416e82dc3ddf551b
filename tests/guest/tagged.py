#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""tagged.py DEV VLAN ADDRESS: three frames of a VLAN that this host need not have, straight to the card,
with and without the queue: <leak:tagged-packet-v4>, <leak:tagged-bypass-v4>."""
import contextlib
import socket
import struct
import sys

PACKET_QDISC_BYPASS = 20


def main():
    dev, vlan, address = sys.argv[1], int(sys.argv[2]), socket.inet_aton(sys.argv[3])
    for kind, bypass in (("packet", 0), ("bypass", 1)):
        data = f"<leak:tagged-{kind}-v4>".encode()
        udp = struct.pack("!HHHH", 4000, 5353, 8 + len(data), 0) + data
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes(4), address)
        frame = b"\xff" * 6 + b"\x02" + bytes(5) + struct.pack("!HHH", 0x8100, vlan, 0x0800) + ip + udp
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
            s.setsockopt(263, PACKET_QDISC_BYPASS, bypass)
            s.bind((dev, 0))
            for _ in range(3):
                with contextlib.suppress(OSError):  # a drop at the queue is told to who sends
                    s.send(frame)


main()

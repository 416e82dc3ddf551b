#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""dhcpd.py IFACE SERVER CLIENT LEASE: one lease of LEASE seconds for whoever asks; renewal after a
third. Real servers do not lease for less than minutes. Answers a line on stdin by {"acks": n}."""
import json
import select
import socket
import struct
import sys

COOKIE = b"\x63\x82\x53\x63"


def options(data):
    found, i = {}, 0
    while i < len(data) and data[i] != 255:
        if data[i] == 0:
            i += 1
            continue
        found[data[i]] = data[i + 2:i + 2 + data[i + 1]]
        i += 2 + data[i + 1]
    return found


def reply(ask, server, client, lease):
    kind = options(ask[240:]).get(53, b"\0")[0]
    answer = {1: 2, 3: 5}.get(kind)
    if answer is None:
        return None, 0
    ip = socket.inet_aton
    head = bytes([2]) + ask[1:4] + ask[4:8] + ask[8:12] + ask[12:16] + ip(client) + ip(server) + \
        ask[24:28] + ask[28:44] + bytes(192) + COOKIE

    def option(code, value):
        return bytes([code, len(value)]) + value

    opts = (option(53, bytes([answer])) + option(54, ip(server)) + option(51, struct.pack("!I", lease)) +
            option(58, struct.pack("!I", lease // 3)) + option(59, struct.pack("!I", lease * 2 // 3)) +
            option(1, ip("255.255.255.0")) + option(3, ip(server)) + b"\xff")
    return head + opts, answer


def main():
    dev, server, client, lease = sys.argv[1:]
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, dev.encode())
    s.bind(("", 67))
    acks = 0
    print(json.dumps({"ready": True}), flush=True)
    while True:
        readable, _, _ = select.select([s, sys.stdin], [], [])
        if sys.stdin in readable:
            if not sys.stdin.readline():
                return
            print(json.dumps({"acks": acks}), flush=True)
        if s in readable:
            data, _ = s.recvfrom(2048)
            out, kind = reply(data, server, client, int(lease))
            if out:
                renewing = data[12:16] != bytes(4)
                s.sendto(out, (client if renewing else "255.255.255.255", 68))
                acks += kind == 5


main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the seed corpora of the fuzz targets that read names into tests/fuzz/corpus.

The same sources give the same bytes. Run it after adding a kind.
"""
import os
import re
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


def put(target, name, data):
    d = os.path.join(HERE, "corpus", target)
    os.makedirs(d, exist_ok=True)
    with open(os.path.join(d, name), "wb") as f:
        f.write(data)


# ---- DNS ----

def dns_name(text):
    return b"".join(bytes([len(x)]) + x.encode() for x in text.split(".") if x) + b"\0"


def dns_record(owner, kind, data, cls=1):
    return owner + struct.pack(">HHIH", kind, cls, 60, len(data)) + data


def dns_message(flags, question, answers=(), additional=()):
    return struct.pack(">6H", 0x1234, flags, 1 if question else 0, len(answers), 0,
                       len(additional)) + question + b"".join(answers) + b"".join(additional)


Q_A = dns_name("www.Example.org") + b"\0\1\0\1"
BACK = b"\xc0\x0c"
DNS = {
    "query": dns_message(0x0100, Q_A),
    "edns": dns_message(0x0120, Q_A, (), [dns_record(b"\0", 41, b"", 1232)]),
    "answer": dns_message(0x8180, Q_A, [dns_record(BACK, 1, bytes([192, 0, 2, 1]))]),
    "aliases": dns_message(0x8180, Q_A, [
        dns_record(BACK, 5, dns_name("a.cdn.example")),
        dns_record(dns_name("a.cdn.example"), 5, b"\1b" + BACK),
        dns_record(b"\1b" + BACK, 28, bytes(range(16))),
        dns_record(b"\1b" + BACK, 1, bytes([198, 51, 100, 1]))]),
    "alias_behind": dns_message(0x8180, Q_A, [
        dns_record(dns_name("b"), 1, bytes([192, 0, 2, 1])), dns_record(BACK, 5, dns_name("b"))]),
    "nxdomain": dns_message(0x8183, Q_A),
    "truncated": dns_message(0x8380, Q_A, [dns_record(BACK, 1, bytes(4))])[:-3],
    "binary": dns_message(0x0100, bytes([63]) + bytes(63) + bytes([63]) + bytes([255] * 63) + b"\0\0\x10\0\1"),
    "loop": dns_message(0x0100, b"\1a\xc0\x0c\0\1\0\1"),
    "mdns": dns_message(0x8400, b"", [dns_record(dns_name("host.local"), 1, bytes(4), 0x8001)]),
}


# ---- TLS ----

def u16(data):
    return struct.pack(">H", len(data)) + data


def extension(kind, data):
    return struct.pack(">H", kind) + u16(data)


def server_name(name):
    return extension(0, u16(b"\0" + u16(name)))


def client_hello(*extensions):
    body = b"\3\3" + bytes(32) + b"\0" + u16(b"\x13\1") + b"\1\0" + u16(b"".join(extensions))
    return b"\1" + struct.pack(">I", len(body))[1:] + body


def records(message, size=16384):
    return b"".join(b"\x16\3\1" + u16(message[i:i + size]) for i in range(0, len(message), size))


ALPN = extension(16, u16(b"\2h2\x08http/1.1"))
ECH = extension(0xFE0D, bytes(8))
HELLO = client_hello(server_name(b"www.Example.org"), ALPN)
TLS = {
    "plain": records(HELLO),
    "no_extensions": records(client_hello()),
    "ech": records(client_hello(ECH, server_name(b"front.example"))),
    "two_records": records(HELLO, 40),
    "many_records": records(HELLO, 3),
    "half": records(HELLO)[:60],
    "twice": records(client_hello(ALPN, ALPN)),
    "address": records(client_hello(server_name(b"192.0.2.1"))),
    "server": records(b"\2\0\0\x46\3\3" + bytes(68)),
    "alert": b"\x15\3\3\0\2\2\x28",
    "message": HELLO,
}


# ---- QUIC ----

def vectors():
    """The datagrams of the unit tests."""
    page = open(os.path.join(TOP, "src/wire/quic_vectors.h"), encoding="ascii").read()
    return {name: bytes.fromhex("".join(re.findall(r'"([0-9a-f]+)"', body)))
            for name, body in re.findall(r"char (\w+)\[\] =\n(.*?);", page, re.S)}


FRAMES = {
    "frames_crypto": bytes.fromhex("010006000361626306030164000000"),
    "frames_ack": bytes.fromhex("020700010300000103070000000102031c0100023132060501ff"),
    "frames_far": bytes.fromhex("06c0000000ffffffff0100"),
    "long_headers": bytes.fromhex("d000000001000015" + "00" * 21 + "e06b3343cf000015" + "00" * 21 +
                                  "f000000001000074657374"),
}


def main():
    for name, data in {**vectors(), **FRAMES}.items():
        put("quic", name, data)
    for name, data in TLS.items():
        put("tls", name, data)
    for name, data in DNS.items():
        put("dns", name, bytes([name == "truncated"]) + data)


if __name__ == "__main__":
    main()

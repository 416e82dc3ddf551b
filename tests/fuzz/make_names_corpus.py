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


# ---- HTTP and whatever else ----

HTTP = {
    "origin": b"GET / HTTP/1.1\r\nHost: Web.example.net:8080\r\nAccept: */*\r\n\r\n",
    "absolute": b"GET http://u@far.example.net:81/x HTTP/1.1\r\nHost: b\r\n\r\n",
    "connect": b"CONNECT a.example:443 HTTP/1.1\r\n\r\n",
    "folded": b"POST /x HTTP/1.0\nHost: a\n b\n\n",
    "twice": b"PUT / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "half": b"PROPFIND /",
}
NTP_UP = bytes.fromhex("23000620") + bytes(36) + bytes.fromhex("83aa7e8012345678")
NTP_DOWN = bytes.fromhex("240206e800000a0000000f00c0000201e5f0000000000000") + bytes(8) + \
    bytes.fromhex("e5f0000100000000e5f0000100010000")
APP = {
    "ssh": (2, b"SSH-2.0-OpenSSH_9.2\r\n"),
    "smtp": (0, b"220 mx.example ESMTP Postfix\r\n"),
    "ehlo": (2, b"EHLO a.example\r\n"),
    "ftp": (0, b"220 (vsFTPd 3.0.3)\r\n"),
    "rdp_asks": (2, bytes.fromhex("030000130ee000000000000100080003000000")),
    "rdp_cookie": (2, bytes.fromhex("030000211ce00000000000") + b"Cookie: mstshash=abc\r\n"),
    "rdp_answers": (0, bytes.fromhex("030000130ed000001234 00021f080002000000".replace(" ", ""))),
    "smb": (2, bytes.fromhex("00000024fe534d42") + bytes(32)),
    "http": (0, b"HTTP/1.1 200 OK\r\n"),
    "ntp_asks": (3, NTP_UP),
    "ntp_answers": (1, NTP_DOWN),
    "dns": (3, DNS["edns"]),
    "tls": (2, TLS["two_records"]),
}


# ---- packets ----

UDP, UP, PORT_53, PORT_5353, CUT = 1, 2, 4, 8, 16


def packets(*list_of):
    return b"".join(struct.pack(">BHH", flags, 0x8000 + seq, len(p)) + p for flags, seq, p in list_of)


def inspections():
    v, hello, query = vectors(), TLS["plain"], DNS["query"]
    tcp_dns = u16(DNS["aliases"]) + u16(DNS["answer"])
    web = HTTP["origin"]
    return {
        "tls": packets((UP, 0, hello)),
        "tls_two": packets((UP, 0, hello[:50]), (UP, 50, hello[50:])),
        "tls_backwards": packets((UP, 50, hello[50:]), (UP, 0, hello[:50])),
        "tls_cut": packets((UP | CUT, 0, hello[:50])),
        "tls_lost": packets((UP, 0, hello[:50]), (0, 0, TLS["server"])),
        "http": packets((UP, 0, web[:20]), (UP, 20, web[20:])),
        "quic": packets((UDP | UP, 0, v["chaos"].ljust(1200, b"\0"))),
        "quic_two": packets((UDP | UP, 0, v["aioquic_1"]), (UDP | UP, 0, v["aioquic_2"])),
        "dns": packets((UDP | UP | PORT_53, 0, query), (UDP | PORT_53, 0, DNS["aliases"])),
        "mdns": packets((UDP | UP | PORT_5353, 0, DNS["mdns"])),
        "dns_tcp": packets((PORT_53, 0, tcp_dns[:30]), (PORT_53, 20, tcp_dns[20:]),
                           (PORT_53, len(tcp_dns), tcp_dns)),
        "dns_tcp_giant": packets((PORT_53, 0, b"\x20\0" + tcp_dns[2:]),
                                 (PORT_53 | CUT, len(tcp_dns), tcp_dns)),
        "smtp": packets((0, 0, APP["smtp"][1]), (UP, 0, APP["ehlo"][1])),
    }


def main():
    for name, data in inspections().items():
        put("inspect", name, data)
    for name, data in HTTP.items():
        put("http", name, bytes([name == "half"]) + data)
    for name, (where, data) in APP.items():
        put("app", name, bytes([where]) + data)
    put("app", "quic", b"\3" + vectors()["rfc9369_a2"])
    for name, data in {**vectors(), **FRAMES}.items():
        put("quic", name, data)
    for name, data in TLS.items():
        put("tls", name, data)
    for name, data in DNS.items():
        put("dns", name, bytes([name == "truncated"]) + data)


if __name__ == "__main__":
    main()

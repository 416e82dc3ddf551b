# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes small databases in MaxMind's format (DB File Format Specification 2.0), IPv4, for tests."""
import ipaddress
import struct

END = b"\xab\xcd\xefMaxMind.com"


def control(kind, size):
    more = b""
    if size >= 29:
        assert size < 29 + 256
        more, size = bytes([size - 29]), 29
    if kind > 7:
        return bytes([size, kind - 7]) + more
    return bytes([kind << 5 | size]) + more


def data(v):
    if isinstance(v, str):
        raw = v.encode()
        return control(2, len(raw)) + raw
    if isinstance(v, tuple):  # a number, and which kind: 5 uint16, 6 uint32, 9 uint64
        raw = v[0].to_bytes((v[0].bit_length() + 7) // 8, "big")
        return control(v[1], len(raw)) + raw
    if isinstance(v, list):
        return control(11, len(v)) + b"".join(data(x) for x in v)
    assert isinstance(v, dict)
    return control(7, len(v)) + b"".join(data(k) + data(x) for k, x in v.items())


def write(path, name, rows):
    """rows: {"192.0.2.0/24": {...}}; no prefix inside another."""
    nodes, section, offsets = [[None, None]], b"", {}
    for prefix, value in rows.items():
        net, at = ipaddress.IPv4Network(prefix), 0
        offsets[prefix] = len(section)
        section += data(value)
        for i in range(net.prefixlen):
            bit = int(net.network_address) >> (31 - i) & 1
            if i == net.prefixlen - 1:
                nodes[at][bit] = prefix
            else:
                if nodes[at][bit] is None:
                    nodes.append([None, None])
                    nodes[at][bit] = len(nodes) - 1
                at = nodes[at][bit]
    count = len(nodes)

    def record(r):
        v = count if r is None else r if isinstance(r, int) else count + 16 + offsets[r]
        return struct.pack(">I", v)[1:]

    tree = b"".join(record(r) for node in nodes for r in node)
    meta = {"binary_format_major_version": (2, 5), "binary_format_minor_version": (0, 5), "build_epoch": (1, 9),
            "database_type": name, "ip_version": (4, 5), "node_count": (count, 6), "record_size": (24, 5),
            "languages": ["en"], "description": {"en": "test"}}
    with open(path, "wb") as f:
        f.write(tree + bytes(16) + section + END + data(meta))

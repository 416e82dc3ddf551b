# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of small networks, and a capture to put them in: what tests/eval/make.py draws with.

A capture is what a tap beside the clients would write: TCP with handshakes, sequence and
acknowledgement numbers, delayed ACKs, now and then a retransmission; large transfers as the frames
of up to 64 KB that segmentation offload hands to a tap, cut at SNAP bytes. Same seed, same bytes.
"""
import ipaddress
import random
import struct

EPOCH = 1772438400  # 2026-03-02 08:00:00 UTC
SNAP = 160          # bytes kept of bulk frames; all others are whole
MSS = 1448
OFFLOAD = 45 * MSS
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack(f">{len(data) // 2}H", data))
    s = (s & 0xffff) + (s >> 16)
    return ~(s + (s >> 16)) & 0xffff


def packed(ip):
    return ipaddress.ip_address(ip).packed


def inside(ip):
    """The documentation prefixes play the Internet; Python counts them as private."""
    a = ipaddress.ip_address(ip)
    return a.is_private and not str(a).startswith(("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:"))


def mac(ip):
    """Hosts inside have a card of their own, the rest comes from the router."""
    return b"\x02\x11" + (packed(ip)[-4:] if inside(ip) else b"\0\0\0\1")


class Capture:
    def __init__(self, name):
        self.rng = random.Random(f"stanch-eval-{name}")
        self.frames = []  # (time, order, bytes kept, length on the wire)
        self.ids = {}
        self.ports = {}
        self.streams = {}

    def stream(self, name):
        """A generator of its own, so that more background does not change the rest."""
        return self.streams.setdefault(name, random.Random(self.rng.random()))

    def port(self, ip):
        """The next ephemeral port of a host, as Linux and Windows nearly give them."""
        last = self.ports.get(ip) or self.rng.randrange(33000, 60000)
        self.ports[ip] = 32768 + (last - 32768 + self.rng.choice((1, 2, 2, 4, 7))) % 28000
        return self.ports[ip]

    def frame(self, t, data, wire=None):
        self.frames.append((t, len(self.frames), data, wire or max(60, len(data))))

    def ip(self, t, src, dst, proto, payload, more=0, ttl=None, dst_mac=None):
        """more: bytes of payload on the wire beyond those given."""
        a, b = packed(src), packed(dst)
        length = len(payload) + more
        if len(a) == 4:
            n = self.ids[src] = (self.ids.get(src, self.rng.randrange(65536)) + 1) & 0xffff
            head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, min(65535, 20 + length), n, 0x4000,
                               ttl or (64 if inside(src) else 52), proto, 0, a, b)
            head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
            kind = 0x0800
        else:
            head = struct.pack(">IHBB16s16s", 6 << 28, min(65535, length), proto,
                               ttl or (64 if inside(src) else 52), a, b)
            kind = 0x86dd
        data = (dst_mac or mac(dst)) + mac(src) + struct.pack(">H", kind) + head + payload
        wire = len(data) + more
        self.frame(t, data[:SNAP] if more else data + b"\0" * max(0, 60 - len(data)), max(60, wire))

    def _l4(self, src, dst, proto, payload, at):
        a, b = packed(src), packed(dst)
        pseudo = a + b + struct.pack(">II", len(payload), proto)
        c = checksum(pseudo + payload)
        if proto == 17 and c == 0:
            c = 0xffff
        return payload[:at] + struct.pack(">H", c) + payload[at + 2:]

    def udp(self, t, src, sport, dst, dport, payload, more=0, **kw):
        d = struct.pack(">HHHH", sport, dport, 8 + len(payload) + more, 0) + payload
        if not more:
            d = self._l4(src, dst, 17, d, 6)
        self.ip(t, src, dst, 17, d, more, **kw)

    def echo(self, t, src, dst, ident, seq, payload, reply=False):
        d = struct.pack(">BBHHH", 0 if reply else 8, 0, 0, ident, seq) + payload
        d = d[:2] + struct.pack(">H", checksum(d)) + d[4:]
        self.ip(t, src, dst, 1, d)

    def arp(self, t, src, dst, answer=True):
        q = struct.pack(">HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, mac(src), packed(src), b"\0" * 6,
                        packed(dst))
        self.frame(t, b"\xff" * 6 + mac(src) + b"\x08\x06" + q + b"\0" * 18)
        if answer:
            r = struct.pack(">HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, mac(dst), packed(dst), mac(src),
                            packed(src))
            self.frame(t + 0.0003, mac(src) + mac(dst) + b"\x08\x06" + r + b"\0" * 18)

    def write(self, path):
        out = [struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1)]
        for t, _, data, wire in sorted(self.frames):
            usec = round(t * 1e6)
            out.append(struct.pack("<IIII", EPOCH + usec // 1000000, usec % 1000000, len(data), wire))
            out.append(data)
        blob = b"".join(out)
        with open(path, "wb") as f:
            f.write(blob)
        return len(blob)


class Tcp:
    """One connection; t runs on with what is sent. rtt: seconds to the server and back."""

    def __init__(self, cap, t, client, server, port, rtt=None, cport=None, loss=0.004):
        self.cap, self.t, self.c, self.s = cap, t, client, server
        self.rng = cap.stream("tcp")
        self.rtt = rtt or self.rng.uniform(0.012, 0.07)
        self.loss = loss
        self.ports = {client: cport or cap.port(client), server: port}
        self.seq = {client: self.rng.getrandbits(32), server: self.rng.getrandbits(32)}
        self.base = {client: self.rng.getrandbits(30), server: self.rng.getrandbits(30)}
        self.echoed = {client: 0, server: 0}

    def other(self, who):
        return self.s if who == self.c else self.c

    def segment(self, t, who, flags, payload=b"", more=0, seq=None, options=b""):
        peer = self.other(who)
        val = (self.base[who] + int(t * 1000)) & 0xffffffff
        options = options or b"\1\1\x08\x0a" + struct.pack(">II", val, self.echoed[who])
        ack = self.seq[peer] if flags & ACK else 0
        seq = self.seq[who] if seq is None else seq
        d = struct.pack(">HHIIBBHHH", self.ports[who], self.ports[peer], seq & 0xffffffff,
                        ack & 0xffffffff, (20 + len(options)) // 4 << 4, flags, 501, 0, 0)
        d += options + payload
        if not more:
            d = self.cap._l4(who, peer, 6, d, 16)
        self.cap.ip(t, who, peer, 6, d, more)
        self.echoed[peer] = val

    def syn_options(self, who):
        val = (self.base[who] + int(self.t * 1000)) & 0xffffffff
        return (b"\x02\x04\x05\xb4\x04\x02\x08\x0a" + struct.pack(">II", val, self.echoed[who]) +
                b"\1\x03\x03\x07")

    def open(self):
        self.segment(self.t, self.c, SYN, options=self.syn_options(self.c))
        self.seq[self.c] += 1
        self.t += self.rtt
        self.segment(self.t, self.s, SYN | ACK, options=self.syn_options(self.s))
        self.seq[self.s] += 1
        self.t += 0.0002
        self.segment(self.t, self.c, ACK)
        return self

    def send(self, who, payload=b"", size=None, rate=6e6):
        """payload whole, or `size` bytes that begin with it, at `rate` bytes a second."""
        left = len(payload) if size is None else max(size, len(payload))
        unacked, near = 0, who == self.c
        while left:
            n = min(left, OFFLOAD if left > 4 * MSS else MSS)
            data = payload[:min(n, 600)]
            payload = payload[n:]
            data += self.rng.randbytes(min(max(0, 90 - len(data)), n - len(data)))
            lost = self.rng.random() < self.loss
            self.segment(self.t, who, PSH | ACK if n == left else ACK, data, n - len(data))
            if lost:  # seen by the tap, not by the peer: again after the timer
                self.t += max(0.2, 2 * self.rtt)
                self.segment(self.t, who, PSH | ACK, data, n - len(data))
            self.seq[who] += n
            left -= n
            unacked += 1
            self.t += n / rate
            if unacked >= 2 or not left:
                late = self.rtt if near else self.rng.choice((0.0003, 0.0003, 0.04))
                self.segment(self.t + late * (0.5 if left else 1), self.other(who), ACK)
                unacked = 0
        self.t += self.rtt if near else 0.0005
        return self

    def wait(self, seconds):
        self.t += seconds
        return self

    def close(self, first=None):
        a = first or self.c
        b = self.other(a)
        self.segment(self.t, a, FIN | ACK)
        self.seq[a] += 1
        self.t += self.rtt if a == self.c else 0.0003
        self.segment(self.t, b, FIN | ACK)
        self.seq[b] += 1
        self.t += self.rtt if b == self.c else 0.0003
        self.segment(self.t, a, ACK)
        return self

    def reset(self, who=None):
        self.segment(self.t, who or self.s, RST | ACK)
        return self


def refused(cap, t, src, dst, port, rtt=0.0004):
    c = Tcp(cap, t, src, dst, port, rtt)
    c.segment(t, src, SYN, options=c.syn_options(src))
    c.seq[src] += 1
    c.segment(t + rtt, dst, RST | ACK)


def unanswered(cap, t, src, dst, port, tries=3):
    c = Tcp(cap, t, src, dst, port)
    for i in range(tries):
        c.t = t + (1, 2, 4, 8, 16, 32, 64)[i] - 1
        c.segment(c.t, src, SYN, options=c.syn_options(src))


# ---- TLS -----------------------------------------------------------------------------------------

def record(kind, body, version=0x0303):
    return struct.pack(">BHH", kind, version, len(body)) + body


def extension(kind, body):
    return struct.pack(">HH", kind, len(body)) + body


def client_hello(rng, sni):
    ciphers = (0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014)
    body = b"\x03\x03" + rng.randbytes(32) + b"\x20" + rng.randbytes(32)
    body += struct.pack(">H", 2 * len(ciphers)) + b"".join(struct.pack(">H", c) for c in ciphers)
    body += b"\x01\x00"
    ext = b""
    if sni:
        name = sni.encode()
        ext += extension(0, struct.pack(">HBH", len(name) + 3, 0, len(name)) + name)
    ext += extension(10, b"\0\x06\0\x1d\0\x17\0\x18") + extension(11, b"\x01\x00")
    ext += extension(13, b"\0\x08\x04\x03\x08\x04\x04\x01\x05\x03") + extension(16, b"\0\x0c\x02h2\x08http/1.1")
    ext += extension(43, b"\x04\x03\x04\x03\x03") + extension(51, b"\0\x24\0\x1d\0\x20" + rng.randbytes(32))
    body += struct.pack(">H", len(ext)) + ext
    return record(22, b"\x01" + struct.pack(">I", len(body))[1:] + body, 0x0301)


def server_hello(rng):
    body = b"\x03\x03" + rng.randbytes(32) + b"\x20" + rng.randbytes(32) + b"\x13\x01\0"
    ext = extension(43, b"\x03\x04") + extension(51, b"\0\x1d\0\x20" + rng.randbytes(32))
    body += struct.pack(">H", len(ext)) + ext
    return record(22, b"\x02" + struct.pack(">I", len(body))[1:] + body) + record(20, b"\x01")


def sealed(rng, size):
    """The beginning of what is sealed in application records, `size` bytes with the first header."""
    return struct.pack(">BHH", 23, 0x0303, min(size - 5, 16401)) + rng.randbytes(min(size - 5, 400))


class Tls(Tcp):
    def handshake(self, sni, cert=2900):
        self.open()
        self.send(self.c, client_hello(self.rng, sni))
        hello = server_hello(self.rng)
        self.send(self.s, hello + sealed(self.rng, cert - len(hello)), size=cert)
        self.send(self.c, record(20, b"\x01") + record(23, self.rng.randbytes(53)))
        return self

    def say(self, who, n, rate=6e6):
        """n bytes, and what TLS 1.3 puts round them."""
        return self.send(who, sealed(self.rng, n + 22), size=n + 22, rate=rate)


def https(cap, t, client, server, sni, exchanges, port=443, rate=6e6, rtt=None):
    """A connection with (up, down, pause) exchanges; when it ended."""
    c = Tls(cap, t, client, server, port, rtt).handshake(sni)
    for up, down, pause in exchanges:
        c.say(c.c, up, rate)
        c.wait(c.rng.uniform(0.005, 0.06))
        if down:
            c.say(c.s, down, rate)
        c.wait(pause)
    return c.close().t


# ---- DNS -----------------------------------------------------------------------------------------

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "NULL": 10, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}


def labels(name):
    return b"".join(bytes([len(x)]) + x.encode("latin-1") for x in name.split(".") if x) + b"\0"


def dns(cap, t, client, server, name, qtype="A", answers=(), rcode=0, port=None, rtt=None, dport=53):
    """A query and, unless answers is None, its response: (type, rdata) each. When it ended."""
    rng = cap.stream("dns")
    ident = rng.getrandbits(16)
    question = labels(name) + struct.pack(">HH", TYPES[qtype], 1)
    sport = port or rng.randrange(32768, 61000)
    cap.udp(t, client, sport, server, dport,
            struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 1) + question + b"\0\0\x29\x04\xd0\0\0\0\0\0\0")
    if answers is None:
        return t
    t += rtt or rng.choice((0.0006, 0.0008, rng.uniform(0.01, 0.05)))
    body = b"".join(struct.pack(">HHHIH", 0xc00c, TYPES[k], 1, rng.randrange(30, 3600), len(d)) + d
                    for k, d in answers)
    cap.udp(t, server, dport, client, sport,
            struct.pack(">HHHHHH", ident, 0x8180 | rcode, 1, len(answers), 0, 0) + question + body)
    return t


def resolve(cap, t, client, resolver, name, ip):
    """A and AAAA, as a stub resolver asks."""
    v4 = "." in ip
    end = dns(cap, t, client, resolver, name, "A", [("A", packed(ip))] if v4 else [])
    dns(cap, t + 0.0001, client, resolver, name, "AAAA", [] if v4 else [("AAAA", packed(ip))])
    return end + 0.001


def txt(data):
    return b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255))

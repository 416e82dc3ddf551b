#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes labelled captures for the evaluation: make.py DIRECTORY [NAME…], and labels.tsv beside them.

What is malicious here follows what such tools do on the wire (periods, jitter, encodings, packet
sizes), what is benign what desks, servers and things do all day; both are drawn without looking at
how stanch scores, and mixed into the same background. Same names, same bytes. CASES is the table:
label, family, kinds that may be found, the pair that is the truth. Within each label and family the
cases go in turn to the half that may be used for tuning and the one that is reported.
"""
import base64
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import net  # noqa: E402
from net import Capture, Tcp, Tls, dns, https, packed, refused, resolve, unanswered  # noqa: E402

MINUTE, HOUR = 60.0, 3600.0
RESOLVER = "192.168.10.1"
DESKS = [f"192.168.10.{n}" for n in range(31, 39)]
FILES, PRINTER = "192.168.10.20", "192.168.10.25"
VICTIM = DESKS[2]
WORDS = ("news", "shop", "maps", "mail", "video", "wiki", "code", "music", "photo", "bank", "cloud", "forum")
SITES = [(f"{h}.{w}.example", f"203.0.113.{10 + 3 * i + j}") for i, w in enumerate(WORDS)
         for j, h in enumerate(("www", "static", "api"))]

CASES = {}


def case(label, family, kinds="", src=VICTIM, dest=None, half=None):
    """kinds: any of them is a true finding; dest None: any address, or none for a benign case. half None:
    in its turn."""
    def add(f):
        CASES[f.__name__] = (f, label, family, kinds, src if label == "malicious" else None, dest, half)
        return f
    return add


def malicious(family, kinds, dest, src=VICTIM, half=None):
    return case("malicious", family, kinds, src, dest, half)


def benign(family, half=None):
    return case("benign", family, half=half)


# ---- what goes on anyway -------------------------------------------------------------------------

def browse(cap, r, t, host, site=None):
    name, ip = site or r.choice(SITES)
    t = resolve(cap, t, host, RESOLVER, name, ip)
    return https(cap, t, host, ip, name, [
        (r.randrange(250, 2200), int(r.lognormvariate(9.5, 1.5)) % 900000 + 300, r.expovariate(1 / 2.5))
        for _ in range(r.randrange(1, 7))])


def ntp(cap, t, client, server):
    x = b"\x23\x02\x06\xec" + b"\0" * 36 + net.random.Random(t).randbytes(8)
    sport = 123
    cap.udp(t, client, sport, server, 123, x)
    cap.udp(t + 0.018, server, 123, client, sport, b"\x24\x01\x00\xec" + x[4:])


def multicast(cap, t, src, group, port, payload):
    cap.udp(t, src, port if port == 5353 else 50000 + int(packed(src)[-1]), group, port, payload, ttl=1,
            dst_mac=b"\x01\x00\x5e" + bytes([packed(group)[1] & 127]) + packed(group)[2:])


def mdns(cap, t, src, service="_ipp._tcp.local"):
    multicast(cap, t, src, "224.0.0.251", 5353,
              b"\0\0\0\0\0\1\0\0\0\0\0\0" + net.labels(service) + b"\0\x0c\0\1")


def ssdp(cap, t, src):
    multicast(cap, t, src, "239.255.255.250", 1900,
              b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\n"
              b"MX: 1\r\nST: urn:dial-multiscreen-org:service:dial:1\r\n\r\n")


def smb(cap, r, t, host):
    """A document read from, or saved to, the file server."""
    c = Tcp(cap, t, host, FILES, 445, 0.0004).open()
    for _ in range(r.randrange(3, 8)):
        c.send(host, b"\0\0\0\x6a\xfeSMB" + r.randbytes(100)).send(FILES, b"\0\0\0\x9a\xfeSMB" + r.randbytes(140))
    c.send(*r.choice(((FILES, b"\0\1\0\0\xfeSMB", 180000), (host, b"\0\1\0\0\xfeSMB", 60000))), rate=6e7)
    c.wait(r.uniform(1, 20)).close()


def background(cap, length, sessions=45, hosts=DESKS[:5]):
    r = cap.stream("background")
    for _ in range(sessions):
        browse(cap, r, r.uniform(0, length), r.choice(hosts))
    for host in hosts:
        step = max(1024.0, length / 25)
        at = r.uniform(0, step)
        while at < length:
            ntp(cap, at, host, "203.0.113.200")
            at += step
        for _ in range(4):
            cap.arp(r.uniform(0, length), host, RESOLVER)
            mdns(cap, r.uniform(0, length), host)
        smb(cap, r, r.uniform(0, length), host)


def beats(cap, period, jitter, length, begin=3.0):
    """When a beacon calls: each interval is the period, more or less up to the jitter."""
    r, t = cap.stream("beats"), begin
    while t < length:
        yield t
        t += period * (1 + r.uniform(-jitter, jitter))


# ---- malicious: beacons --------------------------------------------------------------------------

C2, C2_NAME = "198.51.100.23", "cdn-sync.example"


def call_home(cap, t, r, dest=C2, name=C2_NAME, port=443, tasks=0.04):
    """Asks for work; most answers say that there is none, a few carry some and its result."""
    exchanges = [(r.choice((310, 310, 324)), 180, 0.01)]
    if r.random() < tasks:
        exchanges.append((r.randrange(900, 9000), 220, 0.1))
    https(cap, t, VICTIM, dest, name, exchanges, port)


def beacon(cap, period, jitter, length, dest=C2, name=C2_NAME, **kw):
    r = cap.stream("beacon")
    background(cap, length)
    resolved = -1e9
    for t in beats(cap, period, jitter, length):
        if name and t - resolved > 3600:
            t = resolve(cap, t, VICTIM, RESOLVER, name, dest)
            resolved = t
        call_home(cap, t, r, dest, name, **kw)


@malicious("beacon", "beacon", C2)
def beacon_60s_j0(cap):
    beacon(cap, 60, 0, 3 * HOUR)


@malicious("beacon", "beacon", C2)
def beacon_30s_j10(cap):
    beacon(cap, 30, 0.10, 1.5 * HOUR)


@malicious("beacon", "beacon", C2)
def beacon_300s_j20(cap):
    beacon(cap, 300, 0.20, 12 * HOUR)


@malicious("beacon", "beacon", C2)
def beacon_120s_j30(cap):
    beacon(cap, 120, 0.30, 6 * HOUR)


@malicious("beacon", "beacon", C2)
def beacon_60s_j50(cap):
    beacon(cap, 60, 0.50, 3 * HOUR)


@malicious("beacon", "beacon", "198.51.100.77")
def beacon_90s_j50_bare_address(cap):
    beacon(cap, 90, 0.50, 4 * HOUR, "198.51.100.77", None, port=8443)


@malicious("beacon", "beacon", C2)
def beacon_2s_http(cap):
    """Polls for keystrokes: a short HTTP request each two seconds."""
    r = cap.stream("beacon")
    background(cap, 10 * MINUTE, 25)
    for t in beats(cap, 2, 0, 9 * MINUTE):
        c = Tcp(cap, t, VICTIM, C2, 80, 0.03).open()
        c.send(VICTIM, b"GET /poll?id=7f3a HTTP/1.1\r\nHost: " + C2_NAME.encode() + b"\r\n\r\n")
        c.send(C2, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 12 + r.randbytes(12)).close(C2)


@malicious("beacon", "beacon", C2)
def beacon_600s_j10(cap):
    beacon(cap, 600, 0.10, 24 * HOUR)


@malicious("beacon", "beacon", C2)
def beacon_two_modes(cap):
    """An operator works for some minutes an hour: 15 s then, else 240 s."""
    r, t, end = cap.stream("beacon"), 5.0, 6 * HOUR
    background(cap, end)
    while t < end:
        call_home(cap, t, r, tasks=0.1)
        t += (15 if 1200 < t % HOUR < 1700 else 240) * (1 + r.uniform(-0.05, 0.05))


@malicious("beacon", "beacon long_session", C2)
def beacon_in_one_connection(cap):
    r, length = cap.stream("beacon"), 3 * HOUR
    background(cap, length)
    c = Tls(cap, 20, VICTIM, C2, 443, 0.04).handshake(C2_NAME)
    for t in beats(cap, 45, 0.15, length, 30):
        c.wait(t - c.t).say(VICTIM, 96).say(C2, 64 if r.random() > 0.05 else 1400)


@malicious("beacon", "beacon", "198.51.100.61")
def beacon_udp(cap):
    r, length, port = cap.stream("beacon"), 2 * HOUR, 41873
    background(cap, length)
    for t in beats(cap, 30, 0.20, length):
        cap.udp(t, VICTIM, port, "198.51.100.61", 5121, b"\x9e\x01" + r.randbytes(62))
        cap.udp(t + 0.041, "198.51.100.61", 5121, VICTIM, port, b"\x9e\x02" + r.randbytes(30))


@malicious("beacon", "beacon dns_tunnel", "198.51.100.53")
def beacon_dns(cap):
    """Asks a name server of its own for work: a fresh name each time, so that nothing is cached."""
    r, length = cap.stream("beacon"), 2.5 * HOUR
    background(cap, length)
    for t in beats(cap, 40, 0.25, length):
        name = f"{r.getrandbits(32):08x}.{r.getrandbits(16):04x}.s.upd-check.example"
        dns(cap, t, VICTIM, "198.51.100.53", name, "A", [("A", b"\x7f\0\0" + bytes([r.choice((1, 1, 1, 4))]))],
            rtt=0.06)


@malicious("beacon", "beacon", "2001:db8:66::9", "fd00:10::33")
def beacon_ipv6(cap):
    r, length, host = cap.stream("beacon"), 2.5 * HOUR, "fd00:10::33"
    background(cap, length)
    for t in beats(cap, 75, 0.20, length):
        https(cap, t, host, "2001:db8:66::9", C2_NAME, [(r.choice((420, 432)), 200, 0.01)])


@malicious("beacon", "beacon", C2)
def beacon_20s_j40_between_visits(cap):
    """The owner of the desk visits the same content network, by another name."""
    r = cap.stream("visits")
    beacon(cap, 20, 0.40, HOUR)
    for _ in range(6):
        browse(cap, r, r.uniform(0, HOUR), VICTIM, ("assets.widget.example", C2))


# ---- malicious: tunnels --------------------------------------------------------------------------

def base32(data):
    return base64.b32encode(data).decode().rstrip("=").lower()


def tunnel_name(r, n, zone):
    text = base32(r.randbytes(n))
    return ".".join(text[i:i + 60] for i in range(0, len(text), 60)) + "." + zone


@malicious("dns_tunnel", "dns_tunnel", RESOLVER)
def dns_tunnel_txt(cap):
    """A file goes out in names, work comes back in TXT, over the resolver of the house."""
    r = cap.stream("tunnel")
    background(cap, 20 * MINUTE)
    t = 60.0
    for _ in range(600):
        t = dns(cap, t, VICTIM, RESOLVER, tunnel_name(r, 110, "t.cache-node.example"), "TXT",
                [("TXT", net.txt(base32(r.randbytes(90)).encode()))], rtt=0.05)
        t += r.uniform(0.05, 0.9)


@malicious("dns_tunnel", "dns_tunnel", "198.51.100.99")
def dns_tunnel_null_one_flow(cap):
    """Straight to its own server, all from one port."""
    r, t = cap.stream("tunnel"), 30.0
    background(cap, 10 * MINUTE, 30)
    for i in range(700):
        up = 100 if r.random() < 0.3 else 12
        t = dns(cap, t, VICTIM, "198.51.100.99", tunnel_name(r, up, "i.pix.example"), "NULL",
                [("NULL", r.randbytes(r.choice((60, 140, 700))))], port=47011, rtt=0.045)
        t += r.choice((0.02, 0.2, 1.0))


@malicious("dns_tunnel", "dns_tunnel", RESOLVER)
def dns_tunnel_cname_slow(cap):
    r, length = cap.stream("tunnel"), 4 * HOUR
    background(cap, length)
    for t in beats(cap, 45, 0.6, length):
        dns(cap, t, VICTIM, RESOLVER, tunnel_name(r, 34, "m.edge-img.example"), "CNAME",
            [("CNAME", net.labels(tunnel_name(r, 10, "edge-img.example")))], rtt=0.06)


@malicious("dns_tunnel", "dns_tunnel", "198.51.100.98")
def dns_tunnel_mixed_types(cap):
    """Hexadecimal, MX, TXT and CNAME in turn."""
    r, t = cap.stream("tunnel"), 15.0
    background(cap, 30 * MINUTE)
    for _ in range(500):
        kind = r.choice(("MX", "TXT", "CNAME"))
        name = r.randbytes(r.randrange(25, 55)).hex()
        name = ".".join(name[i:i + 62] for i in range(0, len(name), 62)) + ".dn.example"
        answer = {"MX": b"\0\x0a" + net.labels(r.randbytes(20).hex() + ".dn.example"),
                  "TXT": net.txt(r.randbytes(30).hex().encode()),
                  "CNAME": net.labels(r.randbytes(20).hex() + ".dn.example")}[kind]
        t = dns(cap, t, VICTIM, "198.51.100.98", name, kind, [(kind, answer)], rtt=0.05) + r.expovariate(0.4)


@malicious("icmp_tunnel", "icmp_tunnel", "198.51.100.40")
def icmp_tunnel_session(cap):
    """An SSH session inside echoes: both ways, of all sizes, in bursts."""
    r, t, seq = cap.stream("tunnel"), 40.0, 0
    background(cap, 12 * MINUTE)
    while t < 11 * MINUTE:
        for _ in range(r.randrange(1, 9)):
            size = r.choice((28, 64, 120, 480, 1024))
            cap.echo(t, VICTIM, "198.51.100.40", 0x2bad, seq & 0xffff, r.randbytes(size))
            cap.echo(t + 0.04, "198.51.100.40", VICTIM, 0x2bad, seq & 0xffff,
                     r.randbytes(r.choice((28, 300, 1024))), True)
            seq += 1
            t += r.uniform(0.03, 0.2)
        t += r.expovariate(1 / 4)


@malicious("icmp_tunnel", "icmp_tunnel", "198.51.100.41")
def icmp_file_in_echoes(cap):
    """A file goes out at one echo a second; the answers give it back, as echoes do."""
    r = cap.stream("tunnel")
    background(cap, 12 * MINUTE, 30)
    for seq in range(400):
        data, t = r.randbytes(900), 20 + seq * 1.5 + r.uniform(0, 0.1)
        cap.echo(t, VICTIM, "198.51.100.41", 0x11, seq, data)
        cap.echo(t + 0.05, "198.51.100.41", VICTIM, 0x11, seq, data, True)


# ---- malicious: uploads --------------------------------------------------------------------------

DROP = "198.51.100.150"


@malicious("upload", "upload", DROP)
def upload_large(cap):
    background(cap, 30 * MINUTE)
    c = Tls(cap, 700, VICTIM, DROP, 443, 0.05).handshake("files-transfer.example")
    c.say(VICTIM, 900).say(DROP, 300).say(VICTIM, 120_000_000, rate=3e6).say(DROP, 400).close()


@malicious("upload", "upload", DROP)
def upload_chunks(cap):
    """Many small connections, none of which stands out."""
    r, t = cap.stream("upload"), 100.0
    background(cap, 2 * HOUR)
    while t < 2 * HOUR - 60:
        https(cap, t, VICTIM, DROP, None, [(r.randrange(150_000, 400_000), 250, 0.05)], rate=2e6)
        t += r.expovariate(1 / 30)


@malicious("upload", "upload beacon", DROP)
def upload_drip(cap):
    """A hundred kilobytes now and then, all day, to where nothing ever went."""
    r = cap.stream("upload")
    background(cap, 12 * HOUR, 60)
    for t in beats(cap, 240, 0.9, 12 * HOUR):
        https(cap, t, VICTIM, DROP, "telemetry-eu.example", [(r.randrange(60_000, 160_000), 180, 0.05)], rate=4e5)


@malicious("upload", "upload mismatch", DROP)
def upload_ftp_odd_port(cap):
    """The archive goes by plain TCP to a high port, from the file server."""
    background(cap, HOUR)
    c = Tcp(cap, 1500, VICTIM, DROP, 40021, 0.06).open()
    c.send(VICTIM, b"Rar!\x1a\x07\x01\0", 65_000_000, rate=1.2e6).close()


# ---- malicious: looking round, and sessions ------------------------------------------------------

@malicious("scan", "scan lateral", FILES)
def scan_ports(cap):
    r = cap.stream("scan")
    background(cap, 15 * MINUTE)
    ports = r.sample(range(1, 10000), 1000) + [22, 80, 139, 445]
    r.shuffle(ports)
    for i, port in enumerate(ports):
        t = 200 + i * 0.012 + r.uniform(0, 0.004)
        if port in (139, 445):
            Tcp(cap, t, VICTIM, FILES, port, 0.0004).open().reset(VICTIM)
        else:
            refused(cap, t, VICTIM, FILES, port)


@malicious("scan", "scan lateral", None)
def sweep_ssh(cap):
    """Looks for SSH in the neighbourhood: most addresses are silent, some refuse, few answer."""
    r = cap.stream("scan")
    background(cap, 20 * MINUTE)
    hosts = [f"192.168.{net_}.{n}" for net_ in (10, 11) for n in range(2, 250)]
    r.shuffle(hosts)
    for i, host in enumerate(hosts[:300]):
        t = 120 + i * 1.1 + r.uniform(0, 0.5)
        if host in DESKS + [FILES] or r.random() < 0.08:
            c = Tcp(cap, t, VICTIM, host, 22, 0.0005).open()
            c.send(host, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n").send(VICTIM, b"SSH-2.0-Go\r\n").close()
        elif r.random() < 0.1:
            refused(cap, t, VICTIM, host, 22)
        else:
            unanswered(cap, t, VICTIM, host, 22, 2)


@malicious("scan", "scan lateral", None)
def sweep_smb_slow(cap):
    """One address after the other, each some seconds, with logins where one answers."""
    r = cap.stream("scan")
    background(cap, HOUR)
    for i, n in enumerate(r.sample(range(2, 254), 150)):
        host, t = f"192.168.12.{n}", 60 + i * 21 + r.uniform(0, 8)
        if r.random() < 0.25:
            c = Tcp(cap, t, VICTIM, host, 445, 0.0006).open()
            for _ in range(6):
                c.send(VICTIM, b"\0\0\0\xb0\xfeSMB" + r.randbytes(172)).send(host, b"\0\0\0\x80\xfeSMB" + r.randbytes(124))
            c.reset(host)
        else:
            unanswered(cap, t, VICTIM, host, 445, 2)


@malicious("scan", "scan lateral", None)
def sweep_rdp_and_winrm(cap):
    r = cap.stream("scan")
    background(cap, 25 * MINUTE)
    for i in range(180):
        host, t = f"192.168.13.{2 + i % 90}", 100 + i * 6 + r.uniform(0, 3)
        port = 3389 if i < 90 else 5985
        (refused if r.random() < 0.3 else unanswered)(cap, t, VICTIM, host, port)


def ssh_session(cap, t, client, server, port, seconds, rtt=0.04, banner=b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"):
    r = cap.stream("ssh")
    c = Tcp(cap, t, client, server, port, rtt).open()
    c.send(client, b"SSH-2.0-OpenSSH_9.6\r\n").send(server, banner)
    c.send(client, b"\0\0\5\xdc\6\x14" + r.randbytes(1490)).send(server, b"\0\0\4\x3c\6\x14" + r.randbytes(1080))
    c.send(client, r.randbytes(1208)).send(server, r.randbytes(1564)).send(client, r.randbytes(64))
    while c.t < t + seconds:
        for _ in range(r.randrange(2, 14)):
            c.send(client, r.randbytes(36)).wait(r.uniform(0.08, 0.3)).send(server, r.randbytes(36))
        c.send(server, r.randbytes(80), int(r.lognormvariate(7, 1.2)) % 60000 + 100)
        c.wait(r.expovariate(1 / 45))
    return c


@malicious("mismatch", "mismatch", "198.51.100.201")
def ssh_over_443(cap):
    background(cap, 40 * MINUTE)
    ssh_session(cap, 120, VICTIM, "198.51.100.201", 443, 30 * MINUTE).close()


@malicious("mismatch", "mismatch", "198.51.100.202")
def ssh_over_53(cap):
    background(cap, 30 * MINUTE)
    ssh_session(cap, 200, VICTIM, "198.51.100.202", 53, 20 * MINUTE).close()


@malicious("long_session", "long_session mismatch", "198.51.100.66")
def reverse_shell(cap):
    """A shell that called out: commands come in, output goes out, for hours."""
    r, length = cap.stream("shell"), 5 * HOUR
    background(cap, length)
    c = Tcp(cap, 600, VICTIM, "198.51.100.66", 4444, 0.05).open()
    c.send(VICTIM, b"bash: no job control in this shell\nwww-data@web01:/$ ")
    while c.t < length - 60:
        c.send("198.51.100.66", r.choice((b"id\n", b"ls -la /home\n", b"cat /etc/passwd\n", b"ps aux\n", b"w\n")))
        c.send(VICTIM, b"uid=33(www-data) gid=33(www-data)\n", r.randrange(60, 9000))
        c.wait(r.expovariate(1 / 90))


@malicious("long_session", "long_session mismatch beacon", "198.51.100.67")
def remote_desktop_out(cap):
    """TLS to a high port, open all night, a screen that seldom changes."""
    r, length = cap.stream("shell"), 9 * HOUR
    background(cap, length)
    c = Tls(cap, 300, VICTIM, "198.51.100.67", 31337, 0.06).handshake(None)
    while c.t < length - 60:
        c.say(VICTIM, r.randrange(300, 30000)).say("198.51.100.67", r.randrange(40, 300))
        c.wait(r.expovariate(1 / 70))


# ---- benign: periodic ----------------------------------------------------------------------------

@benign("periodic")
def updates(cap):
    """Each desk asks each hour, by its own clock; one finds something."""
    r, length, name, ip = cap.stream("updates"), 10 * HOUR, "updates.distro.example", "198.51.100.10"
    background(cap, length, 60)
    for host in DESKS[:5]:
        for t in beats(cap, HOUR, 0.03, length, r.uniform(0, HOUR)):
            t = resolve(cap, t, host, RESOLVER, name, ip)
            https(cap, t, host, ip, name, [(420, r.choice((610, 610, 48000)), 0.2)])
    https(cap, 4 * HOUR, VICTIM, ip, name, [(500, 45_000_000, 1)], rate=8e6)


@benign("periodic")
def mqtt_things(cap):
    """Five plugs keep a connection to their maker's broker, a ping a minute."""
    r, length, ip = cap.stream("iot"), 1.5 * HOUR, "198.51.100.11"
    background(cap, length, 30)
    for n in range(5):
        thing = f"192.168.10.{70 + n}"
        t = resolve(cap, r.uniform(1, 50), thing, RESOLVER, "mqtt.plugs.example", ip)
        c = Tls(cap, t, thing, ip, 8883, 0.03).handshake("mqtt.plugs.example")
        c.say(thing, 80).say(ip, 30)
        while c.t < length:
            c.say(thing, 24).say(ip, 24)
            if r.random() < 0.15:
                c.say(thing, r.randrange(90, 240))
            c.wait(60 - c.rtt * 2)


@benign("periodic")
def ntp_clients(cap):
    r, length = cap.stream("ntp"), 8 * HOUR
    background(cap, length, 40)
    for host in DESKS + [FILES]:
        servers = r.sample([f"203.0.113.{200 + i}" for i in range(8)], 4)
        for server in servers:
            for t in beats(cap, 1024 if server != servers[0] else 256, 0.01, length, r.uniform(0, 200)):
                ntp(cap, t, host, server)


@benign("periodic")
def ssdp_and_mdns(cap):
    length = 2 * HOUR
    background(cap, length, 40)
    r = cap.stream("discovery")
    for host in DESKS[:4] + ["192.168.10.90"]:
        for t in beats(cap, 120, 0, length, r.uniform(0, 60)):
            for i in range(3):
                ssdp(cap, t + i, host)
        for t in beats(cap, 60, 0.02, length, r.uniform(0, 60)):
            mdns(cap, t, host, "_googlecast._tcp.local")


@benign("periodic")
def monitoring(cap):
    """Scrapes each 15 s of six machines, and a balancer that asks two each five seconds."""
    r, length, watcher = cap.stream("monitoring"), 12 * MINUTE, "192.168.10.8"
    background(cap, length, 25)
    for n in range(6):
        target = f"192.168.10.{100 + n}"
        for t in beats(cap, 15, 0, length, r.uniform(0, 15)):
            c = Tcp(cap, t, watcher, target, 9100, 0.0005).open()
            c.send(watcher, b"GET /metrics HTTP/1.1\r\nHost: " + target.encode() + b":9100\r\n\r\n")
            c.send(target, b"HTTP/1.1 200 OK\r\n\r\n", r.randrange(38000, 38400), 5e7).close()
    for target in ("192.168.10.100", "192.168.10.101"):
        for t in beats(cap, 5, 0, length, r.uniform(0, 5)):
            c = Tcp(cap, t, "192.168.10.9", target, 8080, 0.0005).open()
            c.send("192.168.10.9", b"GET /health HTTP/1.0\r\n\r\n").send(target, b"HTTP/1.0 200 OK\r\n\r\nok").close(target)


@benign("periodic")
def dead_host(cap):
    """A program on one desk tries to reach a service that was switched off long ago, each minute."""
    length = 4 * HOUR
    background(cap, length)
    for t in beats(cap, 60, 0, length):
        unanswered(cap, t, VICTIM, "198.51.100.12", 443, 3)
    for t in beats(cap, 30, 0, length):
        refused(cap, t, DESKS[1], "198.51.100.13", 5432, 0.03)


@benign("periodic")
def ping_monitoring(cap):
    r, length = cap.stream("ping"), 30 * MINUTE
    background(cap, length, 30)
    for target in ("192.168.10.1", "192.168.10.20", "203.0.113.1", "198.51.100.14"):
        seq = 0
        for t in beats(cap, 30, 0, length, r.uniform(0, 30)):
            for i in range(5):
                cap.echo(t + i, "192.168.10.8", target, 0x77, seq, bytes(range(16, 64)) + b"\0" * 8)
                cap.echo(t + i + r.uniform(0.0003, 0.03), target, "192.168.10.8", 0x77, seq, bytes(range(16, 64)) + b"\0" * 8, True)
                seq += 1


@benign("periodic")
def telemetry_of_all_desks(cap):
    """Every desk reports to the maker of its system, roughly each ten minutes."""
    r, length, name, ip = cap.stream("telemetry"), 5 * HOUR, "telemetry.os-vendor.example", "198.51.100.15"
    background(cap, length, 40)
    for host in DESKS:
        for t in beats(cap, 600, 0.25, length, r.uniform(0, 600)):
            t = resolve(cap, t, host, RESOLVER, name, ip)
            https(cap, t, host, ip, name, [(r.randrange(900, 9000), r.randrange(150, 900), 0.1)])


@benign("periodic")
def phones(cap):
    """Four desk phones keep their registration at the provider alive."""
    r, length, ip = cap.stream("sip"), 2 * HOUR, "198.51.100.16"
    background(cap, length, 35)
    for n in range(4):
        phone = f"192.168.10.{80 + n}"
        for t in beats(cap, 30, 0, length, r.uniform(0, 30)):
            cap.udp(t, phone, 5060, ip, 5060, b"\r\n\r\n")
            cap.udp(t + 0.02, ip, 5060, phone, 5060, b"\r\n")
        for t in beats(cap, 600, 0.05, length, r.uniform(0, 300)):
            cap.udp(t, phone, 5060, ip, 5060, b"REGISTER sip:pbx.example SIP/2.0\r\nVia: SIP/2.0/UDP " + phone.encode() + b"\r\nUser-Agent: " + b"x" * 400 + b"\r\n\r\n")
            cap.udp(t + 0.03, ip, 5060, phone, 5060, b"SIP/2.0 200 OK\r\nServer: " + b"x" * 330 + b"\r\n\r\n")


# ---- benign: much goes out, or in ----------------------------------------------------------------

@benign("bulk")
def video_call(cap):
    """Picture and sound both ways over a relay; what goes out is as much as comes in."""
    r, length, relay, t = cap.stream("call"), 6 * MINUTE, "198.51.100.17", 60.0
    background(cap, length, 25)
    t = resolve(cap, t, VICTIM, RESOLVER, "meet.calls.example", relay)
    https(cap, t, VICTIM, relay, "meet.calls.example", [(2200, 9000, 2)])
    port, end = 51820 + 7, t + 110
    cap.udp(t + 2, VICTIM, port, relay, 3478, b"\0\1\0\0\x21\x12\xa4\x42" + r.randbytes(12))
    cap.udp(t + 2.03, relay, 3478, VICTIM, port, b"\1\1\0\x0c\x21\x12\xa4\x42" + r.randbytes(24))
    for src, dst, a, b in ((VICTIM, relay, port, 3478), (relay, VICTIM, 3478, port)):
        at, ts = t + 3, 0
        while at < end:
            size = r.choice((110, 130, 1080, 1150, 1180))
            cap.udp(at, src, a, dst, b, b"\x80\x60" + r.randbytes(60), size)
            at += r.uniform(0.02, 0.06)


@benign("bulk")
def upload_to_known_service(cap):
    """A film is stored where all desks of the house store their files."""
    r, length, name, ip = cap.stream("share"), 2 * HOUR, "client.dropbox.com", "198.51.100.18"
    background(cap, length)
    for host in DESKS[:6]:
        for _ in range(4):
            t = resolve(cap, r.uniform(0, length), host, RESOLVER, name, ip)
            https(cap, t, host, ip, name, [(r.randrange(600, 400_000), r.randrange(800, 2_500_000), 0.5) for _ in range(3)])
    t = resolve(cap, 3000, VICTIM, RESOLVER, name, ip)
    https(cap, t, VICTIM, ip, name, [(900, 700, 0.2), (70_000_000, 500, 0.3), (300, 900, 0.1)], rate=3e6)


@benign("bulk")
def backup_inside(cap):
    """Nightly, to the machine in the cellar: four desks, 150 MB the largest."""
    r = cap.stream("backup")
    background(cap, HOUR, 25)
    for i, host in enumerate(DESKS[:4]):
        c = Tcp(cap, 600 + 500 * i, host, FILES, 22, 0.0004).open()
        c.send(host, b"SSH-2.0-OpenSSH_9.6\r\n").send(FILES, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
        c.send(host, r.randbytes(64), 150_000_000 if host == VICTIM else 20_000_000, rate=8e7).close()


@benign("bulk")
def cdn_streaming(cap):
    """A film in chunks of four seconds."""
    r, length, name, ip = cap.stream("film"), 11 * MINUTE, "edge.video-cdn.example", "198.51.100.19"
    background(cap, length, 30)
    t = resolve(cap, 60, VICTIM, RESOLVER, name, ip)
    c = Tls(cap, t, VICTIM, ip, 443, 0.02).handshake(name)
    while c.t < length - 20:
        begin = c.t
        c.say(VICTIM, 520).say(ip, r.randrange(900_000, 2_200_000), rate=1.2e7)
        c.wait(max(0.1, 4 - (c.t - begin)))
    c.close()


@benign("bulk")
def git_push(cap):
    """Code goes to the host that three desks fetch from all day; once with a large history."""
    r, length, ip = cap.stream("git"), 3 * HOUR, "198.51.100.20"
    background(cap, length)
    for host in DESKS[:3]:
        for _ in range(5):
            t = resolve(cap, r.uniform(0, length), host, RESOLVER, "github.com", ip)
            c = Tcp(cap, t, host, ip, 22, 0.03).open()
            c.send(host, b"SSH-2.0-OpenSSH_9.6\r\n").send(ip, b"SSH-2.0-babeld-8e9a\r\n").send(host, r.randbytes(1500))
            c.send(ip, r.randbytes(90), r.randrange(4000, 1_500_000)).send(host, r.randbytes(60), r.randrange(500, 60_000)).close()
    t = resolve(cap, 5000, VICTIM, RESOLVER, "github.com", ip)
    c = Tcp(cap, t, VICTIM, ip, 22, 0.03).open()
    c.send(VICTIM, b"SSH-2.0-OpenSSH_9.6\r\n").send(ip, b"SSH-2.0-babeld-8e9a\r\n").send(ip, r.randbytes(90), 9000)
    c.send(VICTIM, r.randbytes(90), 18_000_000, rate=2.5e6).send(ip, r.randbytes(300)).close()


@benign("bulk")
def web_server(cap):
    """A server of the house hands files to visitors: much goes out, but they came and asked."""
    r, length, server = cap.stream("visitors"), HOUR, "192.168.10.60"
    background(cap, length, 25)
    for i in range(45):
        visitor = f"203.0.113.{r.randrange(130, 190)}"
        https(cap, r.uniform(0, length), visitor, server, "www.house.example",
              [(r.randrange(300, 900), r.randrange(4000, 3_000_000), r.uniform(0.1, 4)) for _ in range(r.randrange(1, 4))])
    https(cap, 1800, "203.0.113.140", server, "www.house.example", [(400, 60_000_000, 0.2)], rate=5e6)


# ---- benign: names, sessions, noise --------------------------------------------------------------

@benign("names")
def browsing(cap):
    background(cap, HOUR, 110)


@benign("names")
def own_resolver(cap):
    """The resolver of the house asks the Internet for all desks."""
    r, length = cap.stream("resolver"), HOUR
    background(cap, length, 30)
    t = 0.0
    while t < length:
        name, ip = r.choice(SITES)
        host = f"{r.choice(('www', 'api', 'img', 'cdn', 'login', 'e'))}{r.choice(('', '', r.randrange(40)))}.{r.choice(WORDS)}{r.randrange(60)}.example"
        dns(cap, t, r.choice(DESKS), RESOLVER, host, "A", [("A", packed(ip))])
        dns(cap, t + 0.0003, RESOLVER, r.choice(("203.0.113.53", "203.0.113.54")), host, "A", [("A", packed(ip))], rtt=0.02)
        t += r.expovariate(1 / 3)


@benign("names")
def mail_server_blocklists(cap):
    """Each mail that comes is looked up in three lists: reversed addresses, most of them unlisted."""
    r, length, server = cap.stream("mail"), 2 * HOUR, "192.168.10.61"
    background(cap, length, 30)
    t = 5.0
    while t < length:
        sender = ".".join(str(r.randrange(1, 255)) for _ in range(4))
        for zone in ("zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org"):
            listed = r.random() < 0.2
            dns(cap, t, server, RESOLVER, f"{sender}.{zone}", "A", [("A", b"\x7f\0\0\2")] if listed else [], 0 if listed else 3)
        t += r.expovariate(1 / 14)


@benign("names")
def antivirus_lookups(cap):
    """The scanner asks its maker for each new file by its hash: long names that never repeat."""
    r, length = cap.stream("av"), 2 * HOUR
    background(cap, length, 30)
    for host in DESKS[:4]:
        t = r.uniform(0, 100)
        while t < length:
            for _ in range(r.randrange(1, 6)):
                name = f"{r.randbytes(13).hex()}.{r.randrange(10**7)}.avqs.av-vendor.example"
                dns(cap, t, host, RESOLVER, name, "A", [("A", b"\x7f\0\0\x80")])
                t += r.uniform(0.05, 3)
            t += r.expovariate(1 / 220)


@benign("sessions")
def mail_and_chat(cap):
    """IMAP IDLE that is renewed each 29 minutes, and a chat's websocket with a ping each 30 s."""
    r, length = cap.stream("chat"), 3 * HOUR
    background(cap, length, 40)
    for host in DESKS[:4]:
        t = resolve(cap, r.uniform(5, 300), host, RESOLVER, "imap.mail-host.example", "198.51.100.21")
        c = Tls(cap, t, host, "198.51.100.21", 993, 0.03).handshake("imap.mail-host.example")
        c.say(host, 60).say("198.51.100.21", 2000)
        while c.t < length:
            c.say(host, 30).say("198.51.100.21", 40).wait(r.choice((29 * MINUTE, r.uniform(60, 1500))))
            c.say("198.51.100.21", r.randrange(60, 4000))
        t = resolve(cap, r.uniform(5, 300), host, RESOLVER, "wss.chat.example", "198.51.100.22")
        c = Tls(cap, t, host, "198.51.100.22", 443, 0.025).handshake("wss.chat.example")
        while c.t < length:
            c.say(host, 6).say("198.51.100.22", 2)
            if r.random() < 0.1:
                c.say("198.51.100.22", r.randrange(200, 3000))
            c.wait(30 - 2 * c.rtt)


@benign("sessions")
def ssh_admin(cap):
    """Somebody works on a rented server for an afternoon, and on the file server."""
    background(cap, 2 * HOUR)
    ssh_session(cap, 300, VICTIM, "198.51.100.24", 22, 80 * MINUTE).close()
    ssh_session(cap, 900, VICTIM, FILES, 22, 20 * MINUTE, 0.0005).close()


@benign("sessions")
def game(cap):
    r, length, ip, t = cap.stream("game"), 8 * MINUTE, "198.51.100.26", 90.0
    background(cap, length, 25)
    t = resolve(cap, t, VICTIM, RESOLVER, "match.game.example", ip)
    https(cap, t, VICTIM, ip, "match.game.example", [(900, 4000, 1)])
    for src, dst, a, b, size, step in ((VICTIM, ip, 50777, 27015, 60, 0.06), (ip, VICTIM, 27015, 50777, 240, 0.06)):
        at = t + 2
        while at < t + 100:
            cap.udp(at, src, a, dst, b, b"\xff" + r.randbytes(size + r.randrange(40)))
            at += step * r.uniform(0.9, 1.1)


@benign("sessions")
def company_vpn(cap):
    """WireGuard to headquarters: work goes both ways in bursts, keep-alives between."""
    r, length, ip = cap.stream("vpn"), 2 * HOUR, "198.51.100.27"
    background(cap, length, 30)
    t = resolve(cap, 20, VICTIM, RESOLVER, "vpn.house.example", ip)
    while t < length:
        if r.random() < 0.25:
            for _ in range(r.randrange(5, 40)):
                if r.random() < 0.35:
                    cap.udp(t, VICTIM, 51820, ip, 51820, b"\4\0\0\0" + r.randbytes(76), r.choice((0, 200, 1300)))
                else:
                    cap.udp(t, ip, 51820, VICTIM, 51820, b"\4\0\0\0" + r.randbytes(76), r.choice((0, 1300, 1300)))
                t += r.uniform(0.001, 0.2)
        cap.udp(t, VICTIM, 51820, ip, 51820, b"\4\0\0\0" + r.randbytes(28))
        t += 25


@benign("noise")
def dhcp_and_arp(cap):
    r, length = cap.stream("dhcp"), 2 * HOUR
    background(cap, length, 40)
    for host in DESKS:
        for t in beats(cap, 900, 0.02, length, r.uniform(0, 900)):
            x = b"\1\1\6\0" + r.randbytes(4) + b"\0" * 4 + packed(host) + b"\0" * 12 + net.mac(host) + b"\0" * 202
            cap.udp(t, host, 68, RESOLVER, 67, x + b"\x63\x82\x53\x63\x35\1\3\xff")
            cap.udp(t + 0.01, RESOLVER, 67, host, 68, b"\2" + x[1:] + b"\x63\x82\x53\x63\x35\1\5\xff")
        for t in beats(cap, 60, 0.1, length, r.uniform(0, 60)):
            cap.arp(t, host, r.choice((RESOLVER, FILES, PRINTER)), r.random() < 0.9)


@benign("noise")
def printer_and_inventory(cap):
    """SNMP to the printer each minute, an inventory that asks every desk of the house for two ports."""
    r, length = cap.stream("snmp"), 2 * HOUR
    background(cap, length, 35)
    for host in DESKS[:3]:
        for t in beats(cap, 60, 0, length, r.uniform(0, 60)):
            cap.udp(t, host, 49000, PRINTER, 161, b"\x30\x2c\2\1\1\4\6public" + r.randbytes(33))
            cap.udp(t + 0.002, PRINTER, 161, host, 49000, b"\x30\x30\2\1\1\4\6public" + r.randbytes(37))
    for i, host in enumerate(DESKS + [FILES]):
        for port in (135, 445):
            Tcp(cap, 3000 + i * 4, "192.168.10.7", host, port, 0.0005).open().wait(1).close()


# ---- made to tune by: what servers and inventories do, and what is no such thing ------------------

@benign("bulk", half="tune")
def download_mirror(cap):
    """A small mirror of the house: images of hundreds of megabytes go to whoever asks for them."""
    r, length, server = cap.stream("mirror"), 2 * HOUR, "192.168.10.61"
    background(cap, length, 25)
    for i in range(24):
        https(cap, r.uniform(0, length - 600), f"198.51.100.{20 + i * 7}", server, "mirror.house.example",
              [(r.randrange(200, 500), r.choice((40_000, 2_000_000, 90_000_000)), 0.1)], rate=r.uniform(1e6, 8e6))


@malicious("upload", "upload", "198.51.100.150", half="tune")
def upload_fetched(cap):
    """The thief opened a port of his own on the victim and fetches from there; nobody else comes."""
    background(cap, HOUR)
    c = Tls(cap, 900, "198.51.100.150", VICTIM, 8443, 0.06).handshake("x.example")
    c.say("198.51.100.150", 200).say(VICTIM, 150_000_000, rate=4e6).close()


@benign("noise", half="tune")
def patch_check(cap):
    """A tool looks at each of 25 machines whether RDP, SSH and SMB are open, and says nothing there."""
    background(cap, HOUR, 35)
    for i in range(25):
        for port in (22, 445, 3389):
            Tcp(cap, 600 + i * 2 + port / 1e4, "192.168.10.8", f"192.168.10.{100 + i}", port, 0.0004).open().wait(0.2).close()


@malicious("scan", "lateral", None, half="tune")
def lateral_rdp_few(cap):
    """From desk to desk by RDP: few, and each is talked to."""
    r = cap.stream("rdp")
    background(cap, 2 * HOUR, 35)
    for i, host in enumerate([d for d in DESKS if d != VICTIM] + [f"192.168.10.{n}" for n in range(70, 76)]):
        c = Tcp(cap, 700 + i * 200, VICTIM, host, 3389, 0.0006).open()
        c.send(VICTIM, b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\x0b\0\0\0").send(host, b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\2\x1f\x08\0\2\0\0\0")
        for _ in range(r.randrange(6, 30)):
            c.send(VICTIM, size=r.randrange(60, 900)).send(host, size=r.randrange(200, 9000)).wait(r.uniform(0.1, 2))
        c.close()


# ---- the table, and writing ----------------------------------------------------------------------

FIELDS = ("file", "label", "half", "family", "kinds", "src", "dest")


def table():
    """Rows of labels.tsv, in the order of CASES."""
    seen, rows = {}, []
    for name, (_, label, family, kinds, src, dest, half) in CASES.items():
        if not half:
            n = seen[label, family] = seen.get((label, family), -1) + 1
        rows.append((name + ".pcap", label, half or ("tune", "report")[n % 2], family, kinds or "-", src or "-", dest or "-"))
    return rows


def make(directory, names=()):
    """Writes the captures (all, or those named) and labels.tsv; the rows."""
    os.makedirs(directory, exist_ok=True)
    rows = [r for r in table() if not names or r[0][:-5] in names]
    for row in rows:
        cap = Capture(row[0])
        CASES[row[0][:-5]][0](cap)
        cap.write(os.path.join(directory, row[0]))
    with open(os.path.join(directory, "labels.tsv"), "w", encoding="ascii") as f:
        for row in (FIELDS, *rows):
            f.write("\t".join(row) + "\n")
    return rows


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    unknown = [n for n in sys.argv[2:] if n not in CASES]
    if unknown:
        sys.exit(f"make.py: no case {unknown[0]}; there are: {' '.join(CASES)}")
    for r in make(sys.argv[1], sys.argv[2:]):
        print("\t".join(r))

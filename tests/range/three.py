# SPDX-License-Identifier: GPL-3.0-or-later
"""Three network namespaces on one link, crowds of short-lived processes in them, and the tier bpf that
watches: for test_owner.py and bench/owner.py."""
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("STANCH_BUILD", os.path.join(ROOT, "build"))
DUMP = os.path.join(BUILD, "bench", "owner_dump")
CROWD = os.path.join(BUILD, "tests", "crowd")
POLLER = os.path.join(HERE, "net", "poller.py")
PORT = 4242
TCP, UDP = 6, 17
PROCESSES = 1000


def enter(name):
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


class Three:
    """Namespaces a, b, c with addresses .1, .2, .3 on a bridge in a fourth."""

    def __init__(self):
        self.names = {x: f"st-own-{os.getpid()}-{x}" for x in "abcs"}
        self.children = []

    def __enter__(self):
        try:
            for name in self.names.values():
                subprocess.run(["ip", "netns", "add", name], check=True)
            self.ip("s", "link add br0 type bridge", "link set br0 up")
            for i, x in enumerate("abc", 1):
                self.ip(x, f"link add up0 type veth peer name to{x} netns {self.names['s']}",
                        "link set up0 addrgenmode none", f"addr add 192.0.2.{i}/24 dev up0",
                        f"addr add 2001:db8::{i}/64 dev up0 nodad", "link set lo up",
                        "link set up0 up")
                self.ip("s", f"link set to{x} master br0", f"link set to{x} addrgenmode none",
                        f"link set to{x} up")
            for x in "abc":
                for y in self.addresses("abc".replace(x, "")):
                    self.run(x, ["ping", "-c", "1", "-W", "5", "-q", y])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False)

    @staticmethod
    def addresses(letters):
        return [a.format("abc".index(x) + 1) for x in letters for a in ("192.0.2.{}", "2001:db8::{}")]

    def ip(self, x, *commands):
        for words in commands:
            subprocess.run(["ip", "-n", self.names[x], *words.split()], check=True)

    def run(self, x, words):
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, timeout=60,
                              preexec_fn=lambda: enter(self.names[x])).stdout

    def popen(self, x, words, **more):
        more.setdefault("stdout", subprocess.PIPE)
        child = subprocess.Popen(words, text=True,
                                 preexec_fn=lambda: enter(self.names[x]) if x else None, **more)
        self.children.append(child)
        return child

    def netns(self, x):
        return os.stat(f"/run/netns/{self.names[x]}").st_ino

    def counters(self, x):
        """Bytes and packets of up0, both ways, as `ip -s link` shows them."""
        s = json.loads(self.run(x, ["ip", "-j", "-s", "link", "show", "up0"]))[0]["stats64"]
        return (s["rx"]["bytes"] + s["tx"]["bytes"], s["rx"]["packets"] + s["tx"]["packets"])


class Dump:
    """owner_dump on all namespaces; `flows` after stop()."""

    def __init__(self, three, prefix=(), more=("120",)):
        # To a file: it must never wait for us.
        self.out = tempfile.TemporaryFile("w+")
        self.child = three.popen(None, [*prefix, DUMP, *more], stdout=self.out,
                                 stderr=subprocess.PIPE)
        end = time.monotonic() + 20
        while not os.pread(self.out.fileno(), 5, 0):
            assert self.child.poll() is None and time.monotonic() < end, self.child.communicate()
            time.sleep(0.02)

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        err = self.child.communicate(timeout=60)[1]
        assert self.child.returncode == 0, err
        self.out.seek(0)
        rows = [json.loads(line) for line in self.out]
        self.out.close()
        self.flows, self.sums = [r for r in rows if "proto" in r], rows[-1]
        self.pauses = [r for r in rows if "paused" in r]
        return self.flows


def words_of(text, first):
    return [line.split()[1:] for line in text.splitlines() if line.startswith(first + " ")]


def copies(where):
    """Copies of the program under different names, in folders of different depth."""
    found = []
    for name in ("curl", "d/updater", "d/e/f/x y", "d/" + "n" * 100):
        to = os.path.join(where, name)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(CROWD, to)
        found.append(to)
    return found


def crowd(three, kind, exes):
    """PROCESSES of them, a to b, b to c, c to a, half of each by IPv6: {pid: (uid, exe, netns)}."""
    made, running = {}, []
    for x, y in ("ab", "bc", "ca"):
        for to in three.addresses(y):
            running.append((x, three.popen(x, [CROWD, "spawn", str(-(-PROCESSES // 6)), kind, "3000",
                                               str(PORT), to, *exes])))
    for x, child in running:
        out = child.communicate(timeout=60)[0]
        assert child.returncode == 0
        for line in words_of(out, "spawned"):
            made[int(line[0])] = (int(line[1]), " ".join(line[2:]), three.netns(x))
    return made


def share_right(flows, proto, made, ports):
    """The part of the processes whose flow has their pid, uid, exe, namespace and source port."""
    got = {}
    for f in flows:
        if f["proto"] == proto and f["dport"] == PORT:
            got.setdefault((f["pid"], f["netns"]), []).append(f)
    wrong = []
    for pid, (uid, exe, netns) in made.items():
        mine = got.get((pid, netns), [])
        if not any((f["uid"], f["exe"], f["sport"]) == (uid, exe, ports[pid]) for f in mine):
            wrong.append((pid, uid, exe, ports[pid], mine))
    return 1 - len(wrong) / len(made), wrong


def share_polled(seen, proto, made, ports):
    return sum(pid in seen.get(f"{proto} {ports[pid]}", ()) for pid in made) / len(made)


class Crowd:
    """What run_crowd saw: `made` {pid: (uid, exe, netns)}; `said` [(netns, address, sport, pid, worker)]
    as the far ends heard it; `ports` {pid: sport} of that; our `flows`; `polled` {"udp 40000": [pid]}."""


def run_crowd(three, kind, exes, every=0.2, also=None):
    """A crowd with the tier bpf and a poller watching it, and what also() starts; that is stopped, and
    its output is in `also`."""
    c = Crowd()
    servers = {x: three.popen(x, [CROWD, "serve", str(PORT), "3"]) for x in "abc"}
    for s in servers.values():
        assert s.stdout.readline() == "ready\n"
    c.servers = [s.pid for s in servers.values()]
    poller = three.popen(None, [sys.executable, POLLER, str(every), *map(str, c.servers)],
                         stdin=subprocess.PIPE)
    assert poller.stdout.readline() == "ready\n"
    dump = Dump(three)
    others = also() if also else []
    c.made = crowd(three, kind, exes)
    time.sleep(0.5)
    for o in others:
        o.send_signal(signal.SIGINT)
    c.also = [o.communicate(timeout=60)[0] for o in others]
    c.polled = json.loads(poller.communicate(timeout=60)[0])["seen"]
    c.flows = dump.stop()
    c.said = []
    for x, s in servers.items():
        s.kill()
        c.said += [(three.netns(x), *line) for line in
                   words_of(s.communicate()[0], "datagram" if kind == "udp" else "accepted")]
    c.ports = {int(pid): int(port) for _, _, port, pid, _ in c.said}
    assert len(c.made) >= PROCESSES and set(c.ports) == set(c.made)
    return c


LOAD = """
import socket, sys, time
kind, to, port, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
family = socket.AF_INET6 if ':' in to else socket.AF_INET
end = time.monotonic() + seconds
s = socket.socket(family, socket.SOCK_STREAM if kind.startswith('tcp') else socket.SOCK_DGRAM)
s.connect((to, port))
n = {'tcp': 1 << 20, 'tcp64': 64, 'udp64': 64 - 28, 'quic': 1350, 'udpgso': 1200 * 40,
     'fragments': 4000}[kind]
if kind == 'udpgso':
    s.setsockopt(17, 103, 1200)  # UDP_SEGMENT
if kind == 'tcp64':
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while time.monotonic() < end:
    for _ in range(20):
        try:
            s.send(b'x' * n)
        except OSError:  # a full queue
            time.sleep(0.001)
    if kind != 'tcp':
        time.sleep(0.002)
"""

SINK = """
import selectors, socket, sys
sel = selectors.DefaultSelector()
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    s = socket.socket(socket.AF_INET6, kind)
    s.bind(('::', int(sys.argv[1])))
    if kind == socket.SOCK_STREAM:
        s.listen()
    sel.register(s, selectors.EVENT_READ, kind)
print('ready', flush=True)
while True:
    for key, _ in sel.select():
        if key.data == socket.SOCK_STREAM:
            sel.register(key.fileobj.accept()[0], selectors.EVENT_READ)
        elif not key.fileobj.recv(1 << 20) and not key.data:
            sel.unregister(key.fileobj)
            key.fileobj.close()
"""


def sums(three, flows, x):
    mine = [f for f in flows if f["netns"] == three.netns(x)]
    return tuple(sum(f[k + "_toserver"] + f[k + "_toclient"] for f in mine)
                 for k in ("bytes", "pkts"))

# SPDX-License-Identifier: GPL-3.0-or-later
"""isolate --unit, --account, --pid, --container: just that, and nothing beside it.

Two network namespaces on one cable, cgroups named as systemd and the container runtimes name them,
below a slice of our own. Judged by the far end's bytes, by the errors that programs see, and by
`bpftool cgroup tree`."""
import ctypes
import fcntl
import glob
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
STANCH = os.path.join(os.environ.get("STANCH_BUILD", os.path.join(ROOT, "build")), "stanch")
PYTHON = "/usr/bin/python3"
FAR, FAR6, NEAR = "192.0.2.2", "2001:db8::2", "192.0.2.1"
UID = 61234
ECONNABORTED, EDESTADDRREQ, EPERM = "103", "89", "1"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

# Counts bytes by the sender's port; a line on stdin is answered by all counts.
SINK = """
import json, socket, sys, threading
got = {}
def serve(conn, port):
    while True:
        try: n = len(conn.recv(65536))
        except OSError: break
        if not n: break
        got[port] = got.get(port, 0) + n
def streams(s):
    while True:
        conn, peer = s.accept()
        threading.Thread(target=serve, args=(conn, peer[1]), daemon=True).start()
def datagrams(s):
    while True:
        n, peer = s.recvfrom(65536)
        got[peer[1]] = got.get(peer[1], 0) + len(n)
for kind, loop in ((socket.SOCK_STREAM, streams), (socket.SOCK_DGRAM, datagrams)):
    for port in (7000, 7001):
        s = socket.socket(socket.AF_INET6, kind)
        s.bind(("::", port))
        if kind == socket.SOCK_STREAM: s.listen(64)
        threading.Thread(target=loop, args=(s,), daemon=True).start()
print("ready", flush=True)
for _ in sys.stdin:
    print(json.dumps(got), flush=True)
"""

# Sends 500 bytes every 20 ms; tells the first error of an old socket, then what a new connect gives.
SENDER = """
import socket, sys, time
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(2)
if kind == "loose":
    s.bind(("", 0))
else:
    s.connect((host, port))
print("up", s.getsockname()[1], flush=True)
sent, told = 0, False
end = time.monotonic() + 60
while time.monotonic() < end:
    try:
        sent += s.sendto(b"x" * 500, (host, port)) if kind == "loose" else s.send(b"x" * 500)
        if told:
            print("again", flush=True)
            told = False
    except OSError as e:
        if kind == "tcp":
            print("error", e.errno or e, flush=True)
            break
        if not told:
            print("error", e.errno or e, flush=True)
            told = True
    time.sleep(0.02)
while time.monotonic() < end:
    t, s = time.monotonic(), socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(2)
    try:
        s.connect((host, port))
        print("connected", s.getsockname()[1], flush=True)
        break
    except OSError as e:
        print("connect", e.errno or e, "%.2f" % (time.monotonic() - t), flush=True)
    time.sleep(0.1)
while time.monotonic() < end:
    sent += s.send(b"x" * 500)
    time.sleep(0.02)
"""

LISTENER = """
import socket
s = socket.create_server(("0.0.0.0", 8080))
print("ready", flush=True)
while True:
    s.accept()[0].send(b"hello")
"""


def cgroup2():
    with open("/proc/self/mounts", encoding="utf-8") as f:
        for line in f:
            words = line.split()
            if words[2] == "cgroup2":
                return words[1]
    return None


def enter(name):
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def cgroup_of(pid):
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as f:
        return next(x[3:] for x in f.read().splitlines() if x.startswith("0::"))


def wait_for(what, test, seconds=5.0):
    end = time.monotonic() + seconds
    while True:
        got = test()
        if got:
            return got
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        time.sleep(0.03)


def remove_slice(top):
    for folder, _, _ in os.walk(top, topdown=False):
        with open(folder + "/cgroup.procs", encoding="ascii") as f:
            for pid in f.read().split():  # children of our children
                os.kill(int(pid), signal.SIGKILL)
        for _ in range(50):
            try:
                os.rmdir(folder)
                break
            except OSError:
                time.sleep(0.05)


def remove_leftovers():
    """Of makers that are dead: their pid is in the name."""
    for top in glob.glob(cgroup2() + "/st[0-9]*.slice"):
        pid = re.fullmatch(r"st(\d+)\.slice", os.path.basename(top))
        if not pid or os.path.exists(f"/proc/{pid[1]}"):
            continue
        remove_slice(top)
        for ns in glob.glob(f"/run/netns/st-{pid[1]}-g?"):
            subprocess.run(["ip", "netns", "del", os.path.basename(ns)], check=False)


class Sender:
    def __init__(self, bed, cgroup, kind="tcp", host=FAR, port=7000, uid=0, ns="v"):
        self.kind = kind
        self.process = bed.spawn(ns, cgroup, PYTHON, "-c", SENDER, kind, host, str(port), uid=uid)
        word, number = self.process.stdout.readline().split()
        assert word == "up"
        self.port, self.pid = int(number), self.process.pid

    def line(self):
        return self.process.stdout.readline().split()

    def kill(self):
        self.process.kill()
        self.process.wait()


class Scoped:
    def __init__(self):
        self.tag = f"st{os.getpid()}"
        self.names = {x: f"st-{os.getpid()}-g{x}" for x in "vf"}
        self.children, self.groups = [], []
        self.top = os.path.join(cgroup2(), f"{self.tag}.slice")
        self.dir = tempfile.mkdtemp(prefix=f"{self.tag}-")
        self.orders = 0

    def __enter__(self):
        try:
            os.mkdir(self.top)
            for n in self.names.values():
                subprocess.run(["ip", "netns", "add", n], check=True)
            v, f = self.names["v"], self.names["f"]
            for words in (f"-n {v} link add up0 type veth peer name up0 netns {f}",
                          f"-n {v} link set lo up", f"-n {f} link set lo up",
                          f"-n {v} addr add {NEAR}/24 dev up0", f"-n {f} addr add {FAR}/24 dev up0",
                          f"-n {v} addr add 2001:db8::1/64 dev up0 nodad",
                          f"-n {f} addr add {FAR6}/64 dev up0 nodad",
                          f"-n {v} link set up0 up", f"-n {f} link set up0 up"):
                subprocess.run(["ip", *words.split()], check=True)
            self.sink = self.spawn("f", None, PYTHON, "-c", SINK, stdin=subprocess.PIPE)
            assert self.sink.stdout.readline() == "ready\n"
            for a in (FAR, FAR6):
                wait_for(f"{a} is reached", lambda a=a: subprocess.run(
                    ["ip", "netns", "exec", v, "ping", "-c1", "-W1", "-q", a], check=False,
                    stdout=subprocess.DEVNULL).returncode == 0, 20)
            write(f"{self.dir}/stanch.conf", "")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stanch("undo", "--all", "--yes")
        for c in self.children:
            if c.poll() is None:
                c.kill()
            c.wait()
        for n in self.names.values():
            subprocess.run(["ip", "netns", "del", n], check=False)
        remove_slice(self.top)
        shutil.rmtree(self.dir)

    def cgroup(self, path):
        """Makes a cgroup below our slice; its path from the root."""
        os.makedirs(os.path.join(self.top, path), exist_ok=True)
        return f"/{self.tag}.slice/{path}"

    def folder(self, cgroup):
        return cgroup2() + cgroup

    def spawn(self, ns, cgroup, *argv, uid=0, **more):
        def before():
            if cgroup:
                write(self.folder(cgroup) + "/cgroup.procs", str(os.getpid()))
            enter(self.names[ns])
            if uid:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
        c = subprocess.Popen(argv, text=True, stdout=subprocess.PIPE, preexec_fn=before,
                             start_new_session=True, **more)
        self.children.append(c)
        return c

    def argv(self, *args, state="state"):
        return ["nsenter", f"--net=/run/netns/{self.names['v']}", "--", STANCH, *args, "--state",
                f"{self.dir}/{state}", "--config", f"{self.dir}/stanch.conf"]

    def stanch(self, *args, **more):
        clean = {k: v for k, v in os.environ.items() if k not in ("SSH_CONNECTION", "SSH_CLIENT")}
        return subprocess.run(self.argv(*args, **more), env=clean, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=30, check=False)

    def isolate(self, *args):
        r = self.stanch("isolate", *args, "--yes")
        assert r.returncode == 0, r.stdout + r.stderr
        return next(w for w in r.stdout.split() if w[0] == "o" and w[1:].isdigit())

    def undo(self, oid):
        r = self.stanch("undo", oid, "--yes")
        assert r.returncode == 0, r.stdout + r.stderr

    def got(self):
        self.sink.stdin.write("\n")
        self.sink.stdin.flush()
        return {int(k): v for k, v in json.loads(self.sink.stdout.readline()).items()}

    def moved(self, senders, seconds=0.6):
        """Bytes that arrived at the far end within that time, for each."""
        before = self.got()
        time.sleep(seconds)
        after = self.got()
        return [after.get(s.port, 0) - before.get(s.port, 0) for s in senders]


@pytest.fixture(scope="module")
def bed():
    if not cgroup2():
        pytest.skip("no cgroup2 hierarchy is mounted")
    # cgroups are the machine's: two runs at once would see each other's programs.
    with open("/tmp/st-scoped.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_leftovers()
        with Scoped() as b:
            yield b


@pytest.fixture(autouse=True)
def limit():
    def late(*_):
        raise TimeoutError("a test of 30 s waits for something that does not come")
    was = signal.signal(signal.SIGALRM, late)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, was)


def tree():
    """Which programs hang where, by bpftool; those of a `stanch watch` elsewhere come and go."""
    out = subprocess.run(["bpftool", "-j", "cgroup", "tree"], check=True, capture_output=True, text=True)
    return sorted(f"{x['cgroup']} {p['attach_type']} {p['id']} {p['name']}"
                  for x in json.loads(out.stdout or "[]") for p in x["programs"]
                  if not p["name"].startswith("watch_"))


def ours(text):
    return [x for x in text if "stanch_g_" in x]


ID = f"{os.getpid():012x}" + "0123456789abcdef" * 3 + "beef"


def places(bed, kind):
    """(options, cgroup of the group, uid, cgroup of the neighbour)."""
    aside = bed.cgroup("aside.service")
    if kind == "unit":
        return ["--unit", f"web-{bed.tag}"], bed.cgroup(f"web-{bed.tag}.service"), 0, aside
    if kind == "container":
        return ["--container", ID[:12]], bed.cgroup(f"docker-{ID}.scope"), 0, aside
    if kind == "account":
        return ["--account", str(UID)], aside, UID, aside
    return ["--pid"], aside, 0, aside


@pytest.mark.parametrize("kind", ["unit", "container", "account", "pid"])
def test_just_that(bed, kind):
    options, cgroup, uid, aside = places(bed, kind)
    before = tree()
    beside = [Sender(bed, aside), Sender(bed, aside, "loose")]
    if kind == "pid":
        # One process that forks all of them, and one more later.
        parent = bed.spawn("v", cgroup, PYTHON, "-c", "import subprocess, sys\n"
                           "for line in sys.stdin:\n"
                           "    subprocess.Popen([sys.executable, '-c', *eval(line)])\n",
                           stdin=subprocess.PIPE)

        def start(k, host=FAR, port=7000):
            s = Sender.__new__(Sender)
            parent.stdin.write(repr([SENDER, k, host, str(port)]) + "\n")
            parent.stdin.flush()
            s.kind, s.process = k, parent
            number = None
            while not number:
                word, number = parent.stdout.readline().split()
                number = number if word == "up" else None
            s.port = int(number)
            return s
        options = ["--pid", str(parent.pid)]
        inside = [start("loose"), start("udp")]
    else:
        inside = [Sender(bed, cgroup, k, h, uid=uid)
                  for k, h in (("tcp", FAR), ("tcp", FAR6), ("udp", FAR), ("loose", FAR))]
    assert all(n > 0 for n in bed.moved(inside + beside, 0.3))

    oid = bed.isolate(*options)
    was = bed.got()
    moved = bed.moved(inside + beside)
    assert moved[:len(inside)] == [0] * len(inside), "something of the group still gets out"
    assert all(n > 0 for n in moved[len(inside):]), "a neighbour was cut"
    assert ours(tree()), "bpftool sees no programs"
    for s in inside if kind != "pid" else []:
        if s.kind == "tcp":
            assert s.line() == ["error", ECONNABORTED]
            word, code, took = s.line()
            assert (word, code) == ("connect", EPERM) and float(took) < 3
        else:  # a connected one is dropped first, or disconnected first
            word, code = s.line()
            assert word == "error"
            assert code in ((EPERM, ECONNABORTED, EDESTADDRREQ) if s.kind == "udp" else (EPERM,))
    r = bed.stanch("status", oid)
    assert r.returncode == 0 and "v4        contained" in r.stdout, r.stdout + r.stderr
    if kind == "pid":
        leaf = cgroup_of(parent.pid)
        assert leaf.startswith(cgroup + "/stanch-")
        born = start("loose")  # a child of later: its socket is the leaf's
        assert bed.moved([born], 0.3) == [0]

    assert bed.got().keys() == was.keys(), "a new connection came through"
    bed.undo(oid)
    assert tree() == before
    if kind == "pid":
        assert cgroup_of(parent.pid) == cgroup and not os.path.exists(bed.folder(leaf))
        wait_for("the datagrams are back", lambda: bed.moved(inside[:1], 0.2)[0] > 0)
    else:
        wait_for("the connection is back", lambda: inside[0].line()[0] == "connected")
    assert all(n > 0 for n in bed.moved(beside, 0.2))
    # Not one byte of the neighbour's stream was lost: it is still the same connection.
    assert beside[0].process.poll() is None
    for s in inside + beside:
        s.kill()
    if kind == "pid":
        for pid in open(bed.folder(cgroup) + "/cgroup.procs", encoding="ascii").read().split():
            os.kill(int(pid), signal.SIGKILL)


def test_inbound_loopback_and_keeps(bed):
    cgroup = bed.cgroup(f"srv-{bed.tag}.service")
    listener = bed.spawn("v", cgroup, PYTHON, "-c", LISTENER)
    assert listener.stdout.readline() == "ready\n"

    def reach(ns, host):
        r = subprocess.run(["ip", "netns", "exec", bed.names[ns], "timeout", "1", PYTHON, "-c",
                            f"import socket; print(socket.create_connection(('{host}', 8080))"
                            ".recv(9))"], capture_output=True, text=True, check=False)
        return "hello" in r.stdout
    assert reach("f", NEAR)
    kept, other = Sender(bed, cgroup, port=7001), Sender(bed, cgroup, port=7000)
    oid = bed.isolate("--unit", f"srv-{bed.tag}.service", "--keep-out", f"{FAR}:7001")
    assert not reach("f", NEAR)
    assert reach("v", "127.0.0.1") and reach("v", NEAR), "loopback must go on"
    assert other.line() == ["error", ECONNABORTED]
    moved = bed.moved([kept, other])
    assert moved[0] > 0 and moved[1] == 0
    bed.undo(oid)
    assert reach("f", NEAR)
    for s in (kept, other):
        s.kill()
    listener.kill()


ALLOW = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("cgroup_skb/egress") int all(void *c) { return 1; }
SEC("cgroup/connect4") int con(void *c) { return 1; }
char l[] SEC("license") = "GPL";
"""


def test_nested_and_restarted(bed):
    """What is made below cannot overrule; a restart's new cgroup of the same name is cut, too."""
    name = f"again-{bed.tag}.service"
    cgroup = bed.cgroup(name)
    old = Sender(bed, cgroup)
    oid = bed.isolate("--unit", name)
    inner = bed.cgroup(f"{name}/inner")
    write(f"{bed.dir}/allow.bpf.c", ALLOW)
    subprocess.run(["clang", "-O2", "-g", "-target", "bpf", "-I",
                    f"/usr/include/{os.uname().machine}-linux-gnu", "-c", f"{bed.dir}/allow.bpf.c",
                    "-o", f"{bed.dir}/allow.o"], check=True)
    pins = f"/sys/fs/bpf/{bed.tag}"
    loaded = subprocess.run(["bpftool", "prog", "loadall", f"{bed.dir}/allow.o", pins], check=False,
                            capture_output=True).returncode == 0
    try:
        for hook, prog in (("egress", "all"), ("connect4", "con")) if loaded else ():
            subprocess.run(["bpftool", "cgroup", "attach", bed.folder(inner), hook, "pinned",
                            f"{pins}/{prog}", "multi"], check=True)
        nested = Sender(bed, inner, "loose")
        assert nested.line() == ["error", EPERM]
        assert bed.moved([nested], 0.3) == [0]
    finally:
        shutil.rmtree(pins, ignore_errors=True)
    for s in (old, nested):
        s.kill()
    os.rmdir(bed.folder(inner))
    wait_for("the unit is gone", lambda: not open(bed.folder(cgroup) + "/cgroup.procs",
                                                  encoding="ascii").read())
    os.rmdir(bed.folder(cgroup))
    assert bed.cgroup(name) == cgroup
    new = Sender(bed, cgroup, "loose")
    assert new.line() == ["error", EPERM]
    assert bed.moved([new], 0.3) == [0]
    r = bed.stanch("verify", oid)
    assert r.returncode == 0, r.stdout
    bed.undo(oid)
    assert new.line() == ["again"]
    new.kill()


def test_who_leaves_is_named(bed):
    cgroup = bed.cgroup(f"left-{bed.tag}.service")
    s = Sender(bed, cgroup, "loose")
    oid = bed.isolate("--unit", f"left-{bed.tag}")
    # It is root: packet sockets go around a cgroup, which is told.
    r = bed.stanch("status", oid)
    assert "raw       partial    packet sockets" in r.stdout, r.stdout
    assert s.line() == ["error", EPERM]
    write(bed.folder(bed.cgroup("aside.service")) + "/cgroup.procs", str(s.pid))
    # Its old socket stays cut, wherever it goes.
    assert bed.moved([s], 0.3) == [0]
    r = bed.stanch("verify", oid)
    assert r.returncode == 1 and f"process {s.pid} " in r.stdout and "has left" in r.stdout, r.stdout
    bed.undo(oid)
    s.kill()


def test_the_kernel_lifts_it_by_itself(bed):
    """stanch is killed as soon as the cut is there; the programs carry their own deadline."""
    cgroup = bed.cgroup(f"dead-{bed.tag}.service")
    s = Sender(bed, cgroup, "loose")
    p = subprocess.Popen(bed.argv("isolate", "--unit", f"dead-{bed.tag}", "--confirm-within", "3s",
                                  "--yes"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert s.line() == ["error", EPERM]
    p.kill()
    begun = time.monotonic()
    p.communicate()
    assert bed.moved([s], 1.0) == [0]
    assert s.line() == ["again"]
    assert 2.0 < time.monotonic() - begun < 15.0
    # What a dead stanch left half done the next command settles.
    bed.stanch("undo", "--all", "--yes")
    assert not ours(tree())
    s.kill()


def test_pid_survives_a_kill_of_stanch(bed):
    """Killed anywhere: the next command takes back or finishes; nothing of ours stays after undo."""
    cgroup = bed.cgroup("aside.service")
    before = tree()
    for delay in (0.02, 0.05, 0.08):
        s = Sender(bed, cgroup, "loose")
        p = subprocess.Popen(bed.argv("isolate", "--pid", str(s.pid), "--yes"),
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        p.kill()
        p.wait()
        r = bed.stanch("undo", "--all", "--yes")
        assert r.returncode in (0, 3), r.stdout + r.stderr
        assert cgroup_of(s.pid) == cgroup and tree() == before
        assert bed.moved([s], 0.2)[0] > 0
        s.kill()


FAULTY = os.path.join(os.path.dirname(STANCH), "tests", "faults", "stanch-faulty")


@pytest.mark.skipif(not os.path.exists(FAULTY), reason=f"{FAULTY} is not built")
def test_killed_at_any_call(bed):
    """A sample of calls at which it dies or fails: the next command settles it, back to what was."""
    cgroup = bed.cgroup("aside.service")
    before = tree()
    s = Sender(bed, cgroup, "loose")
    isolate = [FAULTY if w == STANCH else w for w in bed.argv("isolate", "--pid", str(s.pid), "--yes")]
    counted = f"{bed.dir}/counted"
    subprocess.run(isolate, env={**os.environ, "STANCH_FAULT_COUNT": counted}, capture_output=True,
                   timeout=30, check=True)
    with open(counted, encoding="ascii") as f:
        n = json.load(f)["calls"]
    assert bed.stanch("undo", "--all", "--yes").returncode == 0
    seed = int(os.environ.get("FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
    print(f"FAULT_SEED={seed}, {n} calls")
    picked = random.Random(seed).sample(range(1, n + 1), 6)
    held = 0
    for i, at in enumerate(picked):
        kind = ("die", "fail")[i % 2]
        r = subprocess.run(isolate, env={**os.environ, "STANCH_FAULT": f"{kind}:{at}"},
                           capture_output=True, text=True, timeout=30, check=False)
        held += r.returncode in (0, 5)
        if r.returncode in (3, 4):
            assert cgroup_of(s.pid) == cgroup and tree() == before, (kind, at, r.stdout, r.stderr)
        r = bed.stanch("undo", "--all", "--yes")
        assert r.returncode in (0, 3), (kind, at, r.stdout, r.stderr)
        assert cgroup_of(s.pid) == cgroup and tree() == before, (kind, at, r.stdout, r.stderr)
        assert not [d for d in os.listdir(bed.folder(cgroup)) if d.startswith("stanch-")]
    assert bed.moved([s], 0.2)[0] > 0
    s.kill()


def test_container_behind_the_host(bed):
    """In a network namespace of its own, its connections tracked by the host."""
    name = f"st-{os.getpid()}-gc"
    v, subnet = bed.names["v"], "198.18.77"
    cgroup = bed.cgroup(f"kubepods.slice/kubepods-besteffort.slice/cri-containerd-{ID[::-1]}.scope")
    try:
        subprocess.run(["ip", "netns", "add", name], check=True)
        for words in (f"-n {v} link add ve0 type veth peer name eth0 netns {name}",
                      f"-n {v} addr add {subnet}.1/24 dev ve0", f"-n {v} link set ve0 up",
                      f"-n {name} addr add {subnet}.2/24 dev eth0", f"-n {name} link set eth0 up",
                      f"-n {name} route add default via {subnet}.1",
                      f"-n {bed.names['f']} route add {subnet}.0/24 via {NEAR}"):
            subprocess.run(["ip", *words.split()], check=True)
        subprocess.run(["ip", "netns", "exec", v, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; "
                        "nft 'table ip t { chain f { type filter hook forward priority 0; ct state new "
                        "counter; }; }'"], check=True)
        bed.names["c"] = name
        inside, beside = Sender(bed, cgroup, ns="c"), Sender(bed, bed.cgroup("aside.service"), ns="c")

        def tracked():
            return subprocess.run(["ip", "netns", "exec", v, "conntrack", "-L"], capture_output=True,
                                  text=True, check=False).stdout
        assert f"sport={inside.port} " in tracked() and f"sport={beside.port} " in tracked()
        oid = bed.isolate("--container", f"containerd:{ID[::-1][:12]}")
        assert inside.line() == ["error", ECONNABORTED] and inside.line()[:2] == ["connect", EPERM]
        assert f"sport={inside.port} " not in tracked() and f"sport={beside.port} " in tracked()
        moved = bed.moved([inside, beside])
        assert moved[0] == 0 and moved[1] > 0
        bed.undo(oid)
        assert inside.line()[0] in ("connect", "connected")
        for s in (inside, beside):
            s.kill()
    finally:
        bed.names.pop("c", None)
        subprocess.run(["ip", "netns", "del", name], check=False)


def test_raw_is_contained_without_the_right(bed):
    cgroup = bed.cgroup(f"bare-{bed.tag}.service")
    c = bed.spawn("v", cgroup, "setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-all", "--reuid", "1",
                  "--clear-groups", "sleep", "20")
    def rights():
        with open(f"/proc/{c.pid}/status", encoding="ascii") as f:
            return next(int(x.split()[1], 16) for x in f if x.startswith("CapBnd:"))
    wait_for("the right is given up", lambda: not rights() >> 13 & 1)
    oid = bed.isolate("--unit", f"bare-{bed.tag}")
    assert "raw       contained" in bed.stanch("status", oid).stdout
    bed.undo(oid)
    c.kill()


def test_unclaimed_is_found(bed):
    cgroup = bed.cgroup(f"lost-{bed.tag}.service")
    s = Sender(bed, cgroup, "loose")
    r = bed.stanch("isolate", "--pid", str(s.pid), "--yes", state="other")
    assert r.returncode == 0, r.stderr
    r = bed.stanch("status")
    assert r.returncode == 1 and "unclaimed" in r.stdout and "stanch-" in r.stdout, r.stdout
    r = bed.stanch("undo", "--all", "--yes")
    assert cgroup_of(s.pid) == cgroup and not ours(tree()), r.stdout
    s.kill()


def test_refused(bed):
    two = [bed.cgroup(f"{x}.slice/twin-{bed.tag}.service") for x in "ab"]
    for options, word in ((["--pid", "1"], "isolate self"), (["--pid", str(os.getpid())], "operator"),
                          (["--account", "root"], "root"), (["--unit", "-.slice"], "isolate self"),
                          (["--unit", "/"], "isolate self"), (["--unit", "no-such"], "no cgroup"),
                          (["--unit", f"twin-{bed.tag}"], two[0]),
                          (["--account", "no-such-account"], "no account"),
                          (["--container", "ffffffffffff"], "no cgroup")):
        r = bed.stanch("isolate", *options, "--yes")
        assert r.returncode == 3 and word in r.stderr, (options, r.returncode, r.stderr)
    for options in (["--pid", "x"], ["self", "--pid", "7"], []):
        assert bed.stanch("isolate", *options, "--yes").returncode == 2
    assert not ours(tree())
    me = cgroup_of(os.getpid())
    r = bed.stanch("isolate", "--pid", str(os.getpid()), "--dry-run", "--force", "operator")
    assert r.returncode == 0 and "moves the processes back" in r.stdout, r.stderr
    assert cgroup_of(os.getpid()) == me and not ours(tree())


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))

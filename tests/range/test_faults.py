# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults against the whole product: stanch-faulty in namespaces of its own.

For isolate, block, undo and confirm: let the Nth system call or allocation fail, or kill the process at
the Nth call or mark. After each, the exit code of doc/cli.md must tell the kernel's state, which is read
by `nft -j` and by packets; after a death and one more changing command journal and kernel say the same,
whole, and the kept path is open.

FAULTS=all tries every N until none fails (a quarter of an hour on two processors). Else each matrix tries for FAULT_SECONDS
what a random order puts first, by FAULT_SEED (./do test prints it). FAULTS=isolate:malloc:4711 is that
place alone.

Needs root. Each worker has two network namespaces, st-jrn-<pid>-<worker>-v and -p, a process and a mount
namespace, which hide the machine's processes and keep /run and the journal in memory.
"""
import contextlib
import ctypes
import itertools
import json
import os
import random
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bed import remove_netns

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("STANCH_BUILD", os.path.join(ROOT, "build"))
FAULTY = os.path.join(BUILD, "tests", "faults", "stanch-faulty")
VICTIM, KEPT, BAD = "192.0.2.10", "192.0.2.20", "203.0.113.5"
FAULTS = os.environ.get("FAULTS", "")
SECONDS = float(os.environ.get("FAULT_SECONDS", "7"))
SEED = int(os.environ.get("FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
WORKERS = int(os.environ.get("FAULT_WORKERS", "0")) or 2 * (os.cpu_count() or 1)

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not os.path.exists(FAULTY), reason=f"{FAULTY} is not built"),
]


class Done:
    """How a command ended; a negative code is the signal that ended it."""

    def __init__(self, code, stdout, stderr):
        self.returncode = 128 - code if code > 128 else code
        self.stdout, self.stderr = stdout, stderr


class Shell:
    """One shell that stays, in a network namespace: a command costs a fork and no more."""

    def __init__(self, netns, folder):
        self.out, self.err = (os.path.join(folder, x) for x in ("out", "err"))
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{netns}", "unshare", "--mount", "--propagation", "private",
             "--pid", "--fork", "--kill-child", "--mount-proc", "sh"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={k: v for k, v in os.environ.items()
                 if k != "SSH_CONNECTION" and not k.startswith("STANCH_FAULT")})

    def run(self, line, timeout=60):
        timer = threading.Timer(timeout, self.process.kill)
        timer.start()
        try:
            self.process.stdin.write(f"{{ {line}\n}} </dev/null >{self.out} 2>{self.err}; echo $?\n")
            self.process.stdin.flush()
            code = self.process.stdout.readline()
        finally:
            timer.cancel()
        assert code, f"after {timeout} s: {line}"
        with open(self.out, encoding="utf-8") as out, open(self.err, encoding="utf-8") as err:
            return Done(int(code), out.read(), err.read())

    def must(self, line):
        done = self.run(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def close(self):
        self.process.kill()
        self.process.communicate()


class Range:
    """The victim's namespace, a peer's, one veth between; sends and counts UDP."""

    def __init__(self, name="0"):
        self.v, self.p = (f"st-jrn-{os.getpid()}-{name}-{x}" for x in "vp")
        self.dir = tempfile.mkdtemp(prefix="st-jrn-")
        self.state, self.conf, self.counted = "/run/state", "/run/conf", f"{self.dir}/counts"
        self.shell, self.sockets, self.number = None, [], 0

    def build(self):
        for ns in (self.v, self.p):
            subprocess.run(["ip", "netns", "add", ns], check=True, timeout=30)
        # Inside, /run is empty: the veth is made by names that are known outside.
        subprocess.run(["ip", "-n", self.v, "link", "add", "up0", "type", "veth", "peer", "name", "up0",
                        "netns", self.p], check=True, timeout=30)
        for ns, addrs in ((self.v, [VICTIM]), (self.p, [KEPT, BAD])):
            lines = "".join(f"addr add {a}/24 dev up0\n" for a in addrs)
            subprocess.run(["ip", "-n", ns, "-batch", "-"], text=True, check=True, timeout=30,
                           input=lines + "link set lo up\nlink set up0 up\n")
        self.shell = Shell(self.v, self.dir)
        self.shell.must(f"mount -t tmpfs tmpfs /run && : >{self.conf} && "
                        "ip route add 203.0.113.0/24 dev up0")
        # Neighbours are fixed: no datagram waits for ARP, which a cut keeps from being answered.
        link = json.loads(subprocess.run(["ip", "-n", self.p, "-j", "link", "show", "up0"], check=True,
                                         capture_output=True, timeout=30).stdout)[0]
        for addr in (KEPT, BAD):
            self.shell.must(f"ip neigh replace {addr} lladdr {link['address']} nud permanent dev up0")
        self.open_sockets()
        for _ in range(50):
            if not self.cut_off():
                return
        raise AssertionError("the range is not wired")

    def remove(self):
        for s in self.sockets:
            s.close()
        if self.shell:
            self.shell.close()
        for ns in (self.v, self.p):
            remove_netns(ns)
        shutil.rmtree(self.dir, ignore_errors=True)

    def stanch(self, *args, fault=None):
        """With STANCH_FAULT, and counted into self.counted, unless fault is None."""
        env = f"STANCH_FAULT_COUNT={self.counted} " if fault is not None else ""
        env += f"STANCH_FAULT={shlex.quote(fault)} " if fault else ""
        return self.shell.run(env + shlex.join([FAULTY, *args, "--state", self.state, "--config",
                                                self.conf]))

    def counts(self):
        with open(self.counted, encoding="ascii") as f:
            return json.load(f)

    @contextlib.contextmanager
    def inside(self, ns):
        """Sockets made by this thread meanwhile are in namespace ns."""
        with open("/proc/thread-self/ns/net", "rb") as here, open(f"/run/netns/{ns}", "rb") as there:
            setns(there.fileno())
            try:
                yield
            finally:
                setns(here.fileno())

    def open_sockets(self):
        with self.inside(self.p):
            self.rx = {a: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for a in (BAD, KEPT)}
        for addr, s in self.rx.items():
            s.bind((addr, 0))
            s.setblocking(False)
        with self.inside(self.v):
            self.tx = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sockets = [self.tx, *self.rx.values()]

    def arrived(self, addr):
        """The newest number at addr; one that comes late and was judged cut off is a leak."""
        newest = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                newest = int(self.rx[addr].recv(16))
                assert newest > self.judged, f"a datagram to {addr} was late: the judge cannot be trusted"
        return newest

    judged = 0

    def round(self, patience):
        """Who of both gets nothing. The datagram to BAD goes first on the same path: when the one to
        KEPT is there, it has arrived or never will, unless this thread changed its CPU in between."""
        self.number += 1
        for addr in (BAD, KEPT):
            with contextlib.suppress(OSError):  # a drop in the output hook is told at once
                self.tx.sendto(b"%d" % self.number, self.rx[addr].getsockname())
        select.select([self.rx[KEPT]], [], [], patience)
        return {a for a in (KEPT, BAD) if not self.arrived(a)}

    def cut_off(self):
        """Who of BAD and KEPT gets none of the victim's datagrams, twice in a row."""
        now = self.round(0.1)
        for _ in range(2):
            if now:
                now &= self.round(0.1)
        self.judged = self.number
        return now

    def tables(self):
        out = self.shell.must("nft -j list tables")
        return sorted({t["table"]["name"] for t in json.loads(out)["nftables"] if "table" in t})

    def wipe(self):
        """As after a restart: no rules, no tc, no XDP, no process that holds queues, no journal."""
        self.shell.must("nft flush ruleset; tc qdisc del dev up0 clsact 2>/dev/null; "
                        "ip link set up0 xdpdrv off 2>/dev/null; ip link set up0 xdpgeneric off 2>/dev/null; "
                        "ss -xlpH | sed -n 's/.*stanch-hold-.*pid=\\([0-9]*\\).*/\\1/p' | xargs -r kill -9; "
                        f"rm -rf {self.state} /run/stanch")


def setns(fd):
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture(scope="module")
def nets():
    made = [Range(i) for i in range(WORKERS)]
    try:
        for r in made:
            r.build()
        yield made
    finally:
        for r in made:
            r.remove()


ISOLATE = ("isolate", "self", "--keep", KEPT, "--confirm-within", "10m", "--on-expiry", "open",
           "--yes")
BLOCK = ("block", BAD, "--yes")
# name: commands before it, the command, who is cut off when it has not been done and when it has
JOBS = {
    "isolate": ((), ISOLATE, set(), {BAD}),
    "block": ((), BLOCK, set(), {BAD}),
    "undo": ((ISOLATE,), ("undo", "o1", "--yes"), {BAD}, set()),
    "confirm": ((ISOLATE,), ("confirm", "o1", "--force", "roundtrip", "--yes"), {BAD}, {BAD}),
}


def prepare(net, job):
    net.wipe()
    for command in JOBS[job][0]:
        done = net.stanch(*command)
        assert done.returncode == 0, done.stderr


def kills(spec):
    return spec.startswith(("die:", "mark:"))


def judge(net, job, spec, done):
    """The exit code of the command that met the fault tells the kernel's state."""
    before, after = JOBS[job][2:]
    now = net.cut_off()
    told = f"{job} {spec}: exit {done.returncode}, cut off {now}\n{done.stdout}{done.stderr}"
    assert KEPT not in now, told
    assert done.returncode in ((-signal.SIGKILL, 0) if kills(spec) else (0, 2, 3, 4, 5)), told
    if done.returncode == 0:
        assert now == after, told
    elif done.returncode in (2, 3, 4):
        assert now == before, told
        # The reason stands on standard error, or in the report of what was undone.
        assert done.stderr.strip() or "failed; all of it has been undone" in done.stdout, told
        if not before:
            assert not [t for t in net.tables() if t.startswith("stanch")], told
    elif done.returncode == 5:
        assert (done.stdout + done.stderr).strip(), told


def judge_after_death(net, job, spec):
    """One more changing command finishes or undoes; then the journal and the kernel agree."""
    assert KEPT not in net.cut_off(), f"{job} {spec}: the kept path is closed"
    # what another block does is nothing to this, and it makes recovery run
    more = net.stanch("block", "198.51.100.77", "--yes")
    assert more.returncode in (0, 5), f"{job} {spec}: {more.stderr}"
    status = net.stanch("status", "--json")
    told = f"{job} {spec}\n{more.stdout}{more.stderr}{status.stdout}{status.stderr}"
    orders = [json.loads(line) for line in status.stdout.splitlines() if line.strip()]
    orders = [o for o in orders if o.get("event_type") == "status"]
    states = {o["order"]: o["state"] for o in orders}
    assert not set(states.values()) & {"applying", "planned", "partial"}, told
    # A job that died before it was journalled has no order: then the next one is called o1.
    cutting = [o for o in orders if o["verb"] == "isolate" or o["targets"][0]["name"] == BAD]
    holds = any(o["state"] in ("unconfirmed", "held") for o in cutting)
    now = net.cut_off()
    assert KEPT not in now, told
    assert (BAD in now) == holds, told
    check = net.stanch("verify", "journal")
    assert check.returncode == 0, f"{told}{check.stdout}{check.stderr}"


KINDS = {"fail": "calls", "malloc": "mallocs", "die": "calls", "mark:*": "marks"}


def attempt(net, job, kind, place):
    """One fault; False: there are fewer places than that."""
    spec = f"{kind}:{place}"
    prepare(net, job)
    done = net.stanch(*JOBS[job][1], fault=spec)
    judge(net, job, spec, done)
    if done.returncode < 0:
        judge_after_death(net, job, spec)
    return done.returncode < 0 or net.counts()["hit"]


def count(net, job, kind):
    prepare(net, job)
    done = net.stanch(*JOBS[job][1], fault="")
    assert done.returncode == 0, done.stderr
    return net.counts()[KINDS[kind]]


def places(job, kind, n, k, step):
    """What worker k of `step` tries: every place until none fails any more, or what of a random
    order fits into the time."""
    if FAULTS == "all":
        yield from itertools.count(k + 1, step)
    order = list(range(1, n + 1))
    random.Random(f"{SEED} {job} {kind}").shuffle(order)
    end = time.monotonic() + SECONDS
    yield from itertools.takewhile(lambda _: time.monotonic() < end, order[k::step])


def try_places(net, job, kind, some):
    """(how many, what went wrong); ends after a handful of failures."""
    tried, wrong = 0, []
    for place in some:
        try:
            if not attempt(net, job, kind, place) and FAULTS == "all":
                break
        except AssertionError as e:
            wrong.append(f"FAULTS={job}:{kind}:{place}\n{e}")
            if len(wrong) > 5:
                break
        tried += 1
    return tried, wrong


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("kind", KINDS)
def test_faults(nets, job, kind):
    if FAULTS not in ("", "all"):
        only, _, place = FAULTS.rpartition(":")
        if only != f"{job}:{kind}":
            pytest.skip(f"only {FAULTS}")
        assert attempt(nets[0], job, kind, int(place)), "there are fewer places"
        return
    n = count(nets[0], job, kind)
    begun = time.monotonic()
    with ThreadPoolExecutor(len(nets)) as pool:
        done = list(pool.map(lambda k: try_places(nets[k], job, kind,
                                                  places(job, kind, n, k, len(nets))),
                             range(len(nets))))
    tried, wrong = sum(t for t, _ in done), [w for _, ws in done for w in ws]
    print(f"{job} {kind}: {tried} of {n} places, seed {SEED}, {time.monotonic() - begun:.0f} s")
    assert not wrong, f"seed {SEED}\n" + "\n\n".join(wrong)
    # The number of places varies a little with what the kernel has to tell.
    assert tried >= (0.98 * n - 2 if FAULTS else 1)


@pytest.mark.parametrize("job", ["isolate", "block"])
def test_disk_full_never_keeps_from_cutting(nets, job):
    net = nets[0]
    prepare(net, job)
    done = net.stanch(*JOBS[job][1], fault="full:1")
    assert done.returncode in (0, 5), done.stderr
    assert net.cut_off() == {BAD}
    # Here /run is full, too: it cuts all the same and says what that costs.
    assert "later commands will not find this order" in done.stdout + done.stderr

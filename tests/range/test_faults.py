# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults against the whole product: stanch-faulty in a namespace of its own.

For isolate, block, undo and confirm: count the system calls, allocations and marks on the way, then
let the Nth fail, or kill the process there, for every N (a fair sample where there are many). After
each, the exit code of doc/cli.md must tell the kernel's state, which is read by `nft -j` and by
packets; after one more changing command journal and kernel say the same, whole, and the kept path
is open.

Needs root. Makes two namespaces, st-jrn-<pid>-v and -p, and removes them.
"""
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("STANCH_BUILD", os.path.join(ROOT, "build"))
FAULTY = os.path.join(BUILD, "tests", "faults", "stanch-faulty")
VICTIM, KEPT, BAD = "192.0.2.10", "192.0.2.20", "203.0.113.5"
# Seconds for one matrix; what there are more places for is sampled evenly.
BUDGET = float(os.environ.get("STANCH_FAULT_SECONDS", "4"))
SAMPLE_MAX = 150

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not os.path.exists(FAULTY), reason=f"{FAULTY} is not built"),
]


def sh(*argv, check=True, **more):
    return subprocess.run(argv, check=check, capture_output=True, text=True, timeout=30, **more)


class Range:
    """The victim's namespace, a peer's, one veth between; sends and counts UDP."""

    def __init__(self):
        self.v, self.p = (f"st-jrn-{os.getpid()}-{x}" for x in "vp")
        self.dir = tempfile.mkdtemp(prefix="st-jrn-")
        self.state = os.path.join(self.dir, "state")
        self.conf = os.path.join(self.dir, "stanch.conf")
        with open(self.conf, "w", encoding="ascii"):
            pass
        hexed = hashlib.sha256(self.state.encode()).hexdigest()[:16]
        self.run_dir = os.path.join("/run/stanch", hexed)
        self.saved = None

    def build(self):
        for ns in (self.v, self.p):
            sh("ip", "netns", "add", ns)
        sh("ip", "-n", self.v, "link", "add", "up0", "type", "veth", "peer", "name", "up0",
           "netns", self.p)
        for ns, addrs in ((self.v, [VICTIM]), (self.p, [KEPT, BAD])):
            for addr in addrs:
                sh("ip", "-n", ns, "addr", "add", addr + "/24", "dev", "up0")
            for dev in ("lo", "up0"):
                sh("ip", "-n", ns, "link", "set", dev, "up")
        sh("ip", "-n", self.v, "route", "add", "203.0.113.0/24", "dev", "up0")

    def remove(self):
        for ns in (self.v, self.p):
            sh("ip", "netns", "del", ns, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def stanch(self, *args, fault=None, count=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith("STANCH_FAULT")}
        env.pop("SSH_CONNECTION", None)
        if fault:
            env["STANCH_FAULT"] = fault
        if count:
            env["STANCH_FAULT_COUNT"] = count
        # nsenter and not `ip netns exec`, which would hide the cgroup tree
        argv = ["nsenter", f"--net=/run/netns/{self.v}", FAULTY, *args, "--state", self.state,
                "--config", self.conf]
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)

    @contextlib.contextmanager
    def inside(self, ns):
        """Sockets made by this thread meanwhile are in namespace ns."""
        with open("/proc/thread-self/ns/net", "rb") as here, open(f"/run/netns/{ns}", "rb") as there:
            os_setns(there.fileno())
            try:
                yield
            finally:
                os_setns(here.fileno())

    def passes(self, to):
        """Does a datagram from the victim arrive at `to`?"""
        with self.inside(self.p):
            rx = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with self.inside(self.v):
            tx = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with rx, tx:
            rx.bind((to, 0))
            rx.settimeout(0.05)
            for _ in range(3):
                try:
                    tx.sendto(b"x", rx.getsockname())
                except OSError:
                    pass
                try:
                    return bool(rx.recv(16))
                except socket.timeout:
                    continue
        return False

    def tables(self):
        out = sh("nsenter", f"--net=/run/netns/{self.v}", "nft", "-j", "list", "tables").stdout
        return sorted({t["table"]["name"] for t in json.loads(out)["nftables"] if "table" in t})

    def wipe(self):
        """As after a restart: no rules, no tc, no journal."""
        sh("nsenter", f"--net=/run/netns/{self.v}", "nft", "flush", "ruleset")
        sh("nsenter", f"--net=/run/netns/{self.v}", "tc", "qdisc", "del", "dev", "up0", "clsact",
           check=False)
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.rmtree(self.run_dir, ignore_errors=True)


def os_setns(fd):
    import ctypes
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture(scope="module")
def net():
    r = Range()
    try:
        r.build()
        # neighbours known beforehand: a first datagram must not wait for ARP
        assert r.passes(KEPT) and r.passes(BAD)
        yield r
    finally:
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


def counts(net, job):
    path = os.path.join(net.dir, "counts")
    prepare(net, job)
    done = net.stanch(*JOBS[job][1], count=path)
    assert done.returncode == 0, done.stderr
    with open(path, encoding="ascii") as f:
        return json.load(f)


def sample(n):
    if n <= SAMPLE_MAX:
        return list(range(1, n + 1))
    return sorted({1 + i * (n - 1) // (SAMPLE_MAX - 1) for i in range(SAMPLE_MAX)})


def spread(places):
    """First every 16th place, then the ones between: a run that ends early has seen all regions."""
    return sorted(places, key=lambda n: (places.index(n) % 16, n))


def cut_off(net):
    return {a for a in (KEPT, BAD) if not net.passes(a)}


def judge(net, job, spec, done):
    """The exit code of the command that met the fault tells the kernel's state."""
    before, after = JOBS[job][2:]
    now = cut_off(net)
    told = f"{job} {spec}: exit {done.returncode}, cut off {now}\n{done.stdout}{done.stderr}"
    assert KEPT not in now, told
    assert done.returncode in (0, 2, 3, 4, 5, -signal.SIGKILL), told
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
    assert KEPT not in cut_off(net), f"{job} {spec}: the kept path is closed"
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
    now = cut_off(net)
    assert KEPT not in now, told
    assert (BAD in now) == holds, told
    check = net.stanch("verify", "journal")
    assert check.returncode == 0, f"{told}{check.stdout}{check.stderr}"


def matrix(net, job, kind, n):
    end = time.monotonic() + BUDGET
    tried = 0
    for i in spread(sample(n)):
        if time.monotonic() > end and tried >= 8:
            break
        spec = f"{kind}:{i}"
        prepare(net, job)
        done = net.stanch(*JOBS[job][1], fault=spec)
        judge(net, job, spec, done)
        if done.returncode < 0:
            judge_after_death(net, job, spec)
        tried += 1
    print(f"{job} {kind}: {tried} of {n} places")
    assert tried


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("kind,what", [("fail", "calls"), ("malloc", "mallocs"), ("die", "calls"),
                                       ("mark:*", "marks")])
def test_faults(net, job, kind, what):
    n = counts(net, job)[what]
    assert n
    matrix(net, job, kind, n)


@pytest.mark.parametrize("job", ["isolate", "block"])
def test_disk_full_never_keeps_from_cutting(net, job):
    prepare(net, job)
    done = net.stanch(*JOBS[job][1], fault="full:1")
    assert done.returncode in (0, 5), done.stderr
    assert cut_off(net) == {BAD}
    # Here /run is full, too: it cuts all the same and says what that costs.
    assert "later commands will not find this order" in done.stdout + done.stderr

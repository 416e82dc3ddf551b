# SPDX-License-Identifier: GPL-3.0-or-later
"""A container root: Debian 12 with its own systemd, sshd, PAM, cron, at, sudo, up in about a second.

    with Container() as c:
        c.run("systemctl", "is-active", "ssh")          # in its namespaces, outside of its cgroups
        c.script("useradd -m alice; echo alice:secret | chpasswd")
        c.start("sleep", "600", uid=1000, unit="x")     # in a unit of its own; the pid in the container
        c.put("/etc/x", b"bytes"), c.get("/etc/x")
        c.stanch("freeze", "service", "x", "--yes", "--json")   # a Result, as in the range
        c.outside("ssh", …)                              # from a host that sees it as 192.0.2.10

systemd-nspawn boots the tree of tests/debian.py under an overlay in memory: nothing that happens in it is
left afterwards. It has a hierarchy of cgroups of its own (a hybrid one knows no freezing), its own network
with a cable to the outside, and no right to set the clock. What it was made of is removed by id: its
cgroups, namespaces, processes; and first what dead makers left.
"""
import ctypes
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [TESTS, os.path.join(TESTS, "range")]

import bed as range_bed  # noqa: E402
import debian  # noqa: E402
from bed import BedError, Made, Result, run, wait_for  # noqa: E402

ADDRESS, OUTSIDE = "192.0.2.10", "192.0.2.1"
STATE, CONFIG = "/var/lib/stanch", "/etc/stanch/stanch.conf"
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)

# $1 folder, $2 name, $3 tree, $4 network namespace, $5 what it may read of ours.
BOOT = """
mkdir "$1/cgroup"
mount -t cgroup2 none "$1/cgroup"
mkdir "$1/cgroup/$2"
echo $$ >"$1/cgroup/$2/cgroup.procs"
if mountpoint -q /sys/fs/cgroup; then umount -R /sys/fs/cgroup; fi
mount --move "$1/cgroup" /sys/fs/cgroup
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec systemd-nspawn -q --register=no --keep-unit -M "$2" -D "$3" --volatile=overlay --bind-ro="$5" \
    --network-namespace-path="/run/netns/$4" --drop-capability=CAP_SYS_TIME -b --console=pipe
"""
UP = "while [ ! -S /run/systemd/private ]; do sleep 0.02; done; systemctl is-system-running --wait"


def why_not():
    """Why there can be no container root here, or None."""
    why = debian.why_not()
    if not why and not shutil.which("systemd-nspawn"):
        why = "needs systemd-nspawn (package systemd-container)"
    return why


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def remove_cgroup(name):
    """Removes one cgroup below the hierarchy's root with what is in it, innermost first."""
    if not re.fullmatch(r"st-\d+-c\d+", name):
        raise BedError(f"{name} is no cgroup of ours")
    with tempfile.TemporaryDirectory(prefix="st-cgroup-") as at:
        script = ('mount -t cgroup2 none "$1"; [ -d "$1/$2" ] || exit 0; '
                  'find "$1/$2" -depth -type d -exec rmdir {} +')
        wait_for(f"cgroup {name} is empty", lambda: not subprocess.run(
            ["unshare", "-m", "--propagation", "private", "sh", "-euc", script, "sh", at, name],
            capture_output=True, check=False, timeout=30).returncode, 10)


def remove_leftovers():
    """Ends what dead makers left, by the record that the range keeps of each."""
    dead = []
    for path in glob.glob("/tmp/st-*.range"):
        pid = re.fullmatch(r"/tmp/st-(\d+)\.range", path)
        with open(path, encoding="ascii") as f:
            lines = f.read().split()
        if pid and lines and range_bed.start_time(pid.group(1)) != lines[0]:
            dead += [w.rpartition("/")[2] for w in lines[1:] if re.fullmatch(r"/tmp/st-\d+-c\d+", w)]
    range_bed.remove_leftovers()
    for name in dead:
        remove_cgroup(name)


class Container(Made):
    """with Container() as c: …"""

    made = 0

    def __init__(self):
        Container.made += 1
        self.name = f"st-{os.getpid()}-c{Container.made}"
        self.dir = f"/tmp/{self.name}"
        self.process = self.init = None
        self.children = []

    # -- making

    def build(self):
        tree = debian.ensure()
        remove_leftovers()
        os.mkdir(self.dir, 0o700)
        range_bed.record(self.dir)
        self.network()
        self.boot(tree)
        self.put(CONFIG, b"")
        missing = self.script(f"ldd {range_bed.STANCH} | grep 'not found' || :").stdout
        if missing:
            raise BedError(f"name these in tests/debian-packages:\n{missing}")
        self.run("ip", "link", "set", "lo", "up")
        # sudo asks for its host's name: without this, 20 seconds each.
        self.script('printf "127.0.0.1 localhost\\n127.0.1.1 %s\\n" "$(hostname)" >/etc/hosts')

    def network(self):
        for ns in (self.name, self.name + "o"):
            run("ip", "netns", "add", ns)
        run("ip", "-n", self.name, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0",
            "netns", self.name + "o")
        for ns, addr in ((self.name, ADDRESS), (self.name + "o", OUTSIDE)):
            run("ip", "-n", ns, "link", "set", "lo", "up")
            run("ip", "-n", ns, "addr", "add", addr + "/24", "dev", "eth0")
            run("ip", "-n", ns, "link", "set", "eth0", "up")
        run("ip", "-n", self.name, "route", "add", "default", "via", OUTSIDE)

    def boot(self, tree):
        argv = ["unshare", "-m", "--propagation", "private", "sh", "-euc", BOOT, "sh", self.dir, self.name,
                tree, self.name, range_bed.ROOT]
        with open(self.dir + "/log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=die_with_parent)
        self.init = wait_for("the container's init runs", self.find_init, 30, 0.01)
        state = self.script(UP, check=False).stdout.strip()
        if state != "running":
            failed = self.run("systemctl", "--failed", "--no-legend", "--plain", check=False).stdout
            raise BedError(f"the container is {state}:\n{failed}{self.log_text()}")

    def find_init(self):
        """systemd-nspawn's child that is process 1 of its own namespace."""
        if self.process.poll() is not None:
            raise BedError(f"systemd-nspawn ended with {self.process.returncode}:\n{self.log_text()}")
        pid = self.process.pid
        try:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                children = f.read().split()
            with open(f"/proc/{children[0]}/status", encoding="utf-8", errors="replace") as f:
                status = dict(line.split(":", 1) for line in f.read().splitlines() if ":" in line)
        except (OSError, IndexError):
            return None
        found = status["Name"].strip() == "systemd" and status["NSpid"].split()[-1] == "1"
        return int(children[0]) if found else None

    def close(self):
        for job in self.children:
            job.kill()
            job.wait()
        if self.process:
            if self.init and range_bed.start_time(self.init):
                os.kill(self.init, signal.SIGKILL)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        for ns in (self.name, self.name + "o"):
            range_bed.remove_netns(ns)
        remove_cgroup(self.name)
        shutil.rmtree(self.dir, ignore_errors=True)

    def log_text(self):
        with open(self.dir + "/log", encoding="utf-8", errors="replace") as f:
            return f.read()[-4000:]

    # -- what runs where

    def enter(self):
        return ["nsenter", "-t", str(self.init), "-a", "--"]

    def run(self, *argv, check=True, timeout=60, **more):
        """In the container's namespaces, but in none of its cgroups: no order can be about it."""
        if "input" not in more:
            more.setdefault("stdin", subprocess.DEVNULL)
        return run(*self.enter(), *argv, check=check, timeout=timeout, **more)

    def script(self, text, **more):
        return self.run("bash", "-euc", text, **more)

    def spawn(self, *argv, **more):
        """Starts argv there, as run does; it ends with the container."""
        for stream in ("stdin", "stdout", "stderr"):
            more.setdefault(stream, subprocess.DEVNULL)
        job = subprocess.Popen([*self.enter(), *argv], text=True, start_new_session=True, **more)
        self.children.append(job)
        return job

    def outside(self, *argv, **more):
        """On the host at the other end of the cable."""
        return run("ip", "netns", "exec", self.name + "o", *argv, **more)

    def start(self, *argv, unit, **properties):
        """Runs argv in a service of its own there; the pid that it has there."""
        args = [f"--property={k}={v}" for k, v in properties.items()]
        self.run("systemd-run", "-q", f"--unit={unit}", *args, "--", *argv)
        return self.main_pid(unit)

    def main_pid(self, unit):
        return int(self.show(unit, "MainPID"))

    def show(self, unit, prop):
        return self.run("systemctl", "show", "-P", prop, unit).stdout.strip()

    def stanch(self, *argv, timeout=120, **more):
        begun = time.time_ns()
        return Result(self.run(range_bed.STANCH, *argv, check=False, timeout=timeout, **more), begun)

    # -- files and processes

    def path(self, name):
        """Where a file of the container's can be reached from here. Follow no link in it."""
        return f"/proc/{self.init}/root{name}"

    def put(self, name, data, mode=0o644):
        script = 'mkdir -p "$(dirname "$1")"; cat >"$1"; chmod "$2" "$1"'
        subprocess.run([*self.enter(), "sh", "-euc", script, "sh", name, f"{mode:o}"], input=data, check=True,
                       timeout=60)

    def get(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def pids(self, pattern):
        """Pids in the container of the processes whose command line is like this."""
        found = []
        for path in glob.glob(self.path("/proc/[0-9]*/cmdline")):
            try:
                with open(path, "rb") as f:
                    line = f.read().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if re.search(pattern, line):
                found.append(int(path.rpartition("/proc/")[2].partition("/")[0]))
        return sorted(found)

    def state_of(self, pid):
        """The letter of its state; "" when it is gone."""
        try:
            with open(self.path(f"/proc/{pid}/stat"), encoding="utf-8", errors="replace") as f:
                return f.read().rpartition(")")[2].split()[0]
        except OSError:
            return ""

    def cgroup_of(self, pid):
        """As processes of the container see it."""
        return self.run("sed", "-n", "s/^0:://p", f"/proc/{pid}/cgroup").stdout.strip()

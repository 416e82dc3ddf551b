# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage that cases play on: own mount, network, pid and IPC namespaces with tmpfs over the places
that implants like, so that the machine itself is not touched and holds nothing of them afterwards.

A case is a row `(name, area, half, setup, expect)`. setup(stage) starts it and returns what the
findings will be about: pids, or selectors as text. expect: the rules of which one must fire, or None
for a harmless twin, of which nothing may say "act". What a case started ends with the stage.
"""
import collections
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
OUTSIDE = "203.0.113.5"
PORT = 4443

Case = collections.namedtuple("Case", "name area half setup expect")

PLACES = ["/tmp", "/var/tmp", "/dev/shm", "/usr/local", "/opt", "/home", "/srv", "/var/lib/dpkg/info"]


class Stage:
    def __init__(self):
        self.procs = []
        self.root = "/srv/root"
        self.conns = []
        for place in PLACES:
            os.makedirs(place, exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "stage", place], check=True)
        for d in ("/usr/local/bin", "/usr/local/sbin", "/usr/local/lib", "/home/u", self.root + "/etc"):
            os.makedirs(d, exist_ok=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "addr", "add", OUTSIDE + "/32", "dev", "lo"], check=True)
        self.server = socket.create_server((OUTSIDE, PORT), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            self.conns.append(self.server.accept()[0])

    @property
    def far(self):
        return f"{OUTSIDE}:{PORT}"

    def put(self, path, text="", mode=0o644):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def play(self, path):
        """A copy of the player at that place."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.exists(path):  # cases may share one
            shutil.copy(PLAY, path)
        os.chmod(path, 0o755)
        return path

    def start(self, argv, argv0=None, ready=1, uid=None, env=None, **kw):
        """Starts it, waits until so many processes of it have said that they are ready, and returns
        its pid in a list. ready=0: it says nothing, and is given a moment."""
        def before():
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
            if uid:
                os.setgid(uid)
                os.setuid(uid)
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stderr", subprocess.DEVNULL)
        p = subprocess.Popen([argv0 or argv[0]] + argv[1:], executable=argv[0],
                             stdout=kw.pop("stdout", subprocess.PIPE if ready else subprocess.DEVNULL),
                             preexec_fn=before, env=dict(os.environ, **(env or {})), text=True, **kw)
        self.procs.append(p)
        for _ in range(ready if p.stdout else 0):
            word = p.stdout.readline().split()
            assert word and word[0] == "ready", (argv, word)
        return [p.pid]

    def below(self, pid):
        """All that descend from it."""
        kids = collections.defaultdict(list)
        for d in os.listdir("/proc"):
            if d.isdigit():
                try:
                    with open(f"/proc/{d}/stat") as f:
                        kids[int(f.read().rsplit(")", 1)[1].split()[1])].append(int(d))
                except OSError:
                    pass
        out, todo = [], [pid]
        while todo:
            one = todo.pop()
            out.append(one)
            todo += kids[one]
        return out

    def triage(self, *more):
        # The stage's own program and its parent are part of the host; nothing is filtered out here.
        r = subprocess.run([STANCH, "triage", "--json", "--state", "/tmp/state", *more],
                           capture_output=True, text=True, timeout=60, check=False)
        assert r.returncode in (0, 1), (r.returncode, r.stderr, r.stdout)
        rows = [json.loads(line) for line in r.stdout.splitlines()]
        return ([o for o in rows if o["event_type"] == "finding"],
                [o for o in rows if o["event_type"] == "stats"])

    def close(self):
        for p in self.procs:
            p.kill()


def about(finding, subjects):
    """Is the finding about one of a case's pids or selectors?"""
    words = finding["selector"].split(":")
    return any((words[0] == "pid" and str(s) == words[1]) or s == finding["selector"]
               for s in subjects)


def judge(case, subjects, findings):
    """(right, told): an implant is found by a rule that is expected, from `look` on; of a twin
    nothing says act."""
    mine = [f for f in findings if about(f, subjects)]
    told = [f"{f['rule']} {f['score']:.2f}" for f in mine]
    if case.expect is None:
        return not any(f["advice"] == "act" for f in mine), told
    return any(f["rule"] in case.expect and f["advice"] != "note" for f in mine), told


LOOKS = 4  # a busy machine may not have started everything at the first


def look(s, cases, subjects):
    """One look: the verdict on each case, what is of no case and acted on, what the areas told."""
    subjects = [sum((s.below(x) if isinstance(x, int) else [x] for x in one), []) for one in subjects]
    findings, stats = s.triage("--area", "processes", "--area", "sockets")
    more, _ = s.triage("--root", s.root, "--area", "kernel")
    findings += more
    known = sum(subjects, [])
    stray = [f for f in findings if f["advice"] == "act" and not about(f, known)]
    return [(c, *judge(c, m, findings)) for c, m in zip(cases, subjects)], stray, stats


def run(cases):
    """Plays all at once and looks, again only while implants are missed: [(case, right, told)], other act
    findings, stats. A twin is right if no look would act on it."""
    s = Stage()
    wronged, stray = {}, []
    try:
        subjects = [case.setup(s) for case in cases]
        for _ in range(LOOKS):
            time.sleep(0.4)
            results, odd, stats = look(s, cases, subjects)
            stray += odd
            wronged.update({c.name: told for c, right, told in results if c.expect is None and not right})
            if all(right for c, right, _ in results if c.expect):
                break
        return [(c, right and c.name not in wronged, wronged.get(c.name, told)) for c, right, told in results], stray, stats
    finally:
        s.close()


# The programs are taken along before the stage covers the places that they may lie in.
CARRY = "/run/stanch-stage"
PLAY, STANCH = CARRY + "/play", CARRY + "/stanch"


def enter(script, args):
    """Runs the script again on a stage of its own; returns its exit code."""
    return subprocess.run(["unshare", "--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child",
                           "--mount-proc", "--propagation", "private",
                           sys.executable, "-B", script, "--on-stage", *args],
                          check=False, timeout=150).returncode


def prepare():
    """On the stage: carries the programs to where nothing is covered, the scripts are read already."""
    os.makedirs(CARRY, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "stage", CARRY], check=True)
    for src, dst in ((os.path.join(BUILD, "tests/play"), PLAY), (os.path.join(BUILD, "stanch"), STANCH)):
        shutil.copy(src, dst)

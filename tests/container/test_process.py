# SPDX-License-Identifier: GPL-3.0-or-later
"""freeze and kill against processes that resist. Who judges is the kernel: states, cgroups, and a clock of each
process's own that goes on or stands."""
import json
import sqlite3
import time

import pytest

import container_bed as B

TICK = "import sys,time\nwhile 1:\n open(sys.argv[1],'a').write('.'); time.sleep(.01)"
# Each of the two starts the other anew when it is gone.
PAIR = """
import os, sys, time
me, other = sys.argv[1:3]
def alive(name):
    try:
        pid = int(open('/run/pair-' + name).read()); os.kill(pid, 0)
        return open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[0] != 'Z'
    except (OSError, ValueError):
        return False
open('/run/pair-' + me, 'w').write(str(os.getpid()))
while True:
    if not alive(other):
        child = os.fork()
        if child == 0:
            if os.fork() == 0:
                os.setsid(); os.execv(sys.executable, [sys.executable, '/run/pair.py', other, me])
            os._exit(0)
        os.waitpid(child, 0)
        for _ in range(500):  # it has to start
            if alive(other):
                break
            time.sleep(.01)
    time.sleep(.005)
"""
# Forks as fast as it can, five thousand times at most; each child lives for a while and forks, too.
LOOP = """
import os, time
for i in range(5000):
    if os.fork() == 0:
        if i % 3 == 0 and os.fork() == 0:
            time.sleep(60)
        time.sleep(60); os._exit(0)
    if i % 50 == 0:
        time.sleep(.005)
time.sleep(60)
"""


def size(c, path):
    return len(c.get(path))


def stands(c, path):
    before = size(c, path)
    time.sleep(0.15)
    return size(c, path) == before


def frozen_in(c, pids):
    where = {c.cgroup_of(p) for p in pids}
    assert len(where) == 1 and next(iter(where)).startswith("/stanch-frozen-"), where
    assert b"frozen 1\n" in c.get(f"/sys/fs/cgroup{next(iter(where))}/cgroup.events")
    return next(iter(where))


def order_of(result):
    return result.objects()[-1]["order"]["order"]


def leftovers(c):
    return c.run("sh", "-c", "ls -d /sys/fs/cgroup/stanch-frozen-* 2>/dev/null || :").stdout.split()


def test_a_tree_is_frozen_and_undone_to_where_it_was(shared):
    pid = shared.start("python3", "-c", f"import subprocess,sys\np=[subprocess.Popen([sys.executable,'-c',{TICK!r},"
                       "'/run/tick'+str(i)]) for i in range(3)]\np[0].wait()", unit="tree")
    B.wait_for("three children tick", lambda: shared.run("sh", "-c", "ls /run/tick2", check=False).returncode == 0)
    pids = shared.pids("run/tick")
    assert len(pids) == 4 and not stands(shared, "/run/tick1")
    before = {p: shared.cgroup_of(p) for p in pids}
    r = shared.stanch("freeze", str(pid), "--yes", "--json")
    assert r.code == 0, r
    frozen_in(shared, pids)
    assert all(stands(shared, f"/run/tick{i}") for i in range(3))
    shared.run("sh", "-c", f"kill -CONT {' '.join(map(str, pids))}; systemctl thaw tree || :", check=False)
    assert stands(shared, "/run/tick0"), "neither SIGCONT nor systemd wakes it"
    assert shared.stanch("verify", order_of(r)).code == 0
    r2 = shared.stanch("freeze", str(pid), "--yes")
    assert r2.code == 3 and "already" in r2.err, r2
    assert shared.stanch("undo", order_of(r), "--yes").code == 0
    assert {p: shared.cgroup_of(p) for p in pids} == before and not leftovers(shared)
    assert not stands(shared, "/run/tick1")
    shared.run("systemctl", "stop", "tree")


def test_somebody_thaws_it_and_that_is_told(shared):
    pid = shared.start("sleep", "600", unit="thawed")
    r = shared.stanch("freeze", "service", "thawed", "--yes", "--json")
    assert r.code == 0, r
    where = frozen_in(shared, [pid])
    shared.script(f"echo 0 >/sys/fs/cgroup{where}/cgroup.freeze")
    v = shared.stanch("verify", order_of(r))
    assert v.code == 1 and "thawed" in v.out + v.err, v
    assert shared.stanch("undo", "--all", "--yes").code == 0
    assert shared.cgroup_of(pid) == "/system.slice/thawed.service"
    shared.run("systemctl", "stop", "thawed")


def test_a_pair_that_starts_each_other_anew_is_ended(fresh):
    fresh.put("/run/pair.py", PAIR.encode())
    fresh.start("python3", "/run/pair.py", "a", "b", unit="pair")
    pids = B.wait_for("both run", lambda: (lambda v: v if len(v) == 2 else None)(fresh.pids("pair.py")))
    fresh.run("kill", "-9", str(pids[1]))

    def anew():
        """The dying one is listed for a while, and so is the child that has not yet become the new one."""
        v = fresh.pids("pair.py")
        time.sleep(0.1)
        return v if len(v) == 2 and pids[1] not in v and v == fresh.pids("pair.py") else None
    pair = B.wait_for("the other has started it anew", anew)
    r = fresh.stanch("kill", *map(str, pair), "--yes", "--json")
    assert r.code == 0, (r.out, r.err)
    time.sleep(0.3)
    assert fresh.pids("pair.py") == []


def test_a_fork_loop_is_caught_whole(fresh):
    fresh.put("/run/loop.py", LOOP.encode())
    fresh.start("python3", "/run/loop.py", unit="loop", TasksMax=4000)
    time.sleep(0.3)
    r = fresh.stanch("kill", "service", "loop", "--yes", "--json")
    assert r.code == 0, r
    assert fresh.pids("loop.py") == []


def test_an_account_by_any_of_its_four_uids(fresh):
    fresh.script("useradd -m mallory; useradd -m other")
    uid = int(fresh.run("id", "-u", "mallory").stdout)
    one = fresh.start("sleep", "600", unit="one", User="mallory")
    # Real uid another's, effective and saved hers.
    two = fresh.start("python3", "-c", f"import os,time; os.setresuid(0,{uid},{uid}); time.sleep(600)", unit="two")
    other = fresh.start("sleep", "600", unit="three", User="other")
    time.sleep(0.2)
    r = fresh.stanch("freeze", "account", "mallory", "--yes", "--json")
    assert r.code == 0, r
    frozen_in(fresh, [one, two])
    assert fresh.cgroup_of(other) == "/system.slice/three.service"
    late = fresh.start("sleep", "600", unit="late", User="mallory")
    v = fresh.stanch("verify", order_of(r))
    assert v.code == 1 and str(late) in v.out + v.err, v
    assert fresh.stanch("undo", order_of(r), "--yes").code == 0
    assert fresh.cgroup_of(one) == "/system.slice/one.service"


def test_what_is_killed_was_captured_first(fresh):
    fresh.script("cp /bin/sleep /run/implant")
    want = fresh.run("sha256sum", "/run/implant").stdout.split()[0]
    pid = fresh.start("bash", "-c", r"exec -a $'evil\e[31m\xff' /run/implant 600 7</dev/null", unit="imp",
                      Environment="SECRET=tell")
    time.sleep(0.2)
    fresh.run("rm", "/run/implant")
    r = fresh.stanch("kill", str(pid), "--yes", "--json")
    assert r.code == 0, r
    assert fresh.state_of(pid) == ""
    evidence = kept_evidence(fresh)
    (p,) = [x for x in evidence["processes"] if x["pid"] == pid]
    assert p["exe"]["sha256"] == want and p["exe"]["links"] == 0
    assert bytes.fromhex(p["exe"]["bytes"]["hex"])[:4] == b"\x7fELF"
    assert bytes.fromhex(p["cmdline"][0]["hex"]) == b"evil\x1b[31m\xff" and p["cmdline"][1] == "600"
    assert "SECRET=tell" in p["environ"]
    assert {"fd": 7, "to": "/dev/null"} in p["fds"]
    assert "/run/implant (deleted)" in p["maps"] and f"Pid:\t{pid}" in p["status"]
    u = fresh.stanch("undo", order_of(r), "--yes")
    assert "cannot be brought back" in u.out + u.err
    assert fresh.stanch("verify", "journal").code == 0


def kept_evidence(c):
    """What the journal keeps of the killed, read with SQLite itself."""
    path = c.dir + "/journal.db"
    for tail in ("", "-wal"):
        try:
            with open(path + tail, "wb") as f:
                f.write(c.get(f"{B.STATE}/journal.db{tail}"))
        except FileNotFoundError:
            pass
    db = sqlite3.connect(path)
    columns = [r[1] for r in db.execute("pragma table_info(steps)")]
    assert "evidence" in columns, columns
    (text,) = next(db.execute("select evidence from steps where evidence is not null"))
    return json.loads(text)


@pytest.mark.parametrize("what, why", [
    (("1",), "process 1"), (("service", "dbus"), "system bus"), (("service", "systemd-journald"), "the journal"),
    (("service", "ssh"), "the way in"), (("account", "root"), "root"), (("99999",), "no process"),
    (("service", "nothing"), "no cgroup"), (("bob",), "numbers of processes")])
def test_what_a_host_needs_is_refused(shared, what, why):
    for verb in ("freeze", "kill"):
        r = shared.stanch(verb, *what, "--yes")
        assert r.code == (2 if what == ("bob",) else 3) and why in r.err, r
    assert leftovers(shared) == []


def test_a_name_protects_nobody(fresh):
    fresh.script("mkdir -p /tmp/x; cp /bin/sleep /tmp/x/sshd")
    pid = fresh.start("/tmp/x/sshd", "600", unit="fake")
    assert fresh.stanch("kill", str(pid), "--yes").code == 0 and fresh.state_of(pid) == ""


def test_this_command_and_what_started_it_are_refused(fresh):
    out = fresh.run("systemd-run", "-q", "--wait", "--pipe", "--unit=own", B.range_bed.STANCH, "freeze", "service",
                    "own", "--yes", check=False)
    assert out.returncode == 3, out


def test_dry_run_changes_nothing(shared):
    pid = shared.start("sleep", "600", unit="dry")
    r = shared.stanch("kill", str(pid), "--dry-run", "-v")
    assert r.code == 0 and "cgroup.kill" in r.out, r
    assert shared.cgroup_of(pid) == "/system.slice/dry.service" and leftovers(shared) == []
    shared.run("systemctl", "stop", "dry")


# Deaths where the journal is written, before, between and after the steps, and within the freeze and the kill.
@pytest.mark.parametrize("fault", ["mark:engine:stored:1", "mark:engine:stored:2", "mark:engine:applied:1",
                                   "mark:engine:applied:2", "mark:engine:held:1", "die:60%", "die:85%"])
def test_a_death_between_states_leaves_nothing_half_done(shared, fault):
    """After the next command each process runs where it was, or it is frozen or gone as the journal says."""
    pid = shared.start("sleep", "600", unit="mid")
    spec = fault
    if fault.startswith("die:"):
        spec = f"die:{calls_of(shared, pid) * int(fault[4:-1]) // 100}"
    r = faulty(shared, spec, "kill", str(pid), "--yes")
    assert r.returncode == 137 or r.returncode == -9, (spec, r)
    shared.stanch("undo", "--all", "--yes")
    status = shared.stanch("status", "--json")
    assert status.code == 0, status
    assert {o["state"] for o in status.objects() if "state" in o} <= {"undone", "failed", "held"}
    where = shared.cgroup_of(pid) if shared.state_of(pid) else ""
    assert where in ("", "/system.slice/mid.service") and leftovers(shared) == [], (spec, where)
    assert shared.stanch("verify", "journal").code == 0
    shared.run("systemctl", "stop", "mid", check=False)
    shared.run("systemctl", "reset-failed", "mid", check=False)


def faulty(c, spec, *argv):
    return c.run("env", f"STANCH_FAULT={spec}", "STANCH_FAULT_COUNT=/run/count",
                 B.range_bed.BUILD + "/tests/faults/stanch-faulty", *argv, check=False)


def calls_of(c, pid, cache={}):
    """How many calls a whole kill makes, counted with one like it."""
    if not cache:
        other = c.start("sleep", "600", unit="counted")
        assert faulty(c, "die:1000000000", "kill", str(other), "--yes").returncode == 0
        cache["calls"] = json.loads(c.get("/run/count"))["calls"]
    return cache["calls"]

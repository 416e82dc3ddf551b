# SPDX-License-Identifier: GPL-3.0-or-later
"""disable account against real attempts to come in: by key, password, an open master connection, cron, at, su, sudo,
user manager, and what runs already. Who judges is the other end: ssh, files that jobs write, the kernel's list of
processes."""
import json
import os

import pytest

import bed as range_bed
import container_bed as B

SSH = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null",
       "-o", "LogLevel=ERROR"]
# Everything that undo has to give back: content, owner, mode, time, flags.
LISTING = """
for f in /etc/passwd /etc/shadow /etc/group /home/alice/.ssh/authorized_keys /var/spool/cron/crontabs/alice \
    /var/lib/systemd/linger/alice /home/alice/.config/systemd/user/evil.service /home/alice/.ssh/authorized_keys2 \
    /etc/sudoers /etc/sudoers.d/alice; do
    [ -e "$f" ] || { echo "$f absent"; continue; }
    stat -c '%n %F %a %u %g %s %Y %y' "$f"; sha256sum "$f"; lsattr -d "$f" 2>/dev/null || true
    python3 -c 'import os, sys; f = sys.argv[1]; print({k: os.getxattr(f, k) for k in os.listxattr(f)})' "$f"
done
find / -xdev -name '.stanch-aside*' -o -xdev -name '*.stanch-new' -o -xdev -name 'shadow.lock'
"""
SETUP = """
useradd -m -s /bin/bash alice; useradd -o -u "$(id -u alice)" -M -d /home/alice -s /bin/bash alice2
useradd -m -s /bin/bash bob; usermod -p '' bob; chage -E 2031-01-01 bob
echo alice:secret | chpasswd; echo alice2:secret | chpasswd
install -d -o alice -g alice -m 700 ~alice/.ssh; install -d -o alice -g alice ~alice/.config/systemd/user
echo '[Service]' >~alice/.config/systemd/user/evil.service
touch /var/lib/systemd/linger/alice
echo 'alice ALL=(ALL) NOPASSWD: ALL' | tee -a /etc/sudoers >/etc/sudoers.d/alice; chmod 440 /etc/sudoers.d/alice
echo 'alice,bob ALL=(ALL) ALL' >/etc/sudoers.d/both; echo '17 3 1 1 * alice true' >/etc/cron.d/hers
printf '[Service]\nType=oneshot\nUser=alice2\nExecStart=true\n' >/etc/systemd/system/hers.service
(umask 077; for u in alice bob; do echo "@reboot date >>/tmp/cron-$u" >/tmp/tab; crontab -u $u /tmp/tab; done)
"""


def ssh(c, user, *more, command="id -u"):
    return c.outside("ssh", *SSH, "-i", c.dir + "/key", *more, f"{user}@{B.ADDRESS}", command, check=False,
                     timeout=30)


@pytest.fixture(scope="module")
def bed(shared):
    c = shared
    c.script(SETUP)
    B.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", c.dir + "/key")
    with open(c.dir + "/key.pub", "rb") as f:
        key = f.read()
    with open(c.dir + "/askpass", "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o700)) as f:
        f.write("#!/bin/sh\necho secret\n")
    c.put("/home/alice/.ssh/authorized_keys", key, 0o600)
    c.script("chown -R alice:alice ~alice; chattr +i ~alice/.ssh/authorized_keys || true")
    yield c


def disable(c, *more, name="alice"):
    return c.stanch("disable", "account", name, "--watch", "1s", "--yes", "--json", *more)


def undo(c, order="o1"):
    return c.stanch("undo", order, "--yes", "--json")


def order_of(r):
    return next(json.loads(line)["order"]["order"] for line in r.out.splitlines()
                if '"outcome"' in line)


def by_password(c, user):
    """ssh's password login; it is asked for by a program, since there is no terminal."""
    return c.outside("env", "SSH_ASKPASS_REQUIRE=force", f"SSH_ASKPASS={c.dir}/askpass", "ssh", "-o",
                     "BatchMode=no", *SSH, "-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1",
                     f"{user}@{B.ADDRESS}", "true", check=False, timeout=30)


def by_cron(c):
    """What cron runs at its own start goes the way of what it runs at a minute. bob's entry shows that it is at work.
    Of alice's table, one that is not there is put back, as an intruder would."""
    tab = "/var/spool/cron/crontabs/alice"
    absent = c.run("test", "-e", tab, check=False).returncode != 0
    if absent:
        c.script("sed s/bob/alice/ /var/spool/cron/crontabs/bob >/tmp/tab; "
                 f"install -o alice -g crontab -m 600 /tmp/tab {tab}")
    c.script("rm -f /tmp/cron-* /run/crond.reboot; systemctl restart cron")
    B.wait_for("cron ran bob's", lambda: c.run("test", "-s", "/tmp/cron-bob", check=False).returncode == 0, 20)
    # alice's is begun before bob's: what the journal says of the refusal, or the file, is there soon.
    ran = B.wait_for("cron took or refused alice's", lambda: c.script(
        "test -s /tmp/cron-alice && echo ran || journalctl -q -t CRON -t cron -t crontab --since -5s | "
        "grep -o 'alice.*expired\\|expired.*alice\\|alice.*Authentication failure' || true").stdout, 5)
    if absent:
        c.run("rm", tab)
    return ran == "ran\n"


def attempts(c):
    """What each way in gives: True, somebody came in."""
    def works(*argv, **more):
        return c.run(*argv, check=False, **more).returncode == 0

    c.script("rm -f /tmp/at-alice; chmod 1777 /tmp")
    at = works("su", "alice", "-s", "/bin/sh", "-c", "echo 'date >/tmp/at-alice' | at now")
    uid = c.run("id", "-u", "alice").stdout.strip()
    c.run("systemctl", "stop", f"user@{uid}", check=False)
    return {
        "user@": works("systemctl", "start", f"user@{uid}"),
        "key": ssh(c, "alice").returncode == 0,
        "key of the clone": ssh(c, "alice2").returncode == 0,
        "password": by_password(c, "alice").returncode == 0,
        "password of the clone": by_password(c, "alice2").returncode == 0,
        "su": works("su", "alice", "-c", "true"),
        "su of the clone": works("su", "alice2", "-c", "true"),
        "su with the password": works("runuser", "-u", "bob", "--", "su", "alice", "-c", "true", input="secret\n"),
        "sudo by itself": works("runuser", "-u", "alice", "--", "sudo", "-n", "true"),
        "cron": by_cron(c),
        "at": at and bool(B.wait_for("the at job ran", lambda: works("test", "-s", "/tmp/at-alice"), 10)),
        "runuser": works("runuser", "-u", "alice", "--", "true"),
        "sudo -u": works("sudo", "-nu", "alice", "true"),
        "User=": works("systemd-run", "-q", "--wait", "-p", "User=alice", "true"),
    }


ROOTS_OWN = {"runuser", "sudo -u", "User="}


def of_uid(c, uid):
    return c.run("ps", "-o", "pid=,args=", "-U", uid, "-u", uid, check=False).stdout.split("\n")[:-1]


def test_nobody_comes_in_but_root_and_all_comes_back(bed):
    c = bed
    uid = c.run("id", "-u", "alice").stdout.strip()
    before_ways = attempts(c)
    assert all(before_ways.values()), before_ways
    assert ssh(c, "alice", "-MNf", "-o", f"ControlPath={c.dir}/master", "-o", "ControlPersist=60").returncode == 0
    assert ssh(c, "alice", "-S", f"{c.dir}/master").stdout.strip() == uid
    c.run("su", "alice", "-c", "setsid nohup sleep 1000 >/dev/null 2>&1 &")
    c.start("sleep", "1000", unit="asalice", User="alice")
    assert len(of_uid(c, uid)) >= 3
    before = c.script(LISTING).stdout
    r = disable(c)
    assert r.code == 0, (r.out, r.err)
    assert not of_uid(c, uid), "nothing of the uid lives"
    assert ssh(c, "alice", "-S", f"{c.dir}/master", "-o", "ControlMaster=no").returncode != 0
    shadow = dict(line.split(":", 1) for line in c.get("/etc/shadow").decode().splitlines())
    for name in ("alice", "alice2"):
        fields = shadow[name].split(":")
        assert fields[0].startswith("!$") and fields[6] == "1"
    for path in ("/home/alice/.ssh/authorized_keys", "/var/spool/cron/crontabs/alice",
                 "/etc/sudoers.d/alice", "/var/lib/systemd/linger/alice",
                 "/home/alice/.config/systemd/user/evil.service"):
        assert c.run("test", "-e", path, check=False).returncode, path
    # With his key back in place it is the expiry alone that refuses.
    with open(c.dir + "/key.pub", "rb") as f:
        key = f.read()
    c.put("/home/alice/.ssh/authorized_keys2", key, 0o600)
    c.run("chown", "alice:", "/home/alice/.ssh/authorized_keys2")
    after_ways = attempts(c)
    assert {k for k, v in after_ways.items() if v} == ROOTS_OWN, after_ways
    c.run("rm", "/home/alice/.ssh/authorized_keys2")
    for way in ("runuser", "sudo -u", "User="):
        assert way in r.out, "what is left is named"
    for path in ("/etc/sudoers (line ", "/etc/sudoers.d/both (line 1)", "/etc/cron.d/hers (line 1)",
                 "/etc/systemd/system/hers.service (line 3)"):
        assert path in r.out, path
    assert c.stanch("verify", "o1", "--json").code == 0
    r = undo(c)
    assert r.code == 0, (r.out, r.err)
    assert c.script(LISTING).stdout == before
    assert ssh(c, "alice").returncode == 0


def test_a_table_put_back_is_told(bed):
    c = bed
    r = disable(c)
    assert r.code == 0
    c.script("install -o alice -g crontab -m 600 /var/spool/cron/crontabs/bob /var/spool/cron/crontabs/alice")
    v = c.stanch("verify", order_of(r), "--json")
    assert v.code == 1 and "made anew" in v.out, v.out
    c.run("rm", "/var/spool/cron/crontabs/alice")
    assert undo(c, order_of(r)).code == 0


def test_undo_keeps_what_others_changed_and_gives_back_an_empty_password(bed):
    c = bed
    before = [x for x in c.get("/etc/shadow").decode().splitlines() if x.startswith("bob:")]
    r = disable(c, name="bob")
    assert r.code == 0, (r.out, r.err)
    c.script("echo alice:changed | chpasswd")
    changed = [x for x in c.get("/etc/shadow").decode().splitlines() if x.startswith("alice:")]
    assert undo(c, order_of(r)).code == 0
    now = c.get("/etc/shadow").decode().splitlines()
    assert [x for x in now if x.startswith("bob:")] == before and before[0].startswith("bob::")
    assert [x for x in now if x.startswith("alice:")] == changed
    r = disable(c, name="bob")
    c.script("usermod -p '$6$new' bob")
    u = undo(c, order_of(r))
    assert "the password of bob in /etc/shadow was changed by somebody else" in u.out + u.err
    bob = next(x for x in c.get("/etc/shadow").decode().splitlines() if x.startswith("bob:"))
    assert bob.split(":")[1] == "$6$new" and bob.split(":")[7] == before[0].split(":")[7]
    c.script("usermod -p '' bob")


FAULTY = os.path.join(os.path.dirname(range_bed.STANCH), "tests/faults/stanch-faulty")


@pytest.mark.parametrize("mark", ["account:locked:1", "account:written:1", "account:replaced:1", "account:moved:1",
                                  "engine:held:1"])
def test_killed_at_any_mark_nothing_is_left_half_done(bed, mark):
    c = bed
    c.script("install -d -o bob -m 700 ~bob/.ssh; echo key >~bob/.ssh/authorized_keys; chown bob ~bob/.ssh/*")
    listing = LISTING.replace("alice", "bob")
    before = c.script(listing).stdout
    r = c.run("env", f"STANCH_FAULT=mark:{mark}", FAULTY, "disable", "account", "bob", "--watch", "1s", "--yes",
              check=False)
    assert r.returncode in (-9, 137), r
    u = c.stanch("undo", "--all", "--yes", "--json")
    assert u.code == 0, (u.out, u.err)
    assert c.script(listing).stdout == before


def test_a_full_disk_is_named_and_all_is_undone(bed):
    c = bed
    c.script("mkdir /run/etc; mount -t tmpfs -o size=2M none /run/etc; cp -a /etc/. /run/etc/; "
             "mount --bind /run/etc /etc; cat /dev/zero >/etc/filler 2>/dev/null || true")
    try:
        before = c.get("/etc/shadow")
        r = disable(c, name="bob")
        assert r.code == 4, r.out[-1500:]
        assert "is full" in r.out or "No space left" in r.out, r.out
        assert c.get("/etc/shadow") == before
    finally:
        c.script("umount /etc; umount /run/etc; rmdir /run/etc")
    assert b"bob:!" not in c.get("/etc/shadow")


HOLD = "import fcntl,time; f=open('/etc/.pwd.lock','w'); fcntl.lockf(f,fcntl.LOCK_EX); print('held',flush=True); time.sleep(60)"


@pytest.mark.parametrize("name,make,clear,cause", [
    ("a living pid", "echo -n 1 >/etc/shadow.lock", "rm /etc/shadow.lock", "/etc/shadow.lock names process 1"),
    ("a held lock", f"systemd-run -q --unit=holder python3 -c \"{HOLD}\"; sleep 0.7", "systemctl stop holder",
     ".pwd.lock"),
    ("read-only", "mount --bind /etc /etc; mount -o remount,bind,ro /etc", "umount /etc", "read-only"),
])
def test_what_is_in_the_way_is_named_and_nothing_is_half_done(bed, name, make, clear, cause):
    c = bed
    c.script(make)
    before = c.script(LISTING.replace("-o -xdev -name 'shadow.lock'", "")).stdout
    try:
        r = disable(c, name="bob")
        assert r.code == 3, (name, r.out, r.err)
        assert cause in r.out + r.err
        assert c.script(LISTING.replace("-o -xdev -name 'shadow.lock'", "")).stdout == before
    finally:
        c.script(clear)


def test_an_immutable_shadow_does_not_stand_in_the_way(bed):
    c = bed
    if c.script("chattr +i /etc/shadow", check=False).returncode:
        pytest.skip("this file system keeps no flags")
    try:
        r = disable(c, name="bob")
        assert r.code == 0, (r.out, r.err)
        assert c.run("lsattr", "/etc/shadow").stdout.split()[0].count("i") == 1
        assert undo(c, order_of(r)).code == 0
        assert c.run("lsattr", "/etc/shadow").stdout.split()[0].count("i") == 1
    finally:
        c.script("chattr -i /etc/shadow")


def test_root_and_who_is_not_there_are_refused(bed):
    for name, cause in (("root", "root is root"), ("nobody-there", "no account")):
        r = disable(bed, name=name)
        assert r.code == 3, (name, r.out, r.err)
        assert cause in r.out + r.err


def test_who_logged_in_as_it_is_refused(bed):
    """Also behind sudo, systemd-run, …: the kernel keeps the uid of the login."""
    script = ('uid=$(id -u bob); echo "$uid" >/proc/self/loginuid; '
              f'exec {range_bed.STANCH} disable account bob --watch 1s --yes "$@"')
    before = bed.get("/etc/shadow")
    r = bed.run("sh", "-euc", script, "sh", check=False)
    assert r.returncode == 3 and "you logged in as uid" in r.stderr, r
    assert bed.get("/etc/shadow") == before
    r = bed.run("sh", "-euc", script, "sh", "--force", "operator", check=False)
    assert r.returncode == 0, r
    assert bed.stanch("undo", "--all", "--yes", "--json").code == 0
    assert bed.get("/etc/shadow") == before

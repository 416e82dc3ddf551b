# SPDX-License-Identifier: GPL-3.0-or-later
"""The container root is what its users take it for: a whole systemd that can freeze, log in, run at jobs."""
import container_bed as B


def test_a_unit_can_be_frozen_and_thawed(shared):
    pid = shared.start("sleep", "600", unit="nap")
    assert shared.cgroup_of(pid) == "/system.slice/nap.service"
    shared.run("systemctl", "freeze", "nap")
    assert shared.get("/sys/fs/cgroup/system.slice/nap.service/cgroup.events").endswith(b"frozen 1\n")
    shared.run("systemctl", "thaw", "nap")
    shared.run("systemctl", "stop", "nap")
    assert shared.state_of(pid) == ""


def test_sshd_lets_an_account_in_by_key_from_outside(shared):
    shared.script("useradd -m -s /bin/bash bedtest; install -d -o bedtest -m 700 ~bedtest/.ssh")
    key = shared.dir + "/key"
    B.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    with open(key + ".pub", "rb") as f:
        shared.put("/home/bedtest/.ssh/authorized_keys", f.read())
    out = shared.outside("ssh", "-F", "none", "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
                         "-o", "UserKnownHostsFile=/dev/null", f"bedtest@{B.ADDRESS}", "loginctl; id -u").stdout
    assert "bedtest" in out.splitlines()[1], "the session is logind's, too"
    shared.run("userdel", "-rf", "bedtest", check=False)


def test_cron_and_at_run(shared):
    assert shared.run("systemctl", "is-active", "cron", "atd", "ssh", "dbus").stdout.split() == ["active"] * 4
    shared.run("at", "now", input="echo done >/run/at-was-here")
    B.wait_for("the at job ran", lambda: shared.run("test", "-s", "/run/at-was-here", check=False).returncode == 0)


def test_the_clock_cannot_be_set(shared):
    assert shared.run("date", "-s", "@1", check=False).returncode != 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest itself: what other tests build upon."""
import hashlib
import os
import subprocess

import guest as G
import pytest


def test_commands_and_files(guest):
    assert guest.run("uname", "-r").stdout.startswith("6.1.")
    r = guest.run("sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (r.returncode, r.stdout, r.stderr) == (7, "out\n", "err\n")
    assert guest.run("no-such-program", check=False).returncode == 127
    with pytest.raises(G.GuestError):
        guest.run("false")
    data = os.urandom(3 << 20)
    guest.put("/root/deep/er/file", data, 0o640)
    assert guest.run("sha256sum", "/root/deep/er/file").stdout.split()[0] == hashlib.sha256(data).hexdigest()
    assert guest.run("stat", "-c%a", "/root/deep/er/file").stdout == "640\n"
    assert guest.get("/root/deep/er/file") == data


def test_jobs_side_by_side(guest):
    """One that does not read stops nobody; what stays in the background keeps no job from its end."""
    deaf = guest.popen("sleep", "100", stdin=subprocess.PIPE)
    deaf.stdin.write("x" * G.WINDOW)
    deaf.stdin.flush()
    cat = guest.popen("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for n in range(3):
        cat.stdin.write(f"line {n}\n")
        cat.stdin.flush()
        assert cat.stdout.readline() == f"line {n}\n"
    cat.stdin.close()
    assert cat.wait(60) == 0
    assert guest.script("sleep 100 & echo started", timeout=60).stdout == "started\n"
    deaf.kill()
    assert deaf.wait(60) == -9


def test_a_guest_that_hangs_is_given_up(guest, monkeypatch):
    monkeypatch.setattr(G, "GRACE", 1)
    guest.qmp("stop")
    assert guest.run("true", check=False, timeout=1).returncode == -9
    guest.qmp("cont")
    guest.run("true")


def test_a_second_disk_and_a_power_cut(guest, tmp_path):
    """What was synced is there after the cut, on both disks, and is read from outside as well."""
    path = tmp_path / "second.img"
    with open(path, "wb") as f:
        f.truncate(8 << 20)
    dev = guest.add_disk(path)
    guest.script(f"until [ -b {dev} ]; do sleep 0.02; done; printf evidence | dd of={dev} conv=fsync 2>/dev/null;"
                 " echo kept >/root/kept; sync; echo lost >/run/lost")
    with open(path, "rb") as f:
        assert f.read(8) == b"evidence"
    guest.power_cut()
    guest.script(f"until [ -b {dev} ]; do sleep 0.05; done")
    assert guest.run("head", "-c8", dev).stdout == "evidence"
    assert guest.run("cat", "/root/kept").stdout == "kept\n"
    assert guest.run("test", "-e", "/run/lost", check=False).returncode == 1


def test_memory_from_outside(guest, tmp_path):
    """The ground truth for an acquisition: a secret that lives only in the guest's memory is in it."""
    secret = os.urandom(24).hex()
    job = guest.popen("sh", "-c", "read s; sleep 100", stdin=subprocess.PIPE)
    job.stdin.write(secret + "\n")
    job.stdin.flush()
    guest.run("sleep", "0.2")
    path = tmp_path / "memory"
    guest.memory(path)
    with open(path, "rb") as f:
        image = f.read()
    assert len(image) == guest.shape["memory"] << 20
    assert secret.encode() in image
    path.unlink()

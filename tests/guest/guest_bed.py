# SPDX-License-Identifier: GPL-3.0-or-later
"""The range with a real machine as its victim: a Debian 12 guest with kernel 6.1.

Router, neighbour, the hosts outside and the operator stay network namespaces of this machine; the
victim's cable is a tap in the router's. In the guest the names are those of the range: eth0, br0, and
for its two containers network namespaces of the same names. So every test of the range that keeps to
the methods of its bed runs here as it is; what judges it stays outside of the guest.

stanch is installed in the guest as the package does it, with its units, its journal in /var/lib/stanch
and its configuration in /etc/stanch.
"""
import os
import subprocess
import tarfile
import tempfile
import time

import guest as G
from guest import range_bed

INSIDE = ("victim", "ctr", "mac")
SHARED = (range_bed.LEAK, range_bed.NET)


def package():
    """What `meson install` lays down, and the range's programs at their own paths, as a tar."""
    with tempfile.TemporaryDirectory(prefix=f"st-{os.getpid()}-") as stage:
        range_bed.run(range_bed.PYTHON, "-B", "/usr/bin/meson", "install", "-C", range_bed.BUILD,
                      "--no-rebuild", "--quiet", "--destdir", stage)
        with tempfile.TemporaryFile() as f:
            with tarfile.open(fileobj=f, mode="w") as tar:
                # Not the stage itself: it would give / its own mode.
                for path, name in [*((f"{stage}/{n}", n) for n in os.listdir(stage)),
                                   *((folder, folder) for folder in SHARED)]:
                    tar.add(path, name, filter=owned_by_root)
            f.seek(0)
            return f.read()


def owned_by_root(entry):
    entry.uid = entry.gid = 0
    return None if entry.name.endswith(".pyc") else entry


def install(guest):
    """Puts stanch into a guest, as its package does."""
    guest.run("tar", "-xC", "/", input=package(), text=False)
    guest.script(f"mkdir -p {os.path.dirname(range_bed.STANCH)} /etc/stanch;"
                 f" ln -sf $(command -v stanch) {range_bed.STANCH}; systemctl -q enable stanch-reassert")
    missing = guest.script("ldd $(command -v stanch) | grep 'not found' || :").stdout
    if missing:
        raise G.GuestError(f"name these in tests/debian-packages:\n{missing}")


class GuestBed(range_bed.Bed):
    """with GuestBed(template) as bed: …"""

    # An emulated processor has other things to do as well.
    leak_every = 0.3
    patience = 6

    def __init__(self, template):
        super().__init__()
        self.template, self.guest = template, None

    # -- what runs where

    def sh(self, role, *argv, check=True, timeout=60, **more):
        if role not in INSIDE:
            return super().sh(role, *argv, check=check, timeout=timeout, **more)
        return self.guest.run(*self.enter(role), *argv, check=check, timeout=timeout, **more)

    def spawn(self, role, *argv, **more):
        if role not in INSIDE:
            return super().spawn(role, *argv, **more)
        job = self.guest.popen(*self.enter(role), *argv, **{"stderr": self.log, **more})
        self.children.append(job)
        return job

    def hand_over(self, path):
        with open(path, "rb") as f:
            self.guest.put(path, f.read())

    # -- making

    def build(self):
        self.guest = self.template.clone()
        super().build()

    def places(self):
        return "/var/lib/stanch", "/etc/stanch/stanch.conf"

    def configure(self, text):
        self.guest.put(self.config, text.encode())

    def add_host(self, role):
        if role not in INSIDE:
            super().add_host(role)
        elif role == "victim":
            # The machine itself, by a name that it can be entered by like the others.
            self.guest.run("ip", "netns", "attach", self.ns(role), "1")
        else:
            self.guest.run("ip", "netns", "add", self.ns(role))

    def reboot(self):
        """Returns when it was asked for, by this machine's clock. The containers do not come back."""
        begun = time.time_ns()
        self.guest.reboot()
        self.guest.up()
        self.add_host("victim")
        return begun

    def cable(self, role, dev, role2, dev2):
        if role == "victim" and role2 not in INSIDE:
            self.add_card(dev, role2, dev2)
        else:
            super().cable(role, dev, role2, dev2)

    def add_card(self, dev, role, tap):
        """A card that appears in the running guest, with its cable in an outside namespace; for remove_nic."""
        nic, given = self.guest.add_nic(self.ns(role), tap)
        if dev != given:
            self.guest.run("ip", "link", "set", given, "name", dev)
        return nic

    def serve_in_victim(self):
        """A second of its time; no test asks for it here."""

    def start_sshd(self):
        """The guest's own, as Debian starts it."""
        with open(f"{self.dir}/authorized_keys", "rb") as f:
            self.guest.put("/root/.ssh/authorized_keys", f.read(), 0o600)
        range_bed.wait_for("sshd answers", lambda: self.ssh("true", check=False).returncode == 0, 30, 0.2)

    def clear(self):
        """No order, no rule of anybody's, no detour (see Bed.redirector)."""
        self.stanch("undo", "--all", "--yes")
        self.guest.script("nft flush ruleset; for d in $(ls /sys/class/net | grep ^leak); do"
                          " ip link del $d 2>/dev/null || :; done")

    def close(self):
        # What runs in the guest ends with it; nobody waits for its last words.
        inside = [p for p in self.children if not isinstance(p, subprocess.Popen)]
        self.children = [p for p in self.children if isinstance(p, subprocess.Popen)]
        if self.guest:
            self.guest.close()
        for job in inside:
            job.wait(5)
        super().close()

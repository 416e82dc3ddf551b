#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""False alarms of `stanch triage --root` on clean roots of Debian 12, made here by mmdebstrap: what is to act on,
to look at, and noted, on each; and recall on the two sets of implants in files (tests/eval_triage)."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TOP, "tests"), os.path.join(TOP, "tests/eval_triage")]
import debian  # noqa: E402

BASE = ["systemd", "systemd-sysv", "libpam-systemd", "udev", "dbus", "openssh-server", "cron", "sudo", "rsyslog"]
ROOTS = {
    "minimal": ["systemd", "openssh-server"],
    "web server": BASE + ["nginx", "php-fpm", "apache2", "wordpress", "certbot", "logrotate", "fail2ban",
                          "unattended-upgrades"],
    "database": BASE + ["postgresql", "mariadb-server", "borgbackup", "munin-node", "sysstat"],
    "CI runner": BASE + ["docker.io", "git", "ansible-core", "etckeeper", "supervisor", "at"],
    "desktop": BASE + ["lightdm", "gnome-keyring", "network-manager", "polkitd", "udisks2", "avahi-daemon", "cups",
                       "needrestart"],
    "servers": BASE + ["samba", "openvpn", "bind9", "dovecot-imapd", "postfix", "ifupdown", "isc-dhcp-client",
                       "initramfs-tools", "auditd", "apparmor", "debsums"],
}
ADVICE = ("act", "look", "note")


def triage(stanch, root, state):
    begun = time.monotonic()
    r = subprocess.run([stanch, "triage", "--root", root, "--state", state, "--json"], capture_output=True, text=True,
                       timeout=120, check=False)
    took = time.monotonic() - begun
    found = [f for f in map(json.loads, r.stdout.splitlines()) if f.get("event_type") == "finding"]
    if r.returncode not in (0, 1):
        sys.exit(r.stderr)
    return found, took


def half_way(root):
    """In the middle of an upgrade: unpacked, not configured."""
    subprocess.run(["apt-get", "download", "-qq", "-oAPT::Sandbox::User=root", "cron", "sudo"], cwd=root, check=True)
    debs = [n for n in os.listdir(root) if n.endswith(".deb")]
    subprocess.run(["chroot", root, "dpkg", "--force-unsafe-io", "--unpack", *debs], check=True,
                   stdout=subprocess.DEVNULL)
    for deb in debs:
        os.unlink(os.path.join(root, deb))


def tell(name, found, took):
    n = {a: sum(f["advice"] == a for f in found) for a in ADVICE}
    print(f"{name:12s} act {n['act']}, look {n['look']}, note {n['note']}; {took:.2f} s")
    for f in found:
        if f["advice"] == "act":
            print(f"    {f['rule']} {f.get('subject', '')}")


def main(build):
    stanch = os.path.join(os.path.abspath(build), "stanch")
    os.environ["STANCH_BUILD"] = os.path.abspath(build)
    top = tempfile.mkdtemp(prefix="stanch-roots-", dir="/dev/shm")
    try:
        for name, packages in ROOTS.items():
            root = os.path.join(top, "root")
            debian.bootstrap(root, packages)
            tell(name, *triage(stanch, root, os.path.join(top, "state")))
            if name == "CI runner":
                half_way(root)
                tell("mid-upgrade", *triage(stanch, root, os.path.join(top, "state")))
            subprocess.run(["rm", "-rf", "--one-file-system", root], check=True)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    import files
    import second
    halves, missed, wrong = files.figures()
    print("files.py", {k: f"{a} of {b}" for k, (a, b) in halves.items()}, "missed", missed, "harmless acted on", wrong)
    found = sum(any(f["rule"] == rule for f in files.acts(files.play(setup))) for _, setup, rule in second.ROWS)
    print(f"second.py {found} of {len(second.ROWS) + len(second.MISSED)}, missed {second.MISSED}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

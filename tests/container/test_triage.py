# SPDX-License-Identifier: GPL-3.0-or-later
"""`stanch triage` on a Debian 12 as it is installed, at work: what people do there all day is not acted on;
what comes in by the same ways is."""
import container_bed as B

SERVICE = """[Service]
ExecStart=-/bin/sh {script}
StandardInput=socket
StandardOutput=socket
StandardError=socket
"""


def triage(c):
    r = c.stanch("triage", "--json", "--area", "processes", "--area", "sockets", "--area", "kernel")
    assert r.code in (0, 1), r
    return [o for o in r.objects() if o["event_type"] == "finding"]


def act(findings):
    return [(f["rule"], f["subject"], f["reasons"]) for f in findings if f["advice"] == "act"]


def socket_unit(c, name, port, script):
    c.put(f"/etc/systemd/system/{name}.socket", f"[Socket]\nListenStream={port}\nAccept=yes\n".encode())
    c.put(f"/etc/systemd/system/{name}@.service", SERVICE.format(script=script).encode())
    c.run("systemctl", "daemon-reload")
    c.run("systemctl", "start", f"{name}.socket")
    c.spawn("python3", "-c", f"import socket,time;s=socket.create_connection(('127.0.0.1',{port}));time.sleep(120)")
    B.wait_for(f"a connection of {name}",
               lambda: f"{name}@" in c.run("systemctl", "list-units", "--plain", "--no-legend", f"{name}@*").stdout)


def test_a_host_at_work_is_not_acted_on(shared):
    """sshd with a session on a terminal and a command, cron's and at's jobs, socket activation, an upgrade."""
    shared.script("useradd -m -s /bin/bash carol; install -d -o carol -m 700 ~carol/.ssh")
    key = shared.dir + "/carol"
    B.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    with open(key + ".pub", "rb") as f:
        shared.put("/home/carol/.ssh/authorized_keys", f.read())
    ssh = ["ssh", "-F", "none", "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
           "-o", "UserKnownHostsFile=/dev/null", f"carol@{B.ADDRESS}"]
    shared.outside("sh", "-c", " ".join(ssh[:-1]) + " -tt " + ssh[-1] + " </dev/zero >/dev/null 2>&1 &")
    shared.outside("sh", "-c", " ".join(ssh) + " 'sleep 100; true' </dev/null >/dev/null 2>&1 &")
    shared.put("/opt/answer.sh", b"sleep 100\n")
    socket_unit(shared, "answer", 7001, "/opt/answer.sh")
    shared.run("at", "now", input="sleep 100")
    B.wait_for("carol's shells", lambda: len(shared.pids("sleep 100")) >= 3)
    found = triage(shared)
    assert not act(found)
    assert any("carol" in line for line in shared.run("ps", "-eo", "user").stdout.splitlines()), "she was in"


def test_the_same_ways_with_a_shell_that_waits_are(shared):
    """Socket activation of a bare shell. The pids are those of the container's /proc."""
    socket_unit(shared, "door", 7002, "-i")
    B.wait_for("the shell", lambda: shared.pids("/bin/sh -i"))
    found = triage(shared)
    pids = {f["selector"].split(":")[1] for f in found if f["rule"] in ("reverse_shell", "bind_shell")
            and f["advice"] == "act"}
    assert pids == {str(p) for p in shared.pids("/bin/sh -i")}
    assert all(any(o.startswith("kill ") for o in f["orders"]) for f in found if f["advice"] == "act")

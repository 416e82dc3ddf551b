# SPDX-License-Identifier: GPL-3.0-or-later
"""`watch` on kernel 6.1: the tier bpf finds the program behind every flow, however short its life."""
import json
import subprocess
import time

import bed as B

CHILDREN = 40
# Each child lives for one datagram and one connection, and says who it is.
CROWD = f"""
import os, socket
for _ in range({CHILDREN}):
    pid = os.fork()
    if not pid:
        for kind, port in ((socket.SOCK_DGRAM, 5353), (socket.SOCK_STREAM, 7000)):
            s = socket.socket(socket.AF_INET, kind)
            s.connect(("{B.C2A}", port))
            s.send(b"x")
            print(kind, s.getsockname()[1], os.getpid(), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""


def test_every_flow_has_its_owner(bed):
    watch = bed.spawn("victim", B.STANCH, "watch", "--tier", "bpf", "--json", "--run", "30s",
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(3)
    assert watch.poll() is None, watch.stderr.read()
    made = {}
    for line in bed.sh("victim", B.PYTHON, "-c", CROWD).stdout.splitlines():
        kind, port, pid = map(int, line.split())
        made["TCP" if kind == 1 else "UDP", port] = pid
    assert len(made) == 2 * CHILDREN
    watch.send_signal(2)
    said = [json.loads(x) for x in watch.stdout if x.startswith("{")]
    assert said, watch.stderr.read()
    stats = said[-1]
    assert stats["event_type"] == "stats", stats
    seen = {(x["proto"].upper(), x["src_port"]): x for x in said
            if x["event_type"] == "flow" and x.get("dest_ip") == B.C2A}
    wrong = {k: (pid, seen.get(k, {}).get("owner")) for k, pid in made.items()
             if seen.get(k, {}).get("owner", {}).get("pid") != pid}
    assert not wrong, f"{len(wrong)} of {len(made)}: {list(wrong.items())[:3]}\n{stats}"
    assert all("python3" in seen[k]["owner"].get("exe", "") for k in made)

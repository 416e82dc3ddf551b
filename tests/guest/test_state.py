# SPDX-License-Identifier: GPL-3.0-or-later
"""`stanch acquire state` on a whole machine: it ends within its bounds, and has the processes that a walk through
/proc, which is not ours, finds there."""
import json
import subprocess

import pytest

CROWD = 100
LIMIT = 120
ITEMS = ["clock", "network", "processes", "hidden", "executables", "kernel", "bpf", "listings", "files", "privileged",
         "logs"]
# Names that take a parser apart, of processes that wait for the end of their input.
CROWD_SCRIPT = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
for i in range(%d):
    if not os.fork():
        libc.prctl(15, b"a) S 1 \\\\ %%d" %% i)
        libc.prctl(1, 9)
        libc.pause()
print("ready", flush=True)
sys.stdin.read()
""" % CROWD
LISTING = """
import json, os
out = {}
for name in filter(str.isdigit, os.listdir("/proc")):
    try:
        with open(f"/proc/{name}/stat", errors="replace") as f:
            text = f.read()
        # Threads of the kernel have no executable.
        exe = os.readlink(f"/proc/{name}/exe") if os.path.exists(f"/proc/{name}/maps") and \\
            open(f"/proc/{name}/maps").read(1) else None
        out[name] = [text[text.index("(") + 1:text.rindex(")")], int(text[text.rindex(")") + 2:].split()[1]), exe]
    except OSError:
        pass
print(json.dumps(out))
"""


def listing(guest):
    return {int(p): v for p, v in json.loads(guest.run("python3", "-c", LISTING).stdout).items()}


def acquire(guest, to, *options):
    """The run, and the rows of one file of its bundle by name."""
    r = guest.run("stanch", "acquire", "state", "--to", to, "--json", "--yes", *options, check=False, timeout=2 * LIMIT)
    place = next(o["place"] for o in map(json.loads, r.stdout.splitlines()) if o["event_type"] == "evidence")
    return r, lambda name: [json.loads(line) for line in guest.get(f"{place}/data/{name}.jsonl").splitlines()]


@pytest.fixture
def crowded(guest):
    job = guest.popen("python3", "-c", CROWD_SCRIPT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert job.stdout.readline() == "ready\n"
    return guest


def items_of(log):
    return {o["item"]: o for o in log if o["what"] == "item read"}


def test_it_ends_and_has_every_process(crowded):
    before = listing(crowded)
    r, rows = acquire(crowded, "/root/whole", "--time-limit", f"{LIMIT}s")
    after = listing(crowded)
    steady = {p: v for p, v in before.items() if after.get(p) == v}
    assert len(steady) > CROWD
    log = rows("log")
    items = items_of(log)
    assert r.returncode == 0, [o for o in log if not o.get("whole", True)]
    assert list(items) == ITEMS
    assert sum(o["usec"] for o in items.values()) < LIMIT * 1e6

    ours = {}
    for o in rows("processes"):
        if o["kind"] == "process":
            text = o["stat"].replace("\\x5c", "\\")
            comm, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
            ours[o["pid"]] = [comm, int(rest[1]), o.get("exe")]
    # A worker of the kernel bears the name of what it has just worked at.
    wrong = {p: (v, ours.get(p)) for p, v in steady.items()
             if ours.get(p) != v and not (v[0].startswith("kworker/") and p in ours and ours[p][1:] == v[1:])}
    assert not wrong
    assert crowded.run("stanch", "verify", "e1", check=False).returncode == 0

    # An item that is over its time ends in the midst of it; the next ones are read all the same.
    r, rows = acquire(crowded, "/root/items", "--item-limit", "100ms")
    items = items_of(rows("log"))
    assert r.returncode == 5
    assert list(items) == ITEMS
    assert not items["hidden"]["whole"]  # four million numbers
    assert any(items[name]["by_pid"] for name in ITEMS[4:])

    # All of them together likewise; nothing is begun after that.
    r, rows = acquire(crowded, "/root/all", "--time-limit", "100ms")
    items = items_of(rows("log"))
    assert r.returncode == 5
    assert not items["hidden"]["whole"]
    assert [items[name]["by_pid"] for name in ITEMS[4:]] == [0] * len(ITEMS[4:])

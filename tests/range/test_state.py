# SPDX-License-Identifier: GPL-3.0-or-later
"""`stanch acquire state` on a host with 2,000 processes and file systems that do not answer, in a pid and a mount
namespace of its own; judged by a walk through /proc that is not ours."""
import ctypes
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

STANCH = os.path.join(os.environ.get("STANCH_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"), "stanch")
CROWD = 2000
LIMIT = 60
libc = ctypes.CDLL(None, use_errno=True)


def rows(place, item):
    with open(place / f"data/{item}.jsonl", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


# -- inside

def silent(at):
    """A FUSE file system whose server never says a word; its descriptor."""
    fd = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
    assert libc.mount(b"silent", os.fsencode(at), b"fuse", 0, options) == 0, os.strerror(ctypes.get_errno())
    return fd


def crowd():
    """Processes of one parent, which ends them with its own end."""
    pids = []
    for _ in range(CROWD):
        pid = os.fork()
        if not pid:
            libc.prctl(1, 9)
            libc.pause()
        pids.append(pid)
    return pids


def listing():
    """{pid: (comm, parent, executable)}"""
    out = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as f:
                    text = f.read()
                comm, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
                out[int(name)] = comm, int(rest[1]), os.readlink(f"/proc/{name}/exe")
            except OSError:
                pass
    return out


def inside(work):
    work = pathlib.Path(work)
    shutil.copy("/bin/sleep", work / "implant")
    deleted = subprocess.Popen([work / "implant", "1000"])
    (work / "implant").unlink()
    memfd = os.memfd_create("dropper")
    os.write(memfd, pathlib.Path("/bin/sleep").read_bytes())
    nameless = subprocess.Popen(["-innocent", "1000"], executable=f"/proc/self/fd/{memfd}", pass_fds=[memfd])
    # What `files` and `listings` look at; one mount in the middle, and one at a place of its own.
    held = [silent("/etc/cron.d"), silent("/var/spool")]
    crowd()
    server = socket.create_server(("127.0.0.1", 0))
    before, begun = listing(), time.monotonic()
    r = subprocess.run([STANCH, "acquire", "state", "--to", work / "to", "--state", work / "state", "--json", "--yes"],
                       capture_output=True, text=True, check=False, timeout=300)
    took, after = time.monotonic() - begun, listing()
    with open(work / "seen.json", "w", encoding="utf-8") as f:
        json.dump({"code": r.returncode, "out": r.stdout, "err": r.stderr, "took": took,
                   "before": before, "after": after, "deleted": deleted.pid, "nameless": nameless.pid,
                   "server": [os.getpid(), server.getsockname()[1]], "held": len(held)}, f)
    # With the first process of the namespace go the others.


def run_inside():
    work = pathlib.Path(tempfile.mkdtemp(prefix=f"st-{os.getpid()}-state-"))
    subprocess.run(["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc",
                    "--kill-child", "--net", sys.executable, "-B", __file__, work], check=True, timeout=400)
    with open(work / "seen.json", encoding="utf-8") as f:
        seen = json.load(f)
    line = next(o for o in map(json.loads, seen["out"].splitlines()) if o["event_type"] == "evidence")
    return work, pathlib.Path(line["place"]), seen


if __name__ == "__main__":
    libc.prctl(4, 1)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    inside(sys.argv[1])
    sys.exit()

import pytest  # noqa: E402


@pytest.fixture(scope="module")
def taken():
    if os.geteuid():
        pytest.skip("needs root for namespaces")
    work, place, seen = run_inside()
    yield place, seen
    shutil.rmtree(work)


def test_it_ends_and_says_what_hangs(taken):
    place, seen = taken
    assert seen["took"] < LIMIT
    assert seen["code"] == 5, seen["out"] + seen["err"]
    with open(place / "data/log.jsonl", encoding="utf-8") as f:
        hung = [o["unit"] for o in map(json.loads, f) if o["what"].startswith("does not answer")]
    assert "/etc/cron.d" in hung
    # What comes behind a place that hangs was read all the same.
    assert (place / "data/files/etc/ssh").is_dir() or not os.path.isdir("/etc/ssh")
    assert (place / "data/files/etc/passwd").read_bytes() == pathlib.Path("/etc/passwd").read_bytes()


def test_every_process_is_there(taken):
    place, seen = taken
    steady = {int(p): v for p, v in seen["before"].items() if seen["after"].get(p) == v}
    assert len(steady) > CROWD
    ours = {o["pid"]: o for o in rows(place, "processes") if o["kind"] == "process"}
    for pid, (comm, parent, exe) in steady.items():
        text = ours[pid]["stat"]
        rest = text[text.rindex(")") + 2:].split()
        assert (text[text.index("(") + 1:text.rindex(")")], int(rest[1]), ours[pid]["exe"]) == (comm, parent, exe)
    kinds = {}
    for o in rows(place, "processes"):
        kinds.setdefault(o["kind"], set()).add(o["pid"])
    for kind in ("fds", "cmdline", "environ", "maps", "mountinfo"):
        assert kinds[kind] >= set(steady), kind
    assert not (place / "data/hidden.jsonl").exists()


def test_executables_without_a_file(taken):
    place, seen = taken
    sleep = pathlib.Path("/bin/sleep").read_bytes()
    told = {o["pid"]: o for o in rows(place, "executables")}
    for who, memfd in (("deleted", False), ("nameless", True)):
        pid = seen[who]
        assert told[pid]["deleted"] and told[pid]["memfd"] == memfd
        assert told[pid]["sha256"] == hashlib.sha256(sleep).hexdigest()
        assert (place / f"data/executables/{pid}").read_bytes() == sleep


def test_sockets_have_their_owner(taken):
    place, seen = taken
    pid, port = seen["server"]
    found = [o for o in rows(place, "network") if o["kind"] == "socket" and o["local"] == f"127.0.0.1:{port}"]
    assert [(o["pid"], o["state"]) for o in found] == [(pid, "listen")]


def test_the_bundle_holds(taken):
    place, _ = taken
    subprocess.run(["sha256sum", "--quiet", "-c", "manifest-sha256.txt", "tagmanifest-sha256.txt"], cwd=place, check=True)

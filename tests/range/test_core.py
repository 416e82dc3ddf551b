# SPDX-License-Identifier: GPL-3.0-or-later
"""`stanch acquire memory --pid`: a process's core, read by gdb."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from bed import STANCH

# A thread beside the first; a secret on the heap; 64 GiB reserved of which one page is used; a page
# that nobody may read; memory of a file that has no name any more.
PROGRAM = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
char *secret, *wide, *shut, *nameless;
static void *other(void *arg) { pause(); return arg; }
int main(int argc, char **argv)
{
	pthread_t t;
	secret = strdup(argv[1]);
	wide = mmap(0, 1ul << 36, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	strcpy(wide + (1ul << 34), "in the middle of nothing");
	shut = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	strcpy(shut, "behind a shut door");
	mprotect(shut, 4096, PROT_NONE);
	int fd = memfd_create("implant", 0);
	if (ftruncate(fd, 8192)) return 1;
	nameless = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	strcpy(nameless + 4096, "a file without a name");
	pthread_create(&t, 0, other, 0);
	puts("ready");
	fflush(stdout);
	pause();
}
"""
WATCHED = {"secret": None, "wide + 17179869184": "in the middle of nothing", "shut": "behind a shut door",
           "nameless + 4096": "a file without a name"}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    if os.geteuid() or not shutil.which("gdb"):
        pytest.skip("needs root and gdb")
    at = tmp_path_factory.mktemp("core") / "program"
    subprocess.run(["cc", "-g", "-x", "c", "-", "-o", at, "-lpthread"], input=PROGRAM, text=True, check=True)
    return at


@pytest.fixture
def process(program):
    secret = os.urandom(12).hex()
    p = subprocess.Popen([program, secret], stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "ready\n"
    yield p, secret
    p.kill()
    p.wait()
    p.stdout.close()


def acquire(tmp_path, pid, *options):
    r = subprocess.run([STANCH, "acquire", "memory", "--pid", str(pid), "--to", tmp_path / "to", "--state",
                        tmp_path / "state", "--json", "--yes", *options], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in r.stdout.splitlines()]
    place = next((pathlib.Path(line["place"]) for line in lines if line["event_type"] == "evidence"), None)
    return r, place


def gdb(core, program, *commands):
    argv = [a for c in commands for a in ("-ex", c)]
    return subprocess.run(["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", *argv, program, core],
                          capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize("options", [(), ("--hold",)], ids=["runs-on", "held"])
def test_gdb_reads_it(tmp_path, program, process, options):
    p, secret = process
    before = pathlib.Path(f"/proc/{p.pid}/statm").read_text().split()[1]
    r, place = acquire(tmp_path, p.pid, *options)
    assert r.returncode == 0, r.stdout + r.stderr
    assert ("smeared" in r.stdout) == (not options)
    core = place / f"data/process-{p.pid}.core"
    told = gdb(core, program, "info threads", *(f"printf \"<%s>\\n\", {w}" for w in WATCHED), "bt",
               "info proc mappings", "info auxv")
    assert re.findall(r"^<(.*)>$", told, re.M) == [want or secret for want in WATCHED.values()]
    assert len(re.findall(r"^[* ] +\d+ .*LWP", told, re.M)) == 2
    assert "main (" in told or not options, told
    assert str(program) in told and "AT_ENTRY" in told
    # What was never touched is not in the core, and reading it has not brought it about.
    assert core.stat().st_size < 64 << 20
    assert int(pathlib.Path(f"/proc/{p.pid}/statm").read_text().split()[1]) <= int(before) + 512
    assert (place / f"data/process-{p.pid}/exe").read_bytes() == program.read_bytes()
    # It lives on, not stopped, nobody's tracee.
    status = pathlib.Path(f"/proc/{p.pid}/status").read_text()
    assert re.search(r"^State:\s+S", status, re.M) and re.search(r"^TracerPid:\s+0$", status, re.M)


def test_who_is_traced_is_not_held(tmp_path, program, process):
    p, _ = process
    tracer = subprocess.Popen(["gdb", "-nx", "-batch", "-p", str(p.pid), "-ex", "shell echo attached; sleep 60"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        for line in tracer.stdout:
            if line == "attached\n":
                break
        r, _ = acquire(tmp_path, p.pid, "--hold")
        assert r.returncode == 0
        assert "cannot be held" in r.stdout and "smeared" in r.stdout
    finally:
        subprocess.run(["pkill", "-P", str(tracer.pid), "sleep"], check=False)
        tracer.kill()
        tracer.wait()
        tracer.stdout.close()


def test_what_is_refused(tmp_path):
    child = subprocess.Popen(["true"])
    child.wait()
    for options, code, words in ((("--pid", str(child.pid)), 3, "no process"),
                                 (("--hold",), 2, "--pid"), (("--source", "floppy"), 2, "kcore"),
                                 (("--pid", "1", "--lime", "x.ko"), 2, "--lime")):
        r = subprocess.run([STANCH, "acquire", "memory", *options, "--to", tmp_path, "--state", tmp_path / "s",
                            "--yes"], capture_output=True, text=True, check=False)
        assert (r.returncode, words in r.stderr) == (code, True), (options, r)
        assert not list(tmp_path.iterdir())

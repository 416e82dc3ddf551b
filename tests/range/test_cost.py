# SPDX-License-Identifier: GPL-3.0-or-later
"""What `isolate self` costs in syncs, counted by strace, and that the intent is on disk before the cut."""
import os
import re
import shutil
import subprocess
import time

import pytest

from bed import remove_netns

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("STANCH_BUILD", os.path.join(ROOT, "build"))
STANCH = os.path.join(BUILD, "stanch")
SYNCS = ("fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "msync")

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces"),
    pytest.mark.skipif(not shutil.which("strace"), reason="needs strace"),
]


def run(*argv, check=True):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=check)


@pytest.fixture(name="bed")
def fixture_bed(tmp_path):
    ns = f"st-cost-{os.getpid()}"
    run("ip", "netns", "add", ns)
    try:
        run("ip", "-n", ns, "link", "set", "lo", "up")
        run("ip", "-n", ns, "link", "add", "v0", "type", "veth", "peer", "name", "w0")
        run("ip", "-n", ns, "link", "set", "v0", "up")
        run("ip", "-n", ns, "addr", "add", "192.0.2.10/24", "dev", "v0")
        (tmp_path / "stanch.conf").touch()
        yield ns, tmp_path
    finally:
        remove_netns(ns)


def stanch(bed, *argv, trace=None):
    """The process that holds the queues stays behind and is traced, too, until the order is undone: so the
    tracer stands aside (-D), and nothing of ours hangs on its output."""
    ns, tmp = bed
    tracer = ("strace", "-D", "-f", "-y", "-s", "64", "-o", trace) if trace else ()
    subprocess.run(("nsenter", f"--net=/run/netns/{ns}", *tracer, STANCH, "--state", str(tmp / "state"),
                    "--config", str(tmp / "stanch.conf"), *argv), timeout=60, check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def calls(bed):
    """One isolation and its undo; the isolation's system calls, one a line, in order."""
    trace = str(bed[1] / "trace")
    stanch(bed, "isolate", "self", "--console", "--yes", trace=trace)
    stanch(bed, "undo", "--all", "--yes")
    end = time.monotonic() + 30
    while run("pgrep", "-f", f"strace -D .*{trace}", check=False).returncode == 0:
        assert time.monotonic() < end, "the tracer does not end"
        time.sleep(0.1)
    with open(trace, encoding="utf-8", errors="replace") as f:
        return f.read().splitlines()


def where(lines, pattern):
    return [i for i, line in enumerate(lines) if re.search(pattern, line)]


def test_at_most_three_syncs_and_the_intent_first(bed):
    some_sync = rf"^\d+ +({'|'.join(SYNCS)})\("
    fresh, used = calls(bed), calls(bed)
    assert len(where(fresh, some_sync)) == 3
    assert len(where(used, some_sync)) == 2
    for lines, of in ((fresh, r"journal\.db\.new>"), (used, r"journal\.db-wal>")):
        synced = where(lines, rf" f(data)?sync\(\d+<[^>]*{of}")
        qdisc = where(lines, r"sendto\(.*RTM_NEWQDISC")
        batches = where(lines, r"sendto\(.*NFNL_MSG_BATCH_BEGIN")
        assert synced and qdisc and batches
        # After the sync, and before the qdisc, there is the cut's own transaction: the trial, which
        # takes nothing, came earlier.
        assert [i for i in batches if synced[0] < i < qdisc[0]]
        assert not [i for i in qdisc if i < synced[0]]
        assert len([i for i in batches if i < synced[0]]) == 1
        assert where(lines, some_sync)[-1] > qdisc[-1]

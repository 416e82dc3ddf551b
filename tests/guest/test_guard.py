# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard as its unit runs it, on a kernel that cannot keep a table for an owner (before 6.9): what
is taken away comes back, cards are covered as they appear, it comes back itself."""
import os
import re
import time

import bed as B
import pytest
from helpers import cells_marked, order_id, our_tables

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def guarded(bed):
    """An isolation that a guard watches; the order's id."""
    with open(f"{HERE}/tagged.py", "rb") as f:
        bed.guest.put("/root/tagged.py", f.read())
    r = bed.stanch_ssh("isolate", "self", "--yes", "--no-deadline")
    assert r.code in (0, 5), str(r)
    bed.guest.run("systemctl", "start", "stanch-guard")
    yield order_id(r)
    bed.guest.run("systemctl", "stop", "stanch-guard")


def said(bed):
    return bed.guest.run("journalctl", "-b", "-o", "cat", "-u", "stanch-guard").stdout


def wait_for(bed, what, test):
    B.wait_for(what, test, 3 * bed.patience)


def back(bed):
    wait_for(bed, "the tables are back", lambda: len(our_tables(bed)) >= 2)


def test_the_guard_on_6_1(bed, guarded):
    assert "does not keep a table whose owner dies" in said(bed), "what is missing is not told"
    for how in (("nft", "flush", "ruleset"), ("systemctl", "restart", "nftables.service")):
        bed.guest.run(*how)
        back(bed)
    took = [float(x) for x in re.findall(r"tamper: .*mended \(([0-9.]+) ms\)", said(bed))]
    assert len(took) >= 2 and min(took) < 10000, took  # 70 ms on an emulated processor with nothing else to do
    assert re.search(r"by process \d+ \(nft\b", said(bed)), "the culprit is not named"
    assert bed.stanch("verify", guarded).code == 0

    nic = bed.add_card("eth9", "c2b", "side0")
    try:
        bed.ip("c2b", "link set side0 up\n")
        side = B.Counter(bed, "c2b", "side0")
        wait_for(bed, "both layers cover the new card", lambda: said(bed).count("covered: ") >= 2)
        since = time.time_ns()
        bed.ip("victim", "link set eth9 up\naddr add 198.51.101.10/24 dev eth9\n")
        bed.sh("victim", B.PYTHON, "-B", "/root/tagged.py", "eth9", "99", "198.51.101.20")
        time.sleep(0.3)
        assert cells_marked(side.rows(since)) == {}
    finally:
        bed.guest.remove_nic(nic)

    bed.guest.run("systemctl", "kill", "-s", "KILL", "stanch-guard")
    wait_for(bed, "systemd starts it again", lambda: said(bed).count("guard_standing") >= 2)
    bed.guest.run("nft", "flush", "ruleset")
    back(bed)
    assert bed.ssh("echo in").stdout == "in\n"

# SPDX-License-Identifier: GPL-3.0-or-later
"""What root on the isolated host tries, and what of it comes out; see adversary.py."""
import os

import adversary as A
import bed as B
import pytest

# A bound that says it works; how quick it is, bench/adversary.py tells.
MENDED_MS = 2000
SLACK = 20


@pytest.fixture(scope="module")
def adversary():
    if os.geteuid() != 0:
        pytest.skip("needs root for network namespaces")
    with B.Bed() as b:
        yield A.Adversary(b)


def test_an_open_host_lets_every_way_out(adversary):
    """The oracle can see: without a cut every means of every way arrives."""
    special = [w for w in adversary.ways if (w.extra or callable(w.act)) and not w.owned]
    assert len(special) >= 12
    for w in special:
        row = adversary.play(w)
        assert not row["silent"], (w.name, row)


def test_without_a_guard_they_are_ways(adversary):
    A.isolate(adversary.bed)
    wanted = ("delete-table", "flush-ruleset", "reload", "all-at-once")
    rows = {r["way"]: r for r in adversary.play_all(
        [w for w in adversary.ways if w.name in wanted], repair=True)}
    # Without the tables the XDP program still lets in what is kept and nothing else.
    for name in wanted[:-1]:
        assert rows[name]["heard"] == 0, rows[name]
    assert rows["all-at-once"]["heard"] > 20 and rows["all-at-once"]["leaked"] > 20, rows["all-at-once"]


def test_nothing_leaks_that_is_not_owned_up_to(adversary):
    adversary.guards = A.Resident(adversary.bed)
    try:
        rows = adversary.play_all(adversary.ways)
    finally:
        adversary.guards.stop()
    assert len(rows) >= 25
    for w, r in zip(adversary.ways, rows):
        if not w.owned:
            assert (r["leaked"], r["heard"]) == (0, 0), r
        elif w.limit_ms:
            assert r["ms"] <= SLACK * w.limit_ms, r
    times = sorted(r["mended_ms"] for r in rows if r["mended_ms"])
    assert len(times) >= 5, rows
    assert times[len(times) // 2] < MENDED_MS, times
    assert adversary.guards.of("tamper"), "nothing was told"
    assert adversary.guards.of("moved_away"), "the uplink left and nothing was told"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Tampering with a bundle: verify names the file, here and on a machine without the journal."""
import json
import os
import pathlib
import random
import shutil

import pytest
from desk import Desk, STANCH, run


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """A desk with two evidences of one incident."""
    at = tmp_path_factory.mktemp("custody")
    desk = Desk(at)
    small = at / "small.img"
    small.write_bytes(random.Random(5).randbytes(5000))
    desk.first = desk.acquire(small, "--examiner", "the examiner", "--case", "2026-017")
    desk.second = desk.acquire(small)
    return desk


@pytest.fixture
def copy(taken, tmp_path):
    """The bundle carried elsewhere, and a verify that knows nothing but the bytes."""
    at = tmp_path / "e1"
    shutil.copytree(taken.first["place"], at)

    def verify(code):
        p = run(STANCH, "verify", at, "--json", "--state", tmp_path / "none", ok=(code,))
        lines = [json.loads(l) for l in p.stdout.splitlines()]
        return {l["file"] for l in lines if l["event_type"] == "verify_problem"}
    return at, verify


def test_good_elsewhere(copy):
    assert copy[1](0) == set()
    run("openssl", "pkeyutl", "-verify", "-rawin", "-in", "manifest.json", "-sigfile",
        "manifest.sig", "-pubin", "-inkey", "key.pub", cwd=copy[0])
    query = run("openssl", "ts", "-query", "-in", "manifest.tsq", "-text", cwd=copy[0]).stdout
    assert "Hash Algorithm: sha256" in query and "Certificate required: yes" in query


def files(at):
    return sorted(p for p in at.rglob("*") if p.is_file())


def test_any_flipped_bit_is_named(copy):
    at, verify = copy
    rng = random.Random(int(os.environ.get("FAULT_SEED", "1")))
    times = 60 if os.environ.get("FAULTS") == "all" else 6
    for path in files(at):
        good = path.read_bytes()
        for i in range(times if good else 0):
            bad = bytearray(good)
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
            path.write_bytes(bad)
            assert verify(6) == {str(path.relative_to(at))}
        path.write_bytes(good)
    assert verify(0) == set()


def test_removed_added_cut_and_exchanged(copy):
    at, verify = copy
    for path in files(at):
        name, good = str(path.relative_to(at)), path.read_bytes()
        path.unlink()
        assert verify(6) == {name}
        os.mkfifo(path)
        assert verify(6) == {name}
        path.unlink()
        path.symlink_to("/etc/hostname")
        assert verify(6) == {name}
        path.unlink()
        path.write_bytes(good + b"\n")
        assert verify(6) == {name}
        path.write_bytes(good)
    (at / "data/new").write_text("x")
    assert verify(6) == {"data/new"}


def test_signed_anew_by_another_key(taken, copy, tmp_path):
    """Whoever makes all of it again with a key of his own: the journal and --key know."""
    at, _ = copy
    other = Desk(tmp_path / "other")
    other.at.mkdir()
    small = taken.at / "small.img"
    forged = other.acquire(small)
    good = run(STANCH, "verify", forged["place"], "--json").stdout
    key = json.loads(good.splitlines()[-1])["key"]
    p = taken.stanch("verify", "e1", "--json")
    own = json.loads(p.stdout.splitlines()[-1])["key"]
    assert key != own
    run(STANCH, "verify", forged["place"], "--key", own, ok=(6,))
    place = pathlib.Path(taken.first["place"])
    kept = place.with_name("kept")
    place.rename(kept)
    try:
        shutil.copytree(forged["place"], place)
        told = taken.stanch("verify", "e1", ok=(6,)).stdout
        assert "journal knows" in told and "another key" in told
    finally:
        shutil.rmtree(place)
        kept.rename(place)


def test_a_whole_evidence_is_missed(taken):
    place = pathlib.Path(taken.first["place"])
    away = place.parent.parent / "away"
    place.rename(away)
    try:
        p = run(STANCH, "verify", place.parent, ok=(6,))
        assert "e1" in p.stdout and "missing as a whole" in p.stdout
        taken.stanch("verify", "e1", ok=(6,))
    finally:
        away.rename(place)
    run(STANCH, "verify", place.parent)


def test_journal_and_report_have_it(taken):
    show = taken.stanch("incident", "show").stdout
    assert "e1" in show and "e2" in show
    report = json.loads(taken.stanch("incident", "report", "--json").stdout.splitlines()[-1])
    assert [e["manifest"] for e in report["evidence"]] == [taken.first["manifest"],
                                                         taken.second["manifest"]]
    taken.stanch("verify", "journal")
    assert "the examiner" in (pathlib.Path(taken.first["place"]) / "bag-info.txt").read_text()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Implants in files on a root of their own, by the labelled set of tests/eval_triage/files.py."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "eval_triage"))
import files  # noqa: E402
import second  # noqa: E402


def test_clean_root():
    assert files.acts(files.play(lambda root: None)) == []


@pytest.mark.parametrize("row", files.ROWS, ids=[r[0] for r in files.ROWS])
def test_implant(row):
    name, area, half, setup, rule = row
    found = files.play(setup)
    assert rule in [f["rule"] for f in files.acts(found)], found


@pytest.mark.parametrize("twin", files.TWINS, ids=[t[0] for t in files.TWINS])
def test_twin(twin):
    assert files.acts(files.play(twin[1])) == []


@pytest.mark.parametrize("row", files.LOOKS, ids=[r[0] for r in files.LOOKS])
def test_look(row):
    name, setup, rule = row
    assert [f["advice"] for f in files.play(setup) if f["rule"] == rule] == ["look"]


@pytest.mark.parametrize("row", second.ROWS, ids=[r[0] for r in second.ROWS])
def test_implant_of_the_second_set(row):
    name, setup, rule = row
    found = files.play(setup)
    assert rule in [f["rule"] for f in files.acts(found)], found


@pytest.mark.parametrize("twin", second.TWINS, ids=[t[0] for t in second.TWINS])
def test_twin_of_the_second_set(twin):
    assert files.acts(files.play(twin[1])) == []

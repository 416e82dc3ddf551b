# SPDX-License-Identifier: GPL-3.0-or-later
"""Container roots for the tests: one a module, where its tests leave no trace for each other; else a fresh one."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import container_bed  # noqa: E402


def booted():
    why = container_bed.why_not()
    if why:
        pytest.skip(f"no container root: {why}")
    return container_bed.Container()


@pytest.fixture(scope="module")
def shared():
    with booted() as c:
        yield c


@pytest.fixture
def fresh():
    with booted() as c:
        yield c

# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests for the tests: one template a session, a clone for each test."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "range")]

import guest as G  # noqa: E402
import guest_bed  # noqa: E402


def pytest_report_header():
    return f"guest: {G.why_not() or ', because '.join(G.accelerator())}"


@pytest.fixture(scope="session")
def template():
    """Booted, with stanch installed in it."""
    why = G.why_not()
    if why:
        pytest.skip(f"no guest: {why}")
    with G.Template(guest_bed.install) as t:
        yield t


@pytest.fixture
def guest(template):
    """A guest without a network."""
    with template.clone() as g:
        yield g


@pytest.fixture(scope="session")
def lasting_bed(template):
    with guest_bed.GuestBed(template) as b:
        yield b


@pytest.fixture
def bed(lasting_bed):
    """The range with a guest as its victim: one for all tests, each of which leaves no order, no rule, no
    detour and no program behind."""
    before = list(lasting_bed.children)
    yield lasting_bed
    for job in lasting_bed.children:
        if job not in before:
            job.kill()
            job.wait()
    lasting_bed.clear()


def pytest_collection_modifyitems(items):
    """A reboot takes the containers away: those who ask for one come last."""
    items.sort(key=lambda item: item.module.__name__ in ("test_boot", "test_feeds"))

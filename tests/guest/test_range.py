# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the range, the same ones, with a machine of kernel 6.1 as the victim."""
import pytest
import test_isolate
from test_deadman import test_open_after_kill_9
from test_isolate import test_isolate_stops_every_way_of_sending

__all__ = ["test_open_after_kill_9", "test_isolate_stops_every_way_of_sending"]


@pytest.fixture(autouse=True)
def shorter(monkeypatch):
    """The senders are as many and as quick; half the time they are watched for is enough here."""
    monkeypatch.setattr(test_isolate, "WINDOW", 5.0)

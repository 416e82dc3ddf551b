# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the range, the same ones, with a machine of kernel 6.1 as the victim."""
from test_deadman import test_open_after_kill_9
from test_isolate import test_isolate_stops_every_way_of_sending

__all__ = ["test_open_after_kill_9", "test_isolate_stops_every_way_of_sending"]

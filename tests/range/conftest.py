# SPDX-License-Identifier: GPL-3.0-or-later
"""Beds for the tests of the range: one for a test that cuts, fresh each time."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bed as range_bed  # noqa: E402


@pytest.fixture
def bed():
    if os.geteuid() != 0:
        pytest.skip("needs root for network namespaces")
    with range_bed.Bed() as b:
        yield b

# SPDX-License-Identifier: GPL-3.0-or-later
"""Beds for the tests of points beyond this host."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture
def netconf():
    if os.geteuid() != 0:
        pytest.skip("needs root for sshd")
    import netconf_bed
    with netconf_bed.NetconfBed() as b:
        yield b


@pytest.fixture
def junos():
    import netconf_bed
    with netconf_bed.JunosBed() as b:
        yield b


@pytest.fixture
def panos():
    import panos_bed
    with panos_bed.PanosBed() as b:
        yield b


@pytest.fixture
def device(request):
    import cli_bed
    with cli_bed.CliBed(request.param) as b:
        yield b

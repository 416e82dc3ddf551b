# SPDX-License-Identifier: GPL-3.0-or-later
"""A source with zeros, text and noise, a desk to acquire it from, a disk whose sectors are bad."""
import os
import random
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from desk import BadDisk, Desk  # noqa: E402


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """6 MiB and a bit: not a multiple of a sector."""
    noise = random.Random(7)
    at = tmp_path_factory.mktemp("source") / "disk.img"
    at.write_bytes(noise.randbytes(2 << 20) + bytes(1500000) + b"the quick brown fox " * 80000 +
                   noise.randbytes(1 << 20) + bytes(300000) + b"end")
    return at


@pytest.fixture(scope="session")
def sectors(source, tmp_path_factory):
    """The same, cut to whole sectors."""
    at = tmp_path_factory.mktemp("sectors") / "disk.img"
    content = source.read_bytes()
    at.write_bytes(content[:len(content) // 4096 * 4096])
    return at


@pytest.fixture
def bad_disk(sectors, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root for a loop device")
    d = BadDisk(sectors, tmp_path)
    yield d
    d.close()

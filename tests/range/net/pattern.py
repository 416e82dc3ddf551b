# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream of bytes that both ends can make for themselves: byte i depends on i alone."""
import hashlib

BLOCK = 4096


def block(i):
    return hashlib.shake_128(i.to_bytes(8, "big")).digest(BLOCK)


def blocks(n):
    """The first n bytes, in blocks."""
    i = 0
    while n > 0:
        b = block(i)[:n]
        yield b
        n -= len(b)
        i += 1

# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds on kernel 6.1: the tries load, hold, are read back, come back after a restart, and go."""
import bed as B
from helpers import order_id


def test_feeds_on_an_older_kernel(bed):
    bed.guest.put("/root/feed.txt", f"{B.C2A}\n{B.C2A6}\n192.31.196.0/25\n192.31.196.128/25\n".encode()
                  + b"".join(b"100.64.%d.%d\n" % (i >> 8, i & 255) for i in range(0, 40000, 2)))

    def answers(address):
        return bed.guest.run("ping", "-c1", "-W1", "-q", address, check=False).returncode == 0

    def clsact():
        return "clsact" in bed.guest.run("tc", "qdisc", "show").stdout
    assert answers(B.C2A) and answers(B.C2A6) and answers(B.C2B) and not clsact()
    r = bed.stanch_ssh("block", "--feed", "/root/feed.txt", "--yes")
    assert r.code == 0, str(r)
    order = order_id(r)
    assert not answers(B.C2A) and not answers(B.C2A6) and answers(B.C2B)
    v = bed.stanch_ssh("verify", order)
    assert v.code == 0 and "20003 prefixes of feeds were read back" in v.out, str(v)
    bed.guest.run("systemctl", "enable", "-q", "stanch-guard")  # it covers the card, which comes later
    try:
        bed.reboot()
        B.wait_for("the network is up", lambda: answers(B.C2B), 30)
        assert not answers(B.C2A) and not answers(B.C2A6)
        v = bed.stanch("verify", order)
        assert v.code == 0, str(v)
        assert bed.stanch("undo", order, "--yes").code == 0
        assert answers(B.C2A) and answers(B.C2A6) and not clsact()
    finally:
        bed.guest.run("systemctl", "disable", "-q", "--now", "stanch-guard", check=False)

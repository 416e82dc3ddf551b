# SPDX-License-Identifier: GPL-3.0-or-later
"""A real reboot: what was confirmed is there before the network is, what was not is not, and that is
told. Judged by the frames on the guest's cable, from the moment the machine went down."""
import os
import time

import bed as B
from helpers import cells_marked, order_id, strangers

HERE = os.path.dirname(os.path.abspath(__file__))
EARLY_KINDS = {f"early-{k}" for k in ("udp-v4", "udp-v6", "packet-v4", "bypass-v4")}
UNIT = f"""[Unit]
DefaultDependencies=no
[Service]
ExecStart=/usr/bin/python3 -B /usr/local/sbin/early.py eth0 {B.C2A} {B.C2A6}
[Install]
WantedBy=sysinit.target
"""


def send_early(bed):
    """From the next boot on, something sends before anything of ours can run."""
    with open(f"{HERE}/early.py", "rb") as f:
        bed.guest.put("/usr/local/sbin/early.py", f.read())
    bed.guest.put("/etc/systemd/system/early.service", UNIT.encode())
    bed.guest.run("systemctl", "enable", "-q", "early.service")


def reboot(bed):
    """When it began, by the host's clock."""
    begun = time.time_ns()
    bed.guest.reboot()
    bed.guest.up()
    return begun


def told_at_boot(bed):
    return bed.guest.run("journalctl", "-b", "-o", "cat", "-u", "stanch-reassert").stdout


def test_a_reboot(bed):
    send_early(bed)
    first = bed.stanch_ssh("isolate", "self", "--yes")
    assert first.code in (0, 5), str(first)
    begun = reboot(bed)
    time.sleep(1)
    assert set(cells_marked(bed.wire.rows(begun))) == EARLY_KINDS, "an unconfirmed order was applied again"
    assert f"{order_id(first)} was not confirmed before the restart" in told_at_boot(bed)
    assert bed.stanch_ssh("verify", order_id(first)).code == 0

    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code in (0, 5), str(r)
    assert bed.stanch_ssh("confirm", order_id(r), "--yes").code == 0
    begun = reboot(bed)
    assert bed.ssh("echo in").stdout == "in\n"
    time.sleep(2)
    rows = bed.wire.rows(begun)
    assert strangers(rows) == [], told_at_boot(bed)
    assert any(x["proto"] == "tcp" and x["dst"] == B.MGMT for x in rows), "the counter saw nothing"
    v = bed.stanch_ssh("verify", order_id(r))
    assert v.code == 0, f"{v}{told_at_boot(bed)}"
    u = bed.stanch_ssh("undo", "--all", "--yes")
    assert u.code == 0, str(u)
    begun = time.time_ns()
    time.sleep(0.5)
    assert set(cells_marked(bed.wire.rows(begun))) == EARLY_KINDS

# SPDX-License-Identifier: GPL-3.0-or-later
"""Real reboots: what was confirmed is there before the network is, what was not is not, and that is
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
LATE_CARD = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/sbin/modprobe virtio_net
[Install]
WantedBy=graphical.target
"""


def send_early(bed):
    """From the next boot on, something sends before anything of ours can run."""
    with open(f"{HERE}/early.py", "rb") as f:
        bed.guest.put("/usr/local/sbin/early.py", f.read())
    bed.guest.put("/etc/systemd/system/early.service", UNIT.encode())
    bed.guest.run("systemctl", "enable", "-q", "early.service")


def told_at_boot(bed):
    return bed.guest.run("journalctl", "-b", "-o", "cat", "-u", "stanch-*").stdout


def let_the_card_come_late(bed):
    """Its driver is loaded when all else of the boot is over."""
    bed.guest.put("/etc/modprobe.d/late.conf", b"blacklist virtio_net\n")
    bed.guest.put("/etc/systemd/system/late-card.service", LATE_CARD.encode())
    bed.guest.run("systemctl", "enable", "-q", "late-card.service", "stanch-guard.service")


def test_what_was_not_confirmed_is_gone(bed):
    send_early(bed)
    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code in (0, 5), str(r)
    begun = bed.reboot()
    time.sleep(1)
    assert set(cells_marked(bed.wire.rows(begun))) == EARLY_KINDS, "it was applied again"
    assert f"{order_id(r)} was not confirmed before the restart" in told_at_boot(bed)


def test_what_was_confirmed_is_there_first(bed):
    """No frame of a whole boot, though the card comes after everything, and 6.1 takes no chains for it
    before: the inet layer stands since before the network, the guard covers the card as it appears."""
    send_early(bed)
    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code in (0, 5), str(r)
    assert bed.stanch_ssh("confirm", order_id(r), "--yes").code == 0
    let_the_card_come_late(bed)
    begun = bed.reboot()
    B.wait_for("the operator is in", lambda: bed.ssh("echo in", check=False).stdout == "in\n", 60, 0.5)
    time.sleep(1)
    rows = bed.wire.rows(begun)
    assert strangers(rows) == [], told_at_boot(bed)
    assert any(x["proto"] == "tcp" and x["dst"] == B.MGMT for x in rows), "the counter saw nothing"
    v = bed.stanch("verify", order_id(r))
    assert v.code == 0, f"{v}{told_at_boot(bed)}"
    assert bed.stanch("undo", "--all", "--yes").code == 0
    begun = time.time_ns()
    time.sleep(1)
    assert set(cells_marked(bed.wire.rows(begun))) == EARLY_KINDS, "nothing was sent"

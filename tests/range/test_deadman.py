# SPDX-License-Identifier: GPL-3.0-or-later
"""The dead man's switch is in the kernel: it acts though stanch was killed, and not before its time."""
import subprocess
import time

import bed as B
import pytest
from helpers import order_id

WITHIN = 6


def answers(bed, address=B.C2A):
    return bed.sh("victim", "ping", "-c1", "-W1", "-q", address, check=False).returncode == 0


def killed_after_apply(bed, *args):
    """Runs stanch and kills it with SIGKILL as soon as traffic stops; when the cut was seen."""
    argv = bed.stanch_argv(*args)
    p = bed.spawn("victim", *argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seen = None
    end = time.monotonic() + 15
    while time.monotonic() < end:
        r = bed.sh("victim", "ping", "-c1", "-W1", "-q", "-I", B.VICTIM, B.C2A, check=False)
        if r.returncode:
            seen = time.monotonic()
            break
    p.kill()
    out = p.stdout.read()
    p.wait()
    assert seen, f"nothing was cut: {out}"
    return seen


def test_open_after_kill_9(bed):
    begun = time.monotonic()
    cut = killed_after_apply(bed, "isolate", "self", "--yes", "--console", "--confirm-within",
                             f"{WITHIN}s", "--on-expiry", "open")
    # Not before its time …
    while time.monotonic() < begun + WITHIN - 0.6:
        assert not answers(bed), f"open after {time.monotonic() - begun:.1f} s of {WITHIN}"
    # … and when it is over.
    B.wait_for("traffic is back", lambda: answers(bed), cut + WITHIN + 2 - time.monotonic(), 0.1)
    # All layers, also the frames that pass no nftables hook.
    assert bed.ssh("echo back").stdout == "back\n"
    for address in (B.C2A6, B.C2B):
        assert answers(bed, address)
    assert bed.sh("ctr", "ping", "-c1", "-W1", "-q", B.C2A).returncode == 0
    assert bed.sh("mac", "ping", "-c1", "-W1", "-q", B.C2A).returncode == 0


def test_widen_opens_only_the_break_glass(bed):
    bed.configure(f'break_glass = {{ "{B.MGMT}/32" }}\n')
    r = bed.stanch("isolate", "self", "--yes", "--console", "--confirm-within", f"{WITHIN}s")
    assert r.code in (0, 5), str(r)
    t = time.monotonic()
    assert bed.ssh("true", check=False, timeout=20).returncode != 0
    time.sleep(max(0, t + WITHIN + 1 - time.monotonic()))
    assert bed.ssh("echo wide").stdout == "wide\n"
    assert not answers(bed), "widen must keep the cut"
    assert bed.sh("neigh", "ping", "-c1", "-W1", "-q", B.VICTIM, check=False).returncode != 0


def test_confirm_keeps(bed):
    """Confirmed from a session that was opened after the apply; refused from the one before."""
    operator = bed.operator()
    code, out = operator.type(bed.command("isolate", "self", "--yes", "--confirm-within",
                                          f"{WITHIN}s", "--json"), 60)
    assert code in (0, 5), out
    t = time.monotonic()
    oid = order_id(type("R", (), {"out": out, "objects": lambda self: []})())
    code, out = operator.type(bed.command("confirm", oid, "--yes") + " 2>&1")
    assert code == 3, f"confirmed from the session that was there before: {out}"
    r = bed.stanch_ssh("confirm", oid, "--yes")
    assert r.code == 0, str(r)
    time.sleep(max(0, t + WITHIN + 1.5 - time.monotonic()))
    assert not answers(bed), "a confirmed order must last"
    assert operator.type("echo typed") == (0, "typed\n")


def test_a_block_with_a_deadline_lifts_itself(bed):
    r = bed.stanch_ssh("block", B.C2A, "--yes", "--confirm-within", f"{WITHIN}s")
    assert r.code == 0, str(r)
    t = time.monotonic()
    assert not answers(bed)
    time.sleep(max(0, t + WITHIN + 1 - time.monotonic()))
    assert answers(bed)


@pytest.mark.parametrize("order", [["isolate", "self", "--console"], ["block", B.C2A]])
def test_without_a_deadline_it_stays(bed, order):
    r = bed.stanch(*order, "--yes", "--no-deadline")
    assert r.code in (0, 5), str(r)
    time.sleep(2)
    assert not answers(bed)

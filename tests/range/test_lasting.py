# SPDX-License-Identifier: GPL-3.0-or-later
"""It lasts over a reboot, and its record can be trusted as far as it says."""
import glob
import json
import os
import shutil
import signal
import sqlite3
import time
import uuid

import bed as B
import forge
import pytest
from helpers import head_of, order_id, our_tables, same_kernel


def answers(bed, address=B.C2A):
    return bed.sh("victim", "ping", "-c1", "-W1", "-q", address, check=False).returncode == 0


def wipe_kernel(bed):
    """What a reboot does to the kernel's side: no rule, no tc, no XDP, no process."""
    bed.sh("victim", "nft", "flush", "ruleset")
    for link in json.loads(bed.sh("victim", "ip", "-j", "link").stdout):
        bed.sh("victim", "tc", "qdisc", "del", "dev", link["ifname"], "clsact", check=False)
        for mode in ("xdpdrv", "xdpgeneric"):
            bed.sh("victim", "ip", "link", "set", "dev", link["ifname"], mode, "off", check=False)
    for line in bed.sh("victim", "ss", "-xlpH").stdout.splitlines():
        if "@stanch-hold-" in line:
            os.kill(int(line.split("pid=")[1].split(",")[0]), signal.SIGKILL)


def after_reboot(bed, *args):
    """Runs stanch with another boot id: a file mounted over the kernel's, for this process alone."""
    path = f"{bed.dir}/boot_id"
    with open(path, "w", encoding="ascii") as f:
        f.write(str(uuid.uuid4()) + "\n")
    line = f"mount --bind {path} /proc/sys/kernel/random/boot_id && exec {bed.command(*args)}"
    return bed.sh("victim", "unshare", "--mount", "--propagation", "private", "sh", "-c", line,
                  check=False)


def test_confirmed_orders_come_back(bed):
    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code in (0, 5), str(r)
    assert bed.stanch_ssh("confirm", order_id(r), "--yes").code == 0
    wipe_kernel(bed)
    assert answers(bed), "the kernel still cuts: this test cannot fail"
    r = after_reboot(bed, "reassert")
    assert r.returncode == 0, r.stdout + r.stderr
    assert not answers(bed) and not answers(bed, B.C2A6)
    assert bed.ssh("echo in").stdout == "in\n"


def test_unconfirmed_ones_do_not(bed):
    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code in (0, 5), str(r)
    wipe_kernel(bed)
    r = after_reboot(bed, "reassert")
    assert answers(bed)
    assert order_id_in(r.stdout + r.stderr), "it must be told that the order is not applied again"


def order_id_in(text):
    return "o1" in text


def test_times_to_live_run_on(bed):
    """An ended block stays away; one that still runs comes back for what is left of its time."""
    short = bed.stanch_ssh("block", B.C2A, "--for", "2s", "--yes")
    before = time.monotonic()
    long = bed.stanch_ssh("block", B.C2B, "--for", "10s", "--yes")
    after = time.monotonic()
    assert short.code == 0 and long.code == 0, f"{short}{long}"
    wipe_kernel(bed)
    time.sleep(max(0, after + 3 - time.monotonic()))
    r = after_reboot(bed, "reassert")
    assert r.returncode == 0, r.stdout + r.stderr
    assert answers(bed, B.C2A) and not answers(bed, B.C2B)
    time.sleep(max(0, before + 9 - time.monotonic()))
    assert not answers(bed, B.C2B), "before its time"
    time.sleep(max(0, after + 11.5 - time.monotonic()))
    assert answers(bed, B.C2B), "after its time"


# -- the record

def journal_files(state):
    found = []
    for path in glob.glob(state + "/*"):
        try:
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
                if db.execute("SELECT 1 FROM sqlite_master WHERE name='entries'").fetchone():
                    found.append(path)
        except sqlite3.Error:
            continue
    return found


TAMPER = {
    "a body": "UPDATE entries SET body = replace(body, '203.0.113.5', '203.0.113.6')",
    "a time": "UPDATE entries SET wall = wall + 1 WHERE seq = 2",
    "a row gone": "DELETE FROM entries WHERE seq = 2",
    "the end gone": "DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)",
    "a signature": "UPDATE head SET signature = zeroblob(64)",
}


@pytest.fixture(scope="module")
def record():
    """One bed with two orders in its journal; copies of the state are tampered with."""
    with B.Bed() as bed:
        r = bed.stanch_ssh("block", B.C2A, "--yes")
        assert r.code == 0, str(r)
        bed.second = bed.stanch_ssh("block", B.C2B, "--yes")
        assert bed.second.code == 0, str(bed.second)
        yield bed


def test_an_honest_journal_verifies(record):
    r = record.stanch("verify", "journal", "--head", head_of(record.second))
    assert r.code == 0, str(r)


@pytest.mark.parametrize("what", TAMPER)
def test_tampering_is_found(record, what):
    copy = record.state + "." + what.replace(" ", "-")
    shutil.copytree(record.state, copy)
    files = journal_files(copy)
    assert files, os.listdir(copy)
    changed = 0
    for path in files:
        with sqlite3.connect(path) as db:
            changed += db.execute(TAMPER[what]).rowcount
    assert changed, "nothing was tampered with"
    r = record.stanch("verify", "journal", state=copy)
    assert r.code == 6, str(r)


def forged(record, name, edit):
    """A copy of the record, edited and sealed again by the host's own key; its new head."""
    copy = f"{record.state}.forged-{name}"
    shutil.copytree(record.state, copy)
    with forge.open_journal(copy) as db:
        assert [r[7] for r in forge.rows(db)] == forge.chain(db), "not as doc/formats.md says"
        edit(db)
        head = forge.seal(db, copy)
    return copy, head


# Each edit changes the first order; what it returns is how many entries it touched.
FORGERIES = {
    "address": lambda db: forge.replace_everywhere(db, B.C2A, "203.0.113.99"),
    "time": lambda db: db.execute("UPDATE entries SET wall=wall-60000000 WHERE subject='o1'").rowcount,
    "removed": lambda db: forge.remove_order(db, 1),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_rows_signed_again_are_found_by_the_head(record, what):
    """Root on the host edits rows, computes every hash anew and signs the head with the host's own
    key. By itself that looks whole; only a head that was noted elsewhere tells."""
    noted = head_of(record.second)
    copy, head = forged(record, what, lambda db: FORGERIES[what](db) or pytest.fail("nothing was edited"))
    assert head != noted
    r = record.stanch("verify", "journal", state=copy)
    assert r.code == 0, f"by itself it looks whole: {r}"
    assert record.stanch("verify", "journal", "--head", head, state=copy).code == 0
    r = record.stanch("verify", "journal", "--head", noted, state=copy)
    assert r.code == 6, str(r)


def test_a_forged_signature_needs_the_key(record):
    """The same edit signed by another key, or with a view forgotten, is found without any head."""
    copy, _ = forged(record, "key", lambda db: forge.replace_everywhere(db, B.C2A, "203.0.113.99"))
    shutil.copy(record.state + "/key.pub", copy + "/key.pub")
    B.run("openssl", "genpkey", "-algorithm", "ed25519", "-out", copy + "/key")
    with forge.open_journal(copy) as db:
        forge.seal(db, copy)
    r = record.stanch("verify", "journal", state=copy)
    assert r.code == 6, str(r)
    copy, _ = forged(record, "view", lambda db: db.execute(
        "UPDATE entries SET body=replace(body, ?, '203.0.113.99')", (B.C2A,)))
    r = record.stanch("verify", "journal", state=copy)
    assert r.code == 6 and "does not say what the entries say" in r.out + r.err, str(r)


def in_mount_ns(bed, prepare, *args):
    line = f"mkdir -p {bed.state} && {prepare} && exec {bed.command(*args)}"
    return bed.sh("victim", "unshare", "--mount", "--propagation", "private", "sh", "-c", line,
                  check=False)


@pytest.mark.parametrize("how", ["garbage", "full disk", "read-only", "no such place"])
def test_a_broken_journal_never_blocks_isolate(bed, how):
    isolate = ("isolate", "self", "--yes", "--keep-in", f"{B.MGMT}/32@22")
    tmpfs = f"mount -t tmpfs -o size=256k tmpfs {bed.state}"
    if how == "garbage":
        assert bed.stanch_ssh("block", B.C2B, "--yes").code == 0
        for path in journal_files(bed.state):
            with open(path, "r+b") as f:
                f.write(os.urandom(8192))
        r = bed.stanch(*isolate)
        code, text = r.code, str(r)
    else:
        prepare = {"full disk": f"{tmpfs} && {{ head -c 1M /dev/zero >{bed.state}/fill || :; }} 2>/dev/null",
                   "read-only": f"{tmpfs} && mount -o remount,ro {bed.state}",
                   "no such place": f"rmdir {bed.state} && : >{bed.state}"}[how]
        r = in_mount_ns(bed, prepare, *isolate)
        code, text = r.returncode, r.stdout + r.stderr
    assert code in (0, 5), text
    assert "/run" in text, f"it must say where the record is: {text}"
    assert not answers(bed) and not answers(bed, B.C2A6)
    assert bed.ssh("echo in").stdout == "in\n"
    assert our_tables(bed)


def test_undo_all_names_what_another_incident_keeps(bed, tmp_path):
    """The journal was broken for a while: the orders of that while come in an incident of their own, which is
    in use from then on. What is in force of the first is told by `undo --all`, with the command for it."""
    assert bed.stanch("incident", "new", "breach").code == 0
    assert bed.stanch_ssh("block", B.C2B, "--yes").code == 0
    shutil.copytree(bed.state, tmp_path / "kept")
    for path in journal_files(bed.state):
        with open(path, "r+b") as f:
            f.write(os.urandom(8192))
    r = bed.stanch_ssh("block", B.C2A, "--yes")
    assert r.code in (0, 5) and "/run" in r.out + r.err, str(r)
    shutil.rmtree(bed.state)
    shutil.copytree(tmp_path / "kept", bed.state)
    for _ in range(2):  # the second time nothing of the incident in use is left
        u = bed.stanch_ssh("undo", "--all", "--yes")
        assert u.code == 0 and "of incident breach 1 orders stay in force, the first is o1" in u.out + u.err, str(u)
    assert our_tables(bed)
    u = bed.stanch_ssh("undo", "--all", "--yes", "--incident", "breach")
    assert u.code == 0 and "stay in force" not in u.out + u.err and not our_tables(bed), str(u)


FULL = ("mount -t tmpfs -o size=64k tmpfs {0} && {{ head -c 1M /dev/zero >{0}/fill || :; }} 2>/dev/null")


def nowhere_to_write(bed, *args):
    """Runs stanch while neither the disk nor /run takes a byte."""
    return in_mount_ns(bed, f"{FULL.format(bed.state)} && {FULL.format('/run')}", *args)


@pytest.mark.parametrize("how", ["isolate", "block", "undo on a full disk"])
def test_what_no_record_names_is_found(bed, how):
    """With the disk and /run full an order is kept nowhere, yet it stands: later commands find it by
    its name in the kernel and take it away, and leave alone what an order of the journal claims."""
    before = bed.kernel()
    if how == "block":
        known = bed.stanch_ssh("isolate", "self", "--yes")
        assert known.code in (0, 5), str(known)
        lost, names, other = ("block", B.C2A, "--yes"), ["stanch_block"], "stanch_isolate"
    else:
        lost = ("isolate", "self", "--yes", "--keep-in", f"{B.MGMT}/32@22")
        names, other = ["stanch_isolate", "stanch_cut"], "stanch_block"
    assert bed.stanch("status").code == 0
    r = nowhere_to_write(bed, *lost)
    text = r.stdout + r.stderr
    assert r.returncode in (0, 5) and "later commands will not find this order" in text, text
    assert not answers(bed) and our_tables(bed)

    s = bed.stanch("status")
    assert s.code == 1 and "No order of this journal claims this" in s.out, str(s)
    unclaimed = [x for x in s.out.splitlines() if x.startswith("unclaimed")]
    assert all(any(n in x for x in unclaimed) for n in names), str(s)
    assert not any(other in x for x in unclaimed), str(s)

    standing = bed.kernel()
    for more, code in (("--dry-run",), 0), ((), 2):
        d = bed.stanch("undo", "--all", *more)
        assert d.code == code and all(n in d.out + d.err for n in names), str(d)
    assert standing["rules"] == bed.kernel()["rules"]

    if how.startswith("undo"):
        u = nowhere_to_write(bed, "undo", "--all", "--yes")
        code, text = u.returncode, u.stdout + u.stderr
    else:
        u = bed.stanch("undo", "--all", "--yes")  # the order that is known, too
        code, text = u.code, str(u)
    assert code == 0 and "deleted: " in text, text
    assert same_kernel(before, bed.kernel()) == ""
    assert answers(bed) and not our_tables(bed)
    s = bed.stanch("status")
    assert s.code == 0 and "unclaimed" not in s.out, str(s)

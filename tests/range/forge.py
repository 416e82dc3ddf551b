# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a journal anew as root on the host could: rows edited, every hash computed again, the head
signed with the host's own key. From doc/formats.md, with hashlib and openssl; nothing of stanch's."""
import hashlib
import os
import sqlite3
import struct
import subprocess

FIRST = bytes(32)
VIEWS = ("incidents", "orders", "plans", "steps", "findings")


def text(s):
    raw = s.encode()
    return struct.pack(">I", len(raw)) + raw


def entry_hash(seq, wall, incident, kind, subject, body, prev):
    return hashlib.sha256(b"stanch-entry-1" + struct.pack(">QQ", seq, wall) + text(incident) +
                          text(kind) + text(subject) + text(body) + prev).digest()


def sign(state, message):
    """Ed25519 by the state directory's private key."""
    path = os.path.join(state, "message")
    with open(path, "wb") as f:
        f.write(message)
    try:
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey",
                               os.path.join(state, "key"), "-in", path],
                              check=True, capture_output=True, timeout=30).stdout
    finally:
        os.unlink(path)


def rows(db):
    return db.execute("SELECT seq, wall, incident, kind, subject, body, prev, hash FROM entries "
                      "ORDER BY seq").fetchall()


def chain(db):
    """The hashes that the entries should have, in order."""
    prev, hashes = FIRST, []
    for seq, wall, incident, kind, subject, body, _, _ in rows(db):
        prev = entry_hash(seq, wall, incident, kind, subject, body, prev)
        hashes.append(prev)
    return hashes


def seal(db, state):
    """Numbers without a gap, every hash from the first entry on, and the head, signed."""
    for new, (old, *_) in enumerate(rows(db), 1):
        db.execute("UPDATE entries SET seq=? WHERE seq=?", (new, old))
    prev, seq = FIRST, 0
    for (seq, *_), digest in zip(rows(db), chain(db)):
        db.execute("UPDATE entries SET prev=?, hash=? WHERE seq=?", (prev, digest, seq))
        prev = digest
    signature = sign(state, b"stanch-head-1" + struct.pack(">Q", seq) + prev)
    db.execute("UPDATE head SET seq=?, hash=?, signature=?", (seq, prev, signature))
    return prev.hex()


def replace_everywhere(db, old, new):
    """In the entries' bodies and in the views; how many entries that changed."""
    changed = db.execute("UPDATE entries SET body=replace(body, ?1, ?2) WHERE instr(body, ?1)",
                         (old, new)).rowcount
    for view in VIEWS:
        for _, column, kind, *_ in db.execute(f"PRAGMA table_info({view})").fetchall():
            if kind == "TEXT":
                db.execute(f"UPDATE {view} SET {column}=replace({column}, ?1, ?2) "
                           f"WHERE instr({column}, ?1)", (old, new))
    return changed


def remove_order(db, n):
    """As if it had never been given; how many entries that took away."""
    removed = db.execute("DELETE FROM entries WHERE subject=?1 OR subject LIKE ?1||'.%'",
                         (f"o{n}",)).rowcount
    db.execute("DELETE FROM orders WHERE id=?", (n,))
    for view in ("plans", "steps"):
        db.execute(f"DELETE FROM {view} WHERE order_id=?", (n,))
    return removed


def open_journal(state):
    return sqlite3.connect(os.path.join(state, "journal.db"))

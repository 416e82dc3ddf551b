# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests of the range ask."""
import re
import sys
import os

import bed as B

sys.path.insert(0, B.LEAK)
import send  # noqa: E402

SSH_ALLOWED = {(B.MGMT, 22), (B.MGMT6, 22)}
GATEWAYS = {B.GATEWAY, B.GATEWAY6}


def order_id(result):
    """The id of the order that a run made."""
    for o in reversed(result.objects()):
        order = o.get("order")
        if isinstance(order, dict) and order.get("order"):
            return order["order"]
        if isinstance(order, str):
            return order
    found = re.findall(r"\bo\d+\b", result.out)
    assert found, f"no order is named: {result}"
    return found[-1]


def head_of(result):
    """The journal head's hash that a run printed."""
    found = re.findall(r"\b[0-9a-f]{64}\b", result.out)
    assert found, f"no head is printed: {result}"
    return found[-1]


def cell(row):
    """Which sender's frame this row is, or None."""
    if row.get("marker"):
        return row["marker"]
    for place in send.PLACES:
        for family in (4, 6):
            if row.get("dport") == send.syn_port(place, family):
                return f"{place}-tcp-new-v{family}"
    return None


def cells(rows):
    got = {}
    for r in rows:
        c = cell(r)
        if c:
            got[c] = got.get(c, 0) + r["frames"]
    return got


def cells_marked(rows):
    """The markers on these frames, with how many."""
    got = {}
    for r in rows:
        if r.get("marker"):
            got[r["marker"]] = got.get(r["marker"], 0) + r["frames"]
    return got


ALL_CELLS = [f"{p}-{k}-v{f}" for p in send.PLACES for k in send.KINDS for f in (4, 6)]


def allowed(row, kept=SSH_ALLOWED):
    """Is this frame one that an isolated victim may send, by the allow-list of `isolate self` from
    an ssh session: the session's flow, and ARP and neighbour discovery about the gateway?"""
    proto = row["proto"]
    if proto == "tcp":
        return (row["dst"], row["sport"]) in kept
    if proto == "arp":
        # A question about the gateway, or an answer to it.
        return row["dst"] in GATEWAYS and row["src"] in (B.VICTIM, B.MAC)
    if proto == "icmp6":
        if row["info"] == "133/0":
            return True
        # A question about the gateway; the answer to its question names our own address.
        return row["info"] in ("135/0", "136/0") and (
            row.get("about") in GATEWAYS or row.get("about", "").startswith("fe80:")
            or row.get("about") in (B.VICTIM6, B.MAC6))
    return False


def strangers(rows, kept=SSH_ALLOWED):
    return [r for r in rows if not allowed(r, kept)]


def cells_of_wire(bed, since, until=1 << 62):
    return cells(bed.wire.rows(since, until))


def our_tables(bed, role="victim"):
    """Names of stanch's nftables tables, as `nft` sees them."""
    import json
    r = bed.sh(role, "nft", "-j", "list", "tables")
    return sorted(t["table"]["family"] + " " + t["table"]["name"]
                  for t in json.loads(r.stdout)["nftables"]
                  if "table" in t and t["table"]["name"].startswith("stanch"))


def bleeding(bed, uploads, hosts, seconds=1.0):
    """Do these uploads get through now? Measured at the far end."""
    import time
    since = time.time_ns()
    time.sleep(seconds)
    role = {B.C2A: "c2a", B.C2B: "c2b", B.NEIGHBOUR: "neigh"}
    return {h: bed.at[role[h]].bytes(since, src=B.VICTIM, dport=443) for h in hosts}


def same_kernel(before, after):
    """Says what differs, "" when nothing."""
    out = []
    for part in ("rules", "tc", "xdp"):
        if before[part] != after[part]:
            out.append(f"{part}: {before[part]}\n  became {after[part]}")
    a, b = set(before["sysctls"].splitlines()), set(after["sysctls"].splitlines())
    if a != b:
        out.append(f"sysctls: {sorted(a ^ b)}")
    return "\n".join(out)


__all__ = [n for n in dir() if not n.startswith("_")]
del os

# SPDX-License-Identifier: GPL-3.0-or-later
"""From a finding to the cut: `watch` stores it, `contain` carries out what it proposes."""
import json
import time

import bed as B
from helpers import bleeding


def test_contain_what_watch_found(bed, tmp_path):
    uploads = bed.bleed(scale=100)
    r = bed.stanch("watch", "eth0", "--run", "6s", "--json")
    found = {x["dest_ip"]: x for x in map(json.loads, r.out.splitlines())
             if x["event_type"] == "finding" and x.get("final")}
    worst = found[B.C2A]
    assert r.code == 1 and worst["kind"] == "upload" and worst["score"] >= 0.7, str(r)
    assert not any("never seen" in reason for reason in worst["reasons"]), "nothing was learned yet"
    assert worst["orders"] == [f"block {B.C2A}"]
    assert all(bleeding(bed, uploads, uploads).values())

    # Shown first, and nothing is done by that.
    r = bed.stanch_ssh("contain", worst["id"], "--dry-run")
    assert r.code == 0 and B.C2A in r.out, str(r)
    assert bleeding(bed, uploads, [B.C2A])[B.C2A]

    r = bed.stanch_ssh("contain", worst["id"], "--yes")
    assert r.code == 0, str(r)
    time.sleep(2)
    late = [x for x in bed.at["c2a"].rows(r.ended) if x.get("dst") == "c2a" and x["proto"] != "arp"]
    assert late == [], "frames arrived after the finding was contained"
    assert bleeding(bed, uploads, [B.NEIGHBOUR])[B.NEIGHBOUR], "what no finding names goes on"


    # What was found, why, and what was done about it, on one page.
    page = str(tmp_path / "report.html")
    r = bed.stanch("incident", "report", "--html", page)
    text = open(page, encoding="utf-8").read()
    assert r.code == 0 and "<h2>f1 upload, score" in text and "<h2>o1 block" in text, str(r)
    assert "bytes out for each byte in" in text and "Harmless if: " in text
    assert text.index("<h2>f1 ") < text.index("<h2>o1 ") < text.index("Timeline of the journal")


def test_contain_refuses_what_it_does_not_know(bed):
    r = bed.stanch_ssh("contain", "f1", "--yes")
    assert r.code == 3 and "f1" in r.err, str(r)
    r = bed.stanch_ssh("contain", "nonsense", "--yes")
    assert r.code in (2, 3), str(r)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of firewalls as a source of `watch`: the same flows, findings and selectors come out."""
import json
import subprocess
from datetime import datetime, timedelta, timezone

import pytest

from bed import STANCH

BEGIN = datetime(2026, 11, 24, 8, 0, 0, tzinfo=timezone.utc)
BAD = "198.51.100.23"


def asa(at, n, sent):
    end = at + timedelta(seconds=1)
    ends = f"outside:{BAD}/443 ({BAD}/443) to inside:192.168.10.33/{40000 + n} (192.0.2.1/{40000 + n})"
    plain = f"outside:{BAD}/443 to inside:192.168.10.33/{40000 + n}"
    return [f"<166>{at:%b %d %Y %H:%M:%S} fw1 : %ASA-6-302013: Built outbound TCP connection {n} for {ends}",
            f"<166>{end:%b %d %Y %H:%M:%S} fw1 : %ASA-6-302014: Teardown TCP connection {n} for {plain} "
            f"duration 0:00:01 bytes {sent} TCP FINs"]


def aws(at, n, sent):
    begin, end = int(at.timestamp()), int(at.timestamp()) + 1
    return [f"2 123456789012 eni-0a1b2c3d 192.168.10.33 {BAD} {40000 + n} 443 6 6 {sent} {begin} {end} ACCEPT OK",
            f"2 123456789012 eni-0a1b2c3d {BAD} 192.168.10.33 443 {40000 + n} 6 6 {sent} {begin} {end} ACCEPT OK"]


def watch(log, *more, stdin=None):
    r = subprocess.run([STANCH, "--config", "/dev/null", "--state", str(log) + ".state", "watch", "--log",
                        "-" if stdin else str(log), "--json", *more], input=stdin, capture_output=True,
                       text=True, timeout=60)
    return r.returncode, [json.loads(line) for line in r.stdout.splitlines()], r.stderr


@pytest.mark.parametrize("lines", [asa, aws])
@pytest.mark.parametrize("piped", [False, True])
def test_a_beacon_in_a_log(tmp_path, lines, piped):
    text = "".join(line + "\n" for n in range(60)
                   for line in lines(BEGIN + timedelta(seconds=60 * n), n, 1200))
    log = tmp_path / "log"
    log.write_text(text)
    code, rows, err = watch(log, stdin=text if piped else None)
    assert code == 1, err
    flows = [r for r in rows if r["event_type"] == "flow"]
    assert len(flows) == 60
    assert all(f["dest_ip"] == BAD and f["dest_port"] == 443 for f in flows)
    assert sum(f["flow"]["bytes_toserver"] + f["flow"]["bytes_toclient"] for f in flows) == \
        60 * 1200 * (1 if lines is asa else 2)
    found = [r for r in rows if r["event_type"] == "finding" and r["score"] >= 0.7]
    assert [(f["kind"], f["dest_ip"], f["selector"]) for f in found] == [("beacon", BAD, BAD)]
    assert found[0]["orders"] == [f"block {BAD}"]
    assert rows[-1]["tier"] == "log" and rows[-1]["packets"] == 120


def test_bad_lines_are_counted_and_told(tmp_path):
    log = tmp_path / "log"
    log.write_text("\n".join([*asa(BEGIN, 1, 10), "rubbish %ASA-6-302013: Built", "x" * 100000, ""]))
    code, rows, _ = watch(log)
    assert code == 0 and rows[-1]["malformed"] == 2 and rows[-1]["flows"] == 1
    r = subprocess.run([STANCH, "--config", "/dev/null", "watch", "--log", str(log)], capture_output=True,
                       text=True, timeout=60)
    assert "2 of 4 lines could not be read" in r.stdout + r.stderr
    assert "the first is line 3" in r.stdout + r.stderr


def test_no_log_and_two_sources(tmp_path):
    log = tmp_path / "log"
    log.write_text("root:x:0:0\n" * 5)
    code, _, err = watch(log)
    assert code == 4 and "not the log of a firewall" in err
    assert watch(log, "--file", "x")[0] == 2
    assert watch(log, "--log-format", "x")[0] == 2

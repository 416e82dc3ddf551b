# SPDX-License-Identifier: GPL-3.0-or-later
"""Country and autonomous system from files in MaxMind's format that the configuration names."""
import json
import os
import subprocess
import sys

import mmdb

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STANCH = os.environ.get("STANCH_BIN", os.path.join(ROOT, "build", "stanch"))
sys.path.insert(0, os.path.join(ROOT, "tests", "eval"))

import make  # noqa: E402


def stanch(tmp_path, conf, *words):
    (tmp_path / "stanch.conf").write_text(conf)
    return subprocess.run([STANCH, *words, "--config", str(tmp_path / "stanch.conf"), "--state",
                           str(tmp_path / "state")], capture_output=True, text=True, timeout=60, check=False)


def test_places_are_told(tmp_path):
    make.make(tmp_path, ["beacon_2s_http"])
    capture = str(tmp_path / "beacon_2s_http.pcap")
    plain = stanch(tmp_path, "", "watch", "--file", capture, "--json")
    events = [json.loads(x) for x in plain.stdout.splitlines()]
    assert not any("geoip" in k for e in events for k in e)
    bad = [e for e in events if e["event_type"] == "finding"][0]["dest_ip"]
    net = bad.rsplit(".", 1)[0] + ".0/24"
    country, asn = tmp_path / "c.mmdb", tmp_path / "a.mmdb"
    mmdb.write(country, "Test-Country", {net: {"country": {"iso_code": "NL"}}})
    mmdb.write(asn, "Test-ASN", {net: {"autonomous_system_number": (64500, 6),
                                       "autonomous_system_organization": 'Exämple "Net"'}})
    conf = f'# places\ngeo_country = "{country}"\ngeo_asn = "{asn}"\n'
    told = stanch(tmp_path, conf, "watch", "--file", capture, "--json")
    events = [json.loads(x) for x in told.stdout.splitlines()]
    want = {"country_code2": "NL", "asn": 64500, "as_org": 'Exämple "Net"'}
    flows = [e for e in events if e["event_type"] == "flow"]
    assert {e["dest_ip"] == bad for e in flows} == {True, False}
    assert all(e.get("dest_geoip") == (want if e["dest_ip"] == bad else None) for e in flows)
    finding = [e for e in events if e["event_type"] == "finding" and e["dest_ip"] == bad][0]
    assert f'{bad} is registered in NL, AS64500 Exämple "Net"' in finding["reasons"]
    # What cannot be opened, or is something else, is an error of the configuration.
    for name, text in (("none.mmdb", "No such file"), ("stanch.conf", "MaxMind")):
        done = stanch(tmp_path, f'\n\ngeo_asn = "{tmp_path / name}"\n', "watch", "--file", capture)
        assert done.returncode == 2 and "stanch.conf:3: geo_asn: " in done.stderr and text in done.stderr, done
    shown = stanch(tmp_path, conf, "config", "show")
    assert f'geo_country = "{country}"' in shown.stdout

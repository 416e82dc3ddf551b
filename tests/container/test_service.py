# SPDX-License-Identifier: GPL-3.0-or-later
"""disable service, and kill of one, against all that brings a unit back. systemd itself is the judge, and what the
service writes when it starts."""
import json
import os
import time

import pytest

import container_bed as B
from test_process import faulty, leftovers, order_of

CONTROL = "/run/systemd/system.control"
STARTS = 'ExecStart=/bin/sh -c "echo start >>/run/starts; exec sleep 600"\n'
UNITS = {
    "evil.service": "[Service]\nRestart=always\nRestartSec=100ms\nWatchdogSec=1\nNotifyAccess=all\nType=notify\n"
                    'ExecStart=/bin/sh -c "echo start >>/run/starts; systemd-notify --ready; '
                    'while systemd-notify WATCHDOG=1; do sleep .2; done"\n'
                    "ExecStop=/bin/sh -c 'echo stop >>/run/stops'\n[Install]\nWantedBy=multi-user.target\n",
    "evil.timer": "[Timer]\nOnActiveSec=100ms\nOnUnitInactiveSec=100ms\nAccuracySec=1ms\n",
    "evil.path": "[Path]\nPathExists=/run/systemd\n",
    "evil.socket": "[Socket]\nListenStream=/run/evil.sock\n",
    "many@.service": "[Service]\n" + STARTS,
}
TRIGGERS = ("evil.timer", "evil.path", "evil.socket")


@pytest.fixture
def host(fresh):
    for name, text in UNITS.items():
        fresh.put("/etc/systemd/system/" + name, text.encode())
    fresh.script("systemctl daemon-reload; systemctl start evil.socket evil.timer evil.path; systemctl start evil")
    return fresh


def starts(c):
    return len(c.run("cat", "/run/starts", check=False).stdout.split())


def links(c):
    try:
        return {n: os.readlink(c.path(f"{CONTROL}/{n}")) for n in os.listdir(c.path(CONTROL))}
    except FileNotFoundError:
        return {}


def active(c, *units):
    return c.run("systemctl", "is-active", *units, check=False).stdout.split()


def poke(c):
    """What would bring it back."""
    c.run("sh", "-c", "systemctl start evil.service evil.socket evil.timer evil.path; touch /run/systemd; "
          "python3 -c \"import socket; socket.socket(socket.AF_UNIX).connect('/run/evil.sock')\"", check=False)


def test_disabled_with_all_that_triggers_it_and_undone(host):
    r = host.stanch("disable", "service", "evil", "--watch", "2s", "--yes", "--json")
    assert r.code == 0, r
    assert set(links(host)) == {"evil.service", *TRIGGERS} and set(links(host).values()) == {"/dev/null"}
    before = starts(host)
    poke(host)
    time.sleep(0.5)
    assert starts(host) == before
    assert not {"active", "activating"} & set(active(host, "evil.service", *TRIGGERS))
    assert host.show("evil.service", "LoadState") == "masked"
    assert not os.path.exists(host.path("/run/stops")), "none of its own commands ran"
    order = order_of(r)
    assert host.stanch("verify", order).code == 0
    assert host.stanch("undo", order, "--yes").code == 0
    assert links(host) == {} and active(host, "evil.service", *TRIGGERS) == ["active"] * 4
    assert starts(host) > before


def test_a_killed_service_stays_down(host):
    r = host.stanch("kill", "service", "evil", "--yes", "--json")
    assert r.code == 0, r
    before = starts(host)
    poke(host)
    time.sleep(1.5)
    assert starts(host) == before and not {"active", "activating"} & set(active(host, "evil.service", *TRIGGERS))
    u = host.stanch("undo", order_of(r), "--yes")
    assert links(host) == {} and leftovers(host) == [], u
    assert active(host, *TRIGGERS) == ["active"] * 3, "what triggered it is back"


def test_a_watched_service_is_not_frozen_but_told(host):
    pid, before = host.main_pid("evil"), starts(host)
    r = host.stanch("freeze", "service", "evil", "--yes")
    assert r.code == 3 and "watchdog of 1 s" in r.err and "othing was changed" in r.err, str(r)
    assert host.main_pid("evil") == pid and starts(host) == before and leftovers(host) == []


def test_instances_of_a_template(host):
    host.run("systemctl", "start", "many@one", "many@two")
    r = host.stanch("disable", "service", "many@.service", "--watch", "1s", "--yes", "--json")
    assert r.code == 0, r
    assert set(active(host, "many@one", "many@two")) == {"inactive"} or "failed" in active(host, "many@one")
    assert host.run("systemctl", "start", "many@three", check=False).returncode != 0, "one that never ran"
    assert host.stanch("undo", order_of(r), "--yes").code == 0
    assert active(host, "many@one", "many@two") == ["active"] * 2 and links(host) == {}


def test_what_brings_it_back_is_seen_and_named(host):
    host.run("systemd-run", "-q", "--unit=enemy", "sh", "-c",
             f"while [ ! -L {CONTROL}/evil.service ]; do sleep .1; done; sleep 1; rm {CONTROL}/evil.service; "
             "systemctl daemon-reload; systemctl start evil")
    r = host.stanch("disable", "service", "evil", "--watch", "10s", "--yes")
    assert r.code == 1 and "evil.service" in r.err, r
    host.run("systemctl", "stop", "evil.timer", "evil.path", "evil.service", check=False)
    assert host.stanch("undo", "--all", "--yes").code == 0 and links(host) == {}


def test_somebody_elses_file_is_left_alone(host):
    r = host.stanch("disable", "service", "evil", "--watch", "1s", "--yes", "--json")
    host.script(f"rm {CONTROL}/evil.timer; echo other >{CONTROL}/evil.timer")
    u = host.stanch("undo", order_of(r), "--yes")
    assert "evil.timer" in u.out + u.err and host.get(CONTROL + "/evil.timer") == b"other\n"
    assert set(os.listdir(host.path(CONTROL))) == {"evil.timer"}


@pytest.mark.parametrize("unit", ["dbus", "systemd-journald", "nowhere", "../../etc/passwd"])
def test_refused(shared, unit):
    r = shared.stanch("disable", "service", unit, "--yes")
    assert r.code in (2, 3) and "othing was changed" in r.err, r
    assert links(shared) == {}


def test_systemd_that_does_not_answer_is_told(shared):
    shared.run("mv", "/run/systemd/private", "/run/systemd/private-away")
    try:
        begun = time.monotonic()
        r = shared.stanch("disable", "service", "cron", "--yes")
        assert r.code == 3 and "systemd does not answer" in r.err and time.monotonic() - begun < 15, r
    finally:
        shared.run("mv", "/run/systemd/private-away", "/run/systemd/private")


@pytest.mark.parametrize("fault", ["mark:engine:stored:1", "mark:engine:applied:1", "mark:engine:held:1", "die:70%"])
def test_a_death_between_states(host, fault):
    spec = fault
    if fault.startswith("die:"):
        assert faulty(host, "die:1000000000", "disable", "service", "many@x", "--watch", "1s", "--yes").returncode == 0
        spec = f"die:{json.loads(host.get('/run/count'))['calls'] * int(fault[4:-1]) // 100}"
        host.stanch("undo", "--all", "--yes")
    r = faulty(host, spec, "disable", "service", "evil", "--watch", "1s", "--yes")
    assert r.returncode in (137, -9), (spec, r)
    host.stanch("undo", "--all", "--yes")
    assert links(host) == {} and active(host, "evil.service", *TRIGGERS) == ["active"] * 4
    assert host.stanch("status").code == 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does on the screen of `watch`, under tmux: orders from a finding, signals, terminals
that can less; live, its numbers against the kernel's counters. Golden screens: test_screen.py.
"""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from bed import ROOT, STANCH
from term import Terminal

UTF8 = {"LANG": "C.UTF-8"}
ACTED_ON = "198.51.100.23"
NAME = "beacon_60s_j0"


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capture")
    subprocess.run(["/usr/bin/python3", "-B", os.path.join(ROOT, "tests", "eval", "make.py"), str(folder),
                    NAME], check=True, timeout=120, capture_output=True)
    return os.path.join(folder, NAME + ".pcap")


def watch_file(capture, state, env=None, argv=(), **more):
    return Terminal(STANCH, "watch", "--state", str(state), "--file", capture, *argv,
                    env=env or UTF8, **more)


def test_leaving_prints_the_sums(capture, tmp_path):
    with watch_file(capture, tmp_path / "state", height=60, width=120) as t:
        t.see("packets")
        t.type("q")
        t.code()
        seen = t.see("tier file", "score")
        assert "PROCESS" not in seen
        flags = t.tmux("display", "-p", "#{alternate_on} #{cursor_flag}").split()
        assert flags == ["0", "1"], "the terminal is not as it was before"


@pytest.mark.parametrize("term, argv", [("dumb", ()), ("no-such-terminal", ()),
                                        ("screen", ("--top", "3"))])
def test_tables_where_there_is_no_screen(term, argv, capture, tmp_path):
    with watch_file(capture, tmp_path / "state", term=term, argv=argv, height=60, width=120) as t:
        assert t.code() == 1
        t.see("tier file")


def test_no_colour_is_no_colour(capture, tmp_path):
    """NO_COLOR: bold, underlined and reversed at most."""
    with watch_file(capture, tmp_path / "state", env={**UTF8, "NO_COLOR": "1"}) as t:
        t.see("packets")
        t.type("3")
        t.still()
        plain = re.findall(r"\x1b\[([0-9;]*)m", t.text("-e"))
    with watch_file(capture, tmp_path / "state") as t:
        t.see("packets")
        t.type("3")
        t.still()
        coloured = re.findall(r"\x1b\[([0-9;]*)m", t.text("-e"))
    colours = {str(n) for n in (*range(30, 50), *range(90, 108))}
    assert not {c for s in plain for c in s.split(";")} & (colours - {"39", "49"}), plain
    assert {c for s in coloured for c in s.split(";")} & {"31", "33"}, coloured


@pytest.mark.parametrize("sig", ["INT", "TERM"])
def test_signals_give_the_terminal_back(sig, capture, tmp_path):
    with watch_file(capture, tmp_path / "state") as t:
        t.see("packets")
        pane = t.tmux("list-panes", "-F", "#{pane_pid}").strip()
        child = subprocess.run(["pgrep", "-P", pane], capture_output=True, text=True,
                               timeout=10).stdout.split()
        os.kill(int(child[0]), signal.Signals["SIG" + sig])
        t.code()
        assert t.tmux("display", "-p", "#{alternate_on} #{cursor_flag}").split() == ["0", "1"]
        t.see("tier file")


def test_selection_follows_its_row(capture, tmp_path):
    """The order is turned around: the cursor goes where its row goes."""
    with watch_file(capture, tmp_path / "state") as t:
        t.see("packets")
        t.still()
        t.type("j", "j")
        row = [x for x in t.still().split("\n") if x.startswith("▸")][0]
        t.type("r")
        t.wait(lambda s: "OUT/s▲" in s, "turned around")
        assert row in t.still().split("\n")


# ---- orders -------------------------------------------------------------------------------------

@pytest.fixture
def netns():
    name = f"screen{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=10)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True, timeout=10)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True, timeout=10)


def blocked(name):
    out = subprocess.run(["nsenter", f"--net=/run/netns/{name}", "nft", "-j", "list", "ruleset"],
                         check=True, capture_output=True, text=True, timeout=20).stdout
    return ACTED_ON in json.dumps(json.loads(out))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_order_of_a_finding(capture, netns, tmp_path):
    with watch_file(capture, tmp_path / "state", netns=f"/run/netns/{netns}", height=50) as t:
        t.see("packets")
        t.type("3")
        t.see(ACTED_ON)
        t.type("o")
        t.see("[y/N]", ACTED_ON)
        assert not blocked(netns), "something was done before it was confirmed"
        t.type("n", "Enter")
        t.see("Enter: back to the screen")
        t.type("Enter")
        t.see("nothing was changed", "SCORE")
        assert not blocked(netns)
        t.type("Enter")
        t.see("reasons", "harmless if")
        t.type("o")
        t.wait(lambda x: x.count("[y/N]") == 2, "the second question")
        t.type("y", "Enter")
        t.wait(lambda x: x.count("Enter: back to the screen") == 2, "the second order's end", 40)
        assert blocked(netns)
        t.type("Enter")
        t.see("done and verified", "1 flows (")
        t.type("q")
        t.code()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_interrupted_question(capture, netns, tmp_path):
    """Ctrl-C at the question ends the order, and the screen is there again."""
    with watch_file(capture, tmp_path / "state", netns=f"/run/netns/{netns}", height=50) as t:
        t.see("packets")
        t.type("3", "o")
        t.see("[y/N]")
        t.type("C-c")
        t.see("Enter: back to the screen")
        t.type("Enter")
        t.see("SCORE")
        assert not blocked(netns)
        t.type("q")
        t.code()


# ---- live ---------------------------------------------------------------------------------------

SENDER = """
import socket, sys, time
s = socket.create_connection(("10.9.0.2", 9000))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while True:
    s.sendall(b"x" * 10000)
    time.sleep(0.02)
"""
SINK = """
import socket
l = socket.create_server(("10.9.0.2", 9000))
c, _ = l.accept()
while c.recv(1 << 20):
    pass
"""


@pytest.fixture
def pair():
    """Two namespaces with a cable; a sender in the first, its sink in the second."""
    a, b = f"scra{os.getpid()}", f"scrb{os.getpid()}"
    for n in (a, b):
        subprocess.run(["ip", "netns", "add", n], check=True, timeout=10)
    subprocess.run(["ip", "-n", a, "link", "add", "wire0", "type", "veth", "peer", "name", "wire1",
                    "netns", b], check=True, timeout=10)
    for n, dev, addr in ((a, "wire0", "10.9.0.1/24"), (b, "wire1", "10.9.0.2/24")):
        subprocess.run(["ip", "-n", n, "addr", "add", addr, "dev", dev], check=True, timeout=10)
        subprocess.run(["ip", "-n", n, "link", "set", dev, "up"], check=True, timeout=10)
    running = []
    for n, text in ((b, SINK), (a, SENDER)):
        running.append(subprocess.Popen(["nsenter", f"--net=/run/netns/{n}", "/usr/bin/python3",
                                         "-c", text]))
        time.sleep(0.7)
    yield a, running[1].pid
    for p in running:
        p.kill()
        p.wait()
    for n in (a, b):
        subprocess.run(["ip", "netns", "del", n], check=True, timeout=10)


def value(text):
    number, unit = re.fullmatch(r"([0-9.]+)([kMG]?)B?", text).groups()
    return float(number) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[unit]


def sent_bytes(netns):
    out = subprocess.run(["ip", "-n", netns, "-j", "-s", "link", "show", "wire0"], check=True,
                         capture_output=True, text=True, timeout=10).stdout
    return json.loads(out)[0]["stats64"]["tx"]["bytes"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_live(pair, tmp_path):
    netns, pid = pair
    with Terminal(STANCH, "watch", "wire0", "--state", str(tmp_path / "state"), env=UTF8,
                  netns=f"/run/netns/{netns}") as t:
        t.see("10.9.0.2", f"[{pid}]")
        t.wait(lambda s: len(re.findall("[▆▇█]", s)) >= 1, "a graph")
        time.sleep(2)
        before, began = sent_bytes(netns), time.monotonic()
        time.sleep(4)
        seen = t.text()
        rate = (sent_bytes(netns) - before) / (time.monotonic() - began)
        iface = value(re.search(r"wire0 +out +([0-9.]+[kMG]?)", seen).group(1))
        row = [x for x in seen.split("\n") if f"[{pid}]" in x][0].lstrip("▸").split()
        assert iface == pytest.approx(rate, rel=.25), seen
        assert value(row[0]) == pytest.approx(rate, rel=.25), seen
        # paused: it stands still, while bytes go on
        t.type("p")
        t.see("PAUSED")
        still = t.text()
        time.sleep(2.5)
        assert t.text() == still
        t.type("p")
        t.wait(lambda s: s != still and "PAUSED" not in s, "it goes on")
        t.type("2")
        seen = t.see("PID", str(pid), "python3")
        t.type("Enter")
        t.see("/usr/bin/python3", "top flows", "10.9.0.2")
        t.type("q", "q")
        assert t.code() in (0, 1)
        t.see("packets", "lost:")

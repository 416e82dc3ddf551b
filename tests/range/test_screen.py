# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen of `watch`, by scripted keys in a real terminal (tmux).

A generated capture is the feed, so that every cell is known beforehand: screens are compared with
those in golden/. UPDATE_GOLDEN=1 writes them anew; look at them before you commit them.
"""
import os
import subprocess
import sys
import time

import pytest

from bed import ROOT, STANCH

sys.path.insert(0, os.path.join(ROOT, "tests", "eval"))
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
CAPTURE = "beacon_60s_j0.pcap"


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capture")
    subprocess.run(["/usr/bin/python3", "-B", os.path.join(ROOT, "tests", "eval", "make.py"), str(folder),
                    CAPTURE.removesuffix(".pcap")], check=True, timeout=120, capture_output=True)
    return folder


class Terminal:
    """stanch in a tmux of its own; each step waits until the screen stands still."""

    def __init__(self, folder, columns, lines, name, more=""):
        self.tmux = ["tmux", "-L", f"st-{os.getpid()}-{name}", "-f", "/dev/null"]
        command = (f"cd {folder}; env {more} {STANCH} --config /dev/null --state {folder}/state-{name} "
                   f"watch --file {CAPTURE}; echo left $?; sleep 60")
        self.run("-u", "new-session", "-d", "-x", str(columns), "-y", str(lines), "sh", "-c", command)

    def run(self, *words):
        return subprocess.run([*self.tmux, *words], check=True, capture_output=True, text=True,
                              timeout=20).stdout

    def text(self, until):
        """The screen, once it has that text and two looks at it agree."""
        last = None
        for _ in range(200):
            now = self.run("capture-pane", "-p")
            if until in now and " 0 packets," not in now and now == last:
                return "\n".join(line.rstrip() for line in now.splitlines()) + "\n"
            last = now
            time.sleep(0.05)
        raise AssertionError(f"{until!r} does not come:\n{last}")

    def keys(self, *keys):
        self.run("send-keys", *keys)

    def close(self):
        subprocess.run([*self.tmux, "kill-server"], capture_output=True, timeout=20)


@pytest.fixture
def terminal(capture, request):
    made = []

    def make(columns, lines, more=""):
        t = Terminal(capture, columns, lines, f"{len(made)}{abs(hash(request.node.name)) % 9973}", more)
        made.append(t)
        return t

    yield make
    for t in made:
        t.close()


def same(name, text):
    path = os.path.join(GOLDEN, name + ".txt")
    if os.environ.get("UPDATE_GOLDEN"):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    with open(path, encoding="utf-8") as f:
        assert text == f.read(), f"{name}: see the difference; UPDATE_GOLDEN=1 writes it anew"


WHERE = [("80x24", 80, 24, "LC_ALL=C.UTF-8"), ("132x43", 132, 43, "LC_ALL=C.UTF-8"),
         ("ascii", 80, 24, "LC_ALL=C NO_COLOR=1"), ("vt100", 80, 24, "LC_ALL=C.UTF-8 TERM=vt100")]


@pytest.mark.parametrize("name,columns,lines,more", WHERE)
def test_views(terminal, name, columns, lines, more):
    t = terminal(columns, lines, more)
    same(f"screen-{name}-flows", t.text("SENT"))
    t.keys("3")
    same(f"screen-{name}-findings", t.text("WHY"))
    t.keys("Enter")
    same(f"screen-{name}-detail", t.text("orders"))
    text = t.text("orders")
    assert max(len(line) for line in text.splitlines()) <= columns
    if name == "ascii":
        assert text.isascii()
    t.keys("Escape")
    t.text("WHY")
    t.keys("?")
    same(f"screen-{name}-help", t.text("one row up"))


def test_filter_sort_and_leave(terminal):
    t = terminal(100, 30, "LC_ALL=C.UTF-8")
    t.text("SENT")
    t.keys("/")
    t.keys("-l", "192.168.10.20")
    t.keys("Enter")
    text = t.text("smb/445")
    rows = [line for line in text.splitlines() if "→" in line or "←" in line]
    assert rows and all("192.168.10.20" in line for line in rows), text
    t.keys("Escape")
    text = t.text("cdn-sync.example")
    t.keys("q")
    text = t.text("left 1")  # a finding of 0.40 or more
    assert "score 0.98  beacon" in text and "stanch block 198.51.100.23" in text


def test_resize(terminal):
    t = terminal(132, 43, "LC_ALL=C.UTF-8")
    t.text("SENT")
    t.run("resize-window", "-x", "80", "-y", "24")
    text = t.text("help")
    for _ in range(40):
        text = t.run("capture-pane", "-p")
        if max(len(line) for line in text.splitlines()) <= 80 and "SENT" in text and "help" in text:
            break
        time.sleep(0.1)
    assert "SENT" in text and "help" in text and len(text.splitlines()) <= 24, text

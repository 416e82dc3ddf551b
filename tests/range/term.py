# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal of a given size under tmux, typed into and read as text."""
import os
import shlex
import subprocess
import tempfile
import time

TMUX = "/usr/bin/tmux"


class Terminal:
    """with Terminal("cmd", …) as t: t.type("q"); t.text() — a server of its own, gone afterwards."""

    def __init__(self, *argv, width=80, height=24, env=None, term="screen-256color", netns=None):
        self.dir = tempfile.TemporaryDirectory(prefix="stanch-term-")
        self.base = [TMUX, "-S", os.path.join(self.dir.name, "socket"), "-f", "/dev/null"]
        set_env = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent",
                   f"TERM={term}"] + [f"{k}={v}" for k, v in (env or {}).items()]
        self.code_file = os.path.join(self.dir.name, "code")
        # A shell of no job control must survive a Ctrl-C that is meant for the command.
        line = (f"trap : INT; {shlex.join(set_env + list(argv))}; echo $? >{self.code_file}.new; "
                f"mv {self.code_file}.new {self.code_file}; exec sleep 60")
        enter = ["nsenter", f"--net={netns}"] if netns else []
        subprocess.run(enter + self.base + ["-u", "new-session", "-d", "-x", str(width),
                                            "-y", str(height), "sh", "-c", line],
                       check=True, env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8",
                                        "TERM": "xterm-256color"}, timeout=20)
        self.tmux("set", "-g", "status", "off", ";", "set", "-g", "escape-time", "0", ";",
                  "set", "-g", "window-size", "manual")
        self.resize(width, height)

    def tmux(self, *args):
        return subprocess.run(self.base + list(args), check=True, capture_output=True, text=True,
                              timeout=20).stdout

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def type(self, *keys):
        """Names of keys as tmux has them, or text."""
        for k in keys:
            self.tmux("send-keys", k)

    def text(self, *options):
        """What the screen shows, a line a row, blanks at the ends left out."""
        out = self.tmux("capture-pane", "-p", *options)
        return "\n".join(x.rstrip() for x in out.split("\n")).rstrip("\n") + "\n"

    def wait(self, test, what, seconds=15):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            seen = self.text()
            if test(seen):
                return seen
            time.sleep(0.05)
        raise AssertionError(f"not seen: {what}\n{self.text()}")

    def see(self, *texts, seconds=15):
        return self.wait(lambda s: all(t in s for t in texts), texts, seconds)

    def still(self, seconds=10):
        """The text once it has not changed for a while."""
        end, last, same = time.monotonic() + seconds, self.text(), 0
        while time.monotonic() < end:
            time.sleep(0.1)
            now = self.text()
            same = same + 1 if now == last else 0
            last = now
            if same == 4:
                return now
        raise AssertionError(f"it does not come to rest:\n{last}")

    def code(self, seconds=15):
        """The command's exit code; it has ended then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if os.path.exists(self.code_file):
                with open(self.code_file) as f:
                    return int(f.read())
            time.sleep(0.05)
        raise AssertionError(f"it has not ended:\n{self.text()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(self.base + ["kill-server"], capture_output=True, timeout=20)
        self.dir.cleanup()

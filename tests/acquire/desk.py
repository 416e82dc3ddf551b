# SPDX-License-Identifier: GPL-3.0-or-later
"""stanch with a state directory and a place for bundles; disks whose sectors are bad."""
import json
import pathlib
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
STANCH = TOP / "build/stanch"


def run(*args, ok=(0,), **kw):
    p = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=120, **kw)
    assert p.returncode in ok, f"{args}: {p.returncode}\n{p.stdout}{p.stderr}"
    return p


class Desk:
    """A state directory and a place for bundles."""

    def __init__(self, at):
        self.at = at
        self.to = at / "evidence"

    def stanch(self, *args, ok=(0,)):
        return run(STANCH, *args, "--state", self.at / "state", ok=ok)

    def command(self, source, *args):
        return [str(STANCH), "acquire", "disk", str(source), *map(str, args), "--state",
                str(self.at / "state"), "--quiet"]

    def acquire(self, source, *args, ok=(0,), to=None):
        """Acquires; returns the evidence as JSON tells it."""
        p = self.stanch("acquire", "disk", source, "--to", to or self.to, "--json", *args, ok=ok)
        lines = [json.loads(l) for l in p.stdout.splitlines()]
        return next(l for l in lines if l["event_type"] == "evidence")

    def data(self, evidence):
        return pathlib.Path(evidence["place"]) / "data"


class BadDisk:
    """A file of a FUSE file system, and a loop device on it."""

    def __init__(self, backing, at):
        self.control = at / "control"
        self.control.write_text("")
        self.mount = at / "fuse"
        self.mount.mkdir()
        self.file = self.mount / "disk"
        self.server = subprocess.Popen([TOP / "build/tests/acquire/badfile", backing,
                                        self.control, self.mount])
        for _ in range(100):
            if self.file.exists():
                break
            time.sleep(0.05)
        self.loop = run("losetup", "--find", "--show", "--read-only", self.file).stdout.strip()

    def bad(self, *numbers):
        self.control.write_text("".join(f"bad {n}\n" for n in numbers))

    def close(self):
        subprocess.run(["losetup", "--detach", self.loop], check=False)
        subprocess.run(["umount", str(self.mount)], check=False)
        self.server.terminate()
        self.server.wait(10)

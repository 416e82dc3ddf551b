# SPDX-License-Identifier: GPL-3.0-or-later
"""`stanch acquire memory` against what qemu says the machine's memory is."""
import json
import mmap
import os
import re
import struct
import subprocess

import pytest

PAGE = 4096
MARKER_PAGES = 256
# Fills pages that begin with a secret and their number, then waits.
MARKER = """
import sys, mmap, time
secret = sys.stdin.readline().strip().encode()
m = mmap.mmap(-1, %d * 4096)
for i in range(%d):
    m[i * 4096:(i + 1) * 4096] = (secret + b"%%08d" %% i).ljust(4096, b"\\xa5")
print("ready", flush=True)
sys.stdin.readline()
""" % (MARKER_PAGES, MARKER_PAGES)


def records(image):
    """The records of a LiME file, read by its documentation alone: [(first, last, offset of the bytes)]."""
    out, at = [], 0
    while at < len(image):
        magic, version, first, last, reserved = struct.unpack_from("<IIQQQ", image, at)
        assert (magic, version, reserved) == (0x4C694D45, 1, 0), f"at byte {at}"
        assert not out or first > out[-1][1]
        out.append((first, last, at + 32))
        at += 32 + last - first + 1
    assert at == len(image)
    return out


def system_ram(guest):
    text = guest.run("cat", "/proc/iomem").stdout
    return [(int(a, 16), int(b, 16)) for a, b in re.findall(r"^ *([0-9a-f]+)-([0-9a-f]+) : System RAM", text, re.M)]


def opened(path):
    with open(path, "rb") as f:
        return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)


class Case:
    """A guest with a marker process, and a disk for evidence that is read from outside afterwards."""

    def __init__(self, guest, folder):
        self.guest, self.disk = guest, folder / "evidence.img"
        self.folder = folder
        with open(self.disk, "wb") as f:
            f.truncate(1 << 30)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=1", self.disk], check=True)
        self.device = guest.add_disk(self.disk)
        self.mount()
        self.secret = os.urandom(24).hex()
        self.marker = guest.popen("python3", "-c", MARKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.marker.stdin.write(self.secret + "\n")
        self.marker.stdin.flush()
        assert self.marker.stdout.readline() == "ready\n"

    def mount(self):
        self.guest.script(f"until [ -b {self.device} ]; do sleep 0.02; done; mkdir -p /mnt; mount {self.device} /mnt")

    def truth(self, name):
        path = self.folder / name
        self.guest.qmp("stop")
        self.guest.memory(path)
        self.guest.qmp("cont")
        return opened(path)

    def acquire(self, *options, check=True):
        r = self.guest.run("stanch", "acquire", "memory", "--to", "/mnt", "--json", "--yes", *options, check=False,
                           timeout=300)
        if check:
            assert r.returncode == 0, r.stdout + r.stderr
        return r

    def fetch(self, pattern):
        """Files of the bundle, read from the disk itself while the guest does not have it."""
        names = self.guest.script(f"cd /mnt; ls -d {pattern}; cd /; umount /mnt").stdout.split()
        out = []
        for i, name in enumerate(names):
            to = self.folder / f"fetched-{i}-{os.path.basename(name)}"
            subprocess.run(["debugfs", "-R", f"dump /{name} {to}", self.disk], check=True, capture_output=True)
            out.append(to)
        self.mount()
        return out


@pytest.fixture
def case(guest, tmp_path):
    c = Case(guest, tmp_path)
    yield c
    for path in tmp_path.iterdir():
        path.unlink()


def test_an_image_is_the_memory(case):
    """Coverage is that of /proc/iomem; every page that did not change meanwhile is as qemu has it."""
    before = case.truth("before")
    case.acquire()
    after = case.truth("after")
    ram = system_ram(case.guest)
    case.guest.script("cd /mnt/*/e1 && sha256sum --quiet -c manifest-sha256.txt")
    assert case.guest.run("stanch", "verify", "e1", check=False).returncode == 0
    path, manifest = case.fetch("*/e1/data/memory.lime */e1/manifest.json")
    image = opened(path)
    got = records(image)
    assert [(a, b) for a, b, _ in got] == ram
    with open(manifest, encoding="utf-8") as f:
        unread = json.dumps(json.load(f))
    gaps = sum(int(n) for n in re.findall(r'"unread_bytes": ?(\d+)', unread))
    assert gaps <= 2 * PAGE, unread

    stable = wrong = 0
    nothing = bytes(PAGE)
    for first, last, at in got:
        for page in range(first, last + 1 - PAGE + 1, PAGE):
            was = before[page:page + PAGE]
            # Writing the image uses up free pages, and what was free is zeros before and after.
            if was != nothing and was == after[page:page + PAGE]:
                stable += 1
                wrong += image[at + page - first:at + page - first + PAGE] != was
    total = sum(b - a + 1 for a, b in ram) // PAGE
    print(f"{stable} of {total} pages stable, {wrong} of them other than qemu's")
    assert stable > total // 20
    # A page may change and change back; beyond that all are the same.
    assert wrong <= stable // 500

    pages = {m.start() for m in re.finditer(case.secret.encode() + rb"(\d{8})\xa5", image)}
    numbers = {bytes(image[p + 48:p + 56]) for p in pages}
    assert numbers >= {b"%08d" % i for i in range(MARKER_PAGES)}


def test_a_locked_kernel_is_told(template, tmp_path):
    """Confidentiality shuts /proc/kcore and /dev/mem: refused, with the reason, before anything is made."""
    import guest as G
    import guest_bed
    with G.Guest(append="lockdown=confidentiality") as g:
        g.up()
        guest_bed.install(g)
        r = g.run("stanch", "acquire", "memory", "--to", "/root", "--yes", check=False)
        assert r.returncode == 3
        assert "locked down" in r.stderr
        assert g.run("ls", "/root").stdout == ""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Images, judged by sha256sum, zstd, libewf, ddrescue's map and the bytes themselves."""
import hashlib
import os
import random
import re
import shutil
import subprocess
import time

import pytest
from desk import run


def digest(path):
    return run("sha256sum", path).stdout.split()[0]


def sums_agree(evidence):
    run("sha256sum", "--strict", "-c", "manifest-sha256.txt", "tagmanifest-sha256.txt",
        cwd=evidence["place"])


def test_raw_and_split(desk, source):
    whole = desk.acquire(source)
    split = desk.acquire(source, "--split", "1M", "--hash", "md5,sha1,blake2b")
    assert whole["sha256"] == split["sha256"] == digest(source)
    assert (desk.data(whole) / "disk.raw").read_bytes() == source.read_bytes()
    assert os.stat(desk.data(whole) / "disk.raw").st_blocks * 512 < source.stat().st_size - 1000000
    parts = sorted(desk.data(split).glob("disk.[0-9]*"))
    assert b"".join(p.read_bytes() for p in parts) == source.read_bytes()
    assert all(p.stat().st_size == 1 << 20 for p in parts[:-1])
    about = (desk.data(split).parent / "manifest.json").read_text()
    for name in ("md5", "sha1", "blake2b"):
        assert hashlib.new(name, source.read_bytes()).hexdigest() in about
    for e in (whole, split):
        sums_agree(e)
        desk.stanch("verify", e["id"])


def test_zeros_are_listed(desk, source):
    """Every run in disk.zeros is zero in the source, and all of its zero blocks of 64 KiB are in one."""
    e = desk.acquire(source)
    content, listed = source.read_bytes(), 0
    for line in (desk.data(e) / "disk.zeros").read_text().splitlines():
        at, n = (int(v, 16) for v in line.split())
        assert not any(content[at:at + n])
        listed += n
    blocks = [content[i:i + 65536] for i in range(0, len(content), 65536)]
    assert listed == sum(len(b) for b in blocks if not any(b)) > 1 << 20


def test_zstd_comes_back(desk, source):
    e = desk.acquire(source, "--format", "zstd")
    image = desk.data(e) / "disk.zst"
    back = subprocess.run(["zstd", "-dc", image], capture_output=True, check=True).stdout
    assert back == source.read_bytes()
    assert e["sha256"] == digest(source)
    sums_agree(e)
    table = image.read_bytes()[-9:]
    assert table[5:] == bytes.fromhex("b1ea928f") and int.from_bytes(table[:4], "little") == 7


@pytest.mark.parametrize("split", [(), ("--split", "16M")])
def test_e01_by_libewf(desk, sectors, tmp_path, split):
    noise = tmp_path / "noise.img"
    noise.write_bytes(random.Random(3).randbytes(20 << 20) + sectors.read_bytes())
    e = desk.acquire(noise, "--format", "e01", "--hash", "md5,sha1", "--examiner", "Zoë 𝄞 Ny",
                     "--case", "2026-17", *split)
    image = desk.data(e) / "disk.E01"
    assert (desk.data(e) / "disk.E02").exists() == bool(split)
    told = run("ewfverify", "-d", "sha256", image).stdout
    assert "SUCCESS" in told and digest(noise) in told and e["sha256"] == digest(noise)
    assert hashlib.md5(noise.read_bytes()).hexdigest() in told
    told = run("ewfinfo", image, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout
    for name, value in (("Case number", "2026-17"), ("Examiner name", "Zoë 𝄞 Ny"),
                        ("Evidence number", e["id"])):
        assert re.search(rf"{name}:\s+{value}\n", told), told
    run("ewfexport", "-q", "-u", "-f", "raw", "-t", tmp_path / "back", image)
    assert (tmp_path / "back.raw").read_bytes() == noise.read_bytes()
    sums_agree(e)


def test_e01_has_whole_sectors(desk, source):
    p = desk.stanch("acquire", "disk", source, "--to", desk.to, "--format", "e01", ok=(3,))
    assert "whole sectors" in p.stderr and not desk.to.exists()


BAD = [0, 77, 78, 2048 + 3, 4096 + 8, 9000]


def test_only_bad_sectors_are_missing(desk, bad_disk, sectors, tmp_path):
    bad_disk.bad(*BAD)
    e = desk.acquire(bad_disk.loop, ok=(5,))
    want = bytearray(sectors.read_bytes())
    for s in BAD:
        want[s * 512:s * 512 + 512] = bytes(512)
    image = desk.data(e) / "disk.raw"
    assert image.read_bytes() == want
    assert e["missing"] == 512 * len(BAD) and e["state"] == "partial"
    assert e["sha256"] == hashlib.sha256(want).hexdigest()
    # ddrescue's own tool reads the map.
    told = run("ddrescuelog", "--list-blocks=-", desk.data(e) / "disk.map").stdout
    assert told.split() == [str(s) for s in BAD]
    sums_agree(e)
    desk.stanch("verify", e["id"])


@pytest.mark.parametrize("form", ["e01", "zstd"])
def test_bad_sectors_in_other_forms(desk, bad_disk, sectors, tmp_path, form):
    bad_disk.bad(*BAD)
    e = desk.acquire(bad_disk.loop, "--format", form, "--retries", "1", ok=(5,))
    want = bytearray(sectors.read_bytes())
    for s in BAD:
        want[s * 512:s * 512 + 512] = bytes(512)
    if form == "e01":
        told = run("ewfverify", "-d", "sha256", desk.data(e) / "disk.E01").stdout
        assert "SUCCESS" in told and hashlib.sha256(want).hexdigest() in told
    else:
        p = subprocess.run(["zstd", "-dc", desk.data(e) / "disk.zst"], capture_output=True,
                           check=True)
        assert p.stdout == want


def test_what_the_disk_lost_is_missing(desk, bad_disk, sectors):
    """A disk that ends before its size says."""
    end = 3 << 20
    bad_disk.control.write_text(f"end {end}\n")
    e = desk.acquire(bad_disk.file, ok=(5,))
    size = sectors.stat().st_size
    content = (desk.data(e) / "disk.raw").read_bytes()
    assert content == sectors.read_bytes()[:end] + bytes(size - end)
    assert e["missing"] == size - end


def kill_and_resume(desk, source, form, moment):
    """Kills an acquisition after `moment` seconds; the resumed one must equal the source."""
    def newest():
        return max((int(p.name[1:]) for p in desk.to.glob("*/e*")), default=0)
    before = newest()
    p = subprocess.Popen(desk.command(source, "--to", desk.to, "--format", form, "--rate", "8M"),
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(moment)
    p.kill()
    killed = p.wait(10) != 0
    n = newest()
    if not killed or n == before:
        return False
    told = desk.stanch("acquire", "disk", source, "--resume", f"e{n}", "--format", form, "--json",
                       ok=(0, 3))
    if told.returncode:  # nothing was begun, or all was done but for the journal's word
        assert any(w in told.stderr for w in ("nothing was written", "it has its manifest"))
        return False
    place = next(desk.to.glob(f"*/e{n}"))
    if form == "raw":
        content = (place / "data/disk.raw").read_bytes()
    else:
        content = subprocess.run(["zstd", "-dc", place / "data/disk.zst"], capture_output=True,
                                 check=True).stdout
    assert content == source.read_bytes()
    assert digest(source) in told.stdout
    run("sha256sum", "--strict", "-c", "manifest-sha256.txt", cwd=place)
    desk.stanch("verify", f"e{n}")
    return True


@pytest.mark.parametrize("form", ["raw", "zstd"])
def test_killed_and_resumed(desk, source, form):
    times = 50 if os.environ.get("FAULTS") == "all" else 5
    rng = random.Random(int(os.environ.get("FAULT_SEED", "1")))
    resumed = sum(kill_and_resume(desk, source, form, rng.uniform(0.02, 0.8))
                  for _ in range(times))
    assert resumed >= times // 2


def test_stopped_politely(desk, source):
    p = subprocess.Popen(desk.command(source, "--to", desk.to, "--rate", "4M"),
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(0.6)
    p.terminate()
    assert "--resume e1" in p.communicate(timeout=20)[1] and p.returncode == 4
    told = desk.stanch("acquire", "disk", source, "--resume", "e1", "--json")
    assert digest(source) in told.stdout
    other = desk.at / "other"
    other.write_bytes(b"x" * 4096)
    desk.stanch("acquire", "disk", other, "--resume", "e1", ok=(2, 3))


def finished_but_not_journaled(desk, source):
    """As a kill between the manifest and the journal's entry leaves it: the state of before."""
    p = subprocess.Popen(desk.command(source, "--to", desk.to, "--rate", "4M"),
                         stdout=subprocess.DEVNULL)
    for _ in range(200):
        if list(desk.to.glob("*/e1/data/disk.raw")):
            break
        time.sleep(0.01)
    shutil.copytree(desk.at / "state", desk.at / "before")
    assert not list(desk.to.glob("*/e1/manifest.json"))
    assert p.wait(timeout=30) == 0
    desk.stanch("verify", "e1")
    shutil.rmtree(desk.at / "state")
    (desk.at / "before").rename(desk.at / "state")
    return next(desk.to.glob("*/e1"))


def state_of(desk):
    lines = desk.stanch("incident", "show").stdout.splitlines()
    return next(l.split()[2] for l in lines if l.split()[:1] == ["e1"])


def test_killed_before_the_journal_knew(desk, source):
    place = finished_but_not_journaled(desk, source)
    image = place / "data/disk.raw"
    with open(image, "r+b") as f:
        f.write(bytes([source.read_bytes()[0] ^ 1]))
    p = desk.stanch("acquire", "disk", source, "--resume", "e1", ok=(6,))
    assert "data/disk.raw" in p.stderr and state_of(desk) == "begun"
    with open(image, "r+b") as f:
        f.write(source.read_bytes()[:1])
    files = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    p = desk.stanch("acquire", "disk", source, "--resume", "e1", "--json")
    assert digest(source) in p.stdout and state_of(desk) == "whole"
    assert files == {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    desk.stanch("verify", "e1")
    # What is whole is not gone on with, and that is not held against it.
    desk.stanch("acquire", "disk", source, "--resume", "e1", ok=(3,))
    assert state_of(desk) == "whole"


def test_full_destination(desk, source, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small)
    try:
        p = desk.stanch("acquire", "disk", source, "--to", small, ok=(3,))
        assert "free" in p.stderr and not list(small.iterdir())
        p = desk.stanch("acquire", "disk", source, "--to", small, "--format", "zstd", "--reserve",
                        "100k", ok=(4,))
        assert "resume" in p.stderr
        run("mount", "-o", "remount,size=60m", small)
        e = desk.stanch("acquire", "disk", source, "--resume", "e1", "--format", "zstd",
                        "--reserve", "100k", "--json")
        assert digest(source) in e.stdout
        desk.stanch("verify", "e1")
    finally:
        run("umount", small)


def test_destination_on_the_source(desk, tmp_path):
    """Through a loop device: its file system holds the destination."""
    if os.geteuid() != 0:
        pytest.skip("needs root for a loop device")
    image, at = tmp_path / "fs.img", tmp_path / "mnt"
    image.write_bytes(bytes(16 << 20))
    run("mke2fs", "-q", "-F", "-t", "ext4", image)
    at.mkdir()
    loop = run("losetup", "--find", "--show", image).stdout.strip()
    try:
        run("mount", loop, at)
        p = desk.stanch("acquire", "disk", loop, "--to", at / "ev", ok=(3,))
        assert "on the disk that is to be read" in p.stderr
        e = desk.acquire(loop, ok=(0,))
        assert "smeared" in (desk.data(e).parent / "manifest.json").read_text()
    finally:
        run("umount", at, ok=(0, 32))
        run("losetup", "--detach", loop)


def test_source_is_no_link_and_no_fifo(desk, source, tmp_path):
    link, fifo = tmp_path / "link", tmp_path / "fifo"
    link.symlink_to(source)
    os.mkfifo(fifo)
    for bad in (link, fifo, tmp_path, tmp_path / "absent"):
        desk.stanch("acquire", "disk", bad, "--to", desk.to, ok=(3,))
    assert not desk.to.exists()


def test_dry_run_changes_nothing(desk, source):
    desk.stanch("acquire", "disk", source, "--to", desk.to, "--dry-run")
    assert not desk.to.exists() and not (desk.at / "state").exists()

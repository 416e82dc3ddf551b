#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""acquire.py BUILD: images of one source in memory, by stanch and by its peers, in turns, in one run.

Medians of wall and processor time and ratios; peak memory; how time a byte grows with the size. The source is 40 % noise,
30 % zeros, 30 % text; everything lies on a tmpfs, so that programs and not disks are compared.
"""
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
SIZE = int(os.environ.get("ACQUIRE_MIB", "1024"))
ROUNDS = int(os.environ.get("ACQUIRE_ROUNDS", "5"))
LARGEST = int(os.environ.get("ACQUIRE_LARGEST_MIB", "16384"))


def make_source(path, mib):
    rng = random.Random(1)
    words = ["".join(rng.choices("etaoinshrdlucmfw", k=rng.randint(2, 9))) for _ in range(5000)]
    text = " ".join(words[int(5000 * rng.random() ** 3)] for _ in range(800000)).encode()
    with open(path, "wb") as f:
        for i in range(mib):
            kind = rng.random()
            if kind < 0.4:
                f.write(rng.randbytes(MIB))
            elif kind < 0.7:
                f.seek(MIB, os.SEEK_CUR)
            else:
                at = rng.randrange(len(text) - MIB)
                f.write(text[at:at + MIB])
        f.truncate(mib * MIB)


class Bench:
    def __init__(self, build, at):
        self.stanch = os.path.abspath(os.path.join(build, "stanch"))
        self.at = at
        self.source = os.path.join(at, "source")

    def run(self, args, out=None):
        """(seconds, peak KiB, processor seconds) of one program; its output folder is new each time."""
        shutil.rmtree(os.path.join(self.at, "out"), ignore_errors=True)
        os.mkdir(os.path.join(self.at, "out"))
        begun = time.monotonic()
        p = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             cwd=os.path.join(self.at, "out"))
        _, status, use = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - begun
        if p.returncode != 0:
            raise SystemExit(f"{args[0]} ended with {p.returncode}: nothing measured")
        return took, use.ru_maxrss, use.ru_utime + use.ru_stime

    def ours(self, *args, source=None):
        return [self.stanch, "acquire", "disk", source or self.source, "--to", "to", "--state",
                "state", "--quiet", *args]

    def candidates(self):
        s = self.source
        return {
            "stanch raw": self.ours(),
            "stanch e01": self.ours("--format", "e01"),
            "stanch zstd": self.ours("--format", "zstd"),
            "openssl sha256": ["openssl", "dgst", "-sha256", s],
            "dc3dd sha256": ["dc3dd", f"if={s}", "of=image", "hash=sha256"],
            "dcfldd sha256": ["dcfldd", f"if={s}", "of=image", "hash=sha256", "bs=1M"],
            "ddrescue": ["ddrescue", s, "image", "map"],
            "ewfacquire fast": ["ewfacquire", "-u", "-c", "fast", "-d", "sha256", "-S", "1500MiB",
                                "-t", "image", s],
            "zstd -1 -T0": ["zstd", "-q", "-1", "-T0", s, "-o", "image.zst"],
        }

    def compare(self):
        times, peak, work = {}, {}, {}
        for i in range(ROUNDS):
            for name, args in self.candidates().items():
                if name == "ewfacquire fast" and i >= 2:
                    continue  # half a minute each
                took, rss, cpu = self.run(args)
                times.setdefault(name, []).append(took)
                work.setdefault(name, []).append(cpu)
                peak[name] = max(peak.get(name, 0), rss)
        cpus = {n: statistics.median(v) for n, v in work.items()}
        medians = {n: statistics.median(v) for n, v in times.items()}
        print(f"{SIZE} MiB, medians of {ROUNDS} (ewfacquire: 2), {os.cpu_count()} cores")
        for n, m in medians.items():
            print(f"  {n:<16} {m:7.2f} s  {SIZE * MIB / m / 1e6:7.0f} MB/s  peak {peak[n] / 1024:6.1f} MiB  "
                  f"processor {cpus[n]:6.2f} s")
        for a, b, goal in (("stanch raw", "dc3dd sha256", 2.5), ("stanch raw", "openssl sha256", 0.8),
                           ("stanch raw", "dcfldd sha256", None), ("stanch raw", "ddrescue", None),
                           ("stanch e01", "ewfacquire fast", 10), ("stanch zstd", "zstd -1 -T0", None)):
            ratio = medians[b] / medians[a]
            told = "" if goal is None else f"  goal {goal}: {'met' if ratio >= goal else 'MISSED'}"
            print(f"  {a} is {ratio:.2f} times as fast as {b}{told}; processor time "
                  f"{cpus[b] / cpus[a]:.2f} times less")
        top = max(v for n, v in peak.items() if n.startswith("stanch")) / 1024
        print(f"  stanch's peak memory {top:.1f} MiB, goal below 64: {'met' if top < 64 else 'MISSED'}")

    def growth(self):
        """Sparse above what was measured: reading, hashing and listing go on as with any bytes."""
        print("growth, raw, a source of zeros, which is hashed but not stored")
        first = None
        mib = 64
        while mib <= LARGEST:
            path = os.path.join(self.at, "sparse")
            with open(path, "wb") as f:
                f.truncate(mib * MIB)
            took, rss, _ = min(self.run(self.ours(source=path)) for _ in range(3 if mib < 2048 else 1))
            each = took / mib
            first = first or each
            print(f"  {mib:6} MiB {took:7.2f} s  {each * 1e3:6.2f} ms/MiB ({each / first:.2f} of the first)"
                  f"  peak {rss / 1024:.1f} MiB")
            mib *= 4


    def bad_sectors(self, badfile):
        """A device of 8 MiB with three sectors that cannot be read: what each makes of it."""
        bad = [1000, 5001, 9002]
        good = random.Random(2).randbytes(8 * MIB)
        at = os.path.join(self.at, "bad")
        os.makedirs(os.path.join(at, "fuse"))
        with open(os.path.join(at, "disk"), "wb") as f:
            f.write(good)
        with open(os.path.join(at, "control"), "w") as f:
            f.writelines(f"bad {n}\n" for n in bad)
        server = subprocess.Popen([badfile, os.path.join(at, "disk"), os.path.join(at, "control"),
                                   os.path.join(at, "fuse")])
        disk = os.path.join(at, "fuse", "disk")
        for _ in range(100):
            if os.path.exists(disk):
                break
            time.sleep(0.05)
        loop = subprocess.run(["losetup", "--find", "--show", "--read-only", disk], check=True,
                              capture_output=True, text=True).stdout.strip()
        try:
            print("three bad sectors: wrong sectors in the image (3 is best), exit status")
            self.show_bad(loop, good)
        finally:
            subprocess.run(["losetup", "--detach", loop], check=False)
            subprocess.run(["umount", os.path.join(at, "fuse")], check=False)
            server.wait(10)

    def show_bad(self, loop, good):
        programs = {
            "stanch raw": self.ours(source=loop),
            "dd noerror,sync": ["dd", f"if={loop}", "of=image", "bs=64k", "conv=noerror,sync"],
            "dc3dd": ["dc3dd", f"if={loop}", "of=image", "hash=sha256"],
            "dcfldd noerror,sync": ["dcfldd", f"if={loop}", "of=image", "hash=sha256", "bs=64k",
                                    "conv=noerror,sync"],
            "ewfacquire": ["ewfacquire", "-u", "-t", "image", loop],
            "ddrescue": ["ddrescue", "-d", loop, "image", "map"],
        }
        for name, args in programs.items():
            out = os.path.join(self.at, "out")
            shutil.rmtree(out, ignore_errors=True)
            os.mkdir(out)
            p = subprocess.run(args, cwd=out, capture_output=True, timeout=120, check=False)
            if os.path.exists(os.path.join(out, "image.E01")):
                subprocess.run(["ewfexport", "-q", "-u", "-f", "raw", "-t", "image", "image.E01"],
                               cwd=out, capture_output=True, check=True)
            found = [os.path.join(d, f) for d, _, names in os.walk(out) for f in names
                     if f in ("image", "image.raw", "disk.raw", "image.001")]
            image = open(found[0], "rb").read() if found else b""
            wrong = sum(image[i:i + 512] != good[i:i + 512] for i in range(0, len(good), 512))
            print(f"  {name:<20} {wrong:6}  exit {p.returncode}, {len(image)} bytes of {len(good)}")


def main():
    if not os.path.isdir("/dev/shm"):
        raise SystemExit("needs a tmpfs at /dev/shm")
    with tempfile.TemporaryDirectory(prefix="stanch-bench-", dir="/dev/shm") as at:
        b = Bench(sys.argv[1], at)
        make_source(b.source, SIZE)
        b.compare()
        b.growth()
        badfile = os.path.abspath(os.path.join(sys.argv[1], "tests", "acquire", "badfile"))
        if os.path.exists(badfile):
            b.bad_sectors(badfile)
        else:
            print("bad sectors: not shown, tests/acquire/badfile is not built")


main()

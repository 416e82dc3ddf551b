#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image of a guest's memory by /proc/kcore and by LiME's module, in the same boot: time, coverage, and how many
pages are as qemu has them.

LiME is built here from Debian's lime-forensics-dkms and the headers of the guest's kernel, in a mount namespace of
its own. Figures are of this machine, emulated where there is no KVM: compare them with each other.
"""
import glob
import os
import pathlib
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Not this folder: its inspect.py is not the one that pytest imports.
sys.path[0] = os.path.join(os.path.dirname(HERE), "tests", "guest")
sys.dont_write_bytecode = True

import guest as G  # noqa: E402
import guest_bed  # noqa: E402
import image  # noqa: E402
import test_memory as T  # noqa: E402

BUILD_LIME = r"""
set -e
mount -t overlay overlay -o lowerdir=$1/usr/src:/usr/src /usr/src
mount -t overlay overlay -o lowerdir=$1/usr/lib:/usr/lib /usr/lib
cp -r $1/usr/src/lime-forensics-* $2
make -s -C /usr/src/linux-headers-$3 M=$2 modules
"""

def lime(folder, version):
    """The module for the guest's kernel."""
    debs, tree = folder / "debs", folder / "tree"
    debs.mkdir()
    common = version.removesuffix("-cloud-amd64") + "-common"
    names = ["lime-forensics-dkms", f"linux-headers-{version}", f"linux-headers-{common}",
             "linux-kbuild-" + ".".join(version.split(".")[:2])]
    image.run("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *names, cwd=debs)
    for deb in glob.glob(f"{debs}/*.deb"):
        image.run("dpkg-deb", "-x", deb, str(tree))
    image.run("unshare", "-m", "--propagation", "private", "sh", "-c", BUILD_LIME, "sh", str(tree),
              str(folder / "lime"), version)
    return (folder / "lime/lime.ko").read_bytes()


def compare(path, before, after):
    """Bytes in the image; pages that did not change and are not zeros; how many of them are wrong."""
    got, data = T.records(T.opened(path)), T.opened(path)
    stable = wrong = covered = 0
    for first, last, at in got:
        covered += last - first + 1
        for page in range(first, last + 2 - T.PAGE, T.PAGE):
            was = before[page:page + T.PAGE]
            if was == after[page:page + T.PAGE] and was.strip(b"\0"):
                stable += 1
                wrong += data[at + page - first:at + page - first + T.PAGE] != was
    return covered, stable, wrong


def images(template, folder, module):
    print(f"{'':8} {'s':>6} {'bytes':>12} {'of iomem':>9} {'stable':>8} {'wrong':>6}")
    for name, options in (("kcore", ()), ("lime", ("--lime", "/root/lime.ko"))):
        here = folder / ("image-" + name)
        here.mkdir()
        with template.clone() as g:
            case = T.Case(g, here)
            g.put("/root/lime.ko", module)
            before = case.truth("before")
            begun = time.monotonic()
            case.acquire(*options)
            took = time.monotonic() - begun
            after = case.truth("after")
            ram = sum(b - a + 1 for a, b in T.system_ram(g))
            (path,) = case.fetch("*/e1/data/memory.lime")
            covered, stable, wrong = compare(path, before, after)
            print(f"{name:8} {took:6.1f} {covered:12} {covered / ram:9.4f} {stable:8} {wrong:6}", flush=True)
        for p in here.iterdir():
            p.unlink()


def main():
    why = G.why_not()
    if why:
        sys.exit(f"memory: no guest: {why}")
    with tempfile.TemporaryDirectory(prefix=f"st-{os.getpid()}-") as d, \
            G.Template(guest_bed.install) as template:
        with template.clone() as g:
            version = g.run("uname", "-r").stdout.strip()
        images(template, pathlib.Path(d), lime(pathlib.Path(d), version))


main()

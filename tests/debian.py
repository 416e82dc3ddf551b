#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""debian.py: makes a Debian 12 root tree in build/debian/root, once for all that it is made of.

The container root boots it as it is, under an overlay; the guest's image is a copy of it with a kernel.
Everything comes by apt from the sources that this machine's own apt uses. The work is done on a tmpfs:
dpkg syncs after each file, and a disk takes minutes for that.
"""
import contextlib
import fcntl
import hashlib
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(HERE), "build")
PLACE = os.path.join(BUILD, "debian")
TREE = os.path.join(PLACE, "root")
PACKAGES = os.path.join(HERE, "debian-packages")
SUITE = "bookworm"


class ImageError(Exception):
    pass


def run(*argv, **more):
    r = subprocess.run(argv, capture_output=True, text=True, check=False, **more)
    if r.returncode:
        raise ImageError(f"{' '.join(argv)}: exit {r.returncode}\n{(r.stdout + r.stderr)[-3000:]}")
    return r.stdout


def hash_of(*paths):
    """A hash over files of ours that decide what something is."""
    h = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as f:
            h.update(os.path.basename(path).encode() + b"\0" + hashlib.sha256(f.read()).digest())
    return h.hexdigest()


def made_of():
    return hash_of(os.path.join(HERE, "debian.py"), PACKAGES)


# -- what apt of this machine says

def sources():
    """Debian's own archives as this machine's apt knows them, as lines of sources.list."""
    shape = "$(ORIGIN)|$(CODENAME)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    lines = []
    for row in run("apt-get", "indextargets", "--format", shape, "Created-By: Packages").splitlines():
        origin, codename, line = row.split("|")
        if origin == "Debian" and codename.startswith(SUITE):
            lines.append(line)
    if not lines:
        raise ImageError(f"apt knows no archive of Debian {SUITE} here; run apt-get update")
    return lines


def apt_proxies():
    keep = re.compile(r"Acquire::(https?|Retries)\b.*")
    return [line for line in run("apt-config", "dump").splitlines() if keep.match(line)]


# -- the tree

def packages():
    with open(PACKAGES, encoding="ascii") as f:
        return [w for w in (line.partition("#")[0].strip() for line in f) if w]


def bootstrap(root, names=None):
    """With these packages, or those of debian-packages."""
    argv = ["mmdebstrap", "--variant=minbase", "--format=directory", "--include=" + ",".join(names or packages()),
            "--aptopt=Acquire::Languages \"none\"", "--aptopt=APT::Install-Recommends \"0\"",
            "--dpkgopt=force-unsafe-io"]
    argv += [f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("man", "locale", "doc")]
    argv += ["--aptopt=" + line for line in apt_proxies()]
    run(*argv, SUITE, root, *sources())


def make_tree(work):
    """The whole of it, in the empty folder `work`, which is on a tmpfs."""
    bootstrap(os.path.join(work, "root"))
    run("rm", "-rf", "--one-file-system", TREE)
    run("cp", "-a", "--sparse=always", os.path.join(work, "root"), TREE)


def write_etc(root, files):
    """Files below etc, by name."""
    for name, text in files.items():
        path = os.path.join(root, "etc", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.islink(path):
            os.unlink(path)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)


def mask_units(root, units):
    for unit in units:
        os.symlink("/dev/null", os.path.join(root, "etc/systemd/system", unit))


# -- the cache

def why_not():
    """Why no tree can be made here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    with open("/etc/os-release", encoding="utf-8") as f:
        if f"VERSION_CODENAME={SUITE}" not in f.read():
            return f"this is no Debian {SUITE}: build/stanch would not run in it"
    return None


@contextlib.contextmanager
def locked(place):
    os.makedirs(place, exist_ok=True)
    with open(os.path.join(place, "lock"), "w", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def cached(place, names, key, script):
    """The paths of what is in `place`; when it is not there, or made of something else than `key`,
    `script --in FOLDER` makes it, FOLDER being an empty tmpfs. Waits for another maker."""
    with locked(place):
        stamp = os.path.join(place, "made-of")
        with contextlib.suppress(OSError), open(stamp, encoding="ascii") as f:
            if f.read() == key and all(os.path.exists(os.path.join(place, n)) for n in names):
                return {n: os.path.join(place, n) for n in names}
        with contextlib.suppress(OSError):
            os.unlink(stamp)
        work = os.path.join(place, "work")
        os.makedirs(work, exist_ok=True)
        # A mount of its own namespace: gone with the process, whatever happens to it.
        run("unshare", "--mount", "--propagation", "private", "sh", "-euc",
            'mount -t tmpfs -o mode=755 tmpfs "$1"; exec "$0" -B "$2" --in "$1"',
            sys.executable, work, os.path.abspath(script))
        with open(stamp, "w", encoding="ascii") as f:
            f.write(key)
    return {n: os.path.join(place, n) for n in names}


def ensure():
    """The tree's path; makes it when it is not there."""
    return cached(PLACE, ("root",), made_of(), __file__)["root"]


def main():
    if sys.argv[1:2] == ["--in"]:
        make_tree(sys.argv[2])
        return
    why = why_not()
    if why:
        sys.exit(f"no Debian tree: {why}")
    print(ensure())


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""image.py: makes the guest's image in build/guest, once for all that it is made of.

    root.img      ext4: the Debian 12 tree of tests/debian.py, systemd-networkd, Debian's kernel modules
    vmlinuz       Debian's own cloud kernel, as the package has it
    initrd.cpio   init.c and the few modules that it needs to find the disk and the agent's port

The kernel package is unpacked, not installed: its scripts would make a ramdisk and ask for a boot loader.
"""
import glob
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import debian  # noqa: E402
from debian import ImageError, run  # noqa: E402

PLACE = os.path.join(debian.BUILD, "guest")
FILES = ("root.img", "vmlinuz", "initrd.cpio")
KERNEL = "linux-image-cloud-amd64"
DISK_SIZE = "1200M"
# In the order of need; what they depend on is put before them.
BOOT_MODULES = ("virtio_pci", "virtio_blk", "virtio_console")
# Units that a guest without a person has no use for, and that cost an emulated boot seconds.
MASKED = ("getty@.service", "serial-getty@.service", "apt-daily.timer", "apt-daily-upgrade.timer",
          "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer",
          "systemd-networkd-wait-online.service", "systemd-pstore.service", "systemd-sysusers.service",
          "systemd-firstboot.service", "systemd-update-utmp-runlevel.service", "systemd-binfmt.service",
          "proc-sys-fs-binfmt_misc.automount", "dev-hugepages.mount", "dev-mqueue.mount",
          "sys-fs-fuse-connections.mount", "sys-kernel-config.mount", "cron.service", "atd.service",
          *(f"modprobe@{m}.service" for m in ("configfs", "dm_mod", "drm", "efi_pstore", "fuse", "loop")))
ENABLED = {"systemd-networkd.service": "multi-user.target.wants"}
# A host with fixed addresses, those of the range. Other devices are nobody's but the tests'.
UPLINK = """[Match]
Name=eth0
[Network]
IPv6AcceptRA=no
LinkLocalAddressing=ipv6
[Address]
Address=192.0.2.10/24
[Address]
Address=2001:db8:2::10/64
DuplicateAddressDetection=none
[Route]
Gateway=192.0.2.1
[Route]
Gateway=2001:db8:2::1
"""
ETC = {"hostname": "victim\n",
       "hosts": "127.0.0.1 localhost victim\n::1 localhost\n",
       "fstab": "",
       "resolv.conf": "",
       "systemd/network/10-uplink.network": UPLINK,
       "systemd/journald.conf.d/volatile.conf": "[Journal]\nStorage=volatile\n",
       "ssh/sshd_config.d/range.conf": "UseDNS no\nMaxStartups 50\nPasswordAuthentication no\n"}


def made_of():
    """Everything of ours that decides what the image is."""
    return debian.made_of() + debian.hash_of(*(os.path.join(HERE, n) for n in ("image.py", "init.c", "agent.c")))


def kernel_package():
    """The package that the kernel's metapackage stands for today."""
    found = re.search(r"Depends: (linux-image-\S+)", run("apt-cache", "depends", KERNEL))
    if not found:
        raise ImageError(f"apt knows no {KERNEL}; run apt-get update")
    return found.group(1)


# -- the parts

def make_root(root):
    run("cp", "-a", debian.ensure(), root)
    debian.write_etc(root, ETC)
    debian.mask_units(root, MASKED)
    units = os.path.join(root, "etc/systemd/system")
    for unit, wanted_by in ENABLED.items():
        os.makedirs(os.path.join(units, wanted_by), exist_ok=True)
        os.symlink("/lib/systemd/system/" + unit, os.path.join(units, wanted_by, unit))


def unpack_kernel(work, root):
    """Unpacks kernel and modules; the kernel's version."""
    deb_dir, out = os.path.join(work, "deb"), os.path.join(work, "kernel")
    os.mkdir(deb_dir)
    run("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", kernel_package(), cwd=deb_dir)
    run("dpkg-deb", "-x", *glob.glob(deb_dir + "/*.deb"), out)
    (version,) = os.listdir(out + "/lib/modules")
    shutil.move(f"{out}/lib/modules", os.path.join(root, "usr/lib/modules"))
    run("chroot", root, "depmod", version)
    shutil.copy(f"{out}/boot/vmlinuz-{version}", os.path.join(work, "vmlinuz"))
    return version


def compile_static(source, to):
    run("cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-static",
        "-o", to, os.path.join(HERE, source))


def cpio(entries):
    """An archive as the kernel takes it (newc): entries are (name, mode, bytes)."""
    out = bytearray()
    for ino, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = (ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def boot_modules(root, version):
    paths = []
    for name in BOOT_MODULES:
        told = run("chroot", root, "modprobe", "-S", version, "--show-depends", name)
        for path in re.findall(r"^insmod (\S+)", told, re.M):
            if root + path not in paths:
                paths.append(root + path)
    return paths


def make_initrd(work, root, version):
    compile_static("init.c", os.path.join(work, "init"))
    modules = boot_modules(root, version)
    entries = [("init", 0o100755, os.path.join(work, "init"))]
    entries += [(os.path.basename(p), 0o100644, p) for p in modules]
    loaded = []
    for name, mode, path in entries:
        with open(path, "rb") as f:
            loaded.append((name, mode, f.read()))
    names = "".join(f"/{name}\n" for name, _, _ in loaded[1:])
    with open(os.path.join(work, "initrd.cpio"), "wb") as f:
        f.write(cpio([*loaded, ("modules", 0o100644, names.encode())]))


def make_image(work):
    """The whole of it, in the empty folder `work`, which is on a tmpfs."""
    root = os.path.join(work, "root")
    make_root(root)
    version = unpack_kernel(work, root)
    compile_static("agent.c", os.path.join(root, "usr/sbin/guest-agent"))
    make_initrd(work, root, version)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=1,root_owner=0:0", "-d", root,
        os.path.join(work, "root.img"), DISK_SIZE)
    for name in FILES:
        # Holes stay holes.
        run("cp", "--sparse=always", os.path.join(work, name), os.path.join(PLACE, name))


# -- the cache

def why_not():
    """Why no image can be made here, or None."""
    if os.uname().machine != "x86_64":
        return f"the guest is an x86_64 one, this machine is {os.uname().machine}"
    return debian.why_not()


def ensure():
    """The paths of the image's files; makes them when they are not there. Waits for another maker."""
    return debian.cached(PLACE, FILES, made_of(), __file__)


def main():
    if sys.argv[1:2] == ["--in"]:
        make_image(sys.argv[2])
        return
    why = why_not()
    if why:
        sys.exit(f"no image of the guest: {why}")
    for path in ensure().values():
        print(path)


if __name__ == "__main__":
    main()

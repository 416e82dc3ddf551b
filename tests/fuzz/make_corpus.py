#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the seed corpora of the fuzz targets into tests/fuzz/corpus: small, one file a kind.

Taken from the captures of tests/range/test_capture.py, so that a kind that is added there is fuzzed
here. Run it after adding one; the same sources give the same bytes.
"""
import hashlib
import os
import struct
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "range"))
sys.dont_write_bytecode = True

import test_capture as captures  # noqa: E402

FILE_MAX, FRAMES_MAX = 1800, 6
LINKS = {1: 0, 0: 1, 101: 2, 108: 3, 113: 4, 228: 5, 229: 6, 276: 7}


def put(target, name, data):
    d = os.path.join(HERE, "corpus", target)
    os.makedirs(d, exist_ok=True)
    with open(os.path.join(d, name), "wb") as f:
        f.write(data)


def frames_of(data):
    """Link type and frames of a classic pcap file in either order."""
    order = ">" if data[:2] == b"\xa1\xb2" else "<"
    link, at, out = struct.unpack(order + "I", data[20:24])[0], 24, []
    while at + 16 <= len(data):
        cap, wire = struct.unpack(order + "II", data[at + 8:at + 16])
        out.append((data[at + 16:at + 16 + cap], wire))
        at += 16 + cap
    return link, out


def baselines():
    """src/observe/baseline.c says how one is laid out."""
    entries = b"".join(bytes([n]) * 16 + struct.pack(">IIIIQQ", 100 + n, 110, 5, 0, 1 << n, 7) for n in range(3))
    for name, body in (("empty", struct.pack(">8sIII", b"STANCHBL", 1, 0, 0)),
                       ("three", struct.pack(">8sIII", b"STANCHBL", 1, 1, 3) + entries),
                       ("version", struct.pack(">8sIII", b"STANCHBL", 2, 0, 0))):
        put("baseline", name, body + hashlib.sha256(body).digest())
    put("baseline", "cut", struct.pack(">8sIII", b"STANCHBL", 1, 1, 3) + entries[:50])


def elf_head(machine, segments, notes=b""):
    """An ELF64 core's headers: segments are (type, flags, offset, vaddr, paddr, filesz, memsz)."""
    head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, machine, 1, 0, 64, 0, 0, 64, 56,
                                                       len(segments), 0, 0, 0)
    return head + b"".join(struct.pack("<IIQQQQQQ", *s, 4096) for s in segments) + notes


def memory():
    """/proc/iomem, headers of /proc/kcore (with and without physical addresses), notes, LiME images."""
    put("iomem", "nested", b"00001000-0009fbff : System RAM\n00100000-1ffdffff : System RAM\n"
        b"  01000000-01e02566 : Kernel code\n140000000-147ffffff : virtio2\n"
        b"  140000000-147ffffff : System RAM (virtio_mem)\n")
    put("iomem", "hidden", b"00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n")
    put("procmaps", "kinds", b"55d0c0a00000-55d0c0a02000 r-xp 00002000 fd:01 1311 /usr/bin/cat\n"
        b"7f00aa000000-7f00ab000000 rw-s 00001000 00:05 77      /memfd:x y (deleted)\n"
        b"7f1200000000-7f1200001000 ---p 00000000 00:00 0 \n")
    direct, none = 0xffff888000000000, (1 << 64) - 1
    for name, told in (("told", True), ("guessed", False)):
        put("elf_core", name, elf_head(62, [
            (4, 0, 0x200, 0, 0, 0x100, 0),
            (1, 7, 0x200000003000, 0xffffa00000000000, none if told else 0, 1 << 45, 1 << 45),
            (1, 7, 0x88000004000, direct + 0x1000, 0x1000 if told else 0, 0x9e000, 0x9e000),
            (1, 7, 0x88000103000, direct + 0x100000, 0x100000 if told else 0, 0x1fee0000, 0x1fee0000)]))
    put("elf_core", "many", b"\x7fELF\2\1\1" + bytes(9) + struct.pack(
        "<HHIQQQIHHHHHH", 4, 62, 1, 0, 128, 64, 0, 64, 56, 0xffff, 64, 1, 0)
        + struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 1, 0, 2, 0, 0) + bytes(112))
    put("elf_core", "notes", struct.pack("<III", 5, 6, 6) + b"CORE\0\0\0\0abcdef\0\0"
        + struct.pack("<III", 11, 3, 0) + b"VMCOREINFO\0\0x=y")
    record = struct.pack("<IIQQQ", 0x4C694D45, 1, 0x1000, 0x100f, 0) + bytes(16)
    put("lime", "two", record + struct.pack("<IIQQQ", 0x4C694D45, 1, 0x2000, 0x2003, 0) + b"abcd")
    put("lime", "overlap", record + record)
    put("lime", "cut", record[:20])


def main():
    baselines()
    memory()
    for name, make in captures.CAPTURES.items():
        if name in ("many", "modified"):
            continue
        with tempfile.NamedTemporaryFile() as f:
            make(f.name)
            data = f.read()
        put("file", name, b"\0" + data[:FILE_MAX])
        if name.startswith("pcapng"):
            put("pcapng", name, data[:FILE_MAX])
            continue
        link, frames = frames_of(data)
        if link != 1 or "endian" in name or "nano" in name:
            put("pcap", name, data[:FILE_MAX // 2])
        picked = frames[:FRAMES_MAX]
        for i, (frame, wire) in enumerate(picked[:2]):
            put("packet", f"{name}_{i}", bytes([LINKS[link], min(255, wire - len(frame))]) + frame[:150])
        if link in (1, 101) and picked:
            put("flow", name, bytes([9, link == 101]) + b"".join(
                bytes([min(255, w - len(x)), 1, min(len(x), 120)]) + x[:120] for x, w in picked))


if __name__ == "__main__":
    main()

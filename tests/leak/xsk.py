#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""xsk.py DEV GATEWAY4 GATEWAY6 TARGET4 TARGET6 PLACE: sends frames of both families by an AF_XDP socket in
copy mode, ten rounds a second, past netfilter and tc. They carry <leak:PLACE-afxdp-vN>.

Prints {"queues": 0, …}; each line on stdin, {"take": true} or {"drop": true}, is answered by {"sent": n,
"queues": n, "error": text|null}: take goes for every queue that is free, drop gives all back.
"""
import ctypes
import errno
import json
import mmap
import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import send as S  # noqa: E402

AF_XDP, SOL_XDP = 44, 283
MMAP_OFFSETS, TX_RING, UMEM_REG, FILL_RING, COMPLETION_RING = 1, 3, 4, 5, 6
PGOFF_TX, PGOFF_COMPLETION = 0x80000000, 0x180000000
COPY = 2
N, CHUNK = 64, 2048

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]


class Xsk:
    def __init__(self, dev, queue):
        self.s, self.maps = socket.socket(AF_XDP, socket.SOCK_RAW, 0), []
        self.area = mmap.mmap(-1, N * CHUNK)
        where = ctypes.addressof(ctypes.c_char.from_buffer(self.area))
        self.s.setsockopt(SOL_XDP, UMEM_REG, struct.pack("QQIII4x", where, N * CHUNK, CHUNK, 0, 0))
        for ring in (FILL_RING, COMPLETION_RING, TX_RING):
            self.s.setsockopt(SOL_XDP, ring, struct.pack("I", N))
        offsets = struct.unpack("16Q", self.s.getsockopt(SOL_XDP, MMAP_OFFSETS, 128))
        self.tx, self.done = offsets[4:8], offsets[12:16]  # producer, consumer, desc, flags of each ring
        self.txm = self.map(self.tx[2] + N * 16, PGOFF_TX)
        self.donem = self.map(self.done[2] + N * 8, PGOFF_COMPLETION)
        at = struct.pack("HHIII", AF_XDP, COPY, socket.if_nametoindex(dev), queue, 0)
        if libc.bind(self.s.fileno(), at, len(at)):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.n = 0

    def close(self):
        """A mapping of a ring keeps the socket as well as its descriptor does."""
        for p, size in self.maps:
            libc.munmap(p, size)
        self.s.close()

    def map(self, size, offset):
        p = libc.mmap(None, size, 3, 0x8001, self.s.fileno(), offset)  # shared, populated
        if p in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), "mmap of a ring")
        self.maps.append((p, size))
        return p

    def send(self, frame):
        slot = self.n % N
        self.area[slot * CHUNK:slot * CHUNK + len(frame)] = frame
        ctypes.memmove(self.txm + self.tx[2] + slot * 16, struct.pack("QII", slot * CHUNK, len(frame), 0), 16)
        self.n += 1
        ctypes.memmove(self.txm + self.tx[0], struct.pack("I", self.n), 4)
        libc.sendto(self.s.fileno(), None, 0, socket.MSG_DONTWAIT, None, 0)
        # What was sent may be used again.
        ctypes.memmove(self.donem + self.done[1], self.donem + self.done[0], 4)


def main():
    dev, gw4, gw6, to4, to6, place = sys.argv[1:7]
    state = {"sent": 0, "queues": 0, "error": None}
    maker = object.__new__(S.Sender)
    maker.dev, maker.to, maker.gateway, maker.source = dev, {4: to4, 6: to6}, {}, {}
    for family, gw in ((4, gw4), (6, gw6)):
        maker.gateway[family] = S.neighbour_mac(dev, gw)
        u = socket.socket(maker.af(family), socket.SOCK_DGRAM)
        u.connect((maker.to[family], 9))
        maker.source[family] = u.getsockname()[0]
    held = {}

    def take():
        state["error"] = None
        for queue in range(8):
            try:
                if queue not in held:
                    held[queue] = Xsk(dev, queue)
            except OSError as e:
                if e.errno == errno.EINVAL:  # there are no more
                    break
                state["error"] = e.strerror
        state["queues"] = len(held)

    lock = threading.Lock()

    def loop():
        while True:
            with lock:
                for x in held.values():
                    for family in (4, 6):
                        x.send(maker.frame(family, S.marker(place, "afxdp", family)))
                        state["sent"] += 1
            time.sleep(0.1)

    threading.Thread(target=loop, daemon=True).start()
    print(json.dumps(state), flush=True)
    for line in sys.stdin:
        ask = json.loads(line)
        with lock:
            while ask.get("drop") and held:
                held.popitem()[1].close()
            if ask.get("take"):
                take()
            state["queues"] = len(held)
        print(json.dumps(state), flush=True)


if __name__ == "__main__":
    main()

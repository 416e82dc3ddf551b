#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""traffic.py: what a breached host and its innocent neighbours send. Reports in JSON lines on stdout;
each line on stdin is answered by one report; end of stdin ends it.

upload  HOST PORT RATE   TLS; sends RATE bytes a second, connects again after an error
plain   HOST PORT RATE   the same over bare TCP
beacon  HOST PORT        a UDP datagram and a short TCP connection every half second
benign  HOST PORT        an echo over one TCP connection; every byte that comes back is compared
"""
import json
import socket
import ssl
import sys
import threading
import time

import pattern

report = {"ready": True, "bytes": 0, "rounds": 0, "connections": 0, "errors": [], "mismatches": 0,
          "connected": False}


def failed(e):
    report["connected"] = False
    report["errors"].append({"at": time.time_ns(), "what": f"{type(e).__name__}: {e}"})


def connect(host, port, tls, timeout=2):
    s = socket.create_connection((host, port), timeout)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        s = context.wrap_socket(s)
    report["connections"] += 1
    report["connected"] = True
    return s


def upload(host, port, rate, tls=True):
    chunk = pattern.block(0)
    pause = len(chunk) / rate
    while True:
        try:
            s = connect(host, port, tls)
            s.settimeout(30)
            due = time.monotonic()
            while True:
                s.sendall(chunk)
                report["bytes"] += len(chunk)
                due += pause
                time.sleep(max(0, due - time.monotonic()))
        except OSError as e:
            failed(e)
            time.sleep(0.3)


def beacon(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    u = socket.socket(family, socket.SOCK_DGRAM)
    while True:
        try:
            u.sendto(b"still here", (host, port))
            with connect(host, port, False, 0.4) as s:
                s.sendall(b"any work?")
            report["rounds"] += 1
        except OSError as e:
            failed(e)
        time.sleep(0.5)


def benign(host, port):
    s = connect(host, port, False)
    s.settimeout(30)
    i = 0
    try:
        while True:
            out, back = pattern.block(i), b""
            s.sendall(out)
            while len(back) < len(out):
                got = s.recv(len(out) - len(back))
                if not got:
                    raise ConnectionError("the other end closed")
                back += got
            report["mismatches"] += back != out
            report["bytes"] += len(out)
            report["rounds"] += 1
            i += 1
            time.sleep(0.01)
    except OSError as e:
        failed(e)


def main():
    kind, host, port, *rest = sys.argv[1:]
    job = {"upload": lambda: upload(host, int(port), float(rest[0])),
           "plain": lambda: upload(host, int(port), float(rest[0]), False),
           "beacon": lambda: beacon(host, int(port)),
           "benign": lambda: benign(host, int(port))}[kind]
    threading.Thread(target=job, daemon=True).start()
    print(json.dumps(report), flush=True)
    for _ in sys.stdin:
        print(json.dumps({**report, "errors": list(report["errors"]), "at": time.time_ns()}), flush=True)


main()

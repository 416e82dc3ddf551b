#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""server.py KIND:PORT… [--cert PEM]: servers of the range, both families, in one process.

tls    TLS; what is sent is read and counted, nothing answered
sink   TCP; read and counted
echo   TCP; what is read is sent back
send   TCP; answers one line "N\n" with N bytes of the pattern that traffic.py checks
udp    UDP; read and counted
Prints {"ready"}; each line on stdin is answered by {"PORT": {"bytes", "connections", "errors"}}.
"""
import argparse
import json
import socket
import ssl
import sys
import threading

import pattern

stats, lock = {}, threading.Lock()


def add(port, **more):
    with lock:
        for k, v in more.items():
            stats[port][k] += v


def drain(conn, port):
    while True:
        data = conn.recv(65536)
        if not data:
            return
        add(port, bytes=len(data))


def echo(conn, port):
    while True:
        data = conn.recv(65536)
        if not data:
            return
        add(port, bytes=len(data))
        conn.sendall(data)


def send(conn, port):
    f = conn.makefile("rb")
    n = int(f.readline())
    for block in pattern.blocks(n):
        conn.sendall(block)
        add(port, bytes=len(block))


def serve(kind, conn, port, context):
    try:
        if kind == "tls":
            conn = context.wrap_socket(conn, server_side=True)
        {"tls": drain, "sink": drain, "echo": echo, "send": send}[kind](conn, port)
    except (OSError, ValueError):
        add(port, errors=1)
    finally:
        conn.close()


def listen(kind, port, context):
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    s.listen(64)

    def loop():
        while True:
            conn, _ = s.accept()
            add(port, connections=1)
            threading.Thread(target=serve, args=(kind, conn, port, context), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


def datagrams(port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))

    def loop():
        while True:
            add(port, bytes=len(s.recv(65536)), connections=1)

    threading.Thread(target=loop, daemon=True).start()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("what", nargs="+")
    p.add_argument("--cert")
    a = p.parse_args()
    context = None
    if a.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(a.cert)
    for w in a.what:
        kind, port = w.split(":")
        port = int(port)
        stats[port] = {"bytes": 0, "connections": 0, "errors": 0}
        datagrams(port) if kind == "udp" else listen(kind, port, context)
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        with lock:
            print(json.dumps(stats), flush=True)


main()

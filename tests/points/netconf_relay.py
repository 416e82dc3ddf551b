#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""netconf_relay.py DIR CMD…: stands between sshd and a NETCONF server as the subsystem.

Holds the client back for a moment after its hello (netconfd loses a request that comes with it), counts
requests over all sessions in DIR/requests, and cuts the session off where DIR/fault says so: "before N" the
N-th request is handed over, or "after N" it was, without its answer."""
import os
import subprocess
import sys
import threading
import time

END, CHUNKED_END = b"]]>]]>", b"\n##\n"


def fault(where):
    try:
        with open(os.path.join(where, "fault"), encoding="ascii") as f:
            how, n = f.read().split()
            return how, int(n)
    except (OSError, ValueError):
        return "never", 0


def count(where):
    fd = os.open(os.path.join(where, "requests"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, b".")
    n = os.fstat(fd).st_size
    os.close(fd)
    return n


def answers(server):
    while data := os.read(server.stdout.fileno(), 65536):
        os.write(1, data)
    os._exit(0)


def main():
    where, command = sys.argv[1], sys.argv[2:]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def give_up():
        server.kill()
        os._exit(1)
    threading.Thread(target=answers, args=(server,), daemon=True).start()
    waiting, hello = b"", True
    while data := os.read(0, 65536):
        waiting += data
        while True:
            at = waiting.find(END if hello else CHUNKED_END)
            if at < 0:
                break
            at += len(END if hello else CHUNKED_END)
            message, waiting = waiting[:at], waiting[at:]
            how, n = fault(where)
            nth = 0 if hello else count(where)
            if how == "before" and nth == n:
                give_up()
            os.write(server.stdin.fileno(), message)
            if how == "after" and nth == n:
                time.sleep(0.2)  # it arrives, and what it does is done
                give_up()
            if hello:
                time.sleep(0.3)
            hello = False
    server.stdin.close()
    server.wait()


main()

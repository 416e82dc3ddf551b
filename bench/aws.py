#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`isolate` at AWS against the SDK (boto3) doing the same at the same double, over a link of 50 ms.

Usage: aws.py [BUILD] [RUNS]

The link is a relay in this process: each call is held back for half a round trip each way. Calls and
connections are counted there, and the time is that from the first byte to the last answer; the whole
process is told as well. stanch asks for its rights by dry runs before it begins (9 calls) and reads
each step back; the SDK's script does neither but for one read at its end.
"""
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
RUNS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
HALF = 0.025
os.environ["STANCH_BUILD"] = BUILD
TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path[0] = str(TOP / "tests" / "range")  # not this folder: it has an inspect.py
import aws_account  # noqa: E402


class Relay:
    """Forwards calls to a port, HALF a second late each way. As AWS does, it keeps connections: the
    double closes after each answer, which is not passed on."""

    def __init__(self, port):
        self.to, self.listener = port, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.reset()
        threading.Thread(target=self.accept, daemon=True).start()

    def reset(self):
        self.connections = self.requests = 0
        self.first = self.last = None

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            self.first = self.first or time.monotonic()
            self.connections += 1
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.carry, args=(near,), daemon=True).start()

    def carry(self, near):
        time.sleep(2 * HALF)  # what connecting takes
        with near, near.makefile("rb") as reader:
            while True:
                request = self.request(reader)
                if not request:
                    return
                self.requests += 1
                time.sleep(HALF)
                answer = self.ask(request)
                time.sleep(HALF)
                self.last = time.monotonic()
                near.sendall(answer)

    @staticmethod
    def request(reader):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return None
            head += line
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        return head + reader.read(int(length.group(1)) if length else 0)

    def ask(self, request):
        with socket.create_connection(("127.0.0.1", self.to)) as far:
            far.sendall(request)
            answer = b"".join(iter(lambda: far.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        head = re.sub(rb"(?i)\r\n(connection|content-length|transfer-encoding): [^\r]*", b"", head)
        return head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def measure(relay, run):
    relay.reset()
    begin = time.monotonic()
    run()
    return {"process": time.monotonic() - begin, "calls": relay.last - relay.first,
            "requests": relay.requests, "connections": relay.connections}


def main():
    with tempfile.TemporaryDirectory(prefix="stanch-bench-aws-") as tmp:
        a = aws_account.Account(tmp)
        relay = Relay(a.scene["port"])
        url = f"http://127.0.0.1:{relay.port}"
        conf = a.configure("bench", endpoint=url, untie_wait="1ms", timeout="30s")
        user = a.scene["users"]["admin"]
        env = {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": user["id"],
               "AWS_SECRET_ACCESS_KEY": user["secret"], "AWS_DEFAULT_REGION": a.scene["region"]}
        state, state_sdk = a.fresh(), os.path.join(tmp, "sdk.json")

        def stanch(*argv):
            r = a.run(*argv, "--yes", state=state, conf=conf)
            assert r.code == 0, str(r)

        def sdk(verb):
            subprocess.run([aws_account.PYTHON, str(TOP / "bench" / "peers" / "aws_isolate.py"), url,
                            "10.9.1.10", verb, state_sdk], check=True, env=env)

        got = {}
        try:
            for n in range(RUNS):
                rows = {"stanch isolate": lambda: stanch("isolate", "web01", "--keep", "192.0.2.7:22"),
                        "stanch undo": lambda: stanch("undo", "--all"),
                        "boto3 isolate": lambda: sdk("isolate"), "boto3 undo": lambda: sdk("undo")}
                for name, run in rows.items():
                    got.setdefault(name, []).append(measure(relay, run))
                assert a.world() == a.clean
        finally:
            a.end()
    print(f"{'':16} {'calls':>6} {'conns':>6} {'first to last':>14} {'process':>9}   "
          f"(medians of {RUNS}, round trip {2000 * HALF:.0f} ms)")
    middle = {}
    for name, runs in got.items():
        m = middle[name] = {k: statistics.median(r[k] for r in runs) for k in runs[0]}
        print(f"{name:16} {m['requests']:6.0f} {m['connections']:6.0f} {m['calls']:12.2f} s "
              f"{m['process']:7.2f} s")
    for verb in ("isolate", "undo"):
        s, b = middle[f"stanch {verb}"], middle[f"boto3 {verb}"]
        print(f"{verb}: stanch/boto3 process {s['process'] / b['process']:.2f}, a call "
              f"{s['calls'] / s['requests'] / (b['calls'] / b['requests']):.2f}")


main()

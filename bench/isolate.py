#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`isolate self` against the same rules by nft: netlink phase and whole process, medians and ratios.

Usage: isolate.py [BUILD] [RUNS] [DEVICES]     (as root; works in network namespaces of its own)
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
RUNS = int(sys.argv[2]) if len(sys.argv) > 2 else 15
DEVICES = int(sys.argv[3]) if len(sys.argv) > 3 else 4
NS = f"st-bench-iso{os.getpid()}"
FAR = NS + "-far"
PEERS = ["192.0.2.1", "2001:db8::1", "198.51.100.0/24", "203.0.113.7"]


def run(*argv, **more):
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120, **more)


def inside(*argv, **more):
    return run("nsenter", f"--net=/run/netns/{NS}", *argv, **more)


def clock(what):
    start = time.monotonic()
    what()
    return (time.monotonic() - start) * 1e3


def flush():
    inside("nft", "flush", "ruleset")


def make():
    run("ip", "netns", "add", NS)
    run("ip", "-n", NS, "link", "set", "lo", "up")
    for i in range(DEVICES):
        run("ip", "-n", NS, "link", "add", f"v{i}", "type", "veth", "peer", "name", f"w{i}")
        run("ip", "-n", NS, "link", "set", f"v{i}", "up")
        run("ip", "-n", NS, "link", "set", f"w{i}", "up")
    # The kept address answers, as it would: stanch looks whether it does.
    run("ip", "netns", "add", FAR)
    run("ip", "-n", NS, "link", "set", "w0", "netns", FAR)
    run("ip", "-n", FAR, "link", "set", "w0", "up")
    run("ip", "-n", FAR, "addr", "add", "192.0.2.1/24", "dev", "w0")
    run("ip", "-n", NS, "addr", "add", "192.0.2.10/24", "dev", "v0")
    run("ip", "-n", NS, "addr", "add", "2001:db8::10/64", "dev", "v0", "nodad")
    run("ip", "-n", NS, "route", "add", "default", "via", "192.0.2.1")


def repeat(what, after=flush):
    """Median over RUNS, each from an empty ruleset; the first one warms up."""
    times = []
    flush()
    for _ in range(RUNS + 1):
        times.append(clock(what))
        after()
    return statistics.median(times[1:])


def stanch(tmp):
    """Isolates and takes it back with one journal, as a person would."""
    config = os.path.join(tmp, "stanch.conf")
    open(config, "w").close()
    head = [os.path.join(BUILD, "stanch"), "--state", os.path.join(tmp, "state"),
            "--config", config]
    return (lambda: inside(*head, "isolate", "self", "--yes", "--keep", PEERS[0] + ":22"),
            lambda: inside(*head, "undo", "--all", "--yes"))


def measure(tmp):
    phase = os.path.join(BUILD, "bench", "isolate_phase")
    text = inside(phase, "describe", *PEERS).stdout
    rules = os.path.join(tmp, "rules.nft")
    with open(rules, "w") as f:
        f.write(text)
    lines = [line for line in text.splitlines() if line.strip()]
    flush()
    rows = json.loads(inside(phase, str(RUNS + 1), *PEERS).stdout)[1:]
    out = {"devices": 2 * DEVICES - 1, "lines": len(lines), "runs": RUNS}
    for key in ("apply", "verify", "undo"):
        out[f"netlink_{key}_ms"] = round(statistics.median(r[key] for r in rows), 3)
    out["empty_process_ms"] = round(repeat(lambda: inside("/bin/true")), 3)
    out["nft_file_ms"] = round(repeat(lambda: inside("nft", "-f", rules)), 3)
    out["nft_each_ms"] = round(statistics.median(
        each(lines) for _ in range(min(RUNS, 3))), 3)
    if shutil.which(os.path.join(BUILD, "stanch")):
        try:
            out["stanch_whole_ms"] = round(repeat(*stanch(tmp)), 3)
        except subprocess.CalledProcessError as e:
            out["stanch_whole_failed"] = (e.stderr or e.stdout).strip()[-300:]
    return out


def each(lines):
    flush()
    return clock(lambda: [inside("nft", line) for line in lines])


def main():
    if os.geteuid() != 0:
        sys.exit("isolate.py: needs root for network namespaces")
    tmp = tempfile.mkdtemp()
    try:
        make()
        out = measure(tmp)
    finally:
        for ns in (NS, FAR):
            subprocess.run(["ip", "netns", "del", ns], capture_output=True)
        shutil.rmtree(tmp, ignore_errors=True)
    nft = out["nft_file_ms"] - out["empty_process_ms"]
    out["ratio_netlink_to_nft_file"] = round(out["netlink_apply_ms"] / nft, 3)
    out["ratio_netlink_to_nft_each"] = round(out["netlink_apply_ms"] / out["nft_each_ms"], 5)
    if "stanch_whole_ms" in out:
        whole = out["stanch_whole_ms"] - out["empty_process_ms"]
        out["ratio_whole_to_nft_file"] = round(whole / nft, 3)
    out["goals"] = {"ratio_netlink_to_nft_file": 0.3, "ratio_whole_to_nft_file": 1.0}
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()

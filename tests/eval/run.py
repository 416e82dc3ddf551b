#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How well findings tell malicious captures from benign ones: precision and recall, per half.

usage: run.py [BUILD] [--half tune|report] [--only NAME…] [--dir DIRECTORY]… [--public] [--min P R] [-v]

Makes the captures of make.py in a temporary directory and reads each with BUILD/stanch watch --file
--json. A finding of 0.70 and above on the pair of addresses that is the truth is a true positive, on
any other pair a false one; a malicious capture without a true one is missed. --dir adds a directory
with captures and a labels.tsv like make.py's; --public the captures of public.tsv, fetched by address
and checked by hash. --min: exit 1 below this precision or recall in any half. Exit 1 also when a
capture could not be read.
"""
import argparse
import collections
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import make  # noqa: E402

ACT = 0.70
Row = collections.namedtuple("Row", make.FIELDS)
PUBLIC_MAX = 64 << 20


def labels(path):
    """Rows of a labels.tsv. The first line names the fields; # begins a comment."""
    with open(path, encoding="utf-8") as f:
        lines = [x.rstrip("\n").split("\t") for x in f if x.strip() and not x.startswith("#")]
    if not lines or tuple(lines[0]) != make.FIELDS:
        sys.exit(f"{path}: the first line must be: {' '.join(make.FIELDS)}")
    for n, x in enumerate(lines[1:], 2):
        if len(x) != len(make.FIELDS) or x[1] not in ("malicious", "benign"):
            sys.exit(f"{path}: row {n} does not have the fields of the first line")
    return [Row(*x) for x in lines[1:]]


def watch(stanch, path, state):
    """(findings, seconds); None for findings where stanch failed, with its words."""
    start = time.monotonic()
    p = subprocess.run([stanch, "watch", "--file", path, "--json", "--state", state],
                       capture_output=True, text=True, timeout=300, check=False)
    took = time.monotonic() - start
    if p.returncode not in (0, 1):
        return None, took, (p.stderr or p.stdout).strip()[-300:]
    events = [json.loads(x) for x in p.stdout.splitlines() if x.startswith("{")]
    return [e for e in events if e.get("event_type") == "finding" and e.get("final", True)], took, ""


def is_truth(row, finding):
    pair = {finding.get("src_ip"), finding.get("dest_ip")}
    return row.label == "malicious" and row.src in pair and (row.dest == "-" or row.dest in pair)


def judge(row, findings):
    """What one capture adds: a dict of its verdict, best true finding and false pairs."""
    acts = [f for f in findings if f["score"] >= ACT]
    true = sorted((f for f in findings if is_truth(row, f)), key=lambda f: -f["score"])
    false = {}
    for f in acts:
        pair = (f.get("src_ip"), f.get("dest_ip"))
        if not is_truth(row, f) and f["score"] > false.get(pair, {"score": 0})["score"]:
            false[pair] = f
    hit = [f for f in true if f["score"] >= ACT]
    named = any(f["kind"] in row.kinds.split() for f in hit)
    return {"row": row, "hit": bool(hit), "named": named, "best": true[0] if true else None,
            "false": list(false.values())}


def told(f):
    return f"{f['kind']} {f['score']:.2f} {f.get('src_ip')} > {f.get('dest_ip')}"


def line(v, took):
    row = v["row"]
    word = "clean"
    if row.label == "malicious":
        word = "found" if v["hit"] and v["named"] else "found as another kind" if v["hit"] else "MISSED"
    if v["false"]:
        word = f"{len(v['false'])} FALSE" + (f", {word}" if row.label == "malicious" else "")
    best = told(v["best"]) if v["best"] else ""
    return f"{row.half:7} {row.label:10} {row.file:34} {word:24} {took:5.2f} s  {best}"


def rates(verdicts):
    tp = sum(v["hit"] for v in verdicts)
    fp = sum(len(v["false"]) for v in verdicts)
    bad = sum(v["row"].label == "malicious" for v in verdicts)
    return tp, fp, bad - tp, tp / (tp + fp) if tp + fp else None, tp / bad if bad else None


def percent(x):
    return "    -" if x is None else f"{x:5.1%}"


def summary(verdicts):
    print(f"\n{'':10} {'captures':>8} {'true':>5} {'false':>5} {'missed':>6} {'precision':>9} {'recall':>7}   at {ACT:.2f}")
    halves = sorted({v["row"].half for v in verdicts}, reverse=True)
    for half in halves + ["all"] * (len(halves) > 1):
        part = [v for v in verdicts if half in ("all", v["row"].half)]
        tp, fp, fn, p, r = rates(part)
        print(f"{half:10} {len(part):8} {tp:5} {fp:5} {fn:6} {percent(p):>9} {percent(r):>7}")
    families = collections.Counter()
    for v in verdicts:
        if v["row"].label == "malicious":
            families[v["row"].family, "all"] += 1
            families[v["row"].family, "hit"] += v["hit"]
    print("found by family: " + ", ".join(f"{f} {families[f, 'hit']}/{n}" for (f, k), n in families.items() if k == "all"))


def mistakes(verdicts):
    for v in verdicts:
        row = v["row"]
        if row.label == "malicious" and not v["hit"]:
            best = told(v["best"]) if v["best"] else "nothing on the true pair"
            print(f"missed ({row.half}): {row.file}: {row.src} > {row.dest}, {row.kinds}; best: {best}")
            for reason in (v["best"] or {}).get("reasons", []):
                print(f"    {reason}")
        for f in v["false"]:
            print(f"false ({row.half}): {row.file}: {told(f)}")
            for reason in f.get("reasons", []):
                print(f"    {reason}")


def fetch(url, digest, path):
    """None, or why the file is not there."""
    if not os.path.exists(path):
        try:
            with urllib.request.urlopen(url, timeout=20) as r:
                data = r.read(PUBLIC_MAX + 1)
        except (urllib.error.URLError, OSError) as e:
            return f"cannot be reached: {e}"
        if len(data) > PUBLIC_MAX:
            return "gave more than 64 MB"
        with open(path, "wb") as f:
            f.write(data)
    with open(path, "rb") as f:
        if hashlib.sha256(f.read()).hexdigest() == digest:
            return None
    os.unlink(path)
    return "gave another file than the list means: its hash differs"


def public(cache):
    """(directory, rows) of what could be fetched; says what could not."""
    os.makedirs(cache, exist_ok=True)
    rows = []
    with open(os.path.join(HERE, "public.tsv"), encoding="utf-8") as f:
        listed = [x.rstrip("\n").split("\t") for x in f if x.strip() and not x.startswith("#")]
    missing = collections.defaultdict(list)
    for url, digest, *rest in listed:
        row = Row(*rest)
        path, host = os.path.join(cache, row.file), url.split("/")[2]
        # One try a host is enough where it cannot be reached.
        down = [w for (h, w) in missing if h == host and w.startswith("cannot be reached")]
        why = down[0] if down and not os.path.exists(path) else fetch(url, digest, path)
        if why:
            missing[host, why].append(row.file)
        else:
            rows.append(row)
    for (host, why), files in missing.items():
        print(f"not used: {', '.join(files)}: {host} {why}" if len(files) < 4 else f"not used: {len(files)} captures: {host} {why}")
    print(f"public captures: {len(rows)} of {len(listed)} listed are here")
    return cache, rows


def arguments():
    a = argparse.ArgumentParser(usage=__doc__, add_help=True)
    a.add_argument("build", nargs="?", default="build")
    a.add_argument("--half", choices=("tune", "report"))
    a.add_argument("--only", nargs="+", default=[])
    a.add_argument("--dir", action="append", default=[])
    a.add_argument("--public", action="store_true")
    a.add_argument("--min", nargs=2, type=float, metavar=("PRECISION", "RECALL"))
    a.add_argument("-v", "--verbose", action="store_true")
    return a.parse_args()


def gather(a, scratch):
    """[(directory, row)] of all that is to be read."""
    unknown = [n for n in a.only if n not in make.CASES]
    if unknown:
        sys.exit(f"run.py: no case {unknown[0]}; there are: {' '.join(make.CASES)}")
    names = [r[0][:-5] for r in make.table() if a.half in (None, r[2]) and (not a.only or r[0][:-5] in a.only)]
    sets = [(scratch, [Row(*r) for r in make.make(scratch, names)])] if names else []
    sets += [(d, labels(os.path.join(d, "labels.tsv"))) for d in a.dir]
    if a.public:
        sets.append(public(os.path.join(a.build, "eval-public")))
    return [(d, row) for d, rows in sets for row in rows if a.half in (None, row.half) or row.half == "public"]


def main():
    a = arguments()
    stanch = os.path.join(os.path.abspath(a.build), "stanch")
    if not os.access(stanch, os.X_OK):
        sys.exit(f"{stanch}: not built")
    verdicts, failed = [], 0
    with tempfile.TemporaryDirectory(prefix="stanch-eval-") as scratch:
        for directory, row in gather(a, scratch):
            findings, took, words = watch(stanch, os.path.join(directory, row.file), os.path.join(scratch, "state"))
            if findings is None:
                print(f"{row.file}: stanch failed: {words}")
                failed += 1
                continue
            v = judge(row, findings)
            verdicts.append(v)
            if a.verbose or v["false"] or (row.label == "malicious" and not v["hit"]):
                print(line(v, took))
    if not verdicts:
        sys.exit("no capture was read")
    summary(verdicts)
    print()
    mistakes(verdicts)
    if a.min:
        for half in {v["row"].half for v in verdicts}:
            _, _, _, p, r = rates([v for v in verdicts if v["row"].half == half])
            if (p is not None and p < a.min[0]) or (r is not None and r < a.min[1]):
                print(f"below what is asked for in half {half}")
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

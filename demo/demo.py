#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays a breach in network namespaces and contains it. Every number on the last screen was counted at
the far end, by the kernel's time stamps, not by stanch. Leaves demo-report/. Exit 1: a claim did not hold.
"""
import os
import shlex
import shutil
import sys
import textwrap
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "range"))

import bed as B  # noqa: E402
import helpers  # noqa: E402

REPORT = os.path.join(ROOT, "demo-report")
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
BARS = " ▁▂▃▄▅▆▇█"
HOSTS = ((B.C2A, "c2a", "first drop point"), (B.C2B, "c2b", "second drop point"),
         (B.NEIGHBOUR, "neigh", "the neighbour"))


def style(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


class Story:
    """Tells, and keeps what was told for report.txt."""

    def __init__(self):
        self.lines, self.claims, self.marks = [], [], []
        self.begun = time.time_ns()

    def say(self, text="", code=None):
        self.lines.append(text)
        print(style(code, text) if code else text, flush=True)

    def chapter(self, title):
        self.marks.append((time.time_ns(), title))
        self.say()
        self.say(f"── {title} " + "─" * max(0, 88 - len(title)), "1")

    def tell(self, text):
        for line in textwrap.wrap(text, 92):
            self.say(line)

    def shown(self, prompt, output, limit=40):
        self.say(f"  {prompt}", "36")
        lines = output.rstrip("\n").splitlines()
        for line in lines[:limit]:
            self.say("  │ " + line.rstrip())
        if len(lines) > limit:
            self.say(f"  │ … {len(lines) - limit} more lines")

    def claim(self, text, measured, holds):
        self.claims.append((text, measured, bool(holds)))


def size(n):
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return ""


class Demo:
    def __init__(self, bed, story):
        self.bed, self.s = bed, story

    # -- measuring, at the far end

    def arriving(self, seconds=1.0):
        """Bytes a second now, at each far end."""
        since = time.time_ns()
        time.sleep(seconds)
        until = time.time_ns()
        return {host: self.bed.at[role].bytes(since, until, src=B.VICTIM, dport=443) / seconds
                for host, role, _ in HOSTS}

    def frames_to(self, role, since, until=1 << 62):
        return self.bed.at[role].frames(since, until, src=B.VICTIM)

    def show_arriving(self):
        got = self.arriving()
        for host, _, name in HOSTS:
            self.s.say(f"  arriving at {host:<14} {size(got[host]):>9}/s   ({name})")
        return got

    # -- stanch, typed by the operator

    def typed(self, *args, limit=40):
        """In the operator's own ssh session; what it printed is the story."""
        begun = time.time_ns()
        code, out = self.operator.type("NO_COLOR=1 " + self.bed.command(*args) + " 2>&1", 60)
        self.s.shown("root@webserver-prod-01# stanch " + shlex.join(args), out, limit)
        return code, out, begun, time.time_ns()

    # -- the chapters

    def bleed(self):
        self.s.chapter("03:12  A web server bleeds")
        self.s.tell("webserver-prod-01 (192.0.2.10) uploads over TLS to two strangers and to its neighbour, in "
                    "the proportions 56789 : 12345 : 5000; a beacon calls home twice a second; a customer's "
                    "transfer runs beside it. You are root on it, by ssh from 198.18.0.5.")
        self.uploads = self.bed.bleed(scale=20)
        self.beacon = self.bed.traffic("victim", "beacon", B.C2B, 8081)
        self.benign = self.bed.traffic("victim", "benign", B.WEB, 8443)
        self.capture = self.bed.spawn("router", "tcpdump", "-i", "pvictim", "-s", "128", "-U", "-Z", "root",
                                      "-w", f"{REPORT}/wire.pcap")
        self.operator = self.bed.operator()
        time.sleep(1)
        got = self.show_arriving()
        self.s.claim("bleeding before", size(sum(got.values())) + "/s", all(got.values()))

    def look(self):
        self.s.chapter("Who sends what to whom?")
        code, _, _, _ = self.typed("rates", "eth0", "--count", "2")
        self.s.claim("`rates` works while it bleeds", f"exit {code}", code == 0)
        code, out, _, _ = self.typed("watch", "eth0", "--run", "4s", "--top", "4", limit=26)
        named = [h for h in (B.C2A, B.C2B) if h in out]
        self.s.claim("`watch` names both drop points", f"{len(named)} of 2", len(named) == 2)
        r = self.bed.stanch_ssh("watch", "eth0", "--run", "4s", "--json")
        with open(f"{REPORT}/watch.json", "w", encoding="utf-8") as f:
            f.write(r.out)
        flows = [o for o in r.objects() if o.get("event_type") == "flow"]
        owned = [o for o in flows if o.get("dest_ip") == B.C2A and "python" in str(o.get("owner", ""))]
        self.s.claim("the JSON names the process behind it", f"{len(flows)} flows", bool(owned))

    def block(self):
        self.s.chapter("Close the two taps, leave the rest")
        code, out, begun, ended = self.typed("block", B.C2A, B.C2B, "--reason", "upload to strangers", "--yes")
        self.blocked = helpers.order_id(B.Result(_Run(code, out), begun))
        benign = self.benign.ask()["bytes"]
        time.sleep(3)
        still = [sum(r["frames"] for r in self.bed.at[role].rows(ended, dst=host))
                 for host, role, _ in HOSTS[:2]]
        got = self.show_arriving()
        after = self.benign.ask()
        self.s.say(f"  frames at the two since `block` returned: {still[0]} and {still[1]}")
        self.s.claim("`block` cut both addresses", f"{sum(still)} frames in 3 s",
                     code == 0 and not any(still))
        self.s.claim("the neighbour goes on", size(got[B.NEIGHBOUR]) + "/s", got[B.NEIGHBOUR] > 0)
        self.s.claim("the customer's transfer lost no byte", size(after["bytes"] - benign) + " compared",
                     after["bytes"] > benign and not after["errors"] and not after["mismatches"])

    def isolate(self):
        self.s.chapter("There may be more: cut the host off, keep the way in")
        code, out, begun, ended = self.typed("isolate", "self", "--reason", "breach", "--yes", limit=60)
        self.isolated = helpers.order_id(B.Result(_Run(code, out), begun))
        self.head = helpers.head_of(B.Result(_Run(code, out), begun))
        typed, end = 0, time.monotonic() + 6
        while time.monotonic() < end:
            typed += self.operator.type("echo typing")[1] == "typing\n"
            time.sleep(0.2)
        until = time.time_ns()
        strangers = helpers.strangers(self.bed.wire.rows(ended, until))
        n = sum(r["frames"] for r in strangers)
        last = max((r["last"] for h, role, _ in HOSTS for r in self.bed.at[role].rows(begun, until, src=B.VICTIM)
                    if r["proto"] == "tcp" and r.get("info") != "rst"), default=begun)
        self.s.say(f"  frames outside the allow-list on the wire for 6 s: {n}; lines typed and answered: {typed}")
        self.s.say(f"  last data at a far end {max(0, last - begun) / 1e6:.0f} ms after Enter")
        self.s.claim("`isolate self`: nothing but the allow-list leaves", f"{n} frames in 6 s",
                     code in (0, 5) and n == 0)
        self.s.claim("the operator still types", f"{typed} lines", typed > 10)
        self.s.claim("the last uploaded byte arrived", f"{max(0, last - begun) / 1e6:.0f} ms after Enter",
                     last < ended)

    def confirm(self):
        self.s.chapter("Nobody confirms: the kernel opens by itself. Confirm, from a new session")
        code, _, _, _ = self.typed("confirm", self.isolated, "--yes")
        self.s.claim("confirm is refused in the old session", f"exit {code}", code == 3)
        r = self.bed.stanch_ssh("confirm", self.isolated, "--yes")
        self.s.shown(f"(new session) root@webserver-prod-01# stanch confirm {self.isolated} --yes", r.out + r.err)
        self.s.claim("a new session opens and confirms", f"exit {r.code}", r.code == 0)
        code, _, _, _ = self.typed("status", limit=30)
        code, _, _, _ = self.typed("verify", "journal", "--head", self.head)
        self.s.claim("the journal holds the head that was noted", f"exit {code}", code == 0)

    def undo(self):
        self.s.chapter("Clean again: take it back, exactly")
        code, _, _, _ = self.typed("undo", self.isolated, self.blocked, "--yes")
        self.s.claim("`undo` took both orders back", f"exit {code}", code == 0)
        left = helpers.our_tables(self.bed)
        same = helpers.same_kernel(self.before, self.bed.kernel())
        self.s.claim("rules, tc, XDP, sysctls as before", "equal" if not same else "differ",
                     not same and not left)
        B.wait_for("traffic is back",
                   lambda: all(u.ask()["connected"] for u in self.uploads.values()), 10)
        got = self.show_arriving()
        self.s.claim("traffic is back", size(sum(got.values())) + "/s", all(got.values()))

    def report(self):
        r = self.bed.stanch_ssh("incident", "report", "--html", f"{REPORT}/report.html")
        written = os.path.exists(f"{REPORT}/report.html") and os.path.getsize(f"{REPORT}/report.html") > 500
        self.s.claim("the incident's report is written", "report.html", r.code == 0 and written)
        if r.code:
            self.s.shown("stanch incident report", r.out + r.err)
        self.capture.terminate()
        self.capture.wait(5)

    # -- the last screen

    def picture(self):
        """Bytes on arrival over the whole story, one column a bucket, marks where a chapter began."""
        columns, until = 72, time.time_ns()
        step = (until - self.s.begun) // columns + 1
        for host, role, name in HOSTS:
            counts = [self.bed.at[role].bytes(self.s.begun + i * step, self.s.begun + (i + 1) * step,
                                              src=B.VICTIM, dport=443) for i in range(columns)]
            top = max(counts) or 1
            bars = "".join(BARS[0 if c == 0 else 1 + min(7, c * 8 // (top + 1))] for c in counts)
            self.s.say(f"  {host:<15} {bars}")
        ruler = [" "] * columns
        for i, (at, _) in enumerate(self.s.marks):
            ruler[min(columns - 1, max(0, (at - self.s.begun) // step))] = "①②③④⑤⑥⑦"[i]
        self.s.say(f"  {'':<15} {''.join(ruler)}")
        self.s.say(f"  {'':<15} ① bleeding ② rates, watch ③ block ④ isolate ⑤ confirm ⑥ undo")
        self.s.say(f"  {'':<15} (uploaded bytes as they arrived there; {(until - self.s.begun) / 1e9:.0f} s)")

    def screen(self):
        self.s.say()
        self.s.say("═" * 92, "1")
        self.s.say("  What happened, as the far ends counted it", "1")
        self.s.say()
        self.picture()
        self.s.say()
        for text, measured, holds in self.s.claims:
            mark = style("32", "ok ") if holds else style("31", "NOT")
            print(f"  {mark}  {text:<52} {measured}")
            self.s.lines.append(f"  {'ok ' if holds else 'NOT'}  {text:<52} {measured}")
        bad = sum(not c[2] for c in self.s.claims)
        self.s.say()
        self.s.say(f"  {len(self.s.claims) - bad} of {len(self.s.claims)} claims hold."
                   "  demo-report/: report.html report.txt watch.json wire.pcap", "32" if not bad else "31")
        return bad

    def play(self):
        self.before = self.bed.kernel()
        self.bleed()
        self.look()
        self.block()
        self.isolate()
        self.confirm()
        self.undo()
        self.report()
        return self.screen()


class _Run:
    """What B.Result takes, of a command that was typed into a session."""

    def __init__(self, code, out):
        self.returncode, self.stdout, self.stderr = code, out, ""


def main():
    shutil.rmtree(REPORT, ignore_errors=True)
    os.makedirs(REPORT)
    story = Story()
    bad = 1
    try:
        with B.Bed() as bed:
            # The range took its second; the story begins now.
            story.begun = time.time_ns()
            bad = Demo(bed, story).play()
    except (B.BedError, AssertionError, OSError) as e:
        story.say(f"\nThe demo broke off: {e}", "31")
    with open(f"{REPORT}/report.txt", "w", encoding="utf-8") as f:
        f.write("\n".join(story.lines) + "\n")
    return 1 if bad else 0


sys.exit(main())

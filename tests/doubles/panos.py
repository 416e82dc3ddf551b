#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PAN-OS-like XML API over HTTPS: candidate and running configuration, partial commits as jobs, registered
addresses with time-outs, sessions, a pair's state; as strict as the public guide.

panos.py PORT CERT KEY API_KEY LOG: on 127.0.0.1. Each call is a line of LOG; the running configuration and the
registered addresses are written to LOG.state as JSON at each change. LOG.knobs (JSON, may be missing) makes it
misbehave: {"ha": "passive", "commit": "fail", "drop": N (close the connection at the N-th call, unanswered),
"dropped_after": N (do it, then close),
"sticky": PORT (sessions that carry it do not go away)}.
"""
import copy
import http.server
import json
import os
import ssl
import sys
import threading
import time
import urllib.parse

from lxml import etree

SPEED = 20  # a second of the device's time-outs is 50 ms here
VSYS = "/config/devices/entry[@name='localhost.localdomain']/vsys/entry[@name='vsys1']"
START = ("<config><devices><entry name='localhost.localdomain'><vsys><entry name='vsys1'><address-group/>"
         "<service><entry name='theirs'><protocol><tcp><port>8443</port></tcp></protocol></entry></service>"
         "<rulebase><security><rules><entry name='allow-web'><from><member>any</member></from><to><member>any"
         "</member></to><source><member>any</member></source><destination><member>any</member></destination>"
         "<application><member>any</member></application><service><member>theirs</member></service>"
         "<action>allow</action></entry></rules></security></rulebase></entry></vsys></entry></devices></config>")


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


def parent_of(tree, xpath):
    """The element that the last step of xpath stands in; made where it is missing, as the device does."""
    at = tree
    steps, depth, step = [], 0, ""
    for c in xpath.strip("/") + "/":
        depth += (c == "[") - (c == "]")
        if c == "/" and not depth:
            steps.append(step)
            step = ""
        else:
            step += c
    if steps[0] != "config":
        raise Refused("17", "xpath is not valid")
    return at, steps[1:]


def walk(tree, xpath, make):
    at, steps = parent_of(tree, xpath)
    for s in steps:
        found = at.xpath(s)
        if not found and not make:
            return None
        if not found:
            name = s.split("[")[0]
            new = etree.SubElement(at, name)
            if "@name='" in s:
                new.set("name", s.split("@name='")[1].split("'")[0])
            found = [new]
        at = found[0]
    return at


class Device:
    def __init__(self, log, api_key):
        self.log, self.api_key, self.calls = log, api_key, 0
        self.running = etree.fromstring(START)
        self.candidate = copy.deepcopy(self.running)
        self.tags = {}  # (ip, tag): monotonic end, or None
        self.jobs, self.lock = {}, threading.RLock()
        self.sessions = [("192.0.2.10", 40000, "203.0.113.5", 443, "ACTIVE"),
                         ("198.51.100.7", 50000, "192.0.2.10", 22, "ACTIVE"),
                         ("192.0.2.10", 40009, "203.0.113.6", 443, "DISCARD"),
                         ("192.0.2.99", 40002, "203.0.113.99", 443, "ACTIVE")]
        self.write()

    def knobs(self):
        try:
            with open(self.log + ".knobs", encoding="utf-8") as f:
                return json.load(f)
        except FileNotFoundError:
            return {}

    def live_tags(self):
        now = time.monotonic()
        self.tags = {k: v for k, v in self.tags.items() if v is None or v > now}
        return self.tags

    def write(self):
        state = {"running": etree.tostring(self.running).decode(),
                 "changed": etree.tostring(self.running) != etree.tostring(self.candidate)}
        with open(self.log + ".new", "w", encoding="utf-8") as f:
            json.dump(state, f)
        os.rename(self.log + ".new", self.log + ".state")

    # --- type=config

    def config(self, q):
        action, xpath = q.get("action"), q.get("xpath", "")
        tree = self.running if action == "show" else self.candidate
        if action in ("show", "get"):
            at = walk(tree, xpath, False)
            if at is None:
                raise Refused("7", "No such node")
            return f"<result>{etree.tostring(at).decode()}</result>"
        if not xpath.startswith(VSYS):
            raise Refused("17", "not allowed there")
        if action == "set":
            self.merge(walk(tree, xpath, True), etree.fromstring(f"<x>{q['element']}</x>"))
        elif action == "delete":
            at = walk(tree, xpath, False)
            if at is None:
                raise Refused("7", "Object not present")
            name = at.get("name")
            if f"/service/entry[@name='{name}']" in xpath and tree.xpath(f"//rules//service[member='{name}']"):
                raise Refused("10", f"{name} cannot be deleted because of references from: rules")
            at.getparent().remove(at)
        elif action == "move" and q.get("where") == "top":
            at = walk(tree, xpath, False)
            if at is None:
                raise Refused("7", "Object not present")
            at.getparent().insert(0, at)
        else:
            raise Refused("17", f"unknown action {action}")
        self.write()
        return "<msg>command succeeded</msg>"

    def merge(self, into, e):
        for child in e:
            if child.tag == "member":
                if child.text not in [m.text for m in into if m.tag == "member"]:
                    into.append(copy.deepcopy(child))
                continue
            there = next((c for c in into if c.tag == child.tag and c.get("name") == child.get("name")), None)
            if there is None:
                into.append(copy.deepcopy(child))
            elif len(child):
                self.merge(there, child)
            else:
                there.text = child.text

    # --- type=commit

    def commit(self, q):
        cmd = etree.fromstring(q["cmd"])
        if q.get("action") != "partial" or not cmd.xpath("/commit/partial/admin/member[.='stanch']"):
            raise Refused("17", "only partial commits of one's own changes are expected here")
        if etree.tostring(self.running) == etree.tostring(self.candidate):
            return "<msg>There are no changes to commit.</msg>"
        job = str(len(self.jobs) + 1)
        self.jobs[job] = (time.monotonic() + 0.3, self.knobs().get("commit") != "fail")
        return f"<result><msg><line>Commit job enqueued with jobid {job}</line></msg><job>{job}</job></result>"

    def job(self, job):
        end, good = self.jobs[job]
        if time.monotonic() < end:
            return f"<result><job><id>{job}</id><status>ACT</status><result>PEND</result></job></result>"
        for rule in self.candidate.xpath("//rules/entry"):
            for s in rule.xpath("service/member/text()"):
                if s != "any" and not self.candidate.xpath(f"//service/entry[@name='{s}']"):
                    good = False
        if not good:
            return (f"<result><job><id>{job}</id><status>FIN</status><result>FAIL</result><details><line>"
                    "Commit failed: validation error</line></details></job></result>")
        self.running = copy.deepcopy(self.candidate)
        self.write()
        return f"<result><job><id>{job}</id><status>FIN</status><result>OK</result></job></result>"

    # --- type=op

    def op(self, q):
        cmd = etree.fromstring(q["cmd"])
        if cmd.xpath("/show/jobs/id"):
            return self.job(cmd.findtext("jobs/id"))
        if cmd.xpath("/show/high-availability/state"):
            state = self.knobs().get("ha")
            return ("<result><enabled>no</enabled></result>" if not state else
                    f"<result><enabled>yes</enabled><group><local-info><state>{state}</state></local-info>"
                    "</group></result>")
        if cmd.xpath("/show/object/registered-ip"):
            limit = int(cmd.findtext("object/registered-ip/limit") or 500)
            start = int(cmd.findtext("object/registered-ip/start-point") or 1)
            by_ip = {}
            for ip, t in self.live_tags():
                by_ip.setdefault(ip, []).append(t)
            rows = [f"<entry ip='{ip}' from_agent='0' persistent='1'><tag>"
                    + "".join(f"<member>{t}</member>" for t in tags) + "</tag></entry>"
                    for ip, tags in sorted(by_ip.items())][start - 1:start - 1 + min(limit, 500)]
            return f"<result>{''.join(rows)}<count>{len(rows)}</count></result>"
        if cmd.xpath("/show/session/all/filter"):
            return "<result>" + "".join(
                f"<entry><dst>{d}</dst><xsource>{a}</xsource><source>{a}</source><sport>{ap}</sport><dport>{dp}</dport>"
                f"<proto>6</proto><state>{state}</state><application>ssl</application><type>FLOW</type>"
                "<start-time>Tue Nov 24 09:00:00 2026</start-time></entry>"
                for a, ap, d, dp, state in self.sessions_of(cmd)) + "</result>"
        if cmd.xpath("/clear/session/all/filter"):
            gone = [r for r in self.sessions_of(cmd) if self.knobs().get("sticky") not in (r[1], r[3])]
            self.sessions = [r for r in self.sessions if r not in gone]
            return "<result><member>sessions cleared</member></result>"
        raise Refused("17", "unknown command")

    def sessions_of(self, cmd):
        source = cmd.findtext("session/all/filter/source")
        destination = cmd.findtext("session/all/filter/destination")
        return [r for r in self.sessions if source in (None, r[0]) and destination in (None, r[2])]

    # --- type=user-id

    def user_id(self, q):
        problems = []
        for verb in etree.fromstring(q["cmd"]).xpath("/uid-message[type='update']/payload/*"):
            for entry in verb.xpath("entry"):
                for member in entry.xpath("tag/member"):
                    key = (entry.get("ip"), member.text)
                    there = key in self.live_tags()
                    if verb.tag == "register" and there:
                        problems.append((key, "already exists, ignore"))
                    elif verb.tag == "unregister" and not there:
                        problems.append((key, "does not exist, ignore unreg"))
                    elif verb.tag == "register":
                        seconds = int(member.get("timeout") or 0)
                        if seconds > 2592000:
                            raise Refused("17", "timeout is out of range")
                        self.tags[key] = time.monotonic() + seconds / SPEED if seconds else None
                    else:
                        del self.tags[key]
        if problems:
            lines = "".join(f"<entry ip='{ip}' message='tag {t} {how}'/>" for (ip, t), how in problems)
            raise Refused("17", f"<line><uid-response><version>1.0</version><payload><register>{lines}"
                          "</register></payload></uid-response></line>")
        return "<result><uid-response><version>2.0</version><payload/></uid-response></result>"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    device = None

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.send_error(405)

    def do_POST(self):
        d = self.device
        q = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        kind = q.get("type", "")
        status = 200
        with d.lock:
            d.calls += 1
            n, knobs = d.calls, d.knobs()
            with open(d.log, "a", encoding="utf-8") as f:
                f.write(f"{kind} {q.get('action', '')} {q.get('xpath', '')[len(VSYS):]} {q.get('cmd', '')}\n")
            if knobs.get("drop") == n:
                self.close_connection = True
                self.connection.close()
                return
            try:
                if self.headers.get("X-PAN-KEY") != d.api_key:
                    status = 403
                    raise Refused("403", "Invalid Credential")
                body = {"config": d.config, "commit": d.commit, "op": d.op, "user-id": d.user_id}[kind](q)
                text = f'<response status="success" code="19">{body}</response>'
            except Refused as e:
                text = f'<response status="error" code="{e.code}"><msg>{e.text}</msg></response>'
            except KeyError as e:
                text = f'<response status="error" code="17"><msg>missing {e}</msg></response>'
            if knobs.get("dropped_after") == n:
                self.close_connection = True
                self.connection.close()
                return
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


def main():
    port, cert, key, api_key, log = sys.argv[1:]
    Handler.device = Device(log, api_key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


main()

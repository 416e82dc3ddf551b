#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Junos-like NETCONF server: what the public guides say of candidate, running, locks, commit confirmed,
insert="first", and operation="delete", and as strict. For what yuma123's netconfd cannot show: it loses
the order of terms at a commit.

server.py PORT HOST_KEY USER_KEY START.xml LOG: on 127.0.0.1, one thread a session. The running configuration
is written to LOG.running at each change; each request and operational command is a line of LOG. Sessions are in a
table that clearing empties, but for those that carry a port of the file LOG.sticky. While the file
LOG.router is there it knows no flow sessions, as a router.
"""
import copy
import ipaddress
import os
import re
import socket
import sys
import threading
import time
from xml.sax.saxutils import escape

import paramiko
from lxml import etree

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
NS = "http://xml.juniper.net/xnm/1.1/xnm"
JUNOS = "http://xml.juniper.net/netconf/junos/1.0"
END = b"]]>]]>"
SPEED = 60  # a minute of the device is a second here
# Lists have a key <name>; leaf-lists are told by their text; all else is a container or a leaf.
LISTS = {"filter", "term", "interface", "unit", "address", "source-address", "destination-address"}
LEAF_LISTS = {"input-list", "output-list", "protocol", "next-header", "source-port", "destination-port"}
CONTAINERS = {"configuration", "system", "firewall", "family", "inet", "inet6", "interfaces", "from", "then",
              "input", "output"}
LEAVES = {"name", "host-name", "filter-name", "count", "accept", "discard"}


class Refused(Exception):
    def __init__(self, tag, text, info=""):
        super().__init__(text)
        self.tag, self.text, self.info = tag, text, info


def tag(e):
    return etree.QName(e).localname


def is_list(e):
    return tag(e) in LISTS and e.find(f"{{{NS}}}name") is not None


def key(e):
    return e.findtext(f"{{{NS}}}name") if is_list(e) else e.text if tag(e) in LEAF_LISTS else None


def find(parent, e):
    for c in parent:
        if tag(c) == tag(e) and key(c) == key(e):
            return c
    return None


def check(e):
    if tag(e) not in LISTS | LEAF_LISTS | CONTAINERS | LEAVES:
        raise Refused("unknown-element", f"syntax error: {tag(e)}")
    if tag(e) in {"filter", "term"} and len(e.findtext(f"{{{NS}}}name") or "") > 64:
        raise Refused("invalid-value", "name is longer than 64")


def place(parent, e, first):
    same = [c for c in parent if tag(c) == tag(e)]
    if first and same:
        same[0].addprevious(e)
    elif same:
        same[-1].addnext(e)
    else:
        parent.append(e)


def merge(into, e):
    """e (with attributes insert and operation) into the element `into` of the candidate."""
    for child in e:
        check(child)
        there = find(into, child)
        if child.get(f"{{{BASE}}}operation") == "delete":
            if there is None:
                raise Refused("data-missing", f"statement not found: {tag(child)} {key(child) or ''}")
            into.remove(there)
            continue
        if there is None:
            there = etree.SubElement(into, child.tag)
            there.text = child.text if child.text and child.text.strip() else None
            into.remove(there)
            if is_list(child):
                etree.SubElement(there, f"{{{NS}}}name").text = key(child)
            place(into, there, child.get("insert") == "first")
        elif child.get("insert") == "first":
            into.remove(there)
            place(into, there, True)
        elif not len(child) and tag(child) in LEAVES:
            there.text = child.text
        merge(there, child)


def prune(e):
    """What binds no filter is not shown (an empty family is: it says that the unit speaks it)."""
    for c in list(e):
        prune(c)
        if tag(c) in {"filter", "input", "output"} and not len(c) and not is_list(c):
            e.remove(c)


class Device:
    def __init__(self, start, log):
        self.running = etree.parse(start).getroot()
        self.candidate = copy.deepcopy(self.running)
        self.lock, self.owner, self.log = threading.RLock(), None, log
        self.rollback, self.timer, self.modified = None, None, False
        self.sessions = [("192.0.2.11", 40000, "203.0.113.5", 443), ("198.51.100.7", 50000, "192.0.2.11", 22),
                         ("192.0.2.99", 40002, "203.0.113.99", 443), ("2001:db8::10", 40003, "2001:db8::5", 443)]
        self.write()

    def note(self, text):
        with open(self.log, "a", encoding="utf-8") as f:
            f.write(text + "\n")

    def sticky(self):
        try:
            with open(self.log + ".sticky", encoding="ascii") as f:
                return int(f.read())
        except FileNotFoundError:
            return 0

    def write(self):
        with open(self.log + ".running.new", "wb") as f:
            f.write(etree.tostring(self.running))
        os.rename(self.log + ".running.new", self.log + ".running")

    def commit(self, confirmed, seconds):
        new = copy.deepcopy(self.candidate)
        prune(new)
        names = {f.findtext(f"{{{NS}}}name") for f in new.iter(f"{{{NS}}}filter") if is_list(f)}
        for b in [*new.iter(f"{{{NS}}}filter-name"), *new.iter(f"{{{NS}}}input-list")]:
            if b.text not in names:
                raise Refused("operation-failed", f"Referenced filter '{b.text}' is not defined")
        if self.timer:
            self.timer.cancel()
            self.timer = None
        old, self.running = self.running, new
        self.candidate, self.modified = copy.deepcopy(new), False
        self.rollback = (self.rollback if self.rollback is not None else old) if confirmed else None
        if confirmed:
            self.timer = threading.Timer(seconds / SPEED, self.expire)
            self.timer.daemon = True
            self.timer.start()
        self.write()

    def expire(self):
        with self.lock:
            if self.rollback is not None:
                self.note("ROLLBACK")
                self.running, self.rollback = self.rollback, None
                self.candidate = copy.deepcopy(self.running)
                self.write()


class Session:
    ids = iter(range(1001, 9999))

    def __init__(self, device, channel):
        self.d, self.c, self.id = device, channel, next(self.ids)
        self.buffer = b""

    def send(self, text):
        self.c.sendall(text.encode() + END)

    def receive(self):
        while END not in self.buffer:
            data = self.c.recv(65536)
            if not data:
                return None
            self.buffer += data
        message, self.buffer = self.buffer.split(END, 1)
        return message

    def serve(self):
        self.send(f'<hello xmlns="{BASE}"><capabilities>'
                  "<capability>urn:ietf:params:netconf:base:1.0</capability>"
                  "<capability>urn:ietf:params:netconf:capability:candidate:1.0</capability>"
                  "<capability>urn:ietf:params:netconf:capability:confirmed-commit:1.0</capability>"
                  f"<capability>{JUNOS}</capability></capabilities><session-id>{self.id}</session-id></hello>")
        self.receive()
        while (message := self.receive()) is not None:
            rpc = etree.fromstring(message)
            op = rpc[0]
            with self.d.lock:
                self.d.note(tag(op) + (" " + op.text if op.text and op.text.strip() else ""))
                try:
                    body = getattr(self, "op_" + tag(op).replace("-", "_"))(op)
                except Refused as e:
                    body = (f"<rpc-error><error-type>application</error-type><error-tag>{e.tag}</error-tag>"
                            f"<error-severity>error</error-severity><error-message>\n{escape(e.text)}\n"
                            f"</error-message>{e.info}</rpc-error>")
                except AttributeError:
                    body = ("<rpc-error><error-tag>operation-not-supported</error-tag><error-severity>error"
                            "</error-severity></rpc-error>")
            self.send(f'<rpc-reply xmlns="{BASE}" xmlns:junos="{JUNOS}" '
                      f'message-id="{rpc.get("message-id")}">{body}</rpc-reply>')
            if tag(op) == "close-session":
                break
        self.end()

    def end(self):
        with self.d.lock:
            if self.d.owner is self:
                self.d.owner = None
                self.op_discard_changes(None)

    def op_close_session(self, op):
        return "<ok/>"

    def op_get_config(self, op):
        tree = self.d.candidate if op.find(f".//{{{BASE}}}candidate") is not None else self.d.running
        return f"<data>{etree.tostring(tree).decode()}</data>"

    def op_lock(self, op):
        if self.d.owner not in (None, self):
            raise Refused("lock-denied", "configuration database locked by: somebody terminal p0",
                          f"<error-info><session-id>{self.d.owner.id}</session-id></error-info>")
        if self.d.modified:
            raise Refused("lock-denied", "configuration database modified")
        self.d.owner = self
        return "<ok/>"

    def op_unlock(self, op):
        if self.d.owner is not self:
            raise Refused("operation-failed", "not locked by this session")
        self.d.owner = None
        return "<ok/>"

    def op_edit_config(self, op):
        if self.d.owner not in (None, self):
            raise Refused("in-use", "configuration database locked")
        new = copy.deepcopy(self.d.candidate)
        merge(new, op.find(f"{{{BASE}}}config/{{{NS}}}configuration"))
        self.d.candidate, self.d.modified = new, True
        return "<ok/>"

    def op_commit(self, op):
        confirmed = op.find(f"{{{BASE}}}confirmed") is not None
        self.d.commit(confirmed, int(op.findtext(f"{{{BASE}}}confirm-timeout") or 600))
        return "<ok/>"

    def op_discard_changes(self, op):
        self.d.candidate, self.d.modified = copy.deepcopy(self.d.running), False
        return "<ok/>"

    def op_command(self, op):
        m = re.fullmatch(r"(show|clear) security flow session (source|destination)-prefix (\S+)", op.text)
        if not m or os.path.exists(self.d.log + ".router"):
            raise Refused("operation-failed", "syntax error, expecting <command>")
        net = ipaddress.ip_network(m[3])
        side = 0 if m[2] == "source" else 2
        rows = [r for r in self.d.sessions if ipaddress.ip_address(r[side]) in net]
        if m[1] == "clear":
            gone = [r for r in rows if self.d.sticky() not in (r[1], r[3])]
            self.d.sessions = [r for r in self.d.sessions if r not in gone]
            return f"<output>{len(gone)} active sessions cleared</output>"
        return "<output>\n" + "".join(
            f"Session ID: {n}, Policy name: all/4, Timeout: 1800, Valid\n"
            f"  In: {a}/{ap} --&gt; {d}/{dp};tcp, Conn Tag: 0x0, If: ge-0/0/1.0, Pkts: 5, Bytes: 400,\n"
            f"  Out: {d}/{dp} --&gt; {a}/{ap};tcp, Conn Tag: 0x0, If: ge-0/0/0.0, Pkts: 4, Bytes: 300,\n"
            for n, (a, ap, d, dp) in enumerate(rows)) + f"Total sessions: {len(rows)}\n</output>"


class Door(paramiko.ServerInterface):
    def __init__(self, device, user_key):
        self.device, self.user_key = device, user_key

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL if key == self.user_key else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "publickey"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel, name):
        threading.Thread(target=Session(self.device, channel).serve, daemon=True).start()
        return name == "netconf"


def main():
    port, host_key, user_key, start, log = sys.argv[1:]
    host = paramiko.Ed25519Key(filename=host_key)
    user = paramiko.Ed25519Key(filename=user_key)
    device = Device(start, log)
    with socket.create_server(("127.0.0.1", int(port))) as s:
        while True:
            c, _ = s.accept()
            t = paramiko.Transport(c)
            t.add_server_key(host)
            try:
                t.start_server(server=Door(device, user))
            except (paramiko.SSHException, EOFError):
                time.sleep(0)


main()

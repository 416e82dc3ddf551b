#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that are typed at, over SSH: a running configuration each, prompts, enable, a pager, slow output,
and the refusals of the real ones, after the vendors' command references.

cli.py KIND PORT HOST_KEY LOG: KIND asa, ios or fortios, on 127.0.0.1; login admin/secret, enable "enable-me".
Each command is a line of LOG; the running configuration is written to LOG.running after each. LOG.drop (a
number) cuts the connection off at that command, counted over all sessions; LOG.drop_after, once it is done.
Sessions are in a table that clearing empties, but for those that carry a port of LOG.sticky.
"""
import ipaddress
import os
import re
import socket
import sys
import threading
import time

import paramiko

V4 = r"\d+\.\d+\.\d+\.\d+"
V6 = r"[0-9a-f:]*:[0-9a-f:.]*"


class Refused(Exception):
    pass


class Table:
    """Sessions: (protocol number, source, port, destination, port)."""

    def __init__(self):
        self.rows = [(6, "192.0.2.10", 40000, "203.0.113.5", 443), (17, "192.0.2.10", 40001, "198.51.100.53", 53),
                     (6, "198.51.100.7", 50000, "192.0.2.10", 22), (6, "192.0.2.99", 40002, "203.0.113.99", 443),
                     (6, "192.0.2.99", 40003, "198.51.100.44", 443)]
        self.sticky = 0

    @staticmethod
    def within(address, first, last):
        a, b, c = (ipaddress.ip_address(x) for x in (address, first, last))
        return a.version == b.version and b <= a <= c

    def of(self, first, last=None, sides=(1, 3)):
        return [r for r in self.rows if any(self.within(r[s], first, last or first) for s in sides)]

    def clear(self, rows):
        gone = [r for r in rows if self.sticky not in (r[2], r[4])]
        self.rows = [r for r in self.rows if r not in gone]
        return len(gone)


class Asa:
    name, more = "asa", "<--- More --->"
    SIDE = rf"(any|any4|any6|host ({V4}|{V6})|{V4} {V4}|{V6}/\d+)"
    ENTRY = re.compile(rf"(deny|permit) (ip|tcp|udp|icmp) {SIDE}( eq \d+)? {SIDE}( eq \d+)?$")

    def __init__(self):
        self.groups = {"inside": "inside_in", "outside": "outside_in"}
        self.lists = {"inside_in": ["permit tcp any any eq 443", "permit ip any any"],
                      "outside_in": ["permit tcp any host 192.0.2.10 eq 443", "deny ip any any"],
                      "vpn": ["permit ip any any"]}
        self.pager, self.table = True, Table()

    def prompt(self, s):
        return f"asa(config){'# '}" if s["mode"] else "asa# " if s["enabled"] else "asa> "

    def running(self):
        return [f"access-list {n} extended {e} " for n, v in self.lists.items() for e in v] + [
            f"access-group {a} in interface {i}" for i, a in self.groups.items()]

    def run(self, s, c):
        if c in ("terminal pager 0", "terminal width 511"):
            s["pager"] = s["pager"] and c != "terminal pager 0"
            return []
        if not s["enabled"]:
            raise Refused("ERROR: % Invalid input detected at '^' marker.")
        if c == "configure terminal":
            s["mode"] = "config"
            return []
        if c == "end":
            s["mode"] = ""
            return []
        if c == "show running-config access-group":
            return [x for x in self.running() if x.startswith("access-group")]
        if m := re.fullmatch(r"show running-config access-list (\S+)", c):
            return [x for x in self.running() if x.startswith(f"access-list {m[1]} ")]
        if m := re.fullmatch(rf"(show|clear) conn address ({V4}|{V6})(?:-({V4}|{V6}))?", c):
            rows = self.table.of(m[2], m[3])
            if m[1] == "clear":
                return [f"{self.table.clear(rows)} connection(s) deleted."]
            return [f"{len(self.table.rows)} in use, 9 most used"] + [
                f"{'TCP' if proto == 6 else 'UDP'} outside  {d}:{dp} inside  {a}:{ap}, idle 0:00:00, bytes 1, flags UIO"
                for proto, a, ap, d, dp in rows]
        if s["mode"] and (m := re.fullmatch(r"(no )?access-list (\S+)( line (\d+))? extended (.*)", c)):
            return self.change(m)
        raise Refused("ERROR: % Invalid input detected at '^' marker.")

    def change(self, m):
        entry = m[5].strip()
        if not self.ENTRY.match(entry):
            raise Refused("ERROR: % Invalid input detected at '^' marker.")
        v = self.lists.setdefault(m[2], [])
        if m[1]:
            if entry not in v:
                raise Refused("ERROR: entry does not exist")
            v.remove(entry)
        elif entry in v:
            return ["WARNING: found duplicate element"]
        else:
            v.insert(int(m[4]) - 1 if m[4] else len(v), entry)
        return []


class Ios:
    name, more = "r1", " --More-- "
    SIDE = rf"(any|host {V4}|{V4} {V4})"
    ENTRY = re.compile(rf"(deny|permit) (ip|tcp|udp|icmp) {SIDE}( eq \d+)? {SIDE}( eq \d+)?$")

    def __init__(self):
        self.lists = {"EDGE_IN": {10: "permit tcp any any eq 443", 20: "permit ip any any"},
                      "LAN_IN": {100: "permit ip any any"}}
        self.table = Table()
        self.ports = {"GigabitEthernet0/0": ("EDGE_IN", None), "GigabitEthernet0/1": ("LAN_IN", None),
                      "GigabitEthernet0/2": (None, None)}

    def prompt(self, s):
        return f"r1({s['mode']})#" if s["mode"] else "r1#" if s["enabled"] else "r1>"

    def running(self):
        return [f"{n} {k} {e}" for n, v in self.lists.items() for k, e in sorted(v.items())]

    def run(self, s, c):
        if c in ("terminal length 0", "terminal width 511"):
            s["pager"] = s["pager"] and c != "terminal length 0"
            return []
        if not s["enabled"]:
            raise Refused("% Invalid input detected at '^' marker.")
        if c == "configure terminal":
            s["mode"] = "config"
            return ["Enter configuration commands, one per line.  End with CNTL/Z."]
        if c == "end":
            s["mode"] = ""
            return []
        if c == "exit" and s["mode"] == "config-ext-nacl":
            s["mode"] = "config"
            return []
        if c == "show ip interface":
            return self.show_interfaces()
        if m := re.fullmatch(r"show ip access-lists (\S+)", c):
            v = self.lists.get(m[1], {})
            return [f"Extended IP access list {m[1]}"] + [
                f"    {k} {e} ({k} matches)" if k > 9 else f"    {k} {e}" for k, e in sorted(v.items())]
        if s["mode"] and (m := re.fullmatch(r"ip access-list extended (\S+)", c)):
            s["mode"], s["list"] = "config-ext-nacl", m[1]
            return []
        if s["mode"] == "config-ext-nacl" and (m := re.fullmatch(r"(?:(no) )?(?:(\d+) )?(.*)", c)):
            return self.change(self.lists.setdefault(s["list"], {}), m[1], m[2], m[3])
        raise Refused("% Invalid input detected at '^' marker.")

    def show_interfaces(self):
        out = []
        for name, (i, o) in self.ports.items():
            out += [f"{name} is up, line protocol is up", "  Internet address is 203.0.113.1/24",
                    f"  Outgoing access list is {o or 'not set'}", f"  Inbound  access list is {i or 'not set'}",
                    "  Proxy ARP is enabled"] + ["  Some feature is disabled"] * 30
        return out

    def change(self, v, no, number, entry):
        if not self.ENTRY.match(entry):
            raise Refused("% Invalid input detected at '^' marker.")
        there = [k for k, e in v.items() if e == entry]
        if no:
            if not there:
                raise Refused("% Error: entry not found")
            del v[there[0]]
        elif there:
            raise Refused(f"% Duplicate {entry.split()[0]} statement ignored.")
        elif not number or int(number) in v or int(number) < 1:
            raise Refused("% Invalid sequence number")
        else:
            v[int(number)] = entry
        return []


class Fortios:
    name, more = "fw", "--More-- "
    KEYS = ("name", "uuid", "srcintf", "dstintf", "action", "srcaddr", "dstaddr", "schedule", "service")

    def __init__(self):
        self.policies = {7: {"name": '"web"', "uuid": "11-22", "srcintf": '"wan1"', "dstintf": '"lan"',
                             "action": "accept", "srcaddr": '"all"', "dstaddr": '"all"', "schedule": '"always"',
                             "service": '"HTTPS"'}}
        self.addresses = {"all": "0.0.0.0 0.0.0.0"}
        self.table = Table()

    def prompt(self, s):
        return f"fw ({s['mode'][-1]}) # " if s["mode"] else "fw # "

    def running(self):
        out = []
        for n, p in self.policies.items():
            out += [f"    edit {n}"] + [f"        set {k} {p[k]}" for k in self.KEYS if k in p] + ["    next"]
        return ["config firewall policy"] + out + ["end"] + [f"{k} {v}" for k, v in sorted(self.addresses.items())]

    def run(self, s, c):
        mode = s["mode"] = s["mode"] or []
        if c == "end":
            self.save(s)
            s["mode"] = []
            return []
        if c == "next" and len(mode) == 2:
            self.save(s)
            s["mode"] = mode[:1]
            return []
        if m := re.fullmatch(r"config (system console|firewall policy|firewall address)", c):
            s["mode"] = [m[1].split()[-1]]
            return []
        if mode == ["console"] and c == "set output standard":
            s["pager"] = False
            return []
        if c == "show firewall policy":
            return self.running()[:self.running().index("end") + 1]
        if m := re.fullmatch(rf"diagnose sys session (filter clear|filter (src|dst) ({V4})(?: ({V4}))?|list|clear)", c):
            return self.sessions(s, m)
        if mode[:1] == ["policy"]:
            return self.policy(s, c)
        if mode[:1] == ["address"]:
            return self.address(s, c)
        raise Refused("Unknown action 0")

    def sessions(self, s, m):
        """The filter is the administrator's own; clear without one clears all."""
        if m[2]:
            s["filter"] = (m[3], m[4], (1,) if m[2] == "src" else (3,))
        elif m[1] == "filter clear":
            s["filter"] = ("0.0.0.0", "255.255.255.255")
        rows = self.table.of(*s.get("filter", ("0.0.0.0", "255.255.255.255")))
        if m[1] == "clear":
            self.table.clear(rows)
        if m[1] != "list":
            return []
        out = []
        for proto, a, ap, d, dp in rows:
            out += ["", f"session info: proto={proto} proto_state=01 duration=142 expire=3457 timeout=3600 "
                    "flags=00000000 sockflag=00000000 sockport=0 av_idx=0 use=3", "origin-shaper=", "reply-shaper=",
                    "state=may_dirty", f"hook=pre dir=org act=noop {a}:{ap}->{d}:{dp}(0.0.0.0:0)",
                    f"hook=post dir=reply act=noop {d}:{dp}->{a}:{ap}(0.0.0.0:0)"]
        return out + [f"total session {len(rows)}"]

    def save(self, s):
        if len(s["mode"]) == 2 and s["mode"][0] == "policy":
            p = s["edit"]
            missing = [k for k in self.KEYS if k not in p and k not in ("uuid", "action")]
            if missing:
                raise Refused(f"object check operator error, -56, discard the setting ({missing[0]})")
            self.policies.setdefault(int(s["mode"][1]), {}).update(p)
            self.policies[int(s["mode"][1])].setdefault("uuid", "99-88")
        elif len(s["mode"]) == 2 and s["edit"].get("subnet"):
            self.addresses[s["mode"][1]] = s["edit"]["subnet"]

    def policy(self, s, c):
        if m := re.fullmatch(r"edit (\d+)", c):
            s["mode"], s["edit"] = ["policy", m[1]], {}
        elif (m := re.fullmatch(r"set (\S+) (.*)", c)) and len(s["mode"]) == 2 and m[1] in self.KEYS:
            if m[1] in ("srcaddr", "dstaddr") and m[2].strip('"') not in self.addresses:
                raise Refused("entry not found in datasource")
            s["edit"][m[1]] = m[2]
        elif m := re.fullmatch(r"move (\d+) before (\d+)", c):
            a, b = int(m[1]), int(m[2])
            if a not in self.policies or b not in self.policies:
                raise Refused("entry not found in table")
            moved = self.policies.pop(a)
            self.policies = {k: v for n, p in self.policies.items()
                             for k, v in (((a, moved), (n, p)) if n == b else ((n, p),))}
        elif m := re.fullmatch(r"delete (\d+)", c):
            if int(m[1]) not in self.policies:
                raise Refused("entry not found in table")
            del self.policies[int(m[1])]
        else:
            raise Refused("command parse error before '" + c.split()[0] + "'")
        return []

    def address(self, s, c):
        if m := re.fullmatch(r'edit "?([^"]+)"?', c):
            s["mode"], s["edit"] = ["address", m[1]], {}
        elif m := re.fullmatch(rf"set subnet ({V4} {V4})", c):
            s["edit"]["subnet"] = m[1]
        elif m := re.fullmatch(r'delete "?([^"]+)"?', c):
            if m[1] not in self.addresses:
                raise Refused("entry not found in table")
            if any(f'"{m[1]}"' in (p["srcaddr"], p["dstaddr"]) for p in self.policies.values()):
                raise Refused("Command fail. Return code -23: object is used")
            del self.addresses[m[1]]
        else:
            raise Refused("command parse error")
        return []


class Session:
    count = 0

    def __init__(self, device, channel, log):
        self.d, self.c, self.log = device, channel, log
        self.s = {"mode": "", "enabled": device.name == "fw", "pager": True}
        self.waiting = b""

    def knob(self, name):
        try:
            with open(f"{self.log}.{name}", encoding="ascii") as f:
                return int(f.read())
        except (OSError, ValueError):
            return 0

    def send(self, text):
        """In pieces, as a slow line would."""
        data = text.encode()
        for at in range(0, len(data), 400):
            self.c.sendall(data[at:at + 400])
            time.sleep(0.001)

    def line(self, echo=True):
        while b"\n" not in self.waiting and b"\r" not in self.waiting:
            data = self.c.recv(4096)
            if not data:
                raise EOFError
            self.waiting += data
        text, self.waiting = re.split(rb"[\r\n]", self.waiting, maxsplit=1)
        if echo:
            self.send(text.decode() + "\r\n")
        return text.decode()

    def show(self, lines):
        for i, text in enumerate(lines):
            if self.s["pager"] and i and i % 20 == 0:
                self.send(self.d.more)
                if not self.waiting:
                    self.waiting = self.c.recv(1)
                self.waiting = self.waiting[1:]
                n = len(self.d.more)
                self.send("\r" + " " * n + "\r" if self.d.name == "asa" else "\b" * n + " " * n + "\b" * n)
            self.send(text + "\r\n")

    def enable(self):
        self.send("Password: ")
        if self.line(echo=False) != "enable-me":
            self.send("\r\nInvalid password\r\n" if self.d.name == "asa" else "\r\n% Bad secrets\r\n")
            return
        self.send("\r\n")
        self.s["enabled"] = True

    def one(self, c):
        with open(self.log, "a", encoding="utf-8") as f:
            f.write(c + "\n")
        Session.count += 1
        n = Session.count
        if self.knob("drop") == n:
            raise EOFError
        if c == "enable" and not self.s["enabled"]:
            self.enable()
            return
        self.d.table.sticky = self.knob("sticky")
        try:
            self.show(self.d.run(self.s, c))
        except Refused as e:
            self.send(str(e) + "\r\n")
        with open(self.log + ".new", "w", encoding="utf-8") as f:
            f.write("\n".join(self.d.running()))
        os.rename(self.log + ".new", self.log + ".running")
        if self.knob("drop_after") == n:
            raise EOFError

    def serve(self):
        try:
            self.send("\r\n** authorized use only **\r\n")
            while True:
                self.send(self.d.prompt(self.s))
                c = self.line().strip()
                if c:
                    self.one(c)
        except (EOFError, OSError):
            pass
        finally:
            self.c.get_transport().close()


class Door(paramiko.ServerInterface):
    def __init__(self, device, log):
        self.device, self.log = device, log

    def check_auth_password(self, user, password):
        return paramiko.AUTH_SUCCESSFUL if (user, password) == ("admin", "secret") else paramiko.AUTH_FAILED

    def get_allowed_auths(self, user):
        return "password"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_pty_request(self, *args):
        return True

    def check_channel_shell_request(self, channel):
        threading.Thread(target=Session(self.device, channel, self.log).serve, daemon=True).start()
        return True


def main():
    kind, port, host_key, log = sys.argv[1:]
    device = {"asa": Asa, "ios": Ios, "fortios": Fortios}[kind]()
    with open(log + ".running", "w", encoding="utf-8") as f:
        f.write("\n".join(device.running()))
    host = paramiko.Ed25519Key(filename=host_key)
    with socket.create_server(("127.0.0.1", int(port))) as s:
        while True:
            c, _ = s.accept()
            t = paramiko.Transport(c)
            t.add_server_key(host)
            try:
                t.start_server(server=Door(device, log))
            except (paramiko.SSHException, EOFError):
                pass


main()

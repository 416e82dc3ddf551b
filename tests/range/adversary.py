# SPDX-License-Identifier: GPL-3.0-or-later
"""An adversary with root on the isolated host, and every way around the cut that it tries.

Each way sends, from before it begins, one marked frame a millisecond by several means (tests/leak/
spray.py); what arrives on the wire behind the host is counted there (`leaked`), as is what a program on
the host gets from outside (`heard`). `ms` is the time from the first to the last of them: how long the
host was open. The same ways are played without a
guard, which shows that they are ways at all. Used by test_adversary.py and bench/adversary.py.
"""
import dataclasses
import json
import os
import signal
import subprocess
import threading
import time

import bed as B

SPRAY = f"{B.LEAK}/spray.py"
RESTART = 0.1  # RestartSec of stanch-guard.service
INWARD = (("udp", {}), ("udp6", {}))
PLAIN = (("udp", {}), ("udp6", {}), ("packet", {}))
SETTLE = 0.25
TABLES = "for f in inet netdev bridge; do nft delete table $f stanch_isolate 2>/dev/null || :; done"
TC_OFF = "for d in $(ip -o link | cut -d: -f2 | cut -d@ -f1); do tc qdisc del dev $d clsact 2>/dev/null || :; done"
XDP_OFF = ("for d in $(ip -o link | cut -d: -f2 | cut -d@ -f1); do ip link set dev $d xdp off 2>/dev/null || :;"
           " done")


@dataclasses.dataclass
class Way:
    name: str
    what: str                 # a line for the table
    act: object               # script for the victim's root shell, or a function of the Adversary
    undo: object = ""
    extra: tuple = ()         # more means of sending: (how, arguments)
    owned: str = ""           # why it leaks though a guard runs; "": nothing may leak
    limit_ms: int = 0         # owned, but for no longer than this
    settle: float = SETTLE
    place: str = "victim"


class Resident:
    """Guards as systemd keeps them: one that ends is started again after RestartSec."""

    def __init__(self, bed, n=2):
        self.bed, self.news, self.stopping = bed, [], False
        self.processes = [None] * n
        self.threads = [threading.Thread(target=self.keep, args=(i,), daemon=True) for i in range(n)]
        for t in self.threads:
            t.start()
            B.wait_for("a guard", lambda: self.of("guard_standing") or self.of("guard_waiting"), 10)
        B.wait_for("the tables are held", lambda: self.of("held"), 10)

    def keep(self, i):
        while not self.stopping:
            p = self.bed.spawn("victim", *self.bed.stanch_argv("guard", "--json"),
                               stdout=subprocess.PIPE)
            self.processes[i] = p
            for line in p.stdout:
                self.news.append(json.loads(line))
            p.wait()
            time.sleep(RESTART)

    def of(self, *events, since=0):
        return [n for n in self.news[since:] if n["event_type"] in events]

    def kill(self, how=signal.SIGKILL, n=None):
        for p in self.processes[:n]:
            p.send_signal(how)

    def stop(self):
        self.stopping = True
        for p in self.processes:
            p.send_signal(signal.SIGCONT)
            p.terminate()
        for t in self.threads:
            t.join(10)


class Adversary:
    def __init__(self, bed):
        self.bed = bed
        self.guards = None
        self.far = B.Talker(bed, "router", B.PYTHON, "-B", SPRAY, "count", "pvictim")
        self.near = B.Talker(bed, "victim", B.PYTHON, "-B", SPRAY, "send", "eth0", B.GATEWAY, B.C2A,
                             B.C2A6)
        self.ear = B.Talker(bed, "victim", B.PYTHON, "-B", SPRAY, "listen", "5353")
        self.outside = B.Talker(bed, "c2a", B.PYTHON, "-B", SPRAY, "send", "eth0", "203.0.113.1",
                                B.VICTIM, B.VICTIM6)
        self.inner = self.spray("ctr", "eth0", "198.18.31.1")
        self.others = []
        self.ways = ways(self)

    def sh(self, text, role="victim", **more):
        return self.bed.sh(role, "sh", "-c", text, check=False, **more)

    def spray(self, role, dev, gateway=B.GATEWAY):
        return B.Talker(self.bed, role, B.PYTHON, "-B", SPRAY, "send", dev, gateway, B.C2A, B.C2A6)

    def do(self, what):
        return what(self) if callable(what) else self.sh(what) if what else None

    def begin(self, way, by, means):
        for how, args in means:
            name = f"{way.name}.{len(self.sending)}-{how}"
            by.ask({"way": name, "how": how, **args})
            self.sending.append((by, name))

    def play(self, way):
        since = time.time_ns()
        self.now, self.sending = way, []
        self.begin(way, self.outside, INWARD)
        self.begin(way, self.near, PLAIN + way.extra)
        time.sleep(0.02)
        said = len(self.guards.news) if self.guards else 0
        self.do(way.act)
        time.sleep(way.settle)
        got = self.far.ask({"way": way.name + ".", "since": since})
        heard = self.ear.ask({"way": way.name + ".", "since": since})
        assert not got["lost"], "the far end lost frames: its word is worth nothing"
        for by, name in self.sending:
            by.ask({"drop": name})
        for t in self.others:
            t.stop()
        self.others = []
        self.do(way.undo)
        mends = self.guards.of("tamper", "covered", since=said) if self.guards else []
        return {"way": way.name, "what": way.what, "leaked": got["frames"], "heard": heard["frames"],
                "ms": max((x["last"] - x["first"]) / 1e6 for x in (got, heard)),
                "mended_ms": max((m["usec"] for m in mends if m.get("usec")), default=0) / 1000,
                "owned": way.owned,
                # By which of its means nothing came: in an open host none may be among them.
                "silent": [n for _, n in self.sending if not got["by"].get(n) and
                           not heard["by"].get(n)]}

    def repair(self):
        """Without a guard somebody has to put back what the way took away."""
        r = self.bed.stanch("reassert")
        assert r.code in (0, 5), str(r)

    def play_all(self, ways, repair=False):
        rows = []
        for w in ways:
            rows.append(self.play(w))
            if repair:
                self.repair()
        return rows


# ---- what needs more than a script ----

def new_device(script, *means):
    """Makes a device and at once sends by it."""
    def act(a):
        a.sh(script)
        a.begin(a.now, a.near, means)
    return act


def redirect(a):
    """Frames of a container are put on the card by BPF at tc."""
    link = a.bed.redirector("victim", "eth0", "ctr")
    a.begin(a.now, a.near, (("via", {"link": f"{link}@/run/netns/{a.bed.ns('ctr')}"}),))


def odd_then_redirect(a):
    """What cannot be covered must not uncover the rest."""
    a.begin(a.now, a.near, (("odd", {}),))
    time.sleep(0.15)
    redirect(a)


def xdp_redirect(a):
    """The same at XDP, which passes netfilter and tc."""
    a.bed.cable("victim", "leak1", "ctr", "leak-victim")
    for role, dev in (("victim", "leak1"), ("ctr", "leak-victim")):
        a.sh(f"echo 1 >/proc/sys/net/ipv6/conf/{dev}/disable_ipv6; ip link set {dev} up", role)
    index = json.loads(a.bed.sh("victim", "ip", "-j", "link", "show", "eth0").stdout)[0]["ifindex"]
    obj = f"{a.bed.dir}/xdp_redirect.o"
    B.run("clang", "-O2", "-g", "-target", "bpf", "-I", f"/usr/include/{os.uname().machine}-linux-gnu",
          f"-DOUT_IFINDEX={index}", "-c", f"{B.LEAK}/xdp_redirect.bpf.c", "-o", obj)
    # Where a guard has put ours there already, it has to go first.
    a.sh(f"ip link set leak1 xdp off; ip link set leak1 xdpgeneric obj {obj} sec xdp 2>/dev/null || "
         f"{{ ip link set leak1 xdp off; ip link set leak1 xdpgeneric obj {obj} sec xdp; }} || :")
    a.begin(a.now, a.near, (("via", {"link": f"leak-victim@/run/netns/{a.bed.ns('ctr')}"}),))


def uplink_away(a):
    """The card is moved into a container that root made, and given an address there."""
    a.sh(f"ip link set eth0 down; ip link set eth0 name up0; ip link set up0 netns {a.bed.ns('ctr')}")
    a.sh(f"ip addr add {B.VICTIM}/24 dev up0; ip link set up0 up;"
         f"ip route replace default via {B.GATEWAY}", "ctr")
    a.others.append(a.spray("ctr", "up0", a.gateway))
    a.begin(a.now, a.others[-1], (("packet", {}), ("bypass", {})))


def uplink_back(a):
    a.sh(f"ip link set up0 down; ip link set up0 name eth0 netns {a.bed.ns('victim')} 2>&1", "ctr")
    a.bed.ip("victim", f"link set eth0 up\naddr add {B.VICTIM}/24 dev eth0\n"
             f"addr add {B.VICTIM6}/64 dev eth0\nroute replace default via {B.GATEWAY}\n"
             f"route replace default via {B.GATEWAY6}\n")


def other_namespace(a):
    """A process in a namespace of its own, forwarded by the host."""
    a.begin(a.now, a.inner, (("udp", {}), ("udp6", {}), ("bypass", {})))


def other_cgroup(a):
    a.sh("mkdir -p /sys/fs/cgroup/adv 2>/dev/null && echo "
         f"{a.near.process.pid} >/sys/fs/cgroup/adv/cgroup.procs")


def cgroup_back(a):
    a.sh(f"echo {a.near.process.pid} >/sys/fs/cgroup/cgroup.procs; rmdir /sys/fs/cgroup/adv")


def kill_one(a):
    if a.guards:
        a.guards.kill(n=1)
    a.sh(f"{TABLES}; {TC_OFF}; {XDP_OFF}")


def kill_all(a):
    if a.guards:
        a.guards.kill()
    a.sh(f"{TABLES}; {TC_OFF}; {XDP_OFF}")


def stop_one(a):
    if a.guards:
        a.guards.kill(signal.SIGSTOP, n=1)
    a.sh(f"{TABLES}; {TC_OFF}; {XDP_OFF}")


def go_on(a):
    if a.guards:
        a.guards.kill(signal.SIGCONT, n=1)


def between_packets(a):
    """Away and back again within a moment, over and over, so that who looks now and then sees nothing."""
    a.sh("nft list table inet stanch_isolate >/tmp/adv.$$; for i in 1 2 3 4 5 6 7 8; do "
         f"{TABLES}; tc filter show dev eth0 egress >/dev/null; nft -f /tmp/adv.$$ 2>/dev/null;"
         f"done; {TC_OFF}; {XDP_OFF}; rm -f /tmp/adv.$$")


# ---- the ways ----

def mac_of(a, dev, role="victim"):
    return json.loads(a.bed.sh(role, "ip", "-j", "link", "show", dev).stdout)[0]["address"]


def ways(a):
    a.gateway, a.mac = mac_of(a, "lan0", "router"), mac_of(a, "eth0")
    near = [
        Way("delete-table", "nft delete table", TABLES),
        Way("delete-chain", "nft flush and delete the chains",
            "for f in inet netdev; do for c in out in through; do "
            "nft flush chain $f stanch_isolate $c; nft delete chain $f stanch_isolate $c; done; done"),
        Way("delete-rule", "an accept put before our rules, in our own chains",
            "for f in inet netdev; do nft insert rule $f stanch_isolate out accept;"
            "nft insert rule $f stanch_isolate in accept; nft insert rule $f stanch_isolate through accept;"
            "done"),
        Way("delete-element", "the set that arms the cut emptied",
            "for f in inet netdev bridge; do nft flush set $f stanch_isolate armed; done"),
        Way("flush-ruleset", "nft flush ruleset", "nft flush ruleset"),
        Way("dormant", "our tables made dormant",
            "for f in inet netdev; do nft add table $f stanch_isolate '{ flags dormant; }'; done"),
        Way("reload", "a firewall's reload: flush, a ruleset of its own, in one transaction",
            "printf 'flush ruleset\\ntable inet firewalld { chain out { type filter hook output "
            "priority 0; policy accept; accept; }; }\\n' | nft -f -",
            "nft delete table inet firewalld"),
        Way("early-accept", "accept in base chains before ours, at every hook",
            "nft -f - <<E\ntable inet adv { chain o { type filter hook output priority -400; accept; }; "
            "chain p { type filter hook postrouting priority -400; accept; }; }\n"
            "table netdev adv { chain e { type filter hook egress device eth0 priority -500; accept; }; }\nE",
            "nft delete table inet adv; nft delete table netdev adv"),
        Way("tc-filter", "tc filter del", "tc filter del dev eth0 egress"),
        Way("tc-qdisc", "the clsact qdisc deleted, with all that hangs on it", TC_OFF),
        Way("tc-ahead", "a tc program that accepts everything put before ours",
            "tc filter add dev eth0 egress protocol all prio 1 matchall action pass",
            "tc filter del dev eth0 egress protocol all prio 1 matchall"),
        Way("xdp-off", "the XDP programs detached", XDP_OFF),
        Way("all-at-once", "tables, tc and XDP in one script", f"{TABLES}; {TC_OFF}; {XDP_OFF}"),
        Way("loop", "the same in a loop for a second",
            f"timeout 1 sh -c 'while :; do {TABLES}; {TC_OFF}; {XDP_OFF}; done'"),
        Way("between", "tables away and back between two packets", between_packets),
        Way("raw", "IP raw sockets", "", extra=(("raw", {}), ("raw6", {}), ("icmp", {}))),
        Way("packet-socket", "AF_PACKET with QDISC_BYPASS, other MAC, other ethertype", "",
            extra=(("bypass", {}), ("packet", {"source_mac": "02:ad:ad:ad:ad:ad"}),
                   ("packet", {"kind": 0x88B5}))),
        Way("rename", "the uplink renamed",
            "ip link set eth0 down; ip link set eth0 name adv0; ip link set adv0 up;"
            f"ip route replace default via {B.GATEWAY}",
            "ip link set adv0 down; ip link set adv0 name eth0; ip link set eth0 up;"
            f"ip route replace default via {B.GATEWAY}; ip route replace default via {B.GATEWAY6}"),
        Way("new-macvlan", "a macvlan on the uplink, with an address of its own",
            new_device("ip link add adv1 link eth0 type macvlan mode bridge; ip link set adv1 up;"
                       f"ip addr add 192.0.2.77/24 dev adv1; ip route add default via {B.GATEWAY} dev adv1 metric 500",
                       ("packet", {"dev": "adv1"}),
                       ("bypass", {"dev": "adv1"}), ("udp", {"dev": "adv1"})),
            "ip link del adv1"),
        Way("new-veth", "a veth into the bridge, fed by packets",
            new_device(f"ip link set br0 address {mac_of(a, 'br0')};"
                       "ip link add adv2 type veth peer name adv3; ip link set adv3 master br0;"
                       "ip link set adv2 up; ip link set adv3 up",
                       ("packet", {"dev": "adv2", "to_mac": mac_of(a, "br0"), "source": "198.18.31.77"})),
            "ip link del adv2",
            settle=1.2),  # the kernel takes up to a second to let a new port forward
        Way("vxlan", "a VXLAN tunnel to the far host",
            new_device(f"ip link add adv4 type vxlan id 5 remote {B.C2A} dstport 4789 dev eth0;"
                       "ip link set adv4 up", ("packet", {"dev": "adv4"})),
            "ip link del adv4"),
        Way("tun", "a tun device whose reader sends by packet socket", "", extra=(("tun", {}),)),
        Way("other-namespace", "from another network namespace, forwarded", other_namespace),
        Way("other-cgroup", "from another cgroup", other_cgroup, cgroup_back),
        Way("re-address", "another source address, kept or not",
            "ip addr add 192.0.2.78/24 dev eth0", "ip addr del 192.0.2.78/24 dev eth0",
            extra=(("udp", {"source": "192.0.2.79"}), ("udp", {"source": B.MGMT}))),
        Way("mac", "the card's address changed",
            "ip link set eth0 address 02:ad:00:00:00:01",
            lambda a: a.sh(f"ip link set eth0 address {a.mac}")),
        Way("policy-route", "rules and tables of policy routing, a mark",
            f"ip route add default via {B.GATEWAY} table 77; ip rule add fwmark 7 table 77;"
            "ip rule add pref 1 table 77",
            "ip rule del pref 1; ip rule del fwmark 7; ip route flush table 77",
            extra=(("udp", {"mark": 7}),)),
        Way("sysctl", "bridge-nf, forwarding, rp_filter, route_localnet turned over",
            "cd /proc/sys/net; for f in ipv4/ip_forward ipv4/conf/all/route_localnet "
            "ipv4/conf/eth0/proxy_arp; do echo 1 >$f; done; echo 0 >ipv4/conf/all/rp_filter;"
            "echo 0 >bridge/bridge-nf-call-iptables 2>/dev/null; :"),
        Way("neighbour", "the kept host's address given to the far host's gateway, other ports",
            f"ip route add {B.MGMT}/32 via {B.GATEWAY}; ip neigh replace {B.MGMT} lladdr "
            "02:ad:00:00:00:02 dev eth0", f"ip neigh del {B.MGMT} dev eth0; ip route del {B.MGMT}/32",
            extra=(("udp", {"to": B.MGMT, "port": 53}), ("tcp-data", {"to": B.MGMT, "port": 443}))),
        Way("dns", "DNS to resolvers that are not kept", "",
            extra=(("udp", {"to": B.GATEWAY, "port": 53}), ("udp", {"to": "203.0.113.80", "port": 53}),
                   ("tcp-data", {"to": B.C2A, "port": 53}))),
        Way("conntrack", "connections made known to conntrack as established, NAT rules",
            "nft -f - <<E\ntable ip adv { chain p { type nat hook postrouting priority 100; masquerade; }; "
            "chain o { type filter hook output priority -150; ct state new,established accept; }; }\nE",
            "nft delete table ip adv"),
        Way("flowtable", "a flow table between the bridge and the uplink",
            "nft -f - <<E\ntable inet adv { flowtable f { hook ingress priority -500; "
            "devices = { eth0, br0 }; }; chain f { type filter hook forward priority 0; flow add @f; }; }\nE",
            "nft delete table inet adv"),
        Way("tc-redirect", "a container's frames put on the uplink by a redirect at tc", redirect,
            "ip link del leak1"),
        Way("odd-device", "a device of a link type that nobody knows, then a redirect at tc",
            odd_then_redirect, "ip link del leak1; ip link del adv9"),
        Way("stop-guard", "the guard stopped (SIGSTOP), then tables, tc and XDP", stop_one, go_on, settle=0.4),
        Way("kill-guard", "the guard killed, then tables, tc and XDP", kill_one, settle=0.4,
            owned="until the second guard has taken over", limit_ms=100),
        Way("kill-all", "every guard killed at once, then tables, tc and XDP", kill_all, settle=0.8,
            owned="until systemd has started one again (100 ms and its start)", limit_ms=600),
        Way("xdp-redirect", "a container's frames put on the uplink by a redirect at XDP", xdp_redirect,
            "ip link del leak1", owned="XDP_REDIRECT passes netfilter and tc, until the program is taken away"),
        Way("uplink-away", "the uplink moved into a container and used there", uplink_away, uplink_back,
            owned="the device is in another namespace, where nothing of ours is"),
    ]
    return near


def isolate(bed):
    r = bed.stanch("isolate", "self", "--yes", "--console", "--no-deadline", "--keep", f"{B.MGMT}:22")
    assert r.code in (0, 5), str(r)


def table(rows, bare):
    """Markdown; bare: the rows of the same ways without a guard."""
    out = ["| way | no guard: out / in | guard: out / in | open for | put back after |",
           "|---|---|---|---|---|"]
    for r, b in zip(rows, bare):
        gap = f"{r['ms']:.0f} ms" if r["leaked"] or r["heard"] else "—"
        mend = f"{r['mended_ms']:.0f} ms" if r["mended_ms"] else "—"
        out.append(f"| {r['what']} | {b['leaked']} / {b['heard']} | {r['leaked']} / {r['heard']} | "
                   f"{gap} | {mend} |")
    return "\n".join(out)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The range: a breached host and the world around it, in network namespaces.

                        c2a 203.0.113.5 (c2), 203.0.113.80 (web)     c2b 198.51.100.20 (c2)
                          \\                                          /
    mgmt 198.18.0.5 ------ router ------------------------------------
                             |  lan0 (bridge) 192.0.2.1
                     +-------+--------+
                 victim            neighbour 192.0.2.15
             eth0 192.0.2.10
               |      \\
             br0       macvlan container  mac 192.0.2.40
               |
     bridged container ctr 198.18.31.2 (routed, no NAT)

Everything has an IPv6 address, too. Names are st-PID-…, where PID made them; `Bed` removes what it
made, and first what dead makers left. Nothing of the machine's own network is touched: every address,
rule and process lives in a namespace that was made here.
"""
import glob
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NET = os.path.join(HERE, "net")
LEAK = os.path.join(ROOT, "tests", "leak")
BUILD = os.environ.get("STANCH_BUILD", os.path.join(ROOT, "build"))
STANCH = os.path.join(BUILD, "stanch")
PYTHON = "/usr/bin/python3"

VICTIM, VICTIM6 = "192.0.2.10", "2001:db8:2::10"
NEIGHBOUR, NEIGHBOUR6 = "192.0.2.15", "2001:db8:2::15"
GATEWAY, GATEWAY6 = "192.0.2.1", "2001:db8:2::1"
C2A, C2A6 = "203.0.113.5", "2001:db8:113::5"
WEB, WEB6 = "203.0.113.80", "2001:db8:113::80"
C2B, C2B6 = "198.51.100.20", "2001:db8:51::20"
MGMT, MGMT6 = "198.18.0.5", "2001:db8:99::5"
CTR, CTR6 = "198.18.31.2", "2001:db8:31::2"
MAC, MAC6 = "192.0.2.40", "2001:db8:2::40"
ROLES = ("victim", "neigh", "router", "c2a", "c2b", "mgmt", "ctr", "mac")


class BedError(Exception):
    pass


def run(*argv, check=True, timeout=60, **more):
    r = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, **more)
    if check and r.returncode != 0:
        raise BedError(f"{' '.join(argv)}: exit {r.returncode}\n{r.stdout}{r.stderr}")
    return r


def wait_for(what, test, seconds=10.0, every=0.05):
    end = time.monotonic() + seconds
    while True:
        got = test()
        if got:
            return got
        if time.monotonic() > end:
            raise BedError(f"after {seconds:g} s still not: {what}")
        time.sleep(every)


def start_time(pid):
    """The start of a process in clock ticks since boot; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


def processes_in(netns_path):
    """The pids whose network namespace this is."""
    try:
        inode = os.stat(netns_path).st_ino
    except OSError:
        return []
    found = []
    for p in glob.glob("/proc/[0-9]*"):
        try:
            if os.stat(p + "/ns/net").st_ino == inode:
                found.append(int(p[6:]))
        except OSError:
            continue
    return found


def remove_netns(name):
    path = "/run/netns/" + name
    for _ in range(20):
        pids = processes_in(path)
        if not pids:
            break
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)
    run("ip", "netns", "del", name, check=False)


def record_path(pid):
    return f"/tmp/st-{pid}.range"


def record(folder):
    """Notes a folder of this process's, named st-PID-…, for remove_leftovers of a later one."""
    with open(record_path(os.getpid()), "a", encoding="ascii") as f:
        if f.tell() == 0:
            f.write(start_time(os.getpid()) + "\n")
        f.write(folder + "\n")


def remove_leftovers():
    """Ends what runs of dead makers left: by their recorded pid and its start time, nothing else."""
    for record in glob.glob("/tmp/st-*.range"):
        pid = re.fullmatch(r"/tmp/st-(\d+)\.range", record)
        if not pid:
            continue
        with open(record, encoding="ascii") as f:
            lines = f.read().split()
        if lines and start_time(pid.group(1)) == lines[0]:
            continue
        for name in glob.glob(f"/run/netns/st-{pid.group(1)}-*"):
            remove_netns(os.path.basename(name))
        for folder in lines[1:]:
            if folder.startswith((f"/tmp/st-{pid.group(1)}-", f"/dev/shm/st-{pid.group(1)}-")):
                shutil.rmtree(folder, ignore_errors=True)
        os.unlink(record)


class Talker:
    """A child that answers each line on its stdin with a line of JSON on its stdout."""

    def __init__(self, bed, role, *argv, ready=10):
        self.process = bed.spawn(role, *argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lock = threading.Lock()
        timer = threading.Timer(ready * bed.patience, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            raise BedError(f"{' '.join(argv)} did not start:\n{bed.log_text()}")

    def ask(self, question=None, timeout=30):
        with self.lock:
            timer = threading.Timer(timeout, self.process.kill)
            timer.start()
            try:
                self.process.stdin.write(json.dumps(question or {}) + "\n")
                self.process.stdin.flush()
                line = self.process.stdout.readline()
            except BrokenPipeError:
                line = ""
            finally:
                timer.cancel()
        if not line:
            raise BedError(f"{self.process.args} answers no more")
        return json.loads(line)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Counter(Talker):
    """Counts what arrives at an interface, by the kernel's stamps; see net/counter.py."""

    def __init__(self, bed, role, iface):
        super().__init__(bed, role, PYTHON, "-B", f"{NET}/counter.py", iface)

    def rows(self, since=0, until=1 << 62, **match):
        r = self.ask({"since": since, "until": until})
        if r["drops"]:
            raise BedError(f"the counter lost {r['drops']} frames: its word is worth nothing")
        return [x for x in r["rows"] if all(x.get(k) == v for k, v in match.items())]

    def frames(self, since=0, until=1 << 62, **match):
        return sum(x["frames"] for x in self.rows(since, until, **match))

    def bytes(self, since=0, until=1 << 62, **match):
        return sum(x["bytes"] for x in self.rows(since, until, **match))


class Typing:
    """An operator's shell over ssh: what is typed comes back, or the session is dead."""

    def __init__(self, bed, *options, host=VICTIM, shell="bash --norc --noprofile"):
        self.process = bed.spawn("mgmt", *bed.ssh_argv(*options, host=host), shell,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.n = 0
        self.type("true", 15 * bed.patience)

    def type(self, command, timeout=15):
        """Runs a command in the session; (exit code, output)."""
        self.n += 1
        end = f"__done_{self.n}__"
        timer = threading.Timer(timeout, self.process.kill)
        timer.start()
        out = []
        try:
            self.process.stdin.write(f"{command}\necho {end[:6]}''{end[6:]} $?\n")
            self.process.stdin.flush()
            for line in self.process.stdout:
                # A command's last line may lack its newline.
                if end in line:
                    head, code = line.split(end)
                    return int(code), "".join(out) + head
                out.append(line)
        except BrokenPipeError:
            pass
        finally:
            timer.cancel()
        raise BedError(f"the session died at: {command}\n{''.join(out)}")

    def close(self):
        self.process.kill()
        self.process.wait()


class Result:
    """What a run of stanch said."""

    def __init__(self, r, begun):
        self.code, self.out, self.err = r.returncode, r.stdout, r.stderr
        self.begun, self.ended = begun, time.time_ns()

    def objects(self):
        return [json.loads(x) for x in self.out.splitlines() if x.startswith("{")]

    def __str__(self):
        return f"exit {self.code}\n{self.out}{self.err}"


class Made:
    """Built on entering, closed on leaving, also after half of it failed."""

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()


class Bed(Made):
    """with Bed() as bed: … — builds in about a second, always takes itself away."""

    made = 0
    leak_every = 0.1  # seconds between the rounds of leakers()
    patience = 1      # how many times longer than in a namespace a program may take to start

    def __init__(self):
        Bed.made += 1
        self.prefix = f"st-{os.getpid()}-{Bed.made}"
        self.children = []
        self.dir = None

    # -- names and processes

    def ns(self, role):
        return f"{self.prefix}-{role}"

    def enter(self, role):
        return ["nsenter", f"--net=/run/netns/{self.ns(role)}", "--"]

    def spawn(self, role, *argv, **more):
        """Starts argv in a namespace; it ends with the bed."""
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stdout", subprocess.DEVNULL)
        more.setdefault("stderr", self.log)
        p = subprocess.Popen(self.enter(role) + list(argv), text=True, start_new_session=True, **more)
        self.children.append(p)
        return p

    def sh(self, role, *argv, check=True, timeout=60, **more):
        if "input" not in more:
            more.setdefault("stdin", subprocess.DEVNULL)
        return run(*self.enter(role), *argv, check=check, timeout=timeout, **more)

    def script(self, role, text, **more):
        return self.sh(role, "sh", "-euc", text, **more)

    def log_text(self):
        self.log.flush()
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return f.read()[-4000:]

    # -- making

    def build(self):
        remove_leftovers()
        self.dir = tempfile.mkdtemp(prefix=f"st-{os.getpid()}-", dir="/tmp")
        self.log = open(os.path.join(self.dir, "log"), "w", encoding="utf-8")
        record(self.dir)
        self.fallbacks = set()
        self.state, self.config = self.places()
        self.configure("")
        for role in ROLES:
            self.add_host(role)
        self.wire_up()
        self.make_keys()
        self.servers()
        self.counters()

    def places(self):
        """Where stanch keeps its journal and reads its configuration in the victim."""
        return os.path.join(self.dir, "state"), os.path.join(self.dir, "stanch.conf")

    def add_host(self, role):
        run("ip", "netns", "add", self.ns(role))

    def hand_over(self, path):
        """A file of the bed's folder that programs of the victim's open, at the same path there."""

    def ip(self, role, lines):
        self.sh(role, "ip", "-batch", "-", input=lines, timeout=30)

    def cable(self, role, dev, role2, dev2):
        self.ip(role, f"link add {dev} type veth peer name {dev2} netns {self.ns(role2)}\n")

    def wire_up(self):
        for role in ROLES:
            # No duplicate address detection: addresses are good at once.
            self.script(role, "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad;"
                        "echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad; ip link set lo up")
        for role in ("router", "victim"):
            self.script(role, "echo 1 >/proc/sys/net/ipv4/ip_forward;"
                        "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
        self.cable("victim", "eth0", "router", "pvictim")
        self.cable("neigh", "eth0", "router", "pneigh")
        self.cable("c2a", "eth0", "router", "wan1")
        self.cable("c2b", "eth0", "router", "wan2")
        self.cable("mgmt", "eth0", "router", "mgm0")
        self.ip("router", f"""link add lan0 type bridge
link set pvictim master lan0
link set pneigh master lan0
link set lan0 up
link set pvictim up
link set pneigh up
link set wan1 up
link set wan2 up
link set mgm0 up
addr add {GATEWAY}/24 dev lan0
addr add {GATEWAY6}/64 dev lan0
addr add 203.0.113.1/24 dev wan1
addr add 2001:db8:113::1/64 dev wan1
addr add 198.51.100.1/24 dev wan2
addr add 2001:db8:51::1/64 dev wan2
addr add 198.18.0.1/24 dev mgm0
addr add 2001:db8:99::1/64 dev mgm0
route add 198.18.31.0/24 via {VICTIM}
route add 2001:db8:31::/64 via {VICTIM6}
""")
        self.ip("victim", f"""link add br0 type bridge
link add mac0 link eth0 netns {self.ns('mac')} type macvlan mode bridge
link set eth0 up
link set br0 up
addr replace {VICTIM}/24 dev eth0
addr replace {VICTIM6}/64 dev eth0
addr add 198.18.31.1/24 dev br0
addr add 2001:db8:31::1/64 dev br0
route replace default via {GATEWAY}
route replace default via {GATEWAY6}
""")
        self.cable("ctr", "eth0", "victim", "vctr")
        self.ip("victim", "link set vctr master br0\nlink set vctr up\n")
        leaves = [("neigh", "eth0", [(NEIGHBOUR, NEIGHBOUR6)], GATEWAY, GATEWAY6),
                  ("c2a", "eth0", [(C2A, C2A6), (WEB, WEB6)], "203.0.113.1", "2001:db8:113::1"),
                  ("c2b", "eth0", [(C2B, C2B6)], "198.51.100.1", "2001:db8:51::1"),
                  ("mgmt", "eth0", [(MGMT, MGMT6)], "198.18.0.1", "2001:db8:99::1"),
                  ("ctr", "eth0", [(CTR, CTR6)], "198.18.31.1", "2001:db8:31::1"),
                  ("mac", "mac0", [(MAC, MAC6)], GATEWAY, GATEWAY6)]
        for role, dev, addrs, gw, gw6 in leaves:
            lines = f"link set {dev} up\n"
            for a, a6 in addrs:
                lines += f"addr add {a}/24 dev {dev}\naddr add {a6}/64 dev {dev}\n"
            self.ip(role, lines + f"route add default via {gw}\nroute add default via {gw6}\n")

        def reached():
            return all(self.sh("victim", "ping", "-c1", "-W1", "-q", a, check=False).returncode == 0
                       for a in (C2A, C2A6, C2B6, MGMT6, NEIGHBOUR6, CTR6))
        wait_for("the range is wired", reached, 10)

    def make_keys(self):
        d = self.dir
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{d}/host_key")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{d}/user_key")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=c2.example", "-keyout", f"{d}/key.pem",
            "-out", f"{d}/cert.pem")
        with open(f"{d}/tls.pem", "w", encoding="ascii") as out:
            for part in ("key.pem", "cert.pem"):
                with open(f"{d}/{part}", encoding="ascii") as f:
                    out.write(f.read())
        shutil.copy(f"{d}/user_key.pub", f"{d}/authorized_keys")
        self.hand_over(f"{d}/tls.pem")

    def server(self, role, *what):
        return Talker(self, role, PYTHON, "-B", f"{NET}/server.py", *what,
                      "--cert", f"{self.dir}/tls.pem")

    def servers(self):
        kinds = ("tls:443", "sink:7000", "echo:8443", "send:8444", "udp:5353", "sink:8081")
        self.far = {r: self.server(r, *kinds) for r in ("c2a", "c2b", "neigh")}
        self.serve_in_victim()
        self.start_sshd()

    def serve_in_victim(self):
        self.victim_server = self.server("victim", "echo:8080", "send:8444")

    def start_sshd(self):
        """A real sshd in the victim, with a /run, logs of logins, passwords and names of its own (a private mount
        namespace), so that nothing of the machine's sshd is used or touched."""
        d = self.dir
        with open(f"{d}/sshd_config", "w", encoding="ascii") as f:
            f.write(f"Port 22\nHostKey {d}/host_key\nAuthorizedKeysFile {d}/authorized_keys\n"
                    f"PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin prohibit-password\n"
                    f"PasswordAuthentication no\nUseDNS no\nAllowAgentForwarding no\n"
                    f"MaxStartups 50\nLogLevel ERROR\nSubsystem sftp internal-sftp\n")
        with open("/etc/shadow", encoding="ascii", errors="replace") as f:
            shadow = re.sub(r"(?m)^root:[^:]*:", "root:*:", f.read())
        with open(os.open(f"{d}/shadow", os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as f:
            f.write(shadow)
        with open(f"{d}/hosts", "w", encoding="ascii") as f:
            f.write(f"127.0.0.1 localhost {socket.gethostname()}\n::1 localhost\n")
        with open(f"{d}/resolv.conf", "w", encoding="ascii"):
            pass
        inner = (f"mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 755 /run/sshd && "
                 f"mount -t tmpfs -o mode=755 tmpfs /var/log && "
                 f"mount --bind {d}/hosts /etc/hosts && mount --bind {d}/shadow /etc/shadow && "
                 f"{{ [ ! -e /etc/resolv.conf ] || mount --bind {d}/resolv.conf /etc/resolv.conf; }} && "
                 f"exec /usr/sbin/sshd -D -e -f {d}/sshd_config")
        self.sshd = self.spawn("victim", "unshare", "--mount", "--propagation", "private",
                               "sh", "-c", inner)
        wait_for("sshd answers", lambda: self.ssh("true", check=False).returncode == 0, 15, 0.2)

    def counters(self):
        # What leaves the victim by its cable, at the far end of that cable: the strictest measure.
        self.wire = Counter(self, "router", "pvictim")
        self.at = {r: Counter(self, r, "eth0") for r in ("c2a", "c2b", "neigh", "mgmt")}
        # A second witness of another kind: the outside hosts' own nftables, per source address.
        for role in ("c2a", "c2b", "neigh"):
            self.nft(role, """table inet witness {
    set seen4 { type ipv4_addr; flags dynamic; size 4096; }
    set seen6 { type ipv6_addr; flags dynamic; size 4096; }
    chain pre {
        type filter hook prerouting priority -300
        add @seen4 { ip saddr counter }
        add @seen6 { ip6 saddr counter }
    }
}
""")

    def witness(self, role):
        """{source address: packets} as the outside host's nftables counted them."""
        seen = {}
        for name in ("seen4", "seen6"):
            r = self.sh(role, "nft", "-j", "list", "set", "inet", "witness", name)
            for item in json.loads(r.stdout)["nftables"]:
                for e in item.get("set", {}).get("elem", []):
                    seen[e["elem"]["val"]] = e["elem"]["counter"]["packets"]
        return seen

    def nft(self, role, text):
        return self.sh(role, "nft", "-f", "-", input=text)

    # -- the operator

    def ssh_argv(self, *options, host=VICTIM):
        return ["ssh", "-F", "/dev/null", "-i", f"{self.dir}/user_key", "-o", "IdentitiesOnly=yes",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "LogLevel=ERROR", "-o", f"ConnectTimeout={4 * self.patience}", "-o", "ServerAliveInterval=2",
                "-o", "ServerAliveCountMax=10", "-o", "BatchMode=yes", *options, f"root@{host}"]

    def ssh(self, command, *options, host=VICTIM, check=True, timeout=40, **more):
        return run(*self.enter("mgmt"), *self.ssh_argv(*options, host=host), command,
                   check=check, timeout=timeout, **more)

    def operator(self, *options, **more):
        return Typing(self, *options, **more)

    # -- stanch

    def configure(self, text):
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text)
        self.hand_over(self.config)

    def stanch_argv(self, *args, binary=STANCH, state=None):
        state = state or self.state
        digest = hashlib.sha256(os.path.abspath(state).encode()).hexdigest()[:16]
        self.fallbacks.add("/run/stanch/" + digest)  # where stanch goes when the state's disk fails
        return [binary, *args, "--state", state, "--config", self.config]

    def command(self, *args, **more):
        """The same as one line for a shell."""
        return shlex.join(self.stanch_argv(*args, **more))

    def stanch(self, *args, role="victim", env=None, timeout=60, **more):
        """Runs stanch in a namespace, as at the host's own console: without an operator's session."""
        begun = time.time_ns()
        at_console = ["env", *(f"--unset={k}" for k in ("SSH_CONNECTION", "SSH_CLIENT", "TMUX")),
                      *(f"{k}={v}" for k, v in (env or {}).items())]
        r = self.sh(role, *at_console, *self.stanch_argv(*args, **more), check=False, timeout=timeout)
        return Result(r, begun)

    def stanch_ssh(self, *args, options=(), sudo=False, check=False, timeout=60):
        """Runs stanch in a new ssh session of the operator."""
        begun = time.time_ns()
        line = ("sudo -n " if sudo else "") + self.command(*args)
        return Result(self.ssh(line, *options, check=check, timeout=timeout), begun)

    # -- the story's traffic

    def traffic(self, role, kind, host, port, *rest):
        return Talker(self, role, PYTHON, "-B", f"{NET}/traffic.py", kind, host, str(port),
                      *map(str, rest))

    def bleed(self, scale=10):
        """The playbook's uploads, 56789 : 12345 : 5000, `scale` bytes a second for each."""
        parts = ((C2A, 56789), (C2B, 12345), (NEIGHBOUR, 5000))
        return {host: self.traffic("victim", "upload", host, 443, n * scale) for host, n in parts}

    def redirector(self, role, dev, sender=None):
        """A second veth whose far end, in `role`, redirects every frame by BPF into dev; the name of
        its near end, in `sender` (else in `role`, too)."""
        near, owner = (f"leak-{role[:6]}", sender) if sender else ("leak0", role)
        self.cable(role, "leak1", owner, near)
        # Quiet: what comes out of it are the sender's frames alone.
        for where, link in ((role, "leak1"), (owner, near)):
            self.script(where, f"echo 1 >/proc/sys/net/ipv6/conf/{link}/disable_ipv6;"
                        f" ip link set {link} up")
        links = json.loads(self.sh(role, "ip", "-j", "link", "show", dev).stdout)
        obj = f"{self.dir}/redirect-{role}.o"
        run("clang", "-O2", "-g", "-target", "bpf", "-I", f"/usr/include/{os.uname().machine}-linux-gnu",
            f"-DOUT_IFINDEX={links[0]['ifindex']}", "-c", f"{LEAK}/redirect.bpf.c", "-o", obj)
        self.hand_over(obj)
        # A guard may have been quicker.
        self.sh(role, "tc", "qdisc", "add", "dev", "leak1", "clsact", check=False)
        self.sh(role, "tc", "filter", "add", "dev", "leak1", "ingress", "bpf", "da", "obj", obj,
                "sec", "tc")
        return near

    def leakers(self, target=C2A, target6=C2A6):
        """Every way of sending, from the host and from its containers; see tests/leak/send.py. The
        host's redirect is fed from another namespace: at a device of the host's own the cut would
        stop the frames before they come to the redirect, and prove nothing about it."""
        made = {}
        for place, role, dev, gw, gw6, feeds in (
                ("host", "victim", "eth0", GATEWAY, GATEWAY6, "ctr"),
                ("ctr", "ctr", "eth0", "198.18.31.1", "2001:db8:31::1", None),
                ("mac", "mac", "mac0", GATEWAY, GATEWAY6, None)):
            link = self.redirector(role, dev, feeds)
            if feeds:
                link = f"{link}@/run/netns/{self.ns(feeds)}"
            made[place] = Talker(self, role, "env", f"LEAK_EVERY={self.leak_every}", PYTHON, "-B",
                                 f"{LEAK}/send.py", place, dev, gw, gw6, target, target6, link, ready=30)
        return made

    # -- the kernel's state, by independent tools

    def kernel(self, role="victim"):
        """Rules, tc, XDP and sysctls as text that compares equal exactly when they are equal."""
        rules = json.loads(self.sh(role, "nft", "-s", "-j", "list", "ruleset").stdout)["nftables"]

        def plain(x):
            if isinstance(x, dict):
                return {k: plain(v) for k, v in x.items() if k not in ("handle", "expires", "metainfo")}
            return [plain(v) for v in x] if isinstance(x, list) else x
        links = json.loads(self.sh(role, "ip", "-j", "-d", "link").stdout)
        tc = {}
        for link in links:
            dev = link["ifname"]
            tc[dev] = [self.sh(role, "tc", "qdisc", "show", "dev", dev).stdout.replace("offload", "")]
            for hook in ("ingress", "egress"):
                tc[dev].append(self.sh(role, "tc", "filter", "show", "dev", dev, hook, check=False).stdout)
        sysctls = self.script(role, "cd /proc/sys/net && grep -rs '' . | grep -vE "
                              "'nf_conntrack_count|stable_secret|flush|random|/neigh/.*/gc|tcp_fastopen_key' "
                              "| sort").stdout
        return {"rules": [plain(x) for x in rules if "metainfo" not in x],
                "tc": tc, "xdp": {x["ifname"]: x.get("xdp") for x in links}, "sysctls": sysctls}

    # -- the end

    def close(self):
        for p in self.children:
            if p.poll() is None:
                p.kill()
        for p in self.children:
            p.wait()
            for pipe in (p.stdin, p.stdout):
                if pipe:
                    try:
                        pipe.close()
                    except OSError:
                        pass
        for role in ROLES:
            if os.path.exists("/run/netns/" + self.ns(role)):
                remove_netns(self.ns(role))
        if self.dir:
            self.log.close()
            for folder in self.fallbacks:
                shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(self.dir, ignore_errors=True)
            try:
                os.unlink(record_path(os.getpid()))
            except OSError:
                pass

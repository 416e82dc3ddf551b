# SPDX-License-Identifier: GPL-3.0-or-later
"""A NETCONF server that nobody here wrote (yuma123's netconfd) with a Junos-like model loaded, behind a
real sshd on loopback; read and changed by ncclient, which nobody here wrote either."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from lxml import etree
from ncclient import manager

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
STANCH = os.environ.get("STANCH", os.path.join(TOP, "build", "stanch"))
NS = "http://xml.juniper.net/xnm/1.1/xnm"
MODEL = os.path.join(TOP, "tests", "doubles", "junos")

# A filter that is bound twice, a list, an interface with nothing bound; and what must never change.
START = f"""<config><configuration xmlns="{NS}">
<system><host-name>core</host-name></system>
<firewall><family>
<inet>
 <filter><name>edge-in</name>
  <term><name>ssh</name><from><protocol>tcp</protocol><destination-port>22</destination-port></from>
   <then><accept/></then></term>
  <term><name>all</name><then><accept/></then></term></filter>
 <filter><name>count-all</name><term><name>all</name><then><count>all</count><accept/></then></term></filter>
</inet>
<inet6><filter><name>edge6-in</name><term><name>all</name><then><accept/></then></term></filter></inet6>
</family></firewall>
<interfaces>
 <interface><name>ge-0/0/0</name><unit><name>0</name><family>
  <inet><filter><input><filter-name>edge-in</filter-name></input>
   <output-list>count-all</output-list></filter>
   <address><name>203.0.113.1/24</name></address></inet>
  <inet6><filter><input><filter-name>edge6-in</filter-name></input></filter></inet6>
 </family></unit></interface>
 <interface><name>ge-0/0/1</name><unit><name>0</name><family>
  <inet><address><name>192.0.2.1/24</name></address></inet><inet6/></family></unit></interface>
 <interface><name>ge-0/0/2</name><unit><name>0</name><family>
  <inet><filter><input><filter-name>edge-in</filter-name></input></filter></inet></family></unit></interface>
</interfaces></configuration></config>"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, ok, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ok():
            return
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds} s")


def normal(text):
    """Without white space between elements and without empty containers: they mean nothing (RFC 7950 7.5.1),
    and netconfd leaves them where something was."""
    root = etree.fromstring(text.encode() if isinstance(text, str) else text,
                            etree.XMLParser(remove_blank_text=True))
    root = root if etree.QName(root).localname == "configuration" else root.find(f".//{{{NS}}}configuration")
    for e in list(root.iter(f"{{{NS}}}filter")):
        if not len(e) and not (e.text or "").strip():
            e.getparent().remove(e)
    etree.cleanup_namespaces(root)
    return etree.tostring(root, with_tail=False).decode()


class Config:
    """A configuration as text, to be asked."""

    def __init__(self, text):
        self.root = etree.fromstring(text)

    def terms(self, filter_name, family="inet"):
        path = f"//c:family/c:{family}/c:filter[c:name='{filter_name}']/c:term/c:name"
        return [e.text for e in self.root.xpath(path, namespaces={"c": NS})]

    def text(self, path):
        return [e.text for e in self.root.xpath(path, namespaces={"c": NS})]


class PointBed:
    """A directory with keys, the processes of a server, and stanch's configuration for it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="stanch-nc-")
        self.procs = []
        self.port = free_port()

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self):
        raise NotImplementedError

    def __enter__(self):
        try:
            for key in ("host", "user"):
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.path(key)],
                               check=True)
            out = subprocess.run(["ssh-keygen", "-l", "-f", self.path("host.pub")], check=True,
                                 capture_output=True, text=True).stdout
            self.host_key = out.split()[1]
            self.start()
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *why):
        for p in reversed(self.procs):
            if p.poll() is None:
                os.killpg(p.pid, signal.SIGKILL)
            p.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def spawn(self, *argv):
        with open(self.path("log"), "ab") as log:
            p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 start_new_session=True, cwd=self.dir)
        self.procs.append(p)
        return p

    def answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def config(self, host_key=None, key=None, timeout="15s"):
        with open(self.path("stanch.conf"), "w", encoding="utf-8") as f:
            f.write(f"""
asset web01 {{
  address = {{"192.0.2.10", "2001:db8::10"}}
  points = {{"core-junos"}}
  interface = {{"core-junos:ge-0/0/1.0"}}
}}
asset web02 {{
  address = {{"192.0.2.11"}}
  points = {{"core-junos"}}
  interface = {{"core-junos:ge-0/0/2.0"}}
}}
point core-junos {{
  driver = "junos"
  address = "127.0.0.1:{self.port}"
  user = "root"
  key_file = "{key or self.path('user')}"
  host_key = "{host_key or self.host_key}"
  interfaces = {{"ge-0/0/0.0"}}
  timeout = "{timeout}"
}}
""")
        return self.path("stanch.conf")

    def sticky(self, port):
        """From now on the device keeps sessions that carry the port; 0: none."""
        with open(self.path("device.sticky"), "w", encoding="ascii") as f:
            f.write(str(port))

    @contextlib.contextmanager
    def router(self):
        """The device knows no flow sessions, as long as this lasts."""
        with open(self.path("device.router"), "w", encoding="ascii"):
            pass
        try:
            yield
        finally:
            os.unlink(self.path("device.router"))

    def argv(self, *argv, config=None):
        return [STANCH, "--state", self.path("state"), "--config", config or self.config(), *argv]

    def stanch(self, *argv, config=None, timeout=120):
        return subprocess.run(self.argv(*argv, config=config), capture_output=True, text=True,
                              timeout=timeout, check=False)


class NetconfBed(PointBed):
    """netconfd behind sshd and the relay that can cut sessions off."""

    def start(self):
        shutil.copy(os.path.join(MODEL, "junos-double.yang"), self.dir)
        self.start_netconfd()
        self.start_sshd()
        with self.client() as m:
            m.edit_config(START, target="candidate")
            m.commit()

    def start_netconfd(self):
        """It keeps files in its user's home, so it gets one of its own in a mount namespace."""
        argv = (f"netconfd --module=junos-double --modpath={self.dir}:/usr/share/yuma/modules "
                f"--no-startup --superuser=root --port={self.port} --target=candidate "
                f"--ncxserver-sockname={self.path('ncx.sock')} "
                f"--log-level=warn --log={self.path('netconfd.log')}")
        self.private(f"mount -t tmpfs -o mode=700 tmpfs /root && exec {argv}")
        wait_for("netconfd listens", lambda: os.path.exists(self.path("ncx.sock")))

    def private(self, script):
        return self.spawn("unshare", "--mount", "--propagation", "private", "sh", "-c", script)

    def start_sshd(self):
        with open(self.path("sshd_config"), "w", encoding="ascii") as f:
            f.write(f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.path('host')}\n"
                    f"AuthorizedKeysFile {self.path('user.pub')}\nStrictModes no\nUsePAM no\n"
                    f"PidFile {self.path('sshd.pid')}\nPermitRootLogin prohibit-password\n"
                    "PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\n"
                    f"Subsystem netconf /usr/bin/python3 {HERE}/netconf_relay.py {self.dir} "
                    f"/usr/sbin/netconf-subsystem --ncxserver-sockname={self.port}@{self.path('ncx.sock')}\n")
        self.private("mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 755 /run/sshd && "
                     f"exec /usr/sbin/sshd -D -e -f {self.path('sshd_config')}")
        wait_for("sshd answers", self.answers)

    def client(self):
        return manager.connect(host="127.0.0.1", port=self.port, username="root",
                               key_filename=self.path("user"), hostkey_verify=False,
                               allow_agent=False, look_for_keys=False, timeout=20)

    def running(self):
        """As ncclient reads it."""
        with self.client() as m:
            return normal(m.get_config("running").data_xml)

    def requests(self):
        try:
            return os.path.getsize(self.path("requests"))
        except FileNotFoundError:
            return 0

    def fault(self, how=None, n=0):
        """From now on: none, or before or after the n-th request."""
        for name in ("fault", "requests"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        if how:
            with open(self.path("fault"), "w", encoding="ascii") as f:
                f.write(f"{how} {n}")

    def edit(self, body):
        with self.client() as m:
            m.edit_config(f'<config xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"><configuration '
                          f'xmlns="{NS}">{body}</configuration></config>', target="candidate")
            m.commit()


class JunosBed(PointBed):
    """The double that keeps the order of terms and knows operational commands."""

    def start(self):
        with open(self.path("start.xml"), "w", encoding="utf-8") as f:
            f.write(normal(START))
        self.spawn("/usr/bin/python3", os.path.join(MODEL, "server.py"), str(self.port), self.path("host"),
                   self.path("user"), self.path("start.xml"), self.path("device"))
        wait_for("the device answers", self.answers)

    def running(self):
        with open(self.path("device.running"), encoding="utf-8") as f:
            return normal(f.read())

    def log(self):
        with open(self.path("device"), encoding="utf-8") as f:
            return f.read().splitlines()

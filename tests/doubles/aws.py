# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS in one process: moto, with what AWS does otherwise put right, faults on demand, and a scene.

  .venv/bin/python tests/doubles/aws.py DIR      prints the ids of the scene as one line of JSON

It listens on two ports of 127.0.0.1, plain and TLS (its certificate is DIR/server.pem, for that address
alone), and is the metadata service of instance ID under /m/ID.

What moto 5.2 does that AWS does not (AWS's API reference and user guides say so), and is put right:
an interface shows the groups of its instance besides its own; a group in use can be deleted; network
ACLs have no quota, no filter network-acl-id, and ignore DryRun; deleting an absent entry is a crash;
lists have no pages; signatures are checked (moto does that) over the form written anew, not as it came.

POST /_double {"at": N, "how": "…", "times": N}: from the Nth call on, that many go wrong:
  before    the connection is lost before the call is carried out
  after     it is carried out, and the answer is lost
  throttle  RequestLimitExceeded
  broken    HTTP 500 without any sense
  expired   the credentials have run out
  garbage   the answer is no XML
  delay     answers, half a second late
GET /_double: {"calls": those since the last POST, "world": what there is, read behind the API's back}.
"""
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

os.environ.setdefault("AWS_ACCESS_KEY_ID", "setup")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "setup")
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

import boto3  # noqa: E402
from moto import settings  # noqa: E402
from moto.autoscaling.models import autoscaling_backends  # noqa: E402
from moto.ec2.models import ec2_backends  # noqa: E402
from moto.iam.models import iam_backends  # noqa: E402
from moto.iam import access_control  # noqa: E402
from moto.ec2 import exceptions as ec2_errors  # noqa: E402
from moto.ec2.models import elastic_network_interfaces as eni_models  # noqa: E402
from moto.ec2.models import network_acls as acl_models  # noqa: E402
from moto.ec2.models import security_groups as group_models  # noqa: E402
from moto.ec2.responses import elastic_network_interfaces as eni_answers  # noqa: E402
from moto.ec2.responses import network_acls as acl_answers  # noqa: E402
from moto.moto_server.werkzeug_app import (  # noqa: E402
    DomainDispatcherApplication, MotoRequestHandler, create_backend_app)
from werkzeug.serving import make_server  # noqa: E402

REGION = "eu-west-1"
ACCOUNT = "123456789012"
QUOTA = 20
PAGE = 2
here = threading.local()  # .body: of this thread's request


# --- moto, put right -------------------------------------------------------------------------------

class AclFull(ec2_errors.EC2ClientError):
    def __init__(self):
        super().__init__("NetworkAclEntryLimitExceeded", "The maximum number of entries was reached.")


class NoEntry(ec2_errors.EC2ClientError):
    def __init__(self, number):
        super().__init__("InvalidNetworkAclEntry.NotFound", f"The entry {number} does not exist.")


def put_right():
    def as_it_came(self):
        names = self._get_string_between("SignedHeaders=", ",", self._headers["Authorization"])
        headers = self._create_headers_for_aws_request(names.split(";"), self._headers)
        request = access_control.AWSRequest(method=self._method, url=self._path, data=here.body,
                                            headers=headers)
        request.context["timestamp"] = headers["X-Amz-Date"]
        return request
    access_control.IAMRequestBase._create_aws_request = as_it_came

    eni = eni_models.NetworkInterface
    eni.group_set = property(lambda self: self._group_set)

    backend = acl_models.NetworkAclBackend
    create, delete = backend.create_network_acl_entry, backend.delete_network_acl_entry

    def create_capped(self, network_acl_id, rule_number, protocol, rule_action, egress, cidr_block,
                      *args, ipv6_cidr_block=None, **kw):
        acl = self.get_network_acl(network_acl_id)
        same = [e for e in acl.network_acl_entries if e.egress == egress and
                bool(e.ipv6_cidr_block) == bool(ipv6_cidr_block)]
        taken = any(e.egress == egress and e.rule_number == rule_number
                    for e in acl.network_acl_entries)
        if len(same) >= QUOTA and not taken:
            raise AclFull
        return create(self, network_acl_id, rule_number, protocol, rule_action, egress, cidr_block,
                      *args, ipv6_cidr_block=ipv6_cidr_block, **kw)

    def delete_checked(self, network_acl_id, rule_number, egress):
        if not any(e.egress == egress and e.rule_number == rule_number
                   for e in self.get_network_acl(network_acl_id).network_acl_entries):
            raise NoEntry(rule_number)
        return delete(self, network_acl_id, rule_number, egress)

    backend.create_network_acl_entry = create_capped
    backend.delete_network_acl_entry = delete_checked

    value = acl_models.NetworkAcl.get_filter_value
    acl_models.NetworkAcl.get_filter_value = lambda self, name, method_name=None: (
        self.id if name == "network-acl-id" else value(self, name, method_name))

    for name in ("create_network_acl_entry", "delete_network_acl_entry"):
        plain = getattr(acl_answers.NetworkACLs, name)

        def dry(self, plain=plain):
            self.error_on_dryrun()
            return plain(self)
        setattr(acl_answers.NetworkACLs, name, dry)

    remove = group_models.SecurityGroupBackend.delete_security_group

    def remove_unused(self, name=None, group_id=None):
        if any(g.id == group_id for e in self.enis.values() for g in e._group_set):
            raise ec2_errors.DependencyViolationError(f"{group_id} has a dependent object")
        return remove(self, name, group_id)
    group_models.SecurityGroupBackend.delete_security_group = remove_unused

    addr = eni.get_filter_value

    def more_filters(self, name, method_name=None):
        if name == "ipv6-addresses.ipv6-address":
            return self.ipv6_addresses
        if name == "addresses.association.public-ip":
            return [self.public_ip] if self.public_ip else []
        return addr(self, name, method_name)
    eni.get_filter_value = more_filters

    everything = eni_answers.ElasticNetworkInterfaces.describe_network_interfaces

    def by_pages(self):
        answer = everything(self)
        rows = answer.result["NetworkInterfaces"]
        if self._get_param("MaxResults"):
            at = int(self._get_param("NextToken") or 0)
            answer.result["NetworkInterfaces"] = rows[at:at + PAGE]
            if at + PAGE < len(rows):
                answer.result["NextToken"] = str(at + PAGE)
        return answer
    eni_answers.ElasticNetworkInterfaces.describe_network_interfaces = by_pages


# --- what there is ---------------------------------------------------------------------------------

def rules(those):
    return sorted(str([r.ip_protocol, r.from_port, r.to_port, r.ip_range, r.source_group])
                  for r in those)


def world():
    ec2, iam = ec2_backends[ACCOUNT][REGION], iam_backends[ACCOUNT]["aws"]
    scaling = autoscaling_backends[ACCOUNT][REGION]
    return {
        "interfaces": {e.id: sorted(g.id for g in e._group_set) for e in ec2.enis.values()},
        "groups": {g.id: {"name": g.name, "in": rules(g.ingress_rules),
                          "out": rules(g.egress_rules)}
                   for gs in ec2.groups.values() for g in gs.values()},
        "acls": {a.id: sorted([e.egress, int(e.rule_number), e.rule_action, e.protocol,
                               e.cidr_block or e.ipv6_cidr_block] for e in a.network_acl_entries)
                 for a in ec2.network_acls.values()},
        "tags": {k: dict(v) for k, v in ec2.tags.items()
                 if "stanch" in v and k.startswith("i-")},
        "snapshots": sorted(s.id for s in ec2.snapshots.values()),
        "policies": {r.name: dict(r.policies) for r in iam.roles.values()},
        "scaling": {s.instance.id: s.lifecycle_state
                    for g in scaling.autoscaling_groups.values() for s in g.instance_states},
    }


# --- faults ----------------------------------------------------------------------------------------

def error(code):
    return (f"<Response><Errors><Error><Code>{code}</Code><Message>As asked for.</Message></Error>"
            "</Errors><RequestID>x</RequestID></Response>").encode()


ANSWERS = {"throttle": ("503 Service Unavailable", error("RequestLimitExceeded")),
           "broken": ("500 Internal Server Error", b"oops"),
           "expired": ("400 Bad Request", error("RequestExpired"))}


class Faults:
    def __init__(self, app):
        self.app, self.lock = app, threading.Lock()
        self.calls, self.fault, self.lent = [], {}, {}

    def control(self, environ, start):
        if environ["REQUEST_METHOD"] == "POST":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            with self.lock:
                self.fault, self.calls = json.loads(body or b"{}"), []
        out = json.dumps({"calls": self.calls, "world": world()}).encode()
        start("200 OK", [("Content-Length", str(len(out)))])
        return [out]

    def metadata(self, environ, start):
        """IMDSv2: nothing without the token that a PUT gives."""
        _, _, instance, path = environ["PATH_INFO"].split("/", 3)
        answers = {"latest/api/token": "t0ken", "latest/meta-data/instance-id": instance,
                   "latest/meta-data/iam/security-credentials/": "responder",
                   "latest/meta-data/iam/security-credentials/responder": json.dumps(self.lent)}
        method = "PUT" if path == "latest/api/token" else "GET"
        allowed = method == "PUT" or environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN") == "t0ken"
        good = path in answers and allowed and environ["REQUEST_METHOD"] == method
        self.calls.append(f"metadata {path}")
        out = answers[path].encode() if good else b"no"
        start("200 OK" if good else "401 Unauthorized", [("Content-Length", str(len(out)))])
        return [out]

    def due(self, action):
        with self.lock:
            self.calls.append(action)
            at = self.fault.get("at", 0)
            if at and at <= len(self.calls) < at + self.fault.get("times", 1):
                return self.fault["how"]
        return None

    def hang_up(self, environ):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError

    def __call__(self, environ, start):
        if environ["PATH_INFO"] == "/_double":
            return self.control(environ, start)
        if environ["PATH_INFO"].startswith("/m/"):
            return self.metadata(environ, start)
        n = int(environ.get("CONTENT_LENGTH") or 0)
        body = here.body = environ["wsgi.input"].read(n)
        environ["wsgi.input"] = io.BytesIO(body)
        form = urllib.parse.parse_qs(body.decode(errors="replace"))
        action = form.get("Action", ["?"])[0] + (" dry" if "DryRun" in form else "")
        how = self.due(action)
        if how == "before":
            self.hang_up(environ)
        if how in ANSWERS:
            status, out = ANSWERS[how]
            start(status, [("Content-Length", str(len(out)))])
            return [out]
        if how == "delay":
            time.sleep(0.5)
        if how not in ("after", "garbage"):
            return self.app(environ, start)
        list(self.app(environ, lambda status, headers, exc=None: lambda b: None))
        if how == "after":
            self.hang_up(environ)
        start("200 OK", [("Content-Length", "9")])
        return [b"<a><b></a"]


# --- the scene -------------------------------------------------------------------------------------

RIGHTS = {"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Resource": "*", "Action": [
        "ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups",
        "ec2:DescribeNetworkAcls", "ec2:DescribeSnapshots", "ec2:CreateSecurityGroup",
        "ec2:DeleteSecurityGroup", "ec2:AuthorizeSecurityGroupIngress",
        "ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
        "ec2:RevokeSecurityGroupEgress", "ec2:ModifyNetworkInterfaceAttribute", "ec2:CreateTags",
        "ec2:DeleteTags", "ec2:CreateNetworkAclEntry", "ec2:DeleteNetworkAclEntry",
        "ec2:CreateSnapshots", "autoscaling:DescribeAutoScalingInstances",
        "autoscaling:DescribeAutoScalingGroups", "autoscaling:EnterStandby",
        "autoscaling:ExitStandby", "iam:GetInstanceProfile", "iam:GetRolePolicy",
        "iam:PutRolePolicy", "iam:DeleteRolePolicy", "sts:GetCallerIdentity", "sts:AssumeRole"]}]}
READ_ONLY = {"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Resource": "*", "Action": ["ec2:Describe*", "sts:GetCallerIdentity"]}]}
ANYBODY = {"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Resource": "*", "Action": "*"}]}


def user(iam, name, policy):
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def launch(ec2, subnet, groups, **more):
    one = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnet,
                            SecurityGroupIds=groups, **more)["Instances"][0]
    first = one["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=first, Groups=groups)
    return one["InstanceId"], first


def scene(url):
    def client(name):
        return boto3.client(name, region_name=REGION, endpoint_url=url)
    ec2, iam, scaling = client("ec2"), client("iam"), client("autoscaling")
    s = {"region": REGION}
    s["users"] = {"stanch": user(iam, "stanch", RIGHTS), "weak": user(iam, "weak", READ_ONLY),
                  "admin": user(iam, "admin", EVERYTHING)}
    for role in ("web", "responder"):
        s[role] = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(ANYBODY))[
            "Role"]["Arn"]
    iam.put_role_policy(RoleName="responder", PolicyName="p", PolicyDocument=json.dumps(RIGHTS))
    profile = iam.create_instance_profile(InstanceProfileName="web-profile")["InstanceProfile"]
    iam.add_role_to_instance_profile(InstanceProfileName="web-profile", RoleName="web")

    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    v6 = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0][
        "Ipv6CidrBlock"].split("::")[0]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{i}.0/24",
                                 Ipv6CidrBlock=f"{v6[:-1]}{i}::/64")["Subnet"]["SubnetId"]
               for i in (1, 2)]
    groups = [ec2.create_security_group(GroupName=n, Description=n, VpcId=vpc)["GroupId"]
              for n in ("web", "ssh", "mon")]
    for g in groups:
        ec2.authorize_security_group_ingress(GroupId=g, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 443,
             "IpRanges": [{"CidrIp": "10.0.0.0/8"}], "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}]}])
    target, first = launch(ec2, subnets[0], groups[:2], PrivateIpAddress="10.9.1.10",
                           IamInstanceProfile={"Arn": profile["Arn"]})
    second = ec2.create_network_interface(
        SubnetId=subnets[1], PrivateIpAddress="10.9.2.10", Groups=[groups[2], groups[0]],
        Ipv6Addresses=[{"Ipv6Address": f"{v6[:-1]}2::10"}])["NetworkInterface"]["NetworkInterfaceId"]
    ec2.attach_network_interface(NetworkInterfaceId=second, InstanceId=target, DeviceIndex=1)
    ec2.create_tags(Resources=[target], Tags=[{"Key": "Name", "Value": "web <1> & co"}])
    bystander, other = launch(ec2, subnets[0], groups[:1], PrivateIpAddress="10.9.1.11")
    acl = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}])[
        "NetworkAcls"][0]["NetworkAclId"]
    ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=99, Protocol="-1", RuleAction="deny",
                                 Egress=True, CidrBlock="198.51.100.99/32")
    ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=98, Protocol="6", RuleAction="deny",
                                 Egress=False, CidrBlock="198.51.100.98/32",
                                 PortRange={"From": 25, "To": 25})

    scaling.create_launch_configuration(LaunchConfigurationName="lc", ImageId="ami-12345678",
                                        InstanceType="t2.micro", SecurityGroups=groups[:1])
    scaling.create_auto_scaling_group(AutoScalingGroupName="fleet", LaunchConfigurationName="lc",
                                      MinSize=1, MaxSize=4, DesiredCapacity=2,
                                      VPCZoneIdentifier=subnets[0])
    member = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["fleet"])[
        "AutoScalingGroups"][0]["Instances"][0]["InstanceId"]
    s.update(vpc=vpc, subnets=subnets, groups=groups, target=target, interfaces=[first, second],
             v6=f"{v6[:-1]}2::10", bystander=bystander, bystander_interface=other, acl=acl,
             member=member)
    return s


def listen(app, tls=None):
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler,
                         ssl_context=tls)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.port


def certificate(folder):
    files = [os.path.join(folder, n) for n in ("server.pem", "server.key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=double", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-days", "2", "-out", files[0], "-keyout",
                    files[1]], check=True, capture_output=True)
    return tuple(files)


def main():
    put_right()
    app = Faults(DomainDispatcherApplication(create_backend_app))
    port = listen(app)
    s = scene(f"http://127.0.0.1:{port}")
    lent = boto3.client("sts", region_name=REGION, endpoint_url=f"http://127.0.0.1:{port}").assume_role(
        RoleArn=s["responder"], RoleSessionName="instance")["Credentials"]
    app.lent = {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": lent["AccessKeyId"],
                "SecretAccessKey": lent["SecretAccessKey"], "Token": lent["SessionToken"],
                "Expiration": "2099-01-01T00:00:00Z"}
    s.update(port=port, tls_port=listen(app, certificate(sys.argv[1])))
    s["lent"] = [lent["SecretAccessKey"], lent["SessionToken"]]
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    print(json.dumps(s), flush=True)
    sys.stdin.read()  # until whoever started it has gone


main()

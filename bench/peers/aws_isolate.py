# SPDX-License-Identifier: GPL-3.0-or-later
"""What `stanch isolate` does at AWS, done by the SDK: run by bench/aws.py in .venv.

  aws_isolate.py URL ADDRESS isolate|undo STATE
"""
import json
import sys

import boto3

url, address, verb, state = sys.argv[1:]
ec2 = boto3.client("ec2", endpoint_url=url)


def read(name, *values):
    return ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": values}])[
        "NetworkInterfaces"]


def isolate():
    instance = read("addresses.private-ip-address", address)[0]["Attachment"]["InstanceId"]
    ec2.describe_instances(InstanceIds=[instance])
    interfaces = read("attachment.instance-id", instance)
    before = {i["NetworkInterfaceId"]: [g["GroupId"] for g in i["Groups"]] for i in interfaces}
    ec2.describe_security_groups(GroupIds=sorted({g for gs in before.values() for g in gs}))
    vpc = interfaces[0]["VpcId"]
    every = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
              "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]
    ours = ec2.create_security_group(GroupName="sdk-q", Description="q", VpcId=vpc)["GroupId"]
    ec2.revoke_security_group_egress(GroupId=ours, IpPermissions=every)
    kept = [{"IpProtocol": p, "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.7/32"}]}
            for p in ("tcp", "udp")]
    ec2.authorize_security_group_ingress(GroupId=ours, IpPermissions=kept)
    ec2.authorize_security_group_egress(GroupId=ours, IpPermissions=kept)
    through = ec2.create_security_group(GroupName="sdk-o", Description="o", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=through, IpPermissions=every)
    for group in (through, ours):
        for i in before:
            ec2.modify_network_interface_attribute(NetworkInterfaceId=i, Groups=[group])
    ec2.create_tags(Resources=[instance], Tags=[{"Key": "sdk", "Value": "q"}])
    ec2.delete_security_group(GroupId=through)
    after = read("attachment.instance-id", instance)
    assert all([g["GroupId"] for g in i["Groups"]] == [ours] for i in after)
    group = ec2.describe_security_groups(GroupIds=[ours])["SecurityGroups"][0]
    assert len(group["IpPermissions"]) == len(group["IpPermissionsEgress"]) == 2
    with open(state, "w", encoding="utf-8") as f:
        json.dump({"instance": instance, "ours": ours, "before": before}, f)


def undo():
    with open(state, encoding="utf-8") as f:
        s = json.load(f)
    for i, groups in s["before"].items():
        ec2.modify_network_interface_attribute(NetworkInterfaceId=i, Groups=groups)
    ec2.delete_tags(Resources=[s["instance"]], Tags=[{"Key": "sdk"}])
    ec2.delete_security_group(GroupId=s["ours"])


{"isolate": isolate, "undo": undo}[verb]()

"""Resources of a workload for the responder to act on: networks, and instances with chosen
traits.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from . import settings
from .clients import Aws

IMAGE = "ami-12c6146b"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
_WORKLOAD_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
    ],
}


@dataclass(frozen=True)
class Network:
    """A VPC with two subnets and an open security group."""

    vpc: str
    subnets: list[str]
    security_group: str
    ipv6: bool


@dataclass
class Victim:
    """An instance and everything around it, by id; ``groups`` are each interface's original
    groups.
    """

    account: str
    region: str
    instance: str
    vpc: str
    subnet: str
    subnets: list[str]
    security_group: str
    interfaces: list[str] = field(default_factory=list)
    branches: list[str] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)
    auto_scaling_group: str | None = None
    launch_template: str | None = None
    target_group: str | None = None
    load_balancer: str | None = None
    instance_profile: str | None = None
    instance_profile_arn: str | None = None
    role: str | None = None
    role_id: str | None = None
    elastic_ip: dict[str, str] | None = None
    flow_log: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return asdict(self)


def _tags(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def network(
    aws: Aws, account: str = settings.MEMBER_ACCOUNT, *, ipv6: bool = True, name: str = "workload"
) -> Network:
    """Make a VPC (IPv6 too, unless asked not to), a subnet in two zones, and a group with open
    egress, v4 and v6.
    """
    ec2 = aws.client("ec2", account)
    vpc = ec2.create_vpc(
        CidrBlock="10.20.0.0/16",
        AmazonProvidedIpv6CidrBlock=ipv6,
        TagSpecifications=_tags("vpc", name),
    )["Vpc"]
    blocks = [item["Ipv6CidrBlock"] for item in vpc.get("Ipv6CidrBlockAssociationSet", [])]
    subnets = []
    for index, zone in enumerate(("a", "b")):
        extra = {}
        if ipv6 and blocks:
            extra["Ipv6CidrBlock"] = str(
                list(ipaddress.ip_network(blocks[0]).subnets(new_prefix=64))[index]
            )
        subnet = ec2.create_subnet(
            VpcId=vpc["VpcId"],
            CidrBlock=f"10.20.{index}.0/24",
            AvailabilityZone=f"{aws.region}{zone}",
            **extra,
        )
        subnets.append(subnet["Subnet"]["SubnetId"])
    group = ec2.create_security_group(
        GroupName=f"{name}-web", Description="workload", VpcId=vpc["VpcId"]
    )["GroupId"]
    world = {
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
        "Ipv6Ranges": [{"CidrIpv6": "::/0"}] if ipv6 else [],
    }
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **world}],
    )
    return Network(vpc["VpcId"], subnets, group, ipv6)


def profile(aws: Aws, account: str, name: str) -> tuple[str, str]:
    """Make a role that EC2 may assume and an instance profile of the same name: (profile ARN, role
    id).
    """
    iam = aws.client("iam", account)
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))["Role"]
    iam.put_role_policy(
        RoleName=name, PolicyName="workload", PolicyDocument=json.dumps(_WORKLOAD_POLICY)
    )
    arn = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return arn, role["RoleId"]


def _behind_target_group(aws: Aws, victim: Victim, name: str) -> str:
    balancing = aws.client("elbv2", victim.account)
    group = balancing.create_target_group(
        Name=name[:32], Protocol="HTTP", Port=80, VpcId=victim.vpc, TargetType="instance"
    )["TargetGroups"][0]["TargetGroupArn"]
    balancer = balancing.create_load_balancer(
        Name=name[:32], Subnets=victim.subnets, SecurityGroups=[victim.security_group]
    )["LoadBalancers"][0]["LoadBalancerArn"]
    balancing.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    victim.target_group, victim.load_balancer = group, balancer
    return str(group)


def _in_auto_scaling_group(aws: Aws, victim: Victim, name: str) -> str:
    """Launch the instance through a group of one; returns its id."""
    data: dict[str, Any] = {
        "ImageId": IMAGE,
        "InstanceType": "t3.micro",
        "SecurityGroupIds": [victim.security_group],
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20, "DeleteOnTermination": True}}
        ],
    }
    if victim.instance_profile:
        data["IamInstanceProfile"] = {"Name": victim.instance_profile}
    template = aws.client("ec2", victim.account).create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=data
    )
    victim.launch_template = template["LaunchTemplate"]["LaunchTemplateId"]
    scaling = aws.client("autoscaling", victim.account)
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchTemplate={"LaunchTemplateId": victim.launch_template, "Version": "$Latest"},
        MinSize=1,
        MaxSize=3,
        DesiredCapacity=1,
        VPCZoneIdentifier=victim.subnet,
        TargetGroupARNs=[victim.target_group] if victim.target_group else [],
    )
    victim.auto_scaling_group = name
    group = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][
        0
    ]
    return str(group["Instances"][0]["InstanceId"])


def _alone(aws: Aws, victim: Victim) -> str:
    extra = (
        {"IamInstanceProfile": {"Name": victim.instance_profile}} if victim.instance_profile else {}
    )
    ec2 = aws.client("ec2", victim.account)
    instance = ec2.run_instances(
        ImageId=IMAGE,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        SubnetId=victim.subnet,
        SecurityGroupIds=[victim.security_group],
        **extra,
    )["Instances"][0]["InstanceId"]
    zone = f"{aws.region}a"
    volume = ec2.create_volume(Size=20, AvailabilityZone=zone)["VolumeId"]
    ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    if victim.target_group:
        aws.client("elbv2", victim.account).register_targets(
            TargetGroupArn=victim.target_group, Targets=[{"Id": instance, "Port": 80}]
        )
    return str(instance)


def _more_interfaces(aws: Aws, victim: Victim, count: int, requester_managed: bool) -> None:
    ec2 = aws.client("ec2", victim.account)
    for index in range(1, count):
        interface = ec2.create_network_interface(
            SubnetId=victim.subnet, Groups=[victim.security_group], Description=f"interface {index}"
        )["NetworkInterface"]["NetworkInterfaceId"]
        ec2.attach_network_interface(
            NetworkInterfaceId=interface, InstanceId=victim.instance, DeviceIndex=index
        )
        if requester_managed and index == count - 1:
            tags = [{"Key": "sandbox:requester-managed", "Value": "true"}]
            ec2.create_tags(Resources=[interface], Tags=tags)


def _add_branches(aws: Aws, victim: Victim, index: int, count: int) -> None:
    """Attach a trunk interface, and give it branch interfaces as Amazon EKS does for pods with
    security groups of their own: a branch has no attachment, a tag names its trunk.
    """
    ec2 = aws.client("ec2", victim.account)
    place = {"SubnetId": victim.subnet, "Groups": [victim.security_group]}

    def make(kind: str, **tags: str) -> str:
        tagged = {"sandbox:interface-type": kind, **tags}
        made = ec2.create_network_interface(
            **place,
            Description=f"aws-k8s-{kind}-eni",
            TagSpecifications=[
                {
                    "ResourceType": "network-interface",
                    "Tags": [{"Key": key, "Value": value} for key, value in tagged.items()],
                }
            ],
        )
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    trunk = make("trunk")
    ec2.attach_network_interface(
        NetworkInterfaceId=trunk, InstanceId=victim.instance, DeviceIndex=index
    )
    named = {"vpcresources.k8s.aws/trunk-eni-id": trunk}
    victim.branches = [make("branch", **named) for _ in range(count)]


def _give_address(aws: Aws, victim: Victim) -> None:
    ec2 = aws.client("ec2", victim.account)
    address = ec2.allocate_address(Domain="vpc")
    association = ec2.associate_address(
        AllocationId=address["AllocationId"], NetworkInterfaceId=victim.interfaces[0]
    )["AssociationId"]
    victim.elastic_ip = {
        "allocation_id": address["AllocationId"],
        "association_id": association,
        "public_ip": address["PublicIp"],
    }


def flow_log(aws: Aws, victim: Victim, minutes: int = 30) -> str:
    """Make a flow log of the victim's VPC to CloudWatch Logs, with a record a minute of a talk to a
    mining pool. Returns its id.
    """
    ec2 = aws.client("ec2", victim.account)
    logs = aws.client("logs", victim.account)
    group = f"/vpc/{victim.vpc}"
    logs.create_log_group(logGroupName=group)
    made = ec2.create_flow_logs(
        ResourceIds=[victim.vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogGroupName=group,
        MaxAggregationInterval=60,
        DeliverLogsPermissionArn=f"arn:aws:iam::{victim.account}:role/flow-logs",
    )["FlowLogIds"][0]
    now = int(time.time())
    for interface in victim.interfaces:
        stream = f"{interface}-all"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = []
        for at in range(now - 60 * minutes, now, 60):
            line = (
                f"2 {victim.account} {interface} 10.20.0.10 203.0.113.9 49152 3333 6 12 1016 {at}"
                f" {at + 59} ACCEPT OK"
            )
            events.append({"timestamp": at * 1000, "message": line})
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    victim.flow_log = str(made)
    return str(made)


def describe(aws: Aws, account: str, instance: str) -> dict[str, Any]:
    """Return the instance as DescribeInstances shows it."""
    found = aws.client("ec2", account).describe_instances(InstanceIds=[instance])
    shown: dict[str, Any] = found["Reservations"][0]["Instances"][0]
    return shown


def instance(
    aws: Aws,
    account: str = settings.MEMBER_ACCOUNT,
    *,
    region: str | None = None,
    interfaces: int = 2,
    profile_attached: bool = True,
    in_asg: bool = True,
    target_group: bool = True,
    ipv6: bool = True,
    elastic_ip: bool = True,
    requester_managed: bool = False,
    branches: int = 0,
    stopped: bool = False,
    flow_logs: bool = False,
    tags: dict[str, str] | None = None,
    within: Network | None = None,
    name: str | None = None,
) -> Victim:
    """Make an instance with the chosen traits, in an account and Region (home unless told
    otherwise).

    ``interfaces``: how many network interfaces. ``requester_managed``: the last of them belongs to
    an AWS service and cannot be changed. ``branches``: how many branch interfaces a further one, a
    trunk, carries. ``flow_logs``: its VPC has a flow log with records (``flow_log``). ``within``:
    an existing network, else a new one. ``stopped``: stopped before it is returned.
    """
    aws = aws.at(region or aws.region)
    name = name or f"workload-{secrets.token_hex(4)}"
    place = within or network(aws, account, ipv6=ipv6, name=name)
    victim = Victim(
        account, aws.region, "", place.vpc, place.subnets[0], place.subnets, place.security_group
    )
    if profile_attached:
        victim.instance_profile = victim.role = name
        victim.instance_profile_arn, victim.role_id = profile(aws, account, name)
    if target_group:
        _behind_target_group(aws, victim, name)
    victim.instance = _in_auto_scaling_group(aws, victim, name) if in_asg else _alone(aws, victim)
    _more_interfaces(aws, victim, interfaces, requester_managed)
    if branches:
        _add_branches(aws, victim, interfaces, branches)
    ec2 = aws.client("ec2", account)
    if tags:
        ec2.create_tags(
            Resources=[victim.instance],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
    shown = describe(aws, account, victim.instance)
    attached = sorted(
        shown["NetworkInterfaces"], key=lambda item: item["Attachment"]["DeviceIndex"]
    )
    victim.interfaces = [item["NetworkInterfaceId"] for item in attached]
    victim.groups = {
        item["NetworkInterfaceId"]: [group["GroupId"] for group in item["Groups"]]
        for item in attached
    }
    victim.volumes = [item["Ebs"]["VolumeId"] for item in shown["BlockDeviceMappings"]]
    if elastic_ip:
        _give_address(aws, victim)
    if flow_logs:
        flow_log(aws, victim)
    if stopped:
        ec2.stop_instances(InstanceIds=[victim.instance])
    return victim

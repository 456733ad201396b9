"""Reads how the instance is: itself, its interfaces, the quarantine groups and what is attached to it. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response import aws
from guardduty_response.errors import TargetGone
from guardduty_response.playbooks.ec2_instance.common import BRANCHES, Json, Work, gather, tags, value, why


@dataclass(frozen=True)
class Interface:
    """``managed``: the AWS service that owns it and alone may change it, else empty."""

    id: str
    vpc: str
    groups: tuple[str, ...]
    names: tuple[str, ...]
    managed: str
    addresses: tuple[str, ...]

    @staticmethod
    def read(node: Json) -> Interface:
        operator = node.get("Operator") or {}
        managed = ""
        if node.get("RequesterManaged"):
            managed = f"requester-managed by {node.get('RequesterId') or 'an AWS service'}"
        elif operator.get("Managed"):
            managed = f"managed by {operator.get('Principal') or 'an AWS service'}"
        groups = node.get("Groups") or []
        private = [one.get("PrivateIpAddress") for one in node.get("PrivateIpAddresses") or []]
        v6 = [one.get("Ipv6Address") for one in node.get("Ipv6Addresses") or []]
        return Interface(
            id=node["NetworkInterfaceId"],
            vpc=node.get("VpcId", ""),
            groups=tuple(one["GroupId"] for one in groups),
            names=tuple(one.get("GroupName", "") for one in groups),
            managed=managed,
            addresses=tuple(str(one) for one in [node.get("PrivateIpAddress"), *private, *v6] if one),
        )


@dataclass
class Facts:
    """What was seen. ``groups``: the quarantine group of each VPC. ``unread``: what could not be read, and why."""

    instance: Json
    interfaces: list[Interface] = field(default_factory=list)
    groups: dict[str, Json] = field(default_factory=dict)
    untrack: dict[str, str] = field(default_factory=dict)
    profile: Json = field(default_factory=dict)  # {association, arn, name, role}
    scaling: Json = field(default_factory=dict)  # {group, state}
    registrations: list[Json] = field(default_factory=list)  # {arn, id, port, zone?}
    addresses: list[Json] = field(default_factory=list)  # {association, allocation, interface, ip}
    unread: dict[str, str] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        return bool(self.instance["State"]["Name"] in ("pending", "running"))

    @property
    def volumes(self) -> dict[str, str]:
        """Device name -> volume id."""
        return {one["DeviceName"]: one["Ebs"]["VolumeId"]
                for one in self.instance.get("BlockDeviceMappings") or [] if one.get("Ebs")}  # fmt: skip

    @property
    def group_ids(self) -> dict[str, str]:
        return {vpc: group["GroupId"] for vpc, group in self.groups.items()}

    @property
    def vpcs(self) -> list[str]:
        return sorted({one.vpc for one in self.interfaces if one.vpc})


def look(work: Work, ec2: Any, ledger_of: str | None = None) -> Facts:
    """One round trip. Raises TargetGone, or the error of DescribeInstances; other failures go into ``unread``.

    ``ledger_of``: also read the ledger of this incident into ``work.kept``.
    """
    names = [work.group_name, work.untrack_name] if work.options["untrack_connections"] else [work.group_name]
    calls = {
        "instance": partial(ec2.describe_instances, InstanceIds=[work.id]),
        "interfaces": partial(
            ec2.describe_network_interfaces, Filters=[{"Name": "attachment.instance-id", "Values": [work.id]}]
        ),
        "groups": partial(ec2.describe_security_groups, Filters=[{"Name": "group-name", "Values": names}]),
    }
    if work.brought:
        ids = sorted(set(work.brought.values()))
        calls["brought"] = partial(ec2.describe_security_groups, Filters=[{"Name": "group-id", "Values": ids}])
    if ledger_of is not None:
        calls["ledger"] = partial(work.ledger, ledger_of)
    got = gather(calls)
    facts = Facts(_instance(work, got["instance"]))
    if ledger_of is not None:
        work.kept = value(got["ledger"])
    listed = {one["NetworkInterfaceId"]: one for one in facts.instance.get("NetworkInterfaces") or []}
    if isinstance(got["interfaces"], Exception):
        facts.unread["interfaces"] = why(got["interfaces"])
    else:
        listed |= {one["NetworkInterfaceId"]: one for one in got["interfaces"]["NetworkInterfaces"]}
    facts.interfaces = [Interface.read(one) for one in listed.values()]
    found: list[Json] = []
    for part in ("groups", "brought"):
        if isinstance(got.get(part), Exception):
            facts.unread["groups"] = why(got[part])
        else:
            found += got.get(part, {}).get("SecurityGroups", [])
    for group in found:
        vpc = group["VpcId"]
        if group["GroupName"] == work.untrack_name:
            facts.untrack[vpc] = group["GroupId"]
        elif work.brought.get(vpc) == group["GroupId"]:
            facts.groups[vpc] = group
        elif group["GroupName"] == work.group_name:
            facts.groups.setdefault(vpc, group)
    return facts


def _instance(work: Work, got: Any) -> Json:
    gone = f"instance {work.id} no longer exists in account {work.target.account_id}, {work.target.region}"
    if isinstance(got, ClientError) and aws.code(got).startswith("InvalidInstanceID"):
        raise TargetGone(f"{gone} ({why(got)}): there is nothing left to contain") from got
    for reservation in value(got)["Reservations"]:
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] in ("terminated", "shutting-down"):
                raise TargetGone(f"instance {work.id} is {instance['State']['Name']}: there is nothing left to contain")
            return dict(instance)
    raise TargetGone(f"{gone}: there is nothing left to contain")


def rules(group: Json) -> list[str]:
    """Every rule of a security group in words, IPv4 and IPv6, both directions."""
    out = []
    for direction, key in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
        for rule in group.get(key) or []:
            ports = f" {rule['FromPort']}-{rule.get('ToPort')}" if "FromPort" in rule else ""
            protocol = "all" if rule["IpProtocol"] == "-1" else rule["IpProtocol"]
            peers = [one["CidrIp"] for one in rule.get("IpRanges") or []]
            peers += [one["CidrIpv6"] for one in rule.get("Ipv6Ranges") or []]
            peers += [one["PrefixListId"] for one in rule.get("PrefixListIds") or []]
            peers += [one.get("GroupId") or one.get("GroupName", "") for one in rule.get("UserIdGroupPairs") or []]
            out += [f"{direction} {protocol}{ports} {peer}" for peer in peers]
    return out


def name_of(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


def associations(ec2: Any, instance_id: str) -> list[Json]:
    """The instance's live profile associations."""
    got = ec2.describe_iam_instance_profile_associations(Filters=[{"Name": "instance-id", "Values": [instance_id]}])
    return [one for one in got["IamInstanceProfileAssociations"] if one["State"] in ("associating", "associated")]


def profile(ec2: Any, iam: Any, instance_id: str, known: Json | None = None) -> Json:
    """{association, arn, name, role}, or {} without a profile. ``known``: a scope that may spare GetInstanceProfile."""
    live = associations(ec2, instance_id)
    if not live:
        return {}
    found = {"association": live[0]["AssociationId"], "arn": live[0]["IamInstanceProfile"]["Arn"]}
    found["name"] = name_of(found["arn"])
    if known and known.get("role") and known.get("profile_association") == found["association"]:
        return {**found, "role": known["role"]}
    try:
        roles = iam.get_instance_profile(InstanceProfileName=found["name"])["InstanceProfile"]["Roles"]
        return {**found, "role": roles[0]["Arn"] if roles else ""}
    except ClientError as error:
        return {**found, "role": "", "unread": why(error)}


def scaling(autoscaling: Any, instance_id: str) -> Json:
    got = autoscaling.describe_auto_scaling_instances(InstanceIds=[instance_id])["AutoScalingInstances"]
    return {"group": got[0]["AutoScalingGroupName"], "state": got[0]["LifecycleState"]} if got else {}


def addresses(ec2: Any, instance_id: str) -> list[Json]:
    got = ec2.describe_addresses(Filters=[{"Name": "instance-id", "Values": [instance_id]}])["Addresses"]
    return [{"association": one["AssociationId"], "allocation": one["AllocationId"], "ip": one["PublicIp"],
             "interface": one.get("NetworkInterfaceId", "")} for one in got if one.get("AssociationId")]  # fmt: skip


def registrations(elb: Any, ids: set[str], arns: list[str]) -> list[Json]:
    """Where one of ``ids`` (instance id, private addresses) is registered in the target groups ``arns`` and not leaving."""
    health = gather({arn: partial(elb.describe_target_health, TargetGroupArn=arn) for arn in arns})
    out = []
    for arn, got in health.items():
        if isinstance(got, ClientError) and aws.code(got) == "TargetGroupNotFound":
            continue
        for one in value(got)["TargetHealthDescriptions"]:
            at = one["Target"]
            if at["Id"] in ids and one["TargetHealth"]["State"] not in ("draining", "unused.draining"):
                zone = {"zone": at["AvailabilityZone"]} if at.get("AvailabilityZone") else {}
                out.append({"arn": arn, "id": at["Id"], "port": at.get("Port", 0), **zone})
    return out


def target_groups(elb: Any, vpcs: list[str]) -> list[str]:
    """ARNs of the target groups of ``vpcs`` that take instances or addresses."""
    out, request = [], dict[str, str]()
    while True:
        page = elb.describe_target_groups(**request)
        out += [one["TargetGroupArn"] for one in page["TargetGroups"]
                if one.get("VpcId") in vpcs and one.get("TargetType", "instance") in ("instance", "ip")]  # fmt: skip
        if not page.get("NextMarker"):
            return out
        request = {"Marker": page["NextMarker"]}


def ids_of(work: Work, facts: Facts) -> set[str]:
    return {work.id, *(address for one in facts.interfaces for address in one.addresses)}


def attached(work: Work, session: aws.Session, facts: Facts) -> None:
    """Fills in profile, Auto Scaling, target groups and addresses; what cannot be read is named in ``unread``."""
    ec2, elb = session.client("ec2"), session.client("elbv2")
    calls: dict[str, Any] = {
        "profile": lambda: profile(ec2, session.client("iam"), work.id),
        "scaling": lambda: scaling(session.client("autoscaling"), work.id),
        "registrations": lambda: registrations(elb, ids_of(work, facts), target_groups(elb, facts.vpcs)),
        "addresses": lambda: addresses(ec2, work.id),
    }
    for part, got in gather(calls, BRANCHES).items():
        if isinstance(got, Exception):
            facts.unread[part] = why(got)
        else:
            setattr(facts, part, got)


def instance_tags(facts: Facts) -> dict[str, str]:
    return tags(facts.instance)

"""An instance as boto3 reads it back, for comparing before and after."""

from __future__ import annotations

from typing import Any

from . import seed
from .clients import Aws
from .report import paint

Rows = dict[str, str]


def _rules(aws: Aws, account: str, groups: list[str]) -> str:
    """Return what a set of groups lets through."""
    found = (
        aws.client("ec2", account).describe_security_groups(GroupIds=groups)["SecurityGroups"]
        if groups
        else []
    )
    incoming = sum(len(group["IpPermissions"]) for group in found)
    outgoing = sum(len(group["IpPermissionsEgress"]) for group in found)
    return (
        "no rules in, none out"
        if not incoming and not outgoing
        else f"{incoming} rules in, {outgoing} out"
    )


def _interface_rows(aws: Aws, victim: seed.Victim, shown: dict[str, Any]) -> Rows:
    rows: Rows = {}
    for item in sorted(
        shown["NetworkInterfaces"], key=lambda entry: entry["Attachment"]["DeviceIndex"]
    ):
        names = ", ".join(f"{group['GroupName']}" for group in item["Groups"])
        groups = [group["GroupId"] for group in item["Groups"]]
        rows[item["NetworkInterfaceId"]] = f"{names}: {_rules(aws, victim.account, groups)}"
    return rows


def _attribute(aws: Aws, victim: seed.Victim, name: str) -> str:
    answer = aws.client("ec2", victim.account).describe_instance_attribute(
        InstanceId=victim.instance, Attribute=name
    )
    return str(answer[name[0].upper() + name[1:]]["Value"])


def _scaling(aws: Aws, victim: seed.Victim) -> str:
    found = aws.client("autoscaling", victim.account).describe_auto_scaling_instances(
        InstanceIds=[victim.instance]
    )
    members = found["AutoScalingInstances"]
    return (
        f"{members[0]['AutoScalingGroupName']} ({members[0]['LifecycleState']})"
        if members
        else "none"
    )


def _targets(aws: Aws, victim: seed.Victim) -> str:
    if not victim.target_group:
        return "none"
    health = aws.client("elbv2", victim.account).describe_target_health(
        TargetGroupArn=victim.target_group
    )
    registered = [item["Target"]["Id"] for item in health["TargetHealthDescriptions"]]
    others = len([name for name in registered if name != victim.instance])
    here = "registered" if victim.instance in registered else "not registered"
    return f"{here}, {others} other target{'' if others == 1 else 's'}"


def _revoked(aws: Aws, victim: seed.Victim) -> str:
    if not victim.role:
        return "no role"
    iam = aws.client("iam", victim.account)
    names = [
        name
        for name in iam.list_role_policies(RoleName=victim.role)["PolicyNames"]
        if name != "workload"
    ]
    return ", ".join(names) or "not denied"


def _snapshots(aws: Aws, victim: seed.Victim) -> str:
    found = aws.client("ec2", victim.account).describe_snapshots(
        OwnerIds=[victim.account], Filters=[{"Name": "volume-id", "Values": victim.volumes}]
    )["Snapshots"]
    done = sum(item["State"] == "completed" for item in found)
    return f"{done} of {len(found)} completed" if found else "none"


def take(aws: Aws, victim: seed.Victim) -> Rows:
    """Return label -> what is read back now."""
    aws = aws.at(victim.region)
    shown = seed.describe(aws, victim.account, victim.instance)
    profile = shown.get("IamInstanceProfile", {}).get("Arn", "none").rsplit("/", 1)[-1]
    kept = {
        item["DeviceName"]: item["Ebs"]["DeleteOnTermination"]
        for item in shown["BlockDeviceMappings"]
    }
    return {
        "instance": f"{victim.instance} ({shown['State']['Name']})",
        **_interface_rows(aws, victim, shown),
        "instance profile": profile,
        "its role's sessions": _revoked(aws, victim),
        "Auto Scaling group": _scaling(aws, victim),
        "target group": _targets(aws, victim),
        "termination protection": _attribute(aws, victim, "disableApiTermination"),
        "on shutdown": _attribute(aws, victim, "instanceInitiatedShutdownBehavior"),
        "volumes deleted with it": ", ".join(
            f"{name} {value}" for name, value in sorted(kept.items())
        ),
        "snapshots": _snapshots(aws, victim),
    }


def table(before: Rows, after: Rows | None = None) -> str:
    """Return the rows as text, changed ones marked with ``*``."""
    labels = list(dict.fromkeys([*before, *(after or {})]))
    wide = max(len(label) for label in labels)
    if after is None:
        return "\n".join(f"  {label:{wide}}  {before.get(label, '-')}" for label in labels)
    middle = max(len("before"), *(len(before.get(label, "-")) for label in labels))
    lines = [f"  {'':{wide}}  {'before':{middle}}  after"]
    for label in labels:
        old = before.get(label, "-")
        new = after.get(label, "-")
        mark = "*" if old != new else " "
        lines.append(
            f"{mark} {label:{wide}}  {old:{middle}}  {paint(new, 'green') if old != new else new}"
        )
    return "\n".join(lines)

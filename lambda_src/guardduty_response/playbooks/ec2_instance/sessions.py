"""Session policies: one per verb, narrowed to what the plan found (at most 2,048 characters each, AWS STS AssumeRole).

EC2, Auto Scaling and Elastic Load Balancing Describe calls cannot be narrowed; every change names its resources.
"""

from __future__ import annotations

import json

from guardduty_response.playbooks.ec2_instance.common import Json, Work

LIMIT = 2048
LOOK = ["ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups"]
ATTACHED = [
    "ec2:DescribeIamInstanceProfileAssociations", "ec2:DescribeAddresses", "autoscaling:DescribeAutoScalingInstances",
    "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth", "iam:GetInstanceProfile",
]  # fmt: skip
STRIP = ["ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress"]
MODIFY = "ec2:ModifyNetworkInterfaceAttribute"


def _allow(actions: list[str] | str, resource: list[str] | str = "*", condition: Json | None = None) -> Json:
    statement: Json = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def _policy(*statements: Json | None) -> Json:
    return {"Version": "2012-10-17", "Statement": [one for one in statements if one]}


def size(policy: Json) -> int:
    return len(json.dumps(policy, separators=(",", ":")))


def _split(fixed: list[Json], action: str, arns: dict[str, str], extra: list[str]) -> list[tuple[Json, list[str]]]:
    """Policies that together allow ``action`` on every ARN of ``arns`` (id -> ARN), each with ``fixed`` and ``extra``."""
    out: list[tuple[Json, list[str]]] = []
    left = list(arns)
    while left or not out:
        take = len(left)
        while True:
            resources = [arns[one] for one in left[:take]] + extra
            policy = _policy(*fixed, _allow(action, resources) if resources else None)
            if take <= 1 or size(policy) <= LIMIT:
                break
            take -= 1
        out.append((policy, left[:take]))
        left = left[take:]
    return out


def plan() -> Json:
    return _policy(_allow(LOOK + ATTACHED))


def network(work: Work, interfaces: list[str], vpcs: list[str], groups: dict[str, str]) -> list[tuple[Json, list[str]]]:
    """To close ``interfaces``. A group that does not exist yet can only be named by the tag it is created with."""
    arn, tag = work.arn, f"aws:ResourceTag/{work.prefix}"
    own = [arn(f"security-group/{id}") for vpc, id in groups.items() if work.brought.get(vpc) != id]
    missing = [vpc for vpc in vpcs if vpc not in groups]
    any_group, untrack = arn("security-group/*"), work.options["untrack_connections"]
    fixed = [_allow(LOOK)]
    if own:
        fixed.append(_allow(STRIP, own))
    if missing or untrack:
        kinds = ["quarantine"] * bool(missing) + ["untrack"] * bool(untrack)
        fixed.append(_allow([MODIFY, *STRIP] if missing else MODIFY, any_group, {"StringEquals": {tag: kinds}}))
        fixed.append(_allow("ec2:CreateSecurityGroup", [any_group, *(arn(f"vpc/{vpc}") for vpc in vpcs)]))
        created = {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"}}
        fixed.append(_allow("ec2:CreateTags", any_group, created))
    if untrack:
        opens = ["ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress"]
        fixed.append(_allow(opens, any_group, {"StringEquals": {tag: "untrack"}}))
    enis = {id: arn(f"network-interface/{id}") for id in interfaces}
    return _split(fixed, MODIFY, enis, [arn(f"security-group/{id}") for id in groups.values()])


def changes(work: Work, scope: Json) -> Json:
    """Protection, tags, Auto Scaling, profile and role. Elastic IPs and target groups have sessions of their own."""
    role, group = scope.get("role"), scope.get("auto_scaling_group")
    responder = work.ctx.config.responder
    scaling = "autoscaling:EnterStandby" if work.standby else "autoscaling:DetachInstances"
    return _policy(
        _allow(["ec2:DescribeInstanceAttribute", "ec2:DescribeIamInstanceProfileAssociations",
                "autoscaling:DescribeAutoScalingInstances", "iam:GetInstanceProfile"]),
        _allow(["ec2:ModifyInstanceAttribute", "ec2:CreateTags", "ec2:ReplaceIamInstanceProfileAssociation",
                "ec2:AssociateIamInstanceProfile", "ec2:DisassociateIamInstanceProfile"], work.target.arn),
        # DeleteOnTermination may also be checked on the volume; the instance above pins which.
        _allow("ec2:ModifyInstanceAttribute", work.arn("volume/*")),
        _allow(scaling, work.arn(f"autoScalingGroup:*:autoScalingGroupName/{group}", "autoscaling")) if group else None,
        _allow(["iam:GetRolePolicy", "iam:PutRolePolicy"], role) if role else None,
        _allow("iam:PassRole", work.arn(f"role{responder['role_path']}{work.profile_name}", "iam")),
    )  # fmt: skip


def addresses(work: Work, found: list[Json]) -> list[tuple[Json, list[str]]]:
    eips = {one["association"]: work.arn(f"elastic-ip/{one['allocation']}") for one in found}
    # The address pins what changes; which interface it sits on need not be repeated.
    either = [work.target.arn, work.arn("network-interface/*")]
    return _split([_allow("ec2:DescribeAddresses")], "ec2:DisassociateAddress", eips, either if found else [])


def registrations(arns: list[str]) -> list[tuple[Json, list[str]]]:
    fixed = [_allow(ATTACHED[3:5])]
    return _split(fixed, "elasticloadbalancing:DeregisterTargets", {arn: arn for arn in arns}, [])


def verify(work: Work, roles: list[str]) -> Json:
    return _policy(
        _allow(LOOK + ATTACHED + ["ec2:DescribeInstanceAttribute"]), _allow("iam:GetRolePolicy", roles) if roles else None
    )


def evidence(work: Work, volumes: list[str]) -> Json:
    created = {"StringEquals": {"ec2:CreateAction": "CreateSnapshots"}}
    snapshot = f"arn:{work.ctx.config.partition}:ec2:{work.target.region}::snapshot/*"

    def policy(disks: list[str]) -> Json:
        return _policy(
            _allow(["ec2:DescribeInstances", "ec2:DescribeSnapshots"]),
            _allow("ec2:CreateSnapshots", [work.target.arn, snapshot, *disks]),
            _allow("ec2:CreateTags", snapshot, created),
        )

    exact = policy([work.arn(f"volume/{id}") for id in volumes])
    # One set is one call and cannot be split; CreateSnapshots takes no volumes, so the instance still pins them.
    return exact if size(exact) <= LIMIT else policy([work.arn("volume/*")])


def finish(work: Work) -> Json:
    reads = ["ec2:DescribeInstances", "ec2:DescribeInstanceTypes", "autoscaling:DescribeAutoScalingInstances"]
    return _policy(_allow(reads), _allow("ec2:StopInstances", work.target.arn))



"""What IAM checks for a call to a forwarded service: action, resource ARN and condition keys, one
check each.

Source: the Service Authorization Reference of EC2, Auto Scaling, Elastic Load Balancing, Systems
Manager. Describe calls have no resource. A call that creates something is checked on the ARN of the
new thing with ``*`` as id, tags given at creation are a ``ec2:CreateTags`` of their own with
``ec2:CreateAction``, and handing an instance profile to an instance is an ``iam:PassRole`` on the
profile's role.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from . import moto_client
from .instance_profiles import find_profile
from .moto_client import Fact

KINDS = {
    "i": "instance",
    "eni": "network-interface",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "vol": "volume",
    "snap": "snapshot",
    "ami": "image",
    "vpc": "vpc",
    "subnet": "subnet",
    "acl": "network-acl",
    "rtb": "route-table",
    "igw": "internet-gateway",
    "eipalloc": "elastic-ip",
    "vpce": "vpc-endpoint",
    "lt": "launch-template",
}
# Owned by nobody in particular: their ARNs carry no account.
_NO_ACCOUNT = {"snapshot", "image"}
_CREATES = {
    "CreateSecurityGroup": "security-group",
    "CreateSnapshot": "snapshot",
    "CreateSnapshots": "snapshot",
    "CopySnapshot": "snapshot",
    "CreateImage": "image",
    "CreateNetworkAcl": "network-acl",
    "CreateVolume": "volume",
    "CreateNetworkInterface": "network-interface",
    "RunInstances": "instance",
    "CreateFlowLogs": "vpc-flow-log",
}
_READS = ("Describe", "Get", "Search", "List")
# have the instance as resource
_READS_OF_ONE = {"GetConsoleOutput", "GetConsoleScreenshot", "GetPasswordData"}
_ID = re.compile(r"([a-z]+)-[0-9a-f]{8,17}")
_LINKED = re.compile(r"(iip-assoc|eipassoc|eni-attach)-[0-9a-f]{8,17}")
# Parameters that name other resources without acting on them.
_IGNORED = re.compile(
    r"(Filter|TagSpecification|IpPermissions|Tag|Description|ClientToken|DryRun)\b"
)
_PROFILE_CALLS = {
    "AssociateIamInstanceProfile",
    "ReplaceIamInstanceProfileAssociation",
    "RunInstances",
}


# Condition keys and their values, as the policy evaluator takes them.
ConditionContext = dict[str, str | list[str]]


@dataclass(frozen=True)
class Check:
    """One question to the policy evaluator; ``context`` holds condition keys."""

    action: str
    resource: str
    context: ConditionContext


def _flat(params: dict[str, Any]) -> dict[str, str]:
    return {
        key: str(value[0] if isinstance(value, list) else value)
        for key, value in params.items()
        if value
    }


def _arn(kind: str, name: str, region: str, account: str) -> str:
    return f"arn:aws:ec2:{region}:{'' if kind in _NO_ACCOUNT else account}:{kind}/{name}"


def _tag_context(tags: dict[str, str], service: str) -> ConditionContext:
    context: ConditionContext = {}
    for key, value in tags.items():
        context[f"aws:ResourceTag/{key}".lower()] = context[
            f"{service}:ResourceTag/{key}".lower()
        ] = value
    return context


def _request_tags(params: dict[str, str], prefix: str) -> ConditionContext:
    context: ConditionContext = {}
    keys = []
    for name, key in params.items():
        if re.fullmatch(re.escape(prefix) + r"\.\d+\.Key", name):
            context[f"aws:RequestTag/{key}".lower()] = params.get(name[:-3] + "Value", "")
            keys.append(key)
    if keys:
        context["aws:TagKeys"] = keys
    return context


def _profile_checks(
    action: str, params: dict[str, str], account: str, instance: str | None
) -> list[Check]:
    """iam:PassRole on every role of the instance profile the call hands over."""
    arn = params.get("IamInstanceProfile.Arn", "")
    name = params.get("IamInstanceProfile.Name") or arn.rsplit("/", 1)[-1]
    if action not in _PROFILE_CALLS or not name:
        return []
    found = find_profile(account, name)
    if found is None:
        return []
    context: ConditionContext = {"iam:PassedToService": "ec2.amazonaws.com"}
    if instance:
        context["iam:AssociatedResourceArn"] = instance
    return [Check("iam:PassRole", role, context) for role in found["roles"]]


def _named(params: dict[str, str]) -> tuple[list[str], list[str]]:
    """Ids of EC2 resources the parameters name, and ids of associations that stand for some."""
    ids = []
    linked = []
    for name, value in params.items():
        if _IGNORED.match(name):
            continue
        if _LINKED.fullmatch(value):
            linked.append(value)
        elif (found := _ID.fullmatch(value)) and found.group(1) in KINDS:
            ids.append(value)
    return list(dict.fromkeys(ids)), linked


def _resources(name: str, params: dict[str, str], region: str, account: str) -> dict[str, Fact]:
    """Return the EC2 resources a call acts on, with what is known of each: named ones, associated
    ones, volumes to snapshot.
    """
    ids, linked = _named(params)
    known = moto_client.facts(account, region, ids + linked)
    for link in linked:
        ids += [value for value in known.get(link, {}).get("resources", []) if value not in ids]
    if name == "CreateSnapshots":
        instance = params.get("InstanceSpecification.InstanceId", "")
        excluded = {value for key, value in params.items() if ".ExcludeDataVolumeId" in key}
        ids += [
            volume
            for volume in known.get(instance, {}).get("volumes", [])
            if volume not in excluded
        ]
    known.update(moto_client.facts(account, region, [value for value in ids if value not in known]))
    return {value: known.get(value, {}) for value in ids}


def _shared_context(params: dict[str, str], region: str, account: str) -> ConditionContext:
    """Condition keys that every resource of the call has."""
    context: ConditionContext = {"ec2:Region": region, **_request_tags(params, "Tag")}
    if "Attribute" in params:
        context["ec2:Attribute"] = params["Attribute"]
    for kind, pattern in (
        ("userId", r"(\.Add\.\d+\.UserId|^UserId\.\d+)$"),
        ("group", r"(\.Add\.\d+\.Group|^UserGroup\.\d+)$"),
    ):
        added = [value for key, value in params.items() if re.search(pattern, key)]
        if added:  # a string in the Service Authorization Reference: one value is no list
            context[f"ec2:Add/{kind}"] = added[0] if len(added) == 1 else added
    profile = params.get("IamInstanceProfile.Arn") or params.get("IamInstanceProfile.Name")
    if profile:
        arn = (
            profile
            if profile.startswith("arn:")
            else f"arn:aws:iam::{account}:instance-profile/{profile}"
        )
        context["ec2:NewInstanceProfile"] = arn
    return context


def _resource_context(fact: Fact, region: str, account: str) -> ConditionContext:
    context = _tag_context(fact.get("tags", {}), "ec2")
    for key in ("vpc", "subnet"):
        if fact.get(key):
            context[f"ec2:{key}"] = _arn(key, fact[key], region, account)
    if profile := fact.get("profile"):
        context["ec2:InstanceProfile"] = profile
    return context


def _ec2(action: str, raw: dict[str, Any], region: str, account: str) -> list[Check]:
    name = action.split(":", 1)[1]
    params = _flat(raw)
    if name.startswith(_READS) and name not in _READS_OF_ONE:
        return [Check(action, "*", {"ec2:Region": region})]
    shared = _shared_context(params, region, account)
    checks = []
    instance_arn = None
    for value, fact in _resources(name, params, region, account).items():
        kind = KINDS[value.split("-", 1)[0]]
        if kind == "security-group-rule" and name.startswith("RevokeSecurityGroup"):
            continue  # of the group alone
        arn = _arn(kind, value, region, account)
        instance_arn = arn if kind == "instance" else instance_arn
        checks.append(Check(action, arn, {**shared, **_resource_context(fact, region, account)}))
    new = _CREATES.get(name)
    for key in [key for key in params if re.fullmatch(r"TagSpecification\.\d+\.ResourceType", key)]:
        tags = _request_tags(params, key.removesuffix("ResourceType") + "Tag")
        if params[key] == new:
            shared.update(tags)
        context = {"ec2:Region": region, "ec2:CreateAction": name, **tags}
        checks.append(Check("ec2:CreateTags", _arn(params[key], "*", region, account), context))
    if new:
        checks.append(Check(action, _arn(new, "*", region, account), dict(shared)))
    checks += _profile_checks(name, params, account, instance_arn)
    return checks or [Check(action, "*", shared)]


def _auto_scaling(action: str, raw: dict[str, Any], region: str, account: str) -> list[Check]:
    params = _flat(raw)
    name = params.get("AutoScalingGroupName", "")
    if action.split(":", 1)[1].startswith(_READS) or not name:
        return [Check(action, "*", {})]
    fact = moto_client.facts(account, region, [f"asg:{name}"]).get(f"asg:{name}", {})
    missing = (
        f"arn:aws:autoscaling:{region}:{account}:autoScalingGroup:unknown:"
        f"autoScalingGroupName/{name}"
    )
    return [
        Check(action, fact.get("arn", missing), _tag_context(fact.get("tags", {}), "autoscaling"))
    ]


def _load_balancing(action: str, raw: dict[str, Any], region: str, account: str) -> list[Check]:
    if action.split(":", 1)[1].startswith(_READS):
        return [Check(action, "*", {})]
    arns = [
        value for value in _flat(raw).values() if value.startswith("arn:aws:elasticloadbalancing:")
    ]
    known = moto_client.facts(account, region, [f"tg:{arn}" for arn in arns])
    return [
        Check(
            action,
            arn,
            _tag_context(known.get(f"tg:{arn}", {}).get("tags", {}), "elasticloadbalancing"),
        )
        for arn in arns
    ] or [Check(action, "*", {})]


def _ssm(action: str, body: bytes, region: str, account: str) -> list[Check]:
    """SendCommand is checked on the document and on every instance; the ARN of a shared document
    is its owner's.
    """
    if action != "ssm:SendCommand":
        return [Check(action, "*", {})]
    params = json.loads(body or b"{}")
    name = str(params.get("DocumentName", ""))
    instances = [str(instance) for instance in params.get("InstanceIds") or []]
    owner = "" if name.startswith("AWS-") else account
    document = name if name.startswith("arn:") else f"arn:aws:ssm:{region}:{owner}:document/{name}"
    known = moto_client.facts(account, region, instances)
    checks = [Check(action, document, {})]
    for instance in instances:
        tags = _tag_context(known.get(instance, {}).get("tags", {}), "ssm")
        checks.append(Check(action, _arn("instance", instance, region, account), tags))
    return checks


def checks(
    service: str, action: str, params: dict[str, Any], region: str, account: str, body: bytes = b""
) -> list[Check]:
    """Return the checks AWS makes for one call to a forwarded service, in order; the first refusal
    is the answer.
    """
    if service == "ec2":
        return _ec2(action, params, region, account)
    if service == "autoscaling":
        return _auto_scaling(action, params, region, account)
    if service == "elasticloadbalancing":
        return _load_balancing(action, params, region, account)
    if service == "ssm":
        return _ssm(action, body, region, account)
    return [Check(action, "*", {})]

"""How a thing is that a principal changed: read the same way by what reverts a change and by what
restores it.

Every function returns None when the thing no longer exists, and raises botocore's error when it
cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.role_policies import statements

Json = dict[str, Any]
# "There is no such thing", as the services say it.
GONE = frozenset(
    {
        "NoSuchEntity",
        "NoSuchBucket",
        "NoSuchBucketPolicy",
        "TrailNotFoundException",
        "ResourceNotFoundException",
        "InvalidInstanceID.NotFound",
        "InvalidGroup.NotFound",
        "InvalidSnapshot.NotFound",
        "InvalidAMIID.NotFound",
        "InvalidAMIID.Unavailable",
    }
)
PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}  # numbers that EC2 shows by name
BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
# What these functions call.
READS = (
    "iam:GetUser",
    "iam:GetRole",
    "iam:GetGroup",
    "iam:ListAccessKeys",
    "iam:ListAttachedUserPolicies",
    "iam:ListAttachedRolePolicies",
    "iam:ListAttachedGroupPolicies",
    "iam:GetUserPolicy",
    "iam:GetRolePolicy",
    "iam:GetGroupPolicy",
    "iam:ListGroupsForUser",
    "iam:GetLoginProfile",
    "ec2:DescribeInstances",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSnapshotAttribute",
    "ec2:DescribeImageAttribute",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketPolicyStatus",
    "s3:GetBucketAcl",
    "cloudtrail:GetTrailStatus",
    "guardduty:GetDetector",
    "lambda:GetFunctionConcurrency",
)


def there(call: Callable[[], Any]) -> Any:
    """The call's answer, or None when the thing does not exist."""
    try:
        return call()
    except ClientError as error:
        if error_code(error) not in GONE:
            raise
        return None


def pages(client: Any, operation: str, key: str, **request: Any) -> list[Any]:
    return [
        one for page in client.get_paginator(operation).paginate(**request) for one in page[key]
    ]


# -- IAM -------------------------------------------------------------------------------------------


def identity(iam: Any, kind: str, name: str) -> Json | None:
    """{arn, id, boundary, trust} of a ``user``, ``role`` or ``group``; ``trust`` of roles alone."""
    title = kind.title()
    got = there(lambda: getattr(iam, f"get_{kind}")(**{f"{title}Name": name})[title])
    if got is None:
        return None
    boundary = (got.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
    return {
        "arn": got["Arn"],
        "id": got[f"{title}Id"],
        "boundary": boundary,
        "trust": got.get("AssumeRolePolicyDocument"),
    }


def keys(iam: Any, user: str) -> dict[str, str] | None:
    """Access key id -> Active or Inactive."""
    got = there(lambda: pages(iam, "list_access_keys", "AccessKeyMetadata", UserName=user))
    return None if got is None else {one["AccessKeyId"]: one["Status"] for one in got}


def attached(iam: Any, kind: str, name: str) -> list[str] | None:
    """ARNs of the managed policies attached to a user, role or group."""
    request = {f"{kind.title()}Name": name}
    got = there(lambda: pages(iam, f"list_attached_{kind}_policies", "AttachedPolicies", **request))
    return None if got is None else [one["PolicyArn"] for one in got]


def inline(iam: Any, kind: str, name: str, policy: str) -> Json | None:
    """The document of an inline policy."""
    request = {f"{kind.title()}Name": name, "PolicyName": policy}
    got = there(lambda: getattr(iam, f"get_{kind}_policy")(**request)["PolicyDocument"])
    return None if got is None else dict(got)


def groups(iam: Any, user: str) -> list[str] | None:
    got = there(lambda: pages(iam, "list_groups_for_user", "Groups", UserName=user))
    return None if got is None else [one["GroupName"] for one in got]


def login(iam: Any, user: str) -> Json | None:
    """{created: ISO time, reset: whether the next sign-in must set a new password}."""
    got = there(lambda: iam.get_login_profile(UserName=user)["LoginProfile"])
    return got and {
        "created": got["CreateDate"].isoformat(),
        "reset": bool(got.get("PasswordResetRequired")),
    }


# -- who may assume a role -------------------------------------------------------------------------


def outside_sid(prefix: str) -> str:
    return "".join(word.title() for word in re.findall("[a-z0-9]+", prefix.lower())) + "DenyOutside"


def has_denial(document: Json, sid: str) -> bool:
    return any(
        one.get("Sid") == sid and one.get("Effect") == "Deny" for one in statements(document)
    )


def is_denied(now: Json, before: Json, sid: str) -> bool:
    """Whether the trust policy is the one before, with the denial and nothing else added."""
    others = [one for one in statements(now) if one.get("Sid") != sid]
    return has_denial(now, sid) and others == statements(before)


def outsiders(document: Json, account: str) -> set[str]:
    """AWS principals outside ``account`` that the trust policy lets in; ``*`` for everybody."""
    out: set[str] = set()
    for one in statements(document):
        if one.get("Effect") != "Allow":
            continue
        principal: Any = one.get("Principal", "*" if "NotPrincipal" in one else {})
        named = principal.get("AWS", []) if isinstance(principal, dict) else principal
        for who in [named] if isinstance(named, str) else named:
            # A bare id (AROA…, AIDA…) is what IAM shows of a principal that was deleted: it lets
            # nobody in.
            inside = account in (
                who,
                who.split(":")[4] if who.count(":") >= 5 else "",
            ) or re.fullmatch("A[A-Z0-9]{15,}", who)
            out |= set() if inside else {who}
    return out


def with_denial(document: Json, sid: str, account: str) -> Json:
    denial: Json = {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringNotEquals": {"aws:PrincipalAccount": account},
            "Null": {"aws:PrincipalAccount": "false"},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        },
    }
    return {**document, "Statement": [*statements(document), denial]}


# -- EC2 -------------------------------------------------------------------------------------------


def instances(ec2: Any, ids: list[str], reservation: str = "") -> dict[str, Json]:
    """Instance id -> {state, spot, store: its root device is lost when it stops}, of those that EC2
    still knows.

    ``reservation``: all that one RunInstances call started, instead of ``ids``. Asked by filter (of
    200 values at most): asked by id, one that is gone would make the whole call fail.
    """
    filters = [("instance-id", ids[at : at + 200]) for at in range(0, len(ids), 200)]
    filters = [("reservation-id", [reservation])] if reservation else filters
    found = [
        one
        for name, values in filters
        for one in pages(
            ec2, "describe_instances", "Reservations", Filters=[{"Name": name, "Values": values}]
        )
    ]
    return {
        one["InstanceId"]: {
            "state": one["State"]["Name"],
            "spot": one.get("InstanceLifecycle") == "spot",
            "store": one.get("RootDeviceType") == "instance-store",
        }
        for reservation in found
        for one in reservation["Instances"]
    }


def group_name(ec2: Any, group: str) -> str | None:
    got = there(lambda: ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"])
    return got[0]["GroupName"] if got else None


def rules(ec2: Any, group: str, egress: bool) -> dict[str, Json]:
    """Rule id -> the rule as one IpPermission, with a single source, as Authorize and Revoke
    take it.
    """
    found = pages(
        ec2,
        "describe_security_group_rules",
        "SecurityGroupRules",
        Filters=[{"Name": "group-id", "Values": [group]}],
    )
    return {
        one["SecurityGroupRuleId"]: _permission(one) for one in found if one["IsEgress"] is egress
    }


def _permission(rule: Json) -> Json:
    out: Json = {"IpProtocol": rule["IpProtocol"]}
    if out["IpProtocol"] != "-1":
        out |= {name: rule[name] for name in ("FromPort", "ToPort") if name in rule}
    said = {"Description": rule["Description"]} if rule.get("Description") else {}
    if rule.get("CidrIpv4"):
        return {**out, "IpRanges": [{"CidrIp": rule["CidrIpv4"], **said}]}
    if rule.get("CidrIpv6"):
        return {**out, "Ipv6Ranges": [{"CidrIpv6": rule["CidrIpv6"], **said}]}
    if rule.get("PrefixListId"):
        return {**out, "PrefixListIds": [{"PrefixListId": rule["PrefixListId"], **said}]}
    other = rule.get("ReferencedGroupInfo") or {}
    pair = {
        name: other[name]
        for name in ("GroupId", "UserId", "VpcPeeringConnectionId")
        if other.get(name)
    }
    return {**out, "UserIdGroupPairs": [{**pair, **said}]}


def rule_key(permission: Json) -> tuple[str, int, int, str]:
    """What makes two rules the same rule: protocol, ports and source. The description does not."""
    protocol = PROTOCOLS.get(str(permission["IpProtocol"]), str(permission["IpProtocol"]))
    ports = (
        (int(permission.get("FromPort", -1)), int(permission.get("ToPort", -1)))
        if protocol != "-1"
        else (-1, -1)
    )
    sources = (
        ("IpRanges", "CidrIp"),
        ("Ipv6Ranges", "CidrIpv6"),
        ("PrefixListIds", "PrefixListId"),
        ("UserIdGroupPairs", "GroupId"),
    )
    source = next(
        (
            one[name]
            for field, name in sources
            for one in permission.get(field) or []
            if one.get(name)
        ),
        "",
    )
    return protocol, *ports, str(source)


def told(permission: Json) -> str:
    """A rule in words: ``tcp 22 from 0.0.0.0/0``."""
    protocol, low, high, source = rule_key(permission)
    ports = "" if protocol == "-1" else f" {low}" if low == high else f" {low}-{high}"
    return f"{'everything' if protocol == '-1' else protocol}{ports} of {source}"


SHARED = {  # what is shared: (attribute, its list in the answer, the parameter of the id)
    "snapshot": ("createVolumePermission", "CreateVolumePermissions", "SnapshotId"),
    "image": ("launchPermission", "LaunchPermissions", "ImageId"),
}


def shares(ec2: Any, kind: str, id: str) -> list[Json] | None:
    """With whom a snapshot or image is shared: [{UserId | Group | OrganizationArn |
    OrganizationalUnitArn}].
    """
    attribute, key, parameter = SHARED[kind]
    call = getattr(ec2, f"describe_{kind}_attribute")
    got = there(lambda: call(**{parameter: id, "Attribute": attribute})[key])
    return None if got is None else [dict(one) for one in got]


def share(ec2: Any, kind: str, id: str, how: str, entries: list[Json]) -> Json:
    """``how``: Add or Remove. A snapshot is shared with accounts and with everybody, an image
    with organizations too.
    """
    attribute, _, parameter = SHARED[kind]
    request: Json = {parameter: id, "Attribute": attribute}
    if kind == "image":
        return dict(ec2.modify_image_attribute(**request, LaunchPermission={how: entries}))
    named = {
        name: [one[field] for one in entries if field in one]
        for name, field in (("UserIds", "UserId"), ("GroupNames", "Group"))
    }
    listed = {name: values for name, values in named.items() if values}
    return dict(ec2.modify_snapshot_attribute(**request, OperationType=how.lower(), **listed))


# -- everything else -------------------------------------------------------------------------------


def block(s3: Any, bucket: str) -> Json | None:
    """The bucket's own public access block, {} when it has none."""
    try:
        return dict(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"])
    except ClientError as error:
        if error_code(error) == "NoSuchPublicAccessBlockConfiguration":
            return {}
        if error_code(error) not in GONE:
            raise
        return None


def public_policy(s3: Any, bucket: str) -> bool:
    """Whether the bucket's policy lets everybody in, as S3 judges it."""
    return bool(
        there(lambda: s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"])
    )


def blocked(configuration: Json | None) -> bool:
    return all((configuration or {}).get(name) is True for name in BLOCKED)


def logging(cloudtrail: Any, trail: str) -> bool | None:
    return there(lambda: bool(cloudtrail.get_trail_status(Name=trail)["IsLogging"]))  # type: ignore[no-any-return]


def detector(guardduty: Any, id: str) -> str | None:
    """ENABLED or DISABLED."""
    try:
        return str(guardduty.get_detector(DetectorId=id)["Status"])
    except ClientError as error:
        # GuardDuty answers BadRequest for a detector that does not exist (any more).
        if error_code(error) != "BadRequestException" or "not owned" not in str(error):
            raise
        return None


def concurrency(lambda_: Any, function: str) -> Json | None:
    """{reserved: number or None} of a function."""
    got = there(lambda: lambda_.get_function_concurrency(FunctionName=function))
    return None if got is None else {"reserved": got.get("ReservedConcurrentExecutions")}

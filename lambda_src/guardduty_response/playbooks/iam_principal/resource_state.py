"""The present state of what a principal changed, read the same way for eradication and restoring.

Every function returns None when the resource no longer exists, and raises botocore's error when it
cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict, TypeVar

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.role_policies import statements

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient, IpPermission, PolicyDocument

T = TypeVar("T")
# Error codes by which the services say that a resource does not exist.
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
# The lists of a rule's sources, and the field of each
SOURCES = (
    ("IpRanges", "CidrIp"),
    ("Ipv6Ranges", "CidrIpv6"),
    ("PrefixListIds", "PrefixListId"),
    ("UserIdGroupPairs", "GroupId"),
)
BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


class Identity(TypedDict):
    """An IAM user, role or group; ``trust`` is a role's alone."""

    arn: str
    id: str
    boundary: str | None
    trust: PolicyDocument | None


class Instance(TypedDict):
    """``store``: the root device is an instance store, which is lost when the instance stops."""

    state: str
    spot: bool
    store: bool


def unless_gone(call: Callable[[], T]) -> T | None:
    """Returns the call's answer, or None when the resource does not exist."""
    try:
        return call()
    except ClientError as error:
        if error_code(error) not in GONE:
            raise
        return None


def pages(client: AwsClient, operation: str, key: str, **request: object) -> list[AwsAnswer]:
    return [
        item for page in client.get_paginator(operation).paginate(**request) for item in page[key]
    ]


# -- IAM -------------------------------------------------------------------------------------------


def identity(iam: AwsClient, kind: str, name: str) -> Identity | None:
    """Reads a ``user``, ``role`` or ``group``."""
    title = kind.title()
    answer = unless_gone(lambda: getattr(iam, f"get_{kind}")(**{f"{title}Name": name})[title])
    if answer is None:
        return None
    boundary = (answer.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
    return {
        "arn": answer["Arn"],
        "id": answer[f"{title}Id"],
        "boundary": boundary,
        "trust": answer.get("AssumeRolePolicyDocument"),
    }


def keys(iam: AwsClient, user: str) -> dict[str, str] | None:
    """Returns access key ID -> Active or Inactive."""
    answer = unless_gone(
        lambda: pages(
            iam,
            "list_access_keys",
            "AccessKeyMetadata",
            UserName=user,
        )
    )
    return None if answer is None else {item["AccessKeyId"]: item["Status"] for item in answer}


def attached(iam: AwsClient, kind: str, name: str) -> list[str] | None:
    """Returns the ARNs of the managed policies attached to a user, role or group."""
    request = {f"{kind.title()}Name": name}
    answer = unless_gone(
        lambda: pages(iam, f"list_attached_{kind}_policies", "AttachedPolicies", **request)
    )
    return None if answer is None else [item["PolicyArn"] for item in answer]


def inline(iam: AwsClient, kind: str, name: str, policy: str) -> PolicyDocument | None:
    """Returns the document of an inline policy."""
    request = {f"{kind.title()}Name": name, "PolicyName": policy}
    answer = unless_gone(lambda: getattr(iam, f"get_{kind}_policy")(**request)["PolicyDocument"])
    return None if answer is None else dict(answer)


# -- who may assume a role -------------------------------------------------------------------------


def outside_sid(prefix: str) -> str:
    return "".join(word.title() for word in re.findall("[a-z0-9]+", prefix.lower())) + "DenyOutside"


def has_denial(document: PolicyDocument, sid: str) -> bool:
    return any(
        statement.get("Sid") == sid and statement.get("Effect") == "Deny"
        for statement in statements(document)
    )


def is_denied(now: PolicyDocument, before: PolicyDocument, sid: str) -> bool:
    """Tells whether the trust policy is the earlier policy with nothing but the denial added."""
    others = [statement for statement in statements(now) if statement.get("Sid") != sid]
    return has_denial(now, sid) and others == statements(before)


def outsiders(document: PolicyDocument, account: str) -> set[str]:
    """Returns the AWS principals outside ``account`` that the trust policy lets in (``*``: all)."""
    found: set[str] = set()
    for statement in statements(document):
        if statement.get("Effect") != "Allow":
            continue
        principal = statement.get("Principal", "*" if "NotPrincipal" in statement else {})
        names = principal.get("AWS", []) if isinstance(principal, dict) else principal
        for name in [names] if isinstance(names, str) else names:
            if not _is_inside(name, account):
                found.add(name)
    return found


def _is_inside(principal: str, account: str) -> bool:
    """Tells whether a trust policy's principal belongs to the account, or can be nobody.

    IAM shows a deleted principal as a bare ID (AROA…, AIDA…): it lets nobody in.
    """
    arn_account = principal.split(":")[4] if principal.count(":") >= 5 else ""
    is_bare_id = re.fullmatch("A[A-Z0-9]{15,}", principal) is not None
    return account in (principal, arn_account) or is_bare_id


def with_denial(document: PolicyDocument, sid: str, account: str) -> PolicyDocument:
    denial: dict[str, object] = {
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


def instances(ec2: AwsClient, ids: list[str], reservation: str = "") -> dict[str, Instance]:
    """Returns instance ID -> its state, of those that EC2 still knows.

    ``reservation``: all that one RunInstances call started, instead of ``ids``. EC2 is asked by
    filter (of 200 values at most): asked by ID, a missing instance would make the whole call fail.
    """
    if reservation:
        filters = [("reservation-id", [reservation])]
    else:
        filters = [("instance-id", ids[at : at + 200]) for at in range(0, len(ids), 200)]
    found: dict[str, Instance] = {}
    for name, values in filters:
        request = [{"Name": name, "Values": values}]
        for group in pages(
            ec2,
            "describe_instances",
            "Reservations",
            Filters=request,
        ):
            for instance in group["Instances"]:
                found[instance["InstanceId"]] = {
                    "state": instance["State"]["Name"],
                    "spot": instance.get("InstanceLifecycle") == "spot",
                    "store": instance.get("RootDeviceType") == "instance-store",
                }
    return found


def rules(ec2: AwsClient, group: str, egress: bool) -> dict[str, IpPermission]:
    """Returns rule ID -> the rule as an IpPermission with a single source."""
    found = pages(
        ec2,
        "describe_security_group_rules",
        "SecurityGroupRules",
        Filters=[{"Name": "group-id", "Values": [group]}],
    )
    return {
        rule["SecurityGroupRuleId"]: permission(rule)
        for rule in found
        if rule["IsEgress"] is egress
    }


def permission(rule: AwsAnswer) -> IpPermission:
    """Returns a rule as EC2 describes it in the form that it takes."""
    out: IpPermission = {"IpProtocol": rule["IpProtocol"]}
    if out["IpProtocol"] != "-1":
        out |= {name: rule[name] for name in ("FromPort", "ToPort") if name in rule}
    description = {"Description": rule["Description"]} if rule.get("Description") else {}
    if rule.get("CidrIpv4"):
        return {**out, "IpRanges": [{"CidrIp": rule["CidrIpv4"], **description}]}
    if rule.get("CidrIpv6"):
        return {**out, "Ipv6Ranges": [{"CidrIpv6": rule["CidrIpv6"], **description}]}
    if rule.get("PrefixListId"):
        return {**out, "PrefixListIds": [{"PrefixListId": rule["PrefixListId"], **description}]}
    other = rule.get("ReferencedGroupInfo") or {}
    pair = {
        name: other[name]
        for name in ("GroupId", "UserId", "VpcPeeringConnectionId")
        if other.get(name)
    }
    return {**out, "UserIdGroupPairs": [{**pair, **description}]}


def rule_key(permission: IpPermission) -> tuple[str, int, int, str]:
    """Returns what makes two rules the same rule: protocol, ports and source, no description."""
    number = str(permission["IpProtocol"])
    protocol = PROTOCOLS.get(number, number)
    source = _source(permission)
    if protocol == "-1":
        return protocol, -1, -1, source
    first, last = permission.get("FromPort", -1), permission.get("ToPort", -1)
    return protocol, int(first), int(last), source


def _source(permission: IpPermission) -> str:
    for field, name in SOURCES:
        for source in permission.get(field) or []:
            if source.get(name):
                return str(source[name])
    return ""


def describe_rule(permission: IpPermission) -> str:
    """Returns a rule in words: ``tcp 22 of 0.0.0.0/0``."""
    protocol, low, high, source = rule_key(permission)
    if protocol == "-1":
        return f"everything of {source}"
    ports = str(low) if low == high else f"{low}-{high}"
    return f"{protocol} {ports} of {source}"


SHARED = {  # what is shared: (attribute, its list in the answer, the parameter of the ID)
    "snapshot": ("createVolumePermission", "CreateVolumePermissions", "SnapshotId"),
    "image": ("launchPermission", "LaunchPermissions", "ImageId"),
}


def shares(ec2: AwsClient, kind: str, id: str) -> list[dict[str, str]] | None:
    """Returns with whom a snapshot or image is shared.

    Each entry is {UserId | Group | OrganizationArn | OrganizationalUnitArn: value}.
    """
    attribute, key, parameter = SHARED[kind]
    call = getattr(ec2, f"describe_{kind}_attribute")
    answer = unless_gone(lambda: call(**{parameter: id, "Attribute": attribute})[key])
    return None if answer is None else [dict(item) for item in answer]


# -- everything else -------------------------------------------------------------------------------


def public_access_block(s3: AwsClient, bucket: str) -> dict[str, bool] | None:
    """Returns the bucket's own public access block, {} when it has none."""
    try:
        return dict(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"])
    except ClientError as error:
        if error_code(error) == "NoSuchPublicAccessBlockConfiguration":
            return {}
        if error_code(error) not in GONE:
            raise
        return None


def public_policy(s3: AwsClient, bucket: str) -> bool:
    """Tells whether S3 judges the bucket's policy public."""
    return bool(
        unless_gone(lambda: s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"])
    )


def all_blocked(configuration: dict[str, bool] | None) -> bool:
    """Tells whether all four settings of a public access block are on."""
    return all((configuration or {}).get(name) is True for name in BLOCKED)

"""What a session policy allows of the response's own calls, checked on the ARNs that AWS checks."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import Any

from tests.unit.deployment import MEMBER
from tests.unit.playbooks.watched_session import granted_resources

Json = dict[str, Any]
_PREFIXES = {"elbv2": "elasticloadbalancing"}
_ACTIONS = {
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
}


def refusal(service: str, region: str, operation: str, params: Json, policy: Json) -> str:
    """Return what the session policy does not allow of the call, or empty.

    Conditions are not evaluated.
    """
    action = f"{_PREFIXES.get(service, service)}:{_ACTIONS.get(operation, operation)}"
    granted = granted_resources(policy, action)
    for arn in checked_arns(service, region, operation, params):
        allowed = any(
            fnmatch.fnmatchcase(arn, pattern) or _matches_with_path(arn, pattern)
            for pattern in granted
        )
        if not allowed:
            return f"session policy: {action} on {arn}"
    return ""


def _matches_with_path(arn: str, pattern: str) -> bool:
    """Match a user, role or group that the call names without its path."""
    entity, _, name = arn.partition("/")
    granted_entity, _, granted_name = pattern.partition("/")
    same_name = name == granted_name.rpartition("/")[2]
    return ":iam::" in arn and entity == granted_entity and same_name


def checked_arns(service: str, region: str, operation: str, params: Json) -> list[str]:
    """Return the ARNs that a changing call is checked on; reading calls are not."""
    if operation.startswith(("Get", "List", "Describe")) and service != "secretsmanager":
        return ["*"]
    own = f"arn:aws:{service}:{region}:{MEMBER}:"
    by_service: dict[str, Callable[[], list[str]]] = {
        "iam": lambda: [
            f"arn:aws:iam::{MEMBER}:{entity}/{params[name]}"
            for entity, name in (("user", "UserName"), ("role", "RoleName"), ("group", "GroupName"))
            if name in params and not (entity == "user" and "GroupName" in params)
        ],
        "ec2": lambda: [
            *(f"{own}instance/{id}" for id in params.get("InstanceIds", [])),
            *([f"{own}security-group/{params['GroupId']}"] if "GroupId" in params else []),
            *(
                f"arn:aws:ec2:{region}::{entity}/{params[name]}"
                for entity, name in (("snapshot", "SnapshotId"), ("image", "ImageId"))
                if name in params
            ),
        ],
        "s3": lambda: [f"arn:aws:s3:::{params['Bucket']}"],
        "cloudtrail": lambda: [f"{own}trail/{params['Name'].split('/')[-1]}"],
        "guardduty": lambda: [f"{own}detector/{params['DetectorId']}"],
        "lambda": lambda: [f"{own}function:{params['FunctionName']}"],
        "secretsmanager": lambda: [
            f"{own}secret:{params.get('Name') or params.get('SecretId')}-a1b2c3"
        ],
    }
    return by_service[service]() or ["*"]

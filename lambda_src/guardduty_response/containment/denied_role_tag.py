"""The tag of a role on which sessions are denied: its other workloads go on.

The organization's quarantine policy (modules/quarantine-scp) goes by it: IAM has no condition for
the name of an inline policy, so it keeps every inline policy of a role with the tag, and nothing
else of it. The tag is there as long as somebody's entry with the role's shared setting denies a
session that may live (docs/decisions/0037).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.containment.session_denials import (
    denials_of,
    older_of,
    sessions_policy,
)
from guardduty_response.containment.target_context import name_of

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient
    from guardduty_response.containment.session_entries import RoleEntry
    from guardduty_response.incident.target_repository import Place

NAME = "tag_denied_role"  # in the action log
VALUE = "denied"
TAGS, UNTAGS = "iam:TagRole", "iam:UntagRole"
CHANGES = (TAGS, UNTAGS)
WHY = (
    "tags the role while sessions are denied on it: what keeps its inline policies in the"
    " organization goes by that"
)
WHY_NOT = "takes that tag off after the last denial"


def key_of(prefix: str) -> str:
    """Returns the tag's key: the name of the policy that it protects."""
    return sessions_policy(prefix)


def is_needed(entries: dict[Place, RoleEntry]) -> bool:
    """Tells whether a containment denies a session of the role that may live."""
    for entry in entries.values():
        policies = {denial.get("policy", "") for denial in entry["denials"].values()}
        if any(denials_of(entries, None, policy) for policy in policies):
            return True
        if older_of(entries, None, entry.get("older_in", "")):
            return True
    return False


def put(iam: AwsClient, role: str, prefix: str) -> AwsAnswer:
    """Tags the role (its ARN). Raises ClientError."""
    tag = {"Key": key_of(prefix), "Value": VALUE}
    return dict(retry_on_conflict(partial(iam.tag_role, RoleName=name_of(role), Tags=[tag])))


def remove(iam: AwsClient, role: str, prefix: str) -> AwsAnswer:
    """Takes the tag off the role, also where it has none. Raises ClientError."""
    untag = partial(iam.untag_role, RoleName=name_of(role), TagKeys=[key_of(prefix)])
    return dict(retry_on_conflict(untag))


def tag_command(role: str, prefix: str) -> str:
    """Returns the command that tags the role."""
    tag = f"Key={key_of(prefix)},Value={VALUE}"
    return f"aws iam tag-role --role-name {name_of(role)} --tags {tag}"


def untag_command(role: str, prefix: str) -> str:
    """Returns the command that takes the tag off the role."""
    return f"aws iam untag-role --role-name {name_of(role)} --tag-keys {key_of(prefix)}"

"""Inline policies of a role that deny: the sessions of one name, or all sessions issued before a
moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import name_of

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient, PolicyDocument, PolicyStatement

OLDER = "AWSRevokeOlderSessions"  # the name AWS's console gives it: people look for it


def is_of_aws(role: str) -> bool:
    """Tells whether a role (its ARN) is AWS's own, such as a service-linked one: it takes no
    policy.
    """
    return ":role/aws-service-role/" in role or ":role/aws-reserved/" in role


def role_policy(iam: AwsClient, role: str, name: str) -> PolicyDocument | None:
    """Returns a role's inline policy; None: it has none of that name."""
    try:
        return dict(iam.get_role_policy(RoleName=name_of(role), PolicyName=name)["PolicyDocument"])
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return None


def deny(operator: str, key: str, value: str | list[str]) -> PolicyStatement:
    """Returns the statement that denies everything where a condition holds."""
    condition = {operator: {key: value}}
    return {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}


def statements(document: PolicyDocument | None) -> list[PolicyStatement]:
    """Returns a policy's statements: IAM takes a single statement as well as a list."""
    found = (document or {}).get("Statement") or []
    if isinstance(found, dict):
        return [found]
    return [statement for statement in found if isinstance(statement, dict)]


def _revocation_date(statement: PolicyStatement) -> str:
    """Returns the date before which the statement denies everything to every session, or ''."""
    condition = statement.get("Condition") or {}
    date = (condition.get("DateLessThan") or {}).get("aws:TokenIssueTime") or ""
    everything = all(statement.get(key) in ("*", ["*"]) for key in ("Action", "Resource"))
    if not everything or statement.get("Effect") != "Deny" or len(condition) != 1:
        return ""
    return str(date[0] if isinstance(date, list) else date)


def revoked_before(document: PolicyDocument | None) -> str:
    """Returns the date before which a policy revokes all sessions (ISO 8601, UTC), or ''."""
    return max(map(_revocation_date, statements(document)), default="")


def revocation(before: str) -> PolicyStatement:
    """Returns the statement that denies everything to sessions issued before ``before`` (ISO 8601,
    UTC).
    """
    return deny("DateLessThan", "aws:TokenIssueTime", before)


def without_revocation(old: PolicyDocument | None, before: str) -> PolicyDocument | None:
    """Returns the policy as it is to be once no more is revoked than before ``before`` (empty:
    nothing); None where nothing else is left of it.
    """
    others = [statement for statement in statements(old) if not _revocation_date(statement)]
    kept = [revocation(before)] if before else []
    found = [*others, *kept]
    return {"Version": "2012-10-17", "Statement": found} if found else None


def revoke_document(old: PolicyDocument | None, before: str) -> PolicyDocument:
    """Returns the policy that denies everything to sessions issued before ``before`` (ISO 8601,
    UTC), or before a later date that ``old`` has; ``old``'s other statements stay.
    """
    others = [statement for statement in statements(old) if not _revocation_date(statement)]
    newer = revocation(max(before, revoked_before(old)))
    return {"Version": "2012-10-17", "Statement": [*others, newer]}

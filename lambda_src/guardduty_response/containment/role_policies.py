"""Inline policies of a role that deny: one name's sessions, or all that were issued before a
moment.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import Json, name_of

OLDER = "AWSRevokeOlderSessions"  # the name AWS's console gives it: people look for it


def role_policy(iam: Any, role: str, name: str) -> Json | None:
    try:
        return dict(iam.get_role_policy(RoleName=name_of(role), PolicyName=name)["PolicyDocument"])
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return None


def deny(operator: str, key: str, text: str) -> Json:
    return {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {operator: {key: text}}}


def statements(document: Json | None) -> list[Json]:
    """A policy's statements: IAM takes one alone as well as a list."""
    found = (document or {}).get("Statement") or []
    return (
        [found]
        if isinstance(found, dict)
        else [statement for statement in found if isinstance(statement, dict)]
    )


def _date(statement: Json) -> str:
    """The date before which the statement denies everything to every session, or empty."""
    condition = statement.get("Condition") or {}
    date = (condition.get("DateLessThan") or {}).get("aws:TokenIssueTime") or ""
    everything = all(statement.get(key) in ("*", ["*"]) for key in ("Action", "Resource"))
    whole = everything and statement.get("Effect") == "Deny" and len(condition) == 1
    return str(date[0] if isinstance(date, list) else date) if whole else ""


def revoked_before(document: Json | None) -> str:
    return max(map(_date, statements(document)), default="")


def revoke_document(old: Json | None, before: str) -> Json:
    """Denies everything to sessions issued before ``before`` (ISO 8601, UTC), or a later date
    ``old`` has.
    """
    others = [statement for statement in statements(old) if not _date(statement)]
    newer = deny("DateLessThan", "aws:TokenIssueTime", max(before, revoked_before(old)))
    return {"Version": "2012-10-17", "Statement": [*others, newer]}

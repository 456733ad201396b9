"""Names the resources of this playbook's policies, and the roles that none of them may change."""

from __future__ import annotations

from collections.abc import Iterable

from guardduty_response.containment.declared import Permission
from guardduty_response.playbooks.iam_principal.user_action import ROLES, USERS

__all__ = ["GROUPS", "IDENTITIES", "PROTECTED_ROLES", "ROLES", "USERS", "never_its_own"]

GROUPS = "arn:${partition}:iam::${account_id}:group/*"
IDENTITIES = (GROUPS, ROLES, USERS)
# The response's own, and those that IAM lets nobody of the account change.
PROTECTED_ROLES = (
    "${own_role_arns}",
    "arn:${partition}:iam::${account_id}:role/aws-reserved/*",
    "arn:${partition}:iam::${account_id}:role/aws-service-role/*",
)


def never_its_own(actions: Iterable[str]) -> Permission:
    """Denies what the role may do to other roles."""
    return Permission(
        "never changes the response's own roles, AWS's own or those of Identity Center: who"
        " controls a function cannot widen what it may do",
        tuple(actions),
        PROTECTED_ROLES,
        sid="NeverTheResponseItself",
        denies=True,
    )

"""Says what collecting evidence about a principal reads."""

from __future__ import annotations

from guardduty_response.containment.declared import MemberRole, Permission
from guardduty_response.evidence.config_history import ACTIONS as CONFIG_HISTORY
from guardduty_response.playbooks.iam_principal.evidence.permissions import (
    READ_GROUP,
    READ_POLICY,
    READ_ROLE,
    READ_USER,
)
from guardduty_response.playbooks.iam_principal.permissions.patterns import GROUPS, ROLES, USERS

_WHAT_IT_MAY = "records what the principal may do"

COLLECTOR = MemberRole(
    "collector",
    (),
    (
        Permission(
            "lists what the principal did, in every Region that is enabled, and whose a key is",
            ("account:ListRegions", "cloudtrail:LookupEvents", "iam:GetAccessKeyLastUsed"),
        ),
        Permission(
            "keeps what AWS Config recorded of the principal, and finds the Region that records it",
            CONFIG_HISTORY,
        ),
        Permission(
            "records what the user may do, and its credentials",
            READ_USER,
            USERS,
        ),
        Permission(
            f"{_WHAT_IT_MAY}, by its groups",
            READ_GROUP,
            GROUPS,
        ),
        Permission(
            f"{_WHAT_IT_MAY}, by its role",
            READ_ROLE,
            ROLES,
        ),
        Permission(
            f"{_WHAT_IT_MAY}, by managed policies",
            READ_POLICY,
            "arn:${partition}:iam::${account_id}:policy/*",
        ),
    ),
)

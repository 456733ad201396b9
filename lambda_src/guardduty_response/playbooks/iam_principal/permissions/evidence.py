"""Says what collecting evidence about a principal reads."""

from __future__ import annotations

from guardduty_response.containment.declared import MemberRole, Permission
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
            "records what the user may do, and its credentials",
            (
                "iam:GetLoginProfile",
                "iam:GetUser",
                "iam:GetUserPolicy",
                "iam:ListAccessKeys",
                "iam:ListAttachedUserPolicies",
                "iam:ListGroupsForUser",
                "iam:ListMFADevices",
                "iam:ListUserPolicies",
            ),
            USERS,
        ),
        Permission(
            f"{_WHAT_IT_MAY}, by its groups",
            ("iam:GetGroupPolicy", "iam:ListAttachedGroupPolicies", "iam:ListGroupPolicies"),
            GROUPS,
        ),
        Permission(
            f"{_WHAT_IT_MAY}, by its role",
            (
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
            ),
            ROLES,
        ),
        Permission(
            f"{_WHAT_IT_MAY}, by managed policies",
            ("iam:GetPolicy", "iam:GetPolicyVersion"),
            "arn:${partition}:iam::${account_id}:policy/*",
        ),
    ),
)

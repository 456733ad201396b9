"""Names the resources of this playbook's policies."""

from __future__ import annotations

from guardduty_response.containment.role_policy_control import ROLES
from guardduty_response.playbooks.iam_principal.user_action import USERS

__all__ = ["GROUPS", "IDENTITIES", "ROLES", "USERS"]

GROUPS = "arn:${partition}:iam::${account_id}:group/*"
IDENTITIES = (GROUPS, ROLES, USERS)

"""Names the resources of this playbook's policies, and what reversals need of them."""

from __future__ import annotations

from guardduty_response.containment.declared import grants_of, resources_of
from guardduty_response.containment.role_policy_control import ROLES
from guardduty_response.playbooks.iam_principal.reversals import KINDS
from guardduty_response.playbooks.iam_principal.reversals.reversal import GROUPS
from guardduty_response.playbooks.iam_principal.user_action import USERS

__all__ = ["GROUPS", "IDENTITIES", "ROLES", "USERS", "of_reversals"]

IDENTITIES = (GROUPS, ROLES, USERS)


def of_reversals(purpose: str, *resources: str) -> set[str]:
    """Returns the actions that reversals need on these resources for a purpose."""
    return {
        action
        for kind in KINDS
        for grant in grants_of(kind, purpose)
        if set(resources_of(grant.on)) & set(resources)
        for action in grant.actions
    }

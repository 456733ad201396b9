"""Finds the principal of a finding and how it is now, and says what would be done. Changes
nothing.
"""

from __future__ import annotations

from guardduty_response.containment.contract import Context, Planned
from guardduty_response.playbooks.iam_principal import identify
from guardduty_response.playbooks.iam_principal.identify import Principal
from guardduty_response.playbooks.iam_principal.plan_target import plan_not_containable
from guardduty_response.playbooks.iam_principal.plan_user import (
    find_federating_user,
    plan_user,
)


def plan(context: Context) -> Planned:
    """Plans for the finding's principal. Raises NoTarget, TargetGone, RoleUnavailable."""
    identity = identify.principal_in(context.finding)
    if identity.kind == identify.FEDERATED:
        identity = find_federating_user(context, identity) or identity
    if identity.kind == identify.UNKNOWN and context.finding.sample:
        # Some samples say GeneratedFindingUserType.
        identity = Principal(identify.USER, identity.user or "unnamed", key=identity.key)
    if identity.kind == identify.USER:
        return plan_user(context, identity)
    if identity.kind == identify.SESSION:
        from guardduty_response.playbooks.iam_principal.plan_role_session import plan_role_session

        return plan_role_session(context, identity)
    return plan_not_containable(context, identity)

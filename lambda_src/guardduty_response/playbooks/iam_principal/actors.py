"""Finds who undid the containment of a principal: which calls can have, and what to ask CloudTrail
for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.cloudtrail import actors
from guardduty_response.containment import chained_denial
from guardduty_response.containment.contract import Check
from guardduty_response.containment.control import AnyControl
from guardduty_response.playbooks.iam_principal import role, user
from guardduty_response.playbooks.iam_principal.identity_center.center import (
    DENY,
    recorded_user,
)
from guardduty_response.playbooks.iam_principal.identity_center.verify import (
    ROLE,
    open_actor_session,
)
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

if TYPE_CHECKING:
    from guardduty_response.incident.model import ChangeEvent

# What can undo each check, by the check's name up to its first space.
CONTROLS: tuple[type[AnyControl], ...] = (
    *user.CONTROLS,
    *role.CONTROLS,
    chained_denial.ChainedDenial,
)
CALLS: actors.Calls = {control.name: control.undone_by for control in CONTROLS if not control.label}
# Of IAM Identity Center: recorded in its own account and Region, where the schedule finds them; no
# event rule hears them.
_OF_POLICIES = (
    "PutInlinePolicyToPermissionSet",
    "DeleteInlinePolicyFromPermissionSet",
    "ProvisionPermissionSet",
)
IDENTITY_CENTER_CALLS: actors.Calls = {
    # a permission set that the person got since has no denial yet
    DENY: (*_OF_POLICIES, "CreateAccountAssignment", "CreateGroupMembership"),
    ROLE: _OF_POLICIES,
}


def find_actors(
    principal: PrincipalContext,
    failed_checks: list[Check],
    since: str,
    seen: ChangeEvent | None,
    watched: list[str],
) -> list[ChangeEvent]:
    """As cloudtrail.actors; ``watched`` as the record keeps it."""
    of_center = [check for check in failed_checks if _kind(check) in IDENTITY_CENTER_CALLS]
    if of_center:
        return _find_in_center(principal, of_center, since, seen, watched)
    region = actors.iam_region(principal)
    own_names = [name for name in (principal.identity.user, principal.identity.role) if name]
    check_names = [check.name.split(" ")[1] for check in failed_checks if " " in check.name]
    queries = [(region, "ResourceName", name) for name in own_names + check_names]
    for check in failed_checks:
        queries += [(region, "EventName", call) for call in CALLS.get(_kind(check), ())]
    names = {*own_names, *check_names, *watched} - {""}
    return actors.find_actors(principal, CALLS, queries, failed_checks, since, seen, names)


def _find_in_center(
    principal: PrincipalContext,
    failed_checks: list[Check],
    since: str,
    seen: ChangeEvent | None,
    watched: list[str],
) -> list[ChangeEvent]:
    option = principal.options.get("identity_center") or {}
    region = str(option.get("region") or "")
    queries = [(region, "EventName", call) for call in IDENTITY_CENTER_CALLS[DENY]]
    return actors.find_actors(
        principal,
        IDENTITY_CENTER_CALLS,
        queries,
        failed_checks,
        since,
        seen,
        {*watched, recorded_user(principal)} - {""},
        lambda _: open_actor_session(principal),
    )


def _kind(check: Check) -> str:
    return check.name.split(" ")[0]

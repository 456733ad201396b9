"""Says what containing, monitoring and restoring a principal needs beside the controls' grants."""

from __future__ import annotations

from guardduty_response.cloudtrail import regions
from guardduty_response.containment import (
    chained_denial,
    denied_role_tag,
    managed_denial,
    managed_permissions,
)
from guardduty_response.containment.control import AnyControl, actions_of
from guardduty_response.containment.declared import (
    CONTAINS,
    FINDS,
    READS,
    RESTORES,
    MemberRole,
    Permission,
    changing_roles,
    grants_of,
    never_its_own,
)
from guardduty_response.playbooks.iam_principal import reversals, role, user
from guardduty_response.playbooks.iam_principal.permissions.patterns import (
    IDENTITIES,
    ROLES,
    of_reversals,
)

CONTROLS: tuple[type[AnyControl], ...] = (
    *user.CONTROLS,
    *role.CONTROLS,
    chained_denial.ChainedDenial,
)
WHOSE_KEY = "finds whose key it is, by the key that a finding names"

WHY = {
    ("held_sessions", "iam:TagRole"): denied_role_tag.WHY,
    ("revoke_sessions", "iam:TagRole"): denied_role_tag.WHY,
    ("held_sessions", "iam:UntagRole"): denied_role_tag.WHY_NOT,
    ("revoke_sessions", "iam:UntagRole"): denied_role_tag.WHY_NOT,
    ("deny_all", "iam:PutUserPermissionsBoundary"): (
        "denies it by the boundary, where the quota of attached policies is full; a restore gives"
        " back the boundary that there was"
    ),
}

RESPONDER = MemberRole(
    "responder",
    (READS, FINDS, CONTAINS),
    (
        Permission(WHOSE_KEY, ("iam:GetAccessKeyLastUsed", "sts:GetAccessKeyInfo")),
        Permission(
            "finds the sessions that the principal holds in other roles, who got a session, and who"
            " undid a containment, in every Region that is enabled",
            ("account:ListRegions", "cloudtrail:LookupEvents"),
        ),
        Permission(
            "tells people who else uses the role, and finds the instance of stolen credentials",
            role.WORKLOADS,
        ),
        Permission(
            "tells people who else uses the role, and shows whether an instance has it",
            ("iam:ListInstanceProfilesForRole",),
            ROLES,
        ),
        *managed_permissions.DENIES,
        *managed_permissions.EXPIRES,
        never_its_own(
            (
                *changing_roles(CONTROLS, CONTAINS),
                managed_denial.ATTACHES,
                *managed_permissions.EXPIRY,
            )
        ),
    ),
)

MONITOR = MemberRole(
    "monitor",
    (READS, FINDS),
    (
        *managed_permissions.READS,
        Permission(
            "finds whose a key is by now, where its user is gone or has another name",
            ("iam:GetAccessKeyLastUsed",),
        ),
        Permission(
            "looks again for sessions that the principal holds in other roles, where CloudTrail"
            " could not be queried to the end",
            regions.LOOKS_UP,
        ),
    ),
)


def _of_controls(purpose: str) -> set[str]:
    """Returns the actions that the controls need for a purpose, whatever is switched off."""
    return {
        action
        for control in CONTROLS
        for grant in grants_of(control, purpose)
        if not grant.option
        for action in grant.actions
    }


_RESTORED = {action for kind in reversals.KINDS for action in actions_of(kind.restores)}
# The rest of what eradication changed: see the remediator, which these take back.
_GRANTS_BACK = Permission(
    "gives back what eradication took of IAM policies, groups and boundaries",
    tuple(of_reversals(RESTORES, *IDENTITIES) - _of_controls(RESTORES)),
    IDENTITIES,
    sid="GrantsBack",
    switch="remediates",
)

RESTORER = MemberRole(
    "restorer",
    (READS, RESTORES),
    (
        *managed_permissions.RESTORES,
        Permission(
            "compares what eradication changed with how it is now",
            tuple({*reversals.READS} - _of_controls(READS)),
            sid="LookAtWhatWasUndone",
            switch="remediates",
        ),
        _GRANTS_BACK,
        Permission(
            "gives back what eradication closed, stopped or no longer shares",
            tuple(_RESTORED - of_reversals(RESTORES, *IDENTITIES)),
            sid="ResourcesBack",
            switch="remediates",
        ),
        never_its_own(
            (
                *changing_roles(CONTROLS, RESTORES),
                managed_denial.DETACHES,
                *(action for action in _GRANTS_BACK.actions if "Role" in action),
            )
        ),
    ),
)

"""Who undid the containment of a principal: which calls can have, and what to ask CloudTrail for
them.
"""

from __future__ import annotations

from guardduty_response.cloudtrail import actors
from guardduty_response.containment.contract import Check
from guardduty_response.containment.target_context import Json
from guardduty_response.playbooks.iam_principal.identity_center.center import DENY
from guardduty_response.playbooks.iam_principal.identity_center.verify import ROLE, culprit_session
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

# What can undo each check, by the check's name up to its first space.
# playbooks/iam_principal/undoing-calls.json, from which the event rule is made, lists the same
# calls (a test compares).
CALLS: actors.Calls = {
    "deny_all": ("DetachUserPolicy", "DeleteUserPermissionsBoundary", "PutUserPermissionsBoundary"),
    "deactivate_access_keys": ("UpdateAccessKey", "CreateAccessKey"),
    "console_password": ("CreateLoginProfile", "UpdateLoginProfile"),
    "deactivate_mfa": ("EnableMFADevice",),
    "deactivate_ssh_keys": ("UpdateSSHPublicKey", "UploadSSHPublicKey"),
    "deactivate_service_credentials": (
        "UpdateServiceSpecificCredential",
        "CreateServiceSpecificCredential",
    ),
    "deactivate_certificates": ("UpdateSigningCertificate", "UploadSigningCertificate"),
    "revoke_sessions": ("DeleteRolePolicy", "PutRolePolicy"),
    "held_sessions": ("DeleteRolePolicy", "PutRolePolicy"),
}
# Of IAM Identity Center: recorded in its own account and Region, where the schedule finds them; no
# event rule hears them.
CENTER: actors.Calls = dict.fromkeys(
    (DENY, ROLE),
    (
        "PutInlinePolicyToPermissionSet",
        "DeleteInlinePolicyFromPermissionSet",
        "ProvisionPermissionSet",
    ),
)


def who(
    principal: PrincipalContext,
    undone: list[Check],
    since: str,
    seen: Json | None,
    watched: list[str],
) -> list[Json]:
    """As cloudtrail.actors.find_actors; ``watched`` as the record keeps it."""
    if center := [one for one in undone if one.name.split(" ")[0] in CENTER]:
        region = str((principal.options.get("identity_center") or {}).get("region") or "")
        asked = [(region, "EventName", call) for call in CENTER[DENY]]
        return actors.find_actors(
            principal,
            CENTER,
            asked,
            center,
            since,
            seen,
            set(watched),
            lambda _: culprit_session(principal),
        )
    names = {
        principal.who.user,
        principal.who.role,
        *watched,
        *(one.name.split(" ")[1] for one in undone if " " in one.name),
    } - {""}
    region = actors.iam_region(principal)
    asked = [
        (region, "ResourceName", name) for name in (principal.who.user, principal.who.role) if name
    ]
    asked += [(region, "ResourceName", one.name.split(" ")[1]) for one in undone if " " in one.name]
    asked += [
        (region, "EventName", call)
        for one in undone
        for call in CALLS.get(one.name.split(" ")[0], ())
    ]
    return actors.find_actors(principal, CALLS, asked, undone, since, seen, names)

"""Restores an IAM user: the denial, the permissions boundary and every credential."""

from __future__ import annotations

from functools import partial

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus, changed_since
from guardduty_response.containment.target_context import DONE, Sessions, allow
from guardduty_response.playbooks.iam_principal.deny_all import DenyAll
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.records import (
    AwsAnswer,
    BoundaryState,
    DenyAllState,
    LoginProfileState,
)
from guardduty_response.playbooks.iam_principal.restore_access import changing_client
from guardduty_response.playbooks.iam_principal.user_credentials import (
    AccessKeys,
    Certificates,
    Mfa,
    Password,
    ServiceCredentials,
    SshKeys,
    SwitchedCredentials,
)

SWITCHED: tuple[type[SwitchedCredentials], ...] = (
    AccessKeys,
    SshKeys,
    ServiceCredentials,
    Certificates,
)

# -- the denial ------------------------------------------------------------------------------------


def deny_all_items(principal: PrincipalContext, sessions: Sessions) -> list[RestoreItem]:
    """AWSDenyAll attached, and as the permissions boundary."""
    before: DenyAllState = principal.before_state("deny_all")
    # The boundary as it was when AWSDenyAll took its place, which may be after the plan.
    replaced: BoundaryState | None = principal.before_state("boundary")
    old_boundary = replaced["boundary"] if replaced else before["boundary"]
    current = DenyAll(principal, sessions, PrincipalState()).read()
    return [
        _attached_item(principal, before["attached"], current["attached"]),
        _boundary_item(principal, old_boundary, current["boundary"]),
    ]


def _attached_item(principal: PrincipalContext, before: bool, attached: bool) -> RestoreItem:
    name = principal.identity.user
    attached_text = "attached to" if attached else "not attached to"
    if attached == before:
        return RestoreItem(
            RestoreStatus.UNCHANGED,
            "deny_all",
            "attached",
            f"AWSDenyAll is {attached_text} {name}, as before",
        )
    if not attached:
        return changed_since("deny_all", "attached", f"AWSDenyAll is {attached_text} {name}")
    return RestoreItem(
        RestoreStatus.TODO,
        "deny_all",
        "attached",
        f"AWSDenyAll detached from {name}",
        f"aws iam detach-user-policy --user-name {name} --policy-arn {principal.deny_all}",
        partial(_detach, principal),
    )


def _boundary_item(
    principal: PrincipalContext, old: str | None, present: str | None
) -> RestoreItem:
    name = principal.identity.user
    if present == old:
        sentence = f"the permissions boundary of {name} is {old or 'none'}, as before"
        return RestoreItem(RestoreStatus.UNCHANGED, "deny_all", "boundary", sentence)
    if present != principal.deny_all:
        sentence = f"the permissions boundary of {name} is {present or 'none'}"
        return changed_since("deny_all", "boundary", sentence)
    if old:
        sentence = f"permissions boundary of {name} {old} again"
        command = (
            f"aws iam put-user-permissions-boundary --user-name {name} --permissions-boundary {old}"
        )
    else:
        sentence = f"permissions boundary of {name} taken away"
        command = f"aws iam delete-user-permissions-boundary --user-name {name}"
    return RestoreItem(
        RestoreStatus.TODO,
        "deny_all",
        "boundary",
        sentence,
        command,
        partial(_restore_boundary, principal, old),
    )


def _detach(principal: PrincipalContext) -> list[AwsAnswer]:
    iam = changing_client(principal, principal.target.arn, "iam:DetachUserPolicy")
    detach = partial(
        iam.detach_user_policy, UserName=principal.identity.user, PolicyArn=principal.deny_all
    )
    return [retry_on_conflict(detach)]


def _restore_boundary(principal: PrincipalContext, old: str | None) -> list[AwsAnswer]:
    name = principal.identity.user
    iam = changing_client(
        principal,
        principal.target.arn,
        "iam:DeleteUserPermissionsBoundary",
        "iam:PutUserPermissionsBoundary",
    )
    call = partial(iam.delete_user_permissions_boundary, UserName=name)
    if old:
        call = partial(iam.put_user_permissions_boundary, UserName=name, PermissionsBoundary=old)
    return [retry_on_conflict(call)]


# -- credentials that are switched -----------------------------------------------------------------


def switched_items(
    credentials: type[SwitchedCredentials], principal: PrincipalContext, sessions: Sessions
) -> list[RestoreItem]:
    """Every recorded credential of a kind, and those that came since and are inactive."""
    before: dict[str, str] = principal.before_state(credentials.item)
    current = credentials(principal, sessions, PrincipalState()).read()
    items = [
        _switched_item(credentials, principal, id, status, current.get(id))
        for id, status in sorted(before.items())
    ]
    for id in sorted(current.keys() - before.keys()):
        if current[id] == "Inactive":  # contained again, what came meanwhile was ended too
            sentence = (
                f"{credentials.label} {id} came after the first containment and is Inactive: left"
                " so, a person decides"
            )
            command = _activate_command(credentials, principal, id)
            items.append(
                RestoreItem(RestoreStatus.RETAINED, credentials.item, id, sentence, command)
            )
    return items


def _switched_item(
    credentials: type[SwitchedCredentials],
    principal: PrincipalContext,
    id: str,
    before: str,
    status: str | None,
) -> RestoreItem:
    credential = f"{credentials.label} {id}"
    if status == before:
        sentence = f"{credential} is {before}"
        return RestoreItem(RestoreStatus.UNCHANGED, credentials.item, id, sentence)
    if status is None:
        sentence = f"{credential} no longer exists"
        return RestoreItem(RestoreStatus.CHANGED_SINCE, credentials.item, id, sentence)
    if before != "Active":
        return changed_since(credentials.item, id, f"{credential} is {status}")
    return RestoreItem(
        RestoreStatus.TODO,
        credentials.item,
        id,
        f"{credential} Active again",
        _activate_command(credentials, principal, id),
        partial(_activate, credentials, principal, id),
    )


def _activate_command(
    credentials: type[SwitchedCredentials], principal: PrincipalContext, id: str
) -> str:
    command = credentials.manual_command.format(user=principal.identity.user)
    command = command.replace("Inactive", "Active")
    command = command.replace(" KEY ", f" {id} ").replace(" ID ", f" {id} ")
    return f"aws {command}"


def _activate(
    credentials: type[SwitchedCredentials], principal: PrincipalContext, id: str
) -> list[AwsAnswer]:
    words = "".join(word.capitalize() for word in credentials.UPDATE.split("_"))
    action = f"iam:{words.replace('Ssh', 'SSH')}"
    sessions = Sessions(principal, [allow((action,), principal.target.arn)], {})
    return [credentials(principal, sessions, PrincipalState()).switch(id, "Active")]


# -- password and MFA ------------------------------------------------------------------------------


def password_items(principal: PrincipalContext, sessions: Sessions) -> list[RestoreItem]:
    """The console password, which cannot come back once it was removed or replaced."""
    name = principal.identity.user
    before: LoginProfileState = principal.before_state("login_profile")
    current = Password(principal, sessions, PrincipalState()).read()
    if not current:
        sentence = (
            f"the console password of {name} was removed and cannot come back: a person sets a new"
            " one"
        )
        return [_password_to_set(sentence, f"create-login-profile --user-name {name}")]
    if principal.logged_action(Password.name).get("status") != DONE:
        return [_password_unchanged(f"{name} has its console password")]
    set_since = current["created"] > str(before.get("created") or "")
    if set_since or not current["reset_required"]:
        return [_password_unchanged(f"{name} has a console password that was set since")]
    sentence = (
        f"the console password of {name} was replaced by a random one that nobody knows: a person"
        " sets a new one"
    )
    return [_password_to_set(sentence, f"update-login-profile --user-name {name}")]


def _password_unchanged(sentence: str) -> RestoreItem:
    return RestoreItem(RestoreStatus.UNCHANGED, "login_profile", "", sentence)


def _password_to_set(sentence: str, command: str) -> RestoreItem:
    command = f"aws iam {command} --password NEW --password-reset-required"
    return RestoreItem(RestoreStatus.MANUAL, "login_profile", "", sentence, command)


def mfa_items(principal: PrincipalContext, sessions: Sessions) -> list[RestoreItem]:
    """Every recorded MFA device."""
    before: dict[str, str] = principal.before_state("mfa")
    current = Mfa(principal, sessions, PrincipalState()).read()
    return [_mfa_item(principal, serial, serial in current) for serial in sorted(before)]


def _mfa_item(principal: PrincipalContext, serial: str, active: bool) -> RestoreItem:
    if active:
        sentence = f"MFA device {serial} is active"
        return RestoreItem(RestoreStatus.UNCHANGED, "mfa", serial, sentence)
    return RestoreItem(
        RestoreStatus.MANUAL,
        "mfa",
        serial,
        f"MFA device {serial} was deactivated: only who holds it can enable it again",
        (
            f"aws iam enable-mfa-device --user-name {principal.identity.user} --serial-number"
            f" {serial} (two codes of it are needed)"
        ),
    )

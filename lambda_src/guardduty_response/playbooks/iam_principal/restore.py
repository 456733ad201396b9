"""Undoes the containment of a principal from the record, and reads it back; then what was undone
of its actions, likewise.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment import restoration
from guardduty_response.containment.contract import Context, RestoreResult, Target
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus, changed_since
from guardduty_response.containment.role_policies import OLDER, revoked_before, role_policy
from guardduty_response.containment.target_context import (
    BRANCHES,
    DONE,
    Json,
    Sessions,
    allow,
    describe_error,
    name_of,
    run_all,
)
from guardduty_response.playbooks.iam_principal import (
    chained_sessions,
    identify,
    restore_reversals,
    user,
)
from guardduty_response.playbooks.iam_principal.identity_center import restore as permission_sets
from guardduty_response.playbooks.iam_principal.identity_center.center import PART
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
    retry_on_conflict,
)
from guardduty_response.playbooks.iam_principal.tags import Tag, TagRole, TagUser

SWITCHED: dict[str, type[user.Switched]] = {
    kind.item: kind
    for kind in (user.AccessKeys, user.SshKeys, user.ServiceCredentials, user.Certificates)
}


def restore(context: Context, target: Target) -> RestoreResult:
    """Brings back what the ledger's before-state says, and reads it back. Raises RoleUnavailable,
    or the error of reading the user or role: then nothing was changed.
    """
    principal = PrincipalContext(context, target)
    principal.stored = principal.read_stored()
    return restoration.restore(principal, partial(_look, principal))


def _arn(principal: PrincipalContext, kind: str) -> str:
    """The user's or the role's ARN; its path is not in the record's target of a role session."""
    if kind == "user":
        return principal.target.arn
    return str(
        (principal.before_state("sessions") or {}).get("role")
        or principal.arn(f"role/{principal.who.role}", "iam")
    )


def _look(principal: PrincipalContext) -> tuple[bool, list[RestoreItem]]:
    """A fresh session each time: it reads everything and changes nothing."""
    had = principal.stored.get("before") or {}
    others = {
        name: partial(_held, principal, name)
        for name in had
        if name.startswith(f"{chained_sessions.NAME}/")
    }
    if principal.target.kind == identify.IDENTITY_CENTER:
        sets = {
            name: partial(permission_sets.part, principal, name)
            for name in had
            if name.startswith(f"{PART}/")
        }
        return True, _judged({**sets, **others}) + restore_reversals.parts(principal)
    if principal.target.kind == identify.USER:
        reading = user.reading(principal, principal.target.arn)
        if not _exists(reading.client("iam").get_user, UserName=principal.who.user):
            gone = RestoreItem(
                RestoreStatus.CHANGED_SINCE,
                "user",
                "",
                f"IAM user {principal.who.user} no longer exists",
            )
            return False, [gone, *restore_reversals.parts(principal)]
    else:
        reads = allow(("iam:GetRole", "iam:GetRolePolicy"), _arn(principal, "role"))
        reading = Sessions(principal, [reads], {})
        if not _exists(reading.client("iam").get_role, RoleName=principal.who.role):
            gone = RestoreItem(
                RestoreStatus.CHANGED_SINCE,
                "role",
                "",
                f"role {principal.who.role} no longer exists",
            )
            return False, [gone, *restore_reversals.parts(principal)]
    judges: dict[str, Callable[[PrincipalContext, Sessions], list[RestoreItem]]] = {
        "deny_all": _deny_all,
        "login_profile": _password,
        "mfa": _mfa,
        "sessions": _sessions,
        "tags": _tags,
        **{part: partial(_switched, kind) for part, kind in SWITCHED.items()},
    }
    calls = {
        name: partial(judge, principal, reading) for name, judge in judges.items() if name in had
    }
    parts = _judged({**calls, **others}) + restore_reversals.parts(principal)
    if other := _contained_by_another(principal, reading):
        parts = [
            replace(one, status=RestoreStatus.RETAINED, call=None, manual_command="", text=other)
            if one.call
            else one
            for one in parts
        ]
    return True, parts


def _judged(calls: dict[str, Callable[[], list[RestoreItem]]]) -> list[RestoreItem]:
    parts: list[RestoreItem] = []
    for name, got in run_all(calls, BRANCHES).items():
        if isinstance(got, Exception):
            parts.append(
                RestoreItem(
                    RestoreStatus.MANUAL,
                    name,
                    "",
                    f"{name} could not be read ({describe_error(got)}): run restore again",
                )
            )
        else:
            parts += got
    return parts


def _label(principal: PrincipalContext, reading: Sessions) -> Tag:
    return (TagUser if principal.target.kind == identify.USER else TagRole)(
        principal, reading, PrincipalState()
    )


def _contained_by_another(principal: PrincipalContext, reading: Sessions) -> str:
    """A later incident found the principal as we left it, and holds it so: undoing ours would
    undo that one's.
    """
    key = f"{principal.prefix}-incident"
    tag = _label(principal, reading).read().get(key)
    if tag in (
        None,
        principal.context.incident_id,
        (principal.before_state("tags") or {}).get(key),
    ):
        return ""
    return (
        f"incident {tag} contains {principal.id} too, by its tag {key}: restore that one "
        "first (no such"
        " incident: remove the tag)"
    )


def _exists(call: Callable[..., Any], **name: str) -> bool:
    try:
        call(**name)
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return False
    return True


def _changing(principal: PrincipalContext, arn: str, *actions: str) -> Any:
    return principal.open_session(allow(actions, arn)).client("iam")


# -- a user ----------------------------------------------------------------------------------------


def _deny_all(principal: PrincipalContext, reading: Sessions) -> list[RestoreItem]:
    was, name = principal.before_state("deny_all"), principal.who.user
    now = user.DenyAll(principal, reading, PrincipalState()).read()
    parts = []
    if now["attached"] == was["attached"]:
        text = (
            f"AWSDenyAll is {'attached to' if now['attached'] else 'not attached to'} {name}, as"
            " before"
        )
        parts.append(RestoreItem(RestoreStatus.UNCHANGED, "deny_all", "attached", text))
    elif now["attached"]:
        hand = f"aws iam detach-user-policy --user-name {name} --policy-arn {principal.deny_all}"
        parts.append(
            RestoreItem(
                RestoreStatus.TODO,
                "deny_all",
                "attached",
                f"AWSDenyAll detached from {name}",
                hand,
                partial(_detach, principal),
            )
        )
    else:
        parts.append(changed_since("deny_all", "attached", f"AWSDenyAll is not attached to {name}"))
    old = (principal.before_state("boundary") or was)[
        "boundary"
    ]  # as it was when AWSDenyAll took its place
    if now["boundary"] == old:
        text = f"the permissions boundary of {name} is {old or 'none'}, as before"
        parts.append(RestoreItem(RestoreStatus.UNCHANGED, "deny_all", "boundary", text))
    elif now["boundary"] == principal.deny_all:
        hand = (
            f"aws iam {'put' if old else 'delete'}-user-permissions-boundary --user-name {name}"
            + (f" --permissions-boundary {old}" if old else "")
        )
        text = f"permissions boundary of {name} {f'{old} again' if old else 'taken away'}"
        parts.append(
            RestoreItem(
                RestoreStatus.TODO,
                "deny_all",
                "boundary",
                text,
                hand,
                partial(_boundary_back, principal, old),
            )
        )
    else:
        parts.append(
            changed_since(
                "deny_all",
                "boundary",
                f"the permissions boundary of {name} is {now['boundary'] or 'none'}",
            )
        )
    return parts


def _detach(principal: PrincipalContext) -> list[Json]:
    iam = _changing(principal, principal.target.arn, "iam:DetachUserPolicy")
    return [
        retry_on_conflict(
            partial(
                iam.detach_user_policy, UserName=principal.who.user, PolicyArn=principal.deny_all
            )
        )
    ]


def _boundary_back(principal: PrincipalContext, old: str | None) -> list[Json]:
    iam = _changing(
        principal,
        principal.target.arn,
        "iam:DeleteUserPermissionsBoundary",
        "iam:PutUserPermissionsBoundary",
    )
    if old:
        return [
            retry_on_conflict(
                partial(
                    iam.put_user_permissions_boundary,
                    UserName=principal.who.user,
                    PermissionsBoundary=old,
                )
            )
        ]
    return [
        retry_on_conflict(
            partial(iam.delete_user_permissions_boundary, UserName=principal.who.user)
        )
    ]


def _switched(
    kind: type[user.Switched], principal: PrincipalContext, reading: Sessions
) -> list[RestoreItem]:
    now, parts = kind(principal, reading, PrincipalState()).read(), []
    for id, was in sorted(principal.before_state(kind.item).items()):
        seen, what = now.get(id), f"{kind.what} {id}"
        if seen == was:
            parts.append(RestoreItem(RestoreStatus.UNCHANGED, kind.item, id, f"{what} is {was}"))
        elif seen is None:
            parts.append(
                RestoreItem(RestoreStatus.CHANGED_SINCE, kind.item, id, f"{what} no longer exists")
            )
        elif was != "Active":
            parts.append(changed_since(kind.item, id, f"{what} is {seen}"))
        else:
            hand = _on_by_hand(kind, principal, id)
            parts.append(
                RestoreItem(
                    RestoreStatus.TODO,
                    kind.item,
                    id,
                    f"{what} Active again",
                    hand,
                    partial(_switch_back, kind, principal, id),
                )
            )
    for id in sorted(now.keys() - principal.before_state(kind.item).keys()):
        if now[id] == "Inactive":  # contained again, what came meanwhile was ended too
            text = (
                f"{kind.what} {id} came after the first containment and is Inactive: left so, a"
                " person decides"
            )
            parts.append(
                RestoreItem(
                    RestoreStatus.RETAINED, kind.item, id, text, _on_by_hand(kind, principal, id)
                )
            )
    return parts


def _on_by_hand(kind: type[user.Switched], principal: PrincipalContext, id: str) -> str:
    command = f"aws {kind.manual_command.format(user=principal.who.user)}".replace(
        "Inactive", "Active"
    )
    return command.replace(" KEY ", f" {id} ").replace(" ID ", f" {id} ")


def _switch_back(kind: type[user.Switched], principal: PrincipalContext, id: str) -> list[Json]:
    action = f"iam:{''.join(word.capitalize() for word in kind.UPDATE.split('_'))}".replace(
        "Ssh", "SSH"
    )
    sessions = Sessions(principal, [allow((action,), principal.target.arn)], {})
    return [kind(principal, sessions, PrincipalState()).switch(id, "Active")]


def _password(principal: PrincipalContext, reading: Sessions) -> list[RestoreItem]:
    name = principal.who.user
    now = user.Password(principal, reading, PrincipalState()).read()
    if not now:
        hand = (
            f"aws iam create-login-profile --user-name {name} --password NEW"
            " --password-reset-required"
        )
        text = (
            f"the console password of {name} was removed and cannot come back: a person sets a"
            " new one"
        )
        return [RestoreItem(RestoreStatus.MANUAL, "login_profile", "", text, hand)]
    hand = (
        f"aws iam update-login-profile --user-name {name} --password NEW --password-reset-required"
    )
    done = principal.logged_action(user.Password.name)
    if done.get("status") != DONE:
        return [
            RestoreItem(
                RestoreStatus.UNCHANGED, "login_profile", "", f"{name} has its console password"
            )
        ]
    if (
        now["created"] > str(principal.before_state("login_profile").get("created") or "")
        or not now["reset_required"]
    ):
        return [
            RestoreItem(
                RestoreStatus.UNCHANGED,
                "login_profile",
                "",
                f"{name} has a console password that was set since",
            )
        ]
    text = (
        f"the console password of {name} was replaced by a random one that nobody knows: a person"
        " sets a new one"
    )
    return [RestoreItem(RestoreStatus.MANUAL, "login_profile", "", text, hand)]


def _mfa(principal: PrincipalContext, reading: Sessions) -> list[RestoreItem]:
    now, parts = user.Mfa(principal, reading, PrincipalState()).read(), []
    for serial in sorted(principal.before_state("mfa")):
        if serial in now:
            parts.append(
                RestoreItem(
                    RestoreStatus.UNCHANGED, "mfa", serial, f"MFA device {serial} is active"
                )
            )
        else:
            hand = (
                f"aws iam enable-mfa-device --user-name {principal.who.user} --serial-number "
                f"{serial}"
                " (two codes of it are needed)"
            )
            text = f"MFA device {serial} was deactivated: only who holds it can enable it again"
            parts.append(RestoreItem(RestoreStatus.MANUAL, "mfa", serial, text, hand))
    return parts


# -- sessions --------------------------------------------------------------------------------------


def _sessions(principal: PrincipalContext, reading: Sessions) -> list[RestoreItem]:
    was, iam = principal.before_state("sessions"), reading.client("iam")
    return [
        _policy(
            principal,
            "sessions",
            _arn(principal, "role"),
            name,
            old,
            role_policy(iam, principal.who.role, name),
        )
        for name, old in was["policies"].items()
    ]


def _held(principal: PrincipalContext, name: str) -> list[RestoreItem]:
    was = principal.before_state(name)
    iam = _changing(principal, was["role"], "iam:GetRolePolicy")
    return [
        _policy(
            principal,
            name,
            was["role"],
            was["policy"],
            was["document"],
            role_policy(iam, was["role"], was["policy"]),
        )
    ]


def _policy(
    principal: PrincipalContext, part: str, arn: str, name: str, old: Json | None, now: Json | None
) -> RestoreItem:
    role = name_of(arn)
    about = f"--role-name {role} --policy-name {name}"
    hand = f"aws iam delete-role-policy {about}"
    if old is not None:
        hand = f"aws iam put-role-policy {about} --policy-document '{json.dumps(old)}'"
    if now == old:
        text = (
            f"policy {name} of role {role} is as it was"
            if old
            else f"role {role} has no policy {name}, as before"
        )
        return RestoreItem(RestoreStatus.UNCHANGED, part, name, text)
    if name == OLDER and now is not None:
        text = (
            f"{name} stays on role {role}: sessions issued before {revoked_before(now)} stay dead"
            " by design, newer ones work"
        )
        return RestoreItem(RestoreStatus.RETAINED, part, name, text, hand)
    if now is None or not _ours(now):
        return changed_since(
            part, name, f"role {role} has {'another' if now else 'no'} policy {name}"
        )
    text = (
        f"policy {name} {'put back as it was on' if old else 'removed from'} role {role}: its"
        " sessions work again"
    )
    return RestoreItem(
        RestoreStatus.TODO, part, name, text, hand, partial(_policy_back, principal, arn, name, old)
    )


def _ours(document: Json) -> bool:
    """A denial of named sessions, as role.deny_sessions writes it."""
    statements = document.get("Statement") or []
    condition = statements[0].get("Condition") or {} if len(statements) == 1 else {}
    return (
        set(condition) == {"StringEquals", "DateLessThan"}
        and "aws:userid" in condition["StringEquals"]
    )


def _policy_back(principal: PrincipalContext, arn: str, name: str, old: Json | None) -> list[Json]:
    iam = _changing(principal, arn, "iam:DeleteRolePolicy" if old is None else "iam:PutRolePolicy")
    if old is None:
        return [
            retry_on_conflict(
                partial(iam.delete_role_policy, RoleName=name_of(arn), PolicyName=name)
            )
        ]
    return [
        retry_on_conflict(
            partial(
                iam.put_role_policy,
                RoleName=name_of(arn),
                PolicyName=name,
                PolicyDocument=json.dumps(old),
            )
        )
    ]


# -- tags ------------------------------------------------------------------------------------------


def _tags(principal: PrincipalContext, reading: Sessions) -> list[RestoreItem]:
    tag = _label(principal, reading)
    now, wanted, parts = tag.read(), tag.wanted(), []
    for key, old in principal.before_state("tags").items():
        if now.get(key) == old:
            parts.append(
                RestoreItem(
                    RestoreStatus.UNCHANGED,
                    "tags",
                    key,
                    f"tag {key} is {'gone' if old is None else old}",
                )
            )
        elif now.get(key) != wanted.get(key):
            parts.append(changed_since("tags", key, f"tag {key} is {now.get(key)}"))
        else:
            kind = tag.WHAT.lower()
            verb = f"untag-{kind}" if old is None else f"tag-{kind}"
            tail = f"--tag-keys {key}" if old is None else f"--tags Key={key},Value={old}"
            hand = f"aws iam {verb} --{kind}-name {principal.who.user or principal.who.role} {tail}"
            text = f"tag {key} removed" if old is None else f"tag {key}={old} again"
            parts.append(
                RestoreItem(
                    RestoreStatus.TODO,
                    "tags",
                    key,
                    text,
                    hand,
                    partial(_tag_back, principal, tag.WHAT, key, old),
                )
            )
    return parts


def _tag_back(principal: PrincipalContext, what: str, key: str, old: str | None) -> list[Json]:
    arn, name = (
        _arn(principal, what.lower()),
        {f"{what}Name": principal.who.user or principal.who.role},
    )
    iam = _changing(principal, arn, f"iam:{'Untag' if old is None else 'Tag'}{what}")
    call = getattr(iam, f"{'untag' if old is None else 'tag'}_{what.lower()}")
    more = {"TagKeys": [key]} if old is None else {"Tags": [{"Key": key, "Value": old}]}
    return [retry_on_conflict(partial(call, **name, **more))]

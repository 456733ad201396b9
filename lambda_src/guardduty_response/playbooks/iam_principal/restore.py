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
from guardduty_response.containment.contract import Context, Restored, Target
from guardduty_response.containment.restoration import Kind, Part, foreign
from guardduty_response.containment.role_policies import OLDER, revoked_before, role_policy
from guardduty_response.containment.target_context import (
    BRANCHES,
    DONE,
    Json,
    Sessions,
    allow,
    gather,
    name_of,
    why,
)
from guardduty_response.playbooks.iam_principal import (
    chained_sessions,
    identify,
    restore_reversals,
    user,
)
from guardduty_response.playbooks.iam_principal.identity_center import restore as permission_sets
from guardduty_response.playbooks.iam_principal.identity_center.center import PART
from guardduty_response.playbooks.iam_principal.principal_context import Facts, Work, patient
from guardduty_response.playbooks.iam_principal.tags import Tag, TagRole, TagUser

SWITCHED: dict[str, type[user.Switched]] = {
    kind.part: kind
    for kind in (user.AccessKeys, user.SshKeys, user.ServiceCredentials, user.Certificates)
}


def restore(ctx: Context, target: Target) -> Restored:
    """Brings back what the ledger's before-state says, and reads it back. Raises RoleUnavailable,
    or the error of reading the user or role: then nothing was changed.
    """
    work = Work(ctx, target)
    work.kept = work.ledger()
    return restoration.restore(work, partial(_look, work))


def _arn(work: Work, kind: str) -> str:
    """The user's or the role's ARN; its path is not in the record's target of a role session."""
    if kind == "user":
        return work.target.arn
    return str((work.had("sessions") or {}).get("role") or work.arn(f"role/{work.who.role}", "iam"))


def _look(work: Work) -> tuple[bool, list[Part]]:
    """A fresh session each time: it reads everything and changes nothing."""
    had = work.kept.get("before") or {}
    others = {
        name: partial(_held, work, name)
        for name in had
        if name.startswith(f"{chained_sessions.NAME}/")
    }
    if work.target.kind == identify.IDENTITY_CENTER:
        sets = {
            name: partial(permission_sets.part, work, name)
            for name in had
            if name.startswith(f"{PART}/")
        }
        return True, _judged({**sets, **others}) + restore_reversals.parts(work)
    if work.target.kind == identify.USER:
        reading = user.reading(work, work.target.arn)
        if not _exists(reading.client("iam").get_user, UserName=work.who.user):
            gone = Part(Kind.FOREIGN, "user", "", f"IAM user {work.who.user} no longer exists")
            return False, [gone, *restore_reversals.parts(work)]
    else:
        reads = allow(("iam:GetRole", "iam:GetRolePolicy"), _arn(work, "role"))
        reading = Sessions(work, [reads], {})
        if not _exists(reading.client("iam").get_role, RoleName=work.who.role):
            gone = Part(Kind.FOREIGN, "role", "", f"role {work.who.role} no longer exists")
            return False, [gone, *restore_reversals.parts(work)]
    judges: dict[str, Callable[[Work, Sessions], list[Part]]] = {
        "deny_all": _deny_all,
        "login_profile": _password,
        "mfa": _mfa,
        "sessions": _sessions,
        "tags": _tags,
        **{part: partial(_switched, kind) for part, kind in SWITCHED.items()},
    }
    calls = {name: partial(judge, work, reading) for name, judge in judges.items() if name in had}
    parts = _judged({**calls, **others}) + restore_reversals.parts(work)
    if other := _contained_by_another(work, reading):
        parts = [
            replace(one, kind=Kind.KEPT, call=None, hand="", text=other) if one.call else one
            for one in parts
        ]
    return True, parts


def _judged(calls: dict[str, Callable[[], list[Part]]]) -> list[Part]:
    parts: list[Part] = []
    for name, got in gather(calls, BRANCHES).items():
        if isinstance(got, Exception):
            parts.append(
                Part(
                    Kind.STUCK,
                    name,
                    "",
                    f"{name} could not be read ({why(got)}): run restore again",
                )
            )
        else:
            parts += got
    return parts


def _label(work: Work, reading: Sessions) -> Tag:
    return (TagUser if work.target.kind == identify.USER else TagRole)(work, reading, Facts())


def _contained_by_another(work: Work, reading: Sessions) -> str:
    """A later incident found the principal as we left it, and holds it so: undoing ours would
    undo that one's.
    """
    key = f"{work.prefix}-incident"
    tag = _label(work, reading).read().get(key)
    if tag in (None, work.ctx.incident_id, (work.had("tags") or {}).get(key)):
        return ""
    return (
        f"incident {tag} contains {work.id} too, by its tag {key}: restore that one first (no such"
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


def _changing(work: Work, arn: str, *actions: str) -> Any:
    return work.open(allow(actions, arn)).client("iam")


# -- a user ----------------------------------------------------------------------------------------


def _deny_all(work: Work, reading: Sessions) -> list[Part]:
    was, name = work.had("deny_all"), work.who.user
    now = user.DenyAll(work, reading, Facts()).read()
    parts = []
    if now["attached"] == was["attached"]:
        text = (
            f"AWSDenyAll is {'attached to' if now['attached'] else 'not attached to'} {name}, as"
            " before"
        )
        parts.append(Part(Kind.AS_BEFORE, "deny_all", "attached", text))
    elif now["attached"]:
        hand = f"aws iam detach-user-policy --user-name {name} --policy-arn {work.deny_all}"
        parts.append(
            Part(
                Kind.TODO,
                "deny_all",
                "attached",
                f"AWSDenyAll detached from {name}",
                hand,
                partial(_detach, work),
            )
        )
    else:
        parts.append(foreign("deny_all", "attached", f"AWSDenyAll is not attached to {name}"))
    old = (work.had("boundary") or was)["boundary"]  # as it was when AWSDenyAll took its place
    if now["boundary"] == old:
        text = f"the permissions boundary of {name} is {old or 'none'}, as before"
        parts.append(Part(Kind.AS_BEFORE, "deny_all", "boundary", text))
    elif now["boundary"] == work.deny_all:
        hand = (
            f"aws iam {'put' if old else 'delete'}-user-permissions-boundary --user-name {name}"
            + (f" --permissions-boundary {old}" if old else "")
        )
        text = f"permissions boundary of {name} {f'{old} again' if old else 'taken away'}"
        parts.append(
            Part(Kind.TODO, "deny_all", "boundary", text, hand, partial(_boundary_back, work, old))
        )
    else:
        parts.append(
            foreign(
                "deny_all",
                "boundary",
                f"the permissions boundary of {name} is {now['boundary'] or 'none'}",
            )
        )
    return parts


def _detach(work: Work) -> list[Json]:
    iam = _changing(work, work.target.arn, "iam:DetachUserPolicy")
    return [
        patient(partial(iam.detach_user_policy, UserName=work.who.user, PolicyArn=work.deny_all))
    ]


def _boundary_back(work: Work, old: str | None) -> list[Json]:
    iam = _changing(
        work, work.target.arn, "iam:DeleteUserPermissionsBoundary", "iam:PutUserPermissionsBoundary"
    )
    if old:
        return [
            patient(
                partial(
                    iam.put_user_permissions_boundary,
                    UserName=work.who.user,
                    PermissionsBoundary=old,
                )
            )
        ]
    return [patient(partial(iam.delete_user_permissions_boundary, UserName=work.who.user))]


def _switched(kind: type[user.Switched], work: Work, reading: Sessions) -> list[Part]:
    now, parts = kind(work, reading, Facts()).read(), []
    for id, was in sorted(work.had(kind.part).items()):
        seen, what = now.get(id), f"{kind.what} {id}"
        if seen == was:
            parts.append(Part(Kind.AS_BEFORE, kind.part, id, f"{what} is {was}"))
        elif seen is None:
            parts.append(Part(Kind.FOREIGN, kind.part, id, f"{what} no longer exists"))
        elif was != "Active":
            parts.append(foreign(kind.part, id, f"{what} is {seen}"))
        else:
            hand = _on_by_hand(kind, work, id)
            parts.append(
                Part(
                    Kind.TODO,
                    kind.part,
                    id,
                    f"{what} Active again",
                    hand,
                    partial(_switch_back, kind, work, id),
                )
            )
    for id in sorted(now.keys() - work.had(kind.part).keys()):
        if now[id] == "Inactive":  # contained again, what came meanwhile was ended too
            text = (
                f"{kind.what} {id} came after the first containment and is Inactive: left so, a"
                " person decides"
            )
            parts.append(Part(Kind.KEPT, kind.part, id, text, _on_by_hand(kind, work, id)))
    return parts


def _on_by_hand(kind: type[user.Switched], work: Work, id: str) -> str:
    command = f"aws {kind.hand.format(user=work.who.user)}".replace("Inactive", "Active")
    return command.replace(" KEY ", f" {id} ").replace(" ID ", f" {id} ")


def _switch_back(kind: type[user.Switched], work: Work, id: str) -> list[Json]:
    action = f"iam:{''.join(word.capitalize() for word in kind.UPDATE.split('_'))}".replace(
        "Ssh", "SSH"
    )
    sessions = Sessions(work, [allow((action,), work.target.arn)], {})
    return [kind(work, sessions, Facts()).switch(id, "Active")]


def _password(work: Work, reading: Sessions) -> list[Part]:
    name = work.who.user
    now = user.Password(work, reading, Facts()).read()
    if not now:
        hand = (
            f"aws iam create-login-profile --user-name {name} --password NEW"
            " --password-reset-required"
        )
        text = (
            f"the console password of {name} was removed and cannot come back: a person sets a"
            " new one"
        )
        return [Part(Kind.STUCK, "login_profile", "", text, hand)]
    hand = (
        f"aws iam update-login-profile --user-name {name} --password NEW --password-reset-required"
    )
    done = work.acted(user.Password.name)
    if done.get("status") != DONE:
        return [Part(Kind.AS_BEFORE, "login_profile", "", f"{name} has its console password")]
    if (
        now["created"] > str(work.had("login_profile").get("created") or "")
        or not now["reset_required"]
    ):
        return [
            Part(
                Kind.AS_BEFORE,
                "login_profile",
                "",
                f"{name} has a console password that was set since",
            )
        ]
    text = (
        f"the console password of {name} was replaced by a random one that nobody knows: a person"
        " sets a new one"
    )
    return [Part(Kind.STUCK, "login_profile", "", text, hand)]


def _mfa(work: Work, reading: Sessions) -> list[Part]:
    now, parts = user.Mfa(work, reading, Facts()).read(), []
    for serial in sorted(work.had("mfa")):
        if serial in now:
            parts.append(Part(Kind.AS_BEFORE, "mfa", serial, f"MFA device {serial} is active"))
        else:
            hand = (
                f"aws iam enable-mfa-device --user-name {work.who.user} --serial-number {serial}"
                " (two codes of it are needed)"
            )
            text = f"MFA device {serial} was deactivated: only who holds it can enable it again"
            parts.append(Part(Kind.STUCK, "mfa", serial, text, hand))
    return parts


# -- sessions --------------------------------------------------------------------------------------


def _sessions(work: Work, reading: Sessions) -> list[Part]:
    was, iam = work.had("sessions"), reading.client("iam")
    return [
        _policy(
            work, "sessions", _arn(work, "role"), name, old, role_policy(iam, work.who.role, name)
        )
        for name, old in was["policies"].items()
    ]


def _held(work: Work, name: str) -> list[Part]:
    was = work.had(name)
    iam = _changing(work, was["role"], "iam:GetRolePolicy")
    return [
        _policy(
            work,
            name,
            was["role"],
            was["policy"],
            was["document"],
            role_policy(iam, was["role"], was["policy"]),
        )
    ]


def _policy(work: Work, part: str, arn: str, name: str, old: Json | None, now: Json | None) -> Part:
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
        return Part(Kind.AS_BEFORE, part, name, text)
    if name == OLDER and now is not None:
        text = (
            f"{name} stays on role {role}: sessions issued before {revoked_before(now)} stay dead"
            " by design, newer ones work"
        )
        return Part(Kind.KEPT, part, name, text, hand)
    if now is None or not _ours(now):
        return foreign(part, name, f"role {role} has {'another' if now else 'no'} policy {name}")
    text = (
        f"policy {name} {'put back as it was on' if old else 'removed from'} role {role}: its"
        " sessions work again"
    )
    return Part(Kind.TODO, part, name, text, hand, partial(_policy_back, work, arn, name, old))


def _ours(document: Json) -> bool:
    """A denial of named sessions, as role.deny_sessions writes it."""
    statements = document.get("Statement") or []
    condition = statements[0].get("Condition") or {} if len(statements) == 1 else {}
    return (
        set(condition) == {"StringEquals", "DateLessThan"}
        and "aws:userid" in condition["StringEquals"]
    )


def _policy_back(work: Work, arn: str, name: str, old: Json | None) -> list[Json]:
    iam = _changing(work, arn, "iam:DeleteRolePolicy" if old is None else "iam:PutRolePolicy")
    if old is None:
        return [patient(partial(iam.delete_role_policy, RoleName=name_of(arn), PolicyName=name))]
    return [
        patient(
            partial(
                iam.put_role_policy,
                RoleName=name_of(arn),
                PolicyName=name,
                PolicyDocument=json.dumps(old),
            )
        )
    ]


# -- tags ------------------------------------------------------------------------------------------


def _tags(work: Work, reading: Sessions) -> list[Part]:
    tag = _label(work, reading)
    now, wanted, parts = tag.read(), tag.wanted(), []
    for key, old in work.had("tags").items():
        if now.get(key) == old:
            parts.append(
                Part(Kind.AS_BEFORE, "tags", key, f"tag {key} is {'gone' if old is None else old}")
            )
        elif now.get(key) != wanted.get(key):
            parts.append(foreign("tags", key, f"tag {key} is {now.get(key)}"))
        else:
            kind = tag.WHAT.lower()
            verb = f"untag-{kind}" if old is None else f"tag-{kind}"
            tail = f"--tag-keys {key}" if old is None else f"--tags Key={key},Value={old}"
            hand = f"aws iam {verb} --{kind}-name {work.who.user or work.who.role} {tail}"
            text = f"tag {key} removed" if old is None else f"tag {key}={old} again"
            parts.append(
                Part(
                    Kind.TODO, "tags", key, text, hand, partial(_tag_back, work, tag.WHAT, key, old)
                )
            )
    return parts


def _tag_back(work: Work, what: str, key: str, old: str | None) -> list[Json]:
    arn, name = _arn(work, what.lower()), {f"{what}Name": work.who.user or work.who.role}
    iam = _changing(work, arn, f"iam:{'Untag' if old is None else 'Tag'}{what}")
    call = getattr(iam, f"{'untag' if old is None else 'tag'}_{what.lower()}")
    more = {"TagKeys": [key]} if old is None else {"Tags": [{"Key": key, "Value": old}]}
    return [patient(partial(call, **name, **more))]

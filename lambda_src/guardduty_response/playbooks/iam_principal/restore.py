"""Undoes the containment of a principal from the record, and verifies it; then undoes what was
undone of its actions, likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment import chained_denial, restoration
from guardduty_response.containment.contract import Context, RestoreResult, Target
from guardduty_response.containment.control_restore import ReadItem, read_all, restore_items
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus
from guardduty_response.containment.target_context import Sessions, allow
from guardduty_response.playbooks.iam_principal import identify, restore_reversals, role, user
from guardduty_response.playbooks.iam_principal.identity_center import restore as permission_sets
from guardduty_response.playbooks.iam_principal.identity_center.center import PART
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.user_action import PrincipalControl, role_arn

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer


def restore(context: Context, target: Target) -> RestoreResult:
    """Brings back the recorded state before containment, and verifies it. Raises RoleUnavailable,
    or the error of reading the user or role: then nothing was changed.
    """
    principal = PrincipalContext(context, target)
    principal.stored = principal.read_stored()
    return restoration.restore(principal, partial(_read_items, principal))


def _read_items(principal: PrincipalContext) -> tuple[bool, list[RestoreItem]]:
    """Returns whether the principal exists, and every recorded item as it is now. Opens a fresh
    session each time, which reads everything and changes nothing.
    """
    before = principal.stored.get("before") or {}
    calls: dict[str, ReadItem] = {}
    if principal.target.kind == identify.IDENTITY_CENTER:
        for name in _with_prefix(before, PART):
            calls[name] = partial(permission_sets.items, principal, name)
        calls |= chained_denial.restore_calls(principal)
        return True, [*read_all(calls), *restore_reversals.parts(principal)]
    sessions, gone = _open(principal)
    if gone:  # what is denied on other roles is taken back all the same
        chained = read_all(chained_denial.restore_calls(principal))
        return False, [gone, *chained, *restore_reversals.parts(principal)]
    for control in _controls(principal):
        if control.item in before:
            restored = control(principal, sessions, PrincipalState())
            calls[control.item] = partial(restore_items, restored)
    calls |= chained_denial.restore_calls(principal)
    items = [*read_all(calls), *restore_reversals.parts(principal)]
    return True, items


def _with_prefix(before: Iterable[str], prefix: str) -> list[str]:
    return [name for name in before if name.startswith(f"{prefix}/")]


def _controls(principal: PrincipalContext) -> tuple[type[PrincipalControl], ...]:
    return user.CONTROLS if principal.target.kind == identify.USER else role.CONTROLS


def _open(principal: PrincipalContext) -> tuple[Sessions, RestoreItem | None]:
    """Returns sessions that read the user or role, and an item in case it no longer exists."""
    if principal.target.kind == identify.USER:
        name = principal.identity.user
        # After "#": whose containment it is, where another user has the name by now.
        sessions = user.reading_sessions(principal, principal.target.arn.partition("#")[0])
        user_id = _unique_id(sessions.client("iam").get_user, "User", UserName=name)
        return sessions, _gone(principal, "user", f"IAM user {name}", user_id)
    name = principal.identity.role
    reads = allow(("iam:GetRole", "iam:GetRolePolicy"), role_arn(principal))
    sessions = Sessions(principal, [reads], {})
    role_id = _unique_id(sessions.client("iam").get_role, "Role", RoleName=name)
    return sessions, _gone(principal, "role", f"role {name}", role_id)


def _gone(principal: PrincipalContext, kind: str, name: str, found: str) -> RestoreItem | None:
    """Returns the item of a principal that no longer exists, also if another has its name now.

    ``found``: the unique ID of who has the name, or empty.
    """
    recorded = str(principal.stored.get("immutable_id") or "")
    if not found:
        sentence = f"{name} no longer exists"
    elif recorded and found != recorded:
        sentence = f"{name} ({recorded}) no longer exists; {found} has its name by now"
    else:
        return None
    return RestoreItem(
        RestoreStatus.CHANGED_SINCE,
        kind,
        "",
        sentence,
    )


def _unique_id(call: Callable[..., AwsAnswer], what: str, **name: str) -> str:
    """Returns the unique ID of the entity that ``call`` reads, or an empty string without one.

    ``what``: User or Role, as IAM's answers name it. Raises IAM's other errors.
    """
    try:
        return str(call(**name)[what][f"{what}Id"])
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return ""

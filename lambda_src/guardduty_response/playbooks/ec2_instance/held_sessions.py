"""Looks in CloudTrail for sessions that the instance's credentials got of other roles, and has them
denied on these roles: what denies the instance's own sessions ends none of them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from guardduty_response.cloudtrail import session_search
from guardduty_response.containment import chained_sessions, late_sessions, open_sessions
from guardduty_response.containment.chained_denial import NAME
from guardduty_response.containment.contract import Check
from guardduty_response.containment.managed_denial import denial_names
from guardduty_response.containment.target_context import AWS_ERRORS, FAILED, SKIPPED, name_of
from guardduty_response.playbooks.ec2_instance import former_roles
from guardduty_response.playbooks.ec2_instance.credentials import RevokeSessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardduty_response.containment.target_context import Sessions
    from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

NO_ROLE = "it has no role, so its credentials got no session of another one"


def role_of(control: RevokeSessions) -> str:
    """Returns the ARN of the role whose credentials the instance had, or ''."""
    arn = control.arn
    return arn if arn.startswith("arn:") else ""


def _role_error(control: RevokeSessions) -> str:
    """Returns why the role is not known, or '' where the instance had none."""
    profile = control.state.settings.get("profile")
    if profile is not None:
        return str(profile.get("error") or "")
    errors = control.state.read_errors
    return errors.get(control.item) or errors.get("profile") or "its profile was not read"


def prepare(instance: InstanceContext, sessions: Sessions) -> None:
    """Does of the search what need not wait until the instance's own sessions are denied."""
    role = instance.planned_role
    if role and instance.looks_for_sessions and instance.context.tries < 2:
        know(instance, sessions, role)
        session_search.prepare(instance)


def deny(
    instance: InstanceContext,
    sessions: Sessions,
    control: RevokeSessions,
    before_denying: Callable[[], object] | None = None,
) -> None:
    """Looks for the sessions and denies them, once the instance's own are denied. Logs the action.

    A search of this execution that was complete is not repeated, unless a denial is missing.
    ``before_denying`` as ``chained_sessions.deny`` has it.
    """
    role = role_of(control)
    if not instance.looks_for_sessions:
        chained_sessions.deny(instance)  # which says so
    elif not role and (error := _role_error(control)):
        command = session_search.manual_command(instance)
        text = f"its role is not known ({error}): not looked for. By hand: {command}"
        instance.log_action(NAME, FAILED, text)
    elif not (role or instance.had_role):
        instance.log_action(NAME, SKIPPED, NO_ROLE)
    elif instance.context.tries < 2 or not _is_complete(instance):
        if not (instance.prepared and instance.role == role):
            know(instance, sessions, role)
        know_former(instance, sessions)
        chained_sessions.deny(instance, before_denying=before_denying)
        former_roles.deny_shown(instance, sessions, control.state)


def _is_complete(instance: InstanceContext) -> bool:
    state = open_sessions.recorded(instance)
    if "open" not in state or open_sessions.remarks(state):
        return False
    return all(check.ok for check in chained_sessions.checks(instance))


def know(instance: InstanceContext, sessions: Sessions, role: str) -> None:
    """Tells the search whose calls to look for. Where the role's unique ID cannot be read, because
    the role is deleted or AWS refuses, its ARN has to do.
    """
    instance.role, instance.role_id = role, _unique_id(sessions, role) if role else ""


def know_former(instance: InstanceContext, sessions: Sessions) -> None:
    """Tells the search, too, of the roles that the instance had before."""
    for role, known in instance.former.items():
        instance.former[role] = known or _unique_id(sessions, role)


def _unique_id(sessions: Sessions, role: str) -> str:
    with suppress(*AWS_ERRORS):
        return str(sessions.client("iam").get_role(RoleName=name_of(role))["Role"]["RoleId"])
    return ""


# -- verification ----------------------------------------------------------------------------------


def checks(
    instance: InstanceContext, sessions: Sessions, control: RevokeSessions, keeps: bool
) -> list[Check]:
    """Returns the checks of the sessions that are denied, and of what the search left open.

    A search that was not complete is repeated when a containment is verified again; one that was,
    once, when CloudTrail has its late events. ``keeps``: whether the record gets what it found.
    """
    role = role_of(control)
    searches = bool(role) or instance.had_role
    not_read = _search_again(instance, sessions, role, keeps) if searches else []
    found = chained_sessions.checks(instance) + not_read + former_roles.shown_checks(instance)
    if searches and all(check.ok for check in found):
        found += open_sessions.unsearched(instance)
    return found


def _search_again(
    instance: InstanceContext, sessions: Sessions, role: str, keeps: bool
) -> list[Check]:
    """Returns a check that could not be read where the last look was throttled."""
    if not instance.target.verify_only:
        return []
    last_look = late_sessions.is_last_look(instance, denied_at(instance))
    if not last_look and not open_sessions.remarks(open_sessions.recorded(instance)):
        return []
    know(instance, sessions, role)
    know_former(instance, sessions)
    unsearched = chained_sessions.search_again(instance, keeps, last_look)
    if last_look and keeps:
        late_sessions.note(instance, open_sessions.checks(instance), f"{instance.id} is gone")
    return [Check(NAME, False, "; ".join(unsearched), read=False)] if unsearched else []


def denied_at(instance: InstanceContext) -> str:
    """Returns when its sessions were denied, or those that it got; '' where they never were."""
    denied = instance.logged_action(RevokeSessions.name) or instance.logged_action(NAME)
    return str(denied.get("at") or "")


def is_not_seen(check: Check) -> bool:
    """Tells whether a check misses a denial that was written: IAM may show it seconds later."""
    return check.read and not check.ok and check.name.startswith(f"{NAME} ")


def watched(instance: InstanceContext) -> set[str]:
    """Returns what a call that undoes a denial on another role would name."""
    names: set[str] = set()
    for role in chained_sessions.denied_roles(instance):
        names |= {name_of(role), *denial_names(instance, role, f"{NAME}/")}
    return names

"""An instance that no longer exists. The credentials of its role may have been taken before, and
work until they expire: its sessions are denied all the same.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from guardduty_response.containment import open_sessions
from guardduty_response.containment.chained_denial import NAME
from guardduty_response.containment.contract import Check, Planned
from guardduty_response.containment.late_checks import check_controls
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    DONE,
    PLANNED,
    SKIPPED,
    Sessions,
    allow,
    describe_error,
    name_of,
)
from guardduty_response.decision.finding import get, text
from guardduty_response.errors import TargetGone
from guardduty_response.playbooks.ec2_instance import former_roles, held_sessions
from guardduty_response.playbooks.ec2_instance.credentials import RevokeSessions
from guardduty_response.playbooks.ec2_instance.instance_context import LOOKED_FOR, InstanceContext
from guardduty_response.playbooks.ec2_instance.instance_profile import (
    HOURS,
    is_deleted,
    role_and_id_of,
)
from guardduty_response.playbooks.ec2_instance.state import (
    InstanceGone,
    InstanceState,
    describe,
    tags,
)

if TYPE_CHECKING:
    from guardduty_response.containment.records import RoleSessions
    from guardduty_response.playbooks.ec2_instance.records import InstanceProfile


class Ended(NamedTuple):
    """Holds what is known of the role of an instance that is gone.

    ``nothing``: why nothing is to be denied on it; empty: the control denies its sessions.
    ``searches``: whether sessions that these got of other roles are looked for. ``former``: the
    roles that it had before that one.
    """

    control: RevokeSessions
    nothing: str
    searches: bool
    former: former_roles.Former


def find(instance: InstanceContext, sessions: Sessions, gone: InstanceGone) -> Ended:
    """Finds the role whose credentials the instance had: by the record, the plan, the finding, and
    what AWS shows of the instance. Raises nothing of AWS's.
    """
    profile = _profile(instance, sessions, gone)
    state = InstanceState({}, settings={"profile": profile})
    control = RevokeSessions(instance, sessions, state)
    role = str(profile.get("role") or "")
    nothing, searches = "", instance.looks_for_sessions
    if not profile:
        searches = False
        nothing = "neither the finding nor AWS names an instance profile whose credentials it had"
    elif not control.enabled:
        whose = f"role {name_of(role)}" if role else f"instance profile {profile['name']}"
        nothing = (
            f"its sessions of {whose} are not denied (revoke_sessions = none): credentials that"
            f" were taken from it may be used for {HOURS} hours"
        )
    elif role and is_deleted(sessions, role):
        nothing = f"role {name_of(role)} no longer exists: its sessions may do nothing"
    former = former_roles.find(instance, sessions, state, _described(gone))
    return Ended(control, nothing, searches, former)


def why_gone(instance: InstanceContext) -> str:
    """Returns that the instance no longer exists; empty: it does. Raises what else AWS answers."""
    session = instance.open_session(allow(("ec2:DescribeInstances",)))
    try:
        describe(instance, session.client("ec2"))
    except InstanceGone as gone:
        return str(gone)
    return ""


def _profile(instance: InstanceContext, sessions: Sessions, gone: InstanceGone) -> InstanceProfile:
    before: InstanceProfile | None = instance.before_state("profile")
    recorded: RoleSessions | None = instance.before_state("sessions")
    name = before.get("name", "") if before else str(instance.scope("profile") or "")
    id = before.get("id", "") if before else str(instance.scope("profile_id") or "")
    name = name or _named(instance, gone)
    roles = (before or {}).get("role"), (recorded or {}).get("role"), instance.planned_role
    if role := next(filter(None, roles), ""):
        return {"name": name, "id": id, "role": str(role)}
    if not name or name in instance.quarantine_profiles:
        return {}
    try:
        role, id = role_and_id_of(sessions, instance, name)
        error = f"instance profile {name} holds no role by now"
    except AWS_ERRORS as failed:
        role, error = "", f"the role of instance profile {name}: {describe_error(failed)}"
    found: InstanceProfile = {"name": name, "id": id, "role": role}
    return found if role else {**found, "error": error}


def _named(instance: InstanceContext, gone: InstanceGone) -> str:
    """Returns the name of the profile that the instance had, or ''. That of the finding comes
    first: its credentials are the ones that may have been taken.
    """
    shown = _described(gone)
    return instance.named_profile or ("" if shown in instance.quarantine_profiles else shown)


def _described(gone: InstanceGone) -> str:
    """Returns the name of the profile that AWS still shows of the instance, or ''."""
    arn = text(get(gone.described, "IamInstanceProfile", "Arn"), 300)
    return name_of(arn) if ":instance-profile/" in arn else ""


# -- plan ------------------------------------------------------------------------------------------


def plan(instance: InstanceContext, sessions: Sessions, gone: InstanceGone) -> Planned:
    """Plans that the instance's sessions are denied, and those that they got of other roles. Raises
    TargetGone where nothing is to be denied.
    """
    control, nothing, searches, former = find(instance, sessions, gone)
    if nothing and not searches and not (former.roles or former.unknown):
        raise TargetGone(f"{gone}; {nothing}")
    role = str(control.state.settings["profile"].get("role") or "")
    status, sentence = SKIPPED, ""
    if not nothing:
        control.read_current()
        status, sentence = control.intent()
    actions = {control.name: sentence} if status != SKIPPED else {}
    actions |= dict(former_roles.planned(instance, former, actions))
    if searches and (role or instance.former):
        actions[NAME] = LOOKED_FOR
    # A role that takes no policy is in no session.
    scope = former.scope(instance)
    if control.item not in control.state.read_errors:
        profile = control.state.settings["profile"]
        scope |= {"role": role, "profile": profile.get("name", "")}
        scope["profile_id"] = profile.get("id", "")
    return Planned(
        instance.target._replace(scope=scope),
        _tags(instance, gone),
        [role] if role else [],
        actions,
        # Not how AWS shows it: that changes while people are asked about the plan.
        f"{instance.id} no longer exists: nothing is left of it to close, stop or copy"
        + (
            "; credentials that were taken from it work on"
            if status == PLANNED or former.roles or former.unknown
            else ""
        )
        + (f"; {nothing}; what these got of other roles works on" if nothing else ""),
        immutable_id=instance.id,
        keep=former_roles.keep(instance, control.state, former),
    )


def _tags(instance: InstanceContext, gone: InstanceGone) -> dict[str, str]:
    """Returns the tags that AWS shows, else those of the finding."""
    if gone.described.get("Tags"):
        return tags(gone.described)
    found = get(
        instance.context.finding.detail,
        "resource",
        "instanceDetails",
        "tags",
    )
    return {
        text(get(tag, "key"), 200): text(get(tag, "value"), 300)
        for tag in (found if isinstance(found, list) else [])
    }


# -- contain ---------------------------------------------------------------------------------------


def deny(instance: InstanceContext, sessions: Sessions, gone: InstanceGone) -> str:
    """Denies the instance's sessions, and those that they got of other roles, and logs it. Returns
    what is to be said of it.
    """
    control, nothing, searches, former = find(instance, sessions, gone)
    if not nothing:
        control.run()
    elif control.state.settings["profile"]:
        instance.log_action(control.name, SKIPPED, nothing)
    former_roles.deny(instance, sessions, control.state, former)
    if searches:
        held_sessions.deny(instance, sessions, control)
    return nothing or f"denial of its sessions of role {control.role_name} attempted; see actions"


# -- verify ----------------------------------------------------------------------------------------


class Verified(NamedTuple):
    """Holds what was read of an instance that is gone. ``text``: says it where every check passed,
    and ``alive`` what may still be used where one did not.
    """

    checks: list[Check]
    controls: list[RevokeSessions]
    text: str
    alive: str


def verify(
    instance: InstanceContext, sessions: Sessions, gone: InstanceGone, keeps: bool
) -> Verified:
    """Reads whether the sessions of the instance are denied, and those that they got. ``keeps`` as
    ``held_sessions.checks`` has it.
    """
    control, nothing, searches, former = find(instance, sessions, gone)
    checks = [Check("instance", True, str(gone))]
    also, of_former = former_roles.verify(instance, sessions, control.state, former)
    held = held_sessions.checks(instance, sessions, control, keeps) if searches else []
    if nothing:
        checks += [Check(control.name, True, nothing), *of_former, *held]
        held_text = f"; {open_sessions.until_text(instance)}" if searches else ""
        return Verified(checks, [*also], f"{gone}; {nothing}{held_text}", str(gone))
    control.read_current()
    checks += check_controls([control], instance.acts)
    role = control.role_name
    if not control.values(control.current) and checks[-1].ok:
        problem = f"{control.name}: its role is not known. {control.manual_text()}"
        checks[-1] = Check(control.name, False, problem)
    checks += [*of_former, *held]
    policies = " and ".join(sorted(control.values(control.current)))
    denied = (
        f"{gone}; its sessions of role {role} are denied by policy {policies};"
        f" {open_sessions.until_text(instance)}"
    )
    alive = (
        f"{gone}, and credentials that were taken from it may be used until"
        f" {_until(instance, control)}"
    )
    return Verified(
        checks,
        [control, *also],
        denied,
        alive,
    )


def _until(instance: InstanceContext, control: RevokeSessions) -> str:
    """Returns HOURS after the sessions were denied, or after now."""
    logged = instance.logged_action(control.name)
    since = datetime.now(UTC)
    if logged.get("status") == DONE:
        since = datetime.fromisoformat(logged["at"].replace("Z", "+00:00"))
    return (since + timedelta(hours=HOURS)).strftime("%Y-%m-%dT%H:%M:%SZ")

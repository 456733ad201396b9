"""Denies the instance's sessions of roles that it had before its present profile: credentials that
EC2 gave it of them work until they expire, and the present profile says nothing of them.

Which roles these are, the record, the plan and the instance profile that the finding names tell.
Where that is the present profile, nothing is asked.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.contract import Check
from guardduty_response.containment.session_denials import now_rounded_up
from guardduty_response.containment.session_entries import has_expired, parse_time
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    FAILED,
    Sessions,
    TargetContext,
    describe_error,
    name_of,
)
from guardduty_response.playbooks.ec2_instance.credentials import RevokeSessions
from guardduty_response.playbooks.ec2_instance.former_sessions import (
    NAME,
    FormerSessions,
    items,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.instance_profile import (
    HOURS,
    is_another,
    role_and_id_of,
)
from guardduty_response.playbooks.ec2_instance.state import InstanceState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from guardduty_response.incident.model import EvidenceEntry
    from guardduty_response.playbooks.ec2_instance.records import InstanceProfile

UNKNOWN = "former_role"  # what says that the role of the finding's profile is not known


class DenyFormer(FormerSessions):
    """Denies such sessions unless the role is one that the response leaves alone."""

    def exemption(self) -> str:
        from guardduty_response.containment import chained_sessions

        return chained_sessions.exemption_of(self.target_context, self.role)


class Former(NamedTuple):
    """Holds the roles that the instance had before: ARN -> the instance profile that held it, or
    empty. ``unknown``: why the role of the profile that the finding names is not known, or empty;
    ``read``: whether AWS told that.
    """

    roles: dict[str, str]
    unknown: str = ""
    read: bool = True

    def scope(self, instance: InstanceContext) -> dict[str, object]:
        """Returns what the plan tells later steps."""
        roles = {**_asked(instance), **self.roles}
        return {"former_roles": roles} if roles else {}


def find(
    instance: InstanceContext, sessions: Sessions, state: InstanceState, *others: str
) -> Former:
    """Finds the roles, and keeps them for the search of what their sessions got. ``others``: names
    of profiles that it had besides that of the finding.

    It is empty where the present profile could not be read: nothing tells what differs from it.
    Raises nothing of AWS's.
    """
    before: InstanceProfile | None = instance.before_state("profile")
    present = before or state.settings.get("profile")
    if present is None or instance.options[RevokeSessions.option] == "none":
        return Former({})
    quarantined = present.get("name") in instance.quarantine_profiles
    present_role = "" if quarantined else str(present.get("role") or "")
    roles = _known(instance)
    unknown, read = "", True
    named = instance.named_profile
    for name in dict.fromkeys((named, *others)):
        if not name or name in roles.values() or name in instance.quarantine_profiles:
            continue
        if name != present.get("name"):
            role, why, read_now = _role_of(instance, sessions, name, name == named)
        elif name == named and _is_made_anew(instance, present):
            role, why, read_now = "", _made_anew(name), True
        elif present_role or present.get("error"):
            continue  # the role is the present one, or what denies that says why it is not known
        else:
            role, why, read_now = "", _holds_none(name), True
        if role:
            roles[role] = name
        else:
            unknown, read = why, read_now
    roles.pop(present_role, None)
    instance.former, instance.has_unknown = dict.fromkeys(roles, ""), bool(unknown)
    return Former(roles, unknown, read)


def _known(instance: InstanceContext) -> dict[str, str]:
    """Returns the roles of the record and of the plan."""
    planned: dict[str, str] = {**_asked(instance), **(instance.scope("former_roles") or {})}
    if role := instance.planned_role:
        is_new = is_another(instance, str(instance.scope("profile_id") or ""))
        planned[role] = "" if is_new else str(instance.scope("profile") or "")
    recorded = {str(instance.before_states[item]["role"]): "" for item in items(instance)}
    known: dict[str, str] = instance.evidence_state(NAME).get("roles") or {}
    return recorded | planned | known


def _asked(instance: InstanceContext) -> dict[str, str]:
    """Returns the roles of the plan that people were asked about, in the plan after that."""
    return dict(_kept(instance).get("former_roles") or {})


def _kept(instance: InstanceContext) -> Mapping[str, Any]:
    return instance.context.kept.get(instance.target.arn) or {}


def keep(instance: InstanceContext, state: InstanceState, former: Former) -> dict[str, object]:
    """Returns what the plan after an approval is to know: the roles that the instance had, also the
    present one, and of which of them ``revoke_sessions`` was planned.
    """
    if instance.options[RevokeSessions.option] == "none":
        return {}
    profile = state.settings.get("profile") or {}
    name, role = str(profile.get("name") or ""), str(profile.get("role") or "")
    roles = {**_asked(instance), **former.roles}
    if role and name not in instance.quarantine_profiles:
        roles[role] = "" if is_another(instance, str(profile.get("id") or "")) else name
    else:
        role = str(_kept(instance).get("role") or "")
    return {"former_roles": roles, "role": role} if roles else {}


def _role_of(
    instance: InstanceContext, sessions: Sessions, name: str, is_named: bool
) -> tuple[str, str, bool]:
    """Returns the role that a profile holds, else why it is not known, and whether AWS says so.
    ``is_named``: the finding names the profile.
    """
    try:
        role, id = role_and_id_of(sessions, instance, name)
    except AWS_ERRORS as error:
        has_ended = error_code(error) == "NoSuchEntity"
        return "", f"the role of instance profile {name}: {describe_error(error)}", has_ended
    if is_named and is_another(instance, id):
        return "", _made_anew(name), True
    return role, _holds_none(name), True


def _is_made_anew(instance: InstanceContext, present: InstanceProfile) -> bool:
    """Tells whether a profile by the name in the finding is another one than that. The record of an
    instance that was gone when contained has no ID: then what was logged says so.
    """
    if id := present.get("id"):
        return is_another(instance, id)
    failed = instance.logged_action(UNKNOWN).get("status") == FAILED
    return failed and bool(present.get("role"))


def _made_anew(name: str) -> str:
    return f"instance profile {name} was deleted, and another made by that name since"


def _holds_none(name: str) -> str:
    return f"instance profile {name} holds no role by now"


def _controls(
    instance: InstanceContext, sessions: Sessions, state: InstanceState, former: Former
) -> list[DenyFormer]:
    return [DenyFormer(instance, sessions, state, role) for role in sorted(former.roles)]


def _unknown_text(
    instance: InstanceContext, sessions: Sessions, state: InstanceState, why: str
) -> str:
    from guardduty_response.cloudtrail import session_search

    since = datetime.now(UTC)
    if logged := instance.logged_action(UNKNOWN):
        since = parse_time(logged["at"])
    until = (since + timedelta(hours=HOURS)).strftime("%Y-%m-%dT%H:%M:%SZ")
    command = DenyFormer(instance, sessions, state, "ROLE").manual_text()
    return (
        f"the finding names an instance profile whose credentials may be used until {until}, and"
        f" which role they are of is not known ({why}). To find it:"
        f" {session_search.manual_command(instance)}. {command}"
    )


# -- the steps -------------------------------------------------------------------------------------


def planned(
    instance: InstanceContext, former: Former, actions: Collection[str]
) -> list[tuple[str, str]]:
    """Returns (action, sentence) of what will be done. Nothing is read for it: that would delay
    what closes the network. ``actions``: what else is planned. Where people were asked about the
    sessions of such a role as those of the present one, it is the same action still.
    """
    is_free = RevokeSessions.name not in actions
    asked = _kept(instance).get("role") if is_free else None
    found = [
        (
            RevokeSessions.name if role == asked else f"{NAME} {name_of(role)}",
            f"sessions of {instance.id} denied on role {name_of(role)}, which it had before its"
            " present profile",
        )
        for role in sorted(former.roles)
    ]
    if former.unknown:
        text = f"the role that it had before is not known: {former.unknown}"
        found.append((UNKNOWN, text))
    return found


def deny(
    instance: InstanceContext, sessions: Sessions, state: InstanceState, former: Former
) -> None:
    """Denies the sessions on each role, and logs it; and says which role is not known. The record
    keeps which roles they are: somebody may delete the profile that tells it.
    """
    _record(instance, former.roles)
    for control in _controls(instance, sessions, state, former):
        control.run()
    if former.unknown:
        text = _unknown_text(instance, sessions, state, former.unknown)
        instance.log_action(UNKNOWN, FAILED, text)


def _record(instance: InstanceContext, roles: dict[str, str]) -> None:
    recorded: dict[str, str] = instance.evidence_state(NAME).get("roles") or {}
    if roles.items() <= recorded.items():
        return
    known = {**recorded, **roles}
    entry: EvidenceEntry = {
        "outcome": "COMPLETE",
        "detail": f"it had credentials of {', '.join(map(name_of, sorted(known)))} before",
        "objects": [],
        "state": {"roles": known},
        "at": now_rounded_up(),
    }
    instance.record_evidence(NAME, entry)
    instance.stored["evidence"] = {**(instance.stored.get("evidence") or {}), NAME: entry}


def deny_shown(instance: InstanceContext, sessions: Sessions, state: InstanceState) -> None:
    """Denies the sessions on roles of which CloudTrail alone has shown that the instance had them:
    the profile that the finding names may hold another one by now.
    """
    if instance.shown:
        deny(instance, sessions, state, Former(dict.fromkeys(instance.shown, "")))


def shown_checks(instance: InstanceContext) -> list[Check]:
    """Returns a check for each role that CloudTrail shows and that is not denied by now."""
    return [
        Check(
            f"{NAME} {name_of(role)}",
            False,
            f"sessions of {instance.id} NOT denied on role {name_of(role)}, of which EC2 gave it"
            " credentials",
        )
        for role in sorted(instance.shown)
    ]


def verify(
    instance: InstanceContext, sessions: Sessions, state: InstanceState, former: Former
) -> tuple[list[DenyFormer], list[Check]]:
    """Reads whether the sessions are denied. Returns the controls that have read, and checks."""
    from guardduty_response.containment.late_checks import check_controls

    controls = _controls(instance, sessions, state, former)
    for control in controls:
        control.read_current()
    checks = check_controls(controls, instance.acts)
    if former.unknown:
        over = has_expired(instance.logged_action(UNKNOWN).get("at", ""))
        text = _unknown_text(instance, sessions, state, former.unknown)
        if over:
            text = "no credentials live any more of the instance profile that the finding names"
        checks.append(Check(UNKNOWN, over, text, read=former.read or over))
    elif instance.logged_action(UNKNOWN):
        checks.append(Check(UNKNOWN, True, "every role that it is known to have had is known"))
    return controls, checks


def is_check(name: str) -> bool:
    """Tells whether a check is one of these."""
    return name.partition(" ")[0] in (NAME, UNKNOWN)


def is_new(instance: TargetContext, check: Check) -> bool:
    """Tells whether a check is about a role that containing did not know of."""
    return check.name.partition(" ")[0] == NAME and not instance.logged_action(check.name)


def watched(instance: InstanceContext) -> set[str]:
    """Returns what a call that undoes a denial on such a role would name."""
    from guardduty_response.containment.managed_denial import denial_names

    names: set[str] = set()
    for item in items(instance):
        role = str(instance.before_states[item]["role"])
        names |= {name_of(role), *denial_names(instance, role, f"{item}/")}
    return names

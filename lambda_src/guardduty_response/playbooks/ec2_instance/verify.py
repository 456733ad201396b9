"""Verifies containment with a new session: a check passes only by what is read now."""

from __future__ import annotations

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.late_checks import (
    LateChecks,
    check_controls,
    read_was_throttled,
    throttled_seconds,
)
from guardduty_response.containment.managed_denial import denial_names
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    Sessions,
    describe_error,
    name_of,
)
from guardduty_response.containment.verdict import reasons, verdict, wait_for_other_incident
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import (
    action_order,
    former_roles,
    gone,
    held_sessions,
)
from guardduty_response.playbooks.ec2_instance.credentials import RevokeSessions
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import InstanceGone, InstanceState, look

ATTEMPTS = 3  # of containing what failed
# Of looking for what was done, of reading what was throttled, and of doing it again.
LATE_ATTEMPTS = 8
LATE_SECONDS = 2
# Many instances at once meet EC2's limits together: each asks less often then, and for minutes
# where the network is seen to be closed. Where that is throttled, people hear of it after a minute.
THROTTLED_ATTEMPTS = 16
THROTTLED_SECONDS = 20
OWNER_ATTEMPTS = 24  # at 5 s: how long another incident's containment is waited for


def verify(context: Context, target: Target, keeps: bool = True) -> tuple[StepResult, list[Check]]:
    """``keeps``: whether the record gets what a repeated search for sessions found."""
    instance = InstanceContext(context, target)
    sessions = action_order.reading(instance)
    try:
        current = look(instance, sessions.client("ec2"), stored=True)
    except InstanceGone as ended:
        return _verify_gone(instance, sessions, ended, keeps)
    except Exception as error:
        why = f"could not be read back ({describe_error(error)})"
        text = f"{target.id} {why}: treat it as not contained"
        not_read = Check(
            "interfaces",
            False,
            text,
            fatal=True,
            read=False,
        )
        may_pass = context.tries < LATE_ATTEMPTS and not target.verify_only
        if may_pass and isinstance(error, AWS_ERRORS) and is_transient(error):
            wait = throttled_seconds(context.tries, THROTTLED_SECONDS)
            return StepResult(done=False, wait_seconds=wait, detail=text), [not_read]
        return StepResult(status=Status.FAILED, detail=text), [not_read]
    controls = action_order.look(instance, sessions, current)
    checks = [
        Check(item, False, f"{item} could not be read ({error})", read=False)
        for item, error in current.read_errors.items()
    ]
    checks += check_controls(controls, instance.acts)
    control = RevokeSessions(instance, sessions, current)
    found = former_roles.find(instance, sessions, current)
    former, of_former = former_roles.verify(instance, sessions, current, found)
    checks += of_former
    checks += held_sessions.checks(instance, sessions, control, keeps)
    late = LateChecks(instance, [*controls, *former])
    step = _conclude(instance, checks, late)._replace(watched=_watched(instance, current))
    return step, checks


def _verify_gone(
    instance: InstanceContext, sessions: Sessions, ended: InstanceGone, keeps: bool
) -> tuple[StepResult, list[Check]]:
    """GONE only where the sessions of the instance are seen to be denied, or can do nothing."""
    checks, controls, denied, alive = gone.verify(
        instance,
        sessions,
        ended,
        keeps,
    )
    step = _conclude(instance, checks, LateChecks(instance, controls))
    if step.status is Status.CONTAINED:
        return step._replace(status=Status.GONE, detail=denied), checks
    roles = {control.role_name for control in controls}
    names = {instance.id, *roles, *held_sessions.watched(instance)}
    names |= former_roles.watched(instance)
    return step._replace(detail=f"{alive}. {step.detail}", watched=sorted(names)), checks


def _watched(instance: InstanceContext, current: InstanceState) -> list[str]:
    """Returns what a call that undoes this would name, as far as it is seen: ids, addresses, the
    names of the quarantine groups (in a default VPC a call may give these), and the role whose
    sessions are denied.
    """
    profile = current.settings.get("profile") or {}
    before = instance.before_state("profile") or {}
    ids = {instance.id, profile.get("association", ""), name_of(str(before.get("role") or ""))}
    sessions = instance.before_state("sessions") or {}
    ids |= denial_names(instance, str(sessions.get("role") or ""), "sessions/")
    ids |= held_sessions.watched(instance) | former_roles.watched(instance)
    for interface in current.interfaces:
        ids |= {interface.id, *interface.addresses}
    used = {id for interface in current.interfaces for id in interface.groups}
    used |= {current.groups[vpc]["GroupId"] for vpc in current.groups.keys() & current.vpcs}
    for id in used & current.quarantine_groups.keys():
        ids |= {id, current.quarantine_groups[id].get("GroupName", "")}
    return sorted(ids - {""})


def _conclude(instance: InstanceContext, checks: list[Check], late: LateChecks) -> StepResult:
    if waiting := wait_for_other_incident(instance, checks, OWNER_ATTEMPTS):
        return waiting
    if instance.acts and (not_yet := _not_yet(instance.context.tries, checks, late)):
        return not_yet
    contained = f"{len(checks)} checks passed, every interface closed for IPv4 and IPv6"
    return verdict(checks, contained)


def _not_yet(attempt: int, checks: list[Check], late: LateChecks) -> StepResult | None:
    """Says why it is too early for a verdict: contain once more, or read once more."""
    failed = [check for check in checks if not check.ok]
    early = [
        check
        for check in failed
        if late.is_not_seen(check) or read_was_throttled(check) or held_sessions.is_not_seen(check)
    ]
    is_open = any(check.fatal and check not in early for check in failed)
    throttled = any(map(late.was_throttled, failed))
    not_read = any(map(read_was_throttled, early))
    waits_longer = (throttled or not_read) and not any(check.fatal for check in failed)
    attempts = THROTTLED_ATTEMPTS if waits_longer else LATE_ATTEMPTS
    slower = throttled_seconds(attempt, THROTTLED_SECONDS)
    missed = any(map(late.was_not_needed, failed))
    missed = missed or any(former_roles.is_new(late.target_context, check) for check in failed)
    if ((is_open or missed) and attempt < ATTEMPTS) or (throttled and attempt < attempts):
        wait = slower if throttled else 0
        return StepResult(
            done=False,
            again="contain",
            wait_seconds=wait,
            detail=reasons(checks),
        )
    if early and not is_open and attempt < attempts:
        # Every second time what looks open is closed once more: it may have been opened meanwhile.
        looks_open = any(check.fatal and check.read for check in early)
        again = "contain" if looks_open and attempt % 2 == 0 else ""
        detail = f"not to be seen yet: {reasons(checks)}"
        wait = slower if not_read else LATE_SECONDS
        return StepResult(
            done=False,
            again=again,
            wait_seconds=wait,
            detail=detail,
        )
    return None

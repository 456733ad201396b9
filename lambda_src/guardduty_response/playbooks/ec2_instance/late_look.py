"""Looks once more for what the instance's credentials got of other roles, when CloudTrail has the
events of the time of containment.
"""

from __future__ import annotations

from guardduty_response.containment import chained_sessions, late_sessions, open_sessions
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import (
    action_order,
    former_roles,
    gone,
    held_sessions,
)
from guardduty_response.playbooks.ec2_instance import finish as stopping
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import InstanceGone

STOP_ENDED = "stop_ended"  # which execution has stopped it, or has said why not
SECONDS = 50  # for all lookups; the rest of the function's 120 s is for others


def finish(context: Context, target: Target) -> StepResult:
    """Stops the instance where that is switched on. Then, when CloudTrail has its late events,
    looks once more for what it got of roles, and denies it.

    Of an instance that is neither stopped, terminated nor gone, monitoring does that: nothing waits
    for it (``held_sessions.checks``).
    """
    instance = InstanceContext(context, target)
    instance.stored = instance.read_stored()
    is_gone = instance.stored.get("status") == Status.GONE
    stopped = StepResult() if is_gone or _has_stopped(instance) else stopping.stop(context, target)
    if not stopped.done or not instance.looks_for_sessions:
        return stopped
    if "open" not in open_sessions.recorded(instance):
        return stopped
    denied_at = held_sessions.denied_at(instance)
    if waits := late_sessions.wait_for_due(instance, denied_at):
        _note_stopped(instance)
        return waits
    sessions = action_order.reading(instance)
    control = gone.find(instance, sessions, InstanceGone("", {})).control
    role = held_sessions.role_of(control)
    if role or instance.had_role:
        held_sessions.know(instance, sessions, role)
        held_sessions.know_former(instance, sessions)
        chained_sessions.deny(instance, SECONDS)
        former_roles.deny_shown(instance, sessions, control.state)
    if waits := late_sessions.wait_for_cloudtrail(instance, denied_at):
        _note_stopped(instance)
        return waits
    late_sessions.note(instance, open_sessions.checks(instance), f"{instance.id} is gone")
    looked = "looked once more for sessions that it got of other roles"
    return StepResult(detail=f"{stopped.detail}; {looked}" if stopped.detail else looked)


def _has_stopped(instance: InstanceContext) -> bool:
    """Tells whether this execution is past the stop: the last look was waited for since."""
    ended = (instance.stored["evidence"].get(STOP_ENDED) or {}).get("execution")
    return bool(ended == instance.context.execution)


def _note_stopped(instance: InstanceContext) -> None:
    if not _has_stopped(instance):
        instance.record_evidence(STOP_ENDED, {"execution": instance.context.execution})

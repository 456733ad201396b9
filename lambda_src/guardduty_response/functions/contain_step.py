"""Contains, for the playbook function, an incident's targets, and reads each back at once."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.aws.errors import is_transient
from guardduty_response.aws.log import log
from guardduty_response.containment.contract import (
    Context,
    StepResult,
    Target,
    knows_state_before,
    load,
)
from guardduty_response.containment.planned_state import outdated, was_read_within
from guardduty_response.errors import GateClosed, ResponseError
from guardduty_response.functions import rejoining, runtime, steps
from guardduty_response.functions.runtime import is_of_old_execution
from guardduty_response.incident.containments import ENDED
from guardduty_response.incident.moments import seconds_left
from guardduty_response.incident.shared_settings import SPREAD_SECONDS
from guardduty_response.incident.statuses import Status

if TYPE_CHECKING:
    from guardduty_response.containment.gate import Gate
    from guardduty_response.containment.protocols import Playbook

BUSY_SECONDS = 5  # until contain asks again for a resource that another incident works on
BUSY_ATTEMPTS = 24


def contain(event: runtime.Payload) -> rejoining.ContainPayload:
    """Contains the targets, and reads each back at once."""
    context, playbook = steps.make_context(event), load(os.environ["GDR_PLAYBOOK"])
    targets = steps.targets_of(context, event)
    if is_of_old_execution(event):
        contain_old = partial(_contain_for_old_execution, context, playbook)
        return rejoining.payload(context, steps.run_for_each(targets, contain_old), targets, {})
    rejoined: rejoining.Rejoined = {}
    contain = partial(_contain_target, context, playbook, rejoined)
    result = steps.run_for_each(targets, contain)
    return rejoining.payload(context, result, targets, rejoined)


def _contain_for_old_execution(context: Context, playbook: Playbook, target: Target) -> StepResult:
    """Contains a target for a definition that always verifies next, whatever is answered here.

    Only what is raised comes into the verdict.
    """
    if target.verify_only or (target.attach and steps.take_lease(context, target)):
        return StepResult()
    from guardduty_response.functions import old_executions

    target = old_executions.adopt(context, target._replace(attach=""))
    if target.attach:
        return StepResult()
    if error := _change(steps.guarded(context, target), playbook, target):
        raise ResponseError(error)
    return StepResult()


def _contain_target(
    context: Context, playbook: Playbook, rejoined: rejoining.Rejoined, target: Target
) -> StepResult:
    if target.verify_only:
        return _verify_target(context, target, "")
    busy = target.attach or context.attempt > 1
    lease = steps.take_lease(context, target) if busy else None
    if lease and context.attempt < BUSY_ATTEMPTS:
        detail = f"incident {lease['incident_id']} works on {target.id}: asked again"
        return _wait(BUSY_SECONDS, detail)
    if lease:
        detail = f"incident {lease['incident_id']} still works on {target.id}: only verified"
        context.record.event(context.incident_id, "not contained", detail, target.id)
        return _verify_target(context, target, "")
    restored_at = _restored_at(context, target) if context.tries == 1 else ""
    if seconds := _until_seen(restored_at):
        detail = f"{target.id} was restored a moment ago: contained when that is seen everywhere"
        return _wait(seconds, detail)
    target = target._replace(attach="")
    read_too_early = restored_at and was_read_within(target, restored_at, SPREAD_SECONDS)
    if context.attempt > 1 or read_too_early:
        target = outdated(target)
    guarded = steps.guarded(context.as_contained(target.contained_with), target)
    error = _change(guarded, playbook, target)
    assert guarded.gate is not None
    again = _contain_again(context, guarded.gate, rejoined, target)
    return again or _verify_target(context, target, error)


def _contain_again(
    context: Context, gate: Gate, rejoined: rejoining.Rejoined, target: Target
) -> StepResult | None:
    """Returns what lets the state machine contain once more, after a refusal that passes."""
    if gate.lost_lease and context.attempt < BUSY_ATTEMPTS:
        return _wait(1, f"the lease on {target.id} ran out, and another incident took it")
    if gate.is_over and context.attempt <= BUSY_ATTEMPTS and rejoining.may_rejoin(context):
        rejoined[target.arn] = target = rejoining.rejoin(context, target)
        seconds = max(1, _until_seen(_restored_at(context, target)))
        detail = f"{target.id} was restored meanwhile: contained anew"
        return StepResult(done=False, wait_seconds=seconds, again="contain", detail=detail)
    return None


def _wait(seconds: int, detail: str) -> StepResult:
    """Returns what lets the state machine contain in ``seconds``: nothing was tried until now."""
    return StepResult(done=False, wait_seconds=seconds, again="contain", detail=detail, waited=True)


def _restored_at(context: Context, target: Target) -> str:
    """Returns when the containment before this one ended; empty: there was none, in most cases."""
    if target.generation < 2:
        return ""
    before = context.record.containments.state(target.arn, target.generation - 1)
    if before is None or Status(before["status"]) not in ENDED:
        return ""
    return before["updated_at"]


def _until_seen(restored_at: str) -> int:
    """Returns the seconds until what a restore gave back is seen, 0 in most cases.

    AWS shows a change late: our own denial would be recorded as the prior state.
    """
    return seconds_left(restored_at, SPREAD_SECONDS) if restored_at else 0


def _change(context: Context, playbook: Playbook, target: Target) -> str:
    """Contains a target behind a gate. Returns why it failed, or an empty string: what is true
    now is read all the same, and the verdict says both.
    """
    assert context.gate is not None
    # Beside the first calls; it renews the lease.
    context.gate.open(awaits_write=knows_state_before(playbook))
    try:
        detail = playbook.contain(context, target).detail
    except GateClosed as closed:
        detail = str(closed)
    except Exception as raised:
        if is_transient(raised):
            raise
        error = f"contain failed: {type(raised).__name__}: {raised}"
        fields = {"incident_id": context.incident_id, "target": target.id}
        log("containing failed", **fields, detail=error[:500])
        return error
    if context.gate.lost_lease and context.attempt < BUSY_ATTEMPTS:
        return context.gate.refusal  # asked again
    if not context.gate.refusal:
        context.record.event(context.incident_id, "changes made", detail, target.id)
        return ""
    context.log_action(target, "gate", "FAILED", context.gate.refusal)
    context.record.event(
        context.incident_id,
        "not contained",
        context.gate.refusal,
        target.id,
    )
    return context.gate.refusal


def _verify_target(context: Context, target: Target, error: str) -> StepResult:
    # After the last change: nothing waits for its import (``respond._warm`` does it ahead).
    from guardduty_response.functions import verify_step

    return verify_step.verify_target(context, target, error)

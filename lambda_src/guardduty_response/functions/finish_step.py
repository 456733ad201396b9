"""Finishes, for the playbook function, an incident once its evidence is complete."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from guardduty_response.containment.contract import Context, StepResult, load
from guardduty_response.containment.gate import LEASE_SECONDS
from guardduty_response.decision import planned_options, policy
from guardduty_response.functions import planning, runtime, standing, steps
from guardduty_response.functions.contain_step import BUSY_ATTEMPTS, BUSY_SECONDS
from guardduty_response.incident.statuses import Status

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord


class RecheckAnswer(steps.PhaseAnswer):
    """Declares the answer after a recheck; ``again``: contain, or nothing."""

    again: str


def finish(event: runtime.Payload) -> steps.PhaseAnswer | RecheckAnswer:
    """Finishes once evidence is complete.

    A recheck that found containment lost decides instead whether to contain once more.
    """
    if not event.get("verify_only"):
        by_finish = {"terminate": "terminate"}
        return steps.phase(event, load(os.environ["GDR_PLAYBOOK"]).finish, "close", by_finish)
    context = steps.make_context(event)
    result = _contain_again(context, context.record.meta(context.incident_id))
    return {
        "done": result.done,
        "wait_seconds": result.wait_seconds,
        "next": "close" if result.done else "finish",
        "again": result.again,
    }


def _contain_again(context: Context, meta: IncidentRecord) -> StepResult:
    """Asks the machine to contain once more after a loss, if policy and guardrails allow it."""
    lost = meta["status"] == Status.CONTAINMENT_LOST
    if not lost:
        return StepResult()
    seen, config, record = context.finding, context.config, context.record
    decided, _ = policy.decide_about(config, seen)
    if decided.mode != "auto" or config.paused:
        return StepResult()  # a person decides, as the message about the verdict said
    if context.attempt < BUSY_ATTEMPTS and _is_rechecked_elsewhere(context, meta):
        return StepResult(done=False, wait_seconds=BUSY_SECONDS)
    known = planned_options.of_containment(None, meta.get("options"), context.options)
    planned = standing.plan(context.as_contained(known)).planned
    decision, reasons = planning.apply_policy(context, planned, seen)
    if decision == "act":
        record.note(context.incident_id, contained_again=context.execution, left_breached="")
        return StepResult(again="contain", detail="contained again")
    reason = f"Not contained again automatically: {'; '.join(reasons)}"
    record.note(context.incident_id, left_breached=reason)
    return StepResult()


def _is_rechecked_elsewhere(context: Context, meta: IncidentRecord) -> bool:
    """Tells whether another recheck of the incident has the lease on a resource.

    If it read before the loss, it ends without containing, and nobody would until the next one. The
    execution that waits for evidence gives way.
    """
    for link, _ in standing.find(context):
        lease = context.record.leases.claim(
            link["arn"], context.execution, context.incident_id, LEASE_SECONDS
        )
        ours = lease is not None and lease["incident_id"] == context.incident_id
        gives_way = (meta["execution"], link.get("execution"))
        if lease and ours and lease["owner"] not in gives_way:
            return True
    return False

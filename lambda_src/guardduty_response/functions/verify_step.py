"""Reads back, for the playbook function, what an incident contained, and stores the verdict."""

from __future__ import annotations

import os
from concurrent.futures import Future
from typing import TYPE_CHECKING

from guardduty_response.containment.answer import envelope_of
from guardduty_response.containment.contract import (
    Check,
    Context,
    StepPayload,
    StepResult,
    Target,
    load,
)
from guardduty_response.functions import runtime, steps
from guardduty_response.incident import statuses
from guardduty_response.incident.result_writer import fitted
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import drift

if TYPE_CHECKING:
    from guardduty_response.incident.model import (
        ContainmentLoss,
        ContainmentRecord,
        ResultEnvelope,
        TargetRecord,
    )


def verify(event: runtime.Payload) -> StepPayload:
    """Verifies every target of an incident. ``error`` of the event: why containing failed."""
    context, error = steps.make_context(event), str(event.get("error") or "")

    def step(target: Target) -> StepResult:
        return verify_target(context, target, error)

    return steps.run_for_each(steps.targets_of(context, event), step).payload()


def verify_target(context: Context, target: Target, error: str) -> StepResult:
    """Verifies a target, and stores the verdict once there is one.

    ``error``: why containing failed, if it did.
    """
    if target.unplanned:
        return StepResult(detail=target.unplanned)  # the verdict tells people
    context = steps.about(context.as_contained(target.contained_with), target.finding_key)
    if target.attach and not steps.take_lease(context, target):
        target = target._replace(attach="")
    result, checks = _read(context, target)
    fields: TargetRecord = {}
    if result.done and target.verify_only:
        result, checks, fields = drift.recheck(
            context,
            target,
            result,
            checks,
        )
        if minor_losses_of(fields):
            from guardduty_response.functions import minor_losses

            result, checks, fields = minor_losses.answer(
                context,
                target,
                result,
                checks,
                fields,
            )
    elif result.done:
        fields = drift.baseline(
            context,
            target,
            result,
            checks,
        )
    if not result.done:
        return result
    fields.pop("watched", None)  # a part of the answer
    detail = f"{result.detail} ({error})" if error else result.detail
    answer = envelope_of(
        context,
        target,
        result._replace(detail=detail),
        checks,
    )
    # Beside the verdict's own write: monitoring costs the verdict no round trip.
    begun = _begin_monitoring(context, target, answer)
    stored = context.record.persist(
        context.incident_id,
        target.reference(),
        answer,
        unless_restored=True,
        verified=context.execution,
        **fields,
    )
    if begun:
        begun.result()
    loss = fields.get("breach")
    if target.place and (stored is None or stored is Status.GONE):
        from guardduty_response.monitoring import upkeep

        upkeep.end(context.record, target.place)
    elif target.place and begun and loss and loss.get("ended"):
        from guardduty_response.monitoring import due

        due.contained_again(context.record.table, *target.place)
    if stored is None:
        return _restored_meanwhile(context, target, error)
    if loss:
        _record_drift(context, target, loss)
    return result._replace(status=stored)


def _read(context: Context, target: Target) -> tuple[StepResult, list[Check]]:
    if target.gone:
        result = StepResult(status=Status.GONE, detail=target.gone)
        return result, [Check("gone", True, target.gone)]
    return load(os.environ["GDR_PLAYBOOK"]).verify(context, target)


def minor_losses_of(fields: TargetRecord) -> list[str]:
    """Returns the minor checks that a recheck found lost, and that are lost still."""
    loss = fields.get("breach") or {}
    return list(loss["checks"]) if loss.get("minor") and not loss.get("ended") else []


def _begin_monitoring(
    context: Context, target: Target, answer: ResultEnvelope
) -> Future[bool] | None:
    """Begins the monitoring of a containment that will stand, or returns None."""
    if not target.place or Status(fitted(answer)["status"]) not in statuses.WATCHED:
        return None
    # After the last change: nothing waits for its import (``_warm`` does it ahead).
    from guardduty_response.monitoring import upkeep

    state: ContainmentRecord = {
        "arn": target.arn,
        "id": target.id,
        "account_id": target.account_id,
        "region": target.region,
        "generation": target.generation,
        "playbook": os.environ["GDR_PLAYBOOK"],
    }
    return upkeep.PLACES.submit(
        upkeep.begin, context.record, state, context.incident_id, answer["watched"]
    )


def _restored_meanwhile(context: Context, target: Target, error: str) -> StepResult:
    """Leaves a containment that a person has ended as it is. Who meant to contain has failed."""
    detail = f"{target.id} was restored while it was verified"
    if not target.verify_only:
        why = f"{detail}: nothing contains it ({error})" if error else detail
        context.record.end_target(
            context.incident_id,
            target.reference(),
            Status.FAILED,
            why,
        )
    context.record.event(
        context.incident_id,
        "verdict not kept",
        detail,
        target.id,
    )
    return StepResult(detail=detail)


def _record_drift(context: Context, target: Target, loss: ContainmentLoss) -> None:
    """Keeps each loss of containment in the history of the resource."""
    if target.place and loss.get("at"):
        from guardduty_response.incident import losses

        losses.put(context.record.table, *target.place, loss)

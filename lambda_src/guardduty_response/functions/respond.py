"""The playbook function: runs the steps of one playbook that plan, contain and verify.

It has no topic and can assume only its own responder role.
"""

from __future__ import annotations

import importlib
import os
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.aws.log import log
from guardduty_response.containment.answer import envelope_of
from guardduty_response.containment.contract import (
    Context,
    Planned,
    StepPayload,
    StepResult,
    Target,
    knows_state_before,
    load,
)
from guardduty_response.containment.gate import LEASE_SECONDS
from guardduty_response.decision import configuration, manifests, policy
from guardduty_response.errors import (
    GateClosed,
    NoTarget,
    ResponseError,
    RoleUnavailable,
    TargetGone,
)
from guardduty_response.functions import planning, rejoining, runtime, steps
from guardduty_response.functions.runtime import is_of_old_execution
from guardduty_response.incident import statuses
from guardduty_response.incident.containments import ENDED
from guardduty_response.incident.moments import seconds_left
from guardduty_response.incident.result_writer import fitted
from guardduty_response.incident.shared_settings import SPREAD_SECONDS
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import drift

if TYPE_CHECKING:
    from guardduty_response.containment.protocols import Playbook
    from guardduty_response.incident.model import (
        ContainmentLoss,
        ContainmentRecord,
        IncidentRecord,
        Lease,
        ResultEnvelope,
        TargetRecord,
    )

BUSY_SECONDS = 5  # until contain asks again for a resource that another incident works on
BUSY_ATTEMPTS = 24


def _plan(event: runtime.Payload) -> planning.PlanAnswer:
    context, playbook = steps.make_context(event), os.environ["GDR_PLAYBOOK"]
    record, incident_id = context.record, context.incident_id
    seen = context.finding
    try:
        planned = load(playbook).plan(context)
        if not planned:
            raise NoTarget(
                f"playbook {playbook} found no resource in finding {seen.id} to act on: look at the"
                " finding itself"
            )
    except (TargetGone, NoTarget, RoleUnavailable) as error:
        decision = "gone" if isinstance(error, TargetGone) else "failed"
        reason = str(error)
        if seen.sample:  # its resource need not exist, nor its account have the role
            decision, reason = "skip", f"a sample finding cannot be rehearsed here: {reason}"
        if not event.get("verify_only"):
            record.note(incident_id, decision=decision, reasons=[reason])
        return planning.answer(decision, error="" if decision == "skip" else reason)
    if not event.get("verify_only"):
        approved = event.get("approved") is True
        return planning.decide(context, planned, seen, approved)
    targets = [
        target
        for plan in planned
        if drift.may_verify(context, target := _to_verify(context, plan), LEASE_SECONDS)
    ]
    # A restore may just have ended.
    watched = Status(record.meta(incident_id)["status"]) in statuses.WATCHED
    if targets and watched:
        return planning.answer("act", targets)
    return planning.answer("none")


def _to_verify(context: Context, plan: Planned) -> Target:
    """Returns a planned target as the incident is linked to it, to be verified only."""
    target = plan.target._replace(verify_only=True, principals=plan.principals)
    return planning.as_linked(context, target)


def _warm(event: runtime.Payload) -> runtime.Answer:
    """Imports, builds and reads what the next steps need, while the incident is opened.

    Of AWS it calls the table alone, for the configuration.
    """
    reading = clients.POOL.submit(configuration.load)
    importlib.import_module("guardduty_response.monitoring.upkeep")
    load(os.environ["GDR_PLAYBOOK"])
    for service in ("dynamodb", "s3", "sts"):
        clients.client(service)
    reading.result()
    return {}


def _contain(event: runtime.Payload) -> rejoining.ContainPayload:
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
    if target.verify_only or (target.attach and _lease(context, target)):
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
    lease = _lease(context, target) if target.attach else None
    if lease and context.attempt < BUSY_ATTEMPTS:
        detail = f"incident {lease['incident_id']} works on {target.id}: asked again"
        return StepResult(done=False, wait_seconds=BUSY_SECONDS, again="contain", detail=detail)
    if lease:
        detail = f"incident {lease['incident_id']} still works on {target.id}: only verified"
        context.record.event(context.incident_id, "not contained", detail, target.id)
        return _verify_target(context, target, "")
    if context.attempt == 1 and (seconds := _until_restore_is_seen(context, target)):
        detail = f"{target.id} was restored a moment ago: contained when that is seen everywhere"
        return StepResult(done=False, wait_seconds=seconds, again="contain", detail=detail)
    target = target._replace(attach="")
    guarded = steps.guarded(context, target)
    error = _change(guarded, playbook, target)
    is_over = guarded.gate is not None and guarded.gate.is_over
    if is_over and context.attempt <= BUSY_ATTEMPTS and rejoining.may_rejoin(context):
        rejoined[target.arn] = target = rejoining.rejoin(context, target)
        seconds = max(1, _until_restore_is_seen(context, target))
        detail = f"{target.id} was restored meanwhile: contained anew"
        return StepResult(done=False, wait_seconds=seconds, again="contain", detail=detail)
    return _verify_target(context, target, error)


def _until_restore_is_seen(context: Context, target: Target) -> int:
    """Returns the seconds until what the last restore gave back is seen, 0 in most cases.

    AWS shows a change late: our own denial would be recorded as the state before.
    """
    if target.generation < 2:
        return 0
    before = context.record.containments.state(target.arn, target.generation - 1)
    if before is None or Status(before["status"]) not in ENDED:
        return 0
    return seconds_left(before["updated_at"], SPREAD_SECONDS)


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


def _lease(context: Context, target: Target) -> Lease | None:
    """Takes the lease. Returns that of the execution which still works on the resource."""
    return context.record.leases.claim(
        target.arn, context.execution, context.incident_id, LEASE_SECONDS
    )


def _verify(event: runtime.Payload) -> StepPayload:
    context, error = steps.make_context(event), str(event.get("error") or "")

    def verify_target(target: Target) -> StepResult:
        return _verify_target(context, target, error)

    targets = steps.targets_of(context, event)
    return steps.run_for_each(targets, verify_target).payload()


def _verify_target(context: Context, target: Target, error: str) -> StepResult:
    """Verifies a target, and stores the verdict once there is one.

    ``error``: why containing failed, if it did.
    """
    if target.attach and not _lease(context, target):
        target = target._replace(attach="")
    result, checks = load(os.environ["GDR_PLAYBOOK"]).verify(context, target)
    fields: TargetRecord = {}
    if result.done and target.verify_only:
        result, checks, fields = drift.recheck(context, target, result, checks)
    elif result.done:
        fields = drift.baseline(context, target, result, checks)
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
        context.record.end_target(context.incident_id, target.reference(), Status.FAILED, why)
    context.record.event(context.incident_id, "verdict not kept", detail, target.id)
    return StepResult(detail=detail)


def _record_drift(context: Context, target: Target, loss: ContainmentLoss) -> None:
    """Keeps each loss of containment in the drift history of the resource."""
    if target.place and loss.get("at"):
        context.record.containments.put_drift(*target.place, loss["at"], loss)


class RecheckAnswer(steps.PhaseAnswer):
    """Declares the answer after a recheck; ``again``: contain, or nothing."""

    again: str


def _finish(event: runtime.Payload) -> steps.PhaseAnswer | RecheckAnswer:
    """Finishes once evidence is complete.

    A recheck that found containment lost decides instead whether to contain once more.
    """
    if not event.get("verify_only"):
        return steps.phase(event, load(os.environ["GDR_PLAYBOOK"]).finish)
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
    playbook, why = manifests.playbook_for(seen)
    decided = policy.decide(
        config,
        seen.type,
        seen.account_id,
        seen.severity,
        playbook,
        why,
    )
    if decided.mode != "auto" or config.paused:
        return StepResult()  # a person decides, as the message about the verdict said
    if context.attempt < BUSY_ATTEMPTS and _is_rechecked_elsewhere(context, meta):
        return StepResult(done=False, wait_seconds=BUSY_SECONDS)
    planned = load(os.environ["GDR_PLAYBOOK"]).plan(context)
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
    for target in meta["targets"]:
        lease = context.record.leases.claim(
            target["arn"], context.execution, context.incident_id, LEASE_SECONDS
        )
        ours = lease is not None and lease["incident_id"] == context.incident_id
        if lease and ours and lease["owner"] != meta["execution"]:
            return True
    return False


handler = runtime.dispatch(
    "playbook",
    {
        "warm": _warm,
        "plan": _plan,
        "contain": _contain,
        "verify": _verify,
        "finish": _finish,
    },
)

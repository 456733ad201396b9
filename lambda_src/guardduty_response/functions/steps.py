"""What the functions that act share: a verb's context, and one verb over all targets of an
incident.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import (
    Context,
    Json,
    StepResult,
    Target,
    member_session,
)
from guardduty_response.decision import configuration, finding
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident import statuses
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

LEASE_SECONDS = 900
BUSY_SECONDS = 15  # until a phase asks again for a resource that somebody else is at work on
LONG_SECONDS = 60  # a phase that waits at least so long holds nobody up meanwhile
ACTING = ("finish", "remediate", "terminate")


class _Lazy(Context):
    """The finding is fetched while the first AWS calls of a verb are already under way."""

    @property
    def finding(self) -> finding.Finding:
        return self._finding.result()

    @finding.setter
    def finding(self, value: Any) -> None:
        self._finding: Future[finding.Finding] = value


def _load_finding(record: IncidentRepository, incident_id: str) -> finding.Finding:
    return finding.parse(evidence_store.get_event(record.meta(incident_id)["finding_key"]))


def make_context(event: Json) -> Context:
    """What the verb may use. Raises ConfigError."""
    settings, record = configuration.load(), IncidentRepository(os.environ["GDR_TABLE"])
    name, incident_id = os.environ["GDR_PLAYBOOK"], event["incident_id"]
    return _Lazy(
        config=settings,
        options=settings.playbooks[name],
        finding=clients.POOL.submit(_load_finding, record, incident_id),  # type: ignore[arg-type]
        incident_id=incident_id,
        execution=event["execution"],
        record=record,
        assume=partial(member_session, settings.partition, f"{incident_id}-{event['verb']}"),
        put_evidence=partial(evidence_store.put, incident_id),
        attempt=int(event.get("attempt") or 1),
    )


def renew(context: Context, target: Target) -> None:
    """Keeps the right to work on the resource; in the background."""
    if not target.attach and not target.verify_only:
        clients.POOL.submit(
            context.record.lease, target.arn, context.execution, context.incident_id, LEASE_SECONDS
        )


def phase(
    event: Json, work: Callable[[Context, Target], StepResult], next_step: str = "close"
) -> Json:
    """One phase after the verdict over every target that this incident owns: {done, wait_seconds,
    next}.

    The shortest wait of all targets counts. A failure is that target's alone.
    """
    context = make_context(event)
    meta = context.record.meta(context.incident_id)
    owned = (
        []
        if event.get("verify_only")
        else [Target(**one) for one in meta["targets"] if not one.get("attach")]
    )
    steps = [
        _one(context, event["verb"], target, partial(work, context, target)) for target in owned
    ]
    waiting = [step.wait_seconds for step in steps if not step.done]
    settled = bool(owned) and Status(meta["status"]) not in statuses.IN_PROGRESS
    next_step = next((step.next_step for step in steps if step.next_step), next_step)
    return {
        "done": not waiting,
        "wait_seconds": min(waiting, default=0),
        "next": next_step if settled else "close",
    }


def _one(context: Context, verb: str, target: Target, work: Callable[[], StepResult]) -> StepResult:
    held = context.record.lease(target.arn, context.execution, context.incident_id, LEASE_SECONDS)
    if held:
        return StepResult(
            done=False,
            wait_seconds=BUSY_SECONDS,
            detail=f"{held['owner']} works on {target.id}: asked again",
        )
    try:
        step = _still(context, verb, target) or work()
        if step.done:
            context.record.event(context.incident_id, f"{verb} ended", step.detail, target.id)
        elif step.wait_seconds >= LONG_SECONDS:
            context.record.release(target.arn, context.execution)  # a person may restore meanwhile
        return step
    except Exception as error:
        if is_transient(error):
            raise
        text = f"{verb} of {target.id} failed ({type(error).__name__}: {error})"
        context.log_action(target, verb, "FAILED", text)
        context.record.event(context.incident_id, f"{verb} failed", text, target.id)
        return StepResult(detail=text)


def _still(context: Context, verb: str, target: Target) -> StepResult | None:
    """What acts after the verdict acts on what the incident still holds; None: it does."""
    if verb not in ACTING:
        return None
    status = Status(context.record.target(context.incident_id, target.kind, target.id)["status"])
    if status in statuses.IN_PROGRESS or status in statuses.WATCHED or status is Status.FAILED:
        return None
    return StepResult(detail=f"{target.id} is {status} meanwhile: nothing more is done")

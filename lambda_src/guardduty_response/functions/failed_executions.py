"""Reports, for the watchdog, executions that ended without a verdict."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.aws.log import log
from guardduty_response.decision import finding, routing
from guardduty_response.errors import MalformedFinding, ResponseError
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident import notifications, opening, outcome
from guardduty_response.incident.notifications import Draft
from guardduty_response.incident.outbox.history import reason_failed
from guardduty_response.incident.outbox.message import reason_for
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import (
    IN_PROGRESS,
    Event,
    OnFinding,
    Status,
    next_status,
)
from guardduty_response.incident.table import incident_key
from guardduty_response.monitoring import schedule

if TYPE_CHECKING:
    from guardduty_response.functions.events import EndedExecution


class Handled(TypedDict):
    """Names the incident of a failed execution."""

    incident_id: str


def fail(record: IncidentRepository, incident_id: str, why: str) -> None:
    """Reports that the incident's execution failed: FAILED if the incident was in progress.

    Otherwise, and where an earlier run's containment stands, that status stands. Notifies and
    escalates either way, once for each execution. The message is written before the status moves:
    what fails on the way is found by the next run.
    """
    meta, targets, _, history, _ = record.read_whole(incident_id)
    in_progress = Status(meta["status"]) in IN_PROGRESS
    reason = reason_failed(meta["execution"])
    if history.has(reason) and not in_progress:
        return
    for target in targets:
        if Status(target["status"]) in IN_PROGRESS:
            target["status"] = outcome.end_without_verdict(record, meta, target, why)
            target["verdict"] = why
    event = outcome.kept_by(meta) or Event.EXECUTION_FAILED
    name = "execution failed" if in_progress else "execution failed after the verdict"
    status = Status(meta["status"])
    shown = next_status(status, event) if in_progress else status
    message = shown if shown is Status.FAILED and in_progress else "problem"
    draft = Draft(message, reason, note=why, escalate=True, entry=(name, why), actor="watchdog")
    notifications.notify(record, {**meta, "status": shown}, targets, draft)
    if in_progress:
        reasons = [*(meta.get("reasons") or []), why]
        record.transition(incident_id, event, reasons=reasons)


def report_lost(record: IncidentRepository, event: object, execution: str, why: str) -> None:
    """Reports an event that no execution works on: stores it and opens its incident, if needed."""
    meta = opening.from_event(event, execution, why)
    incident_id = meta["incident_id"]
    meta["finding_key"] = evidence_store.put_event(incident_id, event)["key"]
    opened = record.open(meta, only_new=True)
    # Two rules bring a finding to a machine each: what neither could start is one loss.
    same_loss = (
        not execution
        and not opened.meta["execution"]
        and opened.meta.get("finding_key") == meta["finding_key"]
    )
    if opened.outcome is OnFinding.START or same_loss:
        fail(record, incident_id, why)
        return
    # Whatever the incident has come to, it goes on.
    stored, targets = record.meta_and_targets(incident_id)
    draft = Draft(
        "problem",
        reason_for("recurrence", meta["finding_key"], execution),
        note=why,
        escalate=True,
        entry=("recurrence lost", why),
        actor="watchdog",
    )
    notifications.notify(record, stored, targets, draft)


def handle(record: IncidentRepository, detail: EndedExecution) -> Handled:
    """Handles the event of an execution that failed (``detail`` as Step Functions sends it)."""
    arn = detail["executionArn"]
    text, cause = _input_and_cause(detail)
    event = _finding_event(finding.parse_json(text), arn)
    machine = arn.split(":")[-2]
    why = (
        f"state machine {machine} ended {detail['status']}: {str(cause or 'no cause given')[:800]}."
        f" Execution {arn}"
    )
    rechecked = finding.text(finding.get(event, "watch", "incident_id"))
    incident_id = rechecked or opening.from_event(event, arn, why)["incident_id"]
    try:
        owner = record.meta(incident_id)["execution"]
    except ResponseError:
        owner = ""
    if owner == arn:
        fail(record, incident_id, why)
    elif rechecked:
        if owner:  # else somebody named an incident that does not exist: nothing is lost
            schedule.recheck_failed(record, incident_id, why)
    elif routing.is_answered_by(event, machine) or _is_unanswered(record, event, machine):
        report_lost(record, event, arn, why)
    else:
        log(
            "failed without work: the other machine answers this finding",
            execution=arn,
            detail=why[:300],
        )
    return {"incident_id": incident_id}


def _is_unanswered(record: IncidentRepository, event: object, machine: str) -> bool:
    """Tells whether the notice machine died before it could start what rule ``act`` did not.

    ``event``: a finding that the incident machine has to answer.
    """
    if machine != os.environ["GDR_NOTICE_MACHINE_ARN"].rsplit(":", 1)[-1]:
        return False
    seen = finding.parse(event)
    claim = record.table.get(incident_key(seen.incident_id), seen.claim)
    if claim and "left" not in claim:
        return False
    try:  # delivered again by a pointer, it has no claim
        return record.meta(seen.incident_id).get("last_seen") != seen.last_seen
    except ResponseError:
        return True


def _input_and_cause(detail: EndedExecution) -> tuple[str | None, str | None]:
    """Returns the execution's input and cause; large ones are not in the event."""
    arn, text, cause = detail["executionArn"], detail.get("input"), detail.get("cause")
    if text and cause:
        return text, cause
    try:
        described = clients.client("stepfunctions").describe_execution(executionArn=arn)
    except ClientError as error:
        log("cannot describe execution", execution=arn, detail=str(error)[:300])
        return text, cause
    return text or described.get("input"), cause or described.get("cause")


def _finding_event(event: object, execution: str) -> object:
    """Returns the event, or the stored one that a pointer names, where it can be read."""
    key = finding.get(event, "finding_key")
    if not isinstance(key, str):
        return event
    try:
        return evidence_store.get_event(key)
    except (ClientError, MalformedFinding) as error:
        if is_transient(error):
            raise
        log("cannot read the finding", execution=execution, detail=str(error)[:300])
        return event

"""The incident function: opens incidents, notifies people, records verdicts and closes.

It can assume no role and change no resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.decision import configuration
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions import intake, runtime
from guardduty_response.functions.intake import incidents
from guardduty_response.functions.runtime import Answer, Payload, target_references
from guardduty_response.incident import (
    answers,
    approval,
    commands,
    containments,
    notifications,
    outcome,
    recurrence,
    report,
    summary,
)
from guardduty_response.incident.incident_links import Reading
from guardduty_response.incident.moments import now
from guardduty_response.incident.notifications import Draft
from guardduty_response.incident.outbox.history import History
from guardduty_response.incident.outbox.message import reason_for
from guardduty_response.incident.repository import IncidentRepository, WholeIncident
from guardduty_response.incident.statuses import ESCALATE, IN_PROGRESS, Event, Status, combine
from guardduty_response.incident.target_repository import place_of
from guardduty_response.monitoring import fights, recheck, upkeep

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord, TargetPayload, TargetRecord


def _notify_start(event: Payload) -> Answer:
    """Notifies people that a response starts."""
    if event.get("verify_only"):
        return {}
    record, incident_id = incidents(), event["incident_id"]
    meta = record.meta(incident_id)
    if meta.get("contained_again") == event["execution"]:
        # People were notified of the loss, and will be of the verdict.
        detail = "after the loss of containment, the resource is contained once more"
        record.event(incident_id, "contained again", detail)
        return {}
    reason = reason_for("started", event["execution"])
    sent = notifications.notify(record, meta, [], Draft("started", reason))
    if sent.reached:
        detail = f"people were notified that the response started{sent.doubt}"
        record.event(incident_id, "announced", detail)
    return {}


def _ask(event: Payload) -> Answer:
    """Keeps the task token with the incident and asks for approval.

    Whoever answers sends the token back (SendTaskSuccess {"approved": bool, "plan": str}).
    """
    record, incident_id = incidents(), event["incident_id"]
    asked = record.meta(incident_id)
    minutes = round(approval.timeout_seconds(asked, configuration.load()) / 60)
    first = asked.get("asked_at") or now()
    refused = str(asked.get("answer_refused") or "") if asked.get("asked_at") else ""
    fields: IncidentRecord = {"asked_at": first, "answer_refused": refused}
    record.transition(incident_id, Event.ASK, task_token=event["task_token"], **fields)
    meta, targets = record.meta_and_targets(incident_id)
    note = f"{refused} ".lstrip() + (
        f"Without an answer in {minutes} minutes nothing is changed and the incident ends as"
        " TIMED_OUT."
    )
    # A repeated task has a token of its own, and asks the same. After an answer a plan is asked
    # about anew, although it was asked about before another one.
    answered = refused or meta.get("approved_at") or ""
    reason = reason_for("approval", event["execution"], meta.get("plan_digest") or "", answered)
    draft = Draft(
        "approval",
        reason,
        note="\n".join([note, *commands.approve(meta, record.table.name)]),
        escalate=True,
        entry=("asked", note),
    )
    notifications.notify(record, meta, targets, draft)
    return {}


# -- an answer and a verdict -----------------------------------------------------------------------


def _decide(event: Payload) -> Answer:
    """Records a person's answer to an approval; only ``{"approved": true}`` lets triage run anew.

    ``answer`` is whatever was sent back with the task token, {approved, plan, by} by agreement. The
    approval is bound to the plan that it names: what would be done now is compared with it, so that
    a resource that changed meanwhile is asked about again. So is what was answered for another
    plan.
    """
    if answers.record_answer(incidents(), event["incident_id"], event["answer"]):
        return {"next": "triage", "decision": "approve"}
    return {"next": "close", "decision": "rejected"}


def _verdict(event: Payload) -> Answer:
    """Derives the incident's status from the stored verdicts, and sends each. A target without one
    ends as FAILED, unless an earlier containment of it stands. ``error``: why it has none, if any.
    """
    record, incident_id = incidents(), event["incident_id"]
    why = event.get("error") or outcome.NO_RESULT
    verified: list[TargetPayload] = []
    statuses: list[Status] = []
    whole: WholeIncident | None = record.read_whole(incident_id)
    for reference in target_references(event):
        kind, id = reference["kind"], reference["id"]
        stored = (whole and whole.target(kind, id)) or record.target(incident_id, kind, id)
        if Status(stored["status"]) in IN_PROGRESS:
            whole, meta = None, record.meta(incident_id)
            kept = outcome.end_without_verdict(record, meta, stored, why)
            if kept is not Status.FAILED:
                notifications.notify_unverified(record, meta, [{**stored, "status": kept}], why)
                outcome.settle(record, incident_id)
                statuses.append(kept)
                continue
        elif reference.get("verify_only") and Status(stored["status"]) in containments.ENDED:
            # Restored meanwhile, perhaps by a restore that did not live to tell the incident.
            whole = None  # read anew: something is written
            statuses.append(_tell_restored(record, incident_id))
            continue
        elif reference.get("verify_only") and stored.get("verified") != event["execution"]:
            whole, reason = None, reference.get("unplanned") or why
            notifications.notify_unverified(record, record.meta(incident_id), [stored], reason)
            statuses.append(Status(stored["status"]))
            continue
        verified.append(reference)
    if not verified:
        return {"status": combine(statuses)}
    meta, targets, history, reading = outcome.settle(record, incident_id, whole)
    for reference in verified:
        rechecked = bool(reference.get("verify_only"))
        if rechecked and meta.get("unverified"):
            detail = "containment could be read again"
            record.event(incident_id, "verified again", detail, target=reference["id"])
            record.note(incident_id, unverified="")
            meta["unverified"] = ""
        target = _find(targets, reference)
        linked = outcome.begin_reading(record, target)
        history = _send_verdict(
            record, meta, history, target, event["execution"], rechecked, reading
        )
        why = f"incident {incident_id}: {target.get('verdict', '')}"
        outcome.settle_linked(record, incident_id, target, why, linked)
        statuses.append(Status(target["status"]))
    return {"status": combine(statuses)}


def _tell_restored(record: IncidentRepository, incident_id: str) -> Status:
    """Settles an incident whose containment has ended, and tells people unless they know."""
    meta, targets, history, reading = outcome.settle(record, incident_id)
    status = Status(meta["status"])
    if history.status != status:
        last = history.last_status
        reason = reason_for("restored", status, last["reason"] if last else "")
        draft = Draft(status, reason, escalate=status in ESCALATE)
        notifications.notify(record, meta, targets, draft, reading)
    return status


def _find(targets: list[TargetRecord], reference: TargetPayload) -> TargetRecord:
    [found] = [
        target
        for target in targets
        if (target["kind"], target["id"]) == (reference["kind"], reference["id"])
    ]
    return found


def _send_verdict(
    record: IncidentRepository,
    meta: IncidentRecord,
    history: History,
    target: TargetRecord,
    execution: str,
    rechecked: bool,
    reading: Reading,
) -> History:
    """Writes the verdict into the timeline and sends it, unless a recheck found nothing new.

    Returns what people were told by now.
    """
    incident_id, status = meta["incident_id"], Status(target["status"])
    news = recheck.news(history, target) if rechecked else []
    if rechecked:
        recheck.tell_minor_loss(record, meta, history, target)
    sentences = [target.get("verdict", "")]
    if news:
        sentences += summary.containment_loss(target["breach"])[1:]
    entry = (f"verdict {status}", "; ".join(sentences))
    if rechecked and history.status == meta["status"] and not news:
        # A recheck that finds nothing new leaves no trace but its time.
        if not recheck.is_latest(meta, execution):
            record.event(incident_id, *entry, target=target["id"])
        return history
    lost = Status(meta["status"]) is Status.CONTAINMENT_LOST
    shown = Status.CONTAINMENT_LOST if lost else status
    # Rechecks side by side find the same news; an execution that is repeated finds its own verdict.
    known = history.last_status
    distinct = [known["reason"] if known else ""] if rechecked else [execution]
    losses = fights.losses_of(record, target) if lost else []
    draft = Draft(
        shown,
        reason_for("status", shown, target["arn"], *distinct, *news),
        note=recheck.next_response(meta, history, shown, target, losses),
        escalate=shown in ESCALATE,
        execution=execution,
        losses=news if lost else [],
        entry=entry,
        target=target["id"],
        held_for=recheck.held_for(
            meta, history, shown, target, rechecked or meta.get("contained_again") == execution
        ),
    )
    notifications.notify(
        record,
        {**meta, "status": shown},
        [target],
        draft,
        reading,
    )
    if lost:
        fights.tell_if_it_cannot_hold(record, meta, target, losses)
    return history.with_message(draft.known(meta, [target]))


# -- failures beside containment -------------------------------------------------------------------


def _evidence_failed(event: Payload) -> Answer:
    record, incident_id, error = incidents(), event["incident_id"], event["error"]
    for reference in target_references(event):
        kind, id = reference["kind"], reference["id"]
        record.action(incident_id, kind, id, "evidence", "FAILED", error)
        record.event(incident_id, "evidence failed", error, target=id)
    return {}


def _not_handed_over(event: Payload) -> Answer:
    """Escalates that another playbook's incident could not be started: a person must start it."""
    record, incident_id = incidents(), event["incident_id"]
    command = commands.start_response(event["machine"], event["finding_key"])
    note = f"An incident of its own could not be started ({event['error']}). Start it: {command}"
    meta, targets = record.meta_and_targets(incident_id)
    draft = Draft(
        "problem",
        reason_for("not_handed_over", event["execution"], event["finding_key"]),
        note=note,
        escalate=True,
        entry=("not handed over", note),
    )
    notifications.notify(record, meta, targets, draft)
    return {}


# -- the end ---------------------------------------------------------------------------------------


def _close(event: Payload) -> Answer:
    """Sets the final status, writes the report, sends news in a last message, releases the leases.

    What fails here fails the execution; the reconciler reports it.
    """
    record, incident_id = incidents(), event["incident_id"]
    decision, error = event["decision"], event.get("error") or ""
    meta = record.meta(incident_id)
    ended_recheck = recheck.close_recheck(
        record,
        meta,
        event["execution"],
        decision,
        error,
    )
    if ended_recheck:
        return ended_recheck
    if error:
        record.event(incident_id, "problem", error)
    if meta["execution"] != event["execution"] and Status(meta["status"]) in IN_PROGRESS:
        return _leave_to(record, meta, event["execution"])
    if decision in outcome.ENDINGS:
        meta, targets = _end(record, incident_id, decision, error)
    else:
        why = error or outcome.NO_RESULT
        if outcome.finish_targets(record, incident_id, Status.FAILED, why):
            event = {**event, "error": why}  # an earlier verdict stands; people hear of this run
        settled = outcome.settle(record, incident_id)
        meta, targets = settled.meta, settled.targets
    meta = _write_report(record, meta)
    _send_end(record, meta, targets, event)
    report.write_parent(record, meta, evidence_store.put)
    recheck.release_leases(record, meta, event["execution"])
    return {"status": Status(meta["status"])}


def _leave_to(record: IncidentRepository, meta: IncidentRecord, execution: str) -> Answer:
    """Ends an execution whose incident another one works on: it contains again after a loss."""
    detail = f"the incident goes on in {meta['execution']}"
    record.event(meta["incident_id"], "execution ended", detail)
    recheck.release_leases(record, meta, execution)
    return {"status": Status(meta["status"])}


def _end(
    record: IncidentRepository, incident_id: str, decision: str, error: str
) -> tuple[IncidentRecord, list[TargetRecord]]:
    """Ends the incident other than by verdicts; returns META and targets."""
    outcome.end(record, record.meta(incident_id), decision, error)
    status = Status(record.meta(incident_id)["status"])
    if decision == "failed":
        status = Status.FAILED
    outcome.finish_targets(
        record,
        incident_id,
        status,
        error,
        include_ended=status is Status.GONE,
    )
    meta, targets = record.meta_and_targets(incident_id)
    if status is Status.GONE:  # so it is for every incident about the same resource
        for target in targets:
            outcome.settle_linked(record, incident_id, target, f"incident {incident_id}: {error}")
            if place := place_of(target):
                upkeep.end(record, place)
    return meta, targets


def _send_end(
    record: IncidentRepository,
    meta: IncidentRecord,
    targets: list[TargetRecord],
    event: Payload,
) -> None:
    """Sends the status, if it was not sent yet, or the end of the response."""
    incident_id, status = meta["incident_id"], Status(meta["status"])
    decision, error = event["decision"], event.get("error") or ""
    history, answer = record.history(meta), recurrence.answer(meta)
    new_status = history.status != status
    name = "problem" if error else "closing"
    if new_status and not (error and outcome.keeps_earlier(meta)):
        name = status
    if not error and recurrence.is_answered_as_before(meta, history):
        record.event(incident_id, "decided as before", "nothing new to tell people")
    elif new_status or error or not history.has_ended:
        urgent = status in ESCALATE and (new_status or bool(error))
        draft = Draft(
            name,
            reason_for(
                "ended",
                event["execution"],
                history.run,
                status,
                error,
                *answer,
            ),
            note=error,
            escalate=urgent or decision == "failed",
            execution=event["execution"],
            answer=answer,
        )
        notifications.notify(record, meta, targets, draft)
    report_key = meta.get("report_key", "not written")
    record.event(incident_id, "ended", f"status {status}; report {report_key}")


def _write_report(record: IncidentRepository, meta: IncidentRecord) -> IncidentRecord:
    """Writes the report; its failure is in the timeline and never hides the verdict."""
    incident_id = meta["incident_id"]
    try:
        key = report.write(record, incident_id, evidence_store.put)
    except Exception as error:
        record.event(incident_id, "report failed", f"{type(error).__name__}: {error}")
        return meta
    record.note(incident_id, report_key=key)
    return {**meta, "report_key": key}


handler = runtime.dispatch(
    "incident",
    {
        "open": intake.open_incident,
        "notice": intake.notify_only,
        "announce": _notify_start,
        "ask": _ask,
        "decide": _decide,
        "verdict": _verdict,
        "evidence_failed": _evidence_failed,
        "not_handed_over": _not_handed_over,
        "close": _close,
    },
)

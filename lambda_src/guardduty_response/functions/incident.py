"""The incident function: opens, tells, judges and closes incidents. It can assume no role and
change no resource.
"""

from __future__ import annotations

import os
from typing import Any

from guardduty_response.decision import configuration, finding, policy
from guardduty_response.errors import (
    IllegalTransition,
    MalformedFinding,
    NotAFinding,
    ResponseError,
)
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions import runtime
from guardduty_response.incident import notifications, report
from guardduty_response.incident.repository import IncidentRepository, Opened
from guardduty_response.incident.statuses import (
    ESCALATE,
    HELD,
    IN_PROGRESS,
    Event,
    OnFinding,
    Status,
    combine,
)
from guardduty_response.monitoring import recheck

Json = dict[str, Any]


def _record() -> IncidentRepository:
    return IncidentRepository(os.environ["GDR_TABLE"])


# -- a finding arrives -----------------------------------------------------------------------------


def _stored(event: Any) -> Any:
    """The event itself, or the one a pointer names (a finding larger than the machine's payload
    limit).
    """
    key = finding.get(event, "finding_key")
    if not isinstance(key, str):
        return event
    try:
        return evidence_store.get_event(key)
    except MalformedFinding as error:
        return {"finding_key": key, "error": str(error)}  # no finding: recorded and told as such


def _nothing(incident_id: str = "", why: str = "") -> Json:
    return {
        "incident_id": incident_id,
        "playbook": "",
        "verify_only": False,
        "next": "done",
        "why": why,
    }


def _meta(
    seen: finding.Finding, decided: policy.Decision, playbook: str | None, execution: str, sha: str
) -> Json:
    return {
        "incident_id": seen.incident_id,
        "finding_id": seen.id,
        "finding_type": seen.type,
        "account_id": seen.account_id,
        "region": seen.region,
        "severity": seen.severity,
        "title": seen.title[:500],
        "resource_type": seen.resource_type,
        "sample": seen.sample,
        "mode": decided.mode,
        "reasons": decided.reasons,
        "playbook": playbook or "",
        "execution": execution,
        "config_sha256": sha,
    }


def _decide(
    event: Any,
) -> tuple[finding.Finding, policy.Decision, str | None, configuration.Config]:
    settings, seen = configuration.load(), finding.parse(event)
    playbook, why = finding.playbook_for(seen)
    return (
        seen,
        policy.decide(settings, seen.type, seen.account_id, seen.severity, playbook, why),
        playbook,
        settings,
    )


def _unreadable(event: Any, execution: str, why: str) -> Json:
    """Keeps and tells what could not be read: nothing ends in silence. Once per distinct event."""
    detail = finding.get(event, "detail")
    incident_id = finding.incident_id(finding.canonical(event))
    stored = evidence_store.put_event(incident_id, event)
    meta = {
        "incident_id": incident_id,
        "finding_id": finding.text(finding.get(detail, "id")),
        "finding_type": finding.text(finding.get(detail, "type")) or "unreadable",
        "severity": 0,
        "account_id": finding.text(
            finding.get(detail, "accountId") or finding.get(event, "account")
        ),
        "region": finding.text(finding.get(detail, "region") or finding.get(event, "region")),
        "title": why[:500],
        "resource_type": "",
        "sample": False,
        "mode": "notify",
        "reasons": [why],
        "playbook": "",
        "execution": execution,
        "config_sha256": "",
        "finding_key": stored["key"],
    }
    record = _record()
    opened = record.open(meta)
    if opened.outcome is OnFinding.START:
        record.event(incident_id, "skipped", why)
        # told first: a retry finds it untold
        notifications.publish(Status.SKIPPED, {**opened.meta, "status": Status.SKIPPED}, [])
        record.transition(incident_id, Event.SKIPPED, decision="skip")
    return _nothing(incident_id, why)


def _open_record(
    event: Any, seen: finding.Finding, meta: Json
) -> tuple[IncidentRepository, Opened]:
    record = _record()
    meta["finding_key"] = evidence_store.put_event(seen.incident_id, event)["key"]
    opened = record.open(meta)
    if opened.outcome is OnFinding.ATTACH:
        detail = (
            f"the finding was emitted again (count {seen.count}) while {opened.previous}: counted,"
            " nothing started"
        )
        record.event(seen.incident_id, "emitted again", detail)
    else:
        detail = (
            f"{seen.type}, severity {seen.severity:g} ({seen.severity_label}), mode {meta['mode']}"
        )
        record.event(seen.incident_id, "opened" if opened.previous is None else "reopened", detail)
    return record, opened


def _open(event: Json) -> Json:
    """Incident machine, first state. Not acting by policy: the notice machine answers, and this
    one leaves no trace.
    """
    if (asked := finding.get(event["event"], "watch")) is not None:
        return recheck.opened(_record(), asked, event["execution"]) or _nothing(
            why="no containment of its stands"
        )
    delivered = _stored(event["event"])
    try:
        seen, decided, playbook, settings = _decide(delivered)
    except (NotAFinding, MalformedFinding) as error:
        return _unreadable(delivered, event["execution"], str(error))
    if seen.archived:
        return _nothing(why="the finding is archived (suppressed)")
    if decided.mode not in policy.ACTING or playbook is None:
        return _nothing(why=f"mode {decided.mode}: left to the notice machine")
    meta = _meta(seen, decided, playbook, event["execution"], settings.sha256)
    _, opened = _open_record(delivered, seen, meta)
    if opened.outcome is OnFinding.ATTACH:
        return _nothing(seen.incident_id, "emitted again")
    return {
        "incident_id": seen.incident_id,
        "playbook": playbook,
        "next": "triage",
        "verify_only": opened.outcome is OnFinding.VERIFY,
    }


def _notice(event: Json) -> Json:
    """Notice machine, only state: tells people; what the policy lets act is the incident
    machine's.
    """
    delivered = _stored(event["event"])
    try:
        seen, decided, playbook, settings = _decide(delivered)
    except (NotAFinding, MalformedFinding) as error:
        return _unreadable(delivered, event["execution"], str(error))
    if decided.mode != "notify" or seen.archived:
        return _nothing(why=f"mode {decided.mode}: nothing to tell here")
    meta = _meta(seen, decided, playbook, event["execution"], settings.sha256)
    record, opened = _open_record(delivered, seen, meta)
    if opened.outcome is OnFinding.START:
        # told first: a retry finds it untold
        notifications.publish("notice", {**opened.meta, "status": Status.NOTIFIED}, [])
        record.event(seen.incident_id, "told", "the notification topic was told")
        record.transition(seen.incident_id, Event.NOTIFIED, decision="notify")
    return _nothing(
        seen.incident_id, "told" if opened.outcome is OnFinding.START else "emitted again"
    )


# -- the incident machine's other states -----------------------------------------------------------


def _announce(event: Json) -> Json:
    if not event.get("verify_only"):
        record = _record()
        meta = record.meta(event["incident_id"])
        if meta.get("contained_again") == event["execution"]:
            record.event(
                event["incident_id"],
                "contained again",
                "the breach is answered by containing once more",
            )
            return {}  # people were told of the breach, and hear the verdict
        notifications.publish("started", meta, [])
        record.event(
            event["incident_id"], "announced", "people were told that the response started"
        )
    return {}


def _ask(event: Json) -> Json:
    """Parks the incident with its task token; whoever answers sends the token back
    (SendTaskSuccess {"approved": bool}).
    """
    record, incident_id = _record(), event["incident_id"]
    record.transition(incident_id, Event.ASK, task_token=event["task_token"])
    meta, targets, _ = record.read(incident_id)
    minutes = configuration.load().guardrails["approval_timeout_minutes"]
    note = (
        f"Without an answer in {minutes} minutes nothing is changed and the incident ends as"
        " TIMED_OUT."
    )
    notifications.publish("approval", meta, targets, note=note, escalate=True)
    record.event(incident_id, "asked", note)
    return {}


def _incident_event(status: Status, before: Status) -> Event:
    undone = {
        Status.CONTAINED: (Status.FAILED, Status.PARTIAL),
        Status.CONTAINMENT_LOST: (Status.FAILED,),
    }
    if status in undone.get(before, ()):
        return Event.CONTAINMENT_LOST
    return {
        Status.CONTAINED: Event.CONTAINED,
        Status.PARTIAL: Event.PARTIAL,
        Status.GONE: Event.GONE,
        Status.CONTAINMENT_LOST: Event.CONTAINMENT_LOST,
    }.get(status, Event.FAILED)


def _settle(record: IncidentRepository, incident_id: str) -> tuple[Json, list[Json]]:
    """Sets the incident's status from its targets' once all have a verdict; returns (meta,
    targets).
    """
    meta, targets, _ = record.read(incident_id)
    statuses = [Status(target["status"]) for target in targets]
    if not any(status in IN_PROGRESS for status in statuses):
        try:
            meta["status"] = record.transition(
                incident_id, _incident_event(combine(statuses), Status(meta["status"]))
            )
        except IllegalTransition as error:
            record.event(incident_id, "status kept", str(error))
    return meta, targets


def _verdict(event: Json) -> Json:
    """Told the moment verification ends. ``error``: why containing or verifying failed, when it
    did.
    """
    record, incident_id, where = _record(), event["incident_id"], event["target"]
    target = record.target(incident_id, where["kind"], where["id"])
    why = event.get("error") or _NO_RESULT
    if Status(target["status"]) in IN_PROGRESS:
        record.set_target(
            incident_id, where["kind"], where["id"], status=Status.FAILED, verdict=why
        )
    elif where.get("verify_only") and target.get("verified") != event["execution"]:
        notifications.unverified(record, record.meta(incident_id), [target], why)
        return {"status": target["status"]}
    meta, targets = _settle(record, incident_id)
    if where.get("verify_only") and meta.get("unverified"):
        record.event(
            incident_id,
            "verified again",
            "what could not be read before was read",
            target=where["id"],
        )
        record.note(incident_id, unverified="")
    [target] = [one for one in targets if (one["kind"], one["id"]) == (where["kind"], where["id"])]
    status = Status(target["status"])
    news = recheck.news(meta, target) if where.get("verify_only") else []
    same = bool(where.get("verify_only")) and meta.get("told") == meta["status"] and not news
    # a check that finds nothing new leaves no trace but its time
    if not (same and recheck.is_latest(meta, event["execution"])):
        said = "; ".join(
            [
                target.get("verdict", ""),
                *(notifications.undone(target["breach"])[1:] if news else []),
            ]
        )
        record.event(incident_id, f"verdict {status}", said, target=where["id"])
    if same:
        return {"status": status}  # it still holds: nobody is woken
    shown = Status(meta["status"]) if Status(meta["status"]) is Status.CONTAINMENT_LOST else status
    notifications.publish(
        shown,
        {**meta, "status": shown},
        [target],
        note=recheck.answer(meta, shown),
        escalate=shown in ESCALATE,
    )
    told = (
        sorted({*(meta.get("breach_told") or []), *news})
        if shown is Status.CONTAINMENT_LOST
        else []
    )
    record.note(incident_id, told=shown, told_by=event["execution"], breach_told=told, left_told="")
    return {"status": status}


def _evidence_failed(event: Json) -> Json:
    where = event["target"]
    record = _record()
    record.action(
        event["incident_id"], where["kind"], where["id"], "evidence", "FAILED", event["error"]
    )
    record.event(event["incident_id"], "evidence failed", event["error"], target=where["id"])
    return {}


def _not_handed_over(event: Json) -> Json:
    """Another playbook's part of the incident could not be started: a person must."""
    record, incident_id = _record(), event["incident_id"]
    command = (
        f"aws stepfunctions start-execution --state-machine-arn {event['machine']} "
        f'--input \'{{"finding_key": "{event["finding_key"]}"}}\' --region'
        f" {event['machine'].split(':')[3]}"
    )
    note = f"An incident of its own could not be started ({event['error']}). Start it: {command}"
    record.event(incident_id, "not handed over", note)
    meta, targets, _ = record.read(incident_id)
    notifications.publish("problem", meta, targets, note=note, escalate=True)
    return {}


_NO_RESULT = "verification ended without a result"
_ENDINGS = {
    "dry_run": Event.DRY_RUN,
    "skip": Event.SKIPPED,
    "gone": Event.GONE,
    "rejected": Event.REJECTED,
    "approval_timed_out": Event.APPROVAL_TIMED_OUT,
    "failed": Event.FAILED,
}


def _end(record: IncidentRepository, meta: Json, decision: str, why: str) -> None:
    """An ending other than verdicts. What this or an earlier run has done to a resource is not
    talked away by it.
    """
    incident_id, status, held = meta["incident_id"], Status(meta["status"]), meta.get("held")
    if decision == "failed" and status not in IN_PROGRESS:
        return  # what was verified stands; the failure is told as a problem
    ending = _ENDINGS[decision]
    if held in HELD and decision not in ("gone", "failed"):
        ending, why = (
            HELD[Status(held)],
            f"this time nothing was changed ({decision}); what was done before stands",
        )
    reasons = list(meta.get("reasons") or [])
    try:
        record.transition(
            incident_id, ending, reasons=reasons if not why or why in reasons else [*reasons, why]
        )
    except IllegalTransition as illegal:
        record.event(incident_id, "status kept", str(illegal))


def _finish_targets(
    record: IncidentRepository, incident_id: str, status: Status, why: str, everyone: bool = False
) -> None:
    """Nothing works on the targets any more: those still in progress (or ``everyone``) take
    ``status``.
    """
    for one in record.read(incident_id)[1]:
        if everyone or Status(one["status"]) in IN_PROGRESS:
            record.set_target(incident_id, one["kind"], one["id"], status=status, verdict=why)


def _close(event: Json) -> Json:
    """Final status, report, second message, lease given back. What fails here fails the
    execution, and the watchdog tells.
    """
    record, incident_id, decision, error = (
        _record(),
        event["incident_id"],
        event["decision"],
        event.get("error") or "",
    )
    if quiet := recheck.closed(
        record, record.meta(incident_id), event["execution"], decision, error
    ):
        return quiet
    if error:
        record.event(incident_id, "problem", error)
    if decision in _ENDINGS:
        _end(record, record.meta(incident_id), decision, error)
        status = (
            Status.FAILED if decision == "failed" else Status(record.meta(incident_id)["status"])
        )
        _finish_targets(record, incident_id, status, error, everyone=status is Status.GONE)
        meta, targets, _ = record.read(incident_id)
    else:
        _finish_targets(record, incident_id, Status.FAILED, error or _NO_RESULT)
        meta, targets = _settle(record, incident_id)
    meta = _report(record, meta)
    status = Status(meta["status"])
    untold = meta.get("told") != status
    if untold or error or not meta.get("closed_once"):
        escalate = (status in ESCALATE and (untold or bool(error))) or decision == "failed"
        notifications.publish(
            status if untold else "problem" if error else "closing",
            meta,
            targets,
            note=error,
            escalate=escalate,
        )
    record.note(incident_id, closed_once=True, told=status)
    record.event(
        incident_id, "ended", f"status {status}; report {meta.get('report_key', 'not written')}"
    )
    for target in meta.get("targets") or []:
        record.release(target["arn"], event["execution"])
    return {"status": status}


def _report(record: IncidentRepository, meta: Json) -> Json:
    """Writes the report; its failure is told in the timeline and never hides the verdict."""
    try:
        key = report.write(record, meta["incident_id"])
    except Exception as error:
        record.event(meta["incident_id"], "report failed", f"{type(error).__name__}: {error}")
        return meta
    record.note(meta["incident_id"], report_key=key)
    return {**meta, "report_key": key}


VERBS = {
    "open": _open,
    "notice": _notice,
    "announce": _announce,
    "ask": _ask,
    "verdict": _verdict,
    "evidence_failed": _evidence_failed,
    "not_handed_over": _not_handed_over,
    "close": _close,
}


def _work(event: Json) -> Json:
    verb = VERBS.get(event.get("verb", ""))
    if verb is None:
        raise ResponseError(
            f"the incident function knows no verb {event.get('verb')!r}; it knows"
            f" {', '.join(VERBS)}"
        )
    return verb(event)


handler = runtime.entry(_work)

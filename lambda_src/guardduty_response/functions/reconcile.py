"""The watchdog: nothing ends in silence. It hears of machines that died, sweeps records nobody
works on any more, and takes up events that EventBridge could not deliver. Each is recorded,
announced and escalated; it can act on no resource. It also starts the checks of containment that
stands (watch.py).
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.decision import configuration, finding, policy
from guardduty_response.errors import MalformedFinding, NotAFinding, ResponseError
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions import runtime
from guardduty_response.incident import notifications
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import IN_PROGRESS, Event, OnFinding, Status
from guardduty_response.monitoring import schedule

Json = dict[str, Any]

STALE_MINUTES = 10
_CHANGE = "AWS API Call via CloudTrail"


def _record() -> IncidentRepository:
    return IncidentRepository(os.environ["GDR_TABLE"])


def _loads(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None


def _bare_meta(event: Any, execution: str, why: str) -> Json:
    """META for an incident that never got a record of its own: whatever the event still tells."""
    detail = finding.get(event, "detail")
    try:
        seen = finding.parse(event)
        incident_id, severity = seen.incident_id, seen.severity
    except (NotAFinding, MalformedFinding):
        incident_id, severity = finding.incident_id(finding.canonical(event)), 0.0
    return {
        "incident_id": incident_id,
        "finding_id": finding.text(finding.get(detail, "id")),
        "finding_type": finding.text(finding.get(detail, "type")) or "unreadable",
        "severity": severity,
        "account_id": finding.text(
            finding.get(detail, "accountId") or finding.get(event, "account")
        ),
        "region": finding.text(finding.get(detail, "region") or finding.get(event, "region")),
        "title": finding.text(finding.get(detail, "title"), 500) or why[:500],
        "resource_type": "",
        "sample": False,
        "mode": "notify",
        "reasons": [why],
        "playbook": "",
        "execution": execution,
        "config_sha256": "",
    }


def _fail(record: IncidentRepository, incident_id: str, why: str) -> None:
    """The incident's execution is dead: FAILED if it was in progress, else the status stands; told
    and escalated either way, once per execution. Told before the status moves: what fails on the
    way is found again by the next sweep.
    """
    meta, targets, _ = record.read(incident_id)
    if meta.get("death_told") == meta["execution"]:
        return
    died = Status(meta["status"]) in IN_PROGRESS
    for target in targets:
        if Status(target["status"]) in IN_PROGRESS:
            target |= {"status": Status.FAILED, "verdict": why}
            record.set_target(
                incident_id, target["kind"], target["id"], status=Status.FAILED, verdict=why
            )
    record.event(incident_id, "machine died" if died else "machine ended", why, actor="watchdog")
    shown = Status.FAILED if died else Status(meta["status"])
    notifications.publish(
        shown if died else "problem", {**meta, "status": shown}, targets, note=why, escalate=True
    )
    if died:
        record.transition(incident_id, Event.DIED, reasons=[*(meta.get("reasons") or []), why])
    record.note(incident_id, death_told=meta["execution"])


def _lost(event: Any, execution: str, why: str) -> None:
    """An event that no execution works on: opens its incident, if it has none, keeps the event,
    tells people.
    """
    meta = _bare_meta(event, execution, why)
    record, incident_id = _record(), meta["incident_id"]
    meta["finding_key"] = evidence_store.put_event(incident_id, event)["key"]
    if record.open(meta, only_new=True).outcome is OnFinding.START:
        _fail(record, incident_id, why)
        return
    # whatever the incident is at, it goes on
    record.event(incident_id, "emission lost", why, actor="watchdog")
    known, targets, _ = record.read(incident_id)
    notifications.publish("problem", known, targets, note=why, escalate=True)


# -- a machine ended without a verdict -------------------------------------------------------------


def _ended(detail: Json) -> Json:
    arn, status = detail["executionArn"], detail["status"]
    text, cause = detail.get("input"), detail.get("cause")
    if not text or not cause:
        try:
            described = clients.client("stepfunctions").describe_execution(executionArn=arn)
            text, cause = text or described.get("input"), cause or described.get("cause")
        except ClientError as error:
            runtime.log("cannot describe execution", execution=arn, detail=str(error)[:300])
    event = _loads(text)
    key = finding.get(event, "finding_key")
    if isinstance(key, str):
        try:
            event = evidence_store.get_event(key)
        except (ClientError, MalformedFinding) as error:
            if is_transient(error):
                raise
            runtime.log("cannot read the finding", execution=arn, detail=str(error)[:300])
    name = arn.split(":")[-2]
    why = (
        f"state machine {name} ended {status}: {str(cause or 'no cause given')[:800]}. Execution"
        f" {arn}"
    )
    record = _record()
    checked = finding.text(finding.get(event, "watch", "incident_id"))
    incident_id = checked or _bare_meta(event, arn, why)["incident_id"]
    try:
        owner = record.meta(incident_id)["execution"]
    except ResponseError:
        owner = ""
    if owner == arn:
        _fail(record, incident_id, why)
    elif checked:
        if owner:  # else somebody named an incident that does not exist: nothing is lost
            schedule.died(record, incident_id, why)
    elif _answers(event, name):
        _lost(event, arn, why)
    else:
        runtime.log(
            "died without work: the other machine answers this finding",
            execution=arn,
            detail=why[:300],
        )
    return {"incident_id": incident_id}


def _answers(event: Any, machine: str) -> bool:
    """True unless the policy leaves the finding to the other machine: a death there loses
    nothing.
    """
    try:
        return _machine(event).rsplit(":", 1)[-1] == machine
    except ResponseError:
        return True


# -- records nobody works on -----------------------------------------------------------------------


def _sweep(now: datetime | None = None) -> Json:
    """Fails every in-progress incident whose execution no longer runs, and tells of containment
    that nothing watches any more. Returns {"failed": [incident ids], "unwatched": [incident ids]}.
    """
    record, failed, problems, unwatched = _record(), [], [], []
    before = (now or datetime.now(UTC)) - timedelta(
        minutes=float(os.environ.get("GDR_STALE_MINUTES", STALE_MINUTES))
    )
    for meta in record.stale(before.isoformat(timespec="microseconds").replace("+00:00", "Z")):
        try:
            status = _execution_status(meta["execution"])
            if status != "RUNNING":
                _fail(
                    record,
                    meta["incident_id"],
                    f"the incident stayed {meta['status']} though its execution is {status}",
                )
                failed.append(meta["incident_id"])
        except Exception as error:
            # one broken record must not keep the others waiting; the next sweep finds it again
            runtime.log(
                "sweep failed",
                incident_id=meta["incident_id"],
                detail=f"{type(error).__name__}: {error}"[:500],
            )
            problems.append(error)
    try:
        unwatched = schedule.unwatched(record)
    except Exception as error:
        runtime.log("sweep failed", detail=f"{type(error).__name__}: {error}"[:500])
        problems.append(error)
    if problems:
        raise problems[0]
    return {"failed": failed, "unwatched": unwatched}


def _execution_status(arn: str) -> str:
    if not arn:
        return "GONE"
    try:
        return str(clients.client("stepfunctions").describe_execution(executionArn=arn)["status"])
    except ClientError as error:
        if error_code(error) != "ExecutionDoesNotExist":
            raise
        return "GONE"


# -- what could not be delivered -------------------------------------------------------------------


def _machine(event: Any) -> str:
    try:
        seen, settings = finding.parse(event), configuration.load()
    except (NotAFinding, MalformedFinding):
        return os.environ["GDR_NOTICE_MACHINE_ARN"]
    playbook, why = finding.playbook_for(seen)
    mode = policy.decide(settings, seen.type, seen.account_id, seen.severity, playbook, why).mode
    return os.environ[
        "GDR_INCIDENT_MACHINE_ARN" if mode in policy.ACTING else "GDR_NOTICE_MACHINE_ARN"
    ]


def _redeliver(event: Any, why: str) -> None:
    """Stores the event and starts the right machine with a pointer to it (also when it is larger
    than an input may be).
    """
    incident_id = _bare_meta(event, "", why)["incident_id"]
    key = evidence_store.put_event(incident_id, event)["key"]
    name = f"{incident_id}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    machine = _machine(event)
    try:
        clients.client("stepfunctions").start_execution(
            stateMachineArn=machine, name=name, input=json.dumps({"finding_key": key})
        )
    except ClientError as error:
        if error_code(error) == "ExecutionAlreadyExists":
            return  # a second delivery of the same message
        raise


def _undelivered(message_: Json) -> None:
    """One message of the ``undelivered`` queue. What cannot be redelivered is told, escalated
    and kept in ``dead-letters``.
    """
    body = _loads(message_.get("body"))
    attributes = {
        k: v.get("stringValue") for k, v in (message_.get("messageAttributes") or {}).items()
    }
    why = (
        f"EventBridge could not deliver it: {attributes.get('ERROR_CODE')}"
        f" {attributes.get('ERROR_MESSAGE') or ''}".strip()
    )
    if finding.get(body, "source") == "aws.states":
        _ended(body["detail"])
        return
    if finding.get(body, "detail-type") == _CHANGE:
        schedule.changed(_record(), body)
        return
    try:
        _redeliver(body, why)
    except Exception as error:
        reason = f"{why}; starting the response again failed too: {type(error).__name__}: {error}"
        runtime.log("undelivered", detail=reason[:500])
        _bury(message_.get("body") or "{}", body, reason)
        _lost(body, "", reason)


def _bury(text: str, event: Any, reason: str) -> None:
    """Into ``dead-letters``; an event too large for a message of it goes as a pointer to where
    it is stored.
    """

    def send(content: str) -> None:
        clients.client("sqs").send_message(
            QueueUrl=os.environ["GDR_DEAD_LETTERS_URL"],
            MessageBody=content,
            MessageAttributes={"REASON": {"DataType": "String", "StringValue": reason[:900]}},
        )

    try:
        send(text)
    except ClientError as error:
        if error_code(error) != "InvalidParameterValue":
            raise
        incident_id = _bare_meta(event, "", reason)["incident_id"]
        send(json.dumps({"finding_key": evidence_store.put_event(incident_id, event)["key"]}))


def _batch(records: list[Json]) -> Json:
    failures = []
    for one in records:
        try:
            _undelivered(one)
        except Exception as error:
            # the message returns to the queue and, after three tries, goes to dead-letters
            runtime.log("undelivered message kept", detail=f"{type(error).__name__}: {error}"[:500])
            failures.append({"itemIdentifier": one["messageId"]})
    return {"batchItemFailures": failures}


def _work(event: Json) -> Json:
    if "Records" in event:
        return _batch(event["Records"])
    if event.get("source") == "aws.states":
        return _ended(event["detail"])
    if event.get("source") == "guardduty-response.sweeper":
        return _sweep()
    if event.get("source") == "guardduty-response.watch":
        return schedule.scheduled(_record(), event)
    if event.get("detail-type") == _CHANGE:
        return schedule.changed(_record(), event)
    raise ResponseError(f"the watchdog does not know this event: source {event.get('source')!r}")


handler = runtime.entry(_work)

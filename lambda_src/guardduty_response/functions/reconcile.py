"""The watchdog function: makes sure that no finding and no incident ends in silence.

It is told of failed executions, looks for incidents that no execution works on, and takes up events
that EventBridge could not deliver. Each is recorded and escalated; it can act on no resource. It
also has contained resources checked (monitoring/dispatch.py, monitoring/changes.py), and sends
messages that wait (incident/outbox/waiting.py).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

from guardduty_response.aws.log import log, metric
from guardduty_response.decision import finding
from guardduty_response.errors import ResponseError
from guardduty_response.functions import failed_executions, redelivery, runtime, stale
from guardduty_response.functions.runtime import Answer, Payload
from guardduty_response.incident.moments import iso
from guardduty_response.incident.outbox import subscriptions, waiting
from guardduty_response.incident.repository import (
    TAKEN_OVER_KEY,
    IncidentRepository,
    old_references,
)
from guardduty_response.monitoring import changes, dispatch, expiry, schedule, upkeep

if TYPE_CHECKING:
    from guardduty_response.functions.events import QueueMessage
    from guardduty_response.incident.model import IndexedIncident

STALE_MINUTES = 10
_API_CALL = "AWS API Call via CloudTrail"


class Reconciled(TypedDict):
    """Declares which incidents failed, and which are no longer monitored (their IDs)."""

    failed: list[str]
    unwatched: list[str]


class Delivery(waiting.Delivered):
    """Declares what was sent, and what is wrong with the topics' subscriptions."""

    problems: list[str]


class FailedMessage(TypedDict):
    """Names a queue message to deliver again (Lambda, ReportBatchItemFailures)."""

    itemIdentifier: str


class BatchAnswer(TypedDict):
    """Declares the answer to a batch of queue messages."""

    batchItemFailures: list[FailedMessage]


def _record() -> IncidentRepository:
    return IncidentRepository(os.environ["GDR_TABLE"])


def _reconcile(now: datetime | None = None) -> Reconciled:
    """Fails incidents in progress whose execution ended; notifies of unmonitored containment."""
    record = _record()
    unmonitored: list[str] = []
    errors: list[Exception] = []
    try:  # first: a storm of incidents that wait does not keep it from being looked at
        unmonitored = _look_after_monitored(record)
    except Exception as error:
        _log_failure("reconciling failed", error)
        errors.append(error)
    minutes = float(os.environ.get("GDR_STALE_MINUTES", STALE_MINUTES))
    before = (now or datetime.now(UTC)) - timedelta(minutes=minutes)
    failed, stale_errors = stale.fail_ended(record, record.stale(iso(before)))
    errors += stale_errors
    try:
        expiry.dispatch(record)
    except Exception as error:
        _log_failure("reconciling failed", error)
        errors.append(error)
    if errors:
        raise errors[0]
    return {"failed": failed, "unwatched": unmonitored}


def _deliver() -> Delivery:
    """Sends messages that wait, and looks at who is subscribed to the topics."""
    table = _record().table
    problems: list[str] = []
    try:
        problems = subscriptions.look(table)
    except Exception as error:  # messages are sent all the same
        _log_failure("subscriptions not looked at", error)
        metric("TopicsWithoutSubscribers", 1, topic="unknown")
    return {**waiting.send_waiting(table), "problems": problems}


def _look_after_monitored(record: IncidentRepository) -> list[str]:
    """Takes up containments that are not monitored yet, and notifies of what cannot be.

    Looks at all monitored incidents where the configuration is a new one, and every few hours; else
    at those that changed lately. Returns the incidents of which people were notified.
    """
    sha256 = os.environ["GDR_CONFIG_SHA256"]
    is_time = upkeep.must_look_at_all(record, sha256)
    look_at_all = is_time or not record.table.get(*TAKEN_OVER_KEY)
    metas = record.watched() if look_at_all else record.watched(upkeep.lately())
    if _take_over_old(record, metas):
        metas = record.watched()
    for incident_id in upkeep.take_up(record, metas):
        log("monitoring begun", incident_id=incident_id)
    unmonitored = schedule.notify_unmonitored(record, metas)
    if is_time:
        upkeep.note_look(record, sha256)
    return unmonitored


def _take_over_old(record: IncidentRepository, metas: list[IndexedIncident]) -> list[str]:
    """Moves what releases before 0.2 stored of changed resources into containments.

    A new finding on such a resource then joins its containment, and finds its prior state.
    Returns the incidents.
    """
    taken = [
        meta["incident_id"]
        for meta in metas
        if old_references(meta) and record.take_over_old(meta["incident_id"])
    ]
    taken += record.take_over_ended()
    for incident_id in taken:
        detail = "its containment has a record of its own now"
        record.event(incident_id, "taken over", detail, actor="watchdog")
    return taken


def _log_failure(message: str, error: Exception, **fields: str) -> None:
    log(message, **fields, detail=f"{type(error).__name__}: {error}"[:500])


def _check_due() -> Answer:
    """Has contained resources checked that are due."""
    if dispatch.has_functions():
        return dispatch.dispatch(_record())
    return schedule.start_scheduled(_record())


def _check_changed(event: Payload) -> Answer:
    """Has contained resources checked that an API call names."""
    if dispatch.has_functions():
        return changes.check(_record(), event)
    return schedule.start_on_change(_record(), event)


def _take_up(message: QueueMessage) -> None:
    """Takes up a message of the ``undelivered`` queue."""
    event = finding.parse_json(message.get("body"))
    if finding.get(event, "source") == "aws.states":
        failed_executions.handle(_record(), event["detail"])
    elif finding.get(event, "detail-type") == _API_CALL:
        _check_changed(event)
    else:
        redelivery.redeliver(_record(), message, event)


def _batch(messages: list[QueueMessage]) -> BatchAnswer:
    failures: list[FailedMessage] = []
    for message in messages:
        try:
            _take_up(message)
        except Exception as error:
            # The message returns to the queue and, after three tries, goes to dead-letters.
            _log_failure("undelivered message kept", error)
            failures.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failures}


def _run(event: Payload) -> Answer:
    if "Records" in event:
        return _batch(event["Records"])
    if event.get("source") == "aws.states":
        return failed_executions.handle(_record(), event["detail"])
    if event.get("source") == "guardduty-response.sweeper":
        return _reconcile()
    if event.get("source") == "guardduty-response.outbox":
        return _deliver()
    if event.get("source") == "guardduty-response.watch":
        return _check_due()
    if event.get("detail-type") == _API_CALL:
        return _check_changed(event)
    raise ResponseError(f"the watchdog does not know this event: source {event.get('source')!r}")


handler = runtime.entry(_run)

"""Derives an incident's status from what its targets, or its execution, have come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from guardduty_response.aws import clients
from guardduty_response.errors import IllegalTransition, ResponseError
from guardduty_response.incident.containments import ENDED
from guardduty_response.incident.incident_links import Reading
from guardduty_response.incident.moments import now
from guardduty_response.incident.outbox.history import History
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import (
    EARLIER_CONTAINMENT,
    IN_PROGRESS,
    WATCHED,
    Event,
    Status,
    combine,
)
from guardduty_response.incident.target_repository import is_planned, place_of

if TYPE_CHECKING:
    from concurrent.futures import Future

    from guardduty_response.incident.containment import Containment
    from guardduty_response.incident.model import IncidentRecord, TargetRecord
    from guardduty_response.incident.repository import WholeIncident

NO_RESULT = "verification ended without a result"

# How an execution ends other than by verdicts: its decision -> what happens to the incident.
ENDINGS = {
    "dry_run": Event.DRY_RUN,
    "skip": Event.SKIPPED,
    "gone": Event.GONE,
    "rejected": Event.REJECTED,
    "approval_timed_out": Event.APPROVAL_TIMED_OUT,
    "failed": Event.FAILED,
}
_VERDICTS = {
    Status.CONTAINED: Event.CONTAINED,
    Status.PARTIAL: Event.PARTIAL,
    Status.GONE: Event.GONE,
    Status.RESTORED: Event.RESTORED,
    Status.RESTORE_PARTIAL: Event.RESTORE_PARTIAL,
    Status.CONTAINMENT_LOST: Event.CONTAINMENT_LOST,
}
# A verdict that means a loss when the incident had the status on the left.
_LOSSES = {
    Status.CONTAINED: (Status.FAILED, Status.PARTIAL),
    Status.CONTAINMENT_LOST: (Status.FAILED,),
}


def _event_of(verdict: Status, status: Status) -> Event:
    if verdict in _LOSSES.get(status, ()):
        return Event.CONTAINMENT_LOST
    return _VERDICTS.get(verdict, Event.FAILED)


class Settled(NamedTuple):
    """Holds an incident after ``settle``, and what people were told before.

    ``reading``: its parent and children are read meanwhile.
    """

    meta: IncidentRecord
    targets: list[TargetRecord]
    history: History
    reading: Reading


def settle(
    record: IncidentRepository, incident_id: str, known: WholeIncident | None = None
) -> Settled:
    """Derives the incident's status from its targets once none is in progress, and stores it.

    A target of an earlier plan counts until its containment has ended. ``known``: the incident as
    it was read a moment ago, for who has read it.
    """
    meta, targets, _, history, _ = known or record.read_whole(incident_id)
    reading = Reading(record, meta)
    counted = [target for target in targets if is_planned(meta, target) or not _has_ended(target)]
    statuses = [Status(target["status"]) for target in counted or targets]
    if not any(status in IN_PROGRESS for status in statuses):
        combined, present = combine(statuses), Status(meta["status"])
        if combined is present and combined not in WATCHED:
            return Settled(meta, targets, history, reading)  # told of a restore again, say
        event = _event_of(combined, present)
        try:
            meta["status"] = record.transition(incident_id, event, present)
        except IllegalTransition as error:
            record.event(incident_id, "status kept", str(error))
    return Settled(meta, targets, history, reading)


def _has_ended(target: TargetRecord) -> bool:
    """Tells whether a restore has ended the target's containment."""
    return bool(target.get("restored")) or Status(target["status"]) in ENDED


def is_monitored(record: IncidentRepository, incident_id: str) -> bool:
    """Tells whether an incident is monitored, or will be once it has its verdict."""
    try:
        return Status(record.meta(incident_id)["status"]) in WATCHED | IN_PROGRESS
    except ResponseError:  # somebody has deleted that record
        return False


def begin_reading(record: IncidentRepository, target: TargetRecord) -> Future[Containment] | None:
    """Begins to read a target's containment, for ``settle_linked``; None: it has none."""
    place = place_of(target)
    return clients.POOL.submit(record.containments.read, *place) if place else None


def settle_linked(
    record: IncidentRepository,
    incident_id: str,
    target: TargetRecord,
    why: str,
    reading: Future[Containment] | None = None,
) -> list[str]:
    """Makes every other incident of a containment take the status that it has now.

    Returns those that have it. Each timeline says ``why``; an incident in progress comes to its own
    verdict. ``reading``: of the containment, for who has begun it.
    """
    place = place_of(target)
    if place is None:
        return []
    settled = []
    containment = reading.result() if reading else record.containments.read(*place)
    for link in containment.open_links:
        other = link["incident_id"]
        if other == incident_id:
            continue
        try:
            if _follow(record, other, target, why):
                settled.append(other)
        except ResponseError as error:  # the others are told all the same
            record.event(incident_id, "linked incident not told", f"{other}: {error}")
    return settled


def _follow(record: IncidentRepository, incident_id: str, target: TargetRecord, why: str) -> bool:
    before = Status(record.meta(incident_id)["status"])
    if before in IN_PROGRESS:
        return False
    record.follow_containment(incident_id, target)
    if Status(settle(record, incident_id).meta["status"]) is not before:
        record.event(incident_id, "containment changed", why, target=target["id"])
    return True


def end(record: IncidentRepository, meta: IncidentRecord, decision: str, why: str) -> None:
    """Ends an incident other than by verdicts.

    What this or an earlier run has changed on a resource still counts: the status keeps saying so.
    """
    incident_id, status = meta["incident_id"], Status(meta["status"])
    if decision == "failed" and status not in IN_PROGRESS:
        return  # what was verified stands; the failure is reported as a problem
    event = ENDINGS[decision]
    earlier = meta.get("held")
    if decision == "failed":
        event = kept_by(meta) or event
    elif earlier in EARLIER_CONTAINMENT and decision != "gone":
        event = EARLIER_CONTAINMENT[Status(earlier)]
        why = f"this time nothing was changed ({decision}); what was done before stands"
    reasons = list(meta.get("reasons") or [])
    if why and why not in reasons:
        reasons.append(why)
    refused: IncidentRecord = {}
    if decision in ("rejected", "approval_timed_out"):
        refused = {"refused_at": now()}  # its status may say what stands of earlier runs
    try:
        record.transition(incident_id, event, reasons=reasons, **refused)
    except IllegalTransition as error:
        record.event(incident_id, "status kept", str(error))


def kept_by(meta: IncidentRecord) -> Event | None:
    """Returns the event by which a run that fails keeps what was verified before it, or None.

    Only a status that is monitored is kept: the failure is told as a problem, and somebody who
    undoes the earlier containment is still seen.
    """
    again = meta.get("contained_again") or ""
    earlier = meta.get("held") or ""
    if again and again == meta.get("execution"):
        earlier = Status.CONTAINMENT_LOST
    return EARLIER_CONTAINMENT.get(Status(earlier)) if earlier in WATCHED else None


def keeps_earlier(meta: IncidentRecord) -> bool:
    """Tells whether an incident has a monitored status that a failed run may have left."""
    return Status(meta["status"]) in WATCHED and kept_by(meta) is not None


def end_without_verdict(
    record: IncidentRepository, meta: IncidentRecord, target: TargetRecord, why: str
) -> Status:
    """Ends a target in progress for which a run has failed; returns the status that it has now.

    It is FAILED, unless an earlier run's containment stands: then that counts.
    """
    incident_id, place = meta["incident_id"], place_of(target)
    state = record.containments.state(*place) if place and kept_by(meta) else None
    if state and Status(state["status"]) in WATCHED:
        record.follow_containment(incident_id, target)
        return Status(state["status"])
    record.end_target(incident_id, target, Status.FAILED, why)
    return Status.FAILED


def finish_targets(
    record: IncidentRepository,
    incident_id: str,
    status: Status,
    why: str,
    include_ended: bool = False,
) -> bool:
    """Gives ``status`` to targets in progress: nothing works on them any more.

    ``include_ended``: to all targets. Returns whether one keeps what an earlier run verified
    instead of FAILED.
    """
    meta, targets = record.meta_and_targets(incident_id)
    kept = False
    for target in targets:
        if not include_ended and Status(target["status"]) not in IN_PROGRESS:
            continue
        if status is Status.FAILED:
            kept |= end_without_verdict(record, meta, target, why) is not Status.FAILED
        else:
            record.end_target(incident_id, target, status, why)
    return kept

"""Closes an incident, for the restore function: nobody watches for it any more."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from guardduty_response.functions.requests import (
    Refused,
    RestoreAnswer,
    acquire_leases,
    answer,
    children_left,
    notify,
    notify_if_untold,
)
from guardduty_response.incident import outcome
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import IN_PROGRESS, Event, Status
from guardduty_response.incident.target_repository import place_of
from guardduty_response.monitoring import upkeep

if TYPE_CHECKING:
    from guardduty_response.incident.model import TargetRecord

_STILL_CONTAINED = frozenset(
    {
        Status.CONTAINED,
        Status.PARTIAL,
        Status.CONTAINMENT_LOST,
        Status.FAILED,
        Status.RESTORE_PARTIAL,
    }
)
# Prior states of the controls that deny sessions on roles, and what becomes of these denials.
_SESSIONS = frozenset({"sessions", "held_sessions"})
_DENIALS = (
    "what denies sessions on roles leaves them once these are over: 12 hours after the denial, and"
    " for the sessions of an instance itself 12 hours after the instance was seen to be gone"
)


def close(
    record: IncidentRepository, incident_id: str, requester: str, reason: str | None
) -> RestoreAnswer:
    """Closes an incident. ``reason``: why its resources stay contained; None: they need not.

    Monitoring of a containment ends with its last incident.
    """
    meta, targets = record.meta_and_targets(incident_id)
    status = Status(meta["status"])
    owner = f"close-{incident_id}-{secrets.token_hex(4)}"
    if status is Status.CLOSED:
        _release_links(record, incident_id, targets, reason or f"closed by {requester}")
        notify_if_untold(record, meta, targets, f"{requester}. It was closed before", owner)
        return answer(meta, [], left=children_left(record, meta))
    if status in IN_PROGRESS:
        raise Refused(
            f"incident {incident_id} is {status}: it cannot be closed while it is at work. Wait"
            " until it has ended."
        )
    try:
        acquire_leases(
            record,
            incident_id,
            targets,
            owner,
        )
        others = {target["id"]: _other_incidents(record, incident_id, target) for target in targets}
        if _leaves_changes(status, targets) and reason is None and not all(others.values()):
            raise Refused(_why_not_closed(incident_id, status))
        meta["status"] = record.transition(incident_id, Event.CLOSED)
        _release_links(record, incident_id, targets, reason or f"closed by {requester}")
    finally:
        record.leases.release_all(targets, owner)
    note = f"{requester}. It was {status}{_what_stays(status, targets, others, reason)}"
    record.event(incident_id, "closed", f"by {note}", actor=requester)
    notify(
        record,
        meta,
        targets,
        note,
        owner,
    )
    return answer(meta, [], left=children_left(record, meta, requester))


def _release_links(
    record: IncidentRepository, incident_id: str, targets: list[TargetRecord], why: str
) -> None:
    """Ends the incident's interest in its containments, and monitoring with the last interest.

    Safe to repeat.
    """
    for place in filter(None, map(place_of, targets)):
        record.containments.release_link(*place, incident_id, why)
        upkeep.end_unless_monitored(record, place)


def _leaves_changes(status: Status, targets: list[TargetRecord]) -> bool:
    """Tells whether something that containment changed is still so."""
    changed = any(target.get("before") for target in targets)
    return changed and status in _STILL_CONTAINED


def _other_incidents(
    record: IncidentRepository, incident_id: str, target: TargetRecord
) -> list[str]:
    """Returns the other incidents for which the target's containment is monitored, or will be."""
    place = place_of(target)
    if place is None:
        return []
    links = record.containments.read(*place).open_links
    others = [link["incident_id"] for link in links if link["incident_id"] != incident_id]
    return [other for other in others if outcome.is_monitored(record, other)]


def _why_not_closed(incident_id: str, status: Status) -> str:
    return (
        f"incident {incident_id} is {status}, and no other incident watches what it contained."
        " Restore it, or close it with keep_contained and a reason:"
        f' {{"incident_id": "{incident_id}", "close": true, "keep_contained": true, "reason":'
        ' "why it stays contained"}'
    )


def _what_stays(
    status: Status,
    targets: list[TargetRecord],
    others: dict[str, list[str]],
    reason: str | None,
) -> str:
    """Says what closing leaves behind."""
    if status is Status.GONE and any(target.get("before") for target in targets):
        return f"; {_DENIALS}, and this incident cannot be restored any more"
    if not _leaves_changes(status, targets):
        return ""
    watched = sorted({other for named in others.values() for other in named})
    if watched and all(others.values()):
        return f"; what is contained is watched for {', '.join(watched)}"
    denied = any(map(_denies_sessions, targets))
    return (
        "; what containment changed stays as it is and is no longer monitored, and this incident"
        f" cannot be restored any more (reason: {reason}){f'; {_DENIALS}' if denied else ''}"
    )


def _denies_sessions(target: TargetRecord) -> bool:
    return any(item.split("/")[0] in _SESSIONS for item in target.get("before") or {})

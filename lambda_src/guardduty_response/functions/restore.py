"""The restore function: a person undoes a containment, or closes an incident.

Nothing else starts it. Event: ``{"incident_id": "inc-…", "requested_by": "who asks", "close":
false, "keep_contained": false, "reason": ""}``. Answer: ``{"incident_id", "status", "restored",
"not_restored", "refused"}``, lists of sentences; ``refused`` says why nothing was done.
"""

from __future__ import annotations

import os
import secrets
from functools import partial
from typing import TypedDict, cast

from guardduty_response.aws.log import log
from guardduty_response.containment.contract import (
    Context,
    RestoreResult,
    Target,
    load_restorer,
    member_session,
)
from guardduty_response.containment.gate import LEASE_SECONDS, Gate
from guardduty_response.decision import configuration, finding
from guardduty_response.errors import IllegalTransition, ResponseError
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions import runtime
from guardduty_response.functions.runtime import Payload
from guardduty_response.incident import notifications, outcome, report
from guardduty_response.incident.model import IncidentRecord, RestoreRecord, TargetRecord
from guardduty_response.incident.moments import now
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import ESCALATE, IN_PROGRESS, TRANSITIONS, Event, Status
from guardduty_response.incident.target_repository import place_of

_TIMELINE_EVENTS = {
    Status.RESTORED: "restored",
    Status.RESTORE_PARTIAL: "restored in part",
    Status.GONE: "gone",
}
_STILL_CONTAINED = frozenset(
    {
        Status.CONTAINED,
        Status.PARTIAL,
        Status.CONTAINMENT_LOST,
        Status.FAILED,
        Status.RESTORE_PARTIAL,
    }
)


class RestoreAnswer(TypedDict):
    """Declares the function's answer."""

    incident_id: str
    status: str
    restored: list[str]
    not_restored: list[str]
    refused: str


class Refused(ResponseError):
    """The incident is not in a state for this. Nothing was changed."""


def _requester(event: Payload) -> str:
    return finding.text(event.get("requested_by"), 200) or "somebody who did not say who they are"


def _reason_to_keep(event: Payload) -> str | None:
    """Returns why resources stay contained after closing, or None. Raises ResponseError."""
    if event.get("keep_contained") is not True:
        return None
    reason = finding.text(event.get("reason"), 500)
    if not reason:
        raise ResponseError(
            "keep_contained needs a reason, because nobody watches the containment any more:"
            ' {"close": true, "keep_contained": true, "reason": "…"}'
        )
    return reason


# -- one execution at a time -----------------------------------------------------------------------


def _acquire_leases(
    record: IncidentRepository, incident_id: str, targets: list[TargetRecord], owner: str
) -> None:
    """Takes the lease on every target.

    Raises Refused when somebody else has one; ``_release_leases`` then releases what was taken.
    """
    for target in targets:
        lease = record.leases.claim(target["arn"], owner, incident_id, LEASE_SECONDS)
        if lease:
            raise Refused(
                f"{target['id']} is being worked on by {lease['owner']} (incident"
                f" {lease['incident_id']}): nothing was changed. Wait until it has ended, then ask"
                " again."
            )


def _release_leases(record: IncidentRepository, targets: list[TargetRecord], owner: str) -> None:
    for target in targets:
        record.leases.release(target["arn"], owner)


# -- restore ---------------------------------------------------------------------------------------


def _context(record: IncidentRepository, incident_id: str, owner: str, target: Target) -> Context:
    """Returns what a restore may use: the gate checks the lease and the generation alone."""
    config = configuration.load()
    gate = Gate(
        record=record,
        config=config,
        incident_id=incident_id,
        execution=owner,
        target=target.reference(),
        meta=lambda: record.meta(incident_id),
        purpose="restore",
    )
    return Context(
        config=config,
        options=config.playbooks[os.environ["GDR_PLAYBOOK"]],
        finding=cast(finding.Finding, None),
        incident_id=incident_id,
        execution=owner,
        record=record,
        assume=partial(member_session, config.partition, f"{incident_id}-restore", gate=gate),
        put_evidence=partial(evidence_store.put, incident_id),
        gate=gate,
    )


def _check_restorable(meta: IncidentRecord) -> None:
    """Raises Refused when the incident is not in a state to be restored."""
    incident_id, status = meta["incident_id"], Status(meta["status"])
    playbook = os.environ["GDR_PLAYBOOK"]
    if meta.get("playbook") != playbook:
        raise Refused(
            f"incident {incident_id} is not one of playbook {playbook}, which this function"
            " restores"
        )
    if status in IN_PROGRESS:
        raise Refused(
            f"incident {incident_id} is {status}: it is still at work. Wait until it has ended,"
            " then ask again."
        )
    if Event.RESTORED not in TRANSITIONS[status]:
        raise Refused(f"incident {incident_id} is {status}: there is nothing in it to restore")


def _restore_target(
    record: IncidentRepository, incident_id: str, owner: str, stored: TargetRecord, requester: str
) -> TargetRecord:
    """Restores a target, records what was verified, and returns its record."""
    target = Target(
        stored["kind"],
        stored["id"],
        stored["arn"],
        stored["account_id"],
        stored["region"],
        generation=int(stored.get("generation") or 0),
        opened_by=stored.get("opened_by", ""),
    )
    context = _context(record, incident_id, owner, target)
    result = load_restorer(os.environ["GDR_PLAYBOOK"]).restore(context, target)
    restored: RestoreRecord = {
        "at": now(),
        "by": requester,
        "done": result.done,
        "restored": result.restored,
        "not_restored": result.not_restored,
    }
    record.set_target(
        incident_id,
        target.kind,
        target.id,
        status=result.status,
        verdict=_verdict(result, requester),
        still_contained=result.still_contained,
        checks=[check.record() for check in result.checks],
        restored=restored,
        place=target.place,
    )
    sentences = [*result.restored, *(f"NOT restored: {text}" for text in result.not_restored)]
    name = _TIMELINE_EVENTS[result.status]
    record.event(incident_id, name, "; ".join(sentences), target.id, requester)
    return record.target(incident_id, target.kind, target.id)


def _verdict(result: RestoreResult, requester: str) -> str:
    return (
        f"{len(result.restored)} settings restored, {len(result.not_restored)} not restored;"
        f" requested by {requester}"
    )


def _settle(
    record: IncidentRepository, meta: IncidentRecord, targets: list[TargetRecord]
) -> Status:
    """Sets the incident's status: all targets restored, all gone, or in part."""
    incident_id = meta["incident_id"]
    statuses = {Status(target["status"]) for target in targets}
    event = Event.RESTORE_PARTIAL
    if statuses == {Status.GONE}:
        event = Event.GONE
    elif statuses <= {Status.RESTORED, Status.GONE}:
        event = Event.RESTORED
    try:
        return record.transition(incident_id, event)
    except IllegalTransition as error:
        if event is not Event.RESTORE_PARTIAL:  # in part, once more: the status stands
            record.event(incident_id, "status kept", str(error))
        return Status(record.meta(incident_id)["status"])


def _answer(meta: IncidentRecord, targets: list[TargetRecord], refused: str = "") -> RestoreAnswer:
    restored: list[str] = []
    not_restored: list[str] = []
    for target in targets:
        latest: RestoreRecord = target.get("restored") or {}
        restored += latest.get("restored", [])
        not_restored += latest.get("not_restored", [])
    return {
        "incident_id": meta["incident_id"],
        "status": meta["status"],
        "restored": restored,
        "not_restored": not_restored,
        "refused": refused,
    }


def _restore(record: IncidentRepository, incident_id: str, requester: str) -> RestoreAnswer:
    meta, targets, _ = record.read(incident_id)
    if meta["status"] == Status.RESTORED:
        # A second time: what has happened to the resource since is not this incident's.
        return _answer(meta, targets)
    _check_restorable(meta)
    owner = f"restore-{incident_id}-{secrets.token_hex(4)}"
    try:
        _acquire_leases(record, incident_id, targets, owner)
        # The finding may have recurred before the lease was ours.
        _check_restorable(record.meta(incident_id))
        record.event(incident_id, "restore asked", f"by {requester}", actor=requester)
        restored = [
            _restore_target(record, incident_id, owner, target, requester) for target in targets
        ]
    finally:
        _release_leases(record, targets, owner)
    meta["status"] = _settle(record, meta, restored)
    _notify(record, meta, restored, requester)
    for target in restored:
        _tell_linked(record, incident_id, target, requester)
    return _answer(meta, restored)


def _tell_linked(
    record: IncidentRepository, incident_id: str, target: TargetRecord, requester: str
) -> None:
    """Tells the other incidents of the containment that it was restored."""
    why = f"{target.get('verdict', '')}, by incident {incident_id}"
    for other in outcome.settle_linked(record, incident_id, target, why):
        meta, targets, _ = record.read(other)
        _notify(record, meta, targets, f"{requester}, for incident {incident_id}")


def _notify(
    record: IncidentRepository, meta: IncidentRecord, targets: list[TargetRecord], note: str
) -> None:
    """Writes the report anew, then sends the message; a missing report hides nothing."""
    incident_id, status = meta["incident_id"], Status(meta["status"])
    try:
        meta["report_key"] = report.write(record, incident_id, evidence_store.put)
    except Exception as error:
        record.event(incident_id, "report failed", f"{type(error).__name__}: {error}")
    notifications.publish(
        status, meta, targets, note=f"Requested by {note}.", escalate=status in ESCALATE
    )
    fields: IncidentRecord = {"told": status}
    if "report_key" in meta:
        fields["report_key"] = meta["report_key"]
    record.note(incident_id, **fields)


# -- close -----------------------------------------------------------------------------------------


def _close(
    record: IncidentRepository, incident_id: str, requester: str, reason: str | None
) -> RestoreAnswer:
    """Closes an incident. ``reason``: why its resources stay contained; None: they need not.

    Monitoring of a containment ends with its last incident.
    """
    meta, targets, _ = record.read(incident_id)
    status = Status(meta["status"])
    if status is Status.CLOSED:
        _release_links(record, incident_id, targets, reason or f"closed by {requester}")
        return _answer(meta, [])
    if status in IN_PROGRESS:
        raise Refused(
            f"incident {incident_id} is {status}: it cannot be closed while it is at work. Wait"
            " until it has ended."
        )
    owner = f"close-{incident_id}-{secrets.token_hex(4)}"
    try:
        _acquire_leases(record, incident_id, targets, owner)
        others = {target["id"]: _other_incidents(record, incident_id, target) for target in targets}
        if _leaves_changes(status, targets) and reason is None and not all(others.values()):
            raise Refused(_why_not_closed(incident_id, status))
        meta["status"] = record.transition(incident_id, Event.CLOSED)
        _release_links(record, incident_id, targets, reason or f"closed by {requester}")
    finally:
        _release_leases(record, targets, owner)
    note = f"{requester}. It was {status}{_what_stays(status, targets, others, reason)}"
    record.event(incident_id, "closed", f"by {note}", actor=requester)
    _notify(record, meta, targets, note)
    return _answer(meta, [])


def _release_links(
    record: IncidentRepository, incident_id: str, targets: list[TargetRecord], why: str
) -> None:
    """Ends the incident's interest in its containments. Safe to repeat."""
    for place in filter(None, map(place_of, targets)):
        record.containments.release_link(*place, incident_id, why)


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
    if not _leaves_changes(status, targets):
        return ""
    watched = sorted({other for named in others.values() for other in named})
    if watched and all(others.values()):
        return f"; what is contained is watched for {', '.join(watched)}"
    return (
        "; what containment changed stays as it is and is no longer monitored, and this incident"
        f" cannot be restored any more (reason: {reason})"
    )


def _run(event: Payload) -> RestoreAnswer:
    incident_id = event.get("incident_id")
    if not isinstance(incident_id, str) or not incident_id.startswith("inc-"):
        raise ResponseError(
            'an incident is named like {"incident_id": "inc-0123456789abcdef"}, not'
            f" {incident_id!r}"
        )
    record = IncidentRepository(os.environ["GDR_TABLE"])
    try:
        record.take_over_old(incident_id)
        if event.get("close") is True:
            return _close(record, incident_id, _requester(event), _reason_to_keep(event))
        return _restore(record, incident_id, _requester(event))
    except Refused as refused:
        log("refused", incident_id=incident_id, detail=str(refused))
        return _answer(record.meta(incident_id), [], str(refused))


handler = runtime.entry(_run)

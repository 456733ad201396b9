"""The restore function: a person undoes a containment, or closes an incident.

Nothing else starts it. Event: ``{"incident_id": "inc-…", "requested_by": "who asks", "close":
false}``. Answer: ``{"incident_id", "status", "restored", "not_restored", "refused"}``, lists of
sentences; ``refused`` says why nothing was done.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
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
from guardduty_response.decision import configuration, finding
from guardduty_response.errors import IllegalTransition, ResponseError
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions import runtime
from guardduty_response.functions.runtime import Payload
from guardduty_response.incident import notifications, report
from guardduty_response.incident.model import IncidentRecord, RestoreRecord, TargetRecord
from guardduty_response.incident.repository import IncidentRepository, now
from guardduty_response.incident.statuses import ESCALATE, IN_PROGRESS, TRANSITIONS, Event, Status

LEASE_SECONDS = 180  # longer than this function may run
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


def _owned(targets: Sequence[TargetRecord]) -> list[TargetRecord]:
    """Returns the targets that this incident contained itself."""
    return [target for target in targets if not target.get("attach")]


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


def _context(record: IncidentRepository, incident_id: str, owner: str) -> Context:
    config = configuration.load()
    session_name = f"{incident_id}-restore"
    return Context(
        config=config,
        options=config.playbooks[os.environ["GDR_PLAYBOOK"]],
        finding=cast(finding.Finding, None),  # a restore goes by the record alone
        incident_id=incident_id,
        execution=owner,
        record=record,
        assume=partial(member_session, config.partition, session_name),
        put_evidence=partial(evidence_store.put, incident_id),
    )


def _restorable(meta: IncidentRecord, targets: list[TargetRecord]) -> list[TargetRecord]:
    """Returns the targets this incident changed. Raises Refused."""
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
    owned = _owned(targets)
    linked = sorted({target["attach"] for target in targets if target.get("attach")})
    if linked and not owned:
        raise Refused(
            f"incident {incident_id} only verified the resource: restore {', '.join(linked)},"
            " which contained it"
        )
    return owned


def _restore_target(context: Context, stored: TargetRecord, requester: str) -> TargetRecord:
    """Restores a target, records what was verified, and returns its record."""
    record, incident_id = context.record, context.incident_id
    target = Target(
        stored["kind"], stored["id"], stored["arn"], stored["account_id"], stored["region"]
    )
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
    owned, owner = _restorable(meta, targets), f"restore-{incident_id}-{secrets.token_hex(4)}"
    try:
        _acquire_leases(record, incident_id, owned, owner)
        # The finding may have recurred before the lease was ours.
        _restorable(record.meta(incident_id), owned)
        record.event(incident_id, "restore asked", f"by {requester}", actor=requester)
        context = _context(record, incident_id, owner)
        restored = [_restore_target(context, target, requester) for target in owned]
    finally:
        _release_leases(record, owned, owner)
    meta["status"] = _settle(record, meta, restored)
    _notify(record, meta, restored, requester)
    return _answer(meta, restored)


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


def _close(record: IncidentRepository, incident_id: str, requester: str) -> RestoreAnswer:
    meta, targets, _ = record.read(incident_id)
    status = Status(meta["status"])
    if status is Status.CLOSED:
        return _answer(meta, [])
    if status in IN_PROGRESS:
        raise Refused(
            f"incident {incident_id} is {status}: it cannot be closed while it is at work. Wait"
            " until it has ended."
        )
    owned, owner = _owned(targets), f"close-{incident_id}-{secrets.token_hex(4)}"
    try:
        _acquire_leases(record, incident_id, owned, owner)
        meta["status"] = record.transition(incident_id, Event.CLOSED)
    finally:
        _release_leases(record, owned, owner)
    note = f"{requester}. It was {status}"
    if status in _STILL_CONTAINED and owned:
        note += (
            "; what containment changed stays as it is and is no longer monitored, and this"
            " incident cannot be restored any more"
        )
    record.event(incident_id, "closed", f"by {note}", actor=requester)
    _notify(record, meta, targets, note)
    return _answer(meta, [])


def _run(event: Payload) -> RestoreAnswer:
    incident_id = event.get("incident_id")
    if not isinstance(incident_id, str) or not incident_id.startswith("inc-"):
        raise ResponseError(
            'an incident is named like {"incident_id": "inc-0123456789abcdef"}, not'
            f" {incident_id!r}"
        )
    record = IncidentRepository(os.environ["GDR_TABLE"])
    job: Callable[[IncidentRepository, str, str], RestoreAnswer] = _restore
    if event.get("close") is True:
        job = _close
    try:
        return job(record, incident_id, _requester(event))
    except Refused as refused:
        log("refused", incident_id=incident_id, detail=str(refused))
        return _answer(record.meta(incident_id), [], str(refused))


handler = runtime.entry(_run)

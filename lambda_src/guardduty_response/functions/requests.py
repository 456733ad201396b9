"""Provides what restoring and closing an incident share: the answer, leases, telling people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NotRequired, TypedDict

from guardduty_response.containment.gate import LEASE_SECONDS
from guardduty_response.errors import ResponseError
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident import linked_texts, notifications, report
from guardduty_response.incident.incident_links import Reading
from guardduty_response.incident.notifications import Draft
from guardduty_response.incident.outbox.message import reason_for
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import ESCALATE, Status

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord, RestoreRecord, TargetRecord


class RestoreAnswer(TypedDict):
    """Declares the function's answer."""

    incident_id: str
    status: str
    restored: list[str]
    not_restored: list[str]
    refused: str
    children_left: NotRequired[list[str]]  # sentences with commands; only where there are any


class Refused(ResponseError):
    """The incident is not in a state for this. Nothing was changed."""


def children_left(record: IncidentRepository, meta: IncidentRecord, by: str = "") -> list[str]:
    """Says which children a restore or a closing leaves as they are, with their commands.

    ``by``: who has asked; then the timeline says so too.
    """
    links = Reading(record, meta).links
    left = linked_texts.left_sentences(meta, links, notifications.can_restore)
    if left and by:
        detail = "child incidents are left as they are; the message has the commands for them"
        record.event(meta["incident_id"], "children left", detail, actor=by)
    return left


def answer(
    meta: IncidentRecord,
    targets: list[TargetRecord],
    refused: str = "",
    left: Sequence[str] = (),
) -> RestoreAnswer:
    """Returns the function's answer: what the latest restore of each target came to.

    ``left``: as ``children_left`` says it.
    """
    restored: list[str] = []
    not_restored: list[str] = []
    for target in targets:
        latest: RestoreRecord = target.get("restored") or {}
        restored += latest.get("restored", [])
        not_restored += latest.get("not_restored", [])
    found: RestoreAnswer = {
        "incident_id": meta["incident_id"],
        "status": meta["status"],
        "restored": restored,
        "not_restored": not_restored,
        "refused": refused,
    }
    if left:
        found["children_left"] = list(left)
    return found


def acquire_leases(
    record: IncidentRepository, incident_id: str, targets: list[TargetRecord], owner: str
) -> None:
    """Takes the lease on every target.

    Raises Refused when somebody else has one; the caller then releases what was taken.
    """
    for target in targets:
        lease = record.leases.claim(target["arn"], owner, incident_id, LEASE_SECONDS)
        if lease:
            raise Refused(
                f"{target['id']} is being worked on by {lease['owner']} (incident"
                f" {lease['incident_id']}): nothing was changed. Wait until it has ended, then ask"
                " again."
            )


def notify(
    record: IncidentRepository,
    meta: IncidentRecord,
    targets: list[TargetRecord],
    note: str,
    request: str,
) -> None:
    """Writes the report anew, then sends the message; a missing report hides nothing.

    ``request``: what makes this restore or closing distinct, such as the owner of its leases.
    """
    incident_id, status = meta["incident_id"], Status(meta["status"])
    try:
        meta["report_key"] = report.write(record, incident_id, evidence_store.put)
    except Exception as error:
        record.event(incident_id, "report failed", f"{type(error).__name__}: {error}")
    draft = Draft(
        status,
        reason_for("request", request),
        note=f"Requested by {note}.",
        escalate=status in ESCALATE,
        execution=request,
    )
    notifications.notify(record, meta, targets, draft)
    if "report_key" in meta:
        record.note(incident_id, report_key=meta["report_key"])
    report.write_parent(record, meta, evidence_store.put)


def notify_if_untold(
    record: IncidentRepository,
    meta: IncidentRecord,
    targets: list[TargetRecord],
    note: str,
    request: str,
) -> None:
    """Sends the message of a restore or closing that did not live to send it."""
    if record.history(meta).status != meta["status"]:
        notify(record, meta, targets, note, request)

"""Answers updates of a finding that the run at work, or a verdict, knows nothing of.

GuardDuty counts activity of the same kind in one finding, and keeps of it only what happened last
(Amazon GuardDuty User Guide, "GuardDuty finding aggregation"): an update can name another session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.decision import finding
from guardduty_response.errors import MalformedFinding, NotAFinding
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions.intake import IntakeAnswer, done
from guardduty_response.incident import named, notifications
from guardduty_response.incident.notifications import Draft
from guardduty_response.incident.outbox.message import reason_for
from guardduty_response.incident.recurrence import is_later
from guardduty_response.incident.statuses import OnFinding, Status

if TYPE_CHECKING:
    from guardduty_response.decision.finding import Finding
    from guardduty_response.incident.model import IncidentRecord
    from guardduty_response.incident.repository import IncidentRepository, Opened

WAIT_SECONDS = 60
APPROVAL_SECONDS = 900  # where people are asked: they may take a day


def newest(record: IncidentRepository, pointer: str, event: object) -> object:
    """Returns the newest update that waits where ``pointer`` is the key by which it is asked for,
    else ``event``, which is stored there.
    """
    try:
        seen = finding.parse(event)
    except (NotAFinding, MalformedFinding):
        return event  # reported as such
    key = named.newest(record.table, seen.incident_id, seen.named, pointer)
    return evidence_store.get_event(key) if key and key != pointer else event


def answer(
    record: IncidentRepository, opened: Opened, seen: Finding, event: object, pointer: str
) -> IntakeAnswer | None:
    """Returns the answer to a recurrence that starts nothing, or waits; None where it goes on.

    ``event``: the update, which is stored. ``pointer``: the key by which it was asked for; empty:
    GuardDuty has sent it.
    """
    name, _ = evidence_store.event_file(event)
    key = evidence_store.key_of(seen.incident_id, name)
    waits = opened.outcome is OnFinding.WAIT
    if pointer and not waits:
        ended = named.end_waiting(record.table, seen.incident_id, seen.named, pointer, key)
        if not ended and opened.outcome is OnFinding.COUNT:
            return _asked_again(seen, pointer, WAIT_SECONDS)  # a newer one came meanwhile
    if waits:
        return _wait(record, opened.meta, seen, key, pointer)
    if opened.outcome is OnFinding.START:
        return None
    if opened.outcome is OnFinding.COUNT:
        return done(seen.incident_id, "finding recurred")
    _tell_later_activity(record, opened.meta)
    return None


def _wait(
    record: IncidentRepository, meta: IncidentRecord, seen: Finding, key: str, pointer: str
) -> IntakeAnswer:
    """Tells people, once for each that is named in a run. ``meta``: the incident as it is.

    Of all updates that name the same, one execution waits; it takes the newest in the end.
    """
    asked = Status(meta["status"]) is Status.AWAITING_APPROVAL
    name = _names(seen.named)
    note = (
        f"GuardDuty has updated the finding: it names {name} now. What is being done is about"
        f" {_names(meta.get('named') or [])}. {name} is not contained yet: it is answered when"
        f" that has ended{', so answer the question about it' if asked else ''}."
    )
    draft = Draft(
        "problem",
        reason_for("named_another", meta.get("run") or "", *seen.named),
        note=note,
        escalate=asked,
        entry=("finding names others", note),
    )
    notifications.notify(record, meta, [], draft)
    seconds, update = APPROVAL_SECONDS if asked else WAIT_SECONDS, (key, seen.last_seen)
    asked_by = named.wait(
        record.table, seen.incident_id, seen.named, update, pointer or key, seconds
    )
    if not asked_by:
        return done(seen.incident_id, "an earlier update that names the same waits already")
    return _asked_again(seen, asked_by, seconds)


def _asked_again(seen: Finding, key: str, seconds: int) -> IntakeAnswer:
    return {
        "incident_id": seen.incident_id,
        "playbook": "",
        "verify_only": False,
        "finding_key": key,
        "next": "wait",
        "wait_seconds": seconds,
    }


def _tell_later_activity(record: IncidentRepository, meta: IncidentRecord) -> None:
    """Tells people once in a run that what is contained was active after they were told so."""
    last = record.history(meta).last_status
    if last is None or not is_later(meta, last["written_at"]):
        return
    note = (
        f"GuardDuty saw activity at {meta['last_seen']}; the containment was verified before"
        f" {last['written_at']}. A call that AWS denied is activity, too: look in CloudTrail for"
        " calls without an errorCode. Containment is being verified again."
    )
    draft = Draft(
        "problem",
        reason_for("active_later", meta.get("run") or ""),
        note=note,
        entry=("active after containment", note),
    )
    notifications.notify(record, meta, [], draft)


def _names(named: list[str]) -> str:
    return " ".join(filter(None, named)) or "somebody else"

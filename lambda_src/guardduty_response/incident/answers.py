"""Records a person's answer to an approval, and whether it is about the plan of now."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from guardduty_response.decision import finding
from guardduty_response.incident.moments import now

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord
    from guardduty_response.incident.repository import IncidentRepository

SHORT = 12  # characters of a plan's digest, as people see and send it; more are taken too


class Answer(NamedTuple):
    """Holds an answer. ``plan``: the beginning of the digest that it names; empty: it names none.

    ``by``: whoever answered, as they say.
    """

    approved: bool
    by: str
    plan: str


def parse(given: object) -> Answer:
    """Returns an answer as it was sent with the task token; only ``"approved": true`` approves."""
    approved = isinstance(given, dict) and given.get("approved") is True
    by = finding.text(finding.get(given, "by"), 200) or "somebody who did not say who they are"
    return Answer(approved, by, finding.text(finding.get(given, "plan"), 64))


def refusal(meta: IncidentRecord, answer: Answer) -> str:
    """Returns why an approval is not one of the plan that people are asked about now, or ''.

    Without the name of a plan it is, as long as people were asked about a single one in this run.
    """
    digest = meta.get("plan_digest") or ""
    if answer.plan:
        if len(answer.plan) >= SHORT and digest.startswith(answer.plan):
            return ""
        return f"it names plan {answer.plan}, and people are asked about plan {digest[:SHORT]}"
    earlier = meta.get("approved_digest") or digest
    if earlier == digest and not meta.get("answer_refused"):
        return ""
    return "it names no plan, and people were asked more than once"


def record_answer(record: IncidentRepository, incident_id: str, given: object) -> bool:
    """Records what was answered. Returns False if that rejects.

    What was approved for another plan is recorded as approving nothing: people are asked again.
    """
    answer, meta = parse(given), record.meta(incident_id)
    digest, by = meta.get("plan_digest") or "", answer.by
    refused = refusal(meta, answer) if answer.approved else ""
    name = "refused" if refused else "approved" if answer.approved else "rejected"
    detail = refused or f"plan {digest[:SHORT]}{'' if answer.plan else ' (not named)'}"
    record.event(incident_id, f"answer: {name}", f"by {by}; {detail}", actor=by)
    if refused:
        why = f"An answer by {by} at {now()} approved nothing: {refused}."
        record.note(incident_id, approved_digest="", answer_refused=why)
    elif answer.approved:
        approved: IncidentRecord = {"approved_digest": digest, "approved_by": by}
        record.note(incident_id, **approved, approved_at=now(), answer_refused="")
    return answer.approved

"""Hands over, for the plan step, what belongs to other playbooks: each becomes an incident."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from guardduty_response.containment.contract import Context, Planned
from guardduty_response.decision import finding
from guardduty_response.errors import ResponseError

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord


class HandOver(TypedDict):
    """Declares the input of an execution that answers what belongs to another playbook."""

    finding_key: str


def hand_over(context: Context, planned: list[Planned], meta: IncidentRecord) -> list[HandOver]:
    """Returns the inputs of executions that answer what belongs to other playbooks.

    The incidents that these become are the children of this one, with those of earlier runs.
    """
    inputs: list[HandOver] = []
    earlier = meta.get("children") or []
    children = list(earlier)
    for plan in planned:
        for playbook in plan.hand_over:
            status, detail, key, child = _hand_over_to(context, plan, playbook)
            context.log_action(plan.target, f"hand_over_to_{playbook}", status, detail)
            if key:
                inputs.append({"finding_key": key})
                children += [child] if child not in children else []
    if children != earlier:
        context.record.note(context.incident_id, children=children)
    return inputs


def _hand_over_to(context: Context, plan: Planned, playbook: str) -> tuple[str, str, str, str]:
    """Stores the event for another playbook.

    Returns status, sentence, the event's key and the ID of the incident that it becomes.
    """
    if playbook not in context.config.active_playbooks:
        detail = (
            f"no switch lets playbook {playbook} act, so nothing answers it"
            f" ({context.finding.title})"
        )
        return "FAILED", detail, "", ""
    try:
        event = plan.hand_over[playbook]()
    except ResponseError as error:
        detail = (
            f"{error}: no incident of playbook {playbook} was opened; a person must find it and"
            " contain it"
        )
        return "FAILED", detail, "", ""
    name = f"handed-over-{finding.incident_id(event['detail']['id'])}.json"
    stored = context.put_evidence(name, finding.canonical(event).encode())
    child = finding.parse(event).incident_id
    detail = f"{event['detail']['title']}: an incident of its own, {child} ({stored['key']})"
    return "DONE", detail, stored["key"], child

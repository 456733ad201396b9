"""Reads CloudTrail records: who did what, and whether it was the response itself."""

from __future__ import annotations

from typing import Any

from guardduty_response.decision import finding
from guardduty_response.decision.own_roles import is_own, own_roles

__all__ = ["change", "is_outside_change", "is_own", "own_roles", "parse_change", "request_texts"]

Json = dict[str, Any]


def change(trail: Json) -> Json:
    """Returns {who, what, when, from, agent, event_id} of a CloudTrail record, all text (AWS
    CloudTrail User Guide, "record contents").

    A caller chooses some of it (user agent, session name): each is a single printable line.
    """
    identity = trail.get("userIdentity")
    who = (
        finding.get(identity, "arn")
        or finding.get(identity, "invokedBy")
        or finding.get(identity, "principalId")
    )
    fields = {
        "who": who,
        "what": trail.get("eventName"),
        "when": trail.get("eventTime"),
        "from": trail.get("sourceIPAddress"),
        "agent": trail.get("userAgent"),
        "event_id": trail.get("eventID"),
    }
    return {name: finding.text(value, 300) for name, value in fields.items()}


def parse_change(seen: Any) -> Json | None:
    """Returns a change from the state machine's input in the shape of ``change``; None for anything
    else.
    """
    if not isinstance(seen, dict) or not isinstance(seen.get("what"), str):
        return None
    return {
        name: finding.text(seen.get(name), 300)
        for name in ("who", "what", "when", "from", "agent", "event_id")
    }


def is_outside_change(trail: Json, own: frozenset[str]) -> bool:
    """Whether the call succeeded and was made by anybody but the response."""
    issuer = finding.get(trail, "userIdentity", "sessionContext", "sessionIssuer", "arn")
    return not trail.get("errorCode") and not is_own(issuer, own, trail.get("recipientAccountId"))


def request_texts(trail: Json) -> set[str]:
    """Returns every text in the call's parameters: ids, names, ARNs."""
    texts: set[str] = set()
    todo: list[Any] = [trail.get("requestParameters")]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            todo += node.values()
        elif isinstance(node, list):
            todo += node
        elif isinstance(node, str):
            texts.add(node)
    return texts

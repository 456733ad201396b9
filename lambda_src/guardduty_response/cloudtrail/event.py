"""What undoes containment, as CloudTrail records it: who did what, and whether it was the
response itself.
"""

from __future__ import annotations

from typing import Any

from guardduty_response.decision import finding
from guardduty_response.decision.own_roles import is_own, own_roles

__all__ = ["accept", "change", "is_own", "named", "own_roles", "undoes"]

Json = dict[str, Any]


def change(trail: Json) -> Json:
    """{who, what, when, from, agent, event_id} of a CloudTrail record (AWS CloudTrail, "record
    contents"), all text.

    A caller chooses some of it (user agent, session name): one printable line each.
    """
    identity = trail.get("userIdentity")
    who = (
        finding.get(identity, "arn")
        or finding.get(identity, "invokedBy")
        or finding.get(identity, "principalId")
    )
    got = {
        "who": who,
        "what": trail.get("eventName"),
        "when": trail.get("eventTime"),
        "from": trail.get("sourceIPAddress"),
        "agent": trail.get("userAgent"),
        "event_id": trail.get("eventID"),
    }
    return {name: finding.text(value, 300) for name, value in got.items()}


def accept(seen: Any) -> Json | None:
    """A change as the machine's input brings it, in the shape of ``change``; None for anything
    else.
    """
    if not isinstance(seen, dict) or not isinstance(seen.get("what"), str):
        return None
    return {
        name: finding.text(seen.get(name), 300)
        for name in ("who", "what", "when", "from", "agent", "event_id")
    }


def undoes(trail: Json, own: frozenset[str]) -> bool:
    """Whether the call succeeded and was made by anybody but the response."""
    issuer = finding.get(trail, "userIdentity", "sessionContext", "sessionIssuer", "arn")
    return not trail.get("errorCode") and not is_own(issuer, own, trail.get("recipientAccountId"))


def named(trail: Json) -> set[str]:
    """Every text in the call's parameters: ids, names, ARNs."""
    out: set[str] = set()
    todo: list[Any] = [trail.get("requestParameters")]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            todo += node.values()
        elif isinstance(node, list):
            todo += node
        elif isinstance(node, str):
            out.add(node)
    return out

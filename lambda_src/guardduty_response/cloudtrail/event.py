"""What undoes containment, as CloudTrail records it: who did what, and whether it was the
response itself.
"""

from __future__ import annotations

from typing import Any

from guardduty_response.decision import finding
from guardduty_response.decision.configuration import Config

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


def parse_change(seen: Any) -> Json | None:
    """A change as the machine's input brings it, in the shape of ``change``; None for anything
    else.
    """
    if not isinstance(seen, dict) or not isinstance(seen.get("what"), str):
        return None
    return {
        name: finding.text(seen.get(name), 300)
        for name in ("who", "what", "when", "from", "agent", "event_id")
    }


def own_roles(settings: Config) -> frozenset[str]:
    """The roles that the response's functions assume, ``account or *:role/path/name``, and no
    other: a name that is not in use is anybody's to take.
    """
    return frozenset(settings.responder["own_roles"])


def is_own(arn: object, own: frozenset[str], account: object = None) -> bool:
    """Whether it is the ARN of one of ``own``; ``account``: in this account."""
    parts = str(arn).split(":", 5)
    known = (
        len(parts) == 6
        and parts[2] == "iam"
        and not own.isdisjoint((f"*:{parts[5]}", f"{parts[4]}:{parts[5]}"))
    )
    return known and account in (None, parts[4])


def is_outside_change(trail: Json, own: frozenset[str]) -> bool:
    """Whether the call succeeded and was made by anybody but the response."""
    issuer = finding.get(trail, "userIdentity", "sessionContext", "sessionIssuer", "arn")
    return not trail.get("errorCode") and not is_own(issuer, own, trail.get("recipientAccountId"))


def request_texts(trail: Json) -> set[str]:
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

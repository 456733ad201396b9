"""Reads CloudTrail records: who did what, and whether it was the response itself."""

from __future__ import annotations

from typing import Any

from guardduty_response.decision import finding
from guardduty_response.decision.configuration import Config

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


def own_roles(settings: Config) -> frozenset[str]:
    """Returns the roles that the response's functions assume, ``account or *:role/path/name``, and
    no other: a name that is not in use is anybody's to take.
    """
    return frozenset(settings.responder["own_roles"])


def is_own(arn: object, own: frozenset[str], account: object = None) -> bool:
    """Says whether ``arn`` is a role of ``own``; ``account``: and in this account."""
    fields = str(arn).split(":", 5)
    if len(fields) != 6 or fields[2] != "iam":
        return False
    known = not own.isdisjoint((f"*:{fields[5]}", f"{fields[4]}:{fields[5]}"))
    return known and account in (None, fields[4])


def is_outside_change(trail: Json, own: frozenset[str]) -> bool:
    """Says whether the call succeeded and was made by anybody but the response."""
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

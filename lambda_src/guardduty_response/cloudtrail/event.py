"""Reads CloudTrail records: who did what, and whether it was the response itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardduty_response.decision import finding
from guardduty_response.decision.own_roles import is_own

if TYPE_CHECKING:
    from guardduty_response.incident.model import ChangeEvent

# A record as AWS delivers it (CloudTrail User Guide, "Record contents").
CloudTrailRecord = dict[str, Any]
# A record's requestParameters or responseElements: of every call other fields.
CallFields = dict[str, Any]


def change(trail: CloudTrailRecord) -> ChangeEvent:
    """Returns who did what, from a CloudTrail record (CloudTrail User Guide, "record contents").

    A caller chooses some of it (user agent, session name): each is a single printable line.
    """
    identity = trail.get("userIdentity")
    who = (
        finding.get(identity, "arn")
        or finding.get(identity, "invokedBy")
        or finding.get(identity, "principalId")
    )
    return {
        "who": finding.text(who, 300),
        "what": finding.text(trail.get("eventName"), 300),
        "when": finding.text(trail.get("eventTime"), 300),
        "from": finding.text(trail.get("sourceIPAddress"), 300),
        "agent": finding.text(trail.get("userAgent"), 300),
        "event_id": finding.text(trail.get("eventID"), 300),
    }


def parse_change(seen: object) -> ChangeEvent | None:
    """Returns a change from the state machine's input, or None for anything else."""
    if not isinstance(seen, dict) or not isinstance(seen.get("what"), str):
        return None
    return {
        "who": finding.text(seen.get("who"), 300),
        "what": finding.text(seen.get("what"), 300),
        "when": finding.text(seen.get("when"), 300),
        "from": finding.text(seen.get("from"), 300),
        "agent": finding.text(seen.get("agent"), 300),
        "event_id": finding.text(seen.get("event_id"), 300),
    }


def is_outside_change(trail: CloudTrailRecord, own: frozenset[str]) -> bool:
    """Says whether the call succeeded and was made by anybody but the response."""
    issuer = finding.get(trail, "userIdentity", "sessionContext", "sessionIssuer", "arn")
    return not trail.get("errorCode") and not is_own(issuer, own, trail.get("recipientAccountId"))


def request_texts(trail: CloudTrailRecord) -> set[str]:
    """Returns every text in the call's parameters: ids, names, ARNs."""
    texts: set[str] = set()
    todo: list[object] = [trail.get("requestParameters")]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            todo += node.values()
        elif isinstance(node, list):
            todo += node
        elif isinstance(node, str):
            texts.add(node)
    return texts

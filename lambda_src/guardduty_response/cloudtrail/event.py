"""Reads CloudTrail records: who did what, and whether it was the response itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from guardduty_response.decision import finding
from guardduty_response.decision.own_roles import is_own

if TYPE_CHECKING:
    from guardduty_response.incident.model import ChangeEvent

# A record as AWS delivers it (CloudTrail User Guide, "Record contents").
CloudTrailRecord = dict[str, Any]
# A record's requestParameters or responseElements: of every call other fields.
CallFields = dict[str, Any]

# How much is read of an answer: so many texts, and none deeper. The rules of a security group have
# its id at depth 4 (securityGroupRuleSet, items, a rule, groupId), about six texts a rule.
ANSWER_DEPTH = 5
ANSWER_TEXTS = 40


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
    issuer = finding.get(
        trail,
        "userIdentity",
        "sessionContext",
        "sessionIssuer",
        "arn",
    )
    return not trail.get("errorCode") and not is_own(issuer, own, trail.get("recipientAccountId"))


def named_texts(trail: CloudTrailRecord) -> set[str]:
    """Returns what the call names: every text in its parameters, and the first ones in its answer.

    The parameters are what was sent: of a security group perhaps its name alone, while the answer
    has its id. An answer may list hundreds of ids, so ANSWER_TEXTS are read, the outermost first.
    """
    sent = set(_texts(trail.get("requestParameters")))
    answered = _texts(trail.get("responseElements"), ANSWER_DEPTH)
    return sent.union(itertools.islice(answered, ANSWER_TEXTS))


def folded(names: Iterable[str]) -> set[str]:
    """Returns names as they are compared: IAM's are not distinguished by case (API reference of
    CreateUser), and a call may give them in any.
    """
    return {name.lower() for name in names} - {""}


def _texts(node: object, depth: int | None = None) -> Iterator[str]:
    """Yields each text once, the outermost first, down to ``depth`` containers."""
    seen: set[str] = set()
    level = [node]
    while level and depth != -1:
        inner: list[object] = []
        for found in level:
            if isinstance(found, dict):
                inner += found.values()
            elif isinstance(found, list):
                inner += found
            elif isinstance(found, str) and found not in seen:
                seen.add(found)
                yield found
        level, depth = inner, None if depth is None else depth - 1

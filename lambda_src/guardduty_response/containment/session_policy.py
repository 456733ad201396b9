"""Tells which actions of a session policy change something (without a gate a session has none),
and whether AWS STS takes a session policy.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardduty_response.aws.api import PolicyDocument, PolicyStatement

CHARACTERS = 2048  # of a session policy (AWS STS, AssumeRole)
# STS also packs a policy, by a method that AWS does not publish, and refuses one that takes more
# than 100 %: 460 bytes of DEFLATE, as docs/decisions/0002 assumes. The rest is for what this does
# not know.
PACKED_BYTES = 420

_READING = (
    "Describe",
    "Get",
    "List",
    "Lookup",
    "Filter",
    "BatchGet",
    "Head",
    "Search",
    "Simulate",
    "View",
)
# Actions that read in spite of their names: queries, decryption of what is read, and a report that
# IAM makes of itself.
_READING_TOO = frozenset(
    {
        "athena:StartQueryExecution",
        "athena:StopQueryExecution",
        "iam:GenerateCredentialReport",
        "iam:GenerateServiceLastAccessedDetails",
        "kms:Decrypt",
        "logs:StartQuery",
        "logs:StopQuery",
    }
)


def reads(action: str) -> bool:
    """Tells whether an IAM action changes nothing."""
    return action in _READING_TOO or action.partition(":")[2].startswith(_READING)


def _actions(statement: PolicyStatement) -> list[str]:
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else list(actions)


def changes(document: PolicyDocument) -> bool:
    """Tells whether a session policy lets its session change anything."""
    return any(
        not reads(action)
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        for action in _actions(statement)
    )


def only_reading(document: PolicyDocument) -> PolicyDocument:
    """Returns the session policy without the actions that change something."""
    statements = []
    for statement in document["Statement"]:
        if statement["Effect"] == "Allow":
            actions = [action for action in _actions(statement) if reads(action)]
            if actions:
                statements.append({**statement, "Action": actions})
        else:
            statements.append(statement)
    return {**document, "Statement": statements}


def packed_bytes(document: PolicyDocument) -> int:
    """Returns about how many bytes a session policy takes when it is packed."""
    return len(zlib.compress(compact(document).encode(), 9))


def accepted(document: PolicyDocument) -> bool:
    """Tells whether AWS STS takes a session policy, as far as can be known before it is asked."""
    return len(compact(document)) <= CHARACTERS and packed_bytes(document) <= PACKED_BYTES


def compact(document: PolicyDocument | None) -> str:
    """Returns an IAM policy as text, without white space between its parts."""
    return json.dumps(document, separators=(",", ":"))

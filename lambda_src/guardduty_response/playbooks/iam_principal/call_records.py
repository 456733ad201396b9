"""Shapes of single calls of a principal, reduced from CloudTrail's records."""

from __future__ import annotations

from typing import TypedDict

from guardduty_response.cloudtrail.event import CallFields

# One successful call, reduced by condense.py. ``from`` is no Python name, so no class can say this.
ChangeRecord = TypedDict(
    "ChangeRecord",
    {
        "id": str,
        "at": str,
        "name": str,
        "source": str,
        "region": str,
        "account": str,
        "who": str,
        "key": str,
        "session": str,
        "from": str,
        "agent": str,
        "parameters": CallFields,
        "response": CallFields,
        "cut": bool,
    },
    total=False,
)


class IssuedSession(TypedDict):
    """Credentials that a successful call handed out."""

    key: str
    role: str
    session: str
    account: str
    at: str

"""What is kept of a CloudTrail record: all of it but secrets as evidence, and the changes in a
bounded short form.

CloudTrail hides passwords and secret keys itself, but AssumeRole's record holds the session token
(AWS CloudTrail User Guide, "record contents"), and what a service records is its own choice:
nothing that looks like a secret is written on.
"""

from __future__ import annotations

import json
import re
from typing import Any

from guardduty_response.decision.finding import get, text
from guardduty_response.evidence.items import Json
from guardduty_response.playbooks.iam_principal.evidence.ownership import session_of

_SECRET = re.compile(
    "secretaccesskey|sessiontoken|password|secretstring|secretbinary|secretvalue|clientsecret|"
    "privatekey|keymaterial|authtoken",
    re.IGNORECASE,
)
_READING = ("Describe", "Get", "Head", "List", "Lookup", "Search")
MOST_LINE = 400
# of a change's parameters: a policy is at most 10,240 characters
MOST_TEXT, MOST_ITEMS, MOST_DEPTH = 12_000, 200, 12
MOST_BYTES = 64_000  # of parameters, and of the response


def without_secrets(node: Any) -> Any:
    """The record without the fields that hold secrets. Numbers and flags stay
    (``passwordResetRequired``).
    """
    if isinstance(node, dict):
        return {
            key: without_secrets(value)
            for key, value in node.items()
            if not (_SECRET.search(str(key)) and isinstance(value, str | list))
        }
    return [without_secrets(one) for one in node] if isinstance(node, list) else node


def mutating(record: Json) -> bool:
    """Whether the call changed something and succeeded. A failed sign-in has no error code, only
    a message.
    """
    reads = record.get("readOnly")
    if reads is None:
        reads = str(record.get("eventName")).startswith(_READING)
    return (
        reads not in (True, "true")
        and not record.get("errorCode")
        and not record.get("errorMessage")
    )


def change(record: Json) -> Json:
    """What undoing needs to know of a call; the names and the agent are one printable line each."""
    who = record.get("userIdentity")
    lines = {
        "id": record.get("eventID"),
        "at": record.get("eventTime"),
        "name": record.get("eventName"),
        "source": record.get("eventSource"),
        "region": record.get("awsRegion"),
        "account": record.get("recipientAccountId"),
        "who": get(who, "arn"),
        "key": get(who, "accessKeyId"),
        "session": session_of(record),
        "from": record.get("sourceIPAddress"),
        "agent": record.get("userAgent"),
    }
    return {
        **{name: text(value, MOST_LINE) for name, value in lines.items()},
        "parameters": _bounded(record.get("requestParameters")),
        "response": _bounded(record.get("responseElements")),
    }


def _bounded(node: Any) -> Json:
    """``node`` without secrets and cut to size; {} for anything but an object."""
    if not isinstance(node, dict):
        return {}
    found: Json = _cut(without_secrets(node), 0)
    if len(json.dumps(found, default=str)) <= MOST_BYTES:
        return found
    return {
        key: value
        for key, value in found.items()
        if not isinstance(value, dict | list) and len(str(value)) <= 2048
    }


def _cut(node: Any, depth: int) -> Any:
    if isinstance(node, str):
        return node[:MOST_TEXT]
    if depth >= MOST_DEPTH and isinstance(node, dict | list):
        return None
    if isinstance(node, dict):
        return {
            str(key)[:256]: _cut(value, depth + 1) for key, value in list(node.items())[:MOST_ITEMS]
        }
    return [_cut(one, depth + 1) for one in node[:MOST_ITEMS]] if isinstance(node, list) else node

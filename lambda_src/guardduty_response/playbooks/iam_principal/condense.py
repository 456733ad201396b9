"""What is stored of a CloudTrail record: all of it but secrets as evidence, and the changes in a
bounded short form.

CloudTrail hides passwords and secret keys itself, but AssumeRole's record holds the session token
(AWS CloudTrail User Guide, "record contents"), and what a service records is its own choice:
nothing that looks like a secret is stored.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast

from guardduty_response.cloudtrail.event import CallFields, CloudTrailRecord
from guardduty_response.decision.finding import get, text
from guardduty_response.playbooks.iam_principal.ownership import session_of

if TYPE_CHECKING:
    from guardduty_response.playbooks.iam_principal.call_records import ChangeRecord

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
MOST_SCALAR = 2048  # characters of a value that is kept of larger parameters


def without_secrets(record: CloudTrailRecord) -> CloudTrailRecord:
    """Return the record without the fields that hold secrets.

    Numbers and flags stay (``passwordResetRequired``).
    """
    return cast("CloudTrailRecord", _without_secrets(record))


def _without_secrets(node: object) -> object:
    if isinstance(node, dict):
        return {
            key: _without_secrets(value)
            for key, value in node.items()
            if not (_SECRET.search(str(key)) and isinstance(value, str | list))
        }
    if isinstance(node, list):
        return [_without_secrets(member) for member in node]
    return node


def mutating(record: CloudTrailRecord) -> bool:
    """Tell whether the call changed something and succeeded.

    A failed sign-in has no error code, only a message.
    """
    read_only = record.get("readOnly")
    if read_only is None:
        read_only = str(record.get("eventName")).startswith(_READING)
    failed = record.get("errorCode") or record.get("errorMessage")
    return read_only not in (True, "true") and not failed


def change(record: CloudTrailRecord) -> ChangeRecord:
    """Return what eradication needs to know of a call.

    The names and the user agent are a printable line each.
    """
    identity = record.get("userIdentity")

    def line(value: object) -> str:
        return text(value, MOST_LINE)

    return {
        "id": line(record.get("eventID")),
        "at": line(record.get("eventTime")),
        "name": line(record.get("eventName")),
        "source": line(record.get("eventSource")),
        "region": line(record.get("awsRegion")),
        "account": line(record.get("recipientAccountId")),
        "who": line(get(identity, "arn")),
        "key": line(get(identity, "accessKeyId")),
        "session": line(session_of(record)),
        "from": line(record.get("sourceIPAddress")),
        "agent": line(record.get("userAgent")),
        "parameters": _bounded(record.get("requestParameters")),
        "response": _bounded(record.get("responseElements")),
    }


def _bounded(node: object) -> CallFields:
    """Return ``node`` without secrets and truncated to size; {} for anything but an object."""
    if not isinstance(node, dict):
        return {}
    truncated = cast("CallFields", _truncate(without_secrets(node), 0))
    if len(json.dumps(truncated, default=str)) <= MOST_BYTES:
        return truncated
    return {
        key: value
        for key, value in truncated.items()
        if not isinstance(value, dict | list) and len(str(value)) <= MOST_SCALAR
    }


def _truncate(node: object, depth: int) -> object:
    if isinstance(node, str):
        return node[:MOST_TEXT]
    if depth >= MOST_DEPTH and isinstance(node, dict | list):
        return None
    if isinstance(node, dict):
        members = list(node.items())[:MOST_ITEMS]
        return {str(key)[:256]: _truncate(value, depth + 1) for key, value in members}
    if isinstance(node, list):
        return [_truncate(member, depth + 1) for member in node[:MOST_ITEMS]]
    return node

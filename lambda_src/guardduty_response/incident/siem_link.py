"""Fills in a link to a search of one's own logs (``siem_search_url``) from the incident.

Whoever makes a call chooses the names of users and sessions, and a search language would interpret
what they contain: only characters that IAM allows in a name, a path or an ARN get into the link,
each URL-quoted (IAM and AWS STS quotas).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from guardduty_response.decision.finding import get

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord, TargetRecord

PLACEHOLDERS = (
    "user",
    "role",
    "session",
    "access_key",
    "account",
    "region",
    "start",
    "end",
    "start_epoch",
    "end_epoch",
    "finding_id",
)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_+=,.@:/-]")
MARGIN = timedelta(hours=24)  # before the incident was opened, where no time range is known


def link(template: str, values: Mapping[str, object]) -> str:
    """Returns the template with its placeholders filled in; one without a value becomes empty.

    Unknown placeholders stay as they are: Terraform refuses them.
    """

    def fill(match: re.Match[str]) -> str:
        if match[1] not in PLACEHOLDERS:
            return match[0]
        value = values.get(match[1])
        text = "" if value is None else str(value)
        return quote(_NOT_IN_NAMES.sub("", text), safe="")

    return _PLACEHOLDER.sub(fill, template)


def values(meta: IncidentRecord, target: TargetRecord) -> dict[str, str]:
    """Returns the placeholders' values for a target of ``iam_principal`` and its incident.

    ``start`` and ``end`` (ISO 8601, UTC; ``_epoch``: seconds since 1970) are the time range that
    CloudTrail was searched for, else 24 hours before the incident was opened until its last change.
    """
    kind, id = str(target.get("kind") or ""), str(target.get("id") or "")
    scope = target.get("scope")
    role, session, user = "", "", ""
    if kind == "role_session":
        role, _, session = id.partition("/")
    elif kind in ("iam_user", "federated_user"):
        user = id
    listed_actions = get(target, "evidence", "actions", "state")
    start, end = _time_range(meta, listed_actions)
    return {
        "user": str(get(scope, "user") or user),
        "role": str(get(scope, "role") or role),
        "session": str(get(scope, "session") or session.replace("*", "")),
        "access_key": str(get(listed_actions, "key") or get(scope, "key") or ""),
        "account": str(target.get("account_id") or meta.get("account_id") or ""),
        "region": str(target.get("region") or meta.get("region") or ""),
        "finding_id": str(meta.get("finding_id") or ""),
        "start": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "end": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "start_epoch": str(int(start.timestamp())),
        "end_epoch": str(int(end.timestamp())),
    }


def _time_range(meta: IncidentRecord, listed_actions: object) -> tuple[datetime, datetime]:
    """Returns start and end; ``listed_actions`` is the state of the evidence item of that name."""
    opened = datetime.fromisoformat(str(meta["opened_at"]))
    start, end = opened - MARGIN, datetime.fromisoformat(str(meta["updated_at"]))
    searched_from = get(listed_actions, "window", 0)
    searched_until = get(listed_actions, "window", 1)
    truncated_at = get(listed_actions, "cut_off")
    if searched_from:
        start = datetime.fromtimestamp(int(searched_from), opened.tzinfo)
    if truncated_at:
        end = datetime.fromisoformat(str(truncated_at))
    elif searched_until:
        end = datetime.fromtimestamp(int(searched_until), opened.tzinfo)
    return start, end

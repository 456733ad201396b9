"""A link into a search of one's own logs, filled in from the incident: ``siem_search_url`` with
placeholders.

The names of users and sessions are chosen by whoever made the calls, and a search language would
read what they contain: only characters that IAM allows in a name, a path or an ARN get into the
link, each URL-quoted (IAM and AWS STS quotas).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from guardduty_response.decision.finding import get

Json = dict[str, Any]

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
_PLACE = re.compile(r"\{(\w+)\}")
_ODD = re.compile(r"[^A-Za-z0-9_+=,.@:/-]")
MARGIN = timedelta(hours=24)  # before the incident opened, where no window is known


def link(template: str, values: Mapping[str, Any]) -> str:
    """The template with every known placeholder filled in; one that is not known, or has no value,
    as below.

    Empty where there is no value (a user has no session). Unknown placeholders stay as they are:
    Terraform refuses them.
    """

    def fill(found: re.Match[str]) -> str:
        if found[1] not in PLACEHOLDERS:
            return found[0]
        value = values.get(found[1])
        return quote(_ODD.sub("", str("" if value is None else value)), safe="")

    return _PLACE.sub(fill, template)


def values(meta: Json, target: Json) -> dict[str, str]:
    """What the placeholders stand for, of a target of ``iam_principal`` (its scope, else its kind
    and id) and its incident.

    ``start`` and ``end`` (ISO 8601, UTC; ``_epoch``: seconds): what was asked of CloudTrail, else
    24 hours before the incident opened until its last change.
    """
    kind, id, scope = (
        str(target.get("kind") or ""),
        str(target.get("id") or ""),
        target.get("scope"),
    )
    role, _, session = id.partition("/") if kind == "role_session" else ("", "", "")
    listed = get(target, "evidence", "actions", "state")
    start, end = _window(meta, listed)
    return {
        "user": str(get(scope, "user") or (id if kind in ("iam_user", "federated_user") else "")),
        "role": str(get(scope, "role") or role),
        "session": str(get(scope, "session") or session.replace("*", "")),
        "access_key": str(get(listed, "key") or get(scope, "key") or ""),
        "account": str(target.get("account_id") or meta.get("account_id") or ""),
        "region": str(target.get("region") or meta.get("region") or ""),
        "finding_id": str(meta.get("finding_id") or ""),
        "start": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "end": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "start_epoch": str(int(start.timestamp())),
        "end_epoch": str(int(end.timestamp())),
    }


def _window(meta: Json, listed: Any) -> tuple[datetime, datetime]:
    opened, changed = (
        datetime.fromisoformat(str(meta[name])) for name in ("opened_at", "updated_at")
    )
    start, end, cut_off = get(listed, "window", 0), get(listed, "window", 1), get(listed, "cut_off")
    return (
        datetime.fromtimestamp(int(start), opened.tzinfo) if start else opened - MARGIN,
        (
            datetime.fromisoformat(str(cut_off))
            if cut_off
            else datetime.fromtimestamp(int(end), opened.tzinfo)
            if end
            else changed
        ),
    )

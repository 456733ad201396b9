"""The entries of a role's shared setting: which sessions of the role each containment denies.

Who only looks whether they are over needs nothing else of containment (monitoring/expiry.py).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict, cast

if TYPE_CHECKING:
    from guardduty_response.incident.shared_settings import SharedSetting
    from guardduty_response.incident.target_repository import Place

# A role session lives no longer (AWS STS AssumeRole, DurationSeconds; an instance's live shorter).
LONGEST = timedelta(hours=12)
CLOCKS = timedelta(minutes=5)  # what clocks may differ


class SessionDenial(TypedDict, total=False):
    """Which sessions of a role are denied: those of an instance (its ID), or those with these
    ``aws:userid`` (``AROA…:name``) that were issued before ``before`` (ISO 8601, UTC).

    ``policy``: the name of the managed policy that denies them (absent: the inline policy).
    """

    instance: str
    userids: list[str]
    before: str
    policy: str


class RoleEntry(TypedDict, total=False):
    """What one containment needs of a role: its denials, each under the name of its part, and the
    date before which AWSRevokeOlderSessions is to deny every session (empty: no more). ``base``:
    the date that it had before any containment ('': none). ``older_in``: the managed policy that
    has the date instead.
    """

    denials: dict[str, SessionDenial]
    older: str
    base: str
    older_in: str


def parse_time(moment: str) -> datetime:
    """Parses a moment in ISO 8601. Raises ValueError."""
    return datetime.fromisoformat(moment.replace("Z", "+00:00"))


def has_expired(before: str) -> bool:
    """Tells whether every session issued before ``before`` (ISO 8601; empty: not known) is over."""
    try:
        issued = parse_time(before)
    except ValueError:
        return False
    return issued + LONGEST + CLOCKS < datetime.fromtimestamp(time.time(), UTC)


def entries_of(shared: SharedSetting) -> dict[Place, RoleEntry]:
    """Returns the entries that count: of containments that have not ended. That of a resource that
    is gone counts until no session of it can be left.
    """
    gone = {place for place, since in shared.gone.items() if not has_expired(since)}
    found = {place: shared.known[place] for place in (*shared.entries, *gone)}
    return {place: cast("RoleEntry", entry) for place, entry in found.items() if "denials" in entry}

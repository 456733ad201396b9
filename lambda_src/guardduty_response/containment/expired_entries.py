"""Says which entries of a role's shared setting are over: what its policies deny follows from them.

An entry is over where its containment has ended, or its resource is gone and so are the last
credentials that it had. Of an entry that stays, a denial is over with the sessions that it names.
That of an instance's sessions stays while the instance exists: monitoring sees that it is gone, or
functions/expire_step.py does, where nobody watches it any more.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, cast

from guardduty_response.containment.session_entries import (
    CLOCKS,
    LONGEST,
    entries_of,
    has_expired,
    parse_time,
)
from guardduty_response.incident.moments import iso

if TYPE_CHECKING:
    from guardduty_response.containment.session_entries import RoleEntry
    from guardduty_response.incident.shared_settings import SharedSetting
    from guardduty_response.incident.target_repository import Place

# Until it is looked again whether a resource is gone whose sessions are denied while it exists.
LOOK_SECONDS = 6 * 3600.0


class Split(NamedTuple):
    """Holds a role's entries as they are now, those that stay as they are then, and why the others,
    or parts of them, are over (a sentence; empty: the containment has ended).
    """

    known: dict[Place, RoleEntry]
    kept: dict[Place, RoleEntry]
    over: dict[Place, str]


def split(shared: SharedSetting) -> Split:
    """Returns which entries of a role's setting are over by now."""
    counting = entries_of(shared)
    known = {
        place: cast("RoleEntry", entry)
        for place, entry in shared.known.items()
        if "denials" in entry
    }
    kept: dict[Place, RoleEntry] = {}
    over: dict[Place, str] = {}
    for place, entry in known.items():
        if place in counting:
            kept[place], why = _left(entry)
            if why:
                over[place] = why
        elif since := shared.gone.get(place):
            over[place] = f"it is gone since {since}, and no credentials of it live any more"
        else:
            over[place] = ""
    return Split(known, kept, over)


def _left(entry: RoleEntry) -> tuple[RoleEntry, str]:
    """Returns what stays of an entry, and why the rest is over, or an empty string."""
    left: RoleEntry = {**entry, "denials": {}}
    why = []
    for part, denial in entry["denials"].items():
        before = denial.get("before", "")
        if has_expired(before):
            count = len(denial.get("userids") or [])
            plural = "session" if count == 1 else "sessions"
            why.append(f"{count} {plural} issued before {before} can live no longer")
        else:
            left["denials"][part] = denial
    older = entry.get("older") or ""
    if has_expired(older):
        left["older"] = ""
        left.pop("older_in", None)
        why.append(f"no session of the role that was issued before {older} can live any longer")
    return left, "; ".join(why)


def next_look(shared: SharedSetting, kept: dict[Place, RoleEntry]) -> str:
    """Returns when the next of the entries that stay may be over (ISO 8601); empty: none stays."""
    looks: list[float] = []
    for place, entry in kept.items():
        dates = [denial.get("before") or "" for denial in entry["denials"].values()]
        dates += [entry["older"]] if entry.get("older") else []
        for date in dates:
            since = date or shared.gone.get(place, "")
            end = time.time() + LOOK_SECONDS
            if since:
                end = (parse_time(since) + LONGEST + CLOCKS).timestamp() + 1
            looks.append(end)
    return iso(datetime.fromtimestamp(min(looks), UTC)) if looks else ""

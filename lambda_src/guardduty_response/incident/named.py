"""Stores, for each name that a finding has had in an incident, what was and what is to be done.

GuardDuty keeps of a finding only what happened last, so an update can name others. META says whom
the latest run is about; a NAMED item (INCIDENT#id/NAMED#names) is about one of the others: when a
run about them was ended for good, and which of their updates waits for the run at work.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypedDict, cast

from guardduty_response.incident.moments import from_now, now
from guardduty_response.incident.table import Table, incident_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ATTEMPTS = 5  # while other updates of the same are noted
# So long after it was to ask again, an execution that waits is taken for lost.
LATE_SECONDS = 600


class NamedRecord(TypedDict, total=False):
    """Declares the NAMED item."""

    pk: str
    sk: str
    named: list[str]  # principal and instance
    ended_at: str  # when their last run was ended for good; empty: it was not; absent: no run
    waiting: str  # key of their newest update that waits
    waiting_seen: str  # when GuardDuty saw that activity
    polled: str  # key by which one execution after the other asks for it
    until: str  # when that is taken for lost; empty: nobody asks


def sort_key(named: Sequence[str]) -> str:
    """Returns the sort key of the NAMED item of whom an event names; a token counts for nothing."""
    digest = hashlib.sha256("\n".join(named[:2]).encode()).hexdigest()
    return f"NAMED#{digest[:32]}"


def read(table: Table, incident_id: str, named: Sequence[str]) -> NamedRecord | None:
    """Returns the NAMED item, or None: nothing was done about them, and nothing waits."""
    found = table.get(incident_key(incident_id), sort_key(named))
    return cast("NamedRecord", found) if found else None


def note_run(table: Table, incident_id: str, named: Sequence[str], ended_at: str) -> None:
    """Notes that there was a run about them, before one about others begins. Safe to repeat."""
    _put(table, incident_id, named, read(table, incident_id, named), {"ended_at": ended_at})


def wait(
    table: Table,
    incident_id: str,
    named: Sequence[str],
    update: tuple[str, str],
    asked_by: str,
    seconds: int,
) -> str:
    """Notes an update that waits. Returns the key by which its execution is to ask again in
    ``seconds``; empty: another one asks already, and takes the newest update then.

    ``update``: its key, and when GuardDuty saw it. ``asked_by``: the key by which this execution
    was started, else that of the update.
    """
    key, seen = update
    for _ in range(ATTEMPTS):
        stored = read(table, incident_id, named)
        known: NamedRecord = stored or {}
        is_asked = (known.get("until") or "") > now()
        mine = not is_asked or known.get("polled") == asked_by
        changes = {}
        if seen >= (known.get("waiting_seen") or "") or not known.get("waiting"):
            changes = {"waiting": key, "waiting_seen": seen}
        if mine:
            changes |= {"polled": asked_by, "until": from_now(seconds + LATE_SECONDS)}
        if not changes or _put(table, incident_id, named, stored, changes):
            return asked_by if mine else ""
    return asked_by


def newest(table: Table, incident_id: str, named: Sequence[str], asked_by: str) -> str:
    """Returns the key of the update that an execution takes which was started by ``asked_by``;
    empty: the update is another's, or waits no more.
    """
    known = read(table, incident_id, named) or {}
    return str(known.get("waiting") or "") if known.get("polled") == asked_by else ""


def end_waiting(
    table: Table, incident_id: str, named: Sequence[str], asked_by: str, answered: str
) -> bool:
    """Notes that nobody asks any more. Returns False where a newer update than ``answered`` came
    meanwhile.
    """
    known = read(table, incident_id, named) or {}
    if known.get("polled") != asked_by or not known.get("until"):
        return True
    if known.get("waiting") != answered:
        return False
    ended = {"until": "", "waiting": "", "waiting_seen": "", "polled": ""}
    return _put(table, incident_id, named, known, ended)


def _put(
    table: Table,
    incident_id: str,
    named: Sequence[str],
    known: NamedRecord | None,
    changes: Mapping[str, str],
) -> bool:
    """Writes the item unless it has changed since ``known`` was read; returns whether it did."""
    key, sort = incident_key(incident_id), sort_key(named)
    if known is None:
        created = {"pk": key, "sk": sort, "named": list(named[:2]), **_NEW, **changes}
        return table.put_if(created, "attribute_not_exists(pk)")
    same = {name: known.get(name, "") for name in _NEW}
    return table.update(key, sort, changes, only_if=same)


_NEW = {"waiting": "", "waiting_seen": "", "polled": "", "until": ""}

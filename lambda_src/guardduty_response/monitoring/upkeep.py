"""Begins and ends the monitoring of a containment: its due time, and the names that lead to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

from guardduty_response.aws import clients
from guardduty_response.incident.containment import Containment
from guardduty_response.incident.moments import from_now, now
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import IN_PROGRESS, WATCHED, Status
from guardduty_response.incident.table import incident_key
from guardduty_response.incident.target_repository import Place, place_of
from guardduty_response.monitoring import due, watched_names

if TYPE_CHECKING:
    from guardduty_response.incident.model import ContainmentRecord, IncidentRecord, IndexedIncident

# The item that says when every monitored incident was last looked at.
LOOKED_KEY = ("MONITORING", "LOOKED")
# So long, all are looked at only where the configuration changed. What changed lately always is.
LOOK_HOURS, LATELY_HOURS = 6, 24
# Containments wait for calls on clients.POOL, so they need threads of their own.
PLACES = ThreadPoolExecutor(max_workers=8, thread_name_prefix="place")


def begin(
    record: IncidentRepository,
    state: ContainmentRecord,
    incident_id: str,
    names: list[str],
    minutes: float | None = None,
) -> bool:
    """Begins to monitor a containment that stands, or notes what leads to it by now.

    ``state``: its STATE item, or who, where and what of it. ``names``: what a call undoing it would
    name. ``minutes``: within which it is checked first. Returns whether it was not monitored
    before. Safe to repeat.
    """
    spread = due.intervals()["first_day"] if minutes is None else minutes
    begun = clients.POOL.submit(
        due.begin,
        record.table,
        state,
        incident_id,
        spread,
    )
    watched_names.write(record.table, state, [*names, state["id"]])
    return begun.result()


def end(record: IncidentRepository, place: Place) -> None:
    """Ends the monitoring of a containment. Safe to repeat.

    The names go first: what leads to a containment without a due time is looked at by nobody.
    """
    containment = record.containments.read(*place)
    forget(record, containment)


def forget(record: IncidentRepository, containment: Containment) -> None:
    """Ends the monitoring of a containment that has been read."""
    state = containment.state
    arn, generation = state["arn"], int(state["generation"])
    names = [*containment.watched, state["id"]]
    watched_names.remove(
        record.table,
        state["account_id"],
        arn,
        generation,
        names,
    )
    due.end(record.table, arn, generation)


def end_unless_monitored(record: IncidentRepository, place: Place) -> None:
    """Ends the monitoring of a containment for which no incident is monitored any more."""
    containment = record.containments.read(*place)
    if not answering(linked(record, containment), WATCHED | IN_PROGRESS):
        forget(record, containment)


def answering(
    metas: list[IncidentRecord], statuses: frozenset[Status] = WATCHED
) -> IncidentRecord | None:
    """Returns which of a containment's incidents answers for it, or None where none is monitored.

    The latest of those in mode ``auto``, else the latest: an incident that must ask would not
    contain again what another may.
    """
    monitored = [meta for meta in metas if Status(meta["status"]) in statuses]
    return max(monitored, key=precedence, default=None)


def waiting(metas: list[IncidentRecord]) -> IncidentRecord | None:
    """Returns which of a containment's incidents waits for an approval, as ``waits`` says."""
    return max(filter(waits, metas), key=precedence, default=None)


def waits(meta: IncidentRecord) -> bool:
    """Tells whether an incident waits for an approval while a containment of an earlier run stands.

    People may take a week to answer: what was contained must not be undone unseen until then.
    """
    return meta["status"] == Status.AWAITING_APPROVAL and meta.get("held") in WATCHED


def is_monitored(meta: IncidentRecord) -> bool:
    """Tells whether an incident's containment stands, and is verified again."""
    return Status(meta["status"]) in WATCHED or waits(meta)


def linked(record: IncidentRepository, containment: Containment) -> list[IncidentRecord]:
    """Reads the incidents that are linked to a containment and not closed."""
    reads = [
        clients.POOL.submit(_meta_or_none, record, link["incident_id"])
        for link in containment.open_links
    ]
    return [meta for meta in (read.result() for read in reads) if meta]


def precedence(meta: IndexedIncident) -> tuple[bool, str]:
    """Orders the incidents of a containment: the greatest answers for it."""
    return meta.get("mode") == "auto", meta.get("opened_at") or ""


def _meta_or_none(record: IncidentRepository, incident_id: str) -> IncidentRecord | None:
    found = record.table.get(incident_key(incident_id), "META")
    return cast("IncidentRecord", found) if found else None


# -- records that are not monitored yet ------------------------------------------------------------


def take_up(record: IncidentRepository, metas: list[IndexedIncident]) -> list[str]:
    """Begins to monitor what an earlier release contained, or a function that died.

    ``metas``: incidents that are monitored. Their first checks are spread over an interval. Returns
    the incidents whose containments were taken up.
    """
    places: dict[Place, str] = {}
    for meta in metas:
        for target in meta.get("targets") or []:
            if place := place_of(target):
                places.setdefault(place, meta["incident_id"])
    begun = {
        place: PLACES.submit(_take_up, record, place, incident_id)
        for place, incident_id in places.items()
    }
    return sorted({places[place] for place, done in begun.items() if done.result()})


def _take_up(record: IncidentRepository, place: Place, incident_id: str) -> bool:
    if due.get(record.table, *place):
        return False
    containment = record.containments.read(*place)
    state = containment.state
    if Status(state["status"]) not in WATCHED | {Status.FAILED}:
        return False
    minutes = due.interval_minutes(state["opened_at"])
    return begin(record, state, incident_id, containment.watched, minutes)


def must_look_at_all(record: IncidentRepository, config_sha256: str) -> bool:
    """Tells whether every monitored incident is to be looked at, and not only what changed lately.

    That reads each of them: a configuration that changed may have switched a playbook off.
    """
    looked = record.table.get(*LOOKED_KEY)
    if looked is None or looked.get("config_sha256") != config_sha256:
        return True
    return str(looked["at"]) < from_now(hours=-LOOK_HOURS)


def note_look(record: IncidentRepository, config_sha256: str) -> None:
    """Notes that every monitored incident was looked at."""
    pk, sk = LOOKED_KEY
    values = {
        "pk": pk,
        "sk": sk,
        "at": now(),
        "config_sha256": config_sha256,
    }
    record.table.put(values)


def lately() -> str:
    """Returns the time since when a monitored incident has changed lately."""
    return from_now(hours=-LATELY_HOURS)

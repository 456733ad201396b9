"""Tells people of containment that is not monitored, and of rechecks that failed.

Where there are no monitor functions yet, because an apply is under way, it starts a recheck of
every incident whose containment stands: an execution of the incident machine with {"watch": {...}}
as its input (monitoring/dispatch.py is what checks otherwise). It acts on nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from guardduty_response.aws import clients
from guardduty_response.aws.log import log
from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.decision import configuration, finding
from guardduty_response.decision.own_roles import own_roles
from guardduty_response.errors import ConfigError
from guardduty_response.incident import commands, notifications
from guardduty_response.incident.moments import now
from guardduty_response.incident.notifications import Draft
from guardduty_response.incident.outbox.message import reason_for
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import WATCHED, Status
from guardduty_response.incident.target_repository import generation_of
from guardduty_response.monitoring import executions, upkeep

if TYPE_CHECKING:
    from guardduty_response.incident.model import ChangeEvent, IndexedIncident

# What releases before 0.2 wrote in place of a time; people were notified then.
_NOTIFIED_BEFORE = "yes"
# Between two rechecks of an incident, where there are no monitor functions.
RECHECK_SECONDS = 900


class Started(TypedDict):
    """Declares which incidents' rechecks were started."""

    started: list[str]


def start_scheduled(record: IncidentRepository) -> Started:
    """Starts a recheck of every incident whose containment stands, once in RECHECK_SECONDS.

    Only where there are no monitor functions yet: an apply is under way.
    """
    slot = f"all {int(time.time() // RECHECK_SECONDS)}"
    starts = {}
    for meta in _once_per_containment(record.watched()):
        incident_id = meta["incident_id"]
        if not _playbook_disabled(meta):
            starts[incident_id] = partial(executions.start, incident_id, "schedule", slot)
    return _start_all(starts)


class OutsideChange(NamedTuple):
    """Holds an API call of somebody else: its account, what it names, and who made it."""

    account_id: str
    names: set[str]
    change: ChangeEvent


def outside_change(event: Mapping[str, object]) -> OutsideChange | None:
    """Returns the call of a CloudTrail event as EventBridge delivers it; None: it undoes nothing.

    Raises ConfigError.
    """
    trail = event.get("detail")
    if not isinstance(trail, dict):
        return None
    if not cloudtrail_event.is_outside_change(trail, own_roles(configuration.load())):
        return None
    account = finding.text(trail.get("recipientAccountId") or event.get("account"))
    return OutsideChange(
        account, cloudtrail_event.named_texts(trail), cloudtrail_event.change(trail)
    )


def start_on_change(record: IncidentRepository, event: Mapping[str, object]) -> Started:
    """Starts a recheck of every incident whose containment an API call may have undone.

    ``event``: a CloudTrail event as EventBridge delivers it.
    """
    call = outside_change(event)
    if call is None:
        return {"started": []}
    account, names, change = call
    named = cloudtrail_event.folded(names)
    slot = change["event_id"] or finding.text(event.get("id"), 100)

    def start_if_named(meta: IndexedIncident) -> bool:
        if not cloudtrail_event.folded(_watched_names(record, meta)) & named:
            return False
        return executions.start(meta["incident_id"], "change", slot, change)

    return _start_all(
        {
            meta["incident_id"]: partial(start_if_named, meta)
            for meta in _once_per_containment(record.watched())
            if meta.get("account_id") == account and not _playbook_disabled(meta)
        }
    )


def _watched_names(record: IncidentRepository, meta: IndexedIncident) -> set[str]:
    """Returns the IDs and names that a call undoing the incident's containment would name."""
    names: set[str] = set()
    for reference in meta["targets"]:
        target = record.target(meta["incident_id"], reference["kind"], reference["id"])
        names |= {*(target.get("watched") or []), target["id"]}
    return names


def _once_per_containment(metas: list[IndexedIncident]) -> list[IndexedIncident]:
    """Returns incidents that have all containments among them, each once.

    Incidents that are linked to one containment share its verification. The latest of those in
    mode ``auto`` answers, else the latest: one that must ask would not contain again what another
    may.
    """
    covered: set[tuple[str, int]] = set()
    chosen = []
    for meta in sorted(metas, key=upkeep.precedence, reverse=True):
        places = {(target["arn"], generation_of(target)) for target in meta.get("targets") or []}
        if places and places <= covered:
            continue
        covered |= {place for place in places if place[1]}
        chosen.append(meta)
    return chosen


def _playbook_disabled(meta: IndexedIncident) -> bool:
    """Tells whether no remediation lets the incident's playbook act any more.

    Then there is no function that could verify containment.
    """
    try:
        return meta.get("playbook") not in configuration.load().active_playbooks
    except ConfigError:
        return False  # the recheck itself will report it


def notify_unmonitored(record: IncidentRepository, metas: list[IndexedIncident]) -> list[str]:
    """Notifies of containment that is not monitored because its playbook is switched off.

    ``metas``: incidents that are monitored otherwise. Sends one message for each until the playbook
    is on again; returns the incidents.
    """
    notified = []
    for meta in metas:
        incident_id, disabled = meta["incident_id"], _playbook_disabled(meta)
        since = meta.get("unwatched") or ""
        if disabled and not since:
            since = now()
            record.note(incident_id, unwatched=since)
        if disabled and since != _NOTIFIED_BEFORE and _tell_unmonitored(record, meta, since):
            notified.append(incident_id)
        elif since and not disabled:
            record.event(incident_id, "watched again", actor="watchdog")
            record.note(incident_id, unwatched="")
    return notified


def _tell_unmonitored(record: IncidentRepository, meta: IndexedIncident, since: str) -> bool:
    """Notifies, once, that containment is not monitored ``since`` a time."""
    reason = reason_for("unwatched", since)
    if notifications.is_written(record, meta["incident_id"], reason):
        return False
    whole, targets = record.meta_and_targets(meta["incident_id"])
    draft = Draft(
        "problem",
        reason,
        note=_unmonitored_note(meta),
        escalate=True,
        entry=("no longer watched", ""),
        actor="watchdog",
    )
    return notifications.notify(record, whole, targets, draft).new


def _unmonitored_note(meta: IndexedIncident) -> str:
    config, playbook = configuration.load(), meta.get("playbook") or ""
    note = (
        f"No longer monitored: no remediation lets playbook {playbook} act any more, so this"
        " containment is not verified any more, and nobody is notified when it is lost. Close or"
        " restore the incident, or switch the playbook on again (remediations: dry_run is enough)."
        " This message is sent once."
    )
    if not (config.playbooks.get(playbook) or {}).get("restore"):
        return note
    region = os.environ["GDR_INCIDENT_MACHINE_ARN"].split(":")[3]
    command = commands.close_incident(config.name_prefix, playbook, meta["incident_id"], region)
    return f"{note}\n{command}"


def _start_all(starts: Mapping[str, Callable[[], bool]]) -> Started:
    """Starts executions side by side; ``starts``: incident ID -> a function that starts its own.

    An incident that cannot be started does not delay the others. The first error is raised at the
    end, so that Lambda repeats the event, twice, and then keeps it in the queue dead-letters: what
    was started already is not started twice.
    """
    futures = {incident_id: clients.POOL.submit(start) for incident_id, start in starts.items()}
    started: list[str] = []
    errors: list[Exception] = []
    for incident_id, future in futures.items():
        try:
            if future.result():
                started.append(incident_id)
        except Exception as error:
            detail = f"{type(error).__name__}: {error}"[:500]
            log("recheck not started", incident_id=incident_id, detail=detail)
            errors.append(error)
    if errors:
        raise errors[0]
    return {"started": started}


def recheck_failed(record: IncidentRepository, incident_id: str, why: str) -> None:
    """Notifies that a recheck's execution failed: the status stands, unverified."""
    meta, targets = record.meta_and_targets(incident_id)
    if Status(meta["status"]) in WATCHED:
        notifications.notify_unverified(record, meta, targets, why)

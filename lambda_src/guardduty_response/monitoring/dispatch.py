"""Spreads the checks of contained resources over time, for the watchdog's schedule of every minute.

What is due is claimed, and handed in batches to the monitor function of its playbook: at most
BATCH containments of one account, Region and playbook in an invocation, and at most
GDR_MONITOR_IN_FLIGHT invocations at a time, kept across minutes by slots in the table. Changes have
as many slots of their own, so that a long queue never delays them (docs/decisions/0032).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypedDict

from guardduty_response.aws import clients
from guardduty_response.aws.log import metric
from guardduty_response.decision import configuration
from guardduty_response.errors import ConfigError
from guardduty_response.incident import notifications
from guardduty_response.incident.model import ChangeEvent, DueRecord
from guardduty_response.incident.moments import now
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.table import Table
from guardduty_response.monitoring import due, executions, slots

BATCH = 50  # containments that an invocation checks
FOUND = 400  # due containments that are looked at, of each shard of the index
# A batch takes along what would be due this part of its interval later, so that fewer batches do.
_EARLY = 1 / 8
# The schedule comes again after a minute, and the watchdog ends after two.
_SECONDS, _PAUSE = 45.0, 1.0
_DISABLED_MINUTES = 60  # until a playbook that is switched off is asked about again
FUNCTIONS = "GDR_MONITOR_FUNCTIONS"

Key = tuple[str, str, str, str]


class ToCheck(TypedDict):
    """Names a containment to the monitor function."""

    arn: str
    generation: int
    incident_id: str


class Batch(TypedDict):
    """Declares what the monitor function is asked for (payload key ``monitor``)."""

    batch: str
    account_id: str
    region: str
    why: str
    containments: list[ToCheck]
    seen: ChangeEvent | None


class Dispatched(TypedDict):
    """Declares how many containments were handed out, in how many invocations, and what waits."""

    containments: int
    batches: int
    waiting: int


class _Group(NamedTuple):
    """Holds what an invocation may check together: due first, then what is due soon."""

    playbook: str
    account_id: str
    region: str
    found: list[DueRecord]


def has_functions() -> bool:
    """Tells whether this deployment has monitor functions; an apply may be under way."""
    return FUNCTIONS in os.environ


def _functions() -> dict[str, str]:
    return dict(json.loads(os.environ.get(FUNCTIONS) or "{}"))


def dispatch(record: IncidentRepository, seconds: float = _SECONDS) -> Dispatched:
    """Hands out what is due, oldest first, until nothing is or ``seconds`` have passed.

    It waits for a slot while there is none: a batch takes seconds, the schedule comes each minute.
    """
    until, table = time.monotonic() + seconds, record.table
    containments = batches = 0
    groups = list(_groups(table))
    while groups:
        batch = slots.take(table, "schedule")
        if batch is None:
            if time.monotonic() >= until:
                break
            time.sleep(_PAUSE)
            continue
        count = _hand_out(record, groups[0], batch)
        containments, batches = containments + count, batches + bool(count)
        groups = _ordered(groups)
    waiting = sum(1 for group in groups for found in group.found if _is_due(found))
    if waiting:
        metric("ChecksWaiting", waiting, oldest=groups[0].found[0]["due_at"])
    return {"containments": containments, "batches": batches, "waiting": waiting}


def _groups(table: Table) -> Iterator[_Group]:
    """Yields what is due, in groups, that of the oldest first. Changes are older than anything."""
    due_now = [found for found in due.due_before(table, now(), FOUND) if not _is_claimed(found)]
    if not due_now:
        return
    grouped: dict[Key, list[DueRecord]] = {}
    for found in due_now:
        grouped.setdefault(_key(found), []).append(found)
    horizon = due.from_now(due.intervals()["later"] * 60 * _EARLY)
    for found in due.due_before(table, horizon, FOUND):
        if _key(found) in grouped and not _is_due(found) and _may_be_early(found):
            grouped[_key(found)].append(found)
    for (playbook, account_id, region, _), members in grouped.items():
        yield _Group(playbook, account_id, region, members)


def _ordered(groups: list[_Group]) -> list[_Group]:
    """Returns the groups in which something is due, that of the oldest first."""
    left = [group for group in groups if group.found and _is_due(group.found[0])]
    return sorted(left, key=lambda group: group.found[0]["due_at"])


def _key(found: DueRecord) -> Key:
    # What a change has made due has the change of its moment: it is in no batch with others.
    change = found["due_at"] if due.is_change(found["due_at"]) else ""
    return found["playbook"], found["account_id"], found["region"], change


def _is_due(found: DueRecord) -> bool:
    return found["due_at"] <= now()


def _is_claimed(found: DueRecord) -> bool:
    return found.get("claimed_until", "") >= now()


def _may_be_early(found: DueRecord) -> bool:
    minutes = due.interval_minutes(found["opened_at"])
    return not _is_claimed(found) and found["due_at"] <= due.from_now(minutes * 60 * _EARLY)


def _hand_out(record: IncidentRepository, group: _Group, batch: str) -> int:
    """Claims a batch of a group, takes it out of the group, and has it checked.

    Returns how many containments it has.
    """
    taken = group.found[:BATCH]
    del group.found[:BATCH]
    claimed = _claim_all(
        lambda found: due.claim(
            record.table, found, batch, due.interval_minutes(found["opened_at"])
        ),
        taken,
    )
    claimed = [item for item in claimed if not _tell_unread(record, item)]
    try:
        if _is_disabled(group.playbook):
            minutes = _DISABLED_MINUTES
            _settle_all(record.table, claimed, due.from_now(minutes * 60))
            claimed = []
        elif claimed and not _functions().get(group.playbook):
            _start_old_way(record.table, claimed)
        elif claimed:
            _invoke(group, batch, claimed)
            return len(claimed)
    except Exception:
        _settle_all(record.table, claimed, now())
        slots.free(record.table, batch)
        raise
    slots.free(record.table, batch)
    return len(claimed)


def _claim_all(
    claim: Callable[[Any], DueRecord | None], found: Iterable[Any]
) -> list[DueRecord]:
    claims = [clients.POOL.submit(claim, entry) for entry in found]
    return [won for won in (entry.result() for entry in claims) if won]


def _settle_all(table: Table, claimed: list[DueRecord], due_at: str) -> None:
    for done in [clients.POOL.submit(due.settle, table, item, due_at) for item in claimed]:
        done.result()


def _is_disabled(playbook: str) -> bool:
    """Tells whether no remediation lets the playbook act any more: no function could verify."""
    try:
        return playbook not in configuration.load().active_playbooks
    except ConfigError:
        return False  # the check itself will report it


def _tell_unread(record: IncidentRepository, item: DueRecord) -> bool:
    """Notifies of what a check could not read, and makes it due again. Returns whether it was that.

    The monitor function has no topic.
    """
    why = item.get("why_unread")
    if not why:
        return False
    meta, targets, _ = record.read(item["incident_id"])
    mine = [target for target in targets if target["arn"] == item["arn"]]
    notifications.notify_unverified(record, meta, mine or targets, why)
    due_at = due.from_now(item["interval_minutes"] * 60)
    due.settle(record.table, item, due_at, remove=("why_unread",))
    return True


def _start_old_way(table: Table, claimed: list[DueRecord]) -> None:
    """Has the incident machine verify what no monitor function can: a recheck for each incident."""
    for item in claimed:
        executions.start(item["incident_id"], "schedule", item["due_at"], item.get("seen"))
        due.settle(table, item, due.from_now(item["interval_minutes"] * 60), remove=("seen",))


def _invoke(group: _Group, batch: str, claimed: list[DueRecord]) -> None:
    """Starts the monitor function, and does not wait for it (AWS Lambda, InvocationType Event)."""
    seen = next((item["seen"] for item in claimed if item.get("seen")), None)
    request: Batch = {
        "batch": batch,
        "account_id": group.account_id,
        "region": group.region,
        "why": "change" if seen else "schedule",
        "containments": [
            {
                "arn": item["arn"],
                "generation": item["generation"],
                "incident_id": item["incident_id"],
            }
            for item in claimed
        ],
        "seen": seen,
    }
    clients.client("lambda").invoke(
        FunctionName=_functions()[group.playbook],
        InvocationType="Event",
        Payload=json.dumps({"monitor": request}).encode(),
    )

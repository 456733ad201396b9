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
from typing import TYPE_CHECKING, NamedTuple, TypedDict, TypeVar

from guardduty_response.aws import clients
from guardduty_response.aws.log import log, metric
from guardduty_response.decision import configuration
from guardduty_response.errors import ConfigError, ResponseError
from guardduty_response.incident import notifications
from guardduty_response.incident.moments import from_now, now
from guardduty_response.incident.outbox.message import reason_for
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.table import Table
from guardduty_response.monitoring import batch as batches
from guardduty_response.monitoring import due, executions, slots, upkeep

if TYPE_CHECKING:
    from guardduty_response.incident.model import (
        ChangeEvent,
        DueRecord,
        IncidentRecord,
        TargetRecord,
    )
    from guardduty_response.monitoring.watched_names import WatchedName

# What is claimed: it names a containment.
F = TypeVar("F", "DueRecord", "WatchedName")

BATCH = 50  # containments that an invocation checks
FOUND = 400  # due containments that are looked at, of each shard of the index
# A batch takes along what would be due this part of its interval later, so that fewer batches do.
_EARLY = 1 / 8
# The schedule comes again after a minute, and the watchdog ends after two.
WAIT_SECONDS, PAUSE_SECONDS = 45.0, 1.0
_DISABLED_MINUTES = 60  # until a playbook that is switched off is asked about again
FUNCTIONS = "GDR_MONITOR_FUNCTIONS"

Key = tuple[str, str, str, str]


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


def has_function(playbook: str) -> bool:
    """Tells whether a monitor function checks what the playbook contained."""
    return bool(_functions().get(playbook))


def dispatch(record: IncidentRepository) -> Dispatched:
    """Hands out what is due, oldest first, until nothing is or WAIT_SECONDS have passed.

    It waits for a slot while there is none: a batch takes seconds, the schedule comes each minute.
    What cannot be handed out or told delays nothing else; the first error is raised at the end.
    """
    until, table = time.monotonic() + WAIT_SECONDS, record.table
    containments = invocations = 0
    errors: list[Exception] = []
    groups = list(_groups(table))
    while groups:
        batch = slots.take(table, "schedule")
        if batch is None:
            if time.monotonic() >= until:
                break
            time.sleep(PAUSE_SECONDS)
            continue
        try:
            count = _hand_out(record, groups[0], batch, errors)
        except Exception as error:
            log("checks not handed out", detail=f"{type(error).__name__}: {error}"[:500])
            errors.append(error)
            slots.free(table, batch)
            count = 0
        containments, invocations = containments + count, invocations + bool(count)
        groups = _ordered(groups)
    waiting = sum(1 for group in groups for found in group.found if _is_due(found))
    if waiting:
        metric("ChecksWaiting", waiting, oldest=groups[0].found[0]["due_at"])
    if errors:
        raise errors[0]
    return {"containments": containments, "batches": invocations, "waiting": waiting}


def _groups(table: Table) -> Iterator[_Group]:
    """Yields what is due, in groups, that of the oldest first. Changes are older than anything."""
    due_now = [found for found in due.due_before(table, now(), FOUND) if not _is_claimed(found)]
    if not due_now:
        return
    grouped: dict[Key, list[DueRecord]] = {}
    for found in due_now:
        grouped.setdefault(_key(found), []).append(found)
    horizon = from_now(due.intervals()["later"] * 60 * _EARLY)
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
    return not _is_claimed(found) and found["due_at"] <= from_now(minutes * 60 * _EARLY)


def _hand_out(
    record: IncidentRepository, group: _Group, batch: str, errors: list[Exception]
) -> int:
    """Claims a batch of a group, takes it out of the group, and has it checked.

    Returns how many containments it has. What concerns one of them alone is added to ``errors``.
    """
    taken = group.found[:BATCH]
    del group.found[:BATCH]
    disabled = is_disabled(group.playbook)  # before the claims: what fails here leaves none
    claimed = claim_all(
        lambda found: due.claim(
            record.table, found, batch, due.interval_minutes(found["opened_at"])
        ),
        taken,
        errors,
    )
    claimed = [found for found in claimed if not _has_told(record, found, errors)]
    if claimed and disabled:
        settle_all(record.table, claimed, from_now(_DISABLED_MINUTES * 60))
        claimed = []
    if claimed:
        have_checked(record.table, batch, claimed)
    if not claimed or not has_function(group.playbook):
        slots.free(record.table, batch)
    return len(claimed)


def have_checked(
    table: Table, batch: str, claimed: list[DueRecord], seen: ChangeEvent | None = None
) -> None:
    """Has claimed containments of one account, Region and playbook checked.

    ``batch``: who claimed them. ``seen``: the change because of which. Where there is no monitor
    function, the incident machine verifies them.
    """
    try:
        if has_function(claimed[0]["playbook"]):
            _invoke(batch, claimed, seen)
        else:
            _start_old_way(table, claimed, seen)
    except Exception:
        _give_back(table, claimed, seen)
        slots.free(table, batch)
        raise


def _give_back(table: Table, claimed: list[DueRecord], seen: ChangeEvent | None) -> None:
    """Makes due at once what was claimed and is not checked; each by itself."""
    first = due.at_once()
    for found in claimed:
        try:
            if change := seen or found.get("seen"):
                due.put_first(
                    table,
                    found["arn"],
                    found["generation"],
                    change,
                    first,
                )
            else:
                due.settle(table, found, now())
        except Exception as error:  # its claim ends by itself
            _note_failure("claim not given back", found["arn"], error)


def claim_all(
    claim: Callable[[F], DueRecord | None], found: Iterable[F], errors: list[Exception]
) -> list[DueRecord]:
    """Claims all of them side by side, and returns what was won.

    Adds to ``errors`` why one could not be asked for: the others are checked all the same.
    """
    claims = [(entry["arn"], clients.POOL.submit(claim, entry)) for entry in found]
    claimed: list[DueRecord] = []
    for arn, asked in claims:
        try:
            if won := asked.result():
                claimed.append(won)
        except Exception as error:
            _note_failure("not claimed", arn, error)
            errors.append(error)
    return claimed


def _note_failure(message: str, arn: str, error: Exception) -> None:
    log(message, arn=arn, detail=f"{type(error).__name__}: {error}"[:500])


def settle_all(table: Table, claimed: list[DueRecord], due_at: str) -> None:
    """Gives claims back, and says when these containments are due again."""
    for done in [
        clients.POOL.submit(
            due.settle,
            table,
            found,
            due_at,
        )
        for found in claimed
    ]:
        done.result()


def is_disabled(playbook: str) -> bool:
    """Tells whether no remediation lets the playbook act any more: no function could verify."""
    try:
        return playbook not in configuration.load().active_playbooks
    except ConfigError:
        return False  # the check itself will report it


def _has_told(record: IncidentRepository, found: DueRecord, errors: list[Exception]) -> bool:
    """Tells people what a check left to be told, and makes it due again; returns whether it did.

    The monitor function has no topic. What cannot be told stays to be told, minutes later.
    """
    if not (found.get("why_unread") or found.get("why_lost")):
        return False
    named = found.get("seen") or found.get("read_again")
    seconds = due.RETRY_SECONDS if named else due.interval_of(found) * 60
    remove: tuple[str, ...] = ("why_unread", "why_lost")
    try:
        try:
            _tell(record, found)
        except ResponseError as error:  # somebody has deleted that record
            log("not told of a check", incident_id=found["incident_id"], detail=str(error)[:300])
        except Exception as error:  # one record that is broken keeps no other from being checked
            _note_failure("not told of a check", found["arn"], error)
            errors.append(error)
            seconds, remove = due.RETRY_SECONDS, ()
        due.settle(
            record.table,
            found,
            from_now(seconds),
            remove=remove,
        )
    except Exception as error:  # its claim ends by itself
        _note_failure("claim not given back", found["arn"], error)
        errors.append(error)
    return True


def _tell(record: IncidentRepository, found: DueRecord) -> None:
    """Notifies of what a check could not read, and of what is lost while an approval is awaited."""
    meta, targets = record.meta_and_targets(found["incident_id"])
    mine = [target for target in targets if target["arn"] == found["arn"]] or targets
    if not upkeep.is_monitored(meta):
        return
    if why := found.get("why_unread"):
        notifications.notify_unverified(record, meta, mine, why)
    if why := found.get("why_lost"):
        _tell_lost(record, meta, mine, found, why)


def _tell_lost(
    record: IncidentRepository,
    meta: IncidentRecord,
    targets: list[TargetRecord],
    found: DueRecord,
    why: str,
) -> None:
    """Notifies and escalates, once, that containment was lost while an approval is awaited.

    Nothing contains it before that: the machine waits for the approval, and asks for no other.
    """
    note = (
        f"Containment was lost while the incident waits for an approval: {why} It is contained"
        " again only when that is approved: approve it, or contain the resource yourself. This"
        " message is sent once."
    )
    draft = notifications.Draft(
        "problem",
        reason_for("lost", found["arn"], found.get("lost") or ""),
        note=note,
        escalate=True,
        entry=("lost while it waits for an approval", why),
        target=found["arn"],
        actor="watch",
    )
    notifications.notify(record, meta, targets, draft)


def _start_old_way(table: Table, claimed: list[DueRecord], seen: ChangeEvent | None) -> None:
    """Has the incident machine verify what no monitor function can: a recheck for each."""
    for found in claimed:
        change, again = seen or found.get("seen"), found.get("read_again")
        slot = change["event_id"] if change else found["due_at"]
        named = change or (again["change"] if again else None)
        why = batches.CHANGE if named else batches.SCHEDULE
        executions.start(found["incident_id"], why, slot, named)
        due_at, again = due.after_check(found, change)
        kept = {"read_again": again} if again else {}
        due.settle(table, found, due_at, ("seen", "read_again"), **kept)


def _common_change(claimed: list[DueRecord]) -> ChangeEvent | None:
    """Returns the change because of which all of them are due. None: each may have its own."""
    first = claimed[0].get("seen")
    return first if all(found.get("seen") == first for found in claimed) else None


def _invoke(batch: str, claimed: list[DueRecord], seen: ChangeEvent | None) -> None:
    """Starts the monitor function, and does not wait for it (AWS Lambda, InvocationType Event)."""
    seen = seen or _common_change(claimed)
    request = batches.of(batch, claimed, seen)
    clients.client("lambda").invoke(
        FunctionName=_functions()[claimed[0]["playbook"]],
        InvocationType="Event",
        Payload=json.dumps({"monitor": request}).encode(),
    )

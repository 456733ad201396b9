"""Has contained resources checked at once that an API call names, as CloudTrail tells of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.monitoring import dispatch, due, slots, watched_names
from guardduty_response.monitoring.schedule import Started, outside_change

if TYPE_CHECKING:
    from guardduty_response.incident.model import ChangeEvent, DueRecord
    from guardduty_response.monitoring.watched_names import WatchedName


def check(record: IncidentRepository, event: Mapping[str, object]) -> Started:
    """Has every containment checked that the call may have undone; returns their incidents.

    ``event``: a CloudTrail event as EventBridge delivers it. Where all slots are taken, what it
    names is due before everything else. The first error is raised at the end, so that Lambda
    repeats the event, twice, and then keeps it in the queue dead-letters.
    """
    call = outside_change(event)
    if call is None:
        return {"started": []}
    account, names, seen = call
    named = watched_names.named_by(record.table, account, names)
    started: list[str] = []
    errors: list[Exception] = []
    for batch in _batches(named):
        try:
            claimed = _check_batch(record, batch, seen, errors)
            started += [found["incident_id"] for found in claimed]
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return {"started": sorted(set(started))}


def _batches(named: list[WatchedName]) -> Iterator[list[WatchedName]]:
    """Yields what a monitor function checks together. A playbook that is off has none."""
    groups: dict[tuple[str, str], list[WatchedName]] = {}
    for found in named:
        if not dispatch.is_disabled(found["playbook"]):
            groups.setdefault((found["playbook"], found["region"]), []).append(found)
    for group in groups.values():
        for start in range(0, len(group), dispatch.BATCH):
            yield group[start : start + dispatch.BATCH]


def _check_batch(
    record: IncidentRepository,
    names: list[WatchedName],
    seen: ChangeEvent,
    errors: list[Exception],
) -> list[DueRecord]:
    """Has a batch checked, and adds to ``errors`` why something of it could not be claimed."""
    table, due_at = record.table, due.at_once()
    batch = slots.take(table, "change")
    if batch is None:
        for found in names:
            due.put_first(table, found["arn"], found["generation"], seen, due_at)
        return []
    claim = partial(_claim, record, batch, seen, due_at)
    claimed = dispatch.claim_all(claim, names, errors)
    if claimed:
        dispatch.have_checked(table, batch, claimed, seen)
    if not claimed or not dispatch.has_function(claimed[0]["playbook"]):
        slots.free(table, batch)
    return claimed


def _claim(
    record: IncidentRepository, batch: str, seen: ChangeEvent, due_at: str, found: WatchedName
) -> DueRecord | None:
    claimed = due.claim_for_change(
        record.table, found["arn"], found["generation"], batch, seen, due_at
    )
    if claimed is None:  # it leads to a containment that is not monitored any more
        watched_names.forget(record.table, found)
    return claimed

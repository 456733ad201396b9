"""Keeps when each monitored containment is checked next, and who checks it at this moment.

A containment that is monitored has an item CONTAINMENT#arn/0001#DUE beside its STATE. It is an item
of its own, because claims would otherwise meet the transactions in which a gate writes STATE, and
delay a containment (docs/decisions/0032).

The sparse index ``due`` finds these items: hash key ``due_shard`` ("0" to "7", by a hash of the
ARN), range key ``due_at`` (ISO 8601, UTC), and of the item ``arn``, ``generation``, ``account_id``,
``region``, ``playbook``, ``opened_at`` and ``claimed_until`` (projection INCLUDE). It is read
eventually consistently, so who means to check a containment first claims its item by a conditional
write. A claim that is not given back ends by itself.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict, cast

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.dynamodb_types import Values, item, plain
from guardduty_response.incident.containments import partition, sort_key
from guardduty_response.incident.moments import from_now, now
from guardduty_response.incident.table import (
    SHARDS,
    Table,
    condition_failed,
    number_of,
    shard_of,
)
from guardduty_response.monitoring.executions import seconds_to_next_slot

if TYPE_CHECKING:
    from guardduty_response.incident.model import (
        ChangeEvent,
        ContainmentRecord,
        DueRecord,
        ReadAgain,
    )

INDEX = "due"
# Longer than a batch is checked (it stops before), so a claim only ends where a function has died.
CLAIM_SECONDS = 600
# A change is due before everything else: in the year 1.
_FIRST_YEAR = "0001"
# Until what a passing fault kept from being read is read again.
RETRY_SECONDS = 180
# Until what an event named is read once more that was seen to hold. EC2 and IAM are eventually
# consistent: a read at once may show how it was before the call. Mostly a change is seen within
# seconds; the schedule comes every minute, so less would gain little.
READ_AGAIN_SECONDS = 60


class Intervals(TypedDict):
    """Declares the minutes between two checks, by how long a resource has been contained."""

    first_day: int
    first_week: int
    later: int


_DEFAULT_INTERVALS: Intervals = {"first_day": 15, "first_week": 60, "later": 360}


def intervals() -> Intervals:
    """Returns the deployment's intervals (environment GDR_MONITOR_INTERVALS)."""
    given = json.loads(os.environ.get("GDR_MONITOR_INTERVALS") or "{}")
    return cast("Intervals", {**_DEFAULT_INTERVALS, **given})


def interval_minutes(opened_at: str, at: datetime | None = None) -> int:
    """Returns the minutes between two checks of what was contained at ``opened_at``."""
    age = (at or datetime.now(UTC)) - datetime.fromisoformat(opened_at)
    known = intervals()
    if age < timedelta(days=1):
        return known["first_day"]
    return known["first_week"] if age < timedelta(days=7) else known["later"]


def interval_of(found: DueRecord) -> int:
    """Returns the minutes until a containment is checked again, as its claim says or its age."""
    return found.get("interval_minutes") or interval_minutes(found["opened_at"])


def after_check(found: DueRecord, change: ChangeEvent | None) -> tuple[str, ReadAgain | None]:
    """Returns when a containment that was checked is due again, and what is kept of ``change``.

    ``change``: because of which it was checked. It is read once more then, and the regular check
    comes no later for that. A batch may take the second check along too early: it stays due.
    """
    regular_at, known = from_now(interval_of(found) * 60), found.get("read_again")
    if known and known["regular_at"] > now():
        regular_at = min(regular_at, known["regular_at"])
    if change:
        known = {"at": from_now(READ_AGAIN_SECONDS), "regular_at": regular_at, "change": change}
    elif not known or known["at"] <= now():
        return regular_at, None
    return min(known["at"], regular_at), {**known, "regular_at": regular_at}


def next_slot() -> str:
    """Returns when a loss is answered again that was answered in this slot."""
    return from_now(seconds_to_next_slot() + 1)


def at_once() -> str:
    """Returns a due time that comes before all others."""
    return _FIRST_YEAR + now()[4:]


def is_change(due_at: str) -> bool:
    """Tells whether something is due because of a change."""
    return due_at.startswith(_FIRST_YEAR)


def jitter_seconds(arn: str, minutes: float) -> float:
    """Returns a part of ``minutes`` that is the same for an ARN and spreads many of them."""
    return minutes * 60 * (number_of(f"due {arn}") / 2**32)


def _key(arn: str, generation: int) -> dict[str, str]:
    return {"pk": partition(arn), "sk": sort_key(generation, "DUE")}


def get(table: Table, arn: str, generation: int) -> DueRecord | None:
    """Returns the DUE item of a containment, or None: it is not monitored."""
    found = table.get(*_key(arn, generation).values())
    return cast("DueRecord", found) if found and "due_at" in found else None


# -- begin and end ---------------------------------------------------------------------------------


def begin(table: Table, state: ContainmentRecord, incident_id: str, minutes: float) -> bool:
    """Makes a containment due within so many minutes, unless it is monitored. Returns whether.

    ``state``: its STATE item.
    """
    arn, generation = str(state["arn"]), int(state["generation"])
    created: DueRecord = {
        **_key(arn, generation),  # type: ignore[typeddict-item]
        "due_shard": shard_of(arn),
        "due_at": from_now(jitter_seconds(arn, minutes)),
        "arn": arn,
        "generation": generation,
        "account_id": str(state["account_id"]),
        "region": str(state["region"]),
        "playbook": str(state["playbook"]),
        "opened_at": str(state.get("opened_at") or now()),
        "incident_id": incident_id,
    }
    return table.put_if(created, "attribute_not_exists(due_at)")


def contained_again(table: Table, arn: str, generation: int) -> None:
    """Checks a resource soon that was contained again, and from then on as often as at first."""
    changes = {"opened_at": now(), "due_at": next_slot()}
    _update(table, arn, generation, changes, remove=["interval_minutes", "read_again"])


def end(table: Table, arn: str, generation: int) -> None:
    """Ends the checks of a containment. Safe to repeat.

    Its item stays: no function may delete an item of a containment.
    """
    remove = ["due_shard", "due_at", "claim", "claimed_until", "seen", "read_again"]
    remove += ["why_unread", "lost", "why_lost"]
    _update(table, arn, generation, {"ended_at": now()}, remove=remove)


# -- claims ----------------------------------------------------------------------------------------


def claim(table: Table, found: DueRecord, batch: str, minutes: int) -> DueRecord | None:
    """Claims what the index has found due for a batch. Returns the item, or None.

    None: somebody else has claimed or checked it meanwhile, or it is not monitored any more.
    ``minutes``: between this check and the next. It is due again when the claim ends: a batch that
    dies each time comes behind what waits by then, and keeps nothing else from being checked.
    """
    return _claim(
        table,
        found,
        {"claim": batch, "interval_minutes": minutes, "due_at": from_now(CLAIM_SECONDS)},
        "due_at = :was AND (attribute_not_exists(claimed_until) OR claimed_until < :now)",
        {":was": found["due_at"], ":now": now()},
    )


def claim_for_change(
    table: Table,
    arn: str,
    generation: int,
    batch: str,
    seen: ChangeEvent | None = None,
    due_at: str = "",
) -> DueRecord | None:
    """Claims a containment that a change names, also from a batch: that may have read before.

    ``seen``: the change, which is kept with ``due_at`` (as ``at_once`` gives it) until the
    containment was read: if the batch dies, what it named is due when the claim ends.
    """
    found: DueRecord = {"arn": arn, "generation": generation}
    changes: DueRecord = {"claim": batch}
    if seen:
        changes |= {"seen": seen, "due_at": due_at or at_once()}
    return _claim(table, found, changes, "attribute_exists(due_at)", {})


def _claim(
    table: Table, found: DueRecord, changes: Values, condition: str, values: Values
) -> DueRecord | None:
    changes = {**changes, "claimed_until": from_now(CLAIM_SECONDS)}
    request = table.update_request(_key(found["arn"], found["generation"]), changes)
    request["ConditionExpression"] += f" AND {condition}"
    request["ExpressionAttributeValues"] |= item(values)
    request["ReturnValues"] = "ALL_NEW"
    try:
        answer = table.client.update_item(TableName=table.name, **request)
    except ClientError as error:
        if condition_failed(error):
            return None
        raise
    return cast("DueRecord", plain(answer["Attributes"]))


def put_first(table: Table, arn: str, generation: int, seen: ChangeEvent, due_at: str) -> bool:
    """Makes a containment due before all others, because of a change that nobody can look at now.

    ``due_at``: as ``at_once`` gives it; what has the same is checked together. Returns whether it
    is monitored.
    """
    changes = {"due_at": due_at, "seen": seen}
    return _update(
        table,
        arn,
        generation,
        changes,
        remove=["claim", "claimed_until"],
    )


def settle(
    table: Table,
    checked: DueRecord,
    due_at: str,
    remove: tuple[str, ...] = (),
    **fields: object,
) -> bool:
    """Gives a claim back and says when the containment is due again.

    ``remove``: fields; what has a value in ``fields`` stays. Returns False when the claim is
    somebody else's by now, whose check counts.
    """
    return _update(
        table,
        checked["arn"],
        checked["generation"],
        {"due_at": due_at, **fields},
        remove=["claim", "claimed_until", *(name for name in remove if name not in fields)],
        only_if={"claim": checked["claim"]},
    )


def _update(
    table: Table,
    arn: str,
    generation: int,
    changes: Values,
    remove: list[str] | None = None,
    only_if: Values | None = None,
) -> bool:
    """Updates the DUE item of a containment that is monitored; returns whether it was."""
    request = table.update_request(
        _key(arn, generation),
        changes,
        remove=remove,
        only_if=only_if,
    )
    request["ConditionExpression"] += " AND attribute_exists(due_at)"
    try:
        table.write(table.client.update_item, TableName=table.name, **request)
    except ClientError as error:
        if condition_failed(error):
            return False
        raise
    return True


# -- what is due -----------------------------------------------------------------------------------


def due_before(table: Table, horizon: str, limit: int) -> list[DueRecord]:
    """Returns what the index knows to be due before ``horizon``, oldest first.

    At most ``limit`` of each shard. What is claimed is among it; the index may lag by a moment.
    """
    pages = [
        clients.POOL.submit(
            table.client.query,
            TableName=table.name,
            IndexName=INDEX,
            KeyConditionExpression="due_shard = :shard AND due_at <= :horizon",
            ExpressionAttributeValues=item({":shard": str(shard), ":horizon": horizon}),
            Limit=limit,
        )
        for shard in range(SHARDS)
    ]
    found = [plain(stored) for page in pages for stored in page.result()["Items"]]
    return cast("list[DueRecord]", sorted(found, key=lambda stored: str(stored["due_at"])))

"""Finds the incidents in progress, and those that are monitored, through a sparse index.

The index ``incidents`` has the hash key ``open`` and the range key ``updated_at``; of each record
it has what ``model.IndexedIncident`` declares. Its hash key spreads incidents over eight values,
because every update of a record is written to the index as well, and DynamoDB refuses writes to the
table while a key of its index takes no more. Records of earlier releases have the value without a
number until their status changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from guardduty_response.aws.dynamodb_types import item
from guardduty_response.incident.statuses import IN_PROGRESS, WATCHED, Status
from guardduty_response.incident.table import SHARDS, shard_of

if TYPE_CHECKING:
    from guardduty_response.incident.model import IndexedIncident
    from guardduty_response.incident.table import Table

INDEX = "incidents"
PROGRESS, HELD = "1", "held"


def value_of(incident_id: str, status: Status) -> str:
    """Returns the hash key of an incident, "1#0" or "held#7"; empty: it is not in the index."""
    kind = PROGRESS if status in IN_PROGRESS else HELD if status in WATCHED else ""
    if not kind:
        return ""
    return f"{kind}#{shard_of(incident_id)}"


def in_progress(table: Table, before: str = "") -> list[IndexedIncident]:
    """Returns incidents in progress, longest unchanged first. ``before``: only those whose last
    change is older (ISO 8601).
    """
    return _found(table, PROGRESS, "<", before or "9")


def monitored(table: Table, since: str = "") -> list[IndexedIncident]:
    """Returns incidents that are monitored, longest unchanged first. ``since``: only those that
    changed later. The index may lag by a moment.
    """
    return _found(table, HELD, ">", since or "0")


def _found(table: Table, kind: str, comparison: str, time: str) -> list[IndexedIncident]:
    found: list[IndexedIncident] = []
    for value in (kind, *(f"{kind}#{shard}" for shard in range(SHARDS))):
        page = table.query(
            IndexName=INDEX,
            KeyConditionExpression=f"#o = :o AND updated_at {comparison} :time",
            ExpressionAttributeNames={"#o": "open"},
            ExpressionAttributeValues=item({":o": value, ":time": time}),
        )
        found += cast("list[IndexedIncident]", page)
    return sorted(found, key=lambda meta: meta["updated_at"])

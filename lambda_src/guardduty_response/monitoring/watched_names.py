"""Finds the containments that an API call may undo, by the names in it.

Each identifier that a call undoing a containment would name leads to it by an item of its own,
WATCHED#account#identifier: an event costs a query for each name in it, however much is contained.
The identifier is in small letters, because IAM's names are not distinguished by case. Items of
earlier versions have it as it was written, so names are looked up and removed in both forms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypedDict, cast

from guardduty_response.aws import clients
from guardduty_response.aws.dynamodb_types import item
from guardduty_response.incident.table import Table

if TYPE_CHECKING:
    from guardduty_response.incident.model import ContainmentRecord

_KEY_BYTES = 1500  # DynamoDB: 2,048 bytes a partition key


class WatchedName(TypedDict, total=False):
    """Declares the item by which a call's parameter leads to a containment that it may undo."""

    pk: str  # WATCHED#account#identifier
    sk: str
    arn: str
    generation: int
    account_id: str
    region: str
    playbook: str


def _partition(account_id: str, name: str) -> str:
    if len(name.encode()) > _KEY_BYTES:
        name = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    return f"WATCHED#{account_id}#{name}"


def _both(account_id: str, names: Iterable[str]) -> set[str]:
    """Returns the partitions that the names may have: in small letters, and as they are written."""
    forms = {form for name in names if name for form in (name.lower(), name)}
    return {_partition(account_id, form) for form in forms}


def _sort(arn: str, generation: int) -> str:
    return f"{generation:04d}#{hashlib.sha256(arn.encode()).hexdigest()[:32]}"


def write(table: Table, state: ContainmentRecord, names: Iterable[str]) -> None:
    """Lets each name lead to the containment of a STATE item. Safe to repeat."""
    arn, generation, account_id = state["arn"], int(state["generation"]), state["account_id"]
    written = []
    for name in {name.lower() for name in names} - {""}:
        values: WatchedName = {
            "pk": _partition(account_id, name),
            "sk": _sort(arn, generation),
            "arn": arn,
            "generation": generation,
            "account_id": account_id,
            "region": state["region"],
            "playbook": state["playbook"],
        }
        written.append(clients.POOL.submit(table.put, values))
    for put in written:
        put.result()


def remove(table: Table, account_id: str, arn: str, generation: int, names: Iterable[str]) -> None:
    """Lets the names lead to the containment no more. Safe to repeat."""
    keys = [
        item({"pk": partition, "sk": _sort(arn, generation)})
        for partition in _both(account_id, names)
    ]
    deleted = [
        clients.POOL.submit(table.write, table.client.delete_item, TableName=table.name, Key=key)
        for key in keys
    ]
    for done in deleted:
        done.result()


def forget(table: Table, found: WatchedName) -> None:
    """Removes what leads to a containment that is not monitored any more."""
    key = item({"pk": found["pk"], "sk": found["sk"]})
    table.write(table.client.delete_item, TableName=table.name, Key=key)


def named_by(table: Table, account_id: str, names: Iterable[str]) -> list[WatchedName]:
    """Returns the containments that any of the names leads to, each once."""
    queries = [
        clients.POOL.submit(
            table.query,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=item({":pk": partition}),
        )
        for partition in _both(account_id, names)
    ]
    found = {
        (stored["arn"], stored["generation"]): stored
        for query in queries
        for stored in query.result()
    }
    return [cast("WatchedName", found[place]) for place in sorted(found)]

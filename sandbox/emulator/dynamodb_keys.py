"""Patches of MiniStack's authorization of DynamoDB calls: the partition keys that a call names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .ministack import actions, dynamodb
from .patching import Original, patch

Json = dict[str, Any]


def _partition_key(table: str) -> str:
    """Return the name of a table's partition key; empty when there is no such table."""
    schema = (dynamodb._tables.get(table.rpartition("/")[2]) or {}).get("KeySchema") or []
    return next((key["AttributeName"] for key in schema if key["KeyType"] == "HASH"), "")


def _queried(request: Json, name: str) -> Iterator[Json]:
    """Yield the value that a Query of the table compares its partition key with."""
    names: Json = request.get("ExpressionAttributeNames") or {}
    condition = str(request.get("KeyConditionExpression") or "")
    for left, right in re.findall(r"([#\w]+)\s*=\s*(:\w+)", condition):
        if names.get(left, left) == name and not request.get("IndexName"):
            yield (request.get("ExpressionAttributeValues") or {}).get(right) or {}


def _named(request: Json) -> Iterator[Json]:
    """Yield the values of the partition keys that a request names, of each item of it."""
    for item in request.get("TransactItems") or []:
        for operation in item.values():
            yield from _named(operation)
    for table, entries in (request.get("RequestItems") or {}).items():
        operations = entries.get("Keys", []) if isinstance(entries, dict) else entries
        for operation in operations:
            keys = operation.get("PutRequest") or operation.get("DeleteRequest")
            yield from _named({"TableName": table, **(keys or {"Key": operation})})
    if name := _partition_key(str(request.get("TableName") or "")):
        for place in ("Key", "Item"):
            if name in (request.get(place) or {}):
                yield request[place][name]
        yield from _queried(request, name)


@patch(
    actions,
    "dynamodb_service_context",
    restores=(
        "dynamodb:LeadingKeys has the partition keys that a request names; in a transaction those"
        " of all its items, for each (the strictest reading)"
    ),
)
def dynamodb_service_context(original: Original, body: bytes) -> Json:
    context: Json = dict(original(body))
    try:
        request = json.loads(body or b"{}")
        keys = [str(value) for named in _named(request) for value in named.values()]
    except (ValueError, AttributeError, TypeError, KeyError):
        return context  # the call is refused for its form
    return {**context, "dynamodb:LeadingKeys": keys} if keys else context

"""Makes the incident table, with the indexes that Terraform gives it."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.repository import ROOT

_TABLE_TF = (ROOT / "modules/incident/main.tf").read_text()
_PROJECTIONS = [
    json.loads(found) for found in re.findall(r"non_key_attributes\s*= (\[.*\])", _TABLE_TF)
]
# What the index "incidents" has of an incident.
INDEXED: list[str] = _PROJECTIONS[0]
# What the index "outbox" has of a message.
WAITING: list[str] = _PROJECTIONS[1]
# What the index "due" has of a containment that is monitored.
DUE = ["arn", "generation", "account_id", "region", "playbook", "opened_at", "claimed_until"]
assert all(sorted(found) == sorted(DUE) for found in _PROJECTIONS[2:])


def _index(name: str, range_key: str, projection: Any, hash_key: str = "") -> Any:
    keys = {hash_key or name: "HASH", range_key: "RANGE"}
    schema = [{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()]
    return {"IndexName": name, "Projection": projection, "KeySchema": schema}


def create_table(client: Any, name: str) -> None:
    """Creates an empty incident table."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": n, "AttributeType": "S"}
            for n in (
                "pk",
                "sk",
                "open",
                "updated_at",
                "outbox",
                "written_at",
                "due_shard",
                "due_at",
            )
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            _index(
                "incidents",
                "updated_at",
                {"ProjectionType": "INCLUDE", "NonKeyAttributes": INDEXED},
                hash_key="open",
            ),
            _index(
                "outbox",
                "written_at",
                {"ProjectionType": "INCLUDE", "NonKeyAttributes": WAITING},
            ),
            _index(
                "due",
                "due_at",
                {"ProjectionType": "INCLUDE", "NonKeyAttributes": DUE},
                hash_key="due_shard",
            ),
        ],
    )

"""Links a planned target to its containment, as the playbook function's plan does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import boto3
from guardduty_response.containment.contract import Target
from guardduty_response.incident.containments import partition
from guardduty_response.incident.model import TargetReference
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.table import incident_key
from guardduty_response.incident.target_repository import target_key

_NAMES = ("kind", "id", "arn", "account_id", "region")


def link(
    record: IncidentRepository,
    incident_id: str,
    target: Target,
    playbook: str,
    immutable_id: str = "",
) -> Target:
    """Returns the target as it is linked to a containment, new or joined."""
    named = cast("TargetReference", {name: getattr(target, name) for name in _NAMES})
    joined = record.containments.join(named, incident_id, playbook, immutable_id)
    record.put_target(
        incident_id,
        named | {"generation": joined.generation, "opened_by": joined.opened_by},
    )
    return target._replace(generation=joined.generation, opened_by=joined.opened_by)


def erase(record: IncidentRepository, arn: str) -> None:
    """Deletes a resource's containment, as if another deployment had made it."""
    pk = partition(arn)
    found = record.table.query(
        KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": pk}}
    )
    client = boto3.client(  # of nobody whose role may not delete it
        "dynamodb",
        region_name=record.table.client.meta.region_name,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    for stored in found:
        key = {"pk": {"S": pk}, "sk": {"S": stored["sk"]}}
        client.delete_item(TableName=record.table.name, Key=key)


def forget(record: IncidentRepository, incident_id: str, target: Mapping[str, Any]) -> None:
    """Replaces the TARGET item by one that knows nothing, linked to no containment."""
    empty: dict[str, Any] = {name: {} for name in ("actions", "before", "evidence")}
    record.table.put(
        {
            "pk": incident_key(incident_id),
            "sk": target_key(target["kind"], target["id"]),
            **target,
            **empty,
            "checks": [],
            "generation": 0,
            "status": "OPEN",
        }
    )

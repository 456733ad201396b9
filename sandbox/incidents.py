"""Incidents as the record in DynamoDB tells them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from . import containments, settings
from .clients import Aws
from .settings import SandboxError

Json = dict[str, Any]
_MAIN = (
    "incident_id",
    "finding_id",
    "finding_type",
    "account_id",
    "region",
    "mode",
    "decision",
    "status",
)
_MORE = (
    "severity",
    "title",
    "reasons",
    "playbook",
    "sample",
    "emissions",
    "opened_at",
    "updated_at",
    "execution",
    "report_key",
)
_decode = TypeDeserializer().deserialize


def _plain(value: object) -> Any:
    """DynamoDB's numbers and sets as JSON has them."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, set, tuple)):
        return [_plain(item) for item in value]
    return value


def _item(raw: Json) -> Json:
    return {key: _plain(_decode(value)) for key, value in raw.items()}


def _target(item: Json) -> Json:
    actions = [
        {name: value for name, value in action.items() if name not in ("pk", "sk")}
        for action in (
            {"name": name, **value} for name, value in (item.get("actions") or {}).items()
        )
    ]
    actions.sort(key=lambda action: str(action.get("at", "")))
    shape: Json = {
        "kind": item.get("kind"),
        "id": item.get("id"),
        "status": item.get("status"),
        "actions": actions,
    }
    for name in (
        "arn",
        "account_id",
        "region",
        "verdict",
        "checks",
        "before",
        "evidence",
        "restored",
        "breach",
    ):
        if item.get(name) is not None:
            shape[name] = item[name]
    return shape


def shape(items: list[Json]) -> Json:
    """Return an incident from its items: META, TARGET#..., EVENT#..."""
    meta = next(item for item in items if item["sk"] == "META")
    incident: Json = {name: meta.get(name) for name in _MAIN}
    incident["targets"] = [_target(item) for item in items if item["sk"].startswith("TARGET#")]
    known = {(target["kind"], target["id"]) for target in incident["targets"]}
    for target in meta.get("targets") or []:
        if (target.get("kind"), target.get("id")) not in known:
            incident["targets"].append({"status": None, "actions": [], **target})
    events = sorted(
        (item for item in items if item["sk"].startswith("EVENT#")),
        key=lambda item: str(item["sk"]),
    )
    incident["timeline"] = [
        {
            name: item[name]
            for name in ("at", "event", "detail", "actor", "target")
            if item.get(name) is not None
        }
        for item in events
    ]
    incident.update({name: meta.get(name) for name in _MORE if name in meta})
    return incident


class Incidents:
    """The incident table of the sandbox."""

    def __init__(self, aws: Aws, table: str) -> None:
        self._table = table
        self._dynamodb = aws.client("dynamodb", settings.SECURITY_ACCOUNT)

    def find(self, name: str) -> Json | None:
        """Return an incident, or None."""
        items = [self._with_containment(item) for item in self.partition(f"INCIDENT#{name}")]
        return shape(items) if any(item["sk"] == "META" for item in items) else None

    def partition(self, key: str) -> list[Json]:
        """Return the items of a partition, by their sort keys."""
        items: list[Json] = []
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": key}},
        )
        for page in pages:
            items += [_item(raw) for raw in page["Items"]]
        return items

    def _with_containment(self, item: Json) -> Json:
        found = containments.place(item) if item["sk"].startswith("TARGET#") else None
        if found is None:
            return item
        return containments.joined(item, self.partition(f"CONTAINMENT#{found[0]}"))

    def get(self, name: str) -> Json:
        """Return an incident; SandboxError when there is none."""
        found = self.find(name)
        if found is None:
            raise SandboxError(
                f"There is no incident {name}. List them with: .venv/bin/python -m sandbox"
                " incidents"
            )
        return found

    def all(self) -> list[Json]:
        """Return every incident (without targets' details and timeline), oldest first."""
        items: list[Json] = []
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            ConsistentRead=True,
            FilterExpression="sk = :meta AND begins_with(pk, :incident)",
            ExpressionAttributeValues={":meta": {"S": "META"}, ":incident": {"S": "INCIDENT#"}},
        )
        for page in pages:
            items += [_item(raw) for raw in page["Items"]]
        return sorted(
            (shape([item]) for item in items), key=lambda incident: str(incident.get("opened_at"))
        )

    def opened_since(self, at: str) -> Json | None:
        """Return the first incident opened at or after a moment: for findings without an id."""
        fresh = [item for item in self.all() if str(item.get("opened_at")) >= at]
        return self.find(fresh[0]["incident_id"]) if fresh else None

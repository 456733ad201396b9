"""Sessions of member roles whose clients a lab watches, and the table that all labs have."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import boto3
from guardduty_response.aws import clients
from guardduty_response.containment.gate import Gate
from guardduty_response.containment.session_policy import changes

_HOOKING = threading.Lock()


class WatchedSession(clients.Session):
    """A role session that shows each of its clients to ``hook``, once, before it is used."""

    def __init__(
        self,
        hook: Callable[[Any], None],
        role_arn: str,
        region: str,
        policy: dict[str, Any],
        gate: Gate | None = None,
    ) -> None:
        permit = gate.permit if gate and changes(policy) else None
        super().__init__(role_arn, "lab", region, policy, permit)
        self._hook = hook

    def client(self, service: str, region: str = "") -> Any:
        """Returns a client that is watched."""
        client = super().client(service, region)
        with _HOOKING:  # branches share a session's clients
            watch_once(client, self._hook)
        return client


def watch_once(client: Any, hook: Callable[[Any], None]) -> None:
    """Shows a client to ``hook``, if that has not happened yet."""
    if not getattr(client, "_hooked", False):
        hook(client)
        client._hooked = True


def create_incident_table(region: str) -> None:
    """Creates an empty table for incidents, without its index."""
    boto3.client("dynamodb", region_name=region).create_table(
        TableName="incidents",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
        ],
    )

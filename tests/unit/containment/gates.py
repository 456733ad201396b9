"""Makes gates on an incident's target, as the functions' steps have them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from guardduty_response.aws.dynamodb_types import item
from guardduty_response.containment import gate as gates
from guardduty_response.containment.contract import Context, Target
from guardduty_response.containment.gate import Gate
from guardduty_response.decision import configuration
from guardduty_response.incident.repository import IncidentRepository

from tests.unit.deployment import TABLE, Deployment
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import EXECUTION

Json = dict[str, Any]
LEASE, PLAN = f"RESOURCE#{ARN}", "plan-1"
MakeGate = Callable[..., Gate]


class Lab:
    """Holds an incident that contains i-1, has its lease, and has planned ``PLAN``."""

    def __init__(self, deployment: Deployment, incident: Callable[..., str]) -> None:
        self.deployment = deployment
        self.record = IncidentRepository(TABLE)
        self.incident_id = incident("i-1", plan_digest=PLAN)
        self.place = (ARN, 1)
        self.record.leases.acquire(ARN, EXECUTION, self.incident_id, 10)

    def gate(self, purpose: str = "change", **changes: Any) -> Gate:
        named = {
            "arn": ARN,
            "id": "i-1",
            "account_id": "222222222222",
            "principals": [],
            "generation": 1,
            "plan_digest": PLAN,
        }
        named |= {name: changes.pop(name) for name in named.keys() & changes.keys()}
        values: Json = {
            "record": self.record,
            "config": configuration.load(),
            "incident_id": self.incident_id,
            "execution": EXECUTION,
            "target": named,
            "meta": lambda: self.record.meta(self.incident_id),
            "purpose": purpose,
        }
        return Gate(**{**values, **changes})

    def control(self, name: str, **values: Any) -> None:
        """Writes a CONTROL item, as terraform apply and people do."""
        self.deployment.dynamodb.put_item(
            TableName=TABLE, Item=item({"pk": "CONTROL", "sk": name, **values})
        )

    def no_control(self, name: str) -> None:
        key = item({"pk": "CONTROL", "sk": name})
        self.deployment.dynamodb.delete_item(TableName=TABLE, Key=key)

    def befores(self) -> Json:
        """Returns what is recorded of the state before containment, by item."""
        return {
            found["name"]: found["value"]["inline"]
            for found in self.deployment.items(f"CONTAINMENT#{ARN}")
            if "#BEFORE#" in found["sk"] and "value" in found
        }

    def lease(self) -> Json:
        [found] = self.deployment.items(LEASE)
        return found


class Clock:
    """Replaces the clock that the gate's validity goes by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        clock = SimpleNamespace(monotonic=lambda: self.now, time=time.time)
        monkeypatch.setattr(gates, "time", clock)


class PausableGate(Gate):
    """Permits everything, or says what ``refuses`` holds. Asks no table."""

    refuses = ""

    def _refused_because(self, writes: Any) -> str:
        return self.refuses

    @classmethod
    def of(
        cls, lab: Any, context: Context, target: Target, incident_id: str, purpose: str = "change"
    ) -> PausableGate:
        """Makes a gate for a playbook's lab, and lets the context's sessions wait for it."""
        gate = cls(
            record=lab.record,
            config=context.config,
            incident_id=incident_id,
            execution="exec",
            target=target.reference(),
            meta=lambda: lab.record.meta(incident_id),
            purpose=purpose,
        )
        context.gate, context.assume = gate, partial(lab.assume, gate=gate)
        return gate

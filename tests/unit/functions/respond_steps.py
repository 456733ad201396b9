"""Runs the steps of the playbook function on an incident, for its tests."""

from __future__ import annotations

from typing import Any

from guardduty_response.functions import respond

from tests.support.repository import load_finding
from tests.unit.deployment import EXECUTIONS, Deployment
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import EXECUTION, call

SECOND = f"{EXECUTIONS}incident:two"


def open_incident(execution: str = EXECUTION, **event: Any) -> str:
    return str(
        call(
            "open",
            event={**load_finding(), **event},
            execution=execution,
        )["incident_id"]
    )


def run_step(
    step_name: str, incident_id: str, target: Any = None, execution: str = EXECUTION, **event: Any
) -> dict[str, Any]:
    whole = {
        "verb": step_name,
        "incident_id": incident_id,
        "execution": execution,
        **event,
    }
    return respond.handler(whole if target is None else {**whole, "targets": [target]}, None)


def lease_owners(deployment: Deployment, arn: str = ARN) -> list[str]:
    return [item["owner"] for item in deployment.items(f"RESOURCE#{arn}")]

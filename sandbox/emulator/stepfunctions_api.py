"""Patches of MiniStack's Step Functions API: starting executions, and making, changing and deleting
state machines.
"""

from __future__ import annotations

import json
from typing import Any

from .execution_state import PAYLOAD_LIMIT
from .ministack import responses, stepfunctions
from .patching import Original, patch


@patch(
    stepfunctions,
    "_start_execution",
    restores=(
        "an input beyond 256 KiB is refused; the same name and input while running answers with the"
        " same execution"
    ),
)
def start_execution(original: Original, data: dict[str, Any]) -> object:
    if len((data.get("input") or "").encode()) > PAYLOAD_LIMIT:
        message = (
            "Value at 'input' failed to satisfy constraint: Member must have length less than or"
            " equal to 262144"
        )
        return responses.error_response_json("ValidationException", message, 400)
    machine = stepfunctions._resolve_state_machine_arn(data.get("stateMachineArn", ""))
    if machine and data.get("name"):
        arn = machine.replace(":stateMachine:", ":execution:") + ":" + data["name"]
        running = stepfunctions._executions.get(arn)
        if (
            running
            and running["status"] == "RUNNING"
            and running["input"] == data.get("input", "{}")
        ):
            return responses.json_response({"executionArn": arn, "startDate": running["startDate"]})
    return original(data)


def _keep_tracing(data: dict[str, Any], arn: str | None) -> None:
    machine = stepfunctions._state_machines.get(arn) if arn else None
    if machine is not None and (
        "tracingConfiguration" in data or "tracingConfiguration" not in machine
    ):
        machine["tracingConfiguration"] = data.get("tracingConfiguration") or {"enabled": False}


@patch(
    stepfunctions,
    "_create_state_machine",
    restores=(
        "DescribeStateMachine shows the tracing configuration (upstream forgets it: Terraform"
        " drift)"
    ),
)
def create_state_machine(original: Original, data: dict[str, Any]) -> object:
    status, headers, body = original(data)
    if status < 400:
        _keep_tracing(data, json.loads(body)["stateMachineArn"])
    return status, headers, body


@patch(
    stepfunctions,
    "_update_state_machine",
    restores="UpdateStateMachine changes the tracing configuration",
)
def update_state_machine(original: Original, data: dict[str, Any]) -> object:
    answer = original(data)
    if answer[0] < 400:
        _keep_tracing(data, data.get("stateMachineArn"))
    return answer


@patch(
    stepfunctions,
    "_delete_state_machine",
    restores=(
        "deleting a state machine that is gone succeeds, and executions that start meanwhile do not"
        " break it"
    ),
)
def delete_state_machine(original: Original, data: dict[str, Any]) -> object:
    if data.get("stateMachineArn") not in stepfunctions._state_machines:
        return responses.json_response({})
    try:
        return original(data)
    except RuntimeError:  # an execution started while upstream walked through them all
        return responses.json_response({})

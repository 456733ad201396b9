"""Patches of MiniStack's Step Functions: what an execution does itself (starts another execution,
reads and writes items of a table) it does with its machine's role.
"""

from __future__ import annotations

import json
from typing import Any

from . import service_roles
from .execution_state import running_execution
from .faults import FAULTS
from .ministack import responses, stepfunctions
from .patching import Original, patch


def _refusal(action: str, target: str, keys: dict[str, Any] | None = None) -> str | None:
    execution = running_execution()
    if execution is None:
        return None
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) or {}
    role = machine.get("roleArn", "")
    source = execution["stateMachineArn"]
    return service_roles.role_refusal(role, "states.amazonaws.com", action, target, source, keys)


@patch(
    stepfunctions,
    "_invoke_dynamodb",
    restores=(
        "dynamodb:putItem, getItem, updateItem and deleteItem need the machine's role to allow"
        " them, also by dynamodb:LeadingKeys"
    ),
)
def invoke_dynamodb(original: Original, operation: str, data: dict[str, Any]) -> object:
    name = operation[0].upper() + operation[1:]
    keys = data.get("Item") or data.get("Key") or {}
    account = responses.get_account_id()
    table = f"arn:aws:dynamodb:{responses.get_region()}:{account}:table/{data.get('TableName')}"
    leading = [next(iter(value.values())) for key, value in keys.items() if key == "pk"]
    refusal = _refusal(f"dynamodb:{name}", table, {"dynamodb:LeadingKeys": leading})
    if refusal:
        raise stepfunctions._ExecutionError("DynamoDB.AmazonDynamoDBException", refusal)
    for fault in FAULTS.match("dynamodb", name, account, json.dumps(data)):
        if fault.error:
            raise stepfunctions._ExecutionError(
                f"DynamoDB.{fault.error}",
                fault.message or f"The sandbox was asked to fail dynamodb:{name}.",
            )
    return original(operation, data)


@patch(
    stepfunctions,
    "_invoke_nested_start_execution",
    restores=(
        "states:startExecution needs the machine's role to allow it, and its errors are named"
        " StepFunctions.<name>Exception"
    ),
)
def invoke_nested_start_execution(
    original: Original, resource: str, data: dict[str, Any]
) -> object:
    target = str(data.get("StateMachineArn", ""))
    if refusal := _refusal("states:StartExecution", target):
        raise stepfunctions._ExecutionError("StepFunctions.AWSStepFunctionsException", refusal)
    for fault in FAULTS.match(
        "states", "StartExecution", responses.get_account_id(), json.dumps(data)
    ):
        if fault.error:
            raise stepfunctions._ExecutionError(
                f"StepFunctions.{fault.error}",
                fault.message or "The sandbox was asked to fail states:StartExecution.",
            )
    try:
        return original(resource, data)
    except stepfunctions._ExecutionError as error:
        if error.error.startswith("States."):
            raise
        name = error.error if error.error.endswith("Exception") else f"{error.error}Exception"
        raise stepfunctions._ExecutionError(f"StepFunctions.{name}", error.cause) from None

"""Patch of MiniStack's Step Functions: an execution that starts another one does so with its
machine's role.
"""

from __future__ import annotations

import json
from typing import Any

from . import service_roles
from .execution_state import running_execution
from .faults import FAULTS
from .ministack import responses, stepfunctions
from .patching import Original, patch


def _refusal(target: str) -> str | None:
    execution = running_execution()
    if execution is None:
        return None
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) or {}
    role = machine.get("roleArn", "")
    source = execution["stateMachineArn"]
    return service_roles.role_refusal(
        role, "states.amazonaws.com", "states:StartExecution", target, source
    )


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
    if refusal := _refusal(target):
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

"""A state machine starts another execution: with its role's power only, and what fails has AWS's
name and can be caught.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import ALLOW_ALL, SECURITY, Control, Identity, allow
from tests.support.patience import until

Machine = Callable[..., str]
RESOURCE = "arn:aws:states:::states:startExecution"
FAULTY = '"n": 7'


@pytest.fixture(scope="module")
def child(machine: Machine) -> str:
    return machine(
        {
            "Echo": {
                "Type": "Pass",
                "Output": "{% $states.input %}",
                "End": True,
            }
        },
        "Echo",
    )


def _run(aws: Aws, arn: str, data: object) -> dict[str, Any]:
    states = aws.client("stepfunctions", SECURITY)
    execution = states.start_execution(stateMachineArn=arn, input=json.dumps(data))["executionArn"]
    until(
        lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING",
        f"{execution} ends",
    )
    output: dict[str, Any] = json.loads(states.describe_execution(executionArn=execution)["output"])
    return output


@pytest.fixture
def start(aws: Aws, machine: Machine, identity: Identity) -> Callable[..., dict[str, Any]]:
    """Run a machine that starts one execution; its task's result, or the error it caught."""

    def run(data: object, policy: Any = ALLOW_ALL, **arguments: object) -> dict[str, Any]:
        catch = {
            "ErrorEquals": ["States.ALL"],
            "Output": "{% $states.errorOutput %}",
            "Next": "Caught",
        }
        task = {
            "Type": "Task",
            "Resource": RESOURCE,
            "Arguments": arguments,
            "Catch": [catch],
            "End": True,
        }
        role = identity.role(policy, account=SECURITY, service="states.amazonaws.com")
        return _run(
            aws, machine({"Start": task, "Caught": {"Type": "Succeed"}}, "Start", role=role), data
        )

    return run


@pytest.mark.smoke
def test_the_other_execution_gets_the_object(
    aws: Aws, child: str, start: Callable[..., dict[str, Any]]
) -> None:
    started = start(
        {"n": 7}, StateMachineArn=child, Input={"n": "{% $states.input.n %}", "list": [1]}
    )
    states = aws.client("stepfunctions", SECURITY)
    shown = until(lambda: _ended(states, started["ExecutionArn"]), "the child ends")
    assert json.loads(shown["output"]) == {"n": 7, "list": [1]}


def _ended(states: Any, execution: str) -> Any:
    shown = states.describe_execution(executionArn=execution)
    return shown if shown["status"] == "SUCCEEDED" else None


def test_the_role_must_allow_it(child: str, start: Callable[..., dict[str, Any]]) -> None:
    refused = start(
        {}, allow("states:StartExecution", f"{child}x"), StateMachineArn=child, Input={}
    )
    assert refused["Error"] == "StepFunctions.AWSStepFunctionsException"
    assert "states:StartExecution" in refused["Cause"]
    assert child in refused["Cause"]
    assert "ExecutionArn" in start(
        {}, allow("states:StartExecution", child), StateMachineArn=child, Input={}
    )


def test_errors_have_the_sdks_names(
    child: str, start: Callable[..., dict[str, Any]], control: Control
) -> None:
    assert (
        start({}, StateMachineArn=f"{child}x", Input={})["Error"]
        == "StepFunctions.StateMachineDoesNotExistException"
    )
    control(
        "POST",
        "faults",
        {
            "service": "states",
            "action": "StartExecution",
            "error": "ThrottlingException",
            "resource": FAULTY,
        },
    )
    assert (
        start({}, StateMachineArn=child, Input={"n": 7})["Error"]
        == "StepFunctions.ThrottlingException"
    )
    assert "ExecutionArn" in start({}, StateMachineArn=child, Input={"n": 6})

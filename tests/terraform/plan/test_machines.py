"""The state machines' definitions: what every state that can fail must have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.repository import ROOT

Json = dict[str, Any]
VALUES = {
    "partition": "aws",
    "incident_function_arn": "arn:aws:lambda:us-east-1:111111111111:function:incident",
    "playbook_functions": (
        '{"ec2_instance": {"act": "arn:aws:lambda:us-east-1:111111111111:function:playbook"}}'
    ),
    "timeout_seconds": "3600",
}
# Open and Close cannot be caught: there is no record yet, or nothing after it. Their failure ends
# the execution, and the watchdog hears of that. Notice is a machine's only state.
UNCAUGHT = {"Open", "Close", "Notice"}
LAMBDA_ERRORS = {
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
}


def _definition(name: str) -> Json:
    text = (ROOT / "modules" / "incident" / f"{name}.asl.json").read_text()
    for key, value in VALUES.items():
        text = text.replace(f"${{{key}}}", value)
    found: Json = json.loads(text)
    return found


def _machines(definition: Json) -> Iterator[Json]:
    """The definition and every machine inside its Parallel and Map states."""
    yield definition
    for state in definition["States"].values():
        for inner in [
            *state.get("Branches", []),
            *([state["ItemProcessor"]] if "ItemProcessor" in state else []),
        ]:
            yield from _machines(inner)


def _states(name: str) -> dict[str, Json]:
    return {
        state: node
        for machine in _machines(_definition(name))
        for state, node in machine["States"].items()
    }


ALL = {
    f"{machine}/{name}": node
    for machine in ("incident", "notice")
    for name, node in _states(machine).items()
}
TASKS = {name: node for name, node in ALL.items() if node["Type"] == "Task"}


@pytest.mark.parametrize("name", TASKS)
def test_tasks(name: str) -> None:
    """Retries with jitter for what passes by itself, a time-out, and a way on when it fails for
    good.
    """
    node = TASKS[name]
    # a retry would outlast its deadline: the loop around it asks again
    if name == "incident/First":
        assert "Retry" not in node
        assert node["Catch"][0]["ErrorEquals"] == ["States.ALL"]
        return
    retried = [error for retry in node["Retry"] for error in retry["ErrorEquals"]]
    # no function: containment waits for it, so it is tried for seconds only
    if name == "incident/StartOther":
        assert (
            retried == ["States.TaskFailed"]
            and node["TimeoutSeconds"] <= 15
            and node["Retry"][0]["MaxAttempts"] <= 2
        )
        assert node["Catch"][0]["ErrorEquals"] == ["States.ALL"]
        return
    assert set(retried) >= LAMBDA_ERRORS
    waits = ".waitForTaskToken" in node["Resource"]
    assert waits or {"TransientError", "States.Timeout"} <= set(retried)
    assert {retry["JitterStrategy"] for retry in node["Retry"]} == {"FULL"}
    assert all(retry["MaxDelaySeconds"] <= 20 for retry in node["Retry"])
    assert node["TimeoutSeconds"]
    caught = [error for catch in node.get("Catch", []) for error in catch["ErrorEquals"]]
    assert ("States.ALL" in caught) == (name.split("/")[1] not in UNCAUGHT)


@pytest.mark.parametrize("machine", ["incident", "notice"])
def test_machines_end_and_lead_somewhere(machine: str) -> None:
    definition = _definition(machine)
    assert definition["QueryLanguage"] == "JSONata"
    assert definition["TimeoutSeconds"] > 0
    for inner in _machines(definition):
        names, used = set(inner["States"]), {inner["StartAt"]}
        for node in inner["States"].values():
            ways = [
                node.get("Next"),
                node.get("Default"),
                *(choice["Next"] for choice in node.get("Choices", []) + node.get("Catch", [])),
            ]
            assert node.get("End") or node["Type"] == "Succeed" or any(ways)
            used |= {way for way in ways if way}
        assert used == names, "no state that is missing or never reached"


def test_nothing_of_jsonpath() -> None:
    for name, node in ALL.items():
        assert not {"InputPath", "ResultPath", "OutputPath", "Parameters", "ResultSelector"} & set(
            node
        ), name


def test_the_notice_machine_has_no_way_to_act() -> None:
    called = {
        node["Arguments"]["FunctionName"]
        for name, node in TASKS.items()
        if name.startswith("notice/")
    }
    assert called == {VALUES["incident_function_arn"]}


def test_states_carry_pointers_only() -> None:
    """The finding goes into Open alone; what a state hands on is chosen, never a whole result of
    unknown size.
    """
    for name, node in TASKS.items():
        payload = json.dumps(node["Arguments"].get("Payload", node["Arguments"].get("Input")))
        assert ("$states.input %}" in payload and '"event"' in payload) == (
            name in ("incident/Open", "notice/Notice")
        ), name
        assert "Output" in node, name

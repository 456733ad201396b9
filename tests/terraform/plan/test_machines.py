"""The state machines' definitions: what every state that can fail must have."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.asl_walker import FUNCTION, OWN_ARN, Json, definition

# Open and Close cannot be caught: there is no record yet, or nothing after it. Their failure ends
# the execution, and the watchdog hears of that. Notice is a machine's only state.
UNCAUGHT = {
    "incident/Open",
    "incident/OpenAgain",
    "incident/Close",
    "notice/Notice",
    "notice/NoticeAgain",
    "notice/Start",
}


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
        for machine in _machines(definition(name))
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
    """A time-out, retries with jitter for what passes by itself, and a way on when it fails for
    good. (tests/unit/functions/test_state_machine_definition.py looks at the lists.)
    """
    node = TASKS[name]
    assert node["TimeoutSeconds"]
    caught = [error for catch in node.get("Catch", []) for error in catch["ErrorEquals"]]
    assert ("States.ALL" in caught) == (name not in UNCAUGHT)
    # A retry would outlast what waits for them.
    if name in ("incident/CollectFirst", "incident/Warm"):
        assert "Retry" not in node
        return
    retries = [retry for retry in node["Retry"] if retry["MaxAttempts"]]
    assert {retry["JitterStrategy"] for retry in retries} == {"FULL"}
    assert all(retry["MaxDelaySeconds"] <= 30 for retry in retries)


@pytest.mark.parametrize("machine", ["incident", "notice"])
def test_machines_end_and_lead_somewhere(machine: str) -> None:
    whole = definition(machine)
    assert whole["QueryLanguage"] == "JSONata"
    assert whole["TimeoutSeconds"] > 0
    for inner in _machines(whole):
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
        if name.startswith("notice/") and "FunctionName" in node["Arguments"]
    }
    assert called == {f"{FUNCTION}incident"}
    [started] = [
        node["Arguments"]["StateMachineArn"]
        for name, node in TASKS.items()
        if name.startswith("notice/") and "StateMachineArn" in node["Arguments"]
    ]
    assert started == OWN_ARN, "the machine that decides again"


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

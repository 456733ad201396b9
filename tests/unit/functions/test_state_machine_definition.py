"""Checks what every state of the state machines must have."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonata
import pytest

from tests.support.asl_walker import Json, definition, states
from tests.support.repository import ROOT, skip_or_fail

MACHINES = ("incident", "notice")
ASL = ROOT / "tests" / "support" / "asl"
THROTTLED = {
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.SdkClientException",
    "Lambda.Unknown",
}


def _all() -> list[Any]:
    return [
        pytest.param(name, state, id=f"{machine}-{name}")
        for machine in MACHINES
        for name, state in states(definition(machine))
    ]


def _tasks() -> list[Any]:
    return [
        entry
        for entry in _all()
        if entry.values[1]["Type"] == "Task" and entry.values[0] != "StartOther"
    ]


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for member in value.values() for text in _strings(member)]
    if isinstance(value, list):
        return [text for member in value for text in _strings(member)]
    return [value] if isinstance(value, str) else []


# -- static ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "state"), _tasks())
def test_every_task_invokes_a_function_with_a_time_limit(name: str, state: Json) -> None:
    assert state["Resource"] in (
        "arn:aws:states:::lambda:invoke",
        "arn:aws:states:::lambda:invoke.waitForTaskToken",
    )
    assert (state["Resource"].endswith("Token")) == (name == "Approve")
    assert state["TimeoutSeconds"]


@pytest.mark.parametrize(("name", "state"), _tasks())
def test_every_task_repeats_throttling_with_jitter(name: str, state: Json) -> None:
    if name == "First":  # a repetition would outlast its deadline: the loop around it asks again
        assert "Retry" not in state
        return
    assert set(state["Retry"][0]["ErrorEquals"]) >= THROTTLED
    # A function that runs out of its own time, as when many start at once, is asked again.
    transient = {"TransientError", "Sandbox.Timedout"}
    assert any(transient <= set(retrier["ErrorEquals"]) for retrier in state["Retry"])
    for rule in state["Retry"]:
        assert (rule["JitterStrategy"], rule["BackoffRate"]) == ("FULL", 2)
        assert "States.ALL" not in rule["ErrorEquals"]
    repeats_timeouts = any("States.Timeout" in rule["ErrorEquals"] for rule in state["Retry"])
    assert repeats_timeouts == (name != "Approve")  # there a time-out is the answer


@pytest.mark.parametrize(("name", "state"), _tasks())
def test_every_task_catches_everything_unless_its_failure_must_end_the_machine(
    name: str, state: Json
) -> None:
    """Open, Notice and Close fail the execution: the watchdog hears of it and tells people."""
    if name in ("Open", "Notice", "Close"):
        assert "Catch" not in state
    else:
        assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


def test_no_state_passes_the_finding_on() -> None:
    for machine in MACHINES:
        for name, state in states(definition(machine)):
            texts = _strings({key: value for key, value in state.items() if key != "Comment"})
            if name in ("Open", "Notice"):
                assert state["Output"] in (
                    "{% {'next': $states.result.Payload.next} %}",
                    "{% $states.result.Payload %}",
                )
                continue
            said = [text.lower().replace("finding_key", "") for text in texts]
            assert not [
                text for text in said if "context.execution.input" in text or "finding" in text
            ]


@pytest.mark.parametrize(("name", "state"), _all())
def test_expressions_parse_and_nothing_is_a_json_path(name: str, state: Json) -> None:
    for text in _strings(state):
        if "{%" in text:
            assert text.startswith("{% ")
            assert text.endswith(" %}")
            jsonata.Jsonata(text[2:-2])
        else:
            assert not text.startswith("$")


@pytest.mark.parametrize("machine", MACHINES)
def test_every_state_can_be_reached_and_every_next_exists(machine: str) -> None:
    def check(part: Json) -> None:
        names, seen, todo = set(part["States"]), set(), [part["StartAt"]]
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            state = part["States"][name]
            todo += [rule["Next"] for rule in [*state.get("Choices", []), *state.get("Catch", [])]]
            todo += [state[key] for key in ("Next", "Default") if key in state]
            for inner in [
                *state.get("Branches", []),
                *([state["ItemProcessor"]] if "ItemProcessor" in state else []),
            ]:
                check(inner)
        assert seen == names

    check(definition(machine))


def test_the_notice_machine_has_no_way_to_act() -> None:
    assert "playbook" not in json.dumps(definition("notice"))


@pytest.mark.xdist_group("validator")  # one installs it
@pytest.mark.parametrize("machine", MACHINES)
def test_the_validator_of_the_states_language_agrees(machine: str, tmp_path: Path) -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        skip_or_fail("asl-validator needs Node.js (node, npm), which is not installed")
    if not (ASL / "node_modules").is_dir():
        got = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"],
            cwd=ASL,
            capture_output=True,
            text=True,
            check=False,
        )
        if got.returncode:
            skip_or_fail(f"asl-validator could not be installed: {got.stderr[-500:]}")
    (path := tmp_path / "machine.json").write_text(json.dumps(definition(machine)))
    command = [
        "node",
        "node_modules/asl-validator/dist/bin/asl-validator.js",
        "--json-path",
        str(path),
    ]
    got = subprocess.run(command, cwd=ASL, capture_output=True, text=True, check=False)
    assert got.returncode == 0, got.stdout + got.stderr

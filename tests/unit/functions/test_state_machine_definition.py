"""Checks what every state of the state machines must have."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import botocore.session
import jsonata
import pytest
from botocore.validate import ParamValidator
from guardduty_response.aws import errors

from tests.support.asl_walker import OWN_ARN, Json, definition, states
from tests.support.repository import ROOT, skip_or_fail

MACHINES = ("incident", "notice")
ASL = ROOT / "tests" / "support" / "asl"
# The machines' own calls: what they do without a function.
NATIVE = {"Claim", "Count", "Look", "Start", "StartOther", "StartOtherAgain", "OpenAgain"}
# The last hope of a finding: nothing starts it after them.
LAST_HOPES = {"Start", "StartOtherAgain", "OpenAgain"}
# Faults of a start (HTTP 502) that a person has to mend: configuration, permissions, keys.
LASTING_FAULTS = {
    "EC2AccessDeniedException",
    "InvalidRuntimeException",
    "InvalidSecurityGroupIDException",
    "InvalidSubnetIDException",
    "InvalidZipFileException",
    "KMSAccessDeniedException",
    "KMSDisabledException",
    "KMSInvalidStateException",
    "KMSNotFoundException",
}
PASSED_OVER = {"Warm", "CollectFirst"}  # never repeated: nothing may wait for them


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
        if entry.values[1]["Type"] == "Task" and entry.values[0] not in NATIVE
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


def _mean_seconds(rule: Json) -> float:
    """Returns how long a retrier repeats: with full jitter, half of each delay in the mean."""
    delays = [
        min(rule["MaxDelaySeconds"], rule["IntervalSeconds"] * rule["BackoffRate"] ** n)
        for n in range(rule["MaxAttempts"])
    ]
    return float(sum(delays)) / 2


@pytest.mark.parametrize(("name", "state"), _tasks())
def test_throttled_starts_are_repeated_for_a_quarter_of_an_hour_at_least(
    name: str, state: Json
) -> None:
    if name in PASSED_OVER:
        assert "Retry" not in state
        return
    rules = [rule for rule in state["Retry"] if rule["MaxAttempts"]]
    [throttled, transient] = rules
    assert set(throttled["ErrorEquals"]) == errors.THROTTLED_STARTS
    assert _mean_seconds(throttled) >= 1.5 * 15 * 60
    assert 20 <= throttled["MaxDelaySeconds"] <= 30
    assert set(transient["ErrorEquals"]) == errors.TRANSIENT_FAILURES
    assert transient["MaxAttempts"] == 6
    for rule in rules:
        assert (rule["JitterStrategy"], rule["BackoffRate"]) == ("FULL", 2)
    # While a person is asked, a time-out is the answer.
    [*unrepeated] = [rule["ErrorEquals"] for rule in state["Retry"] if not rule["MaxAttempts"]]
    assert unrepeated == ([["States.Timeout"]] if name == "Approve" else [])
    assert state["Retry"][0]["MaxAttempts"] == (0 if name == "Approve" else 120)


@pytest.mark.parametrize("name", sorted(LAST_HOPES))
def test_the_last_hope_of_a_finding_is_tried_as_long_as_a_function(name: str) -> None:
    [state] = [entry.values[1] for entry in _all() if entry.values[0] == name]
    [rule] = [rule for rule in state["Retry"] if rule["MaxAttempts"]]
    assert rule["ErrorEquals"] == ["States.TaskFailed", "States.Timeout"]
    assert _mean_seconds(rule) >= 1.5 * 15 * 60


def test_every_fault_of_a_start_is_repeated_unless_only_a_person_can_mend_it() -> None:
    """Compared with botocore's model of Invoke, so that a new fault is decided on."""
    model = botocore.session.Session().get_service_model("lambda").operation_model("Invoke")
    faults = {
        shape.name
        for shape in model.error_shapes
        if shape.metadata["error"]["httpStatusCode"] >= 500
    }
    repeated = {name.removeprefix("Lambda.") for name in errors.THROTTLED_STARTS}
    assert faults - repeated == LASTING_FAULTS


@pytest.mark.parametrize(("name", "state"), _tasks())
def test_every_task_catches_everything_unless_its_failure_must_end_the_machine(
    name: str, state: Json
) -> None:
    """Open, Notice and Close fail the execution: the reconciler hears of it and tells people."""
    if name in ("Open", "Notice", "NoticeAgain", "Close"):
        assert "Catch" not in state
    else:
        assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


@pytest.mark.parametrize("name", sorted(NATIVE))
def test_what_a_state_asks_of_aws_itself_is_a_call_that_aws_knows(name: str) -> None:
    """Names and shapes are checked against botocore's models."""
    [state] = [entry.values[1] for entry in _all() if entry.values[0] == name]
    assert state["TimeoutSeconds"] <= 20
    service, _, operation = state["Resource"].removeprefix("arn:aws:states:::").partition(":")
    service = {"states": "stepfunctions"}.get(service, service)
    model = botocore.session.Session().get_service_model(service)
    shape = model.operation_model(operation[0].upper() + operation[1:]).input_shape
    assert shape
    arguments = dict(state["Arguments"])
    if service == "stepfunctions":
        arguments = {key[0].lower() + key[1:]: value for key, value in arguments.items()}
        arguments["input"] = json.dumps(arguments["input"])
    assert not ParamValidator().validate(arguments, shape).generate_report()


def test_the_definition_is_short_and_each_phase_a_state() -> None:
    text = (ROOT / "modules" / "incident" / "incident.asl.json").read_text()
    assert len(text.splitlines()) <= 515
    assert {"Collect", "Eradicate", "Finish", "Terminate"} <= set(definition("incident")["States"])


def test_no_state_passes_the_finding_on() -> None:
    for machine in MACHINES:
        for name, state in states(definition(machine)):
            texts = _strings({key: value for key, value in state.items() if key != "Comment"})
            if name in ("Claim", "Count", "Begin", "Warm", "Open", "Notice", "Start"):
                continue  # before it is stored, and what the incident machine is started with
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
    """It invokes the incident function, and can start the machine that decides again."""
    notice = definition("notice")
    assert "playbook" not in json.dumps(notice)
    started = [
        state for _, state in states(notice) if "startExecution" in state.get("Resource", "")
    ]
    assert [state["Arguments"]["StateMachineArn"] for state in started] == [OWN_ARN]


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
    got = subprocess.run(
        command,
        cwd=ASL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert got.returncode == 0, got.stdout + got.stderr

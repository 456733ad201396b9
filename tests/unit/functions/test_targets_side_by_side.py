"""Steps that work on several targets: each to its end, whatever comes of the others."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.decision import configuration
from guardduty_response.errors import TransientError
from guardduty_response.functions import collect
from guardduty_response.incident.statuses import Status

from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.function_calls import EXECUTION, call, notified
from tests.unit.functions.respond_steps import open_incident, run_step

THROTTLED = ClientError({"Error": {"Code": "Throttling", "Message": "slow"}}, "ModifyX")


@pytest.fixture
def failing(fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch) -> dict[str, Exception]:
    """Errors that contain raises, by the target's ID; every other target is contained."""
    errors: dict[str, Exception] = {}

    def contain(context: Context, target: Target) -> StepResult:
        fake.calls.append(("contain", target))
        if target.id in errors:
            raise errors[target.id]
        return StepResult(detail="closed")

    def verify(context: Context, target: Target) -> tuple[StepResult, list[Check]]:
        fake.calls.append(("verify", target))
        status = Status.FAILED if target.id in errors else Status.CONTAINED
        ok = status is Status.CONTAINED
        return StepResult(status=status, detail=str(status)), [Check("network", ok, "read")]

    monkeypatch.setattr(fake, "contain", contain)
    monkeypatch.setattr(fake, "verify", verify)
    return errors


def _planned(fake: FakePlaybook) -> tuple[str, list[Any]]:
    fake.ids = ["i-1", "i-2", "i-3"]
    incident_id = open_incident()
    return incident_id, run_step("plan", incident_id)["targets"]


def _statuses(deployment: Deployment, incident_id: str) -> dict[str, str]:
    return {target["id"]: target["status"] for target in deployment.targets(incident_id)}


def test_containing_reads_every_target_back_in_the_same_call(
    deployment: Deployment, fake: FakePlaybook, failing: dict[str, Exception]
) -> None:
    incident_id, targets = _planned(fake)
    answer = run_step("contain", incident_id, targets=targets)
    assert (answer["done"], answer["again"]) == (True, "")
    assert _statuses(deployment, incident_id) == dict.fromkeys(("i-1", "i-2", "i-3"), "CONTAINED")
    assert sorted(deployment.timeline(incident_id)).count("changes made") == 3


def test_a_target_that_cannot_be_changed_is_read_back_and_leaves_the_others_alone(
    deployment: Deployment, fake: FakePlaybook, failing: dict[str, Exception]
) -> None:
    incident_id, targets = _planned(fake)
    failing["i-2"] = ValueError("no such thing")
    assert run_step("contain", incident_id, targets=targets)["done"]
    stored = {target["id"]: target for target in deployment.targets(incident_id)}
    assert stored["i-2"]["status"] == "FAILED"
    assert stored["i-2"]["verdict"].endswith("(contain failed: ValueError: no such thing)")
    assert {stored[name]["status"] for name in ("i-1", "i-3")} == {"CONTAINED"}
    call(
        "verdict",
        incident_id=incident_id,
        targets=targets,
        error="",
    )
    assert deployment.meta(incident_id)["status"] == "FAILED"
    messages, escalated = notified(deployment)
    assert sorted(messages) == ["CONTAINED", "CONTAINED", "FAILED"]
    assert escalated == ["FAILED"]


def test_what_can_pass_is_repeated_after_the_others_have_ended(
    deployment: Deployment, fake: FakePlaybook, failing: dict[str, Exception]
) -> None:
    incident_id, targets = _planned(fake)
    failing["i-1"] = THROTTLED
    with pytest.raises(TransientError):
        run_step("contain", incident_id, targets=targets)
    statuses = _statuses(deployment, incident_id)
    assert (statuses["i-2"], statuses["i-3"]) == ("CONTAINED", "CONTAINED")
    assert statuses["i-1"] == "OPEN"


def test_an_execution_of_an_older_definition_names_one_target(
    deployment: Deployment, fake: FakePlaybook, failing: dict[str, Exception]
) -> None:
    incident_id, targets = _planned(fake)
    assert run_step(
        "contain",
        incident_id,
        targets[0],
    )["done"]
    assert run_step(
        "verify",
        incident_id,
        targets[0],
        error="",
    )["done"]
    call(
        "verdict",
        incident_id=incident_id,
        target=targets[0],
        error="",
    )
    assert _statuses(deployment, incident_id)["i-1"] == "CONTAINED"
    call(
        "evidence_failed",
        incident_id=incident_id,
        target=targets[1],
        error="lost",
    )
    stored = {target["id"]: target for target in deployment.targets(incident_id)}
    assert stored["i-2"]["actions"]["evidence"]["detail"] == "lost"


def test_the_shortest_wait_counts_and_one_that_asks_for_it_is_contained_again(
    fake: FakePlaybook, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        "i-1": StepResult(done=False, wait_seconds=9),
        "i-2": StepResult(
            done=False,
            wait_seconds=4,
            again="contain",
        ),
        "i-3": StepResult(status=Status.CONTAINED),
    }

    def verify(context: Context, target: Target) -> tuple[StepResult, list[Check]]:
        return answers[target.id], [Check("network", True, "closed")]

    monkeypatch.setattr(fake, "verify", verify)
    incident_id, targets = _planned(fake)
    answer = run_step("contain", incident_id, targets=targets)
    assert (answer["done"], answer["wait_seconds"], answer["again"]) == (False, 4, "contain")


def test_evidence_of_one_target_fails_alone(
    deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_id, targets = _planned(fake)
    started: list[str] = []

    def evidence(context: Context, target: Target) -> StepResult:
        if target.id == "i-2":
            raise ValueError("no volume")
        started.append(target.id)
        return StepResult()

    monkeypatch.setattr(fake, "evidence", evidence)
    event = {
        "verb": "evidence",
        "incident_id": incident_id,
        "execution": EXECUTION,
    }
    collect.handler({**event, "targets": targets}, None)
    assert sorted(started) == ["i-1", "i-3"]
    stored = {target["id"]: target for target in deployment.targets(incident_id)}
    assert stored["i-2"]["actions"]["evidence"]["detail"] == "ValueError: no volume"
    assert "evidence" not in stored["i-1"]["actions"]


# -- an answer, and warming ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "next_step"),
    [
        ({"approved": True}, "triage"),
        ({"approved": "true"}, "close"),
        ({"approved": "false"}, "close"),
        ({"approved": 1}, "close"),
        ({"approved": False}, "close"),
        ({}, "close"),
        ([{"approved": True}], "close"),
        ("approved", "close"),
        (None, "close"),
    ],
)
def test_only_true_approves(
    deployment: Deployment, fake: FakePlaybook, given: Any, next_step: str
) -> None:
    incident_id = open_incident()
    answer = call("decide", incident_id=incident_id, answer=given)
    assert answer["next"] == next_step
    assert (answer["decision"] == "rejected") == (next_step == "close")
    event = "answer: approved" if next_step == "triage" else "answer: rejected"
    assert event in deployment.timeline(incident_id)


def test_warming_reads_the_configuration_and_changes_nothing(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    deployment.configure()
    assert run_step("warm", "") == {}
    assert configuration.load.cache_info().currsize == 1
    assert fake.calls == []
    assert deployment.incidents() == []

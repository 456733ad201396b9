"""What the playbook function stores of an answer, and what people are told of it."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.incident.statuses import Status

from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.function_calls import call, notified
from tests.unit.functions.respond_steps import open_incident, run_step

OPEN = Check("network", False, "eni-1 is open", fatal=True)
CLOSED = Check("network", True, "closed")


def _answered(fake: FakePlaybook, status: Status, *checks: Check) -> None:
    fake.checks = list(checks)
    fake.steps["verify"] = StepResult(status=status, detail="as the playbook says")


def _contained(deployment: Deployment) -> str:
    """Plans, contains and gives the verdict, as the machine does."""
    incident_id = open_incident()
    targets = run_step("plan", incident_id)["targets"]
    notified(deployment)
    run_step("contain", incident_id, targets=targets, attempt=9)
    call("verdict", incident_id=incident_id, targets=targets, error="")
    return incident_id


@pytest.mark.parametrize(
    ("status", "checks", "stored"),
    [
        (Status.CONTAINED, (CLOSED,), "CONTAINED"),
        (Status.CONTAINED, (CLOSED, OPEN), "FAILED"),
        (Status.CONTAINED, (), "FAILED"),
        (Status.CONTAINED, (CLOSED, Check("tags", False, "no tag")), "PARTIAL"),
    ],
)
def test_nobody_is_told_more_than_was_seen(
    deployment: Deployment, fake: FakePlaybook, status: Status, checks: Any, stored: str
) -> None:
    _answered(fake, status, *checks)
    incident_id = _contained(deployment)
    assert deployment.meta(incident_id)["status"] == stored
    [message] = deployment.messages()
    assert message["MessageAttributes"]["event"]["Value"] == stored
    assert ("the playbook answered CONTAINED, but" in message["Message"]) is (stored != "CONTAINED")
    assert bool(deployment.messages("escalations")) is (stored != "CONTAINED")


def test_the_answer_of_the_step_is_the_status_that_was_stored(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    _answered(fake, Status.CONTAINED, OPEN)
    incident_id = open_incident()
    targets = run_step("plan", incident_id)["targets"]
    assert (
        run_step(
            "contain",
            incident_id,
            targets=targets,
            attempt=9,
        )["status"]
        == "FAILED"
    )


def test_what_is_stored_early_is_in_the_answer_and_stored_once(
    deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state before comes in the gate's transaction, an action when it ends."""
    answers: list[Any] = []

    def contain(context: Context, target: Target) -> StepResult:
        assert context.gate
        context.gate.write_before("network", {"eni-1": ["sg-web"]})  # asks the gate
        context.gate.write_before("profile", "web")  # while its permission is valid
        context.log_action(
            target,
            "quarantine_network",
            "DONE",
            "closed",
            "r-1",
        )
        answers.append(context.record.stored_early(context.incident_id, target.reference()))
        return StepResult(detail="closed")

    monkeypatch.setattr(fake, "contain", contain)
    _answered(fake, Status.CONTAINED, CLOSED)
    incident_id = _contained(deployment)
    [answer], [seen] = answers, deployment.targets(incident_id)
    assert (
        answer["before"] == seen["before"] == {"network": {"eni-1": ["sg-web"]}, "profile": "web"}
    )
    assert answer["actions"]["quarantine_network"]["request_id"] == "r-1"
    assert seen["actions"]["quarantine_network"]["detail"] == "closed"

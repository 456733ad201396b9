"""Plans again: rechecks, incidents opened again, and two incidents of one resource."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.containment.contract import StepResult
from guardduty_response.errors import NoTarget, RoleUnavailable, TargetGone
from guardduty_response.functions import contain_step
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.support.repository import load_finding
from tests.unit.deployment import EXECUTIONS, Deployment
from tests.unit.fake_playbook import FakePlaybook, configure
from tests.unit.function_calls import EXECUTION, call, notified, recurrence
from tests.unit.functions.respond_steps import SECOND, lease_owners, open_incident, run_step

# -- plan: verification only -----------------------------------------------------------------------


def settle(
    fake: FakePlaybook, incident_id: str, target: Any, status: Status, detail: str = "closed"
) -> None:
    """Lets verification find ``status``, and settles the verdict."""
    fake.steps["verify"] = StepResult(status=status, detail=detail)
    run_step("verify", incident_id, target)
    call(
        "verdict",
        incident_id=incident_id,
        target=target,
        error="",
    )


def _contained(deployment: Deployment, fake: FakePlaybook) -> str:
    incident_id = open_incident()
    [target] = run_step("plan", incident_id)["targets"]
    settle(fake, incident_id, target, Status.CONTAINED)
    call("close", incident_id=incident_id, decision="act")
    notified(deployment)
    return incident_id


def verify_anew(incident_id: str) -> dict[str, Any]:
    """Plans a verification in the second execution."""
    return run_step(
        "plan",
        incident_id,
        execution=SECOND,
        verify_only=True,
    )


def close_as_planned(incident_id: str, answer: dict[str, Any]) -> None:
    """Closes in the second execution as plan's answer says."""
    decided = {"decision": answer["decision"], "error": answer["error"]}
    call(
        "close",
        incident_id=incident_id,
        execution=SECOND,
        **decided,
    )


def open_second_incident() -> str:
    """Opens the incident of another finding about the same instance."""
    return open_incident(
        detail={
            **load_finding()["detail"],
            "id": "another",
            "arn": "",
        }
    )


def test_a_contained_resource_is_only_read_again(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository
) -> None:
    incident_id = _contained(deployment, fake)
    assert recurrence(record, incident_id, SECOND) == "verify"
    before = deployment.targets(incident_id)
    answer = verify_anew(incident_id)
    [target] = answer["targets"]
    assert (answer["decision"], target["verify_only"], target["attach"]) == ("act", True, "")
    assert deployment.targets(incident_id) == before
    assert deployment.meta(incident_id)["status"] == "CONTAINED"
    run_step("contain", incident_id, target, execution=SECOND)
    assert run_step(
        "finish",
        incident_id,
        execution=SECOND,
        verify_only=True,
    )["done"]
    assert [name for name, _ in fake.calls] == ["verify", "verify"], "nothing is contained"
    assert lease_owners(deployment) == [SECOND]


@pytest.mark.parametrize("error", [RoleUnavailable("cannot assume arn:x"), NoTarget("no instance")])
def test_what_cannot_be_read_again_leaves_the_record_alone(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository, error: Exception
) -> None:
    incident_id = _contained(deployment, fake)
    recurrence(record, incident_id, SECOND)
    before, fake.error = deployment.meta(incident_id), error
    answer = verify_anew(incident_id)
    assert deployment.meta(incident_id) == before
    close_as_planned(incident_id, answer)
    assert deployment.meta(incident_id)["status"] == "CONTAINED"
    assert str(error) in deployment.messages("escalations")[0]["Message"]


def test_a_contained_resource_that_is_gone(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository
) -> None:
    incident_id = _contained(deployment, fake)
    recurrence(record, incident_id, SECOND)
    fake.error = TargetGone("i-1 is terminated")
    answer = verify_anew(incident_id)
    close_as_planned(incident_id, answer)
    assert deployment.meta(incident_id)["status"] == "GONE"
    assert [target["status"] for target in deployment.targets(incident_id)] == ["GONE"]
    assert notified(deployment) == (["GONE"], [])


@pytest.mark.parametrize("changes", [{"paused": True}, {"remediations": {"*": "dry_run"}}])
def test_a_half_contained_resource_keeps_its_ledger_when_nothing_may_act_any_more(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository, changes: Any
) -> None:
    incident_id = open_incident()
    [target] = run_step("plan", incident_id)["targets"]
    record.action(
        incident_id, "ec2_instance", "i-1", "quarantine_network", "DONE", "1 interface", "req-1"
    )
    settle(fake, incident_id, target, Status.PARTIAL, "1 of 2")
    call("close", incident_id=incident_id, decision="act")
    configure(deployment, **changes)
    assert recurrence(record, incident_id, SECOND) == "start"
    decision = run_step(
        "plan",
        incident_id,
        execution=SECOND,
    )["decision"]
    call(
        "close",
        incident_id=incident_id,
        execution=SECOND,
        decision=decision,
    )
    [stored] = deployment.targets(incident_id)
    assert deployment.meta(incident_id)["status"] == "PARTIAL"
    assert (stored["status"], stored["verdict"]) == ("PARTIAL", "1 of 2")
    assert stored["actions"]["quarantine_network"]["request_id"] == "req-1"


def test_after_a_restore_the_state_before_is_recorded_anew(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository
) -> None:
    incident_id = _contained(deployment, fake)
    record.before(
        incident_id,
        "ec2_instance",
        "i-1",
        "interfaces",
        {"eni-1": ["old"]},
    )
    record.set_target(
        incident_id,
        "ec2_instance",
        "i-1",
        status=Status.RESTORED,
    )
    record.transition(incident_id, "restored")  # type: ignore[arg-type]
    assert recurrence(record, incident_id, SECOND) == "start"
    run_step("plan", incident_id, execution=SECOND)
    assert deployment.targets(incident_id)[0]["before"] == {}


# -- two incidents, one resource -------------------------------------------------------------------


def test_the_second_waits_for_the_first_and_then_contains_what_its_finding_needs_more(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    winner = deployment.start("winner")
    first = open_incident(winner)
    [held] = run_step(
        "plan",
        first,
        execution=winner,
    )["targets"]
    second = open_second_incident()
    [target] = run_step("plan", second)["targets"]
    assert target["attach"] == first
    assert (held["generation"], target["generation"], target["opened_by"]) == (1, 1, first)
    answer = run_step("contain", second, target)
    assert (answer["done"], answer["again"], answer["wait_seconds"]) == (False, "contain", 5)
    assert answer["waited"]
    assert fake.calls == []
    assert lease_owners(deployment) == [winner]
    deployment.kill(winner)
    assert run_step(
        "contain",
        second,
        target,
        attempt=2,
    )["done"]
    assert [(name, given.attach) for name, given in fake.calls] == [("contain", ""), ("verify", "")]
    assert lease_owners(deployment) == [EXECUTION]
    settle(fake, second, target, Status.CONTAINED)
    [stored] = deployment.targets(second)
    assert (stored["status"], deployment.meta(second)["status"]) == ("CONTAINED", "CONTAINED")


def test_the_second_only_verifies_when_the_first_never_ends(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    winner = deployment.start("winner")
    run_step("plan", open_incident(winner), execution=winner)
    second = open_second_incident()
    [target] = run_step("plan", second)["targets"]
    answer = run_step(
        "contain",
        second,
        target,
        attempt=contain_step.BUSY_ATTEMPTS,
    )
    assert (answer["done"], [name for name, _ in fake.calls]) == (True, ["verify"])
    assert "not contained" in deployment.timeline(second)


def test_a_dead_owner_is_taken_over(deployment: Deployment, fake: FakePlaybook) -> None:
    dead = deployment.start("dead")
    run_step("plan", open_incident(dead), execution=dead)
    deployment.kill(dead)
    second = open_second_incident()
    [target] = run_step("plan", second)["targets"]
    assert target["attach"] == ""
    assert lease_owners(deployment) == [EXECUTION]


def test_an_owner_of_whom_nothing_is_known_is_left_in_peace(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    unknown = f"{EXECUTIONS}incident:unknown"
    run_step("plan", open_incident(unknown), execution=unknown)
    second = open_second_incident()
    assert run_step("plan", second)["targets"][0]["attach"] != ""

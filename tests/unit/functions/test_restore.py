"""The restore function: who may ask when, what is written and told, and closing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.containment.contract import (
    RestoreResult,
    StepResult,
)
from guardduty_response.errors import ConfigError, ResponseError, RoleUnavailable
from guardduty_response.functions import respond, restore
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.unit.deployment import EXECUTIONS, Deployment
from tests.unit.fake_playbook import ARN, FakePlaybook
from tests.unit.function_calls import EXECUTION, call, notified, recurrence
from tests.unit.functions.restorer import PART, WHO, WHOLE, Restorer, ask

# -- restore ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", ["CONTAINED", "PARTIAL", "BREACHED", "FAILED", "RESTORE_PARTIAL", "GONE"]
)
def test_restored_written_and_told(
    deployment: Deployment, restorer: Restorer, stored: Callable[..., str], status: str
) -> None:
    incident_id = stored(status)
    answer = ask(incident_id)
    assert answer == {
        "incident_id": incident_id,
        "status": "RESTORED",
        "restored": ["eni-1 is back"],
        "not_restored": [],
        "refused": "",
    }
    [(context, target)] = restorer.calls
    assert (target.arn, target.scope, target.attach, context.options) == (
        ARN,
        {},
        "",
        {"finish": "none"},
    )
    meta, [stored_target] = deployment.meta(incident_id), deployment.targets(incident_id)
    assert (meta["status"], "open" in meta, stored_target["status"]) == (
        "RESTORED",
        False,
        "RESTORED",
    )
    assert stored_target["restored"]["by"] == WHO
    assert WHO in stored_target["verdict"]
    assert deployment.timeline(incident_id)[-2:] == ["restore asked", "restored"]
    assert {
        item["actor"]
        for item in deployment.items(f"INCIDENT#{incident_id}")
        if item.get("event") in ("restore asked", "restored")
    } == {WHO}
    [message] = deployment.messages()
    assert message["MessageAttributes"]["event"]["Value"] == "RESTORED"
    assert "[RESTORED]" in message["Subject"] and f"Requested by {WHO}." in message["Message"]
    assert "  Restored\n    - eni-1 is back" in message["Message"]
    assert "Open tasks" not in message["Message"]
    assert deployment.messages("escalations") == []
    report = deployment.evidence(incident_id)["report.html"].decode()
    assert "<h3>Restored</h3><ul><li>eni-1 is back</li></ul>" in report
    assert deployment.items(f"RESOURCE#{ARN}") == [], "the lease is given back"


def test_in_part_is_escalated_and_can_be_asked_again(
    deployment: Deployment, restorer: Restorer, stored: Callable[..., str]
) -> None:
    incident_id, restorer.answer = stored(), PART
    answer = ask(incident_id)
    assert (answer["status"], answer["not_restored"]) == ("RESTORE_PARTIAL", PART.not_restored)
    [message] = deployment.messages("escalations")
    assert "  Not restored\n    - profile x: gone. By hand: aws ec2 y" in message["Message"]
    assert "Open tasks\n  - i-1: profile x: gone. By hand: aws ec2 y" in message["Message"]
    assert "FAIL     x: gone" in message["Message"]
    assert ask(incident_id)["status"] == "RESTORE_PARTIAL"
    restorer.answer = WHOLE
    assert ask(incident_id)["status"] == "RESTORED"


def test_a_second_restore_is_a_no_op(
    deployment: Deployment, restorer: Restorer, stored: Callable[..., str]
) -> None:
    incident_id = stored()
    first = ask(incident_id)
    notified(deployment)
    items = deployment.items(f"INCIDENT#{incident_id}")
    assert ask(incident_id) == first
    assert len(restorer.calls) == 1
    assert deployment.items(f"INCIDENT#{incident_id}") == items
    assert notified(deployment) == ([], [])


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("OPEN", "still at work"),
        ("AWAITING_APPROVAL", "still at work"),
        ("CONTAINING", "still at work"),
        ("NOTIFIED", "nothing in it to restore"),
        ("DRY_RUN", "nothing in it to restore"),
        ("SKIPPED", "nothing in it"),
        ("REJECTED", "nothing in it"),
        ("TIMED_OUT", "nothing in it"),
        ("CLOSED", "nothing in it"),
    ],
)
def test_refused_by_status(
    deployment: Deployment, restorer: Restorer, stored: Callable[..., str], status: str, said: str
) -> None:
    incident_id = stored(status)
    answer = ask(incident_id)
    assert answer["status"] == status
    assert f"incident {incident_id} is {status}" in answer["refused"] and said in answer["refused"]
    assert (restorer.calls, notified(deployment)) == ([], ([], []))


def test_what_is_gone_and_was_never_changed_is_refused(
    deployment: Deployment, restorer: Restorer, incident: Callable[..., str]
) -> None:
    incident_id = incident(status="GONE", playbook="fake")
    answer = ask(incident_id)
    assert answer["status"] == "GONE"
    assert "nothing in it to restore" in answer["refused"]
    assert restorer.calls == []


def test_refused_while_an_execution_works_on_it(
    deployment: Deployment, restorer: Restorer, stored: Callable[..., str]
) -> None:
    incident_id, execution = stored(), deployment.start("finishing")
    record = IncidentRepository("guardduty-response-incidents")
    record.leases.acquire(ARN, execution, incident_id, 900)
    for event in ({}, {"close": True}):
        answer = ask(incident_id, **event)
        assert f"i-1 is being worked on by {execution}" in answer["refused"]
    assert deployment.meta(incident_id)["status"] == "CONTAINED"
    assert [item["owner"] for item in deployment.items(f"RESOURCE#{ARN}")] == [execution]
    deployment.kill(execution)
    assert ask(incident_id)["status"] == "RESTORED", "a dead holder holds nothing"


def test_only_one_restore_at_a_time(
    deployment: Deployment, restorer: Restorer, stored: Callable[..., str]
) -> None:
    incident_id = stored()
    seen: list[str] = []
    restorer.during = lambda: seen.append(restore._run({"incident_id": incident_id})["refused"])
    assert ask(incident_id)["status"] == "RESTORED"
    assert "is being worked on by restore-inc-" in seen[0]
    assert len(restorer.calls) == 1


def test_another_playbooks_incident(
    deployment: Deployment, restorer: Restorer, stored: Callable[..., str]
) -> None:
    assert "not one of playbook fake" in ask(stored(playbook="s3_bucket"))["refused"]


def test_a_role_that_cannot_be_assumed_changes_no_status(
    deployment: Deployment, restorer: Restorer, stored: Callable[..., str]
) -> None:
    incident_id, restorer.answer = stored(), RoleUnavailable("cannot assume arn:x")
    with pytest.raises(RoleUnavailable):
        ask(incident_id)
    assert deployment.meta(incident_id)["status"] == "CONTAINED"
    assert deployment.items(f"RESOURCE#{ARN}") == []


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ((Status.GONE, Status.GONE), "GONE"),
        ((Status.RESTORED, Status.GONE), "RESTORED"),
        ((Status.RESTORED, Status.RESTORE_PARTIAL), "RESTORE_PARTIAL"),
    ],
)
def test_several_targets(
    deployment: Deployment,
    restorer: Restorer,
    stored: Callable[..., str],
    answers: Any,
    status: str,
) -> None:
    left = list(answers)

    def next_answer() -> None:
        restorer.answer = RestoreResult(left.pop(0), [], [], [], [], [])

    restorer.during = next_answer
    assert ask(stored("CONTAINED", "i-1", "i-2"))["status"] == status


def test_a_report_that_cannot_be_written_hides_nothing(
    deployment: Deployment,
    restorer: Restorer,
    stored: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    incident_id = stored()
    monkeypatch.setenv("GDR_BUCKET", "absent")
    assert ask(incident_id)["status"] == "RESTORED"
    assert "report failed" in deployment.timeline(incident_id)
    assert notified(deployment) == (["RESTORED"], [])


@pytest.mark.parametrize("name", [None, "", "i-1", 7, ["inc-1"]])
def test_no_name(deployment: Deployment, restorer: Restorer, name: Any) -> None:
    with pytest.raises(ResponseError, match="an incident is named like"):
        restore.handler({"incident_id": name}, None)


def test_unknown_names(
    deployment: Deployment,
    restorer: Restorer,
    stored: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ResponseError, match="there is no incident inc-0"):
        ask("inc-0")
    monkeypatch.delitem(sys.modules, restorer.__name__)
    with pytest.raises(ConfigError, match="holds no"):
        ask(stored())


def test_who_asks_is_one_line_of_text(
    deployment: Deployment, restorer: Restorer, stored: Callable[..., str]
) -> None:
    incident_id = stored()
    ask(incident_id, requested_by="a\nFinding: forged")
    [message] = deployment.messages()
    assert "Requested by a Finding: forged." in message["Message"]
    record = IncidentRepository("guardduty-response-incidents")
    record.move(incident_id, Status.RESTORED, Status.CONTAINED)
    ask(incident_id, requested_by={"x": 1})
    assert (
        deployment.targets(incident_id)[0]["restored"]["by"]
        == "somebody who did not say who they are"
    )


# -- the finding comes again -----------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "kept"), [(WHOLE, {}), (PART, {"profile": {"name": "x"}})])
def test_contained_again(
    deployment: Deployment,
    fake: FakePlaybook,
    restorer: Restorer,
    stored: Callable[..., str],
    answer: Any,
    kept: Any,
) -> None:
    """Its before-state is recorded anew, but for what the restore left contained."""
    incident_id, restorer.answer = stored(), answer
    ask(incident_id)
    second, record = f"{EXECUTIONS}incident:two", IncidentRepository("guardduty-response-incidents")
    assert recurrence(record, incident_id, second) == "start"
    for _ in range(2):  # its answer was lost once
        got = respond.handler(
            {"verb": "plan", "incident_id": incident_id, "execution": second}, None
        )
        assert got["decision"] == "act"
        [target] = deployment.targets(incident_id)
        assert (target["before"], target["actions"], target.get("restored")) == (kept, {}, None)
    fake.steps["verify"] = StepResult(status=Status.CONTAINED, detail="closed")
    verify = {"verb": "verify", "incident_id": incident_id, "execution": second}
    respond.handler({**verify, "target": got["targets"][0]}, None)
    call(
        "verdict",
        incident_id=incident_id,
        target=got["targets"][0],
        error="",
        execution=second,
    )
    assert deployment.meta(incident_id)["status"] == "CONTAINED"


# -- close -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status",
    ["CONTAINED", "FAILED", "RESTORED", "NOTIFIED", "DRY_RUN", "GONE", "REJECTED", "TIMED_OUT"],
)
def test_closed_and_told(
    deployment: Deployment, restorer: Restorer, stored: Callable[..., str], status: str
) -> None:
    incident_id = stored(status)
    answer = ask(
        incident_id,
        close=True,
        keep_contained=True,
        reason="rebuilt tomorrow",
    )
    assert (answer["status"], answer["refused"], deployment.meta(incident_id)["status"]) == (
        "CLOSED",
        "",
        "CLOSED",
    )
    assert (deployment.timeline(incident_id)[-1], restorer.calls) == ("closed", [])
    [message] = deployment.messages()
    assert message["MessageAttributes"]["event"]["Value"] == "CLOSED"
    assert f"Requested by {WHO}. It was {status}" in message["Message"]
    assert ("cannot be restored any more" in message["Message"]) == (
        status in ("CONTAINED", "FAILED", "GONE")
    )
    assert "CLOSED" in deployment.evidence(incident_id)["report.html"].decode()
    assert deployment.items(f"RESOURCE#{ARN}") == []
    assert ask(incident_id, close=True)["status"] == "CLOSED"
    assert notified(deployment) == ([], []), "once"


@pytest.mark.parametrize("status", ["OPEN", "AWAITING_APPROVAL", "CONTAINING"])
def test_an_incident_at_work_is_not_closed(
    deployment: Deployment, restorer: Restorer, stored: Callable[..., str], status: str
) -> None:
    incident_id = stored(status, execution=EXECUTION)
    assert "cannot be closed while it is at work" in ask(incident_id, close=True)["refused"]
    assert deployment.meta(incident_id)["status"] == status

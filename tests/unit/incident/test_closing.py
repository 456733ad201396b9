"""How an incident ends, for every decision; and that nobody is left without a message."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.incident import report
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import TRANSITIONS, Event, Status

from tests.unit.deployment import TABLE, Deployment
from tests.unit.function_calls import EXECUTION, call, notified, recurrence, target

Begin = Callable[..., str]
Verified = Callable[..., None]
ARN = target()["arn"]


def _close(incident_id: str, decision: str, error: str = "", **more: Any) -> str:
    return str(
        call(
            "close",
            incident_id=incident_id,
            decision=decision,
            error=error,
            **more,
        )["status"]
    )


def contained_and_told(incident: Begin, verified: Verified) -> str:
    """Begins an incident, and settles the verdict CONTAINED."""
    incident_id = incident()
    verified(incident_id, "CONTAINED")
    call(
        "verdict",
        incident_id=incident_id,
        target=target(),
        error="",
    )
    return incident_id


@pytest.mark.parametrize(
    ("decision", "before", "error", "status", "targets", "escalated"),
    [
        ("dry_run", "OPEN", "", "DRY_RUN", "DRY_RUN", False),
        ("skip", "OPEN", "", "SKIPPED", "SKIPPED", False),
        ("gone", "OPEN", "i-1 is terminated", "GONE", "GONE", False),
        ("failed", "OPEN", "RoleUnavailable: cannot assume", "FAILED", "FAILED", True),
        ("failed", "CONTAINING", "States.DataLimitExceeded: x", "FAILED", "FAILED", True),
        ("failed", "AWAITING_APPROVAL", "Lambda.Unknown: x", "FAILED", "FAILED", True),
        ("rejected", "AWAITING_APPROVAL", "", "REJECTED", "REJECTED", False),
        ("approval_timed_out", "AWAITING_APPROVAL", "", "TIMED_OUT", "TIMED_OUT", True),
        ("act", "CONTAINING", "", "FAILED", "FAILED", True),
    ],
)
def test_every_ending(
    deployment: Deployment,
    incident: Begin,
    decision: str,
    before: str,
    error: str,
    status: str,
    targets: str,
    escalated: bool,
) -> None:
    incident_id = incident(status=before)
    assert _close(incident_id, decision, error) == status
    meta = deployment.meta(incident_id)
    assert meta["status"] == status
    assert "open" not in meta
    assert [entry["status"] for entry in deployment.targets(incident_id)] == [targets]
    assert notified(deployment) == ([status], [status] if escalated else [])
    assert deployment.timeline(incident_id)[-1] == "ended"
    if error:
        verdicts = [entry["verdict"] for entry in deployment.targets(incident_id)]
        assert any(error in reason for reason in [*meta["reasons"], *verdicts])


def test_after_the_verdict_a_second_message_tells_the_rest(
    deployment: Deployment, incident: Begin, verified: Verified
) -> None:
    incident_id = contained_and_told(incident, verified)
    assert _close(incident_id, "act") == "CONTAINED"
    kinds, escalated = notified(deployment)
    assert (kinds, escalated) == (["CONTAINED", "closing"], [])


def test_the_second_message_names_the_report(
    deployment: Deployment, incident: Begin, verified: Verified
) -> None:
    incident_id = incident()
    verified(incident_id, "CONTAINED")
    _close(incident_id, "act")
    [message] = deployment.messages()
    key = deployment.meta(incident_id)["report_key"]
    assert message["Subject"].startswith("[CONTAINED]")
    assert f"/{key}" in message["Message"]
    assert set(deployment.evidence(incident_id)) >= {"report.html", "record.json"}


def test_a_problem_after_containment_is_told_and_does_not_undo_the_verdict(
    deployment: Deployment, incident: Begin, verified: Verified
) -> None:
    incident_id = contained_and_told(incident, verified)
    notified(deployment)
    assert _close(incident_id, "act", "finish failed: Lambda.Unknown: x") == "CONTAINED"
    [message] = deployment.messages()
    assert message["Subject"].startswith("[PROBLEM]")
    assert "finish failed: Lambda.Unknown: x" in message["Message"]


def test_a_map_that_broke_after_the_verdicts_keeps_them(
    deployment: Deployment, incident: Begin, verified: Verified
) -> None:
    incident_id = contained_and_told(incident, verified)
    notified(deployment)
    assert _close(incident_id, "failed", "States.Runtime: x") == "CONTAINED"
    assert notified(deployment) == (["problem"], ["problem"])


def test_a_verification_that_could_not_start_keeps_the_status(
    deployment: Deployment, incident: Begin, record: IncidentRepository
) -> None:
    incident_id = incident(
        status="CONTAINED",
        told="CONTAINED",
        closed_once=True,
    )
    assert recurrence(record, incident_id, "two") == "verify"
    error = "cannot assume arn:aws:iam::222222222222:role/x"
    assert (
        _close(
            incident_id,
            "failed",
            error,
            execution="two",
        )
        == "CONTAINED"
    )
    [message] = deployment.messages("escalations")
    assert error in message["Message"]


def test_an_execution_that_was_taken_over_leaves_what_the_other_contains_again(
    deployment: Deployment, incident: Begin, record: IncidentRepository
) -> None:
    """The first one collected evidence while a recheck found containment lost."""
    incident_id = incident(
        execution="of the recheck",
        told="BREACHED",
        closed_once=True,
    )
    record.leases.acquire(ARN, "of the recheck", incident_id, 900)
    assert _close(incident_id, "act", execution="the first") == "CONTAINING"
    [left] = deployment.targets(incident_id)
    assert (deployment.meta(incident_id)["status"], left["status"]) == ("CONTAINING", "OPEN")
    assert notified(deployment) == ([], []), "nothing has failed"
    assert deployment.items(f"RESOURCE#{ARN}")[0]["owner"] == "of the recheck"
    assert _close(incident_id, "act", execution="of the recheck") == "FAILED"


def test_a_verdict_that_nobody_heard_is_told_at_the_end(
    deployment: Deployment, incident: Begin, verified: Verified
) -> None:
    incident_id = incident()
    verified(incident_id, "PARTIAL")
    assert _close(incident_id, "act") == "PARTIAL"
    assert notified(deployment) == (["PARTIAL"], ["PARTIAL"])


@pytest.mark.parametrize(
    ("first", "kept"), [("PARTIAL", "PARTIAL"), ("FAILED", "FAILED"), ("BREACHED", "BREACHED")]
)
@pytest.mark.parametrize("decision", ["skip", "dry_run", "rejected", "approval_timed_out"])
def test_what_was_done_before_outlives_an_ending_without_action(
    deployment: Deployment,
    incident: Begin,
    record: IncidentRepository,
    decision: str,
    first: str,
    kept: str,
) -> None:
    incident_id = incident()
    record.move(
        incident_id,
        Status.CONTAINING,
        Status(first),
    )
    assert recurrence(record, incident_id, "two") == "start"
    if decision in ("rejected", "approval_timed_out"):
        record.transition(incident_id, Event.ASK)
    assert _close(incident_id, decision, execution="two") == kept
    assert "what was done before stands" in deployment.messages()[0]["Message"]
    assert Event.RESTORED in TRANSITIONS[Status(kept)]


def test_the_report_cannot_hide_the_verdict(
    deployment: Deployment, incident: Begin, verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> str:
        raise OSError("no space")

    monkeypatch.setattr(report, "write", broken)
    incident_id = incident()
    verified(incident_id, "PARTIAL")
    assert _close(incident_id, "act") == "PARTIAL"
    assert "report failed" in deployment.timeline(incident_id)
    assert notified(deployment) == (["PARTIAL"], ["PARTIAL"])


def test_the_lease_is_given_back_but_not_anothers(
    deployment: Deployment, incident: Begin, record: IncidentRepository
) -> None:
    incident_id = incident("i-1", "i-2")
    record.leases.acquire(ARN, EXECUTION, incident_id, 600)
    record.leases.acquire(
        target("i-2")["arn"],
        "other",
        "inc-other",
        600,
    )
    _close(incident_id, "failed", "x")
    assert deployment.items(f"RESOURCE#{ARN}") == []
    assert deployment.items(f"RESOURCE#{target('i-2')['arn']}")[0]["owner"] == "other"


def test_closing_twice_changes_nothing(deployment: Deployment, incident: Begin) -> None:
    """Its answer was lost and the machine asks again."""
    incident_id = incident(status="OPEN")
    assert _close(incident_id, "dry_run") == "DRY_RUN"
    first, targets = deployment.meta(incident_id), deployment.targets(incident_id)
    assert _close(incident_id, "dry_run") == "DRY_RUN"
    again = deployment.meta(incident_id)
    assert {**first, "updated_at": 0} == {**again, "updated_at": 0}
    assert deployment.targets(incident_id) == targets
    assert notified(deployment)[0][0] == "DRY_RUN"


def test_asking_a_person(
    deployment: Deployment, incident: Begin, record: IncidentRepository
) -> None:
    incident_id = incident(status="OPEN")
    record.action(
        incident_id, "ec2_instance", "i-1", "quarantine_network", "PLANNED", "2 interfaces"
    )
    for token in ("first", "second"):  # a repeated task has a token of its own
        call("ask", incident_id=incident_id, task_token=token)
    meta = deployment.meta(incident_id)
    assert meta["status"] == "AWAITING_APPROVAL"
    assert (meta["task_token"], meta["open"][:2]) == ("second", "1#")
    [message] = deployment.messages("escalations")
    assert message["Subject"].startswith("[APPROVAL]")
    for part in (
        "Nothing has been changed yet",
        "PLANNED  quarantine_network: 2 interfaces",
        "in 60 minutes",
    ):
        assert part in message["Message"]
    assert "second" not in message["Message"]
    _close(incident_id, "approval_timed_out")
    assert "second" not in deployment.evidence(incident_id)["record.json"].decode()


def test_the_record_as_data(deployment: Deployment, incident: Begin, verified: Verified) -> None:
    incident_id = incident()
    verified(incident_id, "CONTAINED")
    _close(incident_id, "act")
    stored = json.loads(deployment.evidence(incident_id)["record.json"])
    assert stored["incident"]["incident_id"] == incident_id
    assert [entry["id"] for entry in stored["targets"]] == ["i-1"]
    assert stored["timeline"][0]["event"] == "opened"
    assert deployment.dynamodb.describe_table(TableName=TABLE)["Table"]["ItemCount"] > 3

"""Nothing ends in silence: machines that die, and records that stand still."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.decision import finding
from guardduty_response.errors import ResponseError
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions import reconcile, stale
from guardduty_response.incident import notifications
from guardduty_response.incident.model import IncidentRecord
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Event

from tests.unit.deployment import EXECUTIONS, Deployment
from tests.unit.function_calls import (
    EXECUTION,
    NOTICE,
    call,
    execution_ended,
    notified,
    target,
    watch,
)

Make = Callable[..., dict[str, Any]]
Begin = Callable[..., str]


def _failing(*_: Any, **__: Any) -> None:
    answer: Any = {
        "Error": {"Code": "InternalError", "Message": "down"},
        "ResponseMetadata": {"HTTPStatusCode": 500},
    }
    raise ClientError(answer, "Publish")


# -- a machine ended -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_a_machine_that_dies_midway_is_told_and_its_work_fails(
    deployment: Deployment, finding_event: Make, incident: Begin, status: str
) -> None:
    incident_id = incident()
    watch(
        execution_ended(
            EXECUTION, status, input=json.dumps(finding_event()), cause="States.DataLimitExceeded"
        )
    )
    meta = deployment.meta(incident_id)
    assert meta["status"] == "FAILED"
    assert "open" not in meta
    assert [entry["status"] for entry in deployment.targets(incident_id)] == ["FAILED"]
    assert deployment.timeline(incident_id)[-1] == "execution failed"
    [notice], [escalation] = deployment.messages(), deployment.messages("escalations")
    assert notice["Message"] == escalation["Message"]
    for part in ("NOT contained", f"ended {status}", "States.DataLimitExceeded", EXECUTION):
        assert part in notice["Message"]


def test_input_and_cause_are_read_where_the_event_leaves_them_out(
    deployment: Deployment, finding_event: Make, record: IncidentRepository
) -> None:
    arn = deployment.start("killed", event=finding_event())
    incident_id = call("open", event=finding_event(), execution=arn)["incident_id"]
    deployment.kill(arn)
    watch(execution_ended(arn, "ABORTED"))
    assert deployment.meta(incident_id)["status"] == "FAILED"


def test_it_is_told_once_however_often_it_is_heard(
    deployment: Deployment, finding_event: Make, incident: Begin
) -> None:
    """The status rule, its redelivery and the sweeper all see the same death."""
    incident_id = incident()
    for _ in range(3):
        watch(execution_ended(EXECUTION, input=json.dumps(finding_event()), cause="x"))
    assert notified(deployment) == (["FAILED"], ["FAILED"])
    assert deployment.timeline(incident_id).count("execution failed") == 1


def test_it_is_told_by_the_retry_when_the_first_message_was_not_written(
    deployment: Deployment, finding_event: Make, incident: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_id = incident()
    event = execution_ended(
        EXECUTION,
        input=json.dumps(finding_event()),
        cause="x",
    )
    with monkeypatch.context() as patch:
        patch.setattr(
            notifications,
            "notify",
            _failing,
        )
        with pytest.raises(ResponseError):
            watch(event)
    assert deployment.meta(incident_id)["open"].startswith("1#")  # still found by the sweeper
    watch(event)
    assert notified(deployment) == (["FAILED"], ["FAILED"])


@pytest.mark.parametrize("status", ["CONTAINED", "PARTIAL", "FAILED", "SKIPPED"])
def test_a_death_after_the_verdict_keeps_it_and_is_told(
    deployment: Deployment, finding_event: Make, incident: Begin, status: str
) -> None:
    """Close failed: somebody must hear of the verdict all the same."""
    incident_id = incident(status=status)
    watch(execution_ended(EXECUTION, input=json.dumps(finding_event()), cause="DynamoDB was down"))
    assert deployment.meta(incident_id)["status"] == status
    [got] = deployment.messages("escalations")
    assert got["Subject"].startswith("[PROBLEM]")
    assert f"status {status}" in got["Message"]


def test_a_machine_that_died_before_its_record_existed(
    deployment: Deployment, finding_event: Make
) -> None:
    watch(
        execution_ended(
            EXECUTION,
            input=json.dumps(finding_event()),
            cause="ConfigError: changed outside Terraform",
        )
    )
    [meta] = deployment.incidents()
    assert meta["incident_id"] == finding.parse(finding_event()).incident_id
    assert (meta["status"], meta["finding_type"]) == ("FAILED", finding_event()["detail"]["type"])
    assert evidence_store.get_event(meta["finding_key"]) == finding_event()
    assert notified(deployment) == (["FAILED"], ["FAILED"])


def test_a_dead_pointer_execution(
    deployment: Deployment, finding_event: Make, incident: Begin
) -> None:
    incident_id = incident()
    pointer = {"finding_key": deployment.meta(incident_id)["finding_key"]}
    watch(execution_ended(EXECUTION, input=json.dumps(pointer), cause="x"))
    assert deployment.meta(incident_id)["status"] == "FAILED"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "null",
        "[]",
        '{"finding_key": "elsewhere/x"}',
        '{"finding_key": "incidents/inc-0/no.json"}',
    ],
)
def test_a_machine_that_died_of_unreadable_input(deployment: Deployment, text: str) -> None:
    watch(execution_ended(NOTICE, input=text, cause="x"))
    [meta] = deployment.incidents()
    assert (meta["status"], meta["finding_type"]) == ("FAILED", "unreadable")
    assert notified(deployment) == (["FAILED"], ["FAILED"])


def test_the_other_machines_death_loses_nothing(
    deployment: Deployment, finding_event: Make, incident: Begin
) -> None:
    """Both rules match every acting finding; only one machine has work to do."""
    incident_id = incident()
    watch(execution_ended(NOTICE, input=json.dumps(finding_event()), cause="x"))
    assert deployment.meta(incident_id)["status"] == "CONTAINING"
    assert notified(deployment) == ([], [])


def test_an_emission_that_died_before_it_was_counted_is_told(
    deployment: Deployment, finding_event: Make, incident: Begin
) -> None:
    incident_id = incident(status="RESTORED")
    watch(execution_ended(f"{EXECUTION}2", input=json.dumps(finding_event()), cause="x"))
    meta = deployment.meta(incident_id)
    assert (meta["status"], meta["execution"]) == ("RESTORED", EXECUTION)
    assert notified(deployment) == (["problem"], ["problem"])
    assert deployment.timeline(incident_id)[-1] == "recurrence lost"


# -- the sweeper -----------------------------------------------------------------------------------

LATER = timedelta(minutes=11)
SWEEP = {"source": "guardduty-response.sweeper"}


def _reconcile() -> list[str]:
    return list(reconcile._reconcile(datetime.now(UTC) + LATER)["failed"])


def test_the_sweeper_leaves_what_runs_and_fails_what_is_dead(
    deployment: Deployment, record: IncidentRepository
) -> None:
    arns = {name: deployment.start(name) for name in ("runs", "killed")}
    deployment.kill(arns["killed"])
    arns |= {"expired": f"{EXECUTIONS}incident:expired", "none": ""}
    for name, arn in arns.items():
        record.open(
            {
                "incident_id": f"inc-{name}",
                "execution": arn,
                "mode": "auto",
                "severity": 8.0,
                "config_sha256": "c",
            }
        )
        record.put_target(f"inc-{name}", target())
    assert sorted(_reconcile()) == ["inc-expired", "inc-killed", "inc-none"]
    assert deployment.meta("inc-runs")["status"] == "OPEN"
    for name in ("killed", "expired", "none"):
        assert deployment.meta(f"inc-{name}")["status"] == "FAILED"
        assert deployment.targets(f"inc-{name}")[0]["status"] == "FAILED"
    assert notified(deployment) == (["FAILED"] * 3, ["FAILED"] * 3)
    assert _reconcile() == []


def test_the_sweeper_has_patience(deployment: Deployment, record: IncidentRepository) -> None:
    record.open(
        {
            "incident_id": "inc-1",
            "execution": "",
            "mode": "auto",
            "severity": 8.0,
            "config_sha256": "c",
        }
    )
    assert watch(SWEEP) == {"failed": [], "unwatched": []}
    assert deployment.meta("inc-1")["status"] == "OPEN"


def test_what_waits_for_people_keeps_nothing_else_from_being_looked_at(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a storm thousands wait, all of them longer than what has died."""
    monkeypatch.setattr(
        stale,
        "SIDE_BY_SIDE",
        2,
    )
    monkeypatch.setattr(
        stale,
        "MOST_WAITING",
        4,
    )
    meta: IncidentRecord = {"mode": "auto", "severity": 8.0, "config_sha256": "c"}
    for number in range(6):
        incident_id = f"inc-asked-{number}"
        arn = deployment.start(f"{number}")
        record.open({**meta, "incident_id": incident_id, "execution": arn})
        record.transition(incident_id, Event.ASK)
    for name in ("dead", "dead-too"):
        record.open({**meta, "incident_id": f"inc-{name}", "execution": ""})
    metas = sorted(record.stale("9999"), key=lambda meta: "dead" in meta["incident_id"])
    times = iter([0.0, 0.0, 71.0])
    failed, errors = stale.fail_ended(
        record,
        metas,
        lambda: next(times),
    )
    assert (sorted(failed), errors) == (["inc-dead", "inc-dead-too"], [])
    for number in range(6):
        deployment.kill(f"{EXECUTIONS}incident:{number}")
    left = [meta for meta in metas if "dead" not in meta["incident_id"]]
    failed, _ = stale.fail_ended(record, left)
    assert len(failed) == 4, "the others in the next run"
    assert len(stale.fail_ended(record, record.stale("9999"))[0]) == 2


def test_one_broken_record_does_not_keep_the_others_waiting(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("inc-a", "inc-b"):
        record.open(
            {
                "incident_id": name,
                "execution": "",
                "mode": "auto",
                "severity": 8.0,
                "config_sha256": "c",
            }
        )
    notify = notifications.notify

    def only_b(record: IncidentRepository, meta: IncidentRecord, *rest: Any) -> None:
        if meta["incident_id"] == "inc-a":
            _failing()
        notify(record, meta, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(
            notifications,
            "notify",
            only_b,
        )
        with pytest.raises(ClientError):
            _reconcile()
    assert (deployment.meta("inc-a")["status"], deployment.meta("inc-b")["status"]) == (
        "OPEN",
        "FAILED",
    )
    assert _reconcile() == ["inc-a"]
    assert notified(deployment) == (["FAILED", "FAILED"], ["FAILED", "FAILED"])


def test_an_event_nobody_sends(deployment: Deployment) -> None:
    with pytest.raises(ResponseError, match=r"does not know this event: source 'aws\.s3'"):
        watch({"source": "aws.s3"})

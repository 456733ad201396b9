"""Nothing ends in silence: machines that die, records that stand still, events that were not
delivered.
"""

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
from guardduty_response.functions import reconcile
from guardduty_response.incident import notifications
from guardduty_response.incident.model import IncidentRecord
from guardduty_response.incident.repository import IncidentRepository

from tests.unit.deployment import EXECUTIONS, MACHINES, Deployment
from tests.unit.function_calls import EXECUTION, NOTICE, call, notified, target, watch

Make = Callable[..., dict[str, Any]]
Begin = Callable[..., str]


def _ended(arn: str, status: str = "FAILED", **detail: Any) -> dict[str, Any]:
    """As EventBridge tells it (AWS Step Functions, "Step Functions Execution Status Change")."""
    return {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "detail": {"executionArn": arn, "status": status, **detail},
    }


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
        _ended(
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
    watch(_ended(arn, "ABORTED"))
    assert deployment.meta(incident_id)["status"] == "FAILED"


def test_it_is_told_once_however_often_it_is_heard(
    deployment: Deployment, finding_event: Make, incident: Begin
) -> None:
    """The status rule, its redelivery and the sweeper all see the same death."""
    incident_id = incident()
    for _ in range(3):
        watch(_ended(EXECUTION, input=json.dumps(finding_event()), cause="x"))
    assert notified(deployment) == (["FAILED"], ["FAILED"])
    assert deployment.timeline(incident_id).count("execution failed") == 1


def test_it_is_told_by_the_retry_when_the_first_message_was_not_written(
    deployment: Deployment, finding_event: Make, incident: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_id = incident()
    event = _ended(EXECUTION, input=json.dumps(finding_event()), cause="x")
    with monkeypatch.context() as patch:
        patch.setattr(notifications, "notify", _failing)
        with pytest.raises(ResponseError):
            watch(event)
    assert deployment.meta(incident_id)["open"] == "1"  # still found by the sweeper
    watch(event)
    assert notified(deployment) == (["FAILED"], ["FAILED"])


@pytest.mark.parametrize("status", ["CONTAINED", "PARTIAL", "FAILED", "SKIPPED"])
def test_a_death_after_the_verdict_keeps_it_and_is_told(
    deployment: Deployment, finding_event: Make, incident: Begin, status: str
) -> None:
    """Close failed: somebody must hear of the verdict all the same."""
    incident_id = incident(status=status)
    watch(_ended(EXECUTION, input=json.dumps(finding_event()), cause="DynamoDB was down"))
    assert deployment.meta(incident_id)["status"] == status
    [got] = deployment.messages("escalations")
    assert got["Subject"].startswith("[PROBLEM]")
    assert f"status {status}" in got["Message"]


def test_a_machine_that_died_before_its_record_existed(
    deployment: Deployment, finding_event: Make
) -> None:
    watch(
        _ended(
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
    watch(_ended(EXECUTION, input=json.dumps(pointer), cause="x"))
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
    watch(_ended(NOTICE, input=text, cause="x"))
    [meta] = deployment.incidents()
    assert (meta["status"], meta["finding_type"]) == ("FAILED", "unreadable")
    assert notified(deployment) == (["FAILED"], ["FAILED"])


def test_the_other_machines_death_loses_nothing(
    deployment: Deployment, finding_event: Make, incident: Begin
) -> None:
    """Both rules match every acting finding; only one machine has work to do."""
    incident_id = incident()
    watch(_ended(NOTICE, input=json.dumps(finding_event()), cause="x"))
    assert deployment.meta(incident_id)["status"] == "CONTAINING"
    assert notified(deployment) == ([], [])


def test_an_emission_that_died_before_it_was_counted_is_told(
    deployment: Deployment, finding_event: Make, incident: Begin
) -> None:
    incident_id = incident(status="RESTORED")
    watch(_ended(f"{EXECUTION}2", input=json.dumps(finding_event()), cause="x"))
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
        patch.setattr(notifications, "notify", only_b)
        with pytest.raises(ClientError):
            _reconcile()
    assert (deployment.meta("inc-a")["status"], deployment.meta("inc-b")["status"]) == (
        "OPEN",
        "FAILED",
    )
    assert _reconcile() == ["inc-a"]
    assert notified(deployment) == (["FAILED", "FAILED"], ["FAILED", "FAILED"])


# -- what could not be delivered -------------------------------------------------------------------


def _undelivered(*bodies: str) -> dict[str, Any]:
    attributes = {
        "ERROR_CODE": {"stringValue": "NO_PERMISSIONS"},
        "ERROR_MESSAGE": {"stringValue": "not authorized"},
    }
    return {
        "Records": [
            {"messageId": f"m{n}", "body": body, "messageAttributes": attributes}
            for n, body in enumerate(bodies)
        ]
    }


def _running(deployment: Deployment, machine: str) -> list[dict[str, Any]]:
    found = deployment.sfn.list_executions(stateMachineArn=MACHINES + machine)["executions"]
    return [
        json.loads(deployment.sfn.describe_execution(executionArn=entry["executionArn"])["input"])
        for entry in found
    ]


@pytest.mark.parametrize(
    ("mode", "machine"),
    [("auto", "incident"), ("dry_run", "incident"), ("notify", "notice"), ("off", "notice")],
)
def test_a_finding_is_delivered_again_by_pointer_to_its_machine(
    deployment: Deployment, finding_event: Make, mode: str, machine: str
) -> None:
    deployment.configure({"remediations": {"*": mode}})
    event = finding_event(padding="x" * 300_000)
    assert watch(_undelivered(json.dumps(event), json.dumps(event))) == {"batchItemFailures": []}
    [pointer] = _running(deployment, machine)
    assert evidence_store.get_event(pointer["finding_key"]) == event
    assert _running(deployment, "notice" if machine == "incident" else "incident") == []
    assert (deployment.messages("dead-letters"), notified(deployment)) == ([], ([], []))


def test_a_delivery_repeated_after_its_execution_ended(
    deployment: Deployment, finding_event: Make
) -> None:
    batch = _undelivered(json.dumps(finding_event()))
    watch(batch)
    [execution] = deployment.sfn.list_executions(stateMachineArn=MACHINES + "incident")[
        "executions"
    ]
    deployment.kill(execution["executionArn"])
    assert watch(batch) == {"batchItemFailures": []}
    assert len(_running(deployment, "incident")) == 1
    assert (deployment.messages("dead-letters"), notified(deployment)) == ([], ([], []))


def test_what_cannot_be_started_is_kept_told_and_escalated(
    deployment: Deployment, finding_event: Make
) -> None:
    for name in ("incident", "notice"):
        deployment.sfn.delete_state_machine(stateMachineArn=MACHINES + name)
    body = json.dumps(finding_event())
    assert watch(_undelivered(body)) == {"batchItemFailures": []}
    assert deployment.messages("dead-letters") == [finding_event()]
    [meta] = deployment.incidents()
    assert meta["status"] == "FAILED"
    [got] = deployment.messages("escalations")
    for part in (
        "NO_PERMISSIONS not authorized",
        "starting the response again failed too",
        "StateMachineDoesNotExist",
    ):
        assert part in got["Message"]


def test_what_is_too_large_for_the_dead_letters_goes_as_a_pointer(
    deployment: Deployment, finding_event: Make
) -> None:
    for name in ("incident", "notice"):
        deployment.sfn.delete_state_machine(stateMachineArn=MACHINES + name)
    event = finding_event(padding="x" * 300_000)
    deployment.sqs.set_queue_attributes(
        QueueUrl=deployment.queues["dead-letters"], Attributes={"MaximumMessageSize": "262144"}
    )
    assert watch(_undelivered(json.dumps(event))) == {"batchItemFailures": []}
    [pointer] = deployment.messages("dead-letters")
    assert evidence_store.get_event(pointer["finding_key"]) == event
    assert notified(deployment) == (["FAILED"], ["FAILED"])


@pytest.mark.parametrize("status", ["CONTAINING", "CONTAINED", "RESTORED"])
def test_a_lost_emission_never_touches_an_incident(
    deployment: Deployment, finding_event: Make, incident: Begin, status: str
) -> None:
    incident_id = incident(status=status)
    for name in ("incident", "notice"):
        deployment.sfn.delete_state_machine(stateMachineArn=MACHINES + name)
    before = deployment.meta(incident_id)
    watch(_undelivered(json.dumps(finding_event())))
    assert deployment.meta(incident_id) == before
    assert notified(deployment) == (["problem"], ["problem"])


@pytest.mark.parametrize("body", ["", "not JSON", "[]", '{"source": "aws.ec2"}'])
def test_what_is_no_finding_goes_to_the_machine_that_says_so(
    deployment: Deployment, body: str
) -> None:
    watch(_undelivered(body))
    [pointer] = _running(deployment, "notice")
    assert call("notice", event=pointer, execution=NOTICE)["next"] == "done"
    assert notified(deployment) == (["SKIPPED"], [])


def test_a_lost_death_is_heard(
    deployment: Deployment, finding_event: Make, incident: Begin
) -> None:
    incident_id = incident()
    watch(_undelivered(json.dumps(_ended(EXECUTION, input=json.dumps(finding_event()), cause="x"))))
    assert deployment.meta(incident_id)["status"] == "FAILED"


def test_poison_returns_to_the_queue_alone(
    deployment: Deployment, finding_event: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDR_DEAD_LETTERS_URL", deployment.queues["dead-letters"] + "-deleted")
    deployment.sfn.delete_state_machine(stateMachineArn=MACHINES + "notice")
    good = json.dumps(finding_event())
    assert watch(_undelivered(good, "poison", '{"source": "aws.states", "detail": {}}')) == {
        "batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m2"}]
    }
    assert len(_running(deployment, "incident")) == 1


def test_an_event_nobody_sends(deployment: Deployment) -> None:
    with pytest.raises(ResponseError, match=r"does not know this event: source 'aws\.s3'"):
        watch({"source": "aws.s3"})

"""What EventBridge could not deliver: it is started again, or told of and kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.evidence import store as evidence_store

from tests.unit.deployment import MACHINES, Deployment
from tests.unit.function_calls import (
    EXECUTION,
    NOTICE,
    call,
    execution_ended,
    notified,
    watch,
)

Make = Callable[..., dict[str, Any]]
Begin = Callable[..., str]


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


def test_a_delivery_repeated_after_its_executionexecution_ended(
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


def test_a_finding_that_two_rules_could_not_deliver_is_told_once(
    deployment: Deployment, finding_event: Make
) -> None:
    """Each rule has a dead letter of its own; a later state of the finding is told of."""
    for name in ("incident", "notice"):
        deployment.sfn.delete_state_machine(stateMachineArn=MACHINES + name)
    body = json.dumps(finding_event())
    watch(_undelivered(body, body))
    watch(_undelivered(body))
    assert notified(deployment) == (["FAILED"], ["FAILED"])
    assert len(deployment.messages("dead-letters")) == 3
    watch(_undelivered(json.dumps(finding_event(count=2))))
    assert notified(deployment) == (["problem"], ["problem"])


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
    watch(
        _undelivered(
            json.dumps(execution_ended(EXECUTION, input=json.dumps(finding_event()), cause="x"))
        )
    )
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

"""Tests which incidents are rechecked, and when."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.incident.model import IncidentRecord
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import WATCHED, Status

from tests.unit.deployment import PREFIX, Deployment
from tests.unit.function_calls import watch
from tests.unit.monitoring.watchdog_events import (
    ENI,
    GROUP,
    Begin,
    change_event,
    run_schedule,
    started_checks,
)

# -- the schedule ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", list(Status), ids=str)
def test_the_schedule_checks_what_stands(
    deployment: Deployment, held: Begin, status: Status
) -> None:
    incident_id = held(status)
    assert run_schedule() == {"started": [incident_id] if status in WATCHED else []}
    wanted = (
        [{"watch": {"incident_id": incident_id, "why": "schedule", "seen": None}}]
        if status in WATCHED
        else []
    )
    assert list(started_checks(deployment).values()) == wanted


def test_a_second_delivery_starts_nothing_and_the_next_turn_does(
    deployment: Deployment, held: Begin
) -> None:
    held()
    run_schedule()
    # same name and input: AWS answers with the execution there is, or ExecutionAlreadyExists once
    # that has ended
    run_schedule()
    assert len(started_checks(deployment)) == 1
    run_schedule("e2")
    assert len(started_checks(deployment)) == 2


# -- a playbook that is switched off ---------------------------------------------------------------


def _reconcile() -> list[str]:
    return list(watch({"source": "guardduty-response.sweeper"})["unwatched"])


def test_containment_of_a_playbook_that_is_switched_off_is_told_once(
    deployment: Deployment, held: Begin, record: IncidentRepository
) -> None:
    incident_id = held()
    deployment.configure({"active_playbooks": ["ec2_instance", "iam_principal"]})
    assert _reconcile() == [] and deployment.messages("escalations") == []
    deployment.configure(
        {"active_playbooks": ["iam_principal"], "playbooks.ec2_instance.restore": True}
    )
    assert _reconcile() == [incident_id] and _reconcile() == []
    [message] = deployment.messages("escalations")
    assert (
        "No longer monitored: no remediation lets playbook ec2_instance act any more"
        in message["Message"]
    )
    assert "Close or restore the incident, or switch the playbook on again" in message["Message"]
    assert (
        f"--function-name {PREFIX}-restore-ec2-instance" in message["Message"]
        and '"close": true' in message["Message"]
    )
    assert record.meta(incident_id)[
        "status"
    ] == "CONTAINED" and "no longer watched" in deployment.timeline(incident_id)
    assert (run_schedule(), watch(change_event()), started_checks(deployment)) == (
        {"started": []},
        {"started": []},
        {},
    )
    deployment.configure({"active_playbooks": ["ec2_instance"]})
    assert _reconcile() == [] and "watched again" in deployment.timeline(incident_id)
    assert run_schedule() == {"started": [incident_id]}
    deployment.configure({"active_playbooks": []})
    assert _reconcile() == [incident_id], "switched off once more, told once more"


@pytest.mark.parametrize("status", sorted(set(Status) - WATCHED), ids=str)
def test_what_is_not_held_needs_no_watch(
    deployment: Deployment, held: Begin, status: Status
) -> None:
    held(status)
    deployment.configure({"active_playbooks": []})
    assert _reconcile() == []


def test_without_a_restore_function_no_command_names_it(
    deployment: Deployment, held: Begin
) -> None:
    held()
    deployment.configure({"active_playbooks": [], "playbooks.ec2_instance.restore": False})
    _reconcile()
    [message] = deployment.messages("escalations")
    assert "aws lambda invoke" not in message["Message"]


def test_incidents_of_the_same_containment_are_verified_once(
    deployment: Deployment, held: Begin, record: IncidentRepository
) -> None:
    incident_id = held()
    first = record.meta(incident_id)
    later = {**first, "incident_id": "inc-fedcba9876543210", "opened_at": "9"}
    record.table.put({**later, "pk": "INCIDENT#inc-fedcba9876543210", "sk": "META"})
    assert run_schedule() == {"started": ["inc-fedcba9876543210"]}


def test_one_that_cannot_be_started_keeps_no_other_waiting(
    deployment: Deployment, held: Begin, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_id = held()
    for n in range(3):
        copied: IncidentRecord = {**record.meta(incident_id), "incident_id": f"inc-{n}"}
        for name in ("pk", "sk", "open"):
            copied.pop(name, None)  # type: ignore[misc]
        record.open(copied)
        record.move(f"inc-{n}", Status.OPEN, Status.CONTAINED)
    client, start = clients.client("stepfunctions"), clients.client("stepfunctions").start_execution

    def broken(**request: Any) -> Any:
        if "inc-1" in request["input"]:
            raise ClientError({"Error": {"Code": "InvalidArn", "Message": "x"}}, "StartExecution")
        return start(**request)

    monkeypatch.setattr(client, "start_execution", broken)
    with pytest.raises(ClientError, match="InvalidArn"):
        run_schedule()
    assert {
        execution["watch"]["incident_id"] for execution in started_checks(deployment).values()
    } == {
        incident_id,
        "inc-0",
        "inc-2",
    }


# -- a change --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"networkInterfaceId": ENI, "groupSet": {"items": [{"groupId": "sg-x"}]}},
        {"groupId": GROUP, "ipPermissions": {"items": [{"ipProtocol": "-1"}]}},
        {"instancesSet": {"items": [{"instanceId": "i-1"}]}},
        {"targetGroupArn": "arn:aws:x", "targets": [{"id": "i-1", "port": 80}]},
        {"roleName": "app", "policyName": "x"},
    ],
    ids=["interface", "group", "instance", "target", "role"],
)
def test_a_change_of_what_contains_is_checked_at_once(
    deployment: Deployment, held: Begin, parameters: Any
) -> None:
    incident_id = held()
    assert watch(change_event(parameters=parameters)) == {"started": [incident_id]}
    [given] = started_checks(deployment).values()
    assert given["watch"] == {
        "incident_id": incident_id,
        "why": "change",
        "seen": {
            "who": "arn:aws:sts::222222222222:assumed-role/admin/bob",
            "what": "ModifyNetworkInterfaceAttribute",
            "when": "2026-11-24T08:00:00Z",
            "from": "198.51.100.7",
            "agent": "aws-cli/2",
            "event_id": "ev-1",
        },
    }
    watch(change_event(parameters=parameters))
    assert len(started_checks(deployment)) == 1, "a second delivery"


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (
            change_event(parameters={"networkInterfaceId": "eni-0fffffffffffffff0"}),
            "another interface",
        ),
        (change_event(recipientAccountId="333333333333"), "another account"),
        (change_event(errorCode="Client.UnauthorizedOperation"), "refused"),
        (change_event(f"{PREFIX}-responder-ec2-instance"), "the response itself"),
        (change_event(f"{PREFIX}-restorer-ec2-instance"), "a restore"),
        (change_event(parameters=[]), "nothing named"),
        ({**change_event(), "detail": "text"}, "no record"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_change_of_it_starts_nothing(
    deployment: Deployment, held: Begin, event: dict[str, Any], why: str
) -> None:
    held()
    assert watch(event) == {"started": []}
    assert started_checks(deployment) == {}


@pytest.mark.parametrize(
    "issuer",
    [
        f"{PREFIX}-responder-ec2-instance-2",
        f"mine/{PREFIX}-responder-ec2-instance",
        f"{PREFIX}-terminator-iam-principal",
        f"{PREFIX}-identity-center-responder",
    ],
)
def test_a_role_that_only_looks_like_the_responses_counts(
    deployment: Deployment, held: Begin, issuer: str
) -> None:
    incident_id = held()
    assert watch(change_event(issuer)) == {"started": [incident_id]}


def test_a_change_that_could_not_be_delivered_is_taken_up(
    deployment: Deployment, held: Begin
) -> None:
    incident_id = held()
    message = {"messageId": "m1", "body": json.dumps(change_event()), "messageAttributes": {}}
    assert watch({"Records": [message]}) == {"batchItemFailures": []}
    assert [
        execution["watch"]["incident_id"] for execution in started_checks(deployment).values()
    ] == [incident_id]


def test_what_a_caller_chose_is_one_printable_line(deployment: Deployment, held: Begin) -> None:
    held()
    watch(change_event(userAgent="x\nChanged by nobody\x1b[2J" + "y" * 1000))
    [given] = started_checks(deployment).values()
    agent = given["watch"]["seen"]["agent"]
    assert agent.isprintable() and len(agent) <= 300

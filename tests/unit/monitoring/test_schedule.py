"""Tests which containments the schedule has checked, and what a playbook that is off means."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import WATCHED, Status
from guardduty_response.monitoring import upkeep

from tests.unit.checks import make_due
from tests.unit.deployment import PREFIX, Deployment
from tests.unit.function_calls import watch
from tests.unit.monitoring.watchdog_events import (
    Begin,
    change_event,
    handed_out,
    run_schedule,
    started_checks,
)

NOTHING = {"containments": 0, "batches": 0, "waiting": 0}


# -- the schedule ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", list(Status), ids=str)
def test_the_schedule_checks_what_stands(
    deployment: Deployment, held: Begin, status: Status
) -> None:
    incident_id = held(status)
    make_due(deployment)
    run_schedule()
    assert handed_out(deployment) == ([incident_id] if status in WATCHED else [])
    assert started_checks(deployment) == {}, "the incident machine has no part in it"


def test_what_is_not_due_is_not_checked(deployment: Deployment, held: Begin) -> None:
    held()
    assert run_schedule() == NOTHING
    assert handed_out(deployment) == []


def test_a_second_delivery_hands_out_nothing(deployment: Deployment, held: Begin) -> None:
    incident_id = held()
    make_due(deployment)
    run_schedule()
    assert run_schedule() == NOTHING
    assert handed_out(deployment) == [incident_id]


def test_incidents_of_the_same_containment_are_verified_once(
    deployment: Deployment, held: Begin, record: IncidentRepository
) -> None:
    incident_id = held()
    second = "inc-fedcba9876543210"
    [target] = record.meta(incident_id)["targets"]
    record.containments.join({**target, "kind": "ec2_instance"}, second, "ec2_instance")
    record.table.put(
        {**record.meta(incident_id), "incident_id": second, "pk": f"INCIDENT#{second}"}
    )
    make_due(deployment)
    run_schedule()
    assert len(handed_out(deployment)) == 1


def test_what_cannot_be_handed_out_keeps_nothing_else_waiting(
    deployment: Deployment, held: Begin, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    held("CONTAINED", "i-1")
    other = record.containments.join(
        {
            "kind": "ec2_instance",
            "id": "i-2",
            "arn": "arn:aws:ec2:eu-west-1:222222222222:instance/i-2",
            "account_id": "222222222222",
            "region": "eu-west-1",
        },
        "inc-2",
        "ec2_instance",
    )
    assert other.new
    state = record.containments.state("arn:aws:ec2:eu-west-1:222222222222:instance/i-2", 1)
    assert state
    upkeep.begin(record, state, "inc-2", [])
    make_due(deployment)
    client = clients.client("lambda")
    invoke = client.invoke

    def broken(**request: Any) -> Any:
        if b"us-east-1" in request["Payload"]:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "Invoke")
        return invoke(**request)

    monkeypatch.setattr(client, "invoke", broken)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        run_schedule()
    assert handed_out(deployment) == ["inc-2"]
    monkeypatch.undo()
    run_schedule()
    assert len(handed_out(deployment)) == 1, "it is due still"


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
    make_due(deployment)
    assert (run_schedule(), watch(change_event())) == (NOTHING, {"started": []})
    assert (handed_out(deployment), started_checks(deployment)) == ([], {})
    deployment.configure({"active_playbooks": ["ec2_instance"]})
    assert _reconcile() == [] and "watched again" in deployment.timeline(incident_id)
    make_due(deployment)
    run_schedule()
    assert handed_out(deployment) == [incident_id]
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

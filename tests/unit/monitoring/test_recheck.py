"""Tests a recheck in the incident function: what opens it, and what happens when it fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.errors import ResponseError
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import WATCHED, Status

from tests.unit.deployment import Deployment
from tests.unit.function_calls import EXECUTION, call, notified, watch
from tests.unit.monitoring.watchdog_events import (
    CHECK,
    Begin,
)

# -- opening a check -------------------------------------------------------------------------------


def _open(incident_id: Any, **more: Any) -> dict[str, Any]:
    return call(
        "open",
        event={"watch": {"incident_id": incident_id, "why": "schedule", "seen": None, **more}},
        execution=CHECK,
    )


@pytest.mark.parametrize("status", list(Status), ids=str)
def test_only_what_stands_is_opened(deployment: Deployment, held: Begin, status: Status) -> None:
    incident_id = held(status)
    answer = _open(incident_id)
    if status in WATCHED:
        assert answer == {
            "incident_id": incident_id,
            "playbook": "ec2_instance",
            "next": "triage",
            "verify_only": True,
        }
    else:
        assert answer["next"] == "done"
    meta = deployment.meta(incident_id)
    assert (meta["status"], meta["execution"]) == (
        status,
        EXECUTION,
    ), "who must finish it stays who it was"
    assert ("watch" in meta) == (status in WATCHED)


def test_the_change_is_kept_and_a_later_schedule_does_not_forget_it(
    deployment: Deployment, held: Begin
) -> None:
    incident_id = held()
    _open(
        incident_id,
        seen={
            "who": "bob",
            "what": "X",
            "when": "t",
            "from": "f",
            "agent": "a\nb",
            "event_id": "e",
            "more": 1,
        },
    )
    _open(incident_id)
    assert deployment.meta(incident_id)["undone_by"] == {
        "who": "bob",
        "what": "X",
        "when": "t",
        "from": "f",
        "agent": "a b",
        "event_id": "e",
    }


@pytest.mark.parametrize("bad", [None, 7, "i-1", "", {"x": 1}])
def test_an_input_that_names_no_incident_is_refused(deployment: Deployment, bad: Any) -> None:
    with pytest.raises(ResponseError, match="a recheck is started with"):
        _open(bad)


def test_an_incident_that_does_not_exist_is_refused(deployment: Deployment) -> None:
    with pytest.raises(ResponseError, match="there is no incident inc-0"):
        _open("inc-0")


# -- a check that dies -----------------------------------------------------------------------------


def _dead(incident_id: str) -> None:
    text = json.dumps({"watch": {"incident_id": incident_id, "why": "schedule", "seen": None}})
    watch(
        {
            "source": "aws.states",
            "detail": {
                "executionArn": CHECK,
                "status": "FAILED",
                "input": text,
                "cause": "gone wrong",
            },
        }
    )


def test_a_check_that_dies_is_told_once_and_changes_no_status(
    deployment: Deployment, held: Begin
) -> None:
    incident_id = held()
    for _ in range(3):
        _dead(incident_id)
    assert deployment.meta(incident_id)["status"] == "CONTAINED"
    [message] = deployment.messages("escalations")
    assert (
        "could not be verified: state machine" in message["Message"]
        and "gone wrong" in message["Message"]
    )


def test_a_check_that_died_containing_again_has_failed(
    deployment: Deployment, held: Begin, record: IncidentRepository
) -> None:
    incident_id = held("CONTAINING")
    record.note(incident_id, execution=CHECK)
    _dead(incident_id)
    assert deployment.meta(incident_id)["status"] == "FAILED"
    assert notified(deployment) == (["FAILED"], ["FAILED"])


def test_a_dead_check_of_nothing_is_no_news(deployment: Deployment, held: Begin) -> None:
    _dead("inc-0")
    _dead(held("RESTORED"))
    assert notified(deployment) == ([], [])

"""Tests that a containment is monitored while its recurring finding waits for an approval."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.unit.checks import SCHEDULE, counts
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import notified, watch
from tests.unit.monitoring.contained_incident import GOOD, OPEN, TAGGED, UNREAD, UNTAGGED, Case
from tests.unit.monitoring.watchdog_events import change_event, started_checks

EVENT = change_event(parameters={"networkInterfaceId": "eni-1"})


def minutes_until(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds() / 60


@pytest.fixture
def waiting(case: Case, record: IncidentRepository) -> Case:
    """A containment that is PARTIAL, whose finding came again and asks for an approval."""
    record.containments.set(
        ARN,
        1,
        weak=["profile"],
        status=Status.PARTIAL,
    )
    record.move(
        case.incident_id, Status.CONTAINED, Status.AWAITING_APPROVAL, held=Status.PARTIAL.value
    )
    case.see(GOOD, UNTAGGED)
    return case


def test_it_is_checked_by_its_interval(waiting: Case) -> None:
    assert waiting.check_all() == counts(held=1)
    assert 14.9 < minutes_until(waiting.due["due_at"]) <= 15
    assert started_checks(waiting.deployment) == {}
    assert waiting.meta["status"] == "AWAITING_APPROVAL"


def test_a_loss_is_recorded_and_told_once_and_left_to_the_approval(waiting: Case) -> None:
    waiting.see(OPEN, UNTAGGED)
    assert waiting.change(EVENT) == counts(lost=1)
    watch(SCHEDULE)
    assert started_checks(waiting.deployment) == {}
    assert (waiting.meta["status"], waiting.contained()) == ("AWAITING_APPROVAL", 1)
    assert "lost while it waits for an approval" in waiting.deployment.timeline(waiting.incident_id)
    [message] = waiting.deployment.messages("escalations")
    assert "eni-1 is OPEN" in message["Message"]
    assert "assumed-role/admin/bob called ModifyNetworkInterfaceAttribute" in message["Message"]
    assert notified(waiting.deployment) == (["problem"], []), "the escalation was read above"
    assert 14.9 < minutes_until(waiting.due["due_at"]) <= 15
    for _ in range(2):
        assert waiting.check_all() == counts(lost=1)
        watch(SCHEDULE)
    assert notified(waiting.deployment) == ([], [])


def test_a_loss_that_comes_again_after_it_was_mended_is_told_again(waiting: Case) -> None:
    for _ in range(2):
        waiting.see(OPEN, UNTAGGED)
        assert waiting.check_all() == counts(lost=1)
        watch(SCHEDULE)
        assert notified(waiting.deployment) == (["problem"], ["problem"])
        waiting.see(GOOD, UNTAGGED)
        assert waiting.check_all() == counts(held=1)
        assert {"lost", "why_lost"}.isdisjoint(waiting.due)


def test_what_cannot_be_read_meanwhile_is_told(waiting: Case) -> None:
    waiting.see(GOOD, UNREAD)
    waiting.check_all()
    waiting.see(UNREAD, UNTAGGED)
    waiting.see(UNREAD._replace(name="eni-1"), UNTAGGED)
    assert waiting.check_all() == counts(not_read=1)
    watch(SCHEDULE)
    assert notified(waiting.deployment) == (["problem"], ["problem"])


def test_an_approval_that_is_refused_leaves_the_loss_to_the_machine(
    waiting: Case, record: IncidentRepository
) -> None:
    waiting.see(OPEN, UNTAGGED)
    waiting.check_all()
    watch(SCHEDULE)
    record.move(waiting.incident_id, Status.AWAITING_APPROVAL, Status.PARTIAL)
    assert waiting.check_all() == counts(lost=1)
    assert len(started_checks(waiting.deployment)) == 1
    assert "lost" not in waiting.due


@pytest.mark.parametrize("status", [Status.OPEN, Status.CONTAINING])
def test_a_change_that_meets_work_on_the_resource_is_looked_at_afterwards(
    case: Case, record: IncidentRepository, status: Status
) -> None:
    record.move(case.incident_id, Status.CONTAINED, status)
    case.see(OPEN, TAGGED)
    assert case.change(EVENT) == counts()
    assert 1.9 < minutes_until(case.due["due_at"]) <= 2
    record.move(case.incident_id, status, Status.CONTAINED)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=3), tick=False):
        assert case.check_due() == counts(lost=1)
    [request] = started_checks(case.deployment).values()
    assert request["watch"]["seen"]["event_id"] == "ev-1"

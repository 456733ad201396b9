"""Tests what happens when a contained resource cannot be read: soon again, or told to people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.monitoring.sessions import BatchSessions

from tests.unit.checks import SCHEDULE, counts
from tests.unit.deployment import Deployment
from tests.unit.function_calls import notified, watch
from tests.unit.monitoring.contained_incident import GOOD, OPEN, TAGGED, UNREAD, Case
from tests.unit.monitoring.watchdog_events import change_event, started_checks

EVENT = change_event(parameters={"networkInterfaceId": "eni-1"})


def throttle(operation: str = "AssumeRole") -> ClientError:
    error: Any = {"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}
    return ClientError(error, operation)


def minutes_until(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds() / 60


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """Answers AssumeRole with these, one after the other, and then as it is."""
    left: list[Exception] = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def answer(self: Any, operation: str, arguments: Any) -> Any:
        if operation == "AssumeRole" and left:
            raise left.pop(0)
        return call(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    return left


def test_one_passing_fault_pages_nobody_and_the_check_comes_again_in_minutes(
    case: Case, faults: list[Exception]
) -> None:
    faults.append(throttle())
    assert case.check_all() == counts(not_read=1)
    watch(SCHEDULE)
    assert notified(case.deployment) == ([], [])
    assert 0 < minutes_until(case.due["due_at"]) <= 5
    assert "why_unread" not in case.due
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=5), tick=False):
        assert case.check_due() == counts(held=1)
    assert "unread" not in case.due


def test_a_fault_that_does_not_pass_is_told_once(case: Case, faults: list[Exception]) -> None:
    begun = datetime.now(UTC)
    for minutes in (0, 5, 10):
        faults.append(throttle())
        with time_machine.travel(begun + timedelta(minutes=minutes), tick=False):
            assert case.check_due() == counts(not_read=1) if minutes else case.check_all()
            watch(SCHEDULE)
            assert notified(case.deployment) == ([], [])
    with time_machine.travel(begun + timedelta(minutes=16), tick=False):
        for topics in (["problem"], []):
            faults.append(throttle())
            assert case.check_all() == counts(not_read=1)
            watch(SCHEDULE)
            assert notified(case.deployment) == (topics, topics)


@pytest.mark.parametrize(
    "why",
    [
        "Throttling: Rate exceeded",
        "InternalError: An internal error has occurred",
        'Read timeout on endpoint URL: "https://iam.amazonaws.com/"',
    ],
)
def test_a_setting_that_could_not_be_read_for_a_moment_pages_nobody(case: Case, why: str) -> None:
    case.see(GOOD, UNREAD._replace(detail=f"tag could not be read ({why})"))
    begun = datetime.now(UTC)
    assert case.check_all() == counts(not_read=1)
    watch(SCHEDULE)
    assert notified(case.deployment) == ([], [])
    assert 0 < minutes_until(case.due["due_at"]) <= 5
    with time_machine.travel(begun + timedelta(minutes=16), tick=False):
        assert case.check_all() == counts(not_read=1)
        watch(SCHEDULE)
        assert notified(case.deployment) == (["problem"], ["problem"])


def test_a_change_that_could_not_be_read_is_looked_at_minutes_later(
    case: Case, faults: list[Exception]
) -> None:
    faults.append(throttle())
    assert case.change(EVENT) == counts(not_read=1)
    case.see(OPEN, TAGGED)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=5), tick=False):
        assert case.check_due() == counts(lost=1)
    [request] = started_checks(case.deployment).values()
    assert request["watch"]["seen"]["event_id"] == "ev-1"


def test_what_cannot_be_read_after_a_change_is_told_and_read_again_soon(case: Case) -> None:
    case.see(GOOD, UNREAD)
    assert case.change(EVENT) == counts(not_read=1)
    watch(SCHEDULE)
    assert notified(case.deployment) == (["problem"], ["problem"])
    begun = datetime.now(UTC)
    with time_machine.travel(begun + timedelta(minutes=5), tick=False):
        assert case.check_due() == counts(not_read=1)
        assert 0 < minutes_until(case.due["due_at"]) <= 5
    with time_machine.travel(begun + timedelta(minutes=70), tick=False):
        assert case.check_due() == counts(not_read=1)
        assert 14.9 < minutes_until(case.due["due_at"]) <= 15, "by the interval, after an hour"
        case.see(OPEN, TAGGED)
        assert case.check_all() == counts(lost=1)
    [request] = started_checks(case.deployment).values()
    assert request["watch"]["seen"]["event_id"] == "ev-1"


def test_a_session_that_could_not_be_opened_is_opened_anew(
    deployment: Deployment, faults: list[Exception]
) -> None:
    faults.append(throttle())
    sessions = BatchSessions("aws", "batch", ("ec2:DescribeInstances",))
    with pytest.raises(ClientError):
        sessions.check_role("222222222222", "us-east-1")
    sessions.check_role("222222222222", "us-east-1")
    asked = policy(allow(("ec2:DescribeInstances",)))
    assert sessions.assume("222222222222", "us-east-1", asked).client("ec2").describe_instances()

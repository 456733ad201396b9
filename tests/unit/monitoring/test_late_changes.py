"""Tests that a change which AWS shows late is found: what an event named is read once more a minute
later. IAM and EC2 are eventually consistent, so the check at once may read how it was before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from guardduty_response.errors import RoleUnavailable
from guardduty_response.monitoring import due
from guardduty_response.monitoring.sessions import BatchSessions

from tests.unit.checks import counts, make_due
from tests.unit.monitoring.contained_incident import GOOD, OPEN, TAGGED, UNREAD, Case
from tests.unit.monitoring.watchdog_events import change_event, started_checks

EVENT = change_event(parameters={"networkInterfaceId": "eni-1"})
QUARTER = timedelta(minutes=15)
Clock = Any


@pytest.fixture
def clock(case: Case) -> Iterator[Clock]:
    """Stands still, at the beginning of a time slot in which nothing was answered."""
    with time_machine.travel(
        datetime.now(UTC),
        tick=False,
    ) as stopped:
        stopped.move_to(datetime.fromisoformat(due.next_slot()))
        yield stopped


def _due(case: Case) -> datetime:
    return datetime.fromisoformat(case.due["due_at"])


def _reads(case: Case) -> int:
    """How often the resource was verified."""
    return sum(1 for step, _ in case.fake.calls if step == "verify")


def test_what_is_shown_late_is_contained_again_after_a_minute(case: Case, clock: Clock) -> None:
    assert case.change(EVENT) == counts(held=1), "AWS shows it as it was"
    clock.shift(20)
    case.see(OPEN, TAGGED)
    assert case.check_due() == counts(), "not before"
    clock.shift(due.READ_AGAIN_SECONDS - 20)
    assert case.check_due() == counts(lost=1)
    [request] = started_checks(case.deployment).values()
    assert request["watch"]["why"] == "change"
    assert request["watch"]["seen"]["event_id"] == "ev-1", "it is known who did it"
    assert (case.meta["status"], case.contained()) == ("CONTAINED", 2)
    assert "read_again" not in case.due


def test_what_holds_is_read_once_more_and_its_regular_check_is_not_put_off(
    case: Case, clock: Clock
) -> None:
    event_at, reads = datetime.now(UTC), _reads(case)
    assert case.change(EVENT) == counts(held=1)
    clock.shift(due.READ_AGAIN_SECONDS)
    assert case.check_due() == counts(held=1)
    assert _due(case) == event_at + QUARTER
    assert {"read_again", "seen"}.isdisjoint(case.due)
    clock.shift(due.READ_AGAIN_SECONDS)
    assert case.check_due() == counts(), "it does not call for another one"
    assert _reads(case) == reads + 2
    clock.move_to(event_at + QUARTER)
    assert case.check_due() == counts(held=1)
    assert _due(case) == event_at + 2 * QUARTER
    assert started_checks(case.deployment) == {}


def test_a_storm_of_events_has_one_more_check_after_the_last(case: Case, clock: Clock) -> None:
    begun, reads = datetime.now(UTC), _reads(case)
    for number in range(10):
        assert case.change(
            change_event(
                eventID=f"ev-{number}",
                parameters={"x": "eni-1"},
            )
        ) == (counts(held=1))
        clock.shift(10)
        assert case.check_due() == counts()
    assert _reads(case) == reads + 10
    clock.shift(due.READ_AGAIN_SECONDS - 10)
    assert case.check_due() == counts(held=1)
    assert _reads(case) == reads + 11
    assert _due(case) == begun + QUARTER
    assert "read_again" not in case.due


def test_a_regular_check_comes_when_it_is_due_though_events_do_not_end(
    case: Case, clock: Clock
) -> None:
    begun = datetime.now(UTC)
    while datetime.now(UTC) < begun + QUARTER - timedelta(seconds=1):
        assert case.change(EVENT) == counts(held=1)
        assert _due(case) <= begun + QUARTER
        clock.shift(45)
    clock.move_to(begun + QUARTER)
    assert case.check_due() == counts(held=1)
    assert "read_again" in case.due, "what the last event named is still to be read again"
    assert _due(case) <= datetime.now(UTC) + timedelta(seconds=due.READ_AGAIN_SECONDS)


def test_a_check_that_comes_earlier_does_not_replace_it(case: Case, clock: Clock) -> None:
    """A batch takes along what is due soon."""
    event_at = datetime.now(UTC)
    assert case.change(EVENT) == counts(held=1)
    clock.shift(10)
    make_due(case.deployment)
    assert case.check_due() == counts(held=1)
    assert _due(case) == event_at + timedelta(seconds=due.READ_AGAIN_SECONDS)
    case.see(
        OPEN,
        TAGGED,
    )
    clock.shift(due.READ_AGAIN_SECONDS - 10)
    assert case.check_due() == counts(lost=1)
    assert case.meta["status"] == "CONTAINED"


def test_what_cannot_be_read_again_is_read_later_and_no_more_than_once(
    case: Case, clock: Clock
) -> None:
    event_at = datetime.now(UTC)
    assert case.change(EVENT) == counts(held=1)
    case.see(
        GOOD,
        UNREAD,
    )
    clock.shift(due.READ_AGAIN_SECONDS)
    assert case.check_due() == counts(not_read=1)
    case.check_due()  # tells people
    clock.shift(due.RETRY_SECONDS)
    case.see(
        OPEN,
        TAGGED,
    )
    assert case.check_due() == counts(lost=1), "soon, as what an event named"
    [request] = started_checks(case.deployment).values()
    assert request["watch"]["seen"]["event_id"] == "ev-1"

    clock.shift(600)
    assert case.check_all() == counts(held=1)
    assert case.change(EVENT) == counts(held=1)
    for _ in range(3):
        case.see(
            GOOD,
            UNREAD,
        )
        clock.shift(due.RETRY_SECONDS)
        case.check_due()
        case.check_due()
    clock.shift(due.RETRY_SECONDS)
    case.see(
        GOOD,
        TAGGED,
    )
    assert case.check_all() == counts(held=1)
    assert {"read_again", "seen"}.isdisjoint(case.due)
    assert event_at < _due(case) <= datetime.now(UTC) + QUARTER


def test_what_an_event_finds_lost_is_not_read_again_for_it(case: Case, clock: Clock) -> None:
    assert case.change(EVENT) == counts(held=1)
    case.see(
        OPEN,
        TAGGED,
    )
    assert case.change(EVENT) == counts(lost=1)
    assert "read_again" not in case.due


def test_what_is_contained_again_is_checked_as_often_as_at_first(case: Case, clock: Clock) -> None:
    clock.shift(timedelta(days=8))
    assert case.check_all() == counts(held=1)
    assert case.change(EVENT) == counts(held=1)
    case.see(
        OPEN,
        TAGGED,
    )
    clock.shift(due.READ_AGAIN_SECONDS)
    assert case.check_due() == counts(lost=1)
    clock.shift(120)
    assert case.check_due() == counts(held=1)
    assert _due(case) <= datetime.now(UTC) + QUARTER


@pytest.fixture
def no_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account lacks the monitor's role: the machine verifies."""

    def refuse(*_: object) -> None:
        raise RoleUnavailable("cannot assume the role")

    monkeypatch.setattr(
        BatchSessions,
        "check_role",
        refuse,
    )


@pytest.mark.usefixtures("no_role")
def test_the_machine_verifies_once_more_too(case: Case, clock: Clock) -> None:
    assert case.change(EVENT) == counts()
    assert len(started_checks(case.deployment)) == 1
    case.see(
        OPEN,
        TAGGED,
    )
    for _ in range(3):
        clock.shift(due.READ_AGAIN_SECONDS)
        case.check_due()
    requests = started_checks(case.deployment).values()
    assert [request["watch"]["seen"]["event_id"] for request in requests] == ["ev-1", "ev-1"]
    assert (case.meta["status"], case.contained()) == ("CONTAINED", 2)


@pytest.mark.usefixtures("no_role")
def test_what_the_machine_has_contained_again_is_not_read_again_for_the_change(
    case: Case, clock: Clock
) -> None:
    case.see(
        OPEN,
        TAGGED,
    )
    case.change(EVENT)
    assert (case.meta["status"], case.contained()) == ("CONTAINED", 2)
    assert "read_again" not in case.due


def test_the_machine_verifies_once_more_where_there_is_no_function(
    case: Case, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "GDR_MONITOR_FUNCTIONS",
        json.dumps({"iam_principal": "arn:x"}),
    )
    event_at = datetime.now(UTC)
    case.change(EVENT)
    assert len(started_checks(case.deployment)) == 1
    for _ in range(5):
        clock.shift(due.READ_AGAIN_SECONDS)
        case.check_due()
    assert len(started_checks(case.deployment)) == 2
    assert _due(case) == event_at + QUARTER

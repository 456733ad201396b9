"""The status table: complete, closed and the one the documentation shows."""

from __future__ import annotations

import itertools

import pytest
from guardduty_response.errors import IllegalTransition
from guardduty_response.incident.statuses import (
    EARLIER_CONTAINMENT,
    ESCALATE,
    IN_PROGRESS,
    ON_FINDING,
    TRANSITIONS,
    Event,
    OnFinding,
    Status,
    combine,
    next_status,
)

from tests.support import statuses_document

S, E, F = Status, Event, OnFinding


@pytest.mark.parametrize(("status", "event"), list(itertools.product(Status, Event)), ids=str)
def test_every_status_and_event_is_either_defined_or_refused_by_name(
    status: Status, event: Event
) -> None:
    if event in TRANSITIONS[status]:
        assert next_status(status, event) in Status
    else:
        with pytest.raises(IllegalTransition, match=f"{status} cannot take the event '{event}'"):
            next_status(status, event)


def test_tables_name_every_status() -> None:
    assert set(TRANSITIONS) == set(ON_FINDING) == set(Status)


@pytest.mark.parametrize(
    ("status", "event", "after"),
    [
        (S.OPEN, E.ACT, S.CONTAINING),
        (S.OPEN, E.ASK, S.AWAITING_APPROVAL),
        (S.OPEN, E.SKIPPED, S.SKIPPED),
        (S.OPEN, E.EXECUTION_FAILED, S.FAILED),
        (S.AWAITING_APPROVAL, E.REJECTED, S.REJECTED),
        (S.AWAITING_APPROVAL, E.APPROVAL_TIMED_OUT, S.TIMED_OUT),
        (S.AWAITING_APPROVAL, E.ASK, S.AWAITING_APPROVAL),
        (S.CONTAINING, E.CONTAINED, S.CONTAINED),
        (S.CONTAINING, E.ACT, S.CONTAINING),
        (S.CONTAINED, E.CONTAINMENT_LOST, S.CONTAINMENT_LOST),
        (S.CONTAINMENT_LOST, E.CONTAINED, S.CONTAINED),
        (S.CONTAINED, E.RESTORED, S.RESTORED),
        (S.RESTORE_PARTIAL, E.RESTORED, S.RESTORED),
    ],
)
def test_the_steps_a_response_takes(status: Status, event: Event, after: Status) -> None:
    assert next_status(status, event) is after


def test_nothing_acts_on_what_a_person_has_decided() -> None:
    for status in (S.REJECTED, S.RESTORED, S.CLOSED):
        assert E.ACT not in TRANSITIONS[status]
        assert E.EXECUTION_FAILED not in TRANSITIONS[status]


def test_only_work_in_progress_can_die() -> None:
    assert {status for status in Status if E.EXECUTION_FAILED in TRANSITIONS[status]} == IN_PROGRESS


@pytest.mark.parametrize(
    ("outcome", "group"),
    [
        (F.COUNT, {S.OPEN, S.AWAITING_APPROVAL, S.CONTAINING}),
        (F.VERIFY, {S.CONTAINED}),
        (
            F.START,
            {
                S.PARTIAL,
                S.FAILED,
                S.CONTAINMENT_LOST,
                S.NOTIFIED,
                S.DRY_RUN,
                S.SKIPPED,
                S.GONE,
                S.REJECTED,
                S.TIMED_OUT,
                S.RESTORED,
                S.RESTORE_PARTIAL,
                S.CLOSED,
            },
        ),
    ],
)
def test_what_a_further_emission_does(outcome: OnFinding, group: set[Status]) -> None:
    assert {status for status in Status if ON_FINDING[status] is outcome} == group


def test_what_was_done_before_can_be_kept_from_every_state_that_ends_without_acting() -> None:
    for event in EARLIER_CONTAINMENT.values():
        for status in (S.OPEN, S.AWAITING_APPROVAL):
            assert next_status(status, event) in ESCALATE


@pytest.mark.parametrize(
    ("statuses", "together"),
    [
        ([], S.FAILED),
        ([S.CONTAINED], S.CONTAINED),
        ([S.CONTAINED, S.CONTAINED], S.CONTAINED),
        ([S.CONTAINED, S.GONE], S.CONTAINED),
        ([S.GONE, S.GONE], S.GONE),
        ([S.GONE, S.FAILED], S.FAILED),
        ([S.CONTAINED, S.FAILED], S.FAILED),
        ([S.CONTAINED, S.PARTIAL], S.PARTIAL),
        ([S.FAILED, S.PARTIAL], S.FAILED),
        ([S.FAILED, S.FAILED], S.FAILED),
        ([S.CONTAINED, S.CONTAINMENT_LOST, S.FAILED], S.CONTAINMENT_LOST),
        ([S.CONTAINED, S.AWAITING_APPROVAL], S.AWAITING_APPROVAL),
        ([S.CONTAINED, S.CONTAINING], S.CONTAINING),
        ([S.CONTAINED, S.SKIPPED], S.PARTIAL),
        ([S.CONTAINED, S.REJECTED], S.PARTIAL),
        ([S.CONTAINED, S.RESTORED], S.RESTORE_PARTIAL),
        ([S.RESTORED, S.GONE], S.RESTORED),
    ],
)
def test_an_incident_is_as_bad_as_its_targets(statuses: list[Status], together: Status) -> None:
    for order in itertools.permutations(statuses):
        assert combine(list(order)) is together


def test_nothing_is_called_contained_unless_every_target_is() -> None:
    for pair in itertools.product(
        [S.CONTAINED, S.PARTIAL, S.FAILED, S.CONTAINMENT_LOST, S.GONE], repeat=2
    ):
        if combine(list(pair)) is S.CONTAINED:
            assert set(pair) <= {S.CONTAINED, S.GONE}


def test_the_document_is_the_table() -> None:
    assert statuses_document.DOCUMENT.read_text() == statuses_document.render(), (
        "run 'PYTHONPATH=lambda_src python -m tests.support.statuses_document'"
    )

"""An Athena query that fails, is throttled, never ends or is truncated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.stub import Stubber
from guardduty_response.aws import clients
from guardduty_response.playbooks.iam_principal.evidence import actions, trail_queries

from tests.unit.playbooks.iam_principal import evidence_lab
from tests.unit.playbooks.iam_principal.cloudtrail_identities import (
    names,
)
from tests.unit.playbooks.iam_principal.evidence_lab import (
    HOME,
    REGION,
    EvidenceLab,
)
from tests.unit.playbooks.iam_principal.trail_query_stubs import (
    ATHENA,
    ID,
    AnyText,
    athena_expects,
    athena_rows,
    athena_started,
    athena_status,
    queried_by,
)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceLab]:
    yield from evidence_lab.account(monkeypatch)


@pytest.fixture
def athena(lab: EvidenceLab) -> Iterator[Stubber]:
    yield from queried_by(lab, ATHENA, clients.client("athena"))


def test_a_query_that_fails_falls_back_to_lookup_events(lab: EvidenceLab, athena: Stubber) -> None:
    lab.happened("CreateUser")
    athena_started(athena)
    athena_status(athena, "FAILED", "TABLE_NOT_FOUND: line 1:8")
    part = lab.once(actions)
    assert part.outcome == "PARTIAL"
    assert names(lab.changes()[0]) == ["CreateUser"]
    assert {request["region"] for request in lab.asked} >= {REGION, HOME}
    assert (
        f"trail_query failed (query {ID} of Athena is FAILED TABLE_NOT_FOUND: line 1:8)"
        in part.detail
    )
    assert "repair playbooks.iam_principal.trail_query" in part.task


def test_a_query_that_failed_is_not_asked_again(lab: EvidenceLab, athena: Stubber) -> None:
    lab.options["repeat_minutes"] = 20
    athena_started(athena)
    athena_status(athena, "FAILED", "TABLE_NOT_FOUND")
    lab.once(actions)
    lab.ahead = 1201
    lab.happened("CreateUser", 5)
    part = lab.once(actions)
    assert (part.outcome, part.state["listed"]) == ("PARTIAL", 2)
    assert "TABLE_NOT_FOUND" in part.state["fell_back"] and "TABLE_NOT_FOUND" in part.detail
    assert names(lab.changes()[0]) == ["CreateUser"]


def test_a_query_that_is_refused_falls_back(lab: EvidenceLab, athena: Stubber) -> None:
    lab.happened("CreateUser")
    athena.add_client_error("start_query_execution", "AccessDeniedException", "not authorized")
    part = lab.once(actions)
    assert "Athena refused: AccessDeniedException: not authorized" in part.detail
    assert names(lab.changes()[0]) == ["CreateUser"]


def test_throttling_is_asked_again_before_falling_back(lab: EvidenceLab, athena: Stubber) -> None:
    athena.add_client_error("start_query_execution", "TooManyRequestsException", "slow down", 400)
    assert lab.once(actions).outcome == "RUNNING"
    assert lab.asked == []
    athena_started(athena)
    athena_status(athena, "SUCCEEDED")
    athena_rows(athena, [])
    assert lab.once(actions).outcome == "COMPLETE"


def test_a_query_that_never_ends_is_given_up(lab: EvidenceLab, athena: Stubber) -> None:
    athena_started(athena)
    athena_status(athena, "RUNNING")
    lab.once(actions)
    lab.ahead = trail_queries.GIVE_UP_SECONDS + 1
    athena_status(athena, "RUNNING")
    assert "is RUNNING" in lab.once(actions).detail
    assert lab.asked


def test_a_call_that_died_goes_on_with_the_query_it_had_begun(
    lab: EvidenceLab, athena: Stubber
) -> None:
    """Athena gives the same query for the same token, so the token must be the same."""
    athena.add_client_error("start_query_execution", "TooManyRequestsException", "slow down", 400)
    lab.once(actions)
    tokens = []
    for keep in (False, True):
        token = AnyText()
        athena_expects(athena, token=token)
        athena_status(athena, "RUNNING")
        lab.ahead += 10
        lab.once(actions, keep=keep)
        tokens.append(token.text)
    assert tokens[0] == tokens[1]
    assert 32 <= len(tokens[0]) <= 128


def test_what_the_bound_cuts_off_is_said(
    lab: EvidenceLab, athena: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_queries, "MOST_EVENTS", 2)
    athena_started(athena)
    athena_status(athena, "SUCCEEDED")
    athena_rows(athena, [lab.happened("CreateUser", 60 + index) for index in range(2)])
    part = lab.once(actions)
    assert (part.outcome, len(lab.changes()[0])) == ("PARTIAL", 2)
    assert "Athena: truncated after 2 events" in part.detail


def test_what_fills_the_bound_but_for_the_columns_names_is_whole(
    lab: EvidenceLab, athena: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_queries, "MOST_EVENTS", 2)
    athena_started(athena)
    athena_status(athena, "SUCCEEDED")
    athena_rows(athena, [lab.happened("CreateUser")])
    assert lab.once(actions).outcome == "COMPLETE"

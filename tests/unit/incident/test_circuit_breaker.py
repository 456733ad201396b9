"""The circuit breaker: what is counted, for how long, and by executions that come together."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from guardduty_response.incident.circuit_breaker import Counts, Limits
from guardduty_response.incident.repository import IncidentRepository

from tests.support.patience import PATIENCE
from tests.unit.deployment import Deployment


def test_each_target_counts_once(record: IncidentRepository) -> None:
    """By playbook, by account, and in all."""
    count = record.circuit_breaker.count_targets
    assert count("ec2_instance", "1", ["a", "b", "a"], 60) == Counts(2, 2, 2)
    assert count("ec2_instance", "1", ["b"], 60) == Counts(2, 2, 2)
    assert count("ec2_instance", "2", ["c"], 60) == Counts(3, 1, 3)
    assert count("other", "2", ["c", "d"], 60) == Counts(2, 2, 4)


def test_each_marker_is_an_item_that_expires(
    deployment: Deployment, record: IncidentRepository
) -> None:
    for number in range(5):
        record.circuit_breaker.count_targets("ec2_instance", "1", ["arn", f"arn-{number}"], 60)
    markers = deployment.items("BREAKER")
    assert len(markers) == 10
    for marker in markers:
        assert set(marker) == {"pk", "sk", "playbook", "account_id", "arn", "expires_at"}
        assert 3600 < int(marker["expires_at"]) - time.time() < 2 * 86400


def test_the_time_range_slides(record: IncidentRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [6000.0 * 60]  # a fixed range of ten minutes would begin here
    monkeypatch.setattr("guardduty_response.incident.circuit_breaker.time.time", lambda: clock[0])

    def count(arn: str) -> int:
        return record.circuit_breaker.count_targets("p", "1", [arn], 10).of_playbook

    clock[0] += 599
    assert count("a") == 1
    clock[0] += 2
    assert count("b") == 2, "a fixed range would have started anew"
    clock[0] += 598
    assert count("c") == 3, "the first is exactly ten minutes old"
    clock[0] += 0.5
    assert count("d") == 3, "the first has left the range"


@pytest.mark.usefixtures("atomic")
def test_together_no_more_than_the_limit_see_a_count_within_it(record: IncidentRepository) -> None:
    with ThreadPoolExecutor(10) as pool:
        counts = list(
            pool.map(
                lambda n: record.circuit_breaker.count_targets(
                    "p",
                    "1",
                    [f"arn-{n}"],
                    60,
                ),
                range(10),
            )
        )
    for limit in range(1, 11):
        assert sum(count.of_playbook <= limit for count in counts) <= limit
    assert max(count.of_playbook for count in counts) == 10


@pytest.mark.usefixtures("atomic")
def test_two_that_have_both_written_see_each_other(
    record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the clock of the later one is behind."""
    breaker, both_have_written = record.circuit_breaker, threading.Barrier(2)
    pages, times = breaker.table.pages, iter([1000.0, 999.0])
    monkeypatch.setattr(
        "guardduty_response.incident.circuit_breaker.time.time", lambda: next(times)
    )

    def pages_when_both_have_written(size: int, **request: object) -> object:
        both_have_written.wait(timeout=PATIENCE)
        return pages(size, **request)

    monkeypatch.setattr(breaker.table, "pages", pages_when_both_have_written)
    with ThreadPoolExecutor(2) as pool:
        counts = list(
            pool.map(
                lambda arn: breaker.count_targets(
                    "p",
                    "1",
                    [arn],
                    60,
                ),
                ["arn-1", "arn-2"],
            )
        )
    assert [count.of_playbook for count in counts] == [2, 2]


# -- thousands of findings within a short time -----------------------------------------------------


def _mark(record: IncidentRepository, playbook: str, number: int) -> None:
    """Makes markers of so many resources, a millisecond after each other until now."""
    stamp = datetime.now(UTC)
    for position in range(number):
        at = (stamp - timedelta(milliseconds=position + 1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        record.table.put(
            {
                "pk": "BREAKER",
                "sk": f"{at}#{playbook}#arn-{position}",
                "playbook": playbook,
                "account_id": "1",
                "arn": f"arn-{position}",
            }
        )


def test_beyond_a_limit_no_more_is_read_than_shows_it(
    record: IncidentRepository, items_read: list[int]
) -> None:
    """Else each of thousands of findings would read the markers of all before it."""
    _mark(record, "p", 1200)
    counts = record.circuit_breaker.count_targets("p", "1", ["new"], 60, Limits(of_playbook=10))
    assert counts.of_playbook > 10
    assert not counts.complete, "there may be more"
    assert len(items_read) == 1
    assert sum(items_read) <= 100


def test_a_high_limit_is_seen_in_few_pages(
    record: IncidentRepository, items_read: list[int]
) -> None:
    _mark(record, "p", 1200)
    counts = record.circuit_breaker.count_targets("p", "1", ["new"], 60, Limits(of_playbook=500))
    assert counts.of_playbook > 500
    assert sum(items_read) < 1200
    assert len(items_read) <= 4


@pytest.mark.parametrize(
    "limits",
    [Limits(of_playbook=1201), Limits(of_account=1201), Limits(in_all=1201), Limits()],
)
def test_within_the_limits_all_are_counted(
    record: IncidentRepository, items_read: list[int], limits: Limits
) -> None:
    _mark(record, "p", 1200)
    counts = record.circuit_breaker.count_targets("p", "1", ["new"], 60, limits)
    assert counts == Counts(1201, 1201, 1201)
    assert len(items_read) <= 5


@pytest.mark.parametrize("limits", [Limits(of_account=10), Limits(in_all=10)])
def test_each_limit_ends_the_reading(
    record: IncidentRepository, items_read: list[int], limits: Limits
) -> None:
    _mark(record, "other", 300)
    counts = record.circuit_breaker.count_targets("p", "1", ["new"], 60, limits)
    assert not counts.complete
    assert sum(items_read) <= 100


def test_what_other_playbooks_contain_hides_no_limit(record: IncidentRepository) -> None:
    """The newest markers are all of another playbook; the limit shows further back."""
    for number in range(3):
        record.circuit_breaker.count_targets("p", "1", [f"mine-{number}"], 60)
    _mark(record, "other", 300)
    counts = record.circuit_breaker.count_targets("p", "2", ["new"], 60, Limits(of_playbook=3))
    assert counts.of_playbook == 4


def test_few_markers_take_one_query(record: IncidentRepository, items_read: list[int]) -> None:
    record.circuit_breaker.count_targets("p", "1", ["a", "b"], 60, Limits(of_playbook=10))
    assert items_read == [2]

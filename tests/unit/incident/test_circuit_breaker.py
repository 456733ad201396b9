"""The circuit breaker: what is counted, for how long, and by executions that come together."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from guardduty_response.incident.circuit_breaker import Counts
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
    query, times = breaker.table.query, iter([1000.0, 999.0])
    monkeypatch.setattr(
        "guardduty_response.incident.circuit_breaker.time.time", lambda: next(times)
    )

    def query_when_both_have_written(**request: object) -> object:
        both_have_written.wait(timeout=PATIENCE)
        return query(**request)

    monkeypatch.setattr(breaker.table, "query", query_when_both_have_written)
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

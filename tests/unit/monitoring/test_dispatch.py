"""Tests how checks are spread, limited, claimed and worked off when many are due."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import time_machine
from guardduty_response.incident.model import ContainmentRecord
from guardduty_response.incident.moments import from_now, iso
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.table import SHARDS, shard_of
from guardduty_response.monitoring import dispatch, due, slots

from tests.unit.checks import due_items, make_due
from tests.unit.deployment import Deployment
from tests.unit.monitoring.watchdog_events import handed_out, run_schedule, started_checks

Json = dict[str, Any]
MINUTE = timedelta(minutes=1)


def state(number: int, days: float = 30, accounts: int = 1, **more: Any) -> ContainmentRecord:
    """Returns the STATE item of an instance that was contained so many days ago."""
    account = f"2222222222{number % accounts:02d}"
    made: ContainmentRecord = {
        "arn": f"arn:aws:ec2:us-east-1:{account}:instance/i-{number}",
        "id": f"i-{number}",
        "generation": 1,
        "account_id": account,
        "region": "us-east-1",
        "playbook": "ec2_instance",
        "opened_at": iso(datetime.now(UTC) - timedelta(days=days)),
    }
    made.update(cast("ContainmentRecord", more))
    return made


def monitor(record: IncidentRepository, number: int, minutes: float = 0, **more: Any) -> None:
    """Monitors so many containments, due within so many minutes."""
    for count in range(number):
        due.begin(
            record.table,
            state(count, **more),
            f"inc-{count}",
            minutes,
        )


def batches(deployment: Deployment) -> list[Json]:
    """Returns what the monitor functions were invoked with, since asked."""
    found = [payload["monitor"] for _, payload in deployment.invoked]
    deployment.invoked.clear()
    return found


def end(record: IncidentRepository, batch: Json) -> None:
    """Ends a batch as the monitor function does, each check with nothing new."""
    for named in batch["containments"]:
        item = due.get(
            record.table,
            named["arn"],
            named["generation"],
        )
        assert item
        due.settle(
            record.table,
            item,
            from_now(due.interval_of(item) * 60),
        )
    slots.free(record.table, batch["batch"])


# -- limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [150, pytest.param(500, marks=pytest.mark.proof)])
def test_hundreds_of_contained_resources_start_no_execution_and_two_batches(
    deployment: Deployment, record: IncidentRepository, number: int
) -> None:
    """Before, each started an execution of 17 transitions within a second, every 15 minutes."""
    monitor(record, number)
    waiting = number - 100
    assert dispatch.dispatch(record) == {"containments": 100, "batches": 2, "waiting": waiting}
    assert started_checks(deployment) == {}
    found = batches(deployment)
    assert [len(batch["containments"]) for batch in found] == [50, 50]
    assert dispatch.dispatch(record)["containments"] == 0, "both slots are taken, over minutes"
    end(record, found[0])
    assert dispatch.dispatch(record)["containments"] == 50


def test_a_batch_is_of_one_account(deployment: Deployment, record: IncidentRepository) -> None:
    monitor(
        record,
        30,
        accounts=2,
    )
    dispatch.dispatch(record)
    found = batches(deployment)
    assert [len(batch["containments"]) for batch in found] == [15, 15]
    for batch in found:
        accounts = {named["arn"].split(":")[4] for named in batch["containments"]}
        assert accounts == {batch["account_id"]}


@pytest.mark.parametrize("number", [300, pytest.param(2000, marks=pytest.mark.proof)])
def test_a_backlog_is_worked_off_evenly_within_the_limit(
    deployment: Deployment, record: IncidentRepository, number: int
) -> None:
    """The dispatcher was down for a day: oldest first, no account before the others."""
    begun = datetime.now(UTC) - timedelta(days=1)
    for count in range(number):
        item = {
            **state(count, accounts=4),
            "pk": f"CONTAINMENT#{state(count, accounts=4)['arn']}",
            "sk": "0001#DUE",
            "due_shard": shard_of(state(count, accounts=4)["arn"]),
            "due_at": iso(begun + timedelta(seconds=count)),
            "incident_id": f"inc-{count}",
        }
        record.table.put(item)
    handed, rounds = Counter[str](), 0
    oldest = due_items(deployment)[0]["due_at"]
    while dispatch.dispatch(record)["batches"]:
        found = batches(deployment)
        assert len(found) <= 2
        for batch in found:
            assert len(batch["containments"]) <= 50
            handed[batch["account_id"]] += len(batch["containments"])
            end(record, batch)
        assert max(handed.values()) - min(handed[f"2222222222{n:02d}"] for n in range(4)) <= 50
        next_oldest = due_items(deployment)[0]["due_at"]
        assert next_oldest >= oldest, "oldest first"
        oldest, rounds = next_oldest, rounds + 1
    assert rounds <= -(-number // 100) + 2
    assert sum(handed.values()) == number


def test_while_a_slot_is_freed_the_dispatcher_goes_on(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many accounts with few containments each: batches of seconds, not two in a minute."""
    monitor(
        record,
        20,
        accounts=20,
    )

    def end_all(_: float) -> None:
        for batch in batches(deployment):
            end(record, batch)

    monkeypatch.setattr(
        time,
        "sleep",
        end_all,
    )
    monkeypatch.setattr(
        dispatch,
        "WAIT_SECONDS",
        30.0,
    )
    assert dispatch.dispatch(record)["batches"] == 20


def test_a_batch_takes_along_what_would_be_due_soon(
    deployment: Deployment, record: IncidentRepository
) -> None:
    for number, minutes in enumerate((0, 40, 50)):  # an eighth of six hours: 45 minutes
        with time_machine.travel(datetime.now(UTC) + minutes * MINUTE, tick=False):
            due.begin(
                record.table,
                state(number),
                f"inc-{number}",
                0,
            )
    other = state(3, account_id="222222222233")
    with time_machine.travel(datetime.now(UTC) + MINUTE, tick=False):
        due.begin(
            record.table,
            other,
            "inc-3",
            0,
        )
    dispatch.dispatch(record)
    assert handed_out(deployment) == ["inc-0", "inc-1"]


# -- claims ----------------------------------------------------------------------------------------


def test_of_two_dispatchers_one_hands_out_what_a_stale_index_shows_both(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor(record, 5)
    stale = due.due_before(
        record.table,
        from_now(60),
        10,
    )
    monkeypatch.setattr(
        due,
        "due_before",
        lambda *_: [dict(item) for item in stale],
    )
    for _ in range(2):
        dispatch.dispatch(record)
    assert sorted(handed_out(deployment)) == [f"inc-{number}" for number in range(5)]


def test_a_batch_that_dies_is_due_again_when_its_claim_ends(
    deployment: Deployment, record: IncidentRepository
) -> None:
    monitor(record, 3)
    run_schedule()
    assert len(handed_out(deployment)) == 3
    begun = datetime.now(UTC)
    for seconds, count in ((due.CLAIM_SECONDS - 30, 0), (due.CLAIM_SECONDS + 1, 3)):
        with time_machine.travel(begun + timedelta(seconds=seconds), tick=False):
            run_schedule()
            assert len(handed_out(deployment)) == count
    assert slots.take(record.table, "schedule"), "the other slot is free"


# -- spread ----------------------------------------------------------------------------------------


def test_first_checks_are_spread_over_the_interval_and_the_index(
    deployment: Deployment, record: IncidentRepository
) -> None:
    begun = datetime.now(UTC)
    monitor(
        record,
        400,
        minutes=15,
    )
    items = due_items(deployment)
    assert {item["due_shard"] for item in items} == {str(number) for number in range(8)}
    passed = [
        (datetime.fromisoformat(item["due_at"]) - begun).total_seconds() / 60 for item in items
    ]
    by_minute = Counter(int(minutes) for minutes in passed)
    assert max(passed) < 15.5
    assert set(by_minute) >= set(range(15))
    assert max(by_minute.values()) <= 60, "27 a minute, more or less"


@pytest.mark.parametrize(
    ("days", "minutes"), [(0, 15), (0.9, 15), (1.1, 60), (6.9, 60), (7.1, 360), (400, 360)]
)
def test_checks_slow_down(
    deployment: Deployment, record: IncidentRepository, days: float, minutes: int
) -> None:
    monitor(
        record,
        1,
        days=days,
    )
    dispatch.dispatch(record)
    [item] = due_items(deployment)
    assert item["interval_minutes"] == minutes


def test_the_intervals_are_the_deployments(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDR_MONITOR_INTERVALS", '{"first_day": 5, "first_week": 30, "later": 720}')
    assert [due.interval_minutes(state(0, days)["opened_at"]) for days in (0, 3, 30)] == [
        5,
        30,
        720,
    ]


def test_a_quiet_minute_costs_eight_queries(
    deployment: Deployment, record: IncidentRepository, api_calls: list[str]
) -> None:
    monitor(
        record,
        3,
        minutes=15,
    )
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1), tick=False):
        api_calls.clear()
        run_schedule()
    assert api_calls == ["Query"] * SHARDS
    make_due(deployment)
    run_schedule()
    assert len(handed_out(deployment)) == 3

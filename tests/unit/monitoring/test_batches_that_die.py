"""Tests that a batch that dies, hangs or meets a broken record keeps nothing from being checked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
import time_machine
from botocore.exceptions import ClientError
from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.errors import TransientError
from guardduty_response.functions import monitor
from guardduty_response.incident import notifications
from guardduty_response.incident.model import ContainmentRecord
from guardduty_response.incident.moments import from_now
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.monitoring import checks, dispatch, due, slots

from tests.unit.checks import SCHEDULE, counts, due_items, make_due
from tests.unit.deployment import TABLE, Deployment
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import watch
from tests.unit.monitoring.contained_incident import OPEN, TAGGED, Case
from tests.unit.monitoring.test_dispatch import batches, end
from tests.unit.monitoring.test_dispatch import monitor as monitor_many
from tests.unit.monitoring.watchdog_events import change_event, started_checks

Json = dict[str, Any]
EVENT = change_event(parameters={"networkInterfaceId": "eni-1"})
SOON = timedelta(seconds=due.CLAIM_SECONDS + 1)


def throttled(operation: str = "UpdateItem") -> ClientError:
    error: Any = {"Error": {"Code": "ThrottlingException", "Message": "slow down"}}
    return ClientError(error, operation)


# -- a change --------------------------------------------------------------------------------------


def test_a_change_whose_batch_dies_is_checked_when_the_claim_ends(case: Case) -> None:
    """Lambda repeats no invocation that timed out, and discards what was throttled too long."""
    watch(EVENT)
    case.deployment.invoked.clear()
    case.see(OPEN, TAGGED)
    assert case.check_due() == counts(), "it is claimed"
    with time_machine.travel(datetime.now(UTC) + SOON, tick=False):
        assert case.check_due() == counts(lost=1)
    [request] = started_checks(case.deployment).values()
    assert request["watch"]["why"] == "change"
    assert request["watch"]["seen"]["event_id"] == "ev-1"
    assert "seen" not in case.due


def test_a_change_that_was_looked_at_is_forgotten(case: Case) -> None:
    assert case.change(EVENT) == counts(held=1)
    assert {"seen", "claim", "claimed_until"}.isdisjoint(case.due)
    assert case.due["due_at"] > from_now(0)


def test_what_is_due_beside_a_change_is_not_told_of_as_changed(
    case: Case, record: IncidentRepository
) -> None:
    """A change that comes again later is in a batch with others, which nobody has changed."""
    other = cast("ContainmentRecord", {**case.due, "arn": f"{ARN}2"})
    due.begin(
        record.table,
        other,
        "inc-other",
        0,
    )
    seen = cloudtrail_event.change(EVENT["detail"])
    due.put_first(
        record.table,
        ARN,
        1,
        seen,
        from_now(-1),
    )
    watch(SCHEDULE)
    [batch] = batches(case.deployment)
    assert len(batch["containments"]) == 2
    assert (batch["why"], batch["seen"]) == ("schedule", None)
    case.see(OPEN, TAGGED)
    monitor.handler({"monitor": batch})
    [request] = started_checks(case.deployment).values()
    assert request["watch"]["why"] == "change"
    assert request["watch"]["seen"]["event_id"] == "ev-1"


def test_of_a_change_that_cannot_be_claimed_the_rest_is_checked(
    case: Case, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, failing = due.claim_for_change, [True]

    def fail_once(*arguments: Any) -> Any:
        if failing:
            failing.clear()
            raise throttled()
        return claim(*arguments)

    monkeypatch.setattr(
        due,
        "claim_for_change",
        fail_once,
    )
    with pytest.raises(TransientError):
        watch(EVENT)
    assert slots.take(record.table, "change") and slots.take(record.table, "change")


# -- slots -----------------------------------------------------------------------------------------


def test_batches_that_die_again_and_again_keep_no_other_from_being_checked(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of account 00 hang until the function ends, and have been due the longest."""
    begun = datetime.now(UTC)
    for account in range(3):
        with time_machine.travel(begun + timedelta(seconds=account), tick=False):
            item: ContainmentRecord = {
                "arn": f"arn:aws:ec2:us-east-1:22222222220{account}:instance/i-1",
                "generation": 1,
                "account_id": f"22222222220{account}",
                "region": "us-east-1",
                "playbook": "ec2_instance",
                "opened_at": "2020-01-01T00:00:00.000000Z",
            }
            due.begin(
                record.table,
                item,
                f"inc-{account}",
                0,
            )
    monkeypatch.setenv("GDR_MONITOR_IN_FLIGHT", "1")
    handed: list[str] = []
    for number in range(1, 4):
        with time_machine.travel(begun + number * SOON, tick=False):
            dispatch.dispatch(record)
        for batch in batches(deployment):
            handed += [named["incident_id"] for named in batch["containments"]]
    assert handed == ["inc-0", "inc-1", "inc-2"]


@pytest.fixture
def hanging(case: Case, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Lets the calls of a check hang until the test ends; the batch waits for half a second."""
    ended, verify = threading.Event(), case.fake.verify

    def hang(*arguments: Any) -> Any:
        ended.wait(8)
        return verify(*arguments)

    monkeypatch.setattr(
        case.fake,
        "verify",
        hang,
    )
    monkeypatch.setattr(
        checks,
        "END_SECONDS",
        119.5,
        raising=False,
    )
    yield ended
    ended.set()


@pytest.mark.parametrize("number", [1, 4])
def test_a_batch_that_hangs_frees_its_slot_and_gives_back_what_it_has_not_begun(
    case: Case, record: IncidentRepository, hanging: threading.Event, number: int
) -> None:
    case.fake.ids = ["i-1", "i-11", "i-12", "i-13"]
    for count in range(1, number):
        _contain_another(case, f"{ARN}{count}")
    make_due(case.deployment)
    watch(SCHEDULE)
    [(_, payload)] = case.deployment.invoked
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 120_000)
    begun = time.monotonic()
    answer = monitor.handler(payload, context)
    assert time.monotonic() - begun < 6
    assert answer["held"] == 0
    assert slots.take(record.table, "schedule") and slots.take(record.table, "schedule")
    items = due_items(case.deployment)
    assert all("claim" not in item for item in items)
    not_read = [item for item in items if "unread" in item]
    assert len(not_read) == min(number, checks.SIDE_BY_SIDE) == answer["unread"]
    now = from_now(0)
    assert all(now < item["due_at"] <= from_now(due.RETRY_SECONDS) for item in not_read)
    assert all(item["due_at"] <= now for item in items if item not in not_read)


def _contain_another(case: Case, arn: str) -> None:
    """Contains another resource for the case's incident, as the first one is contained."""
    for item in case.deployment.dynamodb.scan(TableName=TABLE)["Items"]:
        if item["pk"]["S"] == f"CONTAINMENT#{ARN}":
            copy = {**item, "pk": {"S": f"CONTAINMENT#{arn}"}, "arn": {"S": arn}}
            case.deployment.dynamodb.put_item(TableName=TABLE, Item=copy)


# -- items -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["told", "claimed"])
def test_a_broken_record_keeps_no_other_from_being_handed_out(
    deployment: Deployment,
    record: IncidentRepository,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    monitor_many(record, 5)
    first = due_items(deployment)[0]
    if broken == "told":
        record.table.put({**first, "generation": 1, "why_unread": "AccessDenied"})
        record.table.put({"pk": f"INCIDENT#{first['incident_id']}", "sk": "META", "status": "?"})
        monkeypatch.setattr(
            notifications,
            "notify_unverified",
            lambda *_: None,
        )
    else:
        claim = due.claim

        def fail(table: Any, found: Any, *rest: Any) -> Any:
            if found["arn"] == first["arn"]:
                raise throttled()
            return claim(table, found, *rest)

        monkeypatch.setattr(
            due,
            "claim",
            fail,
        )
    with pytest.raises((ValueError, ClientError, KeyError)):
        dispatch.dispatch(record)
    [batch] = batches(deployment)
    assert len(batch["containments"]) == 4
    end(record, batch)
    assert slots.take(record.table, "schedule") and slots.take(record.table, "schedule")
    assert all("claim" not in item for item in due_items(deployment))
    if broken == "told":
        [left] = [item for item in due_items(deployment) if item["arn"] == first["arn"]]
        assert left["why_unread"] == "AccessDenied", "it is still to be told"


def test_what_was_claimed_is_given_back_when_the_function_cannot_be_invoked(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor_many(record, 3)
    settle, failing = due.settle, [True]

    def fail_once(*arguments: Any, **more: Any) -> Any:
        if failing:
            failing.clear()
            raise throttled()
        return settle(*arguments, **more)

    def refuse(*_: Any) -> None:
        raise throttled("Invoke")

    monkeypatch.setattr(
        due,
        "settle",
        fail_once,
    )
    monkeypatch.setattr(
        dispatch,
        "_invoke",
        refuse,
    )
    with pytest.raises(ClientError, match="Invoke"):
        dispatch.dispatch(record)
    assert len([item for item in due_items(deployment) if "claim" in item]) == 1

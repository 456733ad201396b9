"""Tests when monitoring of a containment begins and ends, and what leads to it meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from guardduty_response.incident.moments import iso
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import due

from tests.unit.checks import check_all, counts, due_items
from tests.unit.deployment import TABLE, Deployment
from tests.unit.fake_playbook import ARN, FakePlaybook
from tests.unit.function_calls import watch
from tests.unit.functions.shared_world import World, ask, make_world
from tests.unit.monitoring.contained_incident import Case
from tests.unit.monitoring.watchdog_events import Begin

RECONCILE = {"source": "guardduty-response.sweeper"}
NAMES = ("i-1", "eni-1")


@pytest.fixture
def world(deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(deployment, fake, monkeypatch)


def leads(deployment: Deployment, *names: str) -> list[str]:
    """Returns the names that lead to a containment."""
    return [name for name in names if deployment.items(f"WATCHED#222222222222#{name}")]


def test_it_begins_with_the_verdict(case: Case) -> None:
    assert case.due["arn"] == ARN
    assert (case.due["generation"], case.due["playbook"]) == (1, "fake")
    assert leads(case.deployment, *NAMES, "eni-2") == ["i-1", "eni-1"]


def test_what_failed_is_not_monitored(world: World) -> None:
    world.verdicts = {"i-1": Status.FAILED}
    world.contain("a")
    assert due_items(world.deployment) == []


def test_a_second_finding_changes_nothing(world: World) -> None:
    world.contain("a")
    [before] = due_items(world.deployment)
    world.contain("b")
    assert due_items(world.deployment) == [before]


@pytest.mark.parametrize("answer", [Status.RESTORED, Status.RESTORE_PARTIAL, Status.GONE])
def test_it_ends_with_a_restore(world: World, answer: Status) -> None:
    incident_id = world.contain("a")
    assert leads(world.deployment, "i-1") == ["i-1"]
    world.answers = {"i-1": answer}
    ask(incident_id)
    assert due_items(world.deployment) == []
    assert leads(world.deployment, "i-1") == []
    assert check_all(world.deployment) == counts()


def test_it_ends_when_the_last_incident_is_closed(world: World) -> None:
    first, second = world.contain("a"), world.contain("b")
    ask(first, close=True)
    assert len(due_items(world.deployment)) == 1
    assert leads(world.deployment, "i-1") == ["i-1"]
    ask(second, close=True, keep_contained=True, reason="rebuilt tomorrow")
    assert due_items(world.deployment) == []
    assert leads(world.deployment, "i-1") == []


def test_it_begins_anew_with_a_new_generation(world: World) -> None:
    ask(world.contain("a"))
    world.contain("b")
    [item] = due_items(world.deployment)
    assert item["generation"] == 2


def test_a_change_of_what_ended_meanwhile_is_not_looked_at(
    record: IncidentRepository, case: Case
) -> None:
    seen: Any = {
        "who": "bob",
        "what": "X",
        "when": "",
        "from": "",
        "agent": "",
        "event_id": "e",
    }
    due.end(record.table, ARN, 1)
    assert not due.put_first(record.table, ARN, 1, seen, due.at_once())
    assert due.claim_for_change(record.table, ARN, 1, "batch") is None
    due.contained_again(record.table, ARN, 1)
    assert case.due is None


# -- records without a due time --------------------------------------------------------------------


def _forget(deployment: Deployment, *names: str) -> None:
    """Makes the records as an earlier release left them."""
    for item in due_items(deployment):
        key = {name: {"S": item[name]} for name in ("pk", "sk")}
        deployment.dynamodb.delete_item(TableName=TABLE, Key=key)
    for name in names:
        for item in deployment.items(f"WATCHED#222222222222#{name}"):
            key = {part: {"S": item[part]} for part in ("pk", "sk")}
            deployment.dynamodb.delete_item(TableName=TABLE, Key=key)


def test_what_an_earlier_release_contained_is_taken_up_in_one_run(case: Case) -> None:
    _forget(case.deployment, *NAMES)
    assert (case.due, leads(case.deployment, *NAMES)) == (None, [])
    watch(RECONCILE)
    assert case.due["arn"] == ARN
    assert leads(case.deployment, *NAMES) == ["i-1", "eni-1"]
    assert case.check_all() == counts(held=1)


def test_what_a_function_that_died_left_out_is_taken_up_too(case: Case) -> None:
    """All monitored incidents were looked at before."""
    watch(RECONCILE)
    watch(RECONCILE)
    _forget(case.deployment)
    watch(RECONCILE)
    assert case.due["arn"] == ARN


def test_what_is_monitored_is_left_as_it_is(case: Case) -> None:
    before = case.due
    watch(RECONCILE)
    assert case.due == before


def test_all_are_looked_at_only_where_the_configuration_is_new(
    deployment: Deployment, held: Begin, record: IncidentRepository
) -> None:
    """10,000 monitored incidents are 25 MB: not to be read every five minutes."""
    incident_id = held()
    record.note(incident_id)
    watch(RECONCILE)
    watch(RECONCILE)
    long_ago = iso(datetime.now(UTC) - timedelta(days=30))
    deployment.dynamodb.update_item(
        TableName=TABLE,
        Key={"pk": {"S": f"INCIDENT#{incident_id}"}, "sk": {"S": "META"}},
        UpdateExpression="SET updated_at = :old",
        ExpressionAttributeValues={":old": {"S": long_ago}},
    )
    _forget(deployment)
    watch(RECONCILE)
    assert due_items(deployment) == [], "it has not changed lately"
    deployment.configure({"guardrails.circuit_breaker": None})
    watch(RECONCILE)
    assert len(due_items(deployment)) == 1

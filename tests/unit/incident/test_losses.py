"""A containment that is lost again and again: what each step reads does not grow with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from guardduty_response.incident import losses
from guardduty_response.incident.model import ContainmentLoss
from guardduty_response.incident.moments import iso
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.monitoring import fights

from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import target
from tests.unit.incident.outbox.outbox_lab import write
from tests.unit.incident.records import META

GITOPS = "arn:aws:sts::222222222222:assumed-role/gitops/run"
MANY = 600


def _loss(number: int, minor: bool = False) -> ContainmentLoss:
    """A loss, two minutes after the one before; the last one is of now."""
    at = datetime.now(UTC) - timedelta(minutes=2 * (MANY - number))
    loss: ContainmentLoss = {
        "at": iso(at),
        "checks": ["eni-1"],
        "by": cast(Any, [{"who": GITOPS, "what": "ModifyNetworkInterfaceAttribute"}]),
    }
    return {**loss, "minor": True} if minor else loss


@pytest.fixture
def contested(record: IncidentRepository) -> IncidentRepository:
    """A containment that a program has undone many times."""
    record.containments.join(target(), "inc-1", "ec2_instance")
    for number in range(MANY):
        losses.put(record.table, ARN, 1, _loss(number))
    for number in range(5):
        losses.put(record.table, ARN, 1, _loss(number, minor=True))
    return record


def test_who_reads_a_containment_reads_no_loss(
    contested: IncidentRepository, items_read: list[int]
) -> None:
    contested.containments.read(ARN, 1)
    assert items_read == [2], "STATE and the link"


def test_the_newest_losses_alone_are_read(
    contested: IncidentRepository, items_read: list[int]
) -> None:
    found = losses.newest(contested.table, ARN, 1)
    assert sum(items_read) == len(found) == losses.NEWEST
    assert found[-1]["at"] > found[-2]["at"] > found[0]["at"], "oldest first"
    assert found[-1]["at"] == max(loss["at"] for loss in found)


def test_minor_losses_have_a_history_of_their_own(contested: IncidentRepository) -> None:
    found = losses.newest(contested.table, ARN, 1, minor=True)
    assert len(found) == 5 and all(loss["minor"] for loss in found)


def test_another_generation_has_another_history(contested: IncidentRepository) -> None:
    assert losses.newest(contested.table, ARN, 2) == []


def test_a_loss_that_ends_is_the_same(contested: IncidentRepository) -> None:
    last = losses.newest(contested.table, ARN, 1)[-1]
    losses.put(contested.table, ARN, 1, {**last, "ended": "2026-12-01T00:00:00Z"})
    assert [loss["at"] for loss in losses.newest(contested.table, ARN, 1)].count(last["at"]) == 1
    assert losses.newest(contested.table, ARN, 1)[-1]["ended"]


def test_losses_under_the_earlier_key_are_read_too(record: IncidentRepository) -> None:
    """Beside which new ones are written; a loss may end under the new key."""
    record.containments.join(target(), "inc-1", "ec2_instance")
    early, late = _loss(1), _loss(2)
    for loss in (early, late, _loss(3, minor=True)):
        record.table.put(
            {"pk": f"CONTAINMENT#{ARN}", "sk": f"0001#DRIFT#{loss['at']}", "loss": dict(loss)}
        )
    ended: ContainmentLoss = {**late, "ended": iso(datetime.now(UTC))}
    losses.put(record.table, ARN, 1, ended)
    assert losses.newest(record.table, ARN, 1) == [early, ended]
    assert len(losses.newest(record.table, ARN, 1, minor=True)) == 1
    assert record.containments.read(ARN, 1).state["status"] == "OPEN"


def test_more_losses_than_are_read_are_told_as_at_least_so_many(
    contested: IncidentRepository,
) -> None:
    said = fights.sentences(losses.newest(contested.table, ARN, 1))
    assert f"undid the containment at least {losses.NEWEST} times in 24 hours" in said[0]
    few = fights.sentences([_loss(MANY - 2), _loss(MANY - 1)])
    assert "undid the containment 2 times in 24 hours" in few[0]


def test_who_wants_the_targets_reads_no_timeline_and_no_messages(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = {**META, "incident_id": "inc-1", "execution": "e"}
    record.open(meta)  # type: ignore[arg-type]
    reference = target()
    joined = record.containments.join(reference, "inc-1", "ec2_instance")
    linked = {**reference, "generation": joined.generation}
    record.put_target("inc-1", linked)  # type: ignore[arg-type]
    for number in range(30):
        record.event("inc-1", "verdict", str(number))
        write(record, "CONTAINED", 1, note=str(number), meta={"run": str(number)})
    read: list[str] = []
    query = record.table.client.query

    def counted(**request: object) -> dict[str, list[dict[str, dict[str, str]]]]:
        page: dict[str, list[dict[str, dict[str, str]]]] = query(**request)
        read.extend(stored["sk"]["S"] for stored in page["Items"])
        return page

    monkeypatch.setattr(record.table.client, "query", counted)
    found, targets = record.meta_and_targets("inc-1")
    assert (found, targets) == record.read("inc-1")[:2]
    read.clear()
    record.meta_and_targets("inc-1")
    assert not [sk for sk in read if sk.startswith(("EVENT#", "MESSAGE#"))]
    read.clear()
    whole = record.read_whole("inc-1")
    assert not [sk for sk in read if sk.startswith("EVENT#")], "a verdict needs no timeline"
    assert (whole.meta, whole.targets, whole.events) == (found, targets, [])
    assert whole.history == record.history(found)
    assert len(record.read_whole("inc-1", timeline=True).events) >= 30

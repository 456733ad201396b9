"""A restore and a verification at the same time: what a person has ended stays ended."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.functions import eradicate, respond, terminate
from guardduty_response.incident.statuses import Status

from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import call, notified
from tests.unit.functions.shared_world import World, ask

Json = dict[str, Any]


def state(world: World, generation: int = 1) -> Status:
    found = world.record.containments.state(ARN, generation)
    assert found
    return Status(found["status"])


def restored_while_it_is_read(world: World, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    """Lets a person restore after the next verification has read the resource."""
    read = world.verify

    def verify(context: Context, target: Target) -> tuple[StepResult, list[Any]]:
        found = read(context, target)
        world.record.leases.release(target.arn, context.execution)
        assert ask(first)["status"] == "RESTORED"
        return found

    monkeypatch.setattr(world.fake, "verify", verify)


@pytest.mark.parametrize("seen", [Status.CONTAINED, Status.FAILED])
def test_a_recheck_that_read_before_a_restore_does_not_undo_it(
    world: World, monkeypatch: pytest.MonkeyPatch, seen: Status
) -> None:
    first = world.contain("a")
    world.verdicts = {"i-1": seen}
    restored_while_it_is_read(world, monkeypatch, first)
    [target] = world.deployment.targets(first)
    reference = {
        **{name: target[name] for name in ("kind", "id", "arn", "account_id", "region")},
        "generation": 1,
        "verify_only": True,
    }
    event: Json = {"incident_id": first, "execution": world.execution("recheck")}
    answer = respond.handler({**event, "verb": "verify", "targets": [reference], "attempt": 9})
    assert answer["done"]
    assert state(world) is Status.RESTORED
    notified(world.deployment)
    assert call("verdict", targets=[reference], error="", **event)["status"] == "RESTORED"
    assert world.status(first) == "RESTORED"
    assert notified(world.deployment) == ([], [])


def test_a_finding_that_comes_during_a_restore_fails_and_leaves_the_restore_standing(
    world: World,
) -> None:
    """Else the next finding would take up the ended containment, and its state before."""
    first = world.contain("a")
    second, targets = world.open("b")
    world.record.leases.release(ARN, world.execution("b"))
    ask(first)
    notified(world.deployment)
    world.record.leases.acquire(ARN, world.execution("b"), second, 60)
    world.act("b", second, targets)
    assert state(world) is Status.RESTORED
    assert (world.status(first), world.status(second)) == ("RESTORED", "FAILED")
    [target] = world.deployment.targets(second)
    assert "was restored" in target["verdict"]
    assert notified(world.deployment)[1] == ["FAILED"], "people hear that nothing contains it"
    third = world.contain("c")
    assert [found["generation"] for found in world.deployment.targets(third)] == [2]


def test_a_restore_that_died_before_it_told_its_incidents_is_not_a_loss(world: World) -> None:
    """The recheck would find the resource open, and contain it again."""
    first, second = world.contain("a"), world.contain("b")
    world.record.containments.set(ARN, 1, status=Status.RESTORED)
    world.verdicts = {"i-1": Status.FAILED}
    for incident_id in (first, second):
        event: Json = {"incident_id": incident_id, "execution": world.execution("recheck")}
        planned = respond.handler({**event, "verb": "plan", "verify_only": True})
        event["targets"] = planned["targets"]
        respond.handler({**event, "verb": "verify", "attempt": 9})
        call("verdict", error="", **event)
        assert respond.handler({**event, "verb": "finish", "verify_only": True})["again"] == ""
        world.record.leases.release(ARN, event["execution"])
    assert state(world) is Status.RESTORED
    assert [world.status(name) for name in (first, second)] == ["RESTORED", "RESTORED"]


@pytest.mark.parametrize("status", [Status.FAILED, Status.GONE])
def test_an_incident_that_is_not_monitored_watches_nothing_for_another(
    world: World, status: Status
) -> None:
    """The second one joined and then failed by itself. Closing the first would end monitoring."""
    first = world.contain("a")
    second = world.contain("b")
    [target] = world.deployment.targets(second)
    world.record.end_target(second, {**target}, Status.FAILED, "contain failed: throttled")
    world.record.move(second, Status.CONTAINED, status)
    assert "no other incident watches" in ask(first, close=True)["refused"]
    assert [item["incident_id"] for item in world.record.watched()] == [first]


@pytest.mark.parametrize(
    ("step", "handler"),
    [
        ("terminate", terminate.handler),
        ("finish", respond.handler),
        ("remediate", eradicate.handler),
    ],
)
@pytest.mark.parametrize("others", [0, 1])
def test_an_execution_that_waited_changes_nothing_after_its_incident_was_closed(
    world: World, step: str, handler: Any, others: int
) -> None:
    """Closing says that nothing is changed any more. Snapshots may take hours meanwhile."""
    first = world.contain("a")
    for name in "bcd"[:others]:
        world.contain(name)
    world.done.clear()
    closed = ask(first, close=True, keep_contained=True, reason="its owner rebuilds it")
    assert closed["status"] == "CLOSED"
    event = {"verb": step, "incident_id": first, "execution": world.execution("a")}
    assert handler(event)["done"]
    assert world.done == []
    assert f"{step} ended" in world.deployment.timeline(first)

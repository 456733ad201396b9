"""A restore and a verification at the same time: what a person has ended stays ended."""

from __future__ import annotations

import sys
from typing import Any, cast

import pytest
from guardduty_response.containment.contract import Context, RestoreResult, StepResult, Target
from guardduty_response.functions import eradicate, respond, terminate
from guardduty_response.incident import shared_settings
from guardduty_response.incident.model import TargetReference
from guardduty_response.incident.statuses import Status

from tests.unit.checks import due_items
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import call, notified
from tests.unit.functions.respond_steps import run_step
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
    execution = world.execution("recheck")
    answer = run_step(
        "verify",
        first,
        execution=execution,
        targets=[reference],
        attempt=9,
    )
    assert answer["done"]
    assert state(world) is Status.RESTORED
    assert due_items(world.deployment) == [], "nor is it monitored"
    notified(world.deployment)
    event: Json = {
        "incident_id": first,
        "execution": execution,
        "error": "",
    }
    verdict = call(
        "verdict",
        targets=[reference],
        **event,
    )
    assert verdict["status"] == "RESTORED"
    assert world.status(first) == "RESTORED"
    assert notified(world.deployment) == ([], [])


def planned_during_a_restore(
    world: World, monkeypatch: pytest.MonkeyPatch, first: str, plan: Any
) -> Any:
    """Calls ``plan`` while a person restores ``first``; returns what it returned."""
    planned: list[Any] = []

    def restore(context: Context, target: Target) -> RestoreResult:
        if not planned:
            planned.append(plan())
        return world.restore(context, target)

    monkeypatch.setattr("guardduty_response.aws.clients.execution_ended", lambda _: False)
    monkeypatch.setattr(
        sys.modules[f"{world.fake.__name__}.restore"],
        "restore",
        restore,
    )
    assert ask(first)["status"] == "RESTORED"
    return planned[0]


def finding_during_a_restore(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str, list[Json]]:
    """A finding "b" arrives while a person restores what was contained for "a".

    Returns both incidents, and the targets of the second one.
    """
    first = world.contain("a")
    second, targets = planned_during_a_restore(
        world,
        monkeypatch,
        first,
        lambda: world.open("b"),
    )
    return first, second, targets


def contained_by(
    incident_id: str, execution: str, targets: list[Json], attempt: int = 1
) -> tuple[Json, list[Json]]:
    """Contains as the machine does, with its waits; returns the last answer and the targets."""
    event: Json = {"incident_id": incident_id, "execution": execution}
    answer: Json = {"done": False}
    for number in range(attempt, 40):
        answer = run_step(
            "contain",
            **event,
            targets=targets,
            attempt=number,
        )
        targets = answer.get("targets", targets)
        if answer["done"]:
            break
        assert (answer["again"], answer["wait_seconds"] > 0) == ("contain", True)
    call(
        "verdict",
        targets=targets,
        error="",
        **event,
    )
    return answer, targets


def test_a_finding_that_comes_during_a_restore_is_contained_when_that_has_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, targets = finding_during_a_restore(world, monkeypatch)
    assert [(target["generation"], target["attach"]) for target in targets] == [(1, first)]
    notified(world.deployment)
    world.done.clear()
    execution = world.execution("b")
    answer = run_step(
        "contain",
        second,
        execution=execution,
        targets=targets,
        attempt=1,
    )
    assert 0 < answer["wait_seconds"] <= shared_settings.SPREAD_SECONDS
    assert world.done == [], "nothing is changed before everybody sees what was given back"
    contained_by(
        second,
        execution,
        answer["targets"],
        attempt=2,
    )
    assert world.done == [("contain", "i-1")]
    assert (state(world), state(world, 2)) == (Status.RESTORED, Status.CONTAINED)
    assert (world.status(first), world.status(second)) == ("RESTORED", "CONTAINED")
    assert notified(world.deployment) == (["CONTAINED"], [])
    [target] = world.deployment.targets(second)
    assert (target["generation"], target["opened_by"]) == (2, second)
    assert target["before"] == {"network": {"eni-1": ["sg-web"]}}, "a state before of its own"
    [reference] = world.deployment.meta(second)["targets"]
    assert reference["generation"] == 2, "evidence and rechecks go on with it"
    world.record.leases.release(ARN, execution)
    assert ask(second)["status"] == "RESTORED"


def test_a_step_that_is_repeated_rejoins_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second, targets = finding_during_a_restore(world, monkeypatch)
    execution = world.execution("b")
    for _ in range(2):  # the first answer was lost
        answer = run_step(
            "contain",
            second,
            execution=execution,
            targets=targets,
            attempt=1,
        )
        assert [target["generation"] for target in answer["targets"]] == [2]


def test_what_a_person_gave_back_is_not_contained_again_by_a_recheck_that_waited(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recheck found the loss before the restore: the person has decided about both since."""
    first, second = world.contain("a"), world.contain("b")
    execution = world.execution("recheck")

    def contain_again() -> list[Json]:
        world.record.move(
            second,
            Status.CONTAINED,
            Status.CONTAINMENT_LOST,
        )
        world.record.note(second, contained_again=execution)
        planned = run_step("plan", second, execution=execution)
        assert planned["decision"] == "act"
        return list(planned["targets"])

    targets = planned_during_a_restore(world, monkeypatch, first, contain_again)
    world.done.clear()
    contained_by(second, execution, targets)
    assert world.done == []
    assert world.record.containments.generation(ARN) == 1
    assert state(world) is Status.RESTORED


def test_a_pause_during_the_restore_opens_no_containment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second, targets = finding_during_a_restore(world, monkeypatch)
    world.pause()
    contained_by(second, world.execution("b"), targets)
    assert world.record.containments.generation(ARN) == 1
    assert world.status(second) == "FAILED"


def test_without_waits_left_it_fails_and_leaves_the_restore_standing(world: World) -> None:
    """Else the next finding would take up the ended containment, and its state before."""
    first = world.contain("a")
    second, targets = world.open("b")
    world.record.leases.release(ARN, world.execution("b"))
    ask(first)
    notified(world.deployment)
    world.record.leases.acquire(
        ARN,
        world.execution("b"),
        second,
        60,
    )
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
    world.record.containments.set(
        ARN,
        1,
        status=Status.RESTORED,
    )
    world.verdicts = {"i-1": Status.FAILED}
    for incident_id in (first, second):
        event: Json = {"incident_id": incident_id, "execution": world.execution("recheck")}
        event["targets"] = run_step(
            "plan",
            **event,
            verify_only=True,
        )["targets"]
        run_step("verify", **event, attempt=9)
        call("verdict", error="", **event)
        finished = run_step("finish", **event, verify_only=True)
        assert finished["again"] == ""
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
    world.record.end_target(
        second,
        cast("TargetReference", target),
        Status.FAILED,
        "contain failed: throttled",
    )
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
    closed = ask(
        first,
        close=True,
        keep_contained=True,
        reason="its owner rebuilds it",
    )
    assert closed["status"] == "CLOSED"
    event = {
        "verb": step,
        "incident_id": first,
        "execution": world.execution("a"),
    }
    assert handler(event)["done"]
    assert world.done == []
    assert f"{step} ended" in world.deployment.timeline(first)

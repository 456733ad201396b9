"""An execution whose lease ran out before it contained, and was taken by another incident."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.functions.contain_step import BUSY_ATTEMPTS
from guardduty_response.incident.statuses import Status

from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import call
from tests.unit.functions.respond_steps import run_step
from tests.unit.functions.shared_world import World

Json = dict[str, Any]


def state(world: World) -> Status:
    found = world.record.containments.state(ARN, 1)
    assert found
    return Status(found["status"])


def overtaken(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[Json], list[Json]]:
    """Forensics came before "a" could contain, and took longer than its lease; "b" has it now.

    Returns the incident of "a", its targets and those of "b".
    """
    monkeypatch.setattr("guardduty_response.aws.clients.execution_ended", lambda _: False)
    first, targets = world.open("a")
    world.record.table.update(
        f"RESOURCE#{ARN}",
        "LEASE",
        {"expires": 1},
    )
    _, others = world.open("b")
    assert others[0]["attach"] == ""
    return first, targets, others


def contain(world: World, incident_id: str, targets: list[Json], attempt: int) -> Json:
    event: Json = {"targets": targets, "execution": world.execution("a"), "attempt": attempt}
    return run_step("contain", incident_id, **event, waits=attempt - 1)


def test_it_waits_instead_of_judging_what_the_other_one_is_doing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, targets, others = overtaken(world, monkeypatch)
    answers: list[Json] = []
    seen: list[Status] = []
    change = world.fake.contain

    def in_the_midst(context: Context, target: Target) -> StepResult:
        if context.incident_id != first and not answers:
            world.verdicts = {"i-1": Status.FAILED}
            answers.extend(contain(world, first, targets, number) for number in (1, 2))
            seen.append(state(world))
            world.verdicts = {}
        return change(context, target)

    monkeypatch.setattr(
        world.fake,
        "contain",
        in_the_midst,
    )
    event: Json = {"execution": world.execution("b"), "targets": others}
    incident_id = next(
        meta["incident_id"] for meta in world.deployment.incidents() if meta["incident_id"] != first
    )
    assert run_step("contain", incident_id, **event, attempt=1)["done"]
    assert seen == [Status.OPEN]
    for answer in answers:
        found = (answer["done"], answer["again"], answer["waited"], answer["wait_seconds"] > 0)
        assert found == (False, "contain", True, True)
    assert (world.done, state(world)) == ([("contain", "i-1")], Status.CONTAINED)
    world.record.leases.release(ARN, world.execution("b"))
    assert contain(world, first, targets, 3)["done"]
    assert world.done == [("contain", "i-1")] * 2, "what its own finding needs more"
    call(
        "verdict",
        incident_id=first,
        targets=targets,
        error="",
        execution=world.execution("a"),
    )
    assert world.status(first) == "CONTAINED"
    [target] = world.deployment.targets(first)
    assert "gate" not in target["actions"]


def test_it_only_verifies_when_the_other_one_goes_on_for_too_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, targets, _ = overtaken(world, monkeypatch)
    assert contain(world, first, targets, BUSY_ATTEMPTS)["done"]
    assert world.done == []
    assert "not contained" in world.deployment.timeline(first)

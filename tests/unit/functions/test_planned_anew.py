"""What an earlier plan of an incident named, and the latest does not, counts no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from guardduty_response.incident.statuses import Status

from tests.support.repository import load_finding
from tests.unit.fake_playbook import ARN, configure
from tests.unit.function_calls import call, notified
from tests.unit.functions.respond_steps import run_step
from tests.unit.functions.shared_world import World, ask

# The name of what a finding is about, in its first plan and in a later one.
FIRST, RENAMED = "i-1", "i-2"


def approved_and_renamed(world: World) -> str:
    """The user is named otherwise after the approval, so people are asked again."""
    configure(world.deployment, remediations={"*": "approve"})
    incident_id, _ = world.open("a", FIRST)
    for name in (FIRST, RENAMED):
        world.fake.ids = [name]
        run_step(
            "plan",
            incident_id,
            execution=world.execution("a"),
        )
        call(
            "ask",
            incident_id=incident_id,
            task_token="t",
            execution=world.execution("a"),
        )
        plan = world.deployment.meta(incident_id)["plan_digest"]
        answer = {"approved": True, "plan": plan, "by": "ada"}
        call(
            "decide",
            incident_id=incident_id,
            answer=answer,
        )
    return incident_id


def restored_and_renamed(world: World) -> str:
    incident_id = world.contain("a", FIRST)
    assert ask(incident_id)["status"] == "RESTORED"
    return _again(world, incident_id)


def restored_in_part_and_renamed(world: World) -> str:
    incident_id = world.contain("a", FIRST)
    world.answers = {FIRST: Status.RESTORE_PARTIAL}
    assert ask(incident_id)["status"] == "RESTORE_PARTIAL"
    world.answers = {}
    return _again(world, incident_id)


def rehearsed_and_renamed(world: World) -> str:
    configure(world.deployment, remediations={"*": "dry_run"})
    incident_id, _ = world.open("a", FIRST)
    ended = {"decision": "dry_run", "execution": world.execution("a")}
    assert call("close", incident_id=incident_id, **ended)["status"] == "DRY_RUN"
    configure(world.deployment, remediations={"*": "auto"})
    return _again(world, incident_id)


def _again(world: World, incident_id: str) -> str:
    event = load_finding()
    event["detail"]["id"] = "a"
    event["detail"]["service"]["eventLastSeen"] = "2999-01-01T00:00:00Z"
    opened = call(
        "open",
        event=event,
        execution=world.execution("a"),
    )
    assert (opened["next"], opened["verify_only"]) == ("triage", False)
    world.record.note(incident_id, playbook="fake")
    return incident_id


def contained(world: World, incident_id: str) -> None:
    world.fake.ids = [RENAMED]
    execution = world.execution("a")
    planned = run_step(
        "plan",
        incident_id,
        execution=execution,
        approved=True,
    )
    assert planned["decision"] == "act"
    world.act(
        "a",
        incident_id,
        planned["targets"],
    )


@pytest.mark.parametrize(
    "begin",
    [
        approved_and_renamed,
        restored_and_renamed,
        restored_in_part_and_renamed,
        rehearsed_and_renamed,
    ],
)
def test_an_incident_is_what_its_latest_plan_came_to(
    world: World, begin: Callable[[World], str]
) -> None:
    incident_id = begin(world)
    notified(world.deployment)
    contained(world, incident_id)
    assert world.status(incident_id) == "CONTAINED"
    ended = {"decision": "act", "execution": world.execution("a")}
    assert call("close", incident_id=incident_id, **ended)["status"] == "CONTAINED"
    assert notified(world.deployment)[1] == [], "nobody reads that it is not contained"


@pytest.mark.parametrize("begin", [approved_and_renamed, rehearsed_and_renamed])
def test_what_was_only_planned_is_shown_no_more(
    world: World, begin: Callable[[World], str]
) -> None:
    incident_id = begin(world)
    contained(world, incident_id)
    [target] = world.record.meta_and_targets(incident_id)[1]
    assert (target["id"], target["status"]) == (RENAMED, "CONTAINED")
    world.record.leases.release(ARN.replace(FIRST, RENAMED), world.execution("a"))
    assert ask(incident_id)["status"] == "RESTORED"


def test_what_an_earlier_plan_contained_counts_until_it_is_restored(world: World) -> None:
    world.verdicts = {FIRST: Status.PARTIAL}
    incident_id = _again(world, world.contain("a", FIRST))
    contained(world, incident_id)
    assert world.status(incident_id) == "PARTIAL"
    world.record.leases.release(ARN.replace(FIRST, RENAMED), world.execution("a"))
    assert ask(incident_id)["status"] == "RESTORED"
    restored = [name for step, name in world.done if step == "restore"]
    assert sorted(restored) == [FIRST, RENAMED]

"""A plan that read a resource before everybody saw the end of its restore."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from guardduty_response.containment.contract import (
    Context,
    Planned,
    RestoreResult,
    StepResult,
    Target,
)
from guardduty_response.containment.planned_state import fresh_state
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.incident.containments import partition, sort_key
from guardduty_response.incident.moments import iso, now

from tests.unit.fake_playbook import ARN
from tests.unit.functions.shared_world import World, ask
from tests.unit.functions.test_restore_races import contained_by, planned_during_a_restore

Json = dict[str, Any]


class Interface:
    """Stands for what is contained: the plan reads it, contain records what the plan has read."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.groups, self._restore, plan = "sg-web", world.restore, world.fake.plan

        def planned(context: Context) -> list[Planned]:
            read = {"before": {"network": self.groups}, "read_at": now()}
            return [found._replace(target=_scoped(found.target, read)) for found in plan(context)]

        monkeypatch.setattr(
            world.fake,
            "plan",
            planned,
        )
        monkeypatch.setattr(
            world.fake,
            "contain",
            self.contain,
        )
        monkeypatch.setattr(
            sys.modules[f"{world.fake.__name__}.restore"],
            "restore",
            self.restore,
        )

    def contain(self, context: Context, target: Target) -> StepResult:
        target_context = TargetContext(context, target)
        target_context.record_before_states(fresh_state(target_context) or {"network": self.groups})
        self.groups = "sg-quarantine"
        return StepResult()

    def restore(self, context: Context, target: Target) -> RestoreResult:
        self.groups = "sg-web"
        return self._restore(context, target)


def _scoped(target: Target, more: Json) -> Target:
    return target._replace(scope={**target.scope, **more})


@pytest.mark.parametrize("planned", ["in the midst of it", "a moment after it", "a while ago"])
def test_what_was_read_before_a_restore_was_seen_is_no_state_before(
    world: World, monkeypatch: pytest.MonkeyPatch, planned: str
) -> None:
    """The plan is fresh all the same. A later restore would say of the quarantine: as it was."""
    interface = Interface(world, monkeypatch)
    first = world.contain("a")
    read: dict[str, tuple[str, list[Json]]] = {}

    def open_second() -> None:
        if not read:  # AWS shows a change late: the quarantine, still
            monkeypatch.setattr(
                interface,
                "groups",
                "sg-quarantine",
            )
            read["b"] = world.open("b")

    if planned == "in the midst of it":
        planned_during_a_restore(
            world,
            monkeypatch,
            first,
            open_second,
        )
    else:
        assert ask(first)["status"] == "RESTORED"
        open_second()
    interface.groups = "sg-web"
    second, targets = read["b"]
    if planned == "a while ago":  # the step's start was throttled: nothing waits any more
        targets[0]["scope"]["read_at"] = iso(datetime.now(UTC) - timedelta(seconds=20))
        ended = {"updated_at": iso(datetime.now(UTC) - timedelta(seconds=12))}
        world.record.table.update(
            partition(ARN),
            sort_key(1, "STATE"),
            ended,
        )
    contained_by(
        second,
        world.execution("b"),
        targets,
    )
    assert interface.groups == "sg-quarantine"
    [target] = world.deployment.targets(second)
    assert (target["generation"], target["before"]) == (2, {"network": "sg-web"})

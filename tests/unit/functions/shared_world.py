"""Sends findings about shared resources through the functions, and keeps what the steps did."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from guardduty_response.containment.contract import (
    Check,
    Context,
    RestoreResult,
    StepResult,
    Target,
)
from guardduty_response.functions import respond, restore
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.support.repository import load_finding
from tests.unit.checks import check_all
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook, configure
from tests.unit.function_calls import EXECUTION, call, notified

Json = dict[str, Any]


class World:
    """Sends findings about i-1 and others through the functions, and keeps what the steps did."""

    def __init__(self, deployment: Deployment, fake: FakePlaybook) -> None:
        self.deployment, self.fake = deployment, fake
        self.record = IncidentRepository("guardduty-response-incidents")
        self.done: list[tuple[str, str]] = []
        self.verdicts: dict[str, Status] = {}
        self.answers: dict[str, Status] = {}
        self.lost = False  # what a check reads

    def step(self, name: str) -> Callable[[Context, Target], StepResult]:
        def run(context: Context, target: Target) -> StepResult:
            assert context.gate
            context.gate.permit()
            if name == "contain":
                context.gate.write_before("network", {"eni-1": ["sg-web"]})
            self.done.append((name, target.id))
            return StepResult(detail="done")

        return run

    def verify(self, context: Context, target: Target) -> tuple[StepResult, list[Any]]:
        status = self.verdicts.get(target.id, Status.CONTAINED)
        detail = f"{target.id} is {status}"
        lost = [Check("eni-1", False, "eni-1 is OPEN")] if self.lost else []
        ok = status in (Status.CONTAINED, Status.GONE)
        return StepResult(status=status, detail=detail), lost or [Check("network", ok, detail)]

    def restore(self, context: Context, target: Target) -> RestoreResult:
        assert context.gate
        context.gate.permit()
        self.done.append(("restore", target.id))
        status = self.answers.get(target.id, Status.RESTORED)
        left = [] if status is Status.RESTORED else ["profile"]
        return RestoreResult(
            status,
            ["network"],
            left,
            ["eni-1 is back"],
            left,
            [],
        )

    def open(self, name: str, *ids: str) -> tuple[str, list[Json]]:
        """Opens an incident and plans it; returns its ID and its targets."""
        self.fake.ids = list(ids or ("i-1",))
        event = load_finding()
        event["detail"]["id"] = name
        execution = self.execution(name)
        incident_id = str(
            call(
                "open",
                event=event,
                execution=execution,
            )["incident_id"]
        )
        self.record.note(incident_id, playbook="fake")
        planned = respond.handler(
            {"verb": "plan", "incident_id": incident_id, "execution": execution}
        )
        return incident_id, planned["targets"]

    def execution(self, name: str) -> str:
        return f"{EXECUTION}-{name}"

    def contain(self, name: str, *ids: str) -> str:
        """Contains as the machine does, to the verdict, and gives the lease back."""
        incident_id, targets = self.open(name, *ids)
        self.act(name, incident_id, targets)
        for target in targets:
            self.record.leases.release(target["arn"], self.execution(name))
        notified(self.deployment)
        return incident_id

    def act(self, name: str, incident_id: str, targets: list[Json]) -> None:
        event: Json = {"incident_id": incident_id, "execution": self.execution(name)}
        respond.handler(
            {
                **event,
                "verb": "contain",
                "targets": targets,
                "attempt": 99,
            }
        )
        call(
            "verdict",
            targets=targets,
            error="",
            **event,
        )

    def status(self, incident_id: str) -> str:
        return str(self.deployment.meta(incident_id)["status"])

    def pause(self) -> None:
        item = {
            "pk": "CONTROL",
            "sk": "OPERATOR",
            "paused": True,
            "by": "ada",
            "reason": "drill",
        }
        self.record.table.put(item)


def ask(incident_id: str, **event: Any) -> Json:
    """Asks the restore function."""
    return restore.handler(
        {
            "incident_id": incident_id,
            "requested_by": "ada",
            **event,
        }
    )


def make_world(
    deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch
) -> World:
    """Returns a world whose steps, verdicts and restores the fake playbook answers with."""
    made, module = World(deployment, fake), ModuleType("of the fake playbook")
    module.restore = made.restore  # type: ignore[attr-defined]
    module.eradicate = made.step("remediate")  # type: ignore[attr-defined]
    module.terminate = made.step("terminate")  # type: ignore[attr-defined]
    for name in (".restore", ".eradicate", ".terminate"):
        monkeypatch.setitem(sys.modules, f"{fake.__name__}{name}", module)
    for name in ("contain", "finish"):
        setattr(fake, name, made.step(name))
    fake.verify = made.verify  # type: ignore[method-assign]
    configure(
        deployment,
        active_playbooks=["ec2_instance", "fake"],
        **{"guardrails.circuit_breaker": None},
    )
    return made


def watched(world: World) -> list[str]:
    """Has everything checked that is monitored, as if it were lost; returns the rechecks' names."""
    before = {item["execution"] for item in executions(world)}
    world.lost = True
    try:
        check_all(world.deployment)
    finally:
        world.lost = False
    return [item["name"] for item in executions(world) if item["execution"] not in before]


def executions(world: World) -> list[Json]:
    machines = world.deployment.sfn.list_state_machines()["stateMachines"]
    [incidents] = [found for found in machines if found["name"].endswith("incident")]
    found = world.deployment.sfn.list_executions(stateMachineArn=incidents["stateMachineArn"])
    return [
        {"execution": entry["executionArn"], "name": entry["name"]} for entry in found["executions"]
    ]

"""Provides a playbook that answers what a test wants and records its calls."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from guardduty_response.containment.contract import Check, Context, Planned, StepResult, Target

from tests.unit.deployment import Deployment

ARN = "arn:aws:ec2:us-east-1:222222222222:instance/i-1"


class FakePlaybook(ModuleType):
    """Stands in for a playbook's modules."""

    COLLECTS_FIRST = True

    def __init__(self) -> None:
        super().__init__("guardduty_response.playbooks.fake")
        self.error: Exception | None = None
        self.tags: dict[str, str] = {}
        self.principals: list[str] = []
        self.ids = ["i-1"]
        self.consequences = ""
        self.foresee: Callable[[], dict[str, str]] | None = None
        self.keep: dict[str, Any] = {}
        self.hand_over: dict[str, Callable[[], dict[str, Any]]] = {}
        self.left = 0
        self.steps: dict[str, StepResult] = {}
        self.checks = [Check("eni-1", True, "closed")]
        self.calls: list[tuple[str, Target]] = []
        self.seen: list[Context] = []
        self.planned: list[Context] = []
        self.by_instance = False  # plans the instance that the finding names

    def plan(self, context: Context) -> list[Planned]:
        if self.error:
            raise self.error
        self.planned.append(context)
        named = context.finding.named[1]
        return [
            Planned(
                Target(
                    "ec2_instance",
                    id,
                    ARN.replace("i-1", id),
                    "222222222222",
                    "us-east-1",
                    {"volumes": ["vol-1"]},
                ),
                self.tags,
                self.principals,
                {"quarantine_network": "2 interfaces"},
                self.consequences,
                self.hand_over,
                foresee=self.foresee,
                keep=self.keep,
            )
            for id in ([named] if self.by_instance else self.ids)
        ]

    def _step(self, name: str, context: Context, target: Target) -> StepResult:
        self.calls.append((name, target))
        self.seen.append(context)
        return self.steps.get(name, StepResult())

    def contain(self, context: Context, target: Target) -> StepResult:
        return self._step(
            "contain",
            context,
            target,
        )

    def verify(self, context: Context, target: Target) -> tuple[StepResult, list[Check]]:
        return self._step(
            "verify",
            context,
            target,
        ), list(self.checks)

    def evidence(self, context: Context, target: Target) -> StepResult:
        return self._step(
            "evidence",
            context,
            target,
        )

    def finish(self, context: Context, target: Target) -> StepResult:
        return self._step(
            "finish",
            context,
            target,
        )

    # -- its collector and its terminator ----------------------------------------------------------

    def first(self, context: Context, target: Target, seconds_left: int) -> StepResult:
        self.left = seconds_left
        return self._step(
            "first",
            context,
            target,
        )

    def collect(self, context: Context, target: Target) -> StepResult:
        return self._step(
            "collect",
            context,
            target,
        )

    def terminate(self, context: Context, target: Target) -> StepResult:
        return self._step(
            "terminate",
            context,
            target,
        )


def configure(deployment: Deployment, **changes: Any) -> None:
    active = {"active_playbooks": ["ec2_instance", "fake"]}
    deployment.configure(
        {
            "playbooks.fake": {"finish": "none"},
            **active,
            **changes,
        }
    )

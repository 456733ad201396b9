"""A playbook on a simulated resource: a few settings, each contained by the value "closed".

It uses the real controls and the real restoration, as playbooks do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from guardduty_response.containment import restoration
from guardduty_response.containment.contract import (
    Check,
    Context,
    Planned,
    RestoreResult,
    StepResult,
    Target,
)
from guardduty_response.containment.control import AnyControl, Control, Values
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.errors import TargetGone
from guardduty_response.incident.statuses import Status

ARN = "arn:aws:ec2:us-east-1:222222222222:instance/i-1"
CLOSED = "closed"
ALWAYS, MORE = "network", "sessions"  # MORE is contained for findings of one type alone
NEEDS_MORE = "CredentialExfiltration"


@dataclass
class Resource:
    """What stands in an account. ``values``: the settings; ``snapshots``: who made each set."""

    immutable_id: str = "id-1"
    values: dict[str, str] = field(default_factory=lambda: {ALWAYS: "open-1", MORE: "open-1"})
    snapshots: list[str] = field(default_factory=list)
    changes: int = 0

    def write(self, item: str, value: str) -> None:
        """Changes a setting, as the response does."""
        self.values[item] = value
        self.changes += 1


class _State:
    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.read_errors: dict[str, str] = {}


class SettingsPlaybook(ModuleType):
    """Stands in for a playbook's modules."""

    COLLECTS_FIRST = False

    def __init__(self, resource: Resource) -> None:
        super().__init__("guardduty_response.playbooks.settings")
        self.resource = resource

    # -- the playbook ------------------------------------------------------------------------------

    def plan(self, context: Context) -> list[Planned]:
        named = context.finding.title.removeprefix("about ")
        if named != self.resource.immutable_id:
            raise TargetGone(f"{named} no longer exists; another has its name now")
        target = Target("ec2_instance", "i-1", ARN, "222222222222", "us-east-1")
        actions = {item: f"{item} closed" for item in self._items(context)}
        return [
            Planned(
                target,
                actions=actions,
                immutable_id=self.resource.immutable_id,
            )
        ]

    def contain(self, context: Context, target: Target) -> StepResult:
        if target.verify_only:
            return StepResult(detail="nothing was changed")
        target_context = TargetContext(context, target)
        target_context.stored = target_context.read_stored()
        for item in sorted({*self._items(context), *target_context.stored["before"]}):
            self._action(target_context, item).run()
        return StepResult(detail="contained as far as possible")

    def verify(self, context: Context, target: Target) -> tuple[StepResult, list[Check]]:
        target_context = TargetContext(context, target)
        target_context.stored = target_context.read_stored()
        items = {*self._items(context), *target_context.stored["before"]}
        checks = [
            Check(
                item,
                self.resource.values[item] == CLOSED,
                self.resource.values[item],
                True,
            )
            for item in sorted(items)
        ]
        failed = [check.name for check in checks if not check.ok]
        status = Status.FAILED if failed else Status.CONTAINED
        return StepResult(
            status=status,
            detail=f"open: {failed}",
            watched=["i-1"],
        ), checks

    def finish(self, context: Context, target: Target) -> StepResult:
        return StepResult()

    def _items(self, context: Context) -> list[str]:
        return [ALWAYS, MORE] if NEEDS_MORE in context.finding.type else [ALWAYS]

    def _action(self, target_context: TargetContext, item: str) -> AnyControl:
        resource = self.resource

        class Close(Control[TargetContext, _State, str, str]):
            name = f"close_{item}"
            done_text = absent_text = f"{item} is closed"

            def read(self) -> str:
                return resource.values[item]

            def values(self, stored: str | None) -> Values[str]:
                return {item: stored} if stored else {}

            def wanted(self, name: str, value: str | None) -> str:
                return CLOSED

            def contained_text(self, pending: Values[str]) -> str:
                return f"{item} closed"

            def write(self, name: str, value: str) -> dict[str, Any]:
                assert self.target_context.context.gate is not None
                self.target_context.context.gate.permit()
                resource.write(item, value)
                return {}

            def command(self, name: str, value: str) -> str:
                return f"close {item}"

        Close.item = item
        return Close(target_context, None, _State())  # type: ignore[arg-type]

    # -- its evidence ------------------------------------------------------------------------------

    def evidence(self, context: Context, target: Target) -> StepResult:
        return self._snapshot(context, target)

    def collect(self, context: Context, target: Target) -> StepResult:
        return self._snapshot(context, target)

    def _snapshot(self, context: Context, target: Target) -> StepResult:
        target_context = TargetContext(context, target)
        target_context.stored = target_context.read_stored()
        if "snapshots" not in target_context.stored["evidence"]:
            self.resource.snapshots.append(context.incident_id)
            entry = {
                "outcome": "COMPLETE",
                "detail": "a set",
                "objects": [],
                "task": "",
            }
            target_context.record_evidence("snapshots", entry)
        return StepResult()

    # -- its restore -------------------------------------------------------------------------------

    def restore(self, context: Context, target: Target) -> RestoreResult:
        target_context = TargetContext(context, target)
        target_context.stored = target_context.read_stored()

        def read_items() -> tuple[bool, list[RestoreItem]]:
            if target_context.stored["immutable_id"] != self.resource.immutable_id:
                sentence = "it no longer exists; another has its name now"
                return False, [
                    RestoreItem(
                        RestoreStatus.CHANGED_SINCE,
                        ALWAYS,
                        "",
                        sentence,
                    )
                ]
            before = target_context.stored["before"].items()
            return True, [
                self._restored(
                    context,
                    item,
                    value,
                )
                for item, value in before
            ]

        return restoration.restore(target_context, read_items)

    def _restored(self, context: Context, item: str, before: str) -> RestoreItem:
        now = self.resource.values[item]
        if now == before:
            return RestoreItem(RestoreStatus.UNCHANGED, item, item, f"{item} is {before}")
        if now != CLOSED:
            return restoration.changed_since(item, item, f"{item} is {now}")

        def call() -> list[dict[str, Any]]:
            assert context.gate is not None
            context.gate.permit()
            self.resource.write(item, before)
            return []

        return RestoreItem(
            RestoreStatus.TODO,
            item,
            item,
            f"{item} is {before} again",
            "",
            call,
        )

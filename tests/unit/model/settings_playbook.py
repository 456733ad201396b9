"""A playbook on simulated resources: a few settings of each, each contained by the value "closed".

It uses the real controls and the real restoration, as playbooks do.
"""

from __future__ import annotations

from collections.abc import Callable
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
from guardduty_response.containment.planned_state import fresh_state
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.errors import TargetGone
from guardduty_response.incident.moments import now
from guardduty_response.incident.statuses import Status

ARNS = "arn:aws:ec2:us-east-1:222222222222:instance/"
ARN = f"{ARNS}i-1"
CLOSED = "closed"
ALWAYS, MORE = "network", "sessions"  # MORE is contained for findings of one type alone
NEEDS_MORE = "CredentialExfiltration"


@dataclass
class Resource:
    """What stands in an account. ``values``: the settings; ``snapshots``: who made each set.

    ``before``: how each was when its containment first changed it, as the model keeps it.
    ``judge``: is told of each change that the response makes, before it is made.
    """

    id: str = "i-1"
    immutable_id: str = "id-1"
    values: dict[str, str] = field(default_factory=lambda: {ALWAYS: "open-1", MORE: "open-1"})
    before: dict[str, str] = field(default_factory=dict)
    snapshots: list[str] = field(default_factory=list)
    judge: Callable[[Resource, str, str], object] = lambda *change: None

    def write(self, item: str, value: str) -> None:
        """Changes a setting, as the response does."""
        self.judge(self, item, value)
        self.values[item] = value


class _State:
    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.read_errors: dict[str, str] = {}


class SettingsPlaybook(ModuleType):
    """Stands in for a playbook's modules.

    What the plan has read is closed first, as it was read, as playbooks do where that is fresh.
    """

    COLLECTS_FIRST = False
    KNOWS_STATE_BEFORE = True

    def __init__(self, *resources: Resource) -> None:
        super().__init__("guardduty_response.playbooks.settings")
        self.resources = {resource.id: resource for resource in resources}

    def _of(self, target: Target) -> Resource:
        return self.resources[target.id]

    # -- the playbook ------------------------------------------------------------------------------

    def plan(self, context: Context) -> list[Planned]:
        resource = self.resources[context.finding.named[1]]
        named = context.finding.title.removeprefix("about ")
        if named != resource.immutable_id:
            raise TargetGone(f"{named} no longer exists; another has its name now")
        items = self._items(context)
        found = {item: resource.values[item] for item in items}
        before = {item: value for item, value in found.items() if value != CLOSED}
        scope = {"before": before, "read_at": now()}
        arn = f"{ARNS}{resource.id}"
        target = Target("ec2_instance", resource.id, arn, "222222222222", "us-east-1", scope)
        actions = {item: f"{item}, now {value}, closed" for item, value in found.items()}
        return [Planned(target, actions=actions, immutable_id=resource.immutable_id)]

    def contain(self, context: Context, target: Target) -> StepResult:
        if target.verify_only:
            return StepResult(detail="nothing was changed")
        target_context = TargetContext(context, target)
        target_context.stored = target_context.read_stored()
        if planned := fresh_state(target_context):
            target_context.record_before_states(planned)
            for item in planned:
                self._of(target).write(item, CLOSED)
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
                self._of(target).values[item] == CLOSED,
                self._of(target).values[item],
                True,
            )
            for item in sorted(items)
        ]
        failed = [check.name for check in checks if not check.ok]
        status = Status.FAILED if failed else Status.CONTAINED
        return StepResult(
            status=status,
            detail=f"open: {failed}",
            watched=[target.id],
        ), checks

    def finish(self, context: Context, target: Target) -> StepResult:
        return StepResult()

    def _items(self, context: Context) -> list[str]:
        return [ALWAYS, MORE] if NEEDS_MORE in context.finding.type else [ALWAYS]

    def _action(self, target_context: TargetContext, item: str) -> AnyControl:
        resource = self._of(target_context.target)

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
            self._of(target).snapshots.append(context.incident_id)
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
            if target_context.stored["immutable_id"] != self._of(target).immutable_id:
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
                    target,
                    item,
                    value,
                )
                for item, value in before
            ]

        return restoration.restore(target_context, read_items)

    def _restored(self, context: Context, target: Target, item: str, before: str) -> RestoreItem:
        present = self._of(target).values[item]
        if present == before:
            return RestoreItem(RestoreStatus.UNCHANGED, item, item, f"{item} is {before}")
        if present != CLOSED:
            return restoration.changed_since(item, item, f"{item} is {present}")

        def call() -> list[dict[str, Any]]:
            assert context.gate is not None
            context.gate.permit()
            self._of(target).write(item, before)
            return []

        return RestoreItem(
            RestoreStatus.TODO,
            item,
            item,
            f"{item} is {before} again",
            "",
            call,
        )

"""Collects the evidence items of a target at the same time, each to its own end, and a manifest of
all; then reads back whether what was stored is replicated.

Containment waits for none of this, and no item waits for another's success: what fails is said,
with what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.containment.target_context import (
    BRANCHES,
    DONE,
    FAILED,
    SKIPPED,
    TargetContext,
    describe_error,
    result_or_raise,
    run_all,
)
from guardduty_response.errors import GateClosed, TargetGone
from guardduty_response.evidence import renewal, replication
from guardduty_response.evidence.items import EvidenceItem, Outcome

if TYPE_CHECKING:
    from guardduty_response.incident.model import EvidenceEntry

TRIES = 5  # how often an item may meet throttling or an outage before it is given up
TRIES_PAUSED = 120  # and a pause: two to four hours; what AWS has begun goes on meanwhile
# Seconds between polls: each costs four state transitions, and eleven of the 25,000 events that
# Step Functions keeps of an execution; one that reaches the limit fails.
PACE = (5, 10, 15, 30)
MINUTES = 100  # polls a minute apart that follow, two minutes from then on
LOGGED_STATUS = {
    Outcome.COMPLETE: DONE,
    Outcome.PARTIAL: FAILED,
    Outcome.FAILED: FAILED,
    Outcome.SKIPPED: SKIPPED,
}
W = TypeVar("W", bound=TargetContext)


@dataclass(frozen=True)
class _Tries:
    """Counts the looks at an item that met throttling or an outage, and those that met a pause."""

    failed: int = 0
    paused: int = 0

    def after(self, target_context: TargetContext, error: Exception) -> _Tries | None:
        """Returns the tries after a look that met ``error``; None: the item is given up."""
        gate = target_context.context.gate
        if gate and gate.is_paused and isinstance(error, GateClosed):
            return replace(self, paused=self.paused + 1) if self.paused < TRIES_PAUSED else None
        if is_transient(error) and self.failed < TRIES:
            return replace(self, failed=self.failed + 1)
        return None


class Collection(Generic[W]):
    """The evidence items of one playbook: modules with ``NAME`` and ``run(target_context, before)
    -> EvidenceItem`` (items.Collect).

    ``early``: those that are started while containment is under way. ``stages``: all of them; each
    stage sees how those before it stand. ``manifest``: the item that lists what the others have
    stored, once all have ended. The item ``replication`` follows it, and covers it too.
    """

    def __init__(
        self,
        context_class: Callable[[Context, Target], W],
        early: tuple[ModuleType, ...],
        stages: tuple[tuple[ModuleType, ...], ...],
        manifest: ModuleType,
    ) -> None:
        self.context_class, self.manifest = context_class, manifest
        self.early, self.stages = early, stages

    def load_target(self, context: Context, target: Target) -> W:
        target_context = self.context_class(context, target)
        target_context.stored = target_context.read_stored()
        return target_context

    def evidence(self, context: Context, target: Target) -> StepResult:
        """Starts, while containment is under way, what needs nothing of it."""
        items = self._advance_all(self.load_target(context, target), self.early)
        return _step(context, items, done=False)

    def collect(self, context: Context, target: Target) -> StepResult:
        """Advances every unfinished item once; when all have ended, the manifest is written, and
        its replication and theirs is waited for.
        """
        target_context = self.load_target(context, target)
        items: dict[str, EvidenceItem] = {}
        for stage in self.stages:
            items |= self._advance_all(target_context, stage)
        if any(item.outcome is Outcome.RUNNING for item in items.values()):
            return _step(context, items, done=False)
        newest = max(target_context.stored["evidence"][name].get("at", "") for name in items)
        for module in (self.manifest, replication):
            # An item that went on for a later run is listed anew.
            older = target_context.stored["evidence"].get(module.NAME, {}).get("at", "") < newest
            items[module.NAME] = self.advance(target_context, module, anew=older)
            newest = max(newest, target_context.stored["evidence"][module.NAME].get("at", ""))
            if items[module.NAME].outcome is Outcome.RUNNING:
                return _step(context, items, done=False)
        # The incident function logged it as failed when ``evidence`` could not run.
        if target_context.logged_action("evidence").get("status") == FAILED:
            target_context.log_action(
                "evidence", DONE, "not begun beside containment, but collected afterwards"
            )
        return _step(context, items, done=True)

    def _advance_all(
        self, target_context: W, modules: tuple[ModuleType, ...]
    ) -> dict[str, EvidenceItem]:
        calls: dict[str, Callable[[], EvidenceItem]] = {
            module.NAME: partial(self.advance, target_context, module) for module in modules
        }
        results = run_all(calls, BRANCHES)
        return {name: result_or_raise(result) for name, result in results.items()}

    def advance(self, target_context: W, module: ModuleType, anew: bool = False) -> EvidenceItem:
        """Takes one item one step further. An item that has ended stays as it ended, unless it goes
        on for a later run (``renewal``), or is to be made ``anew``.
        """
        name = str(module.NAME)
        before = cast("EvidenceEntry", dict(target_context.stored["evidence"].get(name) or {}))
        if before and before["outcome"] != Outcome.RUNNING:
            again = renewal.begin_again(target_context, module, before)
            if again and again["outcome"] != Outcome.RUNNING:
                target_context.record_evidence(name, again)
                target_context.stored["evidence"][name] = again
            if anew:
                before = {}
            elif again and again["outcome"] == Outcome.RUNNING:
                before = again
            else:
                ended = again or before
                return EvidenceItem(Outcome(ended["outcome"]), ended["detail"])
        renewal.note_run(target_context, module, before)
        tries = _Tries(int(before.get("tries", 0)), int(before.get("tries_paused", 0)))
        state = before.get("state", {})  # what was found so far stands
        try:
            item: EvidenceItem = module.run(target_context, before)
            tries = _Tries()
        except TargetGone as gone:
            item = EvidenceItem(Outcome.FAILED, f"{name}: {gone}")
        except Exception as error:
            reason = describe_error(error)
            if more := tries.after(target_context, error):
                tries = more
                item = EvidenceItem(Outcome.RUNNING, f"asked again: {reason}", 15, state=state)
            else:
                text = f"{name} of {target_context.id} failed ({reason})"
                task = f"collect {name} of {target_context.id} by hand: {reason}"
                item = EvidenceItem(
                    Outcome.FAILED,
                    text,
                    task=task,
                    state=state,
                )
        _record(target_context, module, item, before, tries)
        return item


def _record(
    target_context: TargetContext,
    module: ModuleType,
    item: EvidenceItem,
    before: EvidenceEntry,
    tries: _Tries,
) -> None:
    """Stores the item in the target's record, and logs it once it has ended."""
    name = str(module.NAME)
    entry = item.store(
        target_context,
        name,
        before,
        tries=tries.failed,
        tries_paused=tries.paused,
    )
    if item.outcome is not Outcome.RUNNING:
        answers = [{"ResponseMetadata": {"RequestId": id}} for id in entry["request_ids"]]
        status = LOGGED_STATUS.get(item.outcome, item.outcome)
        action = str(getattr(module, "LINE", name))
        target_context.log_action(action, status, item.detail, answers)


def _step(context: Context, items: dict[str, EvidenceItem], done: bool) -> StepResult:
    text = "; ".join(f"{name} {item.outcome}" for name, item in items.items())
    if done:
        return StepResult(True, 0, detail=text)
    waits = [item.wait_seconds for item in items.values() if item.outcome is Outcome.RUNNING]
    pace = pace_after(context.attempt)
    return StepResult(False, max(min(waits, default=pace), pace), detail=text)


def pace_after(attempt: int) -> int:
    """Returns the least seconds until evidence is looked at again. ``attempt`` counts from 1."""
    if attempt <= len(PACE):
        return PACE[attempt - 1]
    return 60 if attempt <= len(PACE) + MINUTES else 120

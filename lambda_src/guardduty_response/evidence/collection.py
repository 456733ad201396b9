"""Evidence in pieces that are collected side by side, each to its own end, and a manifest of all.

Nothing here is waited for by containment, and no piece waits for another's success: what fails is
said, with what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Generic, TypeVar

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
from guardduty_response.errors import TargetGone
from guardduty_response.evidence.items import EvidenceItem, Json, Outcome
from guardduty_response.incident.repository import now

TRIES = 5  # how often a piece may meet throttling or an outage before it is given up
# seconds between polls, 60 from then on: each poll costs three state transitions
PACE = (5, 10, 15, 30)
LEDGER = {
    Outcome.COMPLETE: DONE,
    Outcome.PARTIAL: FAILED,
    Outcome.FAILED: FAILED,
    Outcome.SKIPPED: SKIPPED,
}
W = TypeVar("W", bound=TargetContext)


class Collection(Generic[W]):
    """The pieces of one playbook: modules with ``NAME`` and ``run(work, before) -> Part``
    (part.Collect).

    ``beside``: those that are started beside containment. ``stages``: all of them; each stage sees
    how those before it stand. ``manifest``: the piece that lists what the others have kept, once
    all have ended.
    """

    def __init__(
        self,
        context_class: Callable[[Context, Target], W],
        early: tuple[ModuleType, ...],
        stages: tuple[tuple[ModuleType, ...], ...],
        manifest: ModuleType,
    ) -> None:
        self.context_class, self.early, self.stages, self.manifest = (
            context_class,
            early,
            stages,
            manifest,
        )

    def load_target(self, context: Context, target: Target) -> W:
        target_context = self.context_class(context, target)
        target_context.stored = target_context.read_stored()
        return target_context

    def evidence(self, context: Context, target: Target) -> StepResult:
        """Starts, beside containment, what needs nothing of it."""
        return _step(
            context,
            self._side_by_side(self.load_target(context, target), self.early),
            done=False,
        )

    def collect(self, context: Context, target: Target) -> StepResult:
        """Asks every unfinished piece once; when all have ended, the manifest is written."""
        target_context = self.load_target(context, target)
        parts: dict[str, EvidenceItem] = {}
        for stage in self.stages:
            parts |= self._side_by_side(target_context, stage)
        if any(part.outcome is Outcome.RUNNING for part in parts.values()):
            return _step(context, parts, done=False)
        self.advance(target_context, self.manifest)
        # the incident function's line, when ``evidence`` could not run
        if target_context.logged_action("evidence").get("status") == FAILED:
            target_context.log_action(
                "evidence", DONE, "not begun beside containment, but collected afterwards"
            )
        return _step(context, parts, done=True)

    def _side_by_side(
        self, target_context: W, modules: tuple[ModuleType, ...]
    ) -> dict[str, EvidenceItem]:
        calls: dict[str, Callable[[], EvidenceItem]] = {
            module.NAME: partial(self.advance, target_context, module) for module in modules
        }
        return {name: result_or_raise(part) for name, part in run_all(calls, BRANCHES).items()}

    def advance(self, target_context: W, module: ModuleType) -> EvidenceItem:
        """One piece, one step further. An ended one stays as it ended."""
        name, before = (
            str(module.NAME),
            dict(target_context.stored["evidence"].get(module.NAME) or {}),
        )
        if before and before["outcome"] != Outcome.RUNNING:
            return EvidenceItem(Outcome(before["outcome"]), before["detail"])
        tries = int(before.get("tries", 0))
        try:
            part: EvidenceItem = module.run(target_context, before)
            tries = 0
        except TargetGone as gone:
            part = EvidenceItem(Outcome.FAILED, f"{name}: {gone}")
        except Exception as error:
            if is_transient(error) and tries < TRIES:
                again = f"asked again: {describe_error(error)}"
                part, tries = (
                    EvidenceItem(Outcome.RUNNING, again, 15, state=before.get("state", {})),
                    tries + 1,
                )
            else:
                text = f"{name} of {target_context.id} failed ({describe_error(error)})"
                task = f"collect {name} of {target_context.id} by hand: {describe_error(error)}"
                # what was found so far stands
                part = EvidenceItem(Outcome.FAILED, text, task=task, state=before.get("state", {}))
        _keep(target_context, module, part, before, tries)
        return part


def _keep(
    target_context: TargetContext, module: ModuleType, part: EvidenceItem, before: Json, tries: int
) -> None:
    """Into the ledger: the piece itself, its line, and what is left for a person."""
    name = str(module.NAME)
    objects = part.objects or before.get("objects", [])
    requests = [*before.get("request_ids", []), *part.request_ids]
    entry: Json = {
        "outcome": part.outcome,
        "detail": part.detail[:1000],
        "objects": objects,
        "task": part.task[:1000],
        "state": part.state,
        "request_ids": requests,
        "tries": tries,
        "since": before.get("since") or now(),
        "at": now(),
    }
    target_context.record_evidence(name, entry)
    target_context.stored["evidence"][name] = entry
    if part.outcome is not Outcome.RUNNING:
        answers = [{"ResponseMetadata": {"RequestId": id}} for id in requests]
        line = str(getattr(module, "LINE", name))
        target_context.log_action(
            line, LEDGER.get(part.outcome, part.outcome), part.detail, answers
        )


def _step(context: Context, parts: dict[str, EvidenceItem], done: bool) -> StepResult:
    text = "; ".join(f"{name} {part.outcome}" for name, part in parts.items())
    waits = [part.wait_seconds for part in parts.values() if part.outcome is Outcome.RUNNING]
    pace = PACE[context.attempt - 1] if context.attempt <= len(PACE) else 60
    return StepResult(done, max(min(waits, default=pace), pace) if not done else 0, detail=text)

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
from guardduty_response.containment.contract import Context, Step, Target
from guardduty_response.containment.target_context import (
    BRANCHES,
    DONE,
    FAILED,
    SKIPPED,
    Work,
    gather,
    value,
    why,
)
from guardduty_response.errors import TargetGone
from guardduty_response.evidence.items import Json, Outcome, Part
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
W = TypeVar("W", bound=Work)


class Collection(Generic[W]):
    """The pieces of one playbook: modules with ``NAME`` and ``run(work, before) -> Part``
    (part.Collect).

    ``beside``: those that are started beside containment. ``stages``: all of them; each stage sees
    how those before it stand. ``manifest``: the piece that lists what the others have kept, once
    all have ended.
    """

    def __init__(
        self,
        kind: Callable[[Context, Target], W],
        beside: tuple[ModuleType, ...],
        stages: tuple[tuple[ModuleType, ...], ...],
        manifest: ModuleType,
    ) -> None:
        self.kind, self.beside, self.stages, self.manifest = kind, beside, stages, manifest

    def work(self, ctx: Context, target: Target) -> W:
        work = self.kind(ctx, target)
        work.kept = work.ledger()
        return work

    def evidence(self, ctx: Context, target: Target) -> Step:
        """Starts, beside containment, what needs nothing of it."""
        return _step(ctx, self._side_by_side(self.work(ctx, target), self.beside), done=False)

    def collect(self, ctx: Context, target: Target) -> Step:
        """Asks every unfinished piece once; when all have ended, the manifest is written."""
        work = self.work(ctx, target)
        parts: dict[str, Part] = {}
        for stage in self.stages:
            parts |= self._side_by_side(work, stage)
        if any(part.outcome is Outcome.RUNNING for part in parts.values()):
            return _step(ctx, parts, done=False)
        self.one(work, self.manifest)
        # the incident function's line, when ``evidence`` could not run
        if work.acted("evidence").get("status") == FAILED:
            work.did("evidence", DONE, "not begun beside containment, but collected afterwards")
        return _step(ctx, parts, done=True)

    def _side_by_side(self, work: W, modules: tuple[ModuleType, ...]) -> dict[str, Part]:
        calls: dict[str, Callable[[], Part]] = {
            module.NAME: partial(self.one, work, module) for module in modules
        }
        return {name: value(part) for name, part in gather(calls, BRANCHES).items()}

    def one(self, work: W, module: ModuleType) -> Part:
        """One piece, one step further. An ended one stays as it ended."""
        name, before = str(module.NAME), dict(work.kept["evidence"].get(module.NAME) or {})
        if before and before["outcome"] != Outcome.RUNNING:
            return Part(Outcome(before["outcome"]), before["detail"])
        tries = int(before.get("tries", 0))
        try:
            part: Part = module.run(work, before)
            tries = 0
        except TargetGone as gone:
            part = Part(Outcome.FAILED, f"{name}: {gone}")
        except Exception as error:
            if is_transient(error) and tries < TRIES:
                again = f"asked again: {why(error)}"
                part, tries = (
                    Part(Outcome.RUNNING, again, 15, state=before.get("state", {})),
                    tries + 1,
                )
            else:
                text = f"{name} of {work.id} failed ({why(error)})"
                task = f"collect {name} of {work.id} by hand: {why(error)}"
                # what was found so far stands
                part = Part(Outcome.FAILED, text, task=task, state=before.get("state", {}))
        _keep(work, module, part, before, tries)
        return part


def _keep(work: Work, module: ModuleType, part: Part, before: Json, tries: int) -> None:
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
    work.keep(name, entry)
    work.kept["evidence"][name] = entry
    if part.outcome is not Outcome.RUNNING:
        answers = [{"ResponseMetadata": {"RequestId": id}} for id in requests]
        line = str(getattr(module, "LINE", name))
        work.did(line, LEDGER.get(part.outcome, part.outcome), part.detail, answers)


def _step(ctx: Context, parts: dict[str, Part], done: bool) -> Step:
    text = "; ".join(f"{name} {part.outcome}" for name, part in parts.items())
    waits = [part.wait_seconds for part in parts.values() if part.outcome is Outcome.RUNNING]
    pace = PACE[ctx.attempt - 1] if ctx.attempt <= len(PACE) else 60
    return Step(done, max(min(waits, default=pace), pace) if not done else 0, detail=text)

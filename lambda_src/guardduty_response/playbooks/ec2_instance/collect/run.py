"""Evidence of a contained instance: pieces that are collected side by side, each to its own end, and a manifest of all.

Nothing here is waited for by containment, and no piece waits for another's success: what fails is said, with what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType

from guardduty_response import aws
from guardduty_response.errors import TargetGone
from guardduty_response.playbooks import Context, Step, Target
from guardduty_response.playbooks.ec2_instance.collect import (
    api_calls,
    copies,
    forensics,
    instance,
    manifest,
    network_logs,
    replacement,
    snapshots,
)
from guardduty_response.playbooks.ec2_instance.collect.part import Json, Outcome, Part
from guardduty_response.playbooks.ec2_instance.core import BRANCHES, DONE, FAILED, SKIPPED, Work, gather, value, why
from guardduty_response.record import now

BESIDE: tuple[ModuleType, ...] = (snapshots, instance)  # need nothing of containment, and lose by waiting for it
# Each stage sees how those before it stand: copies need complete snapshots, and logs wait for late records only while
# something else is still under way.
STAGES: tuple[tuple[ModuleType, ...], ...] = (
    (snapshots, instance, forensics, replacement), (copies,), (network_logs, api_calls),
)  # fmt: skip
TRIES = 5  # how often a piece may meet throttling or an outage before it is given up
PACE = (5, 10, 15, 30)  # seconds between polls, 60 from then on: each poll costs three state transitions
LEDGER = {Outcome.COMPLETE: DONE, Outcome.PARTIAL: FAILED, Outcome.FAILED: FAILED, Outcome.SKIPPED: SKIPPED}


def first(ctx: Context, target: Target, seconds_left: int) -> Step:
    """Forensics before containment: polled every two seconds, until done or until the machine goes on."""
    work = _work(ctx, target)
    part = _run(work, forensics)
    if part.outcome is not Outcome.RUNNING or not forensics.waits({"outcome": part.outcome, "state": part.state}):
        return Step(detail=part.detail)
    return Step(done=False, wait_seconds=min(part.wait_seconds or 2, max(1, seconds_left)), detail=part.detail)


def evidence(ctx: Context, target: Target) -> Step:
    """Starts the snapshot set and reads what the instance is and shows, beside containment."""
    return _step(ctx, _side_by_side(_work(ctx, target), BESIDE), done=False)


def collect(ctx: Context, target: Target) -> Step:
    """Asks every unfinished piece once; when all have ended, the manifest is written."""
    work = _work(ctx, target)
    parts: dict[str, Part] = {}
    for stage in STAGES:
        parts |= _side_by_side(work, stage)
    if any(part.outcome is Outcome.RUNNING for part in parts.values()):
        return _step(ctx, parts, done=False)
    _run(work, manifest)
    return _step(ctx, parts, done=True)


def _work(ctx: Context, target: Target) -> Work:
    work = Work(ctx, target)
    work.kept = work.ledger()
    return work


def _side_by_side(work: Work, modules: tuple[ModuleType, ...]) -> dict[str, Part]:
    calls: dict[str, Callable[[], Part]] = {module.NAME: partial(_run, work, module) for module in modules}
    return {name: value(part) for name, part in gather(calls, BRANCHES).items()}


def _run(work: Work, module: ModuleType) -> Part:
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
        if aws.transient(error) and tries < TRIES:
            part, tries = Part(Outcome.RUNNING, f"asked again: {why(error)}", 15, state=before.get("state", {})), tries + 1
        else:
            text = f"{name} of {work.id} failed ({why(error)})"
            part = Part(Outcome.FAILED, text, task=f"collect {name} of {work.id} by hand: {why(error)}")
    _keep(work, name, part, before, tries)
    return part


def _keep(work: Work, name: str, part: Part, before: Json, tries: int) -> None:
    """Into the ledger: the piece itself, its line, and what is left for a person."""
    objects = part.objects or before.get("objects", [])
    requests = [*before.get("request_ids", []), *part.request_ids]
    entry: Json = {"outcome": part.outcome, "detail": part.detail[:1000], "objects": objects, "task": part.task[:1000],
                   "state": part.state, "request_ids": requests, "tries": tries, "since": before.get("since") or now(),
                   "at": now()}  # fmt: skip
    work.keep(name, entry)
    work.kept["evidence"][name] = entry
    if part.outcome is not Outcome.RUNNING:
        answers = [{"ResponseMetadata": {"RequestId": id}} for id in requests]
        line = "snapshot" if name == "snapshots" else name
        work.did(line, LEDGER.get(part.outcome, part.outcome), part.detail, answers)


def _step(ctx: Context, parts: dict[str, Part], done: bool) -> Step:
    text = "; ".join(f"{name} {part.outcome}" for name, part in parts.items())
    waits = [part.wait_seconds for part in parts.values() if part.outcome is Outcome.RUNNING]
    pace = PACE[ctx.attempt - 1] if ctx.attempt <= len(PACE) else 60
    return Step(done, max(min(waits, default=pace), pace) if not done else 0, detail=text)

"""Goes on with an evidence item that has ended, where a later run contains the resource again.

What has a time range (calls, records) is read on from where it ended, because the resource was
active in between. What there is once for a containment, such as its snapshots, stays.

A module that can go on offers ``begin_again(target_context, before)``, which returns its state, and
perhaps ``reads_on(before)``: whether an item that runs will still read what happens until now.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from guardduty_response.containment.target_context import TargetContext
from guardduty_response.evidence.items import Outcome

if TYPE_CHECKING:
    from guardduty_response.incident.model import EvidenceEntry

MOST_RUNS = 20  # that an item is read for: its record must not grow without end
_NOT_IN_IT = "what happened after"


def note_run(target_context: TargetContext, module: ModuleType, before: EvidenceEntry) -> None:
    """Adds this run to those that an item covers which runs, or is about to, if it does.

    An entry of an earlier release names no run: whoever goes on with it is taken for its own.
    """
    run, runs = target_context.context.execution, before.get("runs", [])
    if not hasattr(module, "begin_again") or run in runs or len(runs) >= MOST_RUNS:
        return
    reads_on = getattr(module, "reads_on", None)
    if not runs or (reads_on and reads_on(before)):
        before["runs"] = [*runs, run]


def begin_again(
    target_context: TargetContext, module: ModuleType, before: EvidenceEntry
) -> EvidenceEntry | None:
    """Returns the entry with which an item that has ended goes on for this run; None: it stays.

    An item that was read for too many runs is PARTIAL then, and says what is not in it.
    """
    run, runs = target_context.context.execution, before.get("runs", [])
    begin = getattr(module, "begin_again", None)
    if begin is None or run in runs or before["outcome"] == Outcome.SKIPPED:
        return None
    if len(runs) >= MOST_RUNS:
        return _no_more(before)
    return {
        **before,
        "outcome": Outcome.RUNNING,
        "state": begin(target_context, before),
        "runs": [*runs, run],
        "tries": 0,
        "tries_paused": 0,
    }


def _no_more(before: EvidenceEntry) -> EvidenceEntry | None:
    if before["detail"].startswith(_NOT_IN_IT):
        return None
    text = f"{_NOT_IN_IT} {before['at']} is not in it, which was read for {MOST_RUNS} runs"
    task = f"read by hand {_NOT_IN_IT} {before['at']}, with the commands of this item"
    return {
        **before,
        "outcome": Outcome.PARTIAL,
        "detail": f"{text}; {before['detail']}"[:1000],
        "task": "; ".join(filter(None, (task, before.get("task", ""))))[:1000],
    }

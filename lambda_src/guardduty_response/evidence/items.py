"""Evidence items: how far each is, what it has stored, and what a person is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from guardduty_response.containment.target_context import TargetContext
from guardduty_response.incident.moments import now

if TYPE_CHECKING:
    from guardduty_response.incident.model import EvidenceEntry, StoredObject, StoredState


class Outcome(StrEnum):
    """``NOT_POSSIBLE``: the resource or the account does not allow it; ``SKIPPED``: switched
    off.
    """

    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    NOT_POSSIBLE = "NOT_POSSIBLE"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True)
class EvidenceItem:
    """How far an evidence item is. The collector stores it in the target's record (``evidence``,
    under the item's name).

    ``wait_seconds``: when to ask again while RUNNING. ``objects``: what lies in the evidence
    bucket, as ``put_evidence`` returns it ({key, sha256, bytes}), each with ``what`` it is.
    ``task``: what is left for a person to do, or empty. ``state``: what the next call needs to
    know; small, and without secrets (the record is read by people).
    """

    outcome: Outcome
    detail: str
    wait_seconds: int = 0
    objects: list[StoredObject] = field(default_factory=list)
    task: str = ""
    state: StoredState = field(default_factory=dict)
    request_ids: list[str] = field(default_factory=list)

    def store(
        self,
        target_context: TargetContext,
        name: str,
        before: EvidenceEntry,
        tries: int = 0,
        tries_paused: int | None = None,
    ) -> EvidenceEntry:
        """Stores the item in the target's record, and returns its entry; ``before``: as it was."""
        entry: EvidenceEntry = {
            "outcome": self.outcome,
            "detail": self.detail[:1000],
            "objects": self.objects or before.get("objects", []),
            "task": self.task[:1000],
            "state": self.state,
            "request_ids": [*before.get("request_ids", []), *self.request_ids],
            "tries": tries,
            "since": before.get("since") or now(),
            "at": now(),
        }
        if tries_paused is not None:
            entry["tries_paused"] = tries_paused
        if before.get("runs"):
            entry["runs"] = before["runs"]
        target_context.record_evidence(name, entry)
        target_context.stored["evidence"][name] = entry
        return entry


# An evidence item's function: called again until its outcome is no longer RUNNING. ``before``: its
# last EvidenceItem as stored ({} on the first call). It raises AWS errors freely: the collector
# repeats what is transient and records the rest as FAILED.
Collect = Callable[[TargetContext, "EvidenceEntry"], EvidenceItem]

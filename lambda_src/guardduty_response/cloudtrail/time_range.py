"""The time range that logs are read for, and what one function call may still read of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypedDict

from guardduty_response.containment.target_context import TargetContext
from guardduty_response.decision.finding import get

CALL_SECONDS = 40.0  # of one call of an evidence item; the next goes on


class TimeRangeState(TypedDict, total=False):
    """Where an evidence item keeps its time range between calls: [start, end]."""

    window: list[int]


@dataclass
class TimeRange:
    """From ``start`` to ``end``, in seconds since 1970."""

    start: int
    end: int

    @staticmethod
    def of(
        target_context: TargetContext, state: TimeRangeState, minutes: float | None = None
    ) -> TimeRange:
        """Returns the range from ``minutes`` (``log_window_minutes``) before the finding's first
        event until the first call of this evidence item; kept in ``state``.
        """
        if "window" not in state:
            context = target_context.context
            if minutes is None:
                minutes = float(context.config.evidence.get("log_window_minutes") or 60)
            end = int(time.time())
            first_seen = _seconds(get(context.finding.detail, "service", "eventFirstSeen"))
            created = _seconds(get(context.finding.detail, "createdAt"))
            start = min(first_seen or created or end, end) - minutes * 60
            state["window"] = [int(start), end]
        start, end = state["window"]
        return TimeRange(int(start), int(end))

    def __str__(self) -> str:
        return f"{iso(self.start)} to {iso(self.end)}"

    def days(self, hours: bool = False) -> Iterator[datetime]:
        """Yields every UTC day (or hour) that the range touches."""
        step = timedelta(hours=1) if hours else timedelta(days=1)
        at = datetime.fromtimestamp(self.start, UTC).replace(minute=0, second=0, microsecond=0)
        at = at if hours else at.replace(hour=0)
        while at.timestamp() <= self.end:
            yield at
            at += step


def iso(seconds: float) -> str:
    """Returns a moment (seconds since 1970) as CloudTrail writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0


@dataclass
class Budget:
    """What one function call may still do: until when, and how many pages in all calls together."""

    until: float
    most: int
    pages: int = 0

    @staticmethod
    def start(most: int, pages: int = 0, seconds: float = CALL_SECONDS) -> Budget:
        return Budget(time.monotonic() + seconds, most, pages)

    def more(self) -> bool:
        return self.pages < self.most and time.monotonic() < self.until

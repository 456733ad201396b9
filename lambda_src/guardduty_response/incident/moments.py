"""Writes times as they are stored."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta


def iso(at: datetime) -> str:
    """Returns a UTC time as stored: ISO 8601 with microseconds, which sorts as text."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def now() -> str:
    """Returns the present time as stored (see ``iso``)."""
    return iso(datetime.now(UTC))


def from_now(seconds: float = 0, hours: float = 0) -> str:
    """Returns a time as stored, so long from now; less than 0: before now."""
    return iso(datetime.now(UTC) + timedelta(seconds=seconds, hours=hours))


def seconds_since(at: str) -> float:
    """Returns the seconds since a stored time."""
    return time.time() - datetime.fromisoformat(at).timestamp()


def seconds_between(earlier: str, later: str) -> float:
    """Returns the seconds from one stored time to another."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def seconds_left(since: str, seconds: float) -> int:
    """Returns the whole seconds until ``seconds`` after a stored time have passed, 0 afterwards."""
    return max(0, math.ceil(seconds - seconds_since(since)))

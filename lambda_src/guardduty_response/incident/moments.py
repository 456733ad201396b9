"""Writes times as they are stored."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def iso(at: datetime) -> str:
    """Returns a UTC time as stored: ISO 8601 with microseconds, which sorts as text."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def now() -> str:
    """Returns the present time as stored (see ``iso``)."""
    return iso(datetime.now(UTC))


def seconds_left(since: str, seconds: float) -> int:
    """Returns the whole seconds until ``seconds`` after a stored time have passed, 0 afterwards."""
    passed = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
    return max(0, math.ceil(seconds - passed))

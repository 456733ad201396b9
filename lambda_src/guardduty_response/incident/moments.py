"""Writes times as they are stored."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(at: datetime) -> str:
    """Returns a UTC time as stored: ISO 8601 with microseconds, which sorts as text."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def now() -> str:
    """Returns the present time as stored (see ``iso``)."""
    return iso(datetime.now(UTC))

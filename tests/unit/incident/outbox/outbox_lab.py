"""Writes messages, and reads the outbox with a client of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from guardduty_response.incident import notifications
from guardduty_response.incident.outbox import pace
from guardduty_response.incident.outbox.message import reason_for
from guardduty_response.incident.outbox.sender import Sent
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.unit.deployment import Deployment
from tests.unit.incident.records import META, TARGET

Json = dict[str, Any]
# Far from the present, in which messages are paced outside ``at_minute``; the same for all minutes,
# however long a test takes.
_START = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=10)


def write(
    record: IncidentRepository, event: str = "CONTAINED", number: int = 1, **more: Any
) -> Sent:
    """Writes a message about the incident of that number, for a reason made of it and ``event``."""
    meta: Any = {
        **META,
        "incident_id": f"inc-{number}",
        "status": event if event in list(Status) else Status.CONTAINING,
        **more.pop("meta", {}),
    }
    target: Any = {**TARGET, "id": f"i-{number}"}
    draft = notifications.Draft(
        event,
        reason_for(event, str(number)),
        **more,
    )
    return notifications.notify(
        record,
        meta,
        [target],
        draft,
    )


def burst(record: IncidentRepository, count: int, first: int = 0) -> None:
    """Writes that so many incidents are contained, numbered from ``first``."""
    for number in range(first, first + count):
        write(record, "CONTAINED", number)


def messages(deployment: Deployment, number: int = 1) -> list[Json]:
    """Returns the MESSAGE items of an incident."""
    items = deployment.items(f"INCIDENT#inc-{number}")
    return [item for item in items if item["sk"].startswith("MESSAGE#")]


@contextmanager
def at_minute(number: int) -> Iterator[None]:
    """Lets messages be paced as in a minute of its own."""
    with patch.object(
        pace,
        "present",
        lambda: _START + timedelta(minutes=number),
    ):
        yield

"""Makes the events of an incident's timeline."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from guardduty_response.incident.moments import now
from guardduty_response.incident.table import incident_key

if TYPE_CHECKING:
    from guardduty_response.incident.model import TimelineEvent


def entry(
    incident_id: str, name: str, detail: str = "", target: str = "", actor: str = ""
) -> TimelineEvent:
    """Returns the EVENT item of something that happens now."""
    at = now()
    return {
        "pk": incident_key(incident_id),
        "sk": f"EVENT#{at}#{secrets.token_hex(2)}",
        "at": at,
        "event": name,
        "detail": detail[:2000],
        "target": target,
        "actor": actor,
    }

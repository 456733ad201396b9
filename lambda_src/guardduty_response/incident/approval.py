"""Says how long people may take for an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.decision.configuration import Config
from guardduty_response.incident.moments import seconds_left

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord

# For a question that is asked again, because the resource changed, however late the answer came.
LEAST_SECONDS = 15 * 60


def timeout_seconds(meta: IncidentRecord, config: Config) -> int:
    """Returns the seconds until a question that is asked now runs out.

    A question that is asked again gets what the first one left: an execution may take as long as
    one of them (timeouts.tf).
    """
    whole = int(config.guardrails["approval_timeout_minutes"]) * 60
    asked_at = meta.get("asked_at")
    if not asked_at:
        return whole
    return max(seconds_left(asked_at, whole), min(whole, LEAST_SECONDS))

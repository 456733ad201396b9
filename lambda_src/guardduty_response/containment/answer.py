"""Makes the result envelope of a playbook's answer (``containment.envelope`` reads others')."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.incident.statuses import Status

if TYPE_CHECKING:
    from guardduty_response.incident.model import ResultEnvelope


def envelope_of(
    context: Context, target: Target, result: StepResult, checks: list[Check]
) -> ResultEnvelope:
    """Returns the envelope of a verification that has ended, with what the step stored before."""
    early = context.record.stored_early(context.incident_id, target.reference())
    return {
        "status": result.status or Status.FAILED,
        "detail": result.detail,
        "checks": [check.record() for check in checks],
        "actions": dict(early["actions"]),
        "before": dict(early["before"]),
        "watched": list(result.watched),
        "evidence": dict(early["evidence"]),
    }

"""What the last look at CloudTrail means for a containment: it comes when CloudTrail has delivered
the events of the time of containment. The step ``finish`` makes it, or the first verification since
it is due.

CloudTrail delivers an event "on average within about 5 minutes" and later at times (AWS CloudTrail
User Guide); the option ``repeat_minutes`` says how long after the denial the last look is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from guardduty_response.aws.errors import describes_transient
from guardduty_response.containment import open_sessions
from guardduty_response.containment.chained_denial import NAME
from guardduty_response.containment.contract import Check, StepResult
from guardduty_response.containment.session_entries import parse_time
from guardduty_response.incident.statuses import Status

if TYPE_CHECKING:
    from guardduty_response.containment.session_holder import SessionHolder
    from guardduty_response.incident.model import TargetRecord


AGAIN_SECONDS, PATIENCE_MINUTES = 30, 10


def wait_for_due(holder: SessionHolder, denied_at: str) -> StepResult | None:
    """Returns the answer of a step whose last look is not due yet, or None."""
    seconds = seconds_left(holder, denied_at)
    detail = "waiting for CloudTrail's late events"
    return StepResult(done=False, wait_seconds=seconds, detail=detail) if seconds else None


def wait_for_cloudtrail(holder: SessionHolder, denied_at: str) -> StepResult | None:
    """Returns the answer of a step whose last look AWS throttled and which is repeated, or None."""
    seconds = throttled_seconds(holder, denied_at)
    detail = "CloudTrail is asked again"
    return StepResult(done=False, wait_seconds=seconds, detail=detail) if seconds else None


def seconds_left(holder: SessionHolder, denied_at: str) -> int:
    """Returns the seconds until the last look, 0 when it is due.

    ``denied_at``: when the target was denied (ISO 8601); empty where it never was.
    """
    minutes = float(holder.options["repeat_minutes"])
    return max(0, int(_due(holder, denied_at) - time.time())) if minutes else 0


def _due(holder: SessionHolder, denied_at: str) -> float:
    """Returns when the last look is due, in seconds since 1970."""
    try:
        since = parse_time(denied_at).timestamp()
    except ValueError:
        return 0.0
    return since + float(holder.options["repeat_minutes"]) * 60


def is_last_look(holder: SessionHolder, denied_at: str) -> bool:
    """Tells whether a verification has to make the last look: it is due, and since then nobody has
    searched, nor found that the target is contained.
    """
    entry = (holder.stored.get("evidence") or {}).get(NAME) or {}
    if not float(holder.options["repeat_minutes"]) or "open" not in open_sessions.recorded(holder):
        return False
    known = max(str(entry.get("at") or ""), str(holder.stored.get("held_at") or ""))
    return parse_time(known).timestamp() < _due(holder, denied_at) <= time.time()


def throttled_seconds(holder: SessionHolder, denied_at: str) -> int:
    """Returns the seconds after which a last look that AWS throttled is repeated, 0 when it is not:
    it was not throttled, or PATIENCE_MINUTES have passed since it was due.
    """
    unsearched = open_sessions.recorded(holder).get("unsearched") or []
    if not any(map(describes_transient, unsearched)):
        return 0
    until = _due(holder, denied_at) + PATIENCE_MINUTES * 60
    return AGAIN_SECONDS if time.time() < until else 0


def note(holder: SessionHolder, checks: list[Check], gone: str) -> None:
    """Records what is open from now on: it counts as not contained, and is no loss of containment,
    because it never was contained.

    ``gone``: says of a target that is gone that it is.
    """
    target = holder.target
    weak = holder.stored.get("weak") or []
    new = [check for check in checks if not check.ok and check.name not in weak]
    if not new:
        return
    fields: TargetRecord = {"weak": [*weak, *(check.name for check in new)]}
    if holder.stored.get("status") == Status.GONE:  # nothing verifies it again, and says so
        found = "; ".join(check.detail for check in new)
        verdict = f"{holder.stored.get('verdict')} CloudTrail showed later: {found}"
        shown = [Check(target.kind, True, gone), *checks]
        fields |= {
            "status": Status.PARTIAL,
            "verdict": verdict,
            "checks": [check.record() for check in shown],
        }
    holder.context.record.set_target(
        holder.context.incident_id,
        target.kind,
        target.id,
        place=target.place,
        unless_restored=True,
        **fields,
    )

"""What the plan has read of a target, handed on to the steps that change it.

A plan that is fresh is recorded as the prior state while the role is being assumed, so that the
first change is the first call. What is older (evidence came first, a retry, an approval), or was
read before everybody saw the end of a restore, is read again before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from guardduty_response.incident.moments import now, seconds_between, seconds_since

if TYPE_CHECKING:
    from guardduty_response.containment.contract import Target
    from guardduty_response.containment.control import AnyControl
    from guardduty_response.containment.records import PlannedState
    from guardduty_response.containment.target_context import Settings, TargetContext

FRESH_SECONDS = 30.0


def planned_state(controls: Iterable[AnyControl]) -> PlannedState:
    """Returns what the target's scope keeps of what ``controls`` have read: the settings that are
    to be changed or critical, and when they were read.
    """
    before = {
        control.item: control.current
        for control in controls
        if control.enabled
        and control.item in control.state.settings
        and (control.pending or control.critical)
    }
    return {"before": before, "read_at": now()}


def was_read_within(target: Target, since: str, seconds: float) -> bool:
    """Tells whether the plan read the target in the ``seconds`` after a stored time, or before."""
    read_at = str(target.scope.get("read_at") or "")
    if not read_at:
        return False
    return seconds_between(since, read_at) < seconds


def outdated(target: Target) -> Target:
    """Returns the target with a plan that is not fresh: it still says what there is to contain."""
    return target._replace(scope={**target.scope, "read_at": ""})


def fresh_state(target_context: TargetContext) -> Settings:
    """Returns the plan's settings by item; empty where they are older than FRESH_SECONDS."""
    read_at = target_context.scope("read_at")
    if not read_at:
        return {}
    fresh = 0 <= seconds_since(str(read_at)) < FRESH_SECONDS
    return dict(target_context.scope("before") or {}) if fresh else {}

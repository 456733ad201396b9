"""Draws the verdict from the checks of a target, the same way for every playbook."""

from __future__ import annotations

from collections.abc import Sequence

from guardduty_response.containment.contract import Check, StepResult
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.incident.statuses import IN_PROGRESS, Status


def reasons(checks: Sequence[Check]) -> str:
    """Returns why the target is not contained: what the failed checks say, fatal ones alone
    where there are any.
    """
    failed = [check for check in checks if not check.ok]
    fatal = [check for check in failed if check.fatal]
    return "; ".join(check.detail for check in fatal or failed)


def verdict(checks: Sequence[Check], contained: str) -> StepResult:
    """Returns FAILED when a fatal check failed, PARTIAL when another did, else CONTAINED, which
    ``contained`` describes. A minor check that failed is said.
    """
    failed = [check for check in checks if not check.ok]
    if any(check.fatal for check in failed):
        return StepResult(status=Status.FAILED, detail=f"NOT contained: {reasons(checks)}")
    if any(not check.minor for check in failed):
        detail = f"Partially contained. Failed checks: {reasons(checks)}"
        return StepResult(status=Status.PARTIAL, detail=detail)
    if failed:
        detail = f"undone since, while it stays contained: {reasons(checks)}"
        return StepResult(status=Status.CONTAINED, detail=detail)
    return StepResult(status=Status.CONTAINED, detail=contained)


def wait_for_other_incident(
    target_context: TargetContext, checks: Sequence[Check], attempts: int
) -> StepResult | None:
    """Returns a result that lets the state machine ask again in 5 s, while another incident is
    containing the target; None when there is nothing to wait for. ``attempts``: how often at most.
    """
    context, other_incident = target_context.context, target_context.target.attach
    if not other_incident or context.attempt >= attempts or all(check.ok for check in checks):
        return None
    status = context.record.meta(other_incident)["status"]
    if status not in IN_PROGRESS:
        return None
    detail = f"incident {other_incident} ({status}) is still in progress: {reasons(checks)}"
    return StepResult(done=False, wait_seconds=5, detail=detail, waited=True)

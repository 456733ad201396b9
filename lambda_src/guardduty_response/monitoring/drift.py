"""Assesses, from a verification alone, whether containment still stands. Changes no resource."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from guardduty_response.containment.contract import Check, Context, StepResult, Target, load
from guardduty_response.decision import planned_options
from guardduty_response.errors import ResponseError
from guardduty_response.incident.moments import now
from guardduty_response.incident.statuses import Status

if TYPE_CHECKING:
    from guardduty_response.incident.model import ChangeEvent, ContainmentLoss, TargetRecord

    # The optional function ``find_actors`` of a playbook (protocols.Playbook).
    FindActors = Callable[
        [Context, Target, list[Check], str, ChangeEvent | None, list[str]], list[ChangeEvent]
    ]

READS = 2  # before containment is called lost: AWS is eventually consistent


class NotRead(ResponseError):
    """Containment could not be read: it is neither verified nor lost."""


def may_verify(context: Context, target: Target, seconds: int) -> bool:
    """Takes the lease on the resource, and tells whether it can be verified undisturbed.

    It cannot while a restore or another incident works on it. An execution of the same incident
    that only waits for evidence is in nobody's way.
    """
    lease = context.record.leases.claim(
        target.arn,
        context.execution,
        context.incident_id,
        seconds,
    )
    if lease is None:
        return True
    return lease["incident_id"] == context.incident_id and ":execution:" in lease["owner"]


class Difference(NamedTuple):
    """Holds what a verification found that was not so at the verdict.

    ``lost``: checks that fail now. ``not_read``: checks that could not be read.
    """

    lost: list[Check]
    not_read: list[Check]

    def __bool__(self) -> bool:
        return bool(self.lost or self.not_read)

    @property
    def is_minor(self) -> bool:
        """Tells whether all that is lost are minor checks: the resource stays contained."""
        return bool(self.lost) and all(check.minor for check in self.lost)

    @property
    def detail(self) -> str:
        """Returns what is lost, else what could not be read, in sentences."""
        lost = [] if self.is_minor and self.not_read else self.lost
        return "; ".join(check.detail for check in lost or self.not_read)


def compare(stored: TargetRecord, checks: list[Check]) -> Difference:
    """Compares a verification with what the verdict found."""
    weak = weak_checks(stored)
    failed = [check for check in checks if not check.ok and check.name not in weak]
    lost = [check for check in failed if check.read]
    return Difference(lost, [check for check in failed if not check.read])


def _stored(context: Context, target: Target) -> TargetRecord:
    return context.record.target(
        context.incident_id,
        target.kind,
        target.id,
        place=target.place,
    )


def _baseline(step: StepResult, checks: list[Check]) -> TargetRecord:
    return {
        "weak": [check.name for check in checks if not check.ok and not check.minor],
        "held_at": now(),
        "watched": list(step.watched),
    }


def baseline(
    context: Context, target: Target, step: StepResult, checks: list[Check]
) -> TargetRecord:
    """Returns what is stored with the verdict of a containment, for rechecks to compare with."""
    stored = _stored(context, target)
    fields = _baseline(step, checks)
    fields["contained_with"] = planned_options.contained_with(context.config, context.options)
    if stored.get("breach") and step.status is Status.CONTAINED:
        fields["breach"] = {**stored["breach"], "ended": now()}
    return fields


def weak_checks(stored: TargetRecord) -> set[str]:
    """Returns the checks that failed at the verdict: their failing again is no loss."""
    if "weak" in stored:
        return set(stored["weak"])
    checks = stored.get("checks", [])
    return {check["name"] for check in checks if not check["ok"] and not check.get("minor")}


def keep_missing(
    stored: TargetRecord, step: StepResult, checks: list[Check]
) -> tuple[StepResult, list[Check]]:
    """Adds the checks that failed at the verdict and are missing in a verification, as they were.

    What is not seen to pass is not mended, so there is no CONTAINED beside them. A check that could
    not be read is not added: some are made only where reading fails.
    """
    if step.status in (None, Status.GONE):
        return step, checks
    names, weak = {check.name for check in checks}, weak_checks(stored)
    kept = [
        Check(
            found["name"],
            False,
            found["detail"],
            bool(found.get("fatal")),
        )
        for found in stored.get("checks") or []
        if found["name"] in weak - names and not found["ok"] and found.get("read", True)
    ]
    if not kept:
        return step, checks
    checks = checks + kept
    if step.status in (Status.CONTAINED, Status.PARTIAL):
        reasons = "; ".join(check.detail for check in checks if not check.ok)
        detail = f"Partially contained. Failed checks: {reasons}"
        step = step._replace(status=Status.PARTIAL, detail=detail)
    return step, checks


def recheck(
    context: Context, target: Target, step: StepResult, checks: list[Check]
) -> tuple[StepResult, list[Check], TargetRecord]:
    """Returns what is true now, the checks that say so, and which fields to store with them.

    Raises NotRead as ``assess`` does.
    """
    stored = _stored(context, target)
    step, checks = keep_missing(stored, step, checks)
    step, fields = assess(
        context,
        target,
        step,
        checks,
        stored,
    )
    return step, checks, fields


def assess(
    context: Context,
    target: Target,
    step: StepResult,
    checks: list[Check],
    stored: TargetRecord | None = None,
) -> tuple[StepResult, TargetRecord]:
    """Returns what is true now, and which fields to store with it.

    A minor loss changes no status. Raises NotRead when a fact could not be read and nothing else
    shows that containment is lost.
    """
    if step.status is Status.GONE:
        return step, {}
    stored = stored or _stored(context, target)
    difference = compare(stored, checks)
    lost, detail = difference.lost, difference.detail
    if difference and context.attempt < READS:
        again = f"verified once more before containment is called lost: {detail}"
        return StepResult(done=False, wait_seconds=2, detail=again), {}
    if lost and not difference.is_minor:
        loss = _describe_loss(
            context,
            target,
            stored,
            difference,
        )
        result = StepResult(
            status=Status.CONTAINMENT_LOST, detail=f"containment was lost: {detail}"
        )
        return result, {"breach": loss}
    if difference.not_read:
        raise NotRead(detail)
    fields = _baseline(step, checks)
    if lost:
        fields["breach"] = _describe_loss(
            context,
            target,
            stored,
            difference,
        )
    elif stored.get("breach") and not stored["breach"].get("ended"):
        fields["breach"] = {**stored["breach"], "ended": now()}
    return step, fields


def _describe_loss(
    context: Context, target: Target, stored: TargetRecord, difference: Difference
) -> ContainmentLoss:
    """Says since when containment is lost, what failed, and who did it.

    The actors are those of an earlier recheck, or those that CloudTrail shows.
    """
    earlier: ContainmentLoss = stored.get("breach") or {}
    lost, minor = difference.lost, difference.is_minor
    if earlier.get("ended") or bool(earlier.get("minor")) is not minor:
        earlier = {}
    names = [check.name for check in lost]
    loss: ContainmentLoss = {"at": earlier.get("at") or now(), "checks": names, "by": []}
    if minor:
        loss["minor"] = True
    if earlier.get("by") and set(names) <= set(earlier["checks"]):
        loss["by"] = earlier["by"]
        return loss
    playbook = load(os.environ["GDR_PLAYBOOK"])
    find_actors: FindActors | None = getattr(playbook, "find_actors", None)
    if find_actors is None:
        loss["unknown"] = "this playbook cannot find out: search CloudTrail for the resource"
        return loss
    seen = context.record.meta(context.incident_id).get("undone_by")
    since, watched = str(stored.get("held_at") or ""), list(stored.get("watched") or [])
    try:
        loss["by"] = find_actors(
            context,
            target,
            lost,
            since,
            seen,
            watched,
        )
    except Exception as error:  # people must hear of the loss even if nobody knows the actor
        loss["unknown"] = (
            f"CloudTrail could not be queried ({type(error).__name__}: {str(error)[:300]}); the"
            " next recheck tries again"
        )
    return loss

"""Plans, for the playbook function, the containment of what a finding names, and decides on it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from guardduty_response.containment.contract import NO_OPTIONS, Context, Planned, Target, load
from guardduty_response.containment.gate import LEASE_SECONDS
from guardduty_response.errors import NoTarget, RoleUnavailable, TargetGone
from guardduty_response.functions import planning, runtime, steps
from guardduty_response.functions.ahead import Ahead, remembering
from guardduty_response.incident import statuses
from guardduty_response.incident.statuses import Status

if TYPE_CHECKING:
    from guardduty_response.decision.planned_options import ContainedWith


def plan(event: runtime.Payload) -> planning.PlanAnswer:
    """Plans, or for a recheck finds the targets to verify. What stands against it is answered."""
    context = steps.make_context(event)
    if event.get("verify_only"):
        return _plan(event, context, None)
    context.assume = remembering(context.assume)
    _prepare(event, context)
    ahead = Ahead(context)
    context.expect = ahead.expect
    try:
        if event.get("approved") is True:
            context.kept = ahead.meta.result().get("kept") or {}
        return _plan(event, context, ahead)
    finally:
        ahead.end()


def _prepare(event: runtime.Payload, context: Context) -> None:
    """Lets the playbook ask for its role while the finding is read, where Open said whose it is."""
    prepare = getattr(load(os.environ["GDR_PLAYBOOK"]), "prepare", None)
    place = event.get("place") or {}
    if prepare and place.get("account_id") and place.get("region"):
        prepare(context, place["account_id"], place["region"])


def _plan(event: runtime.Payload, context: Context, ahead: Ahead | None) -> planning.PlanAnswer:
    playbook, record, incident_id = os.environ["GDR_PLAYBOOK"], context.record, context.incident_id
    seen = context.finding
    known = _contained_with(context) if event.get("verify_only") else {}
    try:
        by_options = context.as_contained(next(iter(known.values()), NO_OPTIONS))
        left: list[Target] = []
        if event.get("finding_key") or not _is_of_what_stands(event, context):
            planned = load(playbook).plan(by_options)
        else:
            planned, left = _plan_standing(context)
        if not planned and not left:
            raise NoTarget(
                f"playbook {playbook} found no resource in finding {seen.id} to act on: look at the"
                " finding itself"
            )
    except (TargetGone, NoTarget, RoleUnavailable) as error:
        decision = "gone" if isinstance(error, TargetGone) else "failed"
        reason = str(error)
        if decision == "gone" and _others_stand(event, context):
            decision = "skip"  # GONE would end what earlier events named, too
        if seen.sample:  # its resource need not exist, nor its account have the role
            decision, reason = "skip", f"a sample finding cannot be rehearsed here: {reason}"
        if not event.get("verify_only"):
            record.note(incident_id, decision=decision, reasons=[reason])
        return planning.answer(decision, error="" if decision == "skip" else reason)
    if not event.get("verify_only"):
        approved = event.get("approved") is True
        return planning.decide(context, planned, seen, approved, ahead)
    from guardduty_response.monitoring import drift  # for a recheck alone

    targets = [
        target
        for target in [*(_to_verify(context, plan, known) for plan in planned), *left]
        if (target.generation or steps.is_of_incident(context, target))
        and drift.may_verify(context, target, LEASE_SECONDS)
    ]
    # A restore may just have ended.
    watched = Status(record.meta(incident_id)["status"]) in statuses.WATCHED
    if targets and watched:
        return planning.answer("act", targets)
    return planning.answer("none")


def _others_stand(event: runtime.Payload, context: Context) -> bool:
    """Tells whether what earlier events of the finding named was contained before this run."""
    meta = context.record.meta(context.incident_id)
    if event.get("verify_only") or meta.get("held") not in statuses.WATCHED:
        return False
    from guardduty_response.functions import standing

    return standing.others_stand(context, meta)


def _is_of_what_stands(event: runtime.Payload, context: Context) -> bool:
    """Tells whether a plan without an event is a recheck's, or that of containing again after it.

    Machine definitions of earlier releases name no event in other plans, either.
    """
    lost = Status.CONTAINMENT_LOST
    again = event.get("verify_only") or context.record.meta(context.incident_id)["status"] == lost
    return bool(again)


def _plan_standing(context: Context) -> tuple[list[Planned], list[Target]]:
    from guardduty_response.functions import standing  # for a recheck alone

    return standing.plan(context)


def _contained_with(context: Context) -> dict[str, ContainedWith]:
    from guardduty_response.functions import contained_options  # for a recheck alone

    return contained_options.by_arn(context)


def _to_verify(context: Context, plan: Planned, known: Mapping[str, ContainedWith]) -> Target:
    """Returns a planned target as the incident is linked to it, to be verified only.

    ``known``: what each resource was contained with, by ARN.
    """
    target = plan.target._replace(
        verify_only=True,
        principals=plan.principals,
        contained_with=known.get(plan.target.arn, NO_OPTIONS),
    )
    return target if target.generation else steps.as_linked(context, target)

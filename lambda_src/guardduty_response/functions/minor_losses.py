"""Answers, for the playbook function, minor losses: what was undone while the resource stays
contained, such as a node that a load balancer's controller has registered again.

It is done again in the recheck itself, where the mode is auto. The status stays, and people are
told without an escalation.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from guardduty_response.containment.contract import Check, Context, StepResult, Target, load
from guardduty_response.containment.gate import LEASE_SECONDS
from guardduty_response.containment.target_context import AWS_ERRORS, describe_error
from guardduty_response.decision import policy
from guardduty_response.functions import planning, steps
from guardduty_response.functions.verify_step import minor_losses_of
from guardduty_response.incident.moments import now

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from guardduty_response.incident.model import TargetRecord

    # The optional function ``contain_lost`` of a playbook (protocols.Playbook).
    ContainLost = Callable[[Context, Target, Collection[str]], None]


def answer(
    context: Context, target: Target, step: StepResult, checks: list[Check], fields: TargetRecord
) -> tuple[StepResult, list[Check], TargetRecord]:
    """Does again what is lost, and reads the resource once more.

    Returns what is true then, as ``drift.recheck`` does. Why nothing was done is in the timeline.
    """
    names = minor_losses_of(fields)
    try:
        why = _contain(context, target, names)
    except AWS_ERRORS as error:
        why = describe_error(error)
    if why:
        detail = f"{', '.join(names)}: {why}"
        context.record.event(
            context.incident_id,
            "not done again",
            detail,
            target.id,
        )
        return step, checks, fields
    again, found = load(os.environ["GDR_PLAYBOOK"]).verify(context, target)
    lost = {check.name for check in found if not check.ok} & set(names)
    if lost or not again.done or again.status is not step.status:
        return step, checks, fields  # the next recheck judges what is true then
    context.record.event(
        context.incident_id,
        "done again",
        ", ".join(names),
        target.id,
    )
    return again, found, {**fields, "breach": {**fields["breach"], "ended": now()}}


def _contain(context: Context, target: Target, names: list[str]) -> str:
    """Does again what minor checks found undone. Returns why nothing was done, or ''."""
    decided, _ = policy.decide_about(context.config, context.finding)
    if context.config.paused or decided.mode != "auto":
        return "the response is paused" if context.config.paused else f"the mode is {decided.mode}"
    playbook = load(os.environ["GDR_PLAYBOOK"])
    contain_lost: ContainLost | None = getattr(playbook, "contain_lost", None)
    if contain_lost is None:
        return "this playbook cannot do it again"
    planned = [plan for plan in playbook.plan(context) if plan.target.arn == target.arn]
    if not planned:
        return "the plan does not name it any more"
    decision, reasons = planning.apply_policy(context, planned, context.finding)
    if decision != "act":
        return "; ".join(reasons)
    # As after a loss: the first execution, which may still wait for evidence, gives way.
    meta = context.record.meta(context.incident_id)
    gives_way = steps.first_execution(context, target, meta)
    lease = context.record.leases.claim(
        target.arn, context.execution, context.incident_id, LEASE_SECONDS, gives_way
    )
    if lease:
        return f"{lease['owner']} works on {target.id}"
    guarded = steps.guarded(context, target)
    assert guarded.gate is not None
    guarded.gate.open()
    contain_lost(guarded, target._replace(scope=planned[0].target.scope), names)
    return guarded.gate.refusal

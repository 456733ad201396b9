"""Lets an execution that release 0.1.0 began end with the present functions.

Its definition hands on one target, without the containment that the target belongs to, and goes
from an approval straight to containing. What the present definition does in states of its own is
made up for here, before anything is changed (docs/operations.md, "Upgrading from 0.1.0").
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from guardduty_response.containment.contract import Context, Planned, Target, load
from guardduty_response.containment.gate import LEASE_SECONDS
from guardduty_response.errors import ResponseError
from guardduty_response.functions import planning, steps
from guardduty_response.incident.moments import now
from guardduty_response.incident.statuses import Status

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord

_APPROVER = "somebody whom an execution of release 0.1.0 does not name"


def adopt(context: Context, target: Target) -> Target:
    """Returns the target as triage hands it on now: planned anew, and linked to its containment.

    After an approval, policy and guardrails run anew too. The target is attached to the incident
    that works on the resource, if there is one: then nothing may be changed. Raises ResponseError,
    which says why nothing may be changed, and what the playbook's ``plan`` raises.
    """
    record, incident_id = context.record, context.incident_id
    if target.generation:
        return target
    lease = record.leases.claim(
        target.arn,
        context.execution,
        incident_id,
        LEASE_SECONDS,
    )
    if lease:
        other = lease["incident_id"]
        record.set_target(incident_id, target.kind, target.id, attach=other)
        return target._replace(attach=other)
    planned = load(os.environ["GDR_PLAYBOOK"]).plan(context)
    meta = record.meta(incident_id)
    if Status(meta["status"]) is Status.AWAITING_APPROVAL:
        return _approved(context, planned, target, meta)
    plan = next((plan for plan in planned if _same(plan.target, target)), None)
    if plan is None:
        raise ResponseError(f"planned anew, {target.id} is not what the finding is about any more")
    record.take_over_old(incident_id, in_progress=True)
    return steps.linked(context, plan.target._replace(principals=plan.principals))


def _same(found: Target, target: Target) -> bool:
    return (found.kind, found.id) == (target.kind, target.id)


def _approved(
    context: Context, planned: list[Planned], target: Target, meta: IncidentRecord
) -> Target:
    """Records the approval, then decides anew (docs/decisions/0030).

    A plan of release 0.1.0 has no digest: what is planned now counts as what was approved.
    """
    record, incident_id = context.record, context.incident_id
    digest = meta.get("plan_digest") or planning.plan_digest(planned)
    record.event(incident_id, "answer: approved", f"by {_APPROVER}; plan {digest[:12]}")
    record.note(
        incident_id,
        approved_digest=digest,
        approved_by=_APPROVER,
        approved_at=now(),
    )
    decided = planning.decide(context, planned, context.finding, approved=True)
    if decided["decision"] != "act":
        reasons = record.meta(incident_id).get("reasons") or []
        raise ResponseError(f"nothing is changed: {'; '.join(reasons)}")
    found = (Target(**reference) for reference in decided["targets"])
    return next(each for each in found if _same(each, target))

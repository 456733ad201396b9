"""Finds, for the playbook function, by which options a containment is verified and done again.

They are those that it was contained with (``decision.planned_options``). Rechecks alone need this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.containment.contract import Context, Planned
from guardduty_response.decision.planned_options import ContainedWith, of_containment
from guardduty_response.functions import standing
from guardduty_response.incident.target_repository import place_of

if TYPE_CHECKING:
    from guardduty_response.incident.containments import Present
    from guardduty_response.incident.model import ContainmentRecord, IncidentRecord


def by_arn(context: Context) -> dict[str, ContainedWith]:
    """Returns what each resource of the incident was contained with, by its ARN."""
    record = context.record
    meta, targets = record.meta_and_targets(context.incident_id)
    found = {}
    for target in targets:
        place = place_of(target)
        state = record.containments.state(*place) if place else None
        found[target["arn"]] = _of(context, state, meta)
    return found


def planned_again(
    context: Context, planned: list[Planned], present: list[Present], meta: IncidentRecord
) -> tuple[Context, list[Planned]] | None:
    """Plans anew what is contained again after a loss, by the options that it was contained with.

    Containing by others would not do again what is lost. Returns the context with these options and
    the plan; None where they are those of now, or ``planned`` follows from them already. The policy
    stays that of now. ``present``: the containment of each resource.
    """
    if any(plan.target.contained_with for plan in planned):
        return None
    known = {
        plan.target.arn: _of(context, found.state, meta)
        for plan, found in zip(planned, present, strict=True)
    }
    first = known[planned[0].target.arn]
    contained = context.as_contained(first)
    if (contained.options, contained.config) == (context.options, context.config):
        return None
    again = standing.plan(contained).planned
    contained.config = context.config
    return contained, [_with(plan, known.get(plan.target.arn, first)) for plan in again]


def _with(plan: Planned, known: ContainedWith) -> Planned:
    return plan._replace(target=plan.target._replace(contained_with=known))


def _of(context: Context, state: ContainmentRecord | None, meta: IncidentRecord) -> ContainedWith:
    stored = (state or {}).get("contained_with")
    return of_containment(stored, meta.get("options"), context.options)

"""Links an incident anew, for the playbook function, when a restore ended what it was to continue.

Its finding came while the person restored, who did not know of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from guardduty_response.containment.contract import Context, StepPayload, StepResult, Target
from guardduty_response.containment.gate import LEASE_SECONDS

if TYPE_CHECKING:
    from guardduty_response.incident.model import TargetPayload

# ARN -> the target with the containment that is the present one.
Rejoined = dict[str, Target]


class ContainPayload(StepPayload, total=False):
    """Declares the answer of contain; ``targets``: what the machine goes on with, if it changed."""

    targets: list[TargetPayload]


def may_rejoin(context: Context) -> bool:
    """Tells whether the incident is in its first containment.

    What it contained before is what the person has just given back: that stays so until there is
    more activity.
    """
    meta = context.record.meta(context.incident_id)
    return not meta.get("held") and meta.get("contained_again") != context.execution


def rejoin(context: Context, target: Target) -> Target:
    """Links the incident to the present containment, or to a new one. Safe to repeat."""
    record, incident_id = context.record, context.incident_id
    assert target.place is not None
    ended = record.containments.state(*target.place) or {}
    joined = record.containments.join(
        target.reference(), incident_id, os.environ["GDR_PLAYBOOK"], ended.get("immutable_id", "")
    )
    lease = record.leases.claim(target.arn, context.execution, incident_id, LEASE_SECONDS)
    target = target._replace(
        attach=lease["incident_id"] if lease else "",
        generation=joined.generation,
        opened_by=joined.opened_by,
    )
    own_actions = record.link(incident_id, target.kind, target.id).get("actions") or {}
    record.put_target(incident_id, target.reference(), own_actions, context.execution)
    detail = f"{target.id} was restored meanwhile: its containment {joined.generation} is joined"
    record.event(incident_id, "linked anew", detail, target.id)
    return target


def payload(
    context: Context, result: StepResult, targets: list[Target], rejoined: Rejoined
) -> ContainPayload:
    """Returns contain's answer. META, too, names what was rejoined, for the phases that follow."""
    answer = cast("ContainPayload", result.payload())
    if rejoined:
        now = [rejoined.get(target.arn, target) for target in targets]
        references = [target.reference() for target in now]
        context.record.note(context.incident_id, targets=references)
        answer["targets"] = [target.payload() for target in now]
    return answer

"""Plans, for rechecks, what earlier events of a finding named: it stays contained, too.

The incident answers the event that names somebody last (``recurrence.named_before``).
"""

from __future__ import annotations

import os

from guardduty_response.containment.contract import Context, Planned, load
from guardduty_response.errors import NoTarget, TargetGone
from guardduty_response.functions import steps
from guardduty_response.incident.containments import is_over


def plan(context: Context, earlier: list[str]) -> list[Planned]:
    """Plans what the finding names, and what the events ``earlier`` (S3 keys) named of which the
    containment stands. Raises as the playbook's plan does for the finding itself.
    """
    planned = load(os.environ["GDR_PLAYBOOK"]).plan(context)
    arns = {plan.target.arn for plan in planned}
    for key in reversed(earlier):
        for other in _plan_earlier(context, key):
            if other.target.arn not in arns:
                arns.add(other.target.arn)
                planned = [*planned, other]
    return planned


def _plan_earlier(context: Context, key: str) -> list[Planned]:
    about = steps.about(context, key)
    try:
        planned = load(os.environ["GDR_PLAYBOOK"]).plan(about)
    except (NoTarget, TargetGone):
        return []  # its own checks say so
    return [plan for plan in planned if _stands(context, plan)]


def _stands(context: Context, plan: Planned) -> bool:
    from guardduty_response.functions.planning import immutable_id

    state = context.record.containments.present(plan.target.arn).state
    return state is not None and not is_over(state, immutable_id(plan))

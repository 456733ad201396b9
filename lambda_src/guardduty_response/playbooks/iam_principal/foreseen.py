"""What a pass of eradication will undo by itself, and what it will only list for people: said
before anything is undone, and counted by the circuit breaker.

A resource is not looked at for it: what is found to be different then is left to people after all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

from guardduty_response.decision import guardrails, policy
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.iam_principal.attribution import Attribution
from guardduty_response.playbooks.iam_principal.reversals.table import NOTEWORTHY, reversal_for

if TYPE_CHECKING:
    from guardduty_response.containment.target_context import TargetContext
    from guardduty_response.playbooks.iam_principal.reversals.changes import Change

MOST_MARKS = 120  # as many changes as an incident's record has room for
MOST_CHARACTERS, MOST_NAMED = 900, 80  # of a list, and of what one of its calls names


class Foreseen(NamedTuple):
    """The changes of a principal, in the order in which they are dealt with."""

    automatic: list[Change]
    for_people: list[Change]

    def sentences(self) -> dict[str, str]:
        """Returns what people are told, by the name of the line in the action log."""
        said = {}
        if self.automatic:
            said["remediation_undoes"] = (
                f"{len(self.automatic)} calls undone by itself: {_named(self.automatic)}"
            )
        if self.for_people:
            said["remediation_lists"] = (
                f"{len(self.for_people)} calls listed for people: {_named(self.for_people)}"
            )
        return said


def foresee(
    changes: Iterable[Change], attribution: Attribution, categories: Collection[str]
) -> Foreseen:
    """Sorts changes by what becomes of them. ``categories``: the option ``remediate``."""
    automatic, for_people = [], []
    for change in changes:
        kind = reversal_for(change)
        if kind is None:
            if not NOTEWORTHY.fullmatch(change.key):
                for_people.append(change)
        elif (
            kind.category in categories
            and not attribution.reason_to_leave(change)
            and attribution.knows_before(kind.replaced(change))
        ):
            automatic.append(change)
        else:
            for_people.append(change)
    return Foreseen(automatic, for_people)


def reason_to_ask(principal: TargetContext, automatic: list[Change]) -> str:
    """Counts, for the circuit breaker, what is to be undone without a person's approval; returns
    which limit that exceeds, or ''.

    Each call is a marker of its own, beside the resources that are contained: it counts towards
    the limits of its account and in all, and undoing has the playbook's limit once more.
    """
    context, account = principal.context, principal.target.account_id
    decided, _ = policy.decide_about(context.config, context.finding)
    if decided.mode != "auto" or not automatic:
        return ""
    marks: list[guardrails.GuardedTarget] = [
        {"id": change.id, "arn": f"{principal.target.arn} revert/{change.id}"}
        for change in automatic[:MOST_MARKS]
    ]
    exceeded = guardrails.exceeded_limits(
        context.config, context.record, "iam_principal remediation", account, marks
    )
    return "; ".join(exceeded) if exceeded and not _was_approved(principal) else ""


def _was_approved(principal: TargetContext) -> bool:
    """Tells whether a person has approved the plan, which said what would be undone."""
    try:
        meta = principal.context.record.meta(principal.context.incident_id)
    except ResponseError:
        return False
    return bool(meta.get("approved_digest"))


def _named(changes: list[Change]) -> str:
    said: list[str] = []
    length = 0
    for change in changes:
        words = change.named[:MOST_NAMED]
        text = f"{change.name} ({words})" if words else change.name
        length += len(text) + 2
        if length > MOST_CHARACTERS:
            said.append(f"and {len(changes) - len(said)} more")
            break
        said.append(text)
    return ", ".join(said)

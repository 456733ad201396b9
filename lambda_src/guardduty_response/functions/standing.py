"""Plans anew, for the playbook function, what an incident has contained and what still stands.

Rechecks and containing again need it. GuardDuty keeps of a finding only what happened last, and an
update can name others: each target is planned by the event that named it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from guardduty_response.aws import clients
from guardduty_response.containment.contract import Context, Planned, Target, load
from guardduty_response.decision import finding
from guardduty_response.decision.planned_options import of_containment
from guardduty_response.errors import NoTarget, TargetGone
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions import steps
from guardduty_response.incident.containments import ENDED
from guardduty_response.incident.statuses import Status
from guardduty_response.incident.target_repository import generation_of, place_of

if TYPE_CHECKING:
    from guardduty_response.incident.model import (
        ContainmentRecord,
        IncidentRecord,
        TargetRecord,
    )

# Targets that one recheck plans, for the size of the machine's payload. Those that it leaves were
# verified last, and come first the next time: what is lost of them starts one.
AT_ONCE = 60
_OVER = ENDED | {Status.GONE}


class Stands(NamedTuple):
    """Holds a TARGET item, and the STATE item of its containment, which stands."""

    link: TargetRecord
    state: ContainmentRecord


class Standing(NamedTuple):
    """Holds the plans of what stands, and the targets that their events' plans find no more."""

    planned: list[Planned]
    left: list[Target]


def find(context: Context) -> list[Stands]:
    """Returns the incident's containments that stand: what is lost, then the longest unread."""
    links = [link for link in context.record.links(context.incident_id) if generation_of(link)]
    states = list(clients.POOL.map(lambda link: _state(context, link), links))
    found = [Stands(link, state) for link, state in zip(links, states, strict=True) if state]
    return sorted(
        found, key=lambda each: (each.state["status"] != Status.CONTAINMENT_LOST, _age(each.state))
    )


def _state(context: Context, link: TargetRecord) -> ContainmentRecord | None:
    place = place_of(link)
    state = context.record.containments.state(*place) if place else None
    return None if state is None or Status(state["status"]) in _OVER else state


def _age(state: ContainmentRecord) -> str:
    return max(state.get("updated_at") or "", state.get("held_at") or "")


def plan(context: Context) -> Standing:
    """Plans what stands, each target by its own event and by what it was contained with.

    Raises TargetGone or NoTarget where nothing is left to plan, and what else the playbook's plan
    raises. An incident of which nothing stands is planned by META's event.
    """
    found = find(context)[:AT_ONCE]
    if not found:
        return Standing(load(os.environ["GDR_PLAYBOOK"]).plan(context), [])
    meta = context.record.meta(context.incident_id)
    older = [meta["finding_key"], *reversed(meta.get("earlier_findings") or [])]
    by_event: dict[str, list[Stands]] = {}
    for each in found:
        by_event.setdefault(each.link.get("finding_key") or "", []).append(each)
    planned: list[Planned] = []
    left: list[Target] = []
    for key, named in by_event.items():
        part = _plan_events(context, [key] if key else older, named, meta)
        planned += part.planned
        left += part.left
    if not planned and all(target.gone for target in left):
        raise TargetGone(left[0].gone)
    if not planned and all(target.unplanned for target in left):
        raise NoTarget(left[0].unplanned)
    return Standing(planned, left)


def _plan_events(
    context: Context, keys: list[str], named: list[Stands], meta: IncidentRecord
) -> Standing:
    """Plans what one of the events ``keys`` named. Where that may be several, none is called gone:
    which of them named it is not known.
    """
    planned: list[Planned] = []
    why, gone = "", ""
    options = of_containment(
        named[0].state.get("contained_with"), meta.get("options"), context.options
    )
    for key in keys:
        by_options = steps.about(context, key).as_contained(options)
        try:
            plans = load(os.environ["GDR_PLAYBOOK"]).plan(by_options)
        except TargetGone as error:
            why = gone = str(error)
        except NoTarget as error:
            why = str(error)
        else:
            for each in list(named):
                if plan := _plan_of(plans, each.link):
                    planned.append(plan._replace(target=_as_linked(plan.target, each)))
                    named = [other for other in named if other is not each]
    known = {"gone": gone} if gone and len(keys) == 1 else {"unplanned": why}
    left = [_left(each, **known) for each in named]
    return Standing(planned, left)


def _plan_of(plans: list[Planned], link: TargetRecord) -> Planned | None:
    """Returns the plan of a target: of its ARN, else of its kind and ID. A role that was made anew
    has the ARN of the one before, which is planned under another.
    """
    by_arn = [plan for plan in plans if plan.target.arn == link["arn"]]
    names = (link["kind"], link["id"])
    by_name = [plan for plan in plans if (plan.target.kind, plan.target.id) == names]
    return next(iter(by_arn or by_name), None)


def _as_linked(target: Target, each: Stands) -> Target:
    return target._replace(
        arn=each.link["arn"],
        generation=generation_of(each.link),
        opened_by=each.link.get("opened_by") or "",
        finding_key=each.link.get("finding_key") or "",
    )


def _left(each: Stands, gone: str = "", unplanned: str = "") -> Target:
    link = each.link
    target = Target(link["kind"], link["id"], link["arn"], link["account_id"], link["region"])
    why = unplanned or f"the plan of the event that named {link['id']} names it no more"
    return _as_linked(target, each)._replace(
        verify_only=True,
        principals=list(link.get("principals") or []),
        gone=gone,
        unplanned="" if gone else why,
    )


def others_stand(context: Context, meta: IncidentRecord) -> bool:
    """Tells whether what stands was named by an event that named others than the present one."""
    named = context.finding.named[:2]
    keys = {each.link.get("finding_key") or meta["finding_key"] for each in find(context)}
    events = (finding.parse(evidence_store.get_event(key)) for key in sorted(keys))
    return any(event.named[:2] != named for event in events)

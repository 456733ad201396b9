"""Decides, for the playbook function, what happens to the targets that a playbook planned."""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypedDict

from guardduty_response.aws import clients
from guardduty_response.containment.contract import Context, Planned, Target, load
from guardduty_response.containment.gate import LEASE_SECONDS
from guardduty_response.containment.pauses import pause_reason
from guardduty_response.decision import finding, guardrails, policy
from guardduty_response.errors import ResponseError
from guardduty_response.functions import steps
from guardduty_response.incident import approval
from guardduty_response.incident.containments import Present, is_over
from guardduty_response.incident.statuses import Event, Status
from guardduty_response.incident.target_repository import (
    DETAIL_LENGTH,
    log_entry,
)

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord, TargetPayload

_DECISIONS = {"auto": "act", "approve": "approve", "dry_run": "dry_run"}
_NOT_ACTING = ("skip", "dry_run", "failed")


class HandOver(TypedDict):
    """Declares the input of an execution that answers what belongs to another playbook."""

    finding_key: str


class PlanAnswer(TypedDict, total=False):
    """Declares what the state machine goes on with after ``plan``."""

    decision: str  # act, approve, dry_run, skip, gone, failed or none
    error: str
    targets: list[TargetPayload]
    collect_first_seconds: int
    hand_over: list[HandOver]
    approval_timeout_seconds: int


def answer(decision: str, targets: list[Target] | None = None, error: str = "") -> PlanAnswer:
    """Returns the plan's answer without anything to hand over or to collect first."""
    return {
        "decision": decision,
        "error": error,
        "targets": [target.payload() for target in targets or []],
        "collect_first_seconds": 0,
        "hand_over": [],
    }


def apply_policy(
    context: Context, planned: list[Planned], seen: finding.Finding
) -> tuple[str, list[str]]:
    """Returns the decision and its reasons: the policy once more, then the guardrails."""
    config = context.config
    pause = clients.POOL.submit(pause_reason, context.record)
    decided, _ = policy.decide_about(config, seen)
    mode, reasons = decided.mode, list(decided.reasons)
    if seen.sample and mode in policy.ACTING:
        mode = "dry_run"
        reasons.append("a sample finding is only rehearsed")
    targets: list[guardrails.GuardedTarget] = [
        {
            "id": plan.target.id,
            "arn": plan.target.arn,
            "tags": plan.tags,
            "principals": plan.principals,
        }
        for plan in planned
    ]
    ruling = guardrails.apply(
        config, context.record, mode, os.environ["GDR_PLAYBOOK"], seen.account_id, targets
    )
    reasons += ruling.reasons
    if ruling.alarm:
        return "failed", [*reasons, ruling.alarm]
    if ruling.skip:
        return "skip", [*reasons, ruling.skip]
    if ruling.mode != "dry_run" and (paused := pause.result()):
        return "skip", [*reasons, paused]
    if ruling.mode not in policy.ACTING:
        reason = f"the policy inside the machine says {ruling.mode}: nothing may act"
        return "skip", [*reasons, reason]
    return _DECISIONS[ruling.mode], reasons


def _lease(context: Context, target: Target, lost: IncidentRecord | None) -> str:
    """Returns the incident that already works on the resource, or '' when the lease is ours now.

    ``lost``: this incident, when it contains again. The target's first execution gives way.
    """
    gives_way = steps.first_execution(context, target, lost) if lost else ""
    lease = context.record.leases.claim(
        target.arn, context.execution, context.incident_id, LEASE_SECONDS, gives_way
    )
    return lease["incident_id"] if lease else ""


def plan_digest(planned: list[Planned]) -> str:
    """Returns the SHA-256 of what is planned: which resources, and what is done to each.

    An approval is bound to it: what an approver has seen is what is done. In which order a
    sentence names interfaces or instances does not count: EC2 lists them in any.
    """
    plans = [
        {
            "arn": plan.target.arn,
            "immutable_id": immutable_id(plan),
            "actions": {action: _words(sentence) for action, sentence in plan.actions.items()},
            "consequences": _words(plan.consequences),
        }
        for plan in planned
    ]
    return hashlib.sha256(finding.canonical(plans).encode()).hexdigest()


def _after_approval(
    digest: str,
    planned: list[Planned],
    present: list[Future[Present]],
    meta: IncidentRecord,
) -> tuple[str, str]:
    """Returns the decision about a plan after a person has approved one, and the reason."""
    approved = f"approved by {meta.get('approved_by')} at {meta.get('approved_at')}"
    if meta["approved_digest"] == digest:
        return "act", approved
    if by := _contained_meanwhile(planned, present, meta):
        return "act", (
            f"{approved}; incident {by} contained it meanwhile, and nothing is planned that was"
            " not approved"
        )
    return "approve", "what was approved is not what would be done now: asked again"


def _contained_meanwhile(
    planned: list[Planned], present: list[Future[Present]], meta: IncidentRecord
) -> str:
    """Returns the incident that contained the resources while people were asked about this one.

    Empty: nobody did, or something is planned now that they were not asked about. What that
    incident has done already reads differently in the plan.
    """
    asked_at, asked_about = meta.get("asked_at") or "", meta.get("planned_actions") or {}
    by = ""
    for plan, known in zip(planned, present, strict=True):
        state = known.result().state
        if not (asked_at and state) or is_over(state, immutable_id(plan)):
            return ""
        if state["opened_at"] <= asked_at:
            return ""
        if not set(plan.actions) <= set(asked_about.get(plan.target.arn, [])):
            return ""
        by = state["opened_by"]
    return by


def _words(sentence: str) -> list[str]:
    return sorted(re.findall(r"[^\s,;()]+", sentence))


def immutable_id(plan: Planned) -> str:
    """Returns what AWS gives the resource for good; empty: not known."""
    return plan.immutable_id or str(plan.target.scope.get("unique_id") or "")


def _present(context: Context, target: Target) -> Present:
    """Returns what the resource's containment is now, with what old records have of it."""
    playbook = os.environ["GDR_PLAYBOOK"]
    context.record.take_over_for(context.incident_id, playbook, target.reference())
    return context.record.containments.present(target.arn)


def _linked(
    context: Context,
    planned: list[Planned],
    targets: list[Target],
    present: list[Future[Present]],
    lost: IncidentRecord | None,
) -> list[Target]:
    """Takes the lease on each resource and links the incident to its containment, side by side.

    A resource that another incident works on is linked, too: ``attach`` names that incident.
    """
    leases = [clients.POOL.submit(_lease, context, target, lost) for target in targets]
    links = [
        clients.POOL.submit(
            context.record.containments.join,
            target.reference(),
            context.incident_id,
            os.environ["GDR_PLAYBOOK"],
            immutable_id(plan),
            known.result(),
        )
        for plan, target, known in zip(planned, targets, present, strict=True)
    ]
    linked = []
    for target, lease, link in zip(targets, leases, links, strict=True):
        attach, joined = lease.result(), link.result()
        linked.append(
            target._replace(attach=attach, generation=joined.generation, opened_by=joined.opened_by)
        )
    return linked


def decide(
    context: Context,
    planned: list[Planned],
    seen: finding.Finding,
    approved: bool = False,
) -> PlanAnswer:
    """Decides by policy and guardrails (docs/decisions/0012). For "act" it takes each lease and
    links each resource; where another incident has the lease, ``attach`` names it.

    ``approved``: a person has just approved a plan: "act" if this is that plan.
    """
    record, incident_id = context.record, context.incident_id
    targets = [plan.target._replace(principals=plan.principals) for plan in planned]
    present = [clients.POOL.submit(_present, context, target) for target in targets]
    read_meta = clients.POOL.submit(record.meta, incident_id)
    decision, reasons = apply_policy(context, planned, seen)
    meta = read_meta.result()
    # A recheck leaves this status; a recurrence of the finding has made it OPEN.
    again = meta["status"] == Status.CONTAINMENT_LOST
    if again and decision != "act":
        # People were told that it is contained again at once: the recheck's end tells why not.
        reason = f"Not contained again automatically: {'; '.join(reasons)}"
        record.note(incident_id, contained_again="", left_breached=reason)
        return answer("none")
    if again and (found := _planned_again(context, planned, present, meta)):
        return decide(*found, seen, approved)
    digest = plan_digest(planned)
    if decision == "approve" and meta.get("approved_digest"):
        decision, reason = _after_approval(digest, planned, present, meta)
        digest = meta["approved_digest"] if decision == "act" else digest
        reasons.append(reason)
    key = context.finding_key or meta.get("finding_key") or ""
    targets = [
        target._replace(plan_digest=digest, finding_key=target.finding_key or key)
        for target in targets
    ]
    if decision == "act":
        targets = _linked(context, planned, targets, present, meta if again else None)
    elif meta.get("held"):
        targets = [steps.as_linked(context, target) for target in targets]
    attached_to_itself = any(target.attach == incident_id for target in targets)
    if meta["execution"] != context.execution and attached_to_itself:
        return answer("none")  # another recheck of this incident contains it
    fields: IncidentRecord = {
        "decision": decision,
        "reasons": reasons,
        "targets": [target.reference() for target in targets],
        "plan_digest": digest,
        "options": context.options,
        "planned_actions": {plan.target.arn: sorted(plan.actions) for plan in planned},
    }
    if again:
        fields["execution"] = context.execution  # the lease is free when this execution ends
    decided = clients.POOL.submit(
        record.event, incident_id, f"decided: {decision}", "; ".join(reasons)
    )
    _store_targets(context, planned, targets, meta, decision)
    decided.result()
    # Last: an incident that is being contained has its targets.
    if decision == "act":
        record.transition(incident_id, Event.ACT, Status(meta["status"]), **fields)
    else:
        record.note(incident_id, **fields)
    if decision in _NOT_ACTING:
        return answer(decision, error=reasons[-1] if decision == "failed" else "")
    result = answer(decision, targets)
    result["approval_timeout_seconds"] = approval.timeout_seconds(meta, context.config)
    if not again and not approved:  # handed over before a person was asked
        result["hand_over"] = _hand_over(context, planned, meta)
    if _collects_first():
        result["collect_first_seconds"] = policy.collect_first_seconds(context.config, seen.type)
    return result


def _planned_again(
    context: Context,
    planned: list[Planned],
    present: list[Future[Present]],
    meta: IncidentRecord,
) -> tuple[Context, list[Planned]] | None:
    from guardduty_response.functions import contained_options  # after a loss alone

    return contained_options.planned_again(context, planned, [f.result() for f in present], meta)


def _store_targets(
    context: Context,
    planned: list[Planned],
    targets: list[Target],
    meta: IncidentRecord,
    decision: str,
) -> None:
    """Creates the targets' records, unless that would replace what an earlier run has done."""
    earlier_containment = bool(meta.get("held"))
    if earlier_containment and decision in _NOT_ACTING:
        return
    writes, execution = [], context.execution if decision == "act" else ""
    for plan, target in zip(planned, targets, strict=True):
        own_actions = {
            name: log_entry("NOTED", text)
            for name, text in _consequences(plan.consequences).items()
        }
        if decision in ("dry_run", "approve") and plan.foresee:
            for name, text in plan.foresee().items():
                own_actions[name] = log_entry("NOTED", text)
        if decision in ("dry_run", "approve") and not earlier_containment:
            for action, sentence in plan.actions.items():
                own_actions[action] = log_entry("PLANNED", sentence)
        writes.append(
            clients.POOL.submit(
                context.record.put_target,
                context.incident_id,
                target.reference(),
                own_actions,
                execution,
            )
        )
    for write in writes:
        write.result()


def _consequences(text: str) -> dict[str, str]:
    """Returns the consequences as lines of the action log, which cuts long ones: name -> text."""
    lines: list[str] = []
    for sentence in filter(None, text.split("; ")):
        joined = f"{lines[-1]}; {sentence}" if lines else ""
        if joined and len(joined) <= DETAIL_LENGTH:
            lines[-1] = joined
        else:
            lines.append(sentence)
    names = (f"consequences_{n}" if n > 1 else "consequences" for n in range(1, len(lines) + 1))
    return dict(zip(names, lines, strict=True))


def _collects_first() -> bool:
    """Tells whether anything of this playbook's resource is lost by containing it first."""
    return bool(getattr(load(os.environ["GDR_PLAYBOOK"]), "COLLECTS_FIRST", False))


def _hand_over(context: Context, planned: list[Planned], meta: IncidentRecord) -> list[HandOver]:
    """Returns the inputs of executions that answer what belongs to other playbooks.

    The incidents that these become are the children of this one, with those of earlier runs.
    """
    inputs: list[HandOver] = []
    earlier = meta.get("children") or []
    children = list(earlier)
    for plan in planned:
        for playbook in plan.hand_over:
            status, detail, key, child = _hand_over_to(context, plan, playbook)
            context.log_action(plan.target, f"hand_over_to_{playbook}", status, detail)
            if key:
                inputs.append({"finding_key": key})
                children += [child] if child not in children else []
    if children != earlier:
        context.record.note(context.incident_id, children=children)
    return inputs


def _hand_over_to(context: Context, plan: Planned, playbook: str) -> tuple[str, str, str, str]:
    """Stores the event for another playbook.

    Returns status, sentence, the event's key and the ID of the incident that it becomes.
    """
    if playbook not in context.config.active_playbooks:
        detail = (
            f"no switch lets playbook {playbook} act, so nothing answers it"
            f" ({context.finding.title})"
        )
        return "FAILED", detail, "", ""
    try:
        event = plan.hand_over[playbook]()
    except ResponseError as error:
        detail = (
            f"{error}: no incident of playbook {playbook} was opened; a person must find it and"
            " contain it"
        )
        return "FAILED", detail, "", ""
    name = f"handed-over-{finding.incident_id(event['detail']['id'])}.json"
    stored = context.put_evidence(name, finding.canonical(event).encode())
    child = finding.parse(event).incident_id
    detail = f"{event['detail']['title']}: an incident of its own, {child} ({stored['key']})"
    return "DONE", detail, stored["key"], child

"""Decides, for the playbook function, what happens to the targets that a playbook planned."""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from guardduty_response.aws import clients
from guardduty_response.containment.contract import Context, Planned, Target, load
from guardduty_response.containment.gate import LEASE_SECONDS
from guardduty_response.containment.pauses import pause_reason
from guardduty_response.decision import finding, guardrails, policy
from guardduty_response.functions import hand_over, steps
from guardduty_response.functions.ahead import Ahead
from guardduty_response.incident import approval
from guardduty_response.incident.containments import Present, is_over
from guardduty_response.incident.new_targets import act_on_new
from guardduty_response.incident.statuses import Event, Status
from guardduty_response.incident.target_repository import (
    DETAIL_LENGTH,
    log_entry,
)

if TYPE_CHECKING:
    from guardduty_response.incident.model import ActionLogEntry, IncidentRecord, TargetPayload

_DECISIONS = {"auto": "act", "approve": "approve", "dry_run": "dry_run"}
_NOT_ACTING = ("skip", "dry_run", "failed")


class PlanAnswer(TypedDict, total=False):
    """Declares what the state machine goes on with after ``plan``."""

    decision: str  # act, approve, dry_run, skip, gone, failed or none
    error: str
    targets: list[TargetPayload]
    collect_first_seconds: int
    hand_over: list[hand_over.HandOver]
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
    context: Context,
    planned: list[Planned],
    seen: finding.Finding,
    ahead: Ahead | None = None,
) -> tuple[str, list[str]]:
    """Returns the decision and its reasons: the policy once more, then the guardrails.

    ``ahead``: what was begun while the playbook read.
    """
    config = context.config
    pause = ahead.pause() if ahead else clients.POOL.submit(pause_reason, context.record)
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
        config,
        context.record,
        mode,
        os.environ["GDR_PLAYBOOK"],
        seen.account_id,
        targets,
        exceeded=ahead.exceeded if ahead else None,
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


def _linked(
    context: Context,
    planned: list[Planned],
    targets: list[Target],
    present: list[Future[Present]],
    lost: IncidentRecord | None,
    fresh: bool,
) -> list[Target]:
    """Takes the lease on each resource and links the incident to its containment, side by side.

    A resource that another incident works on is linked, too: ``attach`` names that incident.
    ``fresh``: whether ``present`` is of a moment ago, and need not be read anew.
    """
    leases = [clients.POOL.submit(_lease, context, target, lost) for target in targets]
    links = [
        clients.POOL.submit(
            context.record.containments.join,
            target.reference(),
            context.incident_id,
            os.environ["GDR_PLAYBOOK"],
            immutable_id(plan),
            known.result() if fresh else None,
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
    ahead: Ahead | None = None,
) -> PlanAnswer:
    """Decides by policy and guardrails (docs/decisions/0012). For "act" it takes each lease and
    links each resource; where another incident has the lease, ``attach`` names it.

    ``approved``: a person has just approved a plan: "act" if this is that plan. ``ahead``: what was
    begun while the playbook read; who gives it ends it.
    """
    if ahead is None:
        ahead = Ahead(context)
        try:
            return decide(context, planned, seen, approved, ahead)
        finally:
            ahead.end()
    record, incident_id = context.record, context.incident_id
    targets = [plan.target._replace(principals=plan.principals) for plan in planned]
    present = [ahead.present(target) for target in targets]
    decision, reasons = apply_policy(context, planned, seen, ahead)
    meta = ahead.meta.result()
    # A recheck leaves this status; a recurrence of the finding has made it OPEN.
    again = meta["status"] == Status.CONTAINMENT_LOST
    if again and decision != "act":
        # People were told that it is contained again at once: the recheck's end tells why not.
        reason = f"Not contained again automatically: {'; '.join(reasons)}"
        record.note(incident_id, contained_again="", left_breached=reason)
        return answer("none")
    if again and (found := _planned_again(context, planned, present, meta)):
        return decide(*found, seen, approved, ahead)
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
        targets = _linked(
            context, planned, targets, present, meta if again else None, ahead.is_fresh()
        )
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
        "kept": _kept(decision, planned, meta),
    }
    if again:
        fields["execution"] = context.execution  # the lease is free when this execution ends
    decided = clients.POOL.submit(
        record.event, incident_id, f"decided: {decision}", "; ".join(reasons)
    )
    _store(context, planned, targets, meta, fields)
    decided.result()
    if decision in _NOT_ACTING:
        return answer(decision, error=reasons[-1] if decision == "failed" else "")
    result = answer(decision, targets)
    result["approval_timeout_seconds"] = approval.timeout_seconds(meta, context.config)
    if not again and not approved:  # handed over before a person was asked
        result["hand_over"] = hand_over.hand_over(context, planned, meta)
    if _collects_first():
        result["collect_first_seconds"] = policy.collect_first_seconds(context.config, seen.type)
    return result


def _kept(
    decision: str, planned: list[Planned], meta: IncidentRecord
) -> dict[str, dict[str, object]]:
    """Returns what the plan after an approval is to know, by ARN."""
    if decision == "approve":
        return {plan.target.arn: dict(plan.keep) for plan in planned if plan.keep}
    return meta.get("kept") or {}  # a repeated step plans the same


def _planned_again(
    context: Context,
    planned: list[Planned],
    present: list[Future[Present]],
    meta: IncidentRecord,
) -> tuple[Context, list[Planned]] | None:
    from guardduty_response.functions import contained_options  # after a loss alone

    return contained_options.planned_again(context, planned, [f.result() for f in present], meta)


def _store(
    context: Context,
    planned: list[Planned],
    targets: list[Target],
    meta: IncidentRecord,
    fields: IncidentRecord,
) -> None:
    """Stores the decision and the targets; to contain, the incident's new status too.

    Together where all of it is new. Else the status comes last: an incident that is being contained
    has its targets. Nothing replaces what an earlier run has done.
    """
    record, incident_id, decision = context.record, context.incident_id, fields["decision"]
    known, acts = bool(meta.get("held")), decision == "act"
    if known and decision in _NOT_ACTING:
        record.note(incident_id, **fields)
        return
    stored = [
        (target.reference(), _own_actions(plan, str(decision), known))
        for plan, target in zip(planned, targets, strict=True)
    ]
    if acts and act_on_new(record, meta, stored, context.execution, fields):
        return
    put = partial(record.put_target, incident_id, execution=context.execution if acts else "")
    writes = [clients.POOL.submit(put, target, actions) for target, actions in stored]
    for write in writes:
        write.result()
    if acts:
        record.transition(incident_id, Event.ACT, Status(meta["status"]), **fields)
    else:
        record.note(incident_id, **fields)


def _own_actions(plan: Planned, decision: str, known: bool) -> dict[str, ActionLogEntry]:
    """Returns what a plan adds to the incident's own action log. ``known``: contained before."""
    lines = _consequences(plan.consequences)
    if decision in ("dry_run", "approve") and plan.foresee:
        lines |= plan.foresee()
    entries = {name: log_entry("NOTED", text) for name, text in lines.items()}
    if decision in ("dry_run", "approve") and not known:
        promised = {name: log_entry("PLANNED", text) for name, text in plan.actions.items()}
        entries |= promised
    return entries


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

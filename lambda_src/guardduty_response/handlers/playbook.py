"""The playbook function: runs one verb of one playbook. It holds no topic and can assume only its own responder role."""

from __future__ import annotations

import os
from concurrent.futures import Future
from functools import partial
from typing import Any

from guardduty_response import aws, config, evidence_store, finding, guardrails, policy, runtime, statuses
from guardduty_response.errors import NoTarget, ResponseError, RoleUnavailable, TargetGone
from guardduty_response.handlers import still
from guardduty_response.playbooks import Context, Json, Planned, Step, Target, load
from guardduty_response.record import Record
from guardduty_response.statuses import Event, Status

LEASE_SECONDS = 900


class _Lazy(Context):
    """The finding is fetched while the first AWS calls of a verb are already under way."""

    @property
    def finding(self) -> finding.Finding:
        return self._finding.result()

    @finding.setter
    def finding(self, value: Any) -> None:
        self._finding: Future[finding.Finding] = value


def _assume(config_: config.Config, session_name: str, account_id: str, region: str, document: Json) -> aws.Session:
    arn = f"arn:{config_.partition}:iam::{account_id}:role/{os.environ['GDR_RESPONDER_ROLE']}"
    return aws.Session(arn, session_name, region, document)


def _load_finding(record: Record, incident_id: str) -> finding.Finding:
    return finding.parse(evidence_store.get_event(record.meta(incident_id)["finding_key"]))


def _context(event: Json) -> Context:
    settings, record = config.load(), Record(os.environ["GDR_TABLE"])
    name, incident_id = os.environ["GDR_PLAYBOOK"], event["incident_id"]
    return _Lazy(
        config=settings,
        options=settings.playbooks[name],
        finding=aws.POOL.submit(_load_finding, record, incident_id),  # type: ignore[arg-type]
        incident_id=incident_id,
        execution=event["execution"],
        record=record,
        assume=partial(_assume, settings, f"{incident_id}-{event['verb']}"),
        put_evidence=partial(evidence_store.put, incident_id),
        attempt=int(event.get("attempt") or 1),
    )


# -- plan -------------------------------------------------------------------------------------------------------------


def _lease(context: Context, target: Target, breached: Json) -> str:
    """The incident that already works on the resource, or '' when the lease is ours now.

    ``breached``: META of an incident contained again; its first execution, which may still wait for evidence, gives way.
    """
    held = context.record.lease(target.arn, context.execution, context.incident_id, LEASE_SECONDS)
    if held and (held["owner"] == breached.get("execution") or aws.execution_ended(held["owner"])):
        held = context.record.lease(target.arn, context.execution, context.incident_id, LEASE_SECONDS, held["owner"])
    return str(held["incident_id"]) if held else ""


def _answer(decision: str, targets: list[Target] | None = None, **more: Any) -> Json:
    return {"decision": decision, "error": "", "targets": [t.payload() for t in targets or []], **more}


def _plan(event: Json) -> Json:
    context, name = _context(event), os.environ["GDR_PLAYBOOK"]
    record, incident = context.record, context.incident_id
    seen = context.finding
    try:
        planned = load(name).plan(context)
        if not planned:
            raise NoTarget(f"playbook {name} found no resource in finding {seen.id} to act on: look at the finding itself")
    except (TargetGone, NoTarget, RoleUnavailable) as error:
        decision = "gone" if isinstance(error, TargetGone) else "failed"
        if not event.get("verify_only"):
            record.note(incident, decision=decision, reasons=[str(error)])
        return _answer(decision, error=str(error))
    if event.get("verify_only"):
        targets = [Target(**{**one.target.payload(), "verify_only": True}) for one in planned]
        free = [target for target in targets if still.free(context, target, LEASE_SECONDS)]
        watched = Status(record.meta(incident)["status"]) in statuses.WATCHED  # a restore may just have ended
        return _answer("act", free) if free and watched else _answer("none")
    return _decide(context, planned, record.meta(incident), seen)


def _ruling(context: Context, planned: list[Planned], seen: finding.Finding) -> tuple[str, list[str]]:
    """(decision, reasons): the policy once more, then the guardrails."""
    record, settings, name = context.record, context.config, os.environ["GDR_PLAYBOOK"]
    decided = policy.decide(settings, seen.type, seen.account_id, seen.severity, *finding.playbook_for(seen))
    mode, reasons = decided.mode, list(decided.reasons)
    if seen.sample and mode in policy.ACTING:
        mode = "dry_run"
        reasons.append("a sample finding is only rehearsed")
    facts = [{"id": p.target.id, "arn": p.target.arn, "tags": p.tags, "principals": p.principals} for p in planned]
    ruling = guardrails.judge(settings, record, mode, name, seen.account_id, facts)
    mode, reasons = ruling.mode, reasons + ruling.reasons
    if ruling.skip or mode not in policy.ACTING:
        return "skip", [*reasons, ruling.skip or f"the policy inside the machine says {mode}: nothing may act"]
    return {"auto": "act", "approve": "approve", "dry_run": "dry_run"}[mode], reasons


def _decide(context: Context, planned: list[Planned], meta: Json, seen: finding.Finding) -> Json:
    """The second gate: policy and guardrails, then the lease."""
    record, incident, settings = context.record, context.incident_id, context.config
    decision, reasons = _ruling(context, planned, seen)
    targets = [one.target for one in planned]
    again = meta["status"] == Status.BREACHED  # by a check: a finding that comes again has made it OPEN
    if again and decision != "act":
        return _answer("none")  # decided otherwise meanwhile: it stays BREACHED, as told
    if decision == "act":
        targets = [Target(**{**target.payload(), "attach": _lease(context, target, meta if again else {})}) for target in targets]
    if meta["execution"] != context.execution and any(target.attach == incident for target in targets):
        return _answer("none")  # another check of this incident does it
    more = {"execution": context.execution} if again else {}  # who is asked whether it still lives
    record.note(incident, decision=decision, reasons=reasons, targets=[_small(target) for target in targets], **more)
    record.event(incident, f"decided: {decision}", "; ".join(reasons))
    held = meta.get("held") or ""
    for one, target in zip(planned, targets, strict=True):
        if held and decision in ("skip", "dry_run"):
            break  # the ledger of what was done before stands
        restored = meta.get("previous") in ("RESTORED", "RESTORE_PARTIAL", "CLOSED") and not again
        record.put_target(incident, _small(target), reset=restored)
        if decision in ("dry_run", "approve") and not held:
            for action, sentence in one.actions.items():
                context.action(target, action, "PLANNED", sentence)
    if decision == "act":
        record.transition(incident, Event.ACT)
    elif decision in ("skip", "dry_run"):
        return _answer(decision)
    return _answer(decision, targets, approval_timeout_seconds=int(settings.guardrails["approval_timeout_minutes"]) * 60)


def _small(target: Target) -> Json:
    return {name: target.payload()[name] for name in ("kind", "id", "arn", "account_id", "region", "attach")}


# -- the other verbs --------------------------------------------------------------------------------------------------


def _renew(context: Context, target: Target) -> None:
    if not target.attach and not target.verify_only:
        aws.POOL.submit(context.record.lease, target.arn, context.execution, context.incident_id, LEASE_SECONDS)


def _contain(event: Json) -> Json:
    context, target = _context(event), Target(**event["target"])
    _renew(context, target)
    step = load(os.environ["GDR_PLAYBOOK"]).contain(context, target)
    if not target.verify_only:
        context.record.event(context.incident_id, "changes made", step.detail, target.id)
    return step.payload()


def _verify(event: Json) -> Json:
    context, target = _context(event), Target(**event["target"])
    step, checks = load(os.environ["GDR_PLAYBOOK"]).verify(context, target)
    more: Json = {}
    if step.done:
        if target.verify_only:
            step, more = still.judge(context, target, step, checks)
        else:
            more = still.contained(context, target, step, checks)
    if step.done:
        detail = step.detail + (f" (containing failed: {event['error']})" if event.get("error") else "")
        context.record.set_target(
            context.incident_id, target.kind, target.id, status=step.status or Status.FAILED, verdict=detail,
            checks=[dict(check.__dict__) for check in checks], verified=context.execution, **more,
        )  # fmt: skip
    return step.payload()


def _evidence(event: Json) -> Json:
    context, target = _context(event), Target(**event["target"])
    if target.attach or target.verify_only:
        return Step(detail="evidence belongs to the incident that contained the resource").payload()
    _renew(context, target)
    return load(os.environ["GDR_PLAYBOOK"]).evidence(context, target).payload()


def _complete(context: Context, target: Target, settled: bool) -> Step:
    """Evidence to its end, then the playbook's finish. A failure here is this target's alone."""
    playbook = load(os.environ["GDR_PLAYBOOK"])
    _renew(context, target)  # snapshots may take longer than a lease
    try:
        kept = playbook.evidence(context, target)
        if not kept.done:
            return kept
        step = playbook.finish(context, target) if settled else Step(detail="not finished: containment has no verdict")
        if step.done:
            context.record.event(context.incident_id, "finished", f"{kept.detail}; {step.detail}", target.id)
        return step
    except Exception as error:
        if aws.transient(error):
            raise
        text = f"evidence or finish of {target.id} failed ({type(error).__name__}: {error})"
        context.action(target, "finish", "FAILED", text)
        context.record.event(context.incident_id, "finish failed", text, target.id)
        return Step(detail=text)


def _finish(event: Json) -> Json:
    """Checks the branches' responses. The shortest wait of all targets counts; a re-read of old containment has none."""
    context = _context(event)
    meta = context.record.meta(context.incident_id)
    if event.get("verify_only"):
        return _again(context, meta).payload()
    owned = [Target(**one) for one in meta["targets"] if not one.get("attach")]
    settled = Status(meta["status"]) not in statuses.IN_PROGRESS
    steps = [_complete(context, target, settled) for target in owned]
    waiting = [step for step in steps if not step.done]
    return (min(waiting, key=lambda step: step.wait_seconds) if waiting else Step()).payload()


def _again(context: Context, meta: Json) -> Step:
    """After a breach: asks the machine to contain once more, if policy and guardrails let it by itself now."""
    if meta["status"] != Status.BREACHED or all(one.get("attach") for one in meta["targets"]):
        return Step()
    seen, settings = context.finding, context.config
    decided = policy.decide(settings, seen.type, seen.account_id, seen.severity, *finding.playbook_for(seen))
    if decided.mode != "auto" or settings.paused:
        return Step()  # a person decides, as the verdict has told
    decision, reasons = _ruling(context, load(os.environ["GDR_PLAYBOOK"]).plan(context), seen)
    if decision == "act":
        context.record.note(context.incident_id, contained_again=context.execution, left_breached="")
        return Step(again="contain", detail="contained again")
    context.record.note(context.incident_id, left_breached=f"Not contained again by itself: {'; '.join(reasons)}")
    return Step()


VERBS = {"plan": _plan, "contain": _contain, "verify": _verify, "evidence": _evidence, "finish": _finish}


def _work(event: Json) -> Json:
    verb = VERBS.get(event.get("verb", ""))
    if verb is None:
        raise ResponseError(f"the playbook function knows no verb {event.get('verb')!r}; it knows {', '.join(VERBS)}")
    return verb(event)


handler = runtime.entry(_work)

"""The playbook function: runs one verb of one playbook. It holds no topic and can assume only
its own responder role.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from guardduty_response.containment.contract import Context, Json, Planned, StepResult, Target, load
from guardduty_response.decision import finding, guardrails, policy
from guardduty_response.errors import NoTarget, ResponseError, RoleUnavailable, TargetGone
from guardduty_response.functions import runtime, steps
from guardduty_response.incident import statuses
from guardduty_response.incident.statuses import Event, Status
from guardduty_response.monitoring import drift

# -- plan ------------------------------------------------------------------------------------------


def _lease(context: Context, target: Target, breached: Json) -> str:
    """The incident that already works on the resource, or '' when the lease is ours now.

    ``breached``: META of an incident contained again; its first execution, which may still wait for
    evidence, gives way.
    """
    first = str(breached.get("execution") or "")
    held = context.record.claim(
        target.arn, context.execution, context.incident_id, steps.LEASE_SECONDS, first
    )
    return str(held["incident_id"]) if held else ""


def _answer(decision: str, targets: list[Target] | None = None, **more: Any) -> Json:
    payloads = [target.payload() for target in targets or []]
    return {
        "decision": decision,
        "error": "",
        "targets": payloads,
        "collect_first_seconds": 0,
        "hand_over": [],
        **more,
    }


def _plan(event: Json) -> Json:
    context, name = steps.make_context(event), os.environ["GDR_PLAYBOOK"]
    record, incident = context.record, context.incident_id
    seen = context.finding
    try:
        planned = load(name).plan(context)
        if not planned:
            raise NoTarget(
                f"playbook {name} found no resource in finding {seen.id} to act on: look at the"
                " finding itself"
            )
    except (TargetGone, NoTarget, RoleUnavailable) as error:
        decision = "gone" if isinstance(error, TargetGone) else "failed"
        if not event.get("verify_only"):
            record.note(incident, decision=decision, reasons=[str(error)])
        return _answer(decision, error=str(error))
    if event.get("verify_only"):
        targets = [Target(**{**one.target.payload(), "verify_only": True}) for one in planned]
        free = [target for target in targets if drift.free(context, target, steps.LEASE_SECONDS)]
        # a restore may just have ended
        watched = Status(record.meta(incident)["status"]) in statuses.WATCHED
        return _answer("act", free) if free and watched else _answer("none")
    return _decide(context, planned, record.meta(incident), seen)


def _ruling(
    context: Context, planned: list[Planned], seen: finding.Finding
) -> tuple[str, list[str]]:
    """(decision, reasons): the policy once more, then the guardrails."""
    record, settings, name = context.record, context.config, os.environ["GDR_PLAYBOOK"]
    decided = policy.decide(
        settings, seen.type, seen.account_id, seen.severity, *finding.playbook_for(seen)
    )
    mode, reasons = decided.mode, list(decided.reasons)
    if seen.sample and mode in policy.ACTING:
        mode = "dry_run"
        reasons.append("a sample finding is only rehearsed")
    state = [
        {"id": p.target.id, "arn": p.target.arn, "tags": p.tags, "principals": p.principals}
        for p in planned
    ]
    ruling = guardrails.judge(settings, record, mode, name, seen.account_id, state)
    mode, reasons = ruling.mode, reasons + ruling.reasons
    if ruling.alarm:
        return "failed", [*reasons, ruling.alarm]
    if ruling.skip or mode not in policy.ACTING:
        return "skip", [
            *reasons,
            ruling.skip or f"the policy inside the machine says {mode}: nothing may act",
        ]
    return {"auto": "act", "approve": "approve", "dry_run": "dry_run"}[mode], reasons


def _decide(context: Context, planned: list[Planned], meta: Json, seen: finding.Finding) -> Json:
    """The second gate: policy and guardrails, then the lease."""
    record, incident, settings = context.record, context.incident_id, context.config
    decision, reasons = _ruling(context, planned, seen)
    targets = [one.target for one in planned]
    # by a check: a finding that comes again has made it OPEN
    again = meta["status"] == Status.CONTAINMENT_LOST
    if again and decision != "act":
        return _answer("none")  # decided otherwise meanwhile: it stays BREACHED, as told
    if decision == "act":
        targets = [
            Target(**{**target.payload(), "attach": _lease(context, target, meta if again else {})})
            for target in targets
        ]
    if meta["execution"] != context.execution and any(
        target.attach == incident for target in targets
    ):
        return _answer("none")  # another check of this incident does it
    more = {"execution": context.execution} if again else {}  # who is asked whether it still lives
    record.note(
        incident,
        decision=decision,
        reasons=reasons,
        targets=[_small(target) for target in targets],
        **more,
    )
    record.event(incident, f"decided: {decision}", "; ".join(reasons))
    held = meta.get("held") or ""
    for one, target in zip(planned, targets, strict=True):
        if held and decision in ("skip", "dry_run", "failed"):
            break  # the ledger of what was done before stands
        restored = meta.get("previous") in ("RESTORED", "RESTORE_PARTIAL", "CLOSED") and not again
        record.put_target(incident, _small(target), reset=restored)
        if one.consequences:
            context.log_action(target, "consequences", "NOTED", one.consequences)
        if decision in ("dry_run", "approve") and not held:
            for action, sentence in one.actions.items():
                context.log_action(target, action, "PLANNED", sentence)
    if decision == "act":
        record.transition(incident, Event.ACT)
    elif decision in ("skip", "dry_run", "failed"):
        return _answer(decision, error=reasons[-1] if decision == "failed" else "")
    return _answer(
        decision,
        targets,
        hand_over=[] if again else _hand_over(context, planned),
        approval_timeout_seconds=int(settings.guardrails["approval_timeout_minutes"]) * 60,
        collect_first_seconds=(
            policy.collect_first_seconds(settings, seen.type) if _collects_first() else 0
        ),
    )


def _collects_first() -> bool:
    """Whether anything of this playbook's resource is lost by containing it first."""
    return bool(getattr(load(os.environ["GDR_PLAYBOOK"]), "COLLECTS_FIRST", False))


def _hand_over(context: Context, planned: list[Planned]) -> list[Json]:
    """Inputs of executions that answer what belongs to another playbook, each an incident of its
    own.
    """
    out = []
    for one in planned:
        for playbook, make in one.hand_over.items():
            said = partial(context.log_action, one.target, f"hand_over_to_{playbook}")
            if playbook not in context.config.active_playbooks:
                said(
                    "FAILED",
                    f"no switch lets playbook {playbook} act, so nothing answers it"
                    f" ({context.finding.title})",
                )
                continue
            try:
                event = make()
            except ResponseError as error:
                said(
                    "FAILED",
                    f"{error}: no incident of playbook {playbook} was opened; a person must find it"
                    " and contain it",
                )
                continue
            stored = context.put_evidence(
                f"handed-over-{finding.incident_id(event['detail']['id'])}.json",
                finding.canonical(event).encode(),
            )
            said("DONE", f"{event['detail']['title']}: an incident of its own ({stored['key']})")
            out.append({"finding_key": stored["key"]})
    return out


def _small(target: Target) -> Json:
    return {
        name: target.payload()[name]
        for name in ("kind", "id", "arn", "account_id", "region", "attach")
    }


# -- the other verbs -------------------------------------------------------------------------------


def _contain(event: Json) -> Json:
    context, target = steps.make_context(event), Target(**event["target"])
    steps.renew(context, target)
    step = load(os.environ["GDR_PLAYBOOK"]).contain(context, target)
    if not target.verify_only:
        context.record.event(context.incident_id, "changes made", step.detail, target.id)
    return step.payload()


def _verify(event: Json) -> Json:
    context, target = steps.make_context(event), Target(**event["target"])
    step, checks = load(os.environ["GDR_PLAYBOOK"]).verify(context, target)
    more: Json = {}
    if step.done:
        if target.verify_only:
            step, more = drift.judge(context, target, step, checks)
        else:
            more = drift.contained(context, target, step, checks)
    if step.done:
        detail = step.detail + (
            f" (containing failed: {event['error']})" if event.get("error") else ""
        )
        context.record.set_target(
            context.incident_id,
            target.kind,
            target.id,
            status=step.status or Status.FAILED,
            verdict=detail,
            checks=[dict(check.__dict__) for check in checks],
            verified=context.execution,
            **more,
        )
    return step.payload()


def _finish(event: Json) -> Json:
    """Once evidence is complete. A check that found containment undone asks instead whether to
    contain once more.
    """
    if event.get("verify_only"):
        context = steps.make_context(event)
        step = _again(context, context.record.meta(context.incident_id))
        return {"done": True, "wait_seconds": 0, "next": "close", "again": step.again}
    return steps.phase(event, load(os.environ["GDR_PLAYBOOK"]).finish)


def _again(context: Context, meta: Json) -> StepResult:
    """After a breach: asks the machine to contain once more, if policy and guardrails let it by
    itself now.
    """
    if meta["status"] != Status.CONTAINMENT_LOST or all(
        one.get("attach") for one in meta["targets"]
    ):
        return StepResult()
    seen, settings = context.finding, context.config
    decided = policy.decide(
        settings, seen.type, seen.account_id, seen.severity, *finding.playbook_for(seen)
    )
    if decided.mode != "auto" or settings.paused:
        return StepResult()  # a person decides, as the verdict has told
    decision, reasons = _ruling(context, load(os.environ["GDR_PLAYBOOK"]).plan(context), seen)
    if decision == "act":
        context.record.note(
            context.incident_id, contained_again=context.execution, left_breached=""
        )
        return StepResult(again="contain", detail="contained again")
    context.record.note(
        context.incident_id, left_breached=f"Not contained again by itself: {'; '.join(reasons)}"
    )
    return StepResult()


VERBS = {"plan": _plan, "contain": _contain, "verify": _verify, "finish": _finish}


def _work(event: Json) -> Json:
    verb = VERBS.get(event.get("verb", ""))
    if verb is None:
        raise ResponseError(
            f"the playbook function knows no verb {event.get('verb')!r}; it knows"
            f" {', '.join(VERBS)}"
        )
    return verb(event)


handler = runtime.entry(_work)

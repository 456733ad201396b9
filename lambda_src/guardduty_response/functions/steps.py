"""Provides what the functions that act share: a step's context, and a step over all targets."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypedDict, cast

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import (
    Context,
    StepResult,
    Target,
    finishes_gone,
    load,
    member_session,
)
from guardduty_response.containment.gate import LEASE_SECONDS, Gate
from guardduty_response.decision import configuration, finding, planned_options
from guardduty_response.errors import ResponseError
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions.runtime import Payload, is_of_old_execution, target_references
from guardduty_response.incident import statuses
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.incident.target_repository import generation_of

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord, Lease, TargetRecord

BUSY_SECONDS = 15  # until a step asks again for a resource that somebody else works on
LONG_SECONDS = 60  # a step that waits at least this long gives its lease back meanwhile
CHANGING_STEPS = ("finish", "remediate", "terminate")
HEEDING_FREEZE = ("remediate", "terminate")  # ``finish`` goes on containing

TargetStep = Callable[[Context, Target], StepResult]
# Targets wait for calls on clients.POOL, so they need threads of their own.
_TARGETS = ThreadPoolExecutor(max_workers=20, thread_name_prefix="target")


class PhaseAnswer(TypedDict):
    """Declares the answer of a step after the verdict; ``next`` names the step that follows."""

    done: bool
    wait_seconds: int
    next: str


class _LazyContext(Context):
    """A context whose finding is fetched while the first AWS calls of a step are under way."""

    @property
    def finding(self) -> finding.Finding:
        return self._finding.result()

    @finding.setter
    def finding(self, value: object) -> None:
        self._finding = cast("Future[finding.Finding]", value)


def _load_finding(record: IncidentRepository, incident_id: str, key: str) -> finding.Finding:
    """Returns the incident's finding. ``key``: where it is stored, if the step was told."""
    return finding.parse(evidence_store.get_event(key or record.meta(incident_id)["finding_key"]))


def make_context(event: Payload) -> Context:
    """Returns what a step may use, without a gate: it can only read. Raises ConfigError."""
    config, record = configuration.load(), IncidentRepository(os.environ["GDR_TABLE"])
    incident_id, key = event["incident_id"], str(event.get("finding_key") or "")
    if not key and event.get("targets"):  # all but the targets of rechecks have one event
        key = str(event["targets"][0].get("finding_key") or "")
    session_name = f"{incident_id}-{event['verb']}"
    return _LazyContext(
        config=config,
        options=config.playbooks[os.environ["GDR_PLAYBOOK"]],
        finding=clients.POOL.submit(  # type: ignore[arg-type]
            _load_finding, record, incident_id, key
        ),
        incident_id=incident_id,
        execution=event["execution"],
        record=record,
        assume=partial(member_session, config.partition, session_name),
        put_evidence=partial(evidence_store.put, incident_id),
        attempt=int(event.get("attempt") or 1),
        waits=int(event.get("waits") or 0),
        finding_key=key,
    )


def about(context: Context, key: str) -> Context:
    """Returns the context of the incident's event that is stored under ``key``; empty: META's.

    Each target has the event that named it: an update of the finding can name others.
    """
    if key == context.finding_key:
        return context
    other = copy.copy(context)
    loaded = clients.POOL.submit(_load_finding, context.record, context.incident_id, key)
    other.finding, other.finding_key = loaded, key  # type: ignore[assignment]
    return other


def guarded(context: Context, target: Target, purpose: str = "change") -> Context:
    """Returns the context of a step that changes ``target``, with a gate before every change.

    ``purpose`` as ``containment.gate.Gate`` has it.
    """
    meta = clients.POOL.submit(context.record.meta, context.incident_id)
    gate = Gate(
        record=context.record,
        config=context.config,
        incident_id=context.incident_id,
        execution=context.execution,
        target=target.reference(),
        meta=meta.result,
        purpose=purpose,
    )
    guarded_context = copy.copy(about(context, target.finding_key))
    guarded_context.gate = gate
    guarded_context.assume = partial(context.assume, gate=gate)
    if purpose == "evidence" and target.opened_by:
        # Evidence is the containment's: whoever continues it finds what was begun.
        guarded_context.incident_id = target.opened_by
        guarded_context.put_evidence = partial(evidence_store.put, target.opened_by)
    return guarded_context


def targets_of(context: Context, event: Payload) -> list[Target]:
    """Returns the targets of a step, those of an old execution with what has been linked since."""
    targets = [Target(**reference) for reference in target_references(event)]
    if not is_of_old_execution(event):
        return targets
    return [linked(context, target) for target in targets]


def linked(context: Context, target: Target) -> Target:
    """Returns the target with the containment that the incident's TARGET item names, if any.

    Raises ResponseError when there is no such item: a step acts on what was planned. A plan may be
    the first, so ``as_linked`` returns the target as it is.
    """
    if target.generation or target.verify_only:
        return target
    link = context.record.link(context.incident_id, target.kind, target.id)
    attach = str(link.get("attach") or "")
    generation = generation_of(link)
    if not generation:
        return target._replace(attach=target.attach or attach)
    state = context.record.containments.state(target.arn, generation)
    return target._replace(
        attach=attach,
        generation=generation,
        opened_by=(state or {}).get("opened_by", ""),
        plan_digest=str(link.get("plan_digest") or ""),
        finding_key=target.finding_key or str(link.get("finding_key") or ""),
        principals=list(link.get("principals") or []) or target.principals,
    )


def as_linked(context: Context, target: Target) -> Target:
    """Returns the target with the containment that an earlier run of the incident linked it to."""
    stored = _link(context, target) or {}
    generation = generation_of(stored)
    return target._replace(generation=generation, opened_by=stored.get("opened_by") or "")


def first_execution(context: Context, target: Target, meta: IncidentRecord) -> str:
    """Returns the execution that contained a target, and may still wait for its evidence."""
    link = _link(context, target) or {}
    return str(link.get("execution") or meta.get("execution") or "")


def is_of_incident(context: Context, target: Target) -> bool:
    """Tells whether the incident has the target: what was never planned for it has no record."""
    return _link(context, target) is not None


def _link(context: Context, target: Target) -> TargetRecord | None:
    """Returns the TARGET item of a target; None: the incident has none."""
    try:
        return context.record.link(context.incident_id, target.kind, target.id)
    except ResponseError:
        return None


def take_lease(context: Context, target: Target) -> Lease | None:
    """Takes the lease. Returns that of the execution which still works on the resource."""
    return context.record.leases.claim(
        target.arn, context.execution, context.incident_id, LEASE_SECONDS
    )


def run_for_each(targets: list[Target], step: Callable[[Target], StepResult]) -> StepResult:
    """Runs a step for all targets side by side, and returns what it came to for all of them.

    Every target is worked on to its end before an error is raised.
    """
    futures = [_TARGETS.submit(step, target) for target in targets]
    errors = [error for future in futures if (error := future.exception())]
    if errors:
        # An error that can pass comes first: the machine then repeats the step, for all targets.
        raise next((error for error in errors if _can_pass(error)), errors[0])
    return combine([future.result() for future in futures])


def _can_pass(error: BaseException) -> bool:
    return isinstance(error, Exception) and is_transient(error)


def combine(results: list[StepResult]) -> StepResult:
    """Returns one result for several targets: not done while one is not, the shortest wait."""
    if len(results) == 1:
        return results[0]
    pending = [result for result in results if not result.done]
    return StepResult(
        done=not pending,
        wait_seconds=min((result.wait_seconds for result in pending), default=0),
        again="contain" if any(result.again == "contain" for result in pending) else "",
        detail="; ".join(result.detail for result in results if result.detail),
        waited=bool(pending) and all(result.waited for result in pending),
    )


def phase(
    event: Payload,
    step: TargetStep,
    next_step: str = "close",
    next_by_finish: Mapping[str, str] | None = None,
) -> PhaseAnswer:
    """Runs a step after the verdict over every target that this execution contained.

    A newer run about others, whose plan META names then, changes nothing for them. The shortest
    wait of all targets counts. A failure is that target's alone. ``next_by_finish``: the step that
    follows instead, by the playbook's option ``finish``.
    """
    context = make_context(event)
    meta = context.record.meta(context.incident_id)
    context.options = planned_options.in_flight(meta.get("options"), context.options)
    targets: list[Target] = []
    if not event.get("verify_only"):
        references = context.record.targets_of(meta, context.execution)
        targets = [Target(**reference) for reference in references]
    results = [
        _run(
            context,
            event["verb"],
            target,
            step,
        )
        for target in targets
    ]
    waits = [result.wait_seconds for result in results if not result.done]
    asked_for = [result.next_step for result in results if result.next_step]
    if next_by_finish:
        next_step = next_by_finish.get(str(context.options.get("finish", "")), next_step)
    next_step = asked_for[0] if asked_for else next_step
    in_progress = Status(meta["status"]) in statuses.IN_PROGRESS
    settled = bool(targets) and not (in_progress and meta["execution"] == context.execution)
    return {
        "done": not waits,
        "wait_seconds": min(waits, default=0),
        "next": next_step if settled else "close",
    }


def _run(context: Context, step_name: str, target: Target, step: TargetStep) -> StepResult:
    record, incident_id = context.record, context.incident_id
    lease = record.leases.acquire(
        target.arn,
        context.execution,
        incident_id,
        LEASE_SECONDS,
    )
    if lease:
        return StepResult(
            done=False,
            wait_seconds=BUSY_SECONDS,
            detail=f"{lease['owner']} works on {target.id}: asked again",
        )
    context = guarded(context, target, "change" if step_name in CHANGING_STEPS else "evidence")
    assert context.gate is not None
    context.gate.heeds_freeze = step_name in HEEDING_FREEZE
    try:
        result = _refuse_when_ended(context, step_name, target) or step(context, target)
    except Exception as error:
        if is_transient(error):
            raise
        text = f"{step_name} of {target.id} failed ({type(error).__name__}: {error})"
        if context.gate.refusal:
            text = f"{step_name} of {target.id} was not done: {context.gate.refusal}"
        context.log_action(
            target,
            step_name,
            "FAILED",
            text,
        )
        record.event(incident_id, f"{step_name} failed", text, target.id)
        return StepResult(detail=text)
    if result.done:
        record.event(incident_id, f"{step_name} ended", result.detail, target.id)
    elif result.wait_seconds >= LONG_SECONDS:
        record.leases.release(target.arn, context.execution)  # a person may restore meanwhile
    return result


def _refuse_when_ended(context: Context, step_name: str, target: Target) -> StepResult | None:
    """Returns why a step that changes is not run, or None.

    It is not run when the incident no longer contains the target, when a person has closed it, nor
    when the gate is closed. The lease is ours: nobody closes or restores meanwhile.
    """
    if step_name not in CHANGING_STEPS:
        return None
    assert context.gate is not None
    context.gate.permit()
    if context.record.meta(context.incident_id)["status"] == Status.CLOSED:
        return StepResult(detail=f"{context.incident_id} was closed: nothing more is done")
    status = Status(context.record.target(context.incident_id, target.kind, target.id)["status"])
    if status in statuses.IN_PROGRESS or status in statuses.WATCHED or status is Status.FAILED:
        return None
    if (
        status is Status.GONE
        and step_name == "finish"
        and finishes_gone(load(os.environ["GDR_PLAYBOOK"]))
    ):
        return None
    return StepResult(detail=f"{target.id} is {status} meanwhile: nothing more is done")

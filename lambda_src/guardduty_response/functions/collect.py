"""The collector function: forensics and evidence of one playbook.

It can assume only its own collector role.
"""

from __future__ import annotations

import os
from functools import partial

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import (
    StepPayload,
    StepResult,
    Target,
    load_collector,
)
from guardduty_response.functions import runtime, steps

# The playbook's option ``finish`` -> the step that follows collection.
_NEXT_STEPS = {"none": "close", "terminate": "terminate"}


def _run(event: runtime.Payload, step: steps.TargetStep) -> StepPayload:
    """Runs a step for each target. A failure is that target's alone.

    Evidence belongs to the containment: two incidents make it once. Rechecks collect none.
    """
    context = steps.make_context(event)

    def collect(target: Target) -> StepResult:
        if target.attach or target.verify_only:
            detail = "another incident works on the resource: its evidence is collected after that"
            return StepResult(detail=detail)
        try:
            return step(steps.guarded(context, target, "evidence"), target)
        except Exception as error:
            if is_transient(error):
                raise
            text = f"{type(error).__name__}: {error}"
            context.log_action(target, "evidence", "FAILED", text)
            context.record.event(context.incident_id, "evidence failed", text, target.id)
            return StepResult(detail=text)

    targets = steps.targets_of(context, event)
    return steps.run_for_each(targets, collect).payload()


def _first(event: runtime.Payload) -> StepPayload:
    """Collects before containment, which starts at the deadline whatever is answered here."""
    collector = load_collector(os.environ["GDR_PLAYBOOK"])
    return _run(event, partial(collector.first, seconds_left=int(event["seconds_left"])))


def _evidence(event: runtime.Payload) -> StepPayload:
    """Starts, beside containment, what takes long and does not depend on it.

    For an execution of release 0.1.0 the phase ``collect`` does it: containment links the target
    meanwhile, and what was stored before that could be lost.
    """
    if runtime.is_of_old_execution(event) and not event["target"].get("generation"):
        return StepResult(detail="collected after the verdict").payload()
    return _run(event, load_collector(os.environ["GDR_PLAYBOOK"]).evidence)


def _collect(event: runtime.Payload) -> steps.PhaseAnswer:
    """Collects all evidence after the verdict."""
    collector = load_collector(os.environ["GDR_PLAYBOOK"])
    return steps.phase(event, collector.collect, "finish", _NEXT_STEPS)


handler = runtime.dispatch(
    "collector", {"first": _first, "evidence": _evidence, "collect": _collect}
)

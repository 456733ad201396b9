"""Wraps every handler: one structured log line, and transient errors marked for retry."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from guardduty_response.aws.errors import is_transient
from guardduty_response.aws.log import log
from guardduty_response.errors import ResponseError, TransientError

if TYPE_CHECKING:
    from guardduty_response.incident.model import TargetPayload

# What the state machine sends; every step declares the keys it reads.
Payload = dict[str, Any]
# A step returns a JSON object, most often a TypedDict.
Answer = Mapping[str, object]
Step = Callable[[Payload], Answer]


def entry(run: Step) -> Callable[..., Payload]:
    """Returns a Lambda handler. It raises TransientError if the state machine should retry."""

    def handler(event: Payload, _context: object = None) -> Payload:
        started = time.monotonic()
        fields = {
            "verb": event.get("verb"),
            "incident_id": event.get("incident_id"),
            "attempt": event.get("attempt"),
        }
        try:
            answer = run(event)
        except Exception as error:
            log(
                "failed",
                **fields,
                error=type(error).__name__,
                detail=str(error)[:500],
                ms=_milliseconds(started),
            )
            if is_transient(error):
                raise TransientError(str(error)) from error
            raise
        log("done", **fields, ms=_milliseconds(started))
        return dict(answer)

    return handler


def is_of_old_execution(event: Payload) -> bool:
    """Tells whether an execution that release 0.1.0 began runs the step: it names one target."""
    return "targets" not in event


def target_references(event: Payload) -> list[TargetPayload]:
    """Returns the targets that a step is about, as the state machine hands them on."""
    return [event["target"]] if is_of_old_execution(event) else list(event["targets"])


def dispatch(function: str, steps: Mapping[str, Step]) -> Callable[..., Payload]:
    """Returns a Lambda handler that runs the step which the event names ("verb").

    Who invokes the function by an alias can run the step of that name alone: IAM knows aliases, and
    not what an event asks for. ``function``: the function's name, for the error about an unknown
    step.
    """

    def run(alias: str, event: Payload) -> Answer:
        if alias and event.get("verb") != alias:
            raise ResponseError(
                f"the alias {alias} of the {function} function runs no step {event.get('verb')!r}"
            )
        step = steps.get(event.get("verb", ""))
        if step is None:
            raise ResponseError(
                f"the {function} function has no step {event.get('verb')!r}; its steps are"
                f" {', '.join(steps)}"
            )
        return step(event)

    def handler(event: Payload, context: object = None) -> Payload:
        return entry(partial(run, _alias(context)))(event, context)

    return handler


def _alias(context: object) -> str:
    """Returns the alias by which Lambda was asked to invoke the function, or an empty string."""
    arn = str(getattr(context, "invoked_function_arn", ""))
    qualifier = "".join(arn.split(":")[7:])
    return "" if qualifier == "$LATEST" or qualifier.isdigit() else qualifier


def _milliseconds(started: float) -> int:
    return round((time.monotonic() - started) * 1000)

"""The collector function: forensics and evidence of one playbook. It can assume only its own
collector role.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from guardduty_response.containment.contract import (
    Context,
    Json,
    StepResult,
    Target,
    load_collector,
)
from guardduty_response.decision import configuration
from guardduty_response.errors import ResponseError
from guardduty_response.functions import runtime, steps


def _for_one(event: Json, work: Callable[[Context, Target], StepResult]) -> Json:
    """One target's step, unless another incident contained the resource or containment is only
    read back.
    """
    context, target = steps.make_context(event), Target(**event["target"])
    if target.attach or target.verify_only:
        return StepResult(
            detail="evidence belongs to the incident that contained the resource"
        ).payload()
    steps.renew(context, target)
    return work(context, target).payload()


def _first(event: Json) -> Json:
    """Before containment, under the machine's deadline: containment goes on when it passes,
    whatever is answered here.
    """
    collector = load_collector(os.environ["GDR_PLAYBOOK"])
    return _for_one(event, partial(collector.first, seconds_left=int(event["seconds_left"])))


def _evidence(event: Json) -> Json:
    """Beside containment: starts what takes long and needs nothing of it."""
    return _for_one(event, load_collector(os.environ["GDR_PLAYBOOK"]).evidence)


def _collect(event: Json) -> Json:
    """After the verdict: everything to its end. What comes then is the playbook's option
    ``finish``.
    """
    finish = configuration.load().playbooks[os.environ["GDR_PLAYBOOK"]].get("finish", "")
    return steps.phase(
        event,
        load_collector(os.environ["GDR_PLAYBOOK"]).collect,
        {"none": "close", "terminate": "terminate"}.get(finish, "finish"),
    )


VERBS = {"first": _first, "evidence": _evidence, "collect": _collect}


def _work(event: Json) -> Json:
    verb = VERBS.get(event.get("verb", ""))
    if verb is None:
        raise ResponseError(
            f"the collector function knows no verb {event.get('verb')!r}; it knows"
            f" {', '.join(VERBS)}"
        )
    return verb(event)


handler = runtime.entry(_work)

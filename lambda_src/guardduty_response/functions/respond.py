"""The playbook function: runs the steps of one playbook that plan, contain, verify and finish, and
takes denials out of roles whose sessions are over.

It has no topic and can assume only its own responder role. Each step's module is imported when the
step is called, so that code which is needed only after the last change does not delay a change.
``_warm`` imports all of them while the incident is opened.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.containment.contract import load
from guardduty_response.decision import configuration
from guardduty_response.functions import runtime

if TYPE_CHECKING:
    from guardduty_response.containment.contract import StepPayload
    from guardduty_response.functions import (
        expire_step,
        finish_step,
        planning,
        rejoining,
        steps,
    )

# What ``_warm`` imports, beside what a playbook's LATER names
AHEAD = (
    "guardduty_response.functions.plan_step",
    "guardduty_response.functions.contain_step",
    "guardduty_response.functions.verify_step",
    "guardduty_response.monitoring.upkeep",
)


def _warm(event: runtime.Payload) -> runtime.Answer:
    """Imports, builds and reads what the next steps need, while the incident is opened.

    Of AWS it calls the table alone, for the configuration.
    """
    reading = clients.POOL.submit(configuration.load)
    playbook = load(os.environ["GDR_PLAYBOOK"])
    for name in (*AHEAD, *getattr(playbook, "LATER", ())):
        importlib.import_module(name)
    for service in ("dynamodb", "s3", "sts"):
        clients.client(service)
    reading.result()
    return {}


def _plan(event: runtime.Payload) -> planning.PlanAnswer:
    from guardduty_response.functions import plan_step

    return plan_step.plan(event)


def _contain(event: runtime.Payload) -> rejoining.ContainPayload:
    from guardduty_response.functions import contain_step

    return contain_step.contain(event)


def _verify(event: runtime.Payload) -> StepPayload:
    from guardduty_response.functions import verify_step

    return verify_step.verify(event)


def _finish(event: runtime.Payload) -> steps.PhaseAnswer | finish_step.RecheckAnswer:
    from guardduty_response.functions import finish_step

    return finish_step.finish(event)


def _expire(event: runtime.Payload) -> expire_step.Expired:
    from guardduty_response.functions import expire_step

    return expire_step.expire(event)


handler = runtime.dispatch(
    "playbook",
    {
        "warm": _warm,
        "plan": _plan,
        "contain": _contain,
        "verify": _verify,
        "finish": _finish,
        "expire": _expire,
    },
)

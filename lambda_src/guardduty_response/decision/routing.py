"""Decides which state machine answers an event."""

from __future__ import annotations

import os

from guardduty_response.decision import configuration, finding, policy
from guardduty_response.errors import MalformedFinding, NotAFinding, ResponseError


def machine_for(event: object) -> str:
    """Returns the ARN of the state machine that answers the event. Raises ConfigError.

    The incident machine answers findings that the policy lets something act on, the notice machine
    everything else.
    """
    notice_machine = os.environ["GDR_NOTICE_MACHINE_ARN"]
    try:
        seen, config = finding.parse(event), configuration.load()
    except (NotAFinding, MalformedFinding):
        return notice_machine
    decision, _ = policy.decide_about(config, seen)
    if decision.mode in policy.ACTING:
        return os.environ["GDR_INCIDENT_MACHINE_ARN"]
    return notice_machine


def is_answered_by(event: object, machine: str) -> bool:
    """Tells whether the machine of that name answers the event; True when it cannot be decided."""
    try:
        return machine_for(event).rsplit(":", 1)[-1] == machine
    except ResponseError:
        return True

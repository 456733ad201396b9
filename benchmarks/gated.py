"""A lab's context behind the gate, as the functions make it (functions/steps.guarded)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guardduty_response.containment.contract import Context, Target

EXEMPT_NOTHING: dict[str, list[str]] = {
    "exempt_accounts": [],
    "exempt_resources": [],
    "exempt_principals": [],
}


def decided(lab: Any, target: Target, playbook: str) -> Context:
    """Return the context of an incident that has been decided: its lease is held, its plan is
    stored. The calls of the gate are the lab's: they take as long as all others.
    """
    context: Context = lab.context()
    record, incident_id = lab.record, context.incident_id
    record.open(
        {
            "incident_id": incident_id,
            "execution": context.execution,
            "mode": "auto",
            "severity": 8.0,
            "config_sha256": "",
        }
    )
    seen = context.finding
    named = {"finding_type": seen.type, "account_id": seen.account_id, "severity": seen.severity}
    record.note(incident_id, plan_digest="d0", playbook=playbook, **named)
    assert not record.leases.acquire(target.arn, context.execution, incident_id, 900)
    policy: dict[str, Any] = {
        "remediations": {"*": "auto"},
        "account_remediations": {},
        "minimum_severity": {},
    }
    guardrails: Any = {**EXEMPT_NOTHING, **(context.config.guardrails or {})}
    config = context.config._replace(
        **policy,
        guardrails=guardrails,
        active_playbooks=[playbook],
        paused=False,
    )
    return dataclasses.replace(context, config=config)


def gated(context: Context, target: Target, playbook: Any) -> Context:
    """Return the context with a gate before every change, which begins to ask now.

    ``playbook``: the module, as functions/respond.py loads it.
    """
    from guardduty_response.containment.contract import knows_state_before
    from guardduty_response.functions import steps

    guarded = steps.guarded(context, target._replace(plan_digest="d0"))
    assert guarded.gate is not None
    guarded.gate.open(knows_state_before(playbook))
    return guarded

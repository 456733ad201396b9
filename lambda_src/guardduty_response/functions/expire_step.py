"""Takes denials of sessions that are over out of a role, for the playbook function.

The watchdog asks for it (monitoring/expiry.py). It changes the role's policies and tag alone, only
less is denied afterwards, and no incident or execution waits for it.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, TypedDict, cast

from guardduty_response.aws.log import log
from guardduty_response.containment.contract import Context, Target, member_session
from guardduty_response.containment.expired_denials import ExpiredDenials
from guardduty_response.containment.gate import Gate
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.containment.target_context import TargetContext, describe_error
from guardduty_response.decision import configuration
from guardduty_response.errors import ResponseError
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.monitoring import due_roles

if TYPE_CHECKING:
    from guardduty_response.decision import finding
    from guardduty_response.functions.runtime import Payload


class Expired(TypedDict):
    """Declares the answer: when the role is looked at next, or why it could not be written."""

    next: str
    error: str


def expire(event: Payload) -> Expired:
    """Takes out of a role what denies sessions that are over. Raises nothing of AWS's."""
    request = cast("due_roles.Request", event)
    record, role = IncidentRepository(os.environ["GDR_TABLE"]), request["role"]
    context = _context(record, request)
    assert context.gate is not None
    try:
        next_at = ExpiredDenials(TargetContext(context, _target(record, request)), role).take_out()
    except Exception as error:  # it is tried again, and people are told when that goes on
        why, paused = describe_error(error), context.gate.is_paused
        log("expired denials stay", target=role, detail=why[:500])
        due_roles.note_failure(record.table, request, OLDER, why, paused)
        return {"next": "", "error": why}
    due_roles.settle(record.table, role, OLDER, next_at, request["due_at"])
    return {"next": next_at, "error": ""}


def _target(record: IncidentRepository, request: due_roles.Request) -> Target:
    """Returns a target whose containment's entry is over: it says where the role's account is."""
    state = record.containments.state(request["arn"], request["generation"])
    if state is None:
        raise ResponseError(f"{request['arn']} has no containment {request['generation']}")
    return Target(
        state["kind"],
        state["id"],
        state["arn"],
        request["role"].split(":")[4],
        state["region"],
        generation=request["generation"],
        opened_by=state["opened_by"],
        principals=[request["role"]],
    )


def _context(record: IncidentRepository, request: due_roles.Request) -> Context:
    config, incident_id = configuration.load(), request["incident_id"]
    gate = Gate(
        record=record,
        config=config,
        incident_id=incident_id,
        execution=request["execution"],
        target=_target(record, request).reference(),
        meta=partial(record.meta, incident_id),
        purpose="upkeep",
    )
    session_name = f"{incident_id}-expire"
    return Context(
        config=config,
        options=config.playbooks[os.environ["GDR_PLAYBOOK"]],
        finding=cast("finding.Finding", None),
        incident_id=incident_id,
        execution=request["execution"],
        record=record,
        assume=partial(member_session, config.partition, session_name, gate=gate),
        put_evidence=partial(evidence_store.put, incident_id),
        gate=gate,
    )

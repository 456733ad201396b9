"""Takes denials of sessions that are over out of a role, for the playbook function.

The watchdog asks for it (monitoring/expiry.py). It changes the role's policies and tag alone, only
less is denied afterwards, and no incident or execution waits for it. Of a resource that nobody
watches any more it asks AWS first whether it still exists.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, TypedDict, cast

from guardduty_response.aws.log import log
from guardduty_response.containment.contract import Context, Target, load, member_session
from guardduty_response.containment.expired_denials import ExpiredDenials
from guardduty_response.containment.gate import Gate
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.containment.target_context import (
    BRANCHES,
    TargetContext,
    describe_error,
    run_all,
)
from guardduty_response.decision import configuration
from guardduty_response.errors import ResponseError
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import due_roles
from guardduty_response.monitoring.unwatched import unwatched

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardduty_response.decision import finding
    from guardduty_response.functions.runtime import Payload
    from guardduty_response.incident.model import ContainmentRecord


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
        unknown = _note_gone(record, request)
        next_at = ExpiredDenials(TargetContext(context, _target(record, request)), role).take_out()
    except Exception as error:  # it is tried again, and people are told when that goes on
        why, paused = describe_error(error), context.gate.is_paused
        log("expired denials stay", target=role, detail=why[:500])
        due_roles.note_failure(record.table, request, OLDER, why, paused)
        return {"next": "", "error": why}
    # What cannot be asked about keeps no other entry from being looked at.
    due_roles.settle(record.table, role, OLDER, next_at, request["due_at"], unknown)
    return {"next": next_at, "error": unknown}


def _note_gone(record: IncidentRepository, request: due_roles.Request) -> str:
    """Asks whether the resources still exist whose sessions are denied on the role while they do,
    and that nobody watches any more, and records which do not. Returns why one could not be asked.

    A denial of what is gone is over when the last credentials are (containment/expired_entries.py).
    """
    name = os.environ["GDR_PLAYBOOK"]
    found = unwatched(record, record.shared.read(request["role"], OLDER))
    states = [state for state in found if state["playbook"] == name]
    why_gone = getattr(load(name), "why_gone", None) if states else None
    if why_gone is None:
        return ""
    calls: dict[int, Callable[[], str]] = {}
    for number, state in enumerate(states):
        its: due_roles.Request = {
            **request,
            "incident_id": state["opened_by"],
            "arn": state["arn"],
            "generation": int(state["generation"]),
        }
        calls[number] = partial(why_gone, _context(record, its), _target(record, its))
    unknown = []
    for number, answer in run_all(calls, BRANCHES).items():
        if isinstance(answer, Exception):
            unknown.append(f"{states[number]['id']}: {describe_error(answer)}")
        elif answer:
            _set_gone(record, states[number], answer)
    return "; ".join(unknown)[:500]


def _set_gone(record: IncidentRepository, state: ContainmentRecord, why: str) -> None:
    text = f"{why}, and nobody has watched it any more"
    place, fields = (state["arn"], int(state["generation"])), {"status": Status.GONE}
    if record.containments.set(*place, True, verdict=text, **fields):
        record.event(state["opened_by"], "gone", text, state["id"], "watch")


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

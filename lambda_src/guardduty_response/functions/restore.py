"""The restore function: a person undoes a containment, or closes an incident.

Nothing else starts it. Event: ``{"incident_id": "inc-…", "requested_by": "who asks", "close":
false, "keep_contained": false, "reason": ""}``. Answer: ``{"incident_id", "status", "restored",
"not_restored", "refused"}``, lists of sentences; ``refused`` says why nothing was done.
"""

from __future__ import annotations

import os
import secrets
from functools import partial
from typing import TYPE_CHECKING, cast

from guardduty_response.aws.log import log
from guardduty_response.containment.contract import (
    Context,
    RestoreResult,
    Target,
    load_restorer,
    member_session,
)
from guardduty_response.containment.gate import Gate
from guardduty_response.decision import configuration, finding
from guardduty_response.decision.planned_options import of_containment
from guardduty_response.errors import IllegalTransition, ResponseError
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions import closing, runtime
from guardduty_response.functions.requests import (
    Refused,
    RestoreAnswer,
    acquire_leases,
    answer,
    children_left,
    notify,
    notify_if_untold,
)
from guardduty_response.functions.runtime import Payload
from guardduty_response.incident import outcome
from guardduty_response.incident.moments import now
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import IN_PROGRESS, TRANSITIONS, Event, Status
from guardduty_response.incident.target_repository import generation_of, is_old
from guardduty_response.monitoring import upkeep

if TYPE_CHECKING:
    from guardduty_response.decision.configuration import PlaybookOptions
    from guardduty_response.incident.model import IncidentRecord, RestoreRecord, TargetRecord

_KEYS = {"incident_id", "requested_by", "close", "keep_contained", "reason"}
_TIMELINE_EVENTS = {
    Status.RESTORED: "restored",
    Status.RESTORE_PARTIAL: "restored in part",
    Status.GONE: "gone",
}


def _requester(event: Payload) -> str:
    return finding.text(event.get("requested_by"), 200) or "somebody who did not say who they are"


# -- restore ---------------------------------------------------------------------------------------


def _context(record: IncidentRepository, incident_id: str, owner: str, target: Target) -> Context:
    """Returns what a restore may use: the gate checks the lease and the generation alone."""
    config = configuration.load()
    gate = Gate(
        record=record,
        config=config,
        incident_id=incident_id,
        execution=owner,
        target=target.reference(),
        meta=lambda: record.meta(incident_id),
        purpose="restore",
    )
    return Context(
        config=config,
        options=config.playbooks[os.environ["GDR_PLAYBOOK"]],
        finding=cast("finding.Finding", None),
        incident_id=incident_id,
        execution=owner,
        record=record,
        assume=partial(member_session, config.partition, f"{incident_id}-restore", gate=gate),
        put_evidence=partial(evidence_store.put, incident_id),
        gate=gate,
    )


def _check_restorable(meta: IncidentRecord, targets: list[TargetRecord]) -> None:
    """Raises Refused when the incident is not in a state to be restored."""
    incident_id, status = meta["incident_id"], Status(meta["status"])
    playbook = os.environ["GDR_PLAYBOOK"]
    if meta.get("playbook") != playbook:
        raise Refused(
            f"incident {incident_id} is not one of playbook {playbook}, which this function"
            " restores"
        )
    if status in IN_PROGRESS:
        raise Refused(
            f"incident {incident_id} is {status}: it is still at work. Wait until it has ended,"
            " then ask again."
        )
    changed = any(target.get("before") for target in targets)
    nothing = not targets or (status in (Status.GONE, Status.FAILED) and not changed)
    if nothing or Event.RESTORED not in TRANSITIONS[status]:
        raise Refused(
            f"incident {incident_id} is {status}: there is nothing in it to restore, nothing was"
            " changed"
        )


def _contained_since(record: IncidentRepository, target: TargetRecord) -> str:
    """Returns which incident has contained the resource anew since, or an empty string.

    What is recorded of an earlier containment must not be written over that.
    """
    generation = generation_of(target)
    present = record.containments.present(target["arn"]) if generation else None
    if present is None or present.state is None or present.generation == generation:
        return ""
    other = present.state.get("opened_by") or "another incident"
    was, now_is = target.get("immutable_id"), present.state.get("immutable_id")
    if was and now_is and was != now_is:
        return (
            f"{target['id']} ({was}) no longer exists; {now_is} has its name by now, and is"
            f" contained by incident {other}"
        )
    return f"{target['id']} was contained anew by incident {other}, which is to be restored instead"


def _leave_target(
    record: IncidentRepository, incident_id: str, target: TargetRecord, why: str, requester: str
) -> TargetRecord:
    """Returns a target that is not restored, and says why in the timeline."""
    record.event(
        incident_id,
        "not restored",
        why,
        target["id"],
        requester,
    )
    left: RestoreRecord = {
        "at": now(),
        "by": requester,
        "done": [],
        "restored": [],
        "not_restored": [why],
    }
    return {**target, "restored": left}


def _restore_target(
    record: IncidentRepository,
    incident_id: str,
    owner: str,
    stored: TargetRecord,
    requester: str,
    planned: PlaybookOptions | None,
) -> TargetRecord:
    """Restores a target, records what was verified, and returns its record.

    ``planned``: the options that its incident planned with. It is restored by those that it was
    contained with: what these made is found by them.
    """
    target = Target(
        stored["kind"],
        stored["id"],
        stored["arn"],
        stored["account_id"],
        stored["region"],
        generation=generation_of(stored),
        opened_by=stored.get("opened_by", ""),
    )
    context = _context(
        record,
        incident_id,
        owner,
        target,
    )
    state = record.containments.state(*target.place) if target.place else None
    known = (state or {}).get("contained_with")
    context = context.as_contained(of_containment(known, planned, context.options))
    result = load_restorer(os.environ["GDR_PLAYBOOK"]).restore(context, target)
    restored: RestoreRecord = {
        "at": now(),
        "by": requester,
        "done": result.done,
        "restored": result.restored,
        "not_restored": result.not_restored,
    }
    record.persist_restored(
        incident_id,
        target.reference(),
        status=result.status,
        verdict=_verdict(result, requester),
        checks=[check.record() for check in result.checks],
        still_contained=result.still_contained,
        restored=restored,
    )
    if target.place:
        upkeep.end(record, target.place)
    sentences = [*result.restored, *(f"NOT restored: {text}" for text in result.not_restored)]
    name = _TIMELINE_EVENTS[result.status]
    record.event(
        incident_id,
        name,
        "; ".join(sentences),
        target.id,
        requester,
    )
    return record.target(incident_id, target.kind, target.id)


def _verdict(result: RestoreResult, requester: str) -> str:
    return (
        f"{len(result.restored)} settings restored, {len(result.not_restored)} not restored;"
        f" requested by {requester}"
    )


def _settle(
    record: IncidentRepository, meta: IncidentRecord, targets: list[TargetRecord]
) -> Status:
    """Sets the incident's status: all targets restored, all gone, or in part."""
    incident_id = meta["incident_id"]
    statuses = {Status(target["status"]) for target in targets}
    event = Event.RESTORE_PARTIAL
    if statuses == {Status.GONE}:
        event = Event.GONE
    elif statuses and statuses <= {Status.RESTORED, Status.GONE}:
        event = Event.RESTORED
    try:
        return record.transition(incident_id, event)
    except IllegalTransition as error:
        if event is not Event.RESTORE_PARTIAL:  # in part, once more: the status stands
            record.event(incident_id, "status kept", str(error))
        return Status(record.meta(incident_id)["status"])


def _restore(record: IncidentRepository, incident_id: str, requester: str) -> RestoreAnswer:
    meta, targets = record.meta_and_targets(incident_id)
    owner = f"restore-{incident_id}-{secrets.token_hex(4)}"
    if meta["status"] == Status.RESTORED:
        # A second time: what has happened to the resource since is not this incident's. People hear
        # what the first did not live to tell.
        notify_if_untold(
            record,
            meta,
            targets,
            requester,
            owner,
        )
        for target in targets:
            _tell_linked(
                record,
                incident_id,
                target,
                requester,
                owner,
            )
        return answer(meta, targets, left=children_left(record, meta))
    _check_restorable(meta, targets)
    # What was only asked about or rehearsed has no containment: nothing of it was changed.
    targets = [each for each in targets if generation_of(each) or is_old(each)] or targets
    try:
        acquire_leases(
            record,
            incident_id,
            targets,
            owner,
        )
        # The finding may have recurred before the lease was ours.
        _check_restorable(record.meta(incident_id), targets)
        newer = [_contained_since(record, target) for target in targets]
        if targets and all(newer):
            raise Refused(f"{'; '.join(newer)}: nothing was changed")
        record.event(incident_id, "restore asked", f"by {requester}", actor=requester)
        restored = [
            _leave_target(
                record,
                incident_id,
                target,
                why,
                requester,
            )
            if why
            else _restore_target(
                record,
                incident_id,
                owner,
                target,
                requester,
                meta.get("options"),
            )
            for target, why in zip(targets, newer, strict=True)
        ]
    finally:
        record.leases.release_all(targets, owner)
    meta["status"] = _settle(record, meta, restored)
    notify(
        record,
        meta,
        restored,
        requester,
        owner,
    )
    for target in restored:
        _tell_linked(
            record,
            incident_id,
            target,
            requester,
            owner,
        )
    return answer(meta, restored, left=children_left(record, meta, requester))


def _tell_linked(
    record: IncidentRepository,
    incident_id: str,
    target: TargetRecord,
    requester: str,
    request: str,
) -> None:
    """Tells the other incidents of the containment that it was restored."""
    why = f"{target.get('verdict', '')}, by incident {incident_id}"
    note = f"{requester}, for incident {incident_id}"
    for other in outcome.settle_linked(
        record,
        incident_id,
        target,
        why,
    ):
        meta, targets = record.meta_and_targets(other)
        if Status(meta["status"]) in _TIMELINE_EVENTS:
            notify_if_untold(
                record,
                meta,
                targets,
                note,
                request,
            )


def _reason_to_keep(event: Payload) -> str | None:
    """Returns why resources stay contained after closing, or None. Raises ResponseError."""
    if event.get("keep_contained") is not True:
        return None
    reason = finding.text(event.get("reason"), 500)
    if not reason:
        raise ResponseError(
            "keep_contained needs a reason, because nobody watches the containment any more:"
            ' {"close": true, "keep_contained": true, "reason": "…"}'
        )
    return reason


def _check_request(event: Payload) -> None:
    """Raises ResponseError for what could mean to close: taken for less, it would restore."""
    unknown = sorted(map(str, event.keys() - _KEYS))
    if unknown:
        raise ResponseError(
            f"a request has no {', '.join(unknown)}: its keys are {', '.join(sorted(_KEYS))};"
            " nothing was changed"
        )
    if not isinstance(event.get("close", False), bool):
        raise ResponseError(
            f"close is true or false, not {event['close']!r:.200}; nothing was changed"
        )


def _run(event: Payload) -> RestoreAnswer:
    incident_id = event.get("incident_id")
    if not isinstance(incident_id, str) or not incident_id.startswith("inc-"):
        raise ResponseError(
            'an incident is named like {"incident_id": "inc-0123456789abcdef"}, not'
            f" {incident_id!r}"
        )
    _check_request(event)
    record = IncidentRepository(os.environ["GDR_TABLE"])
    try:
        record.take_over_old(incident_id)
        if event.get("close") is True:
            return closing.close(
                record,
                incident_id,
                _requester(event),
                _reason_to_keep(event),
            )
        return _restore(record, incident_id, _requester(event))
    except Refused as refused:
        log("refused", incident_id=incident_id, detail=str(refused))
        return answer(record.meta(incident_id), [], str(refused))


handler = runtime.entry(_run)

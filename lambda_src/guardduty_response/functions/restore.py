"""The restore function: a person undoes a containment, or closes an incident. Nothing else starts
it.

Event: ``{"incident_id": "inc-…", "requested_by": "who asks", "close": false}``. Answer:
``{"incident_id", "status", "restored", "not_restored", "refused"}``, lists of sentences;
``refused`` says why nothing was done.
"""

from __future__ import annotations

import os
import secrets
from functools import partial
from typing import Any, cast

from guardduty_response.containment.contract import Context, Target, load_restorer, member_session
from guardduty_response.decision import configuration, finding
from guardduty_response.errors import IllegalTransition, ResponseError
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions import runtime
from guardduty_response.incident import notifications, report
from guardduty_response.incident.repository import IncidentRepository, now
from guardduty_response.incident.statuses import ESCALATE, IN_PROGRESS, TRANSITIONS, Event, Status

Json = dict[str, Any]
LEASE_SECONDS = 180  # longer than this function may run


class Refused(ResponseError):
    """The incident is not in a state for this. Nothing was changed."""


def _who(event: Json) -> str:
    return finding.text(event.get("requested_by"), 200) or "somebody who did not say who they are"


# -- one at a time ---------------------------------------------------------------------------------


def _take(record: IncidentRepository, incident_id: str, targets: list[Json], owner: str) -> None:
    """The right to work on every target. Raises Refused when somebody else has it;
    ``_give_back`` takes what was taken.
    """
    for one in targets:
        held = record.claim(one["arn"], owner, incident_id, LEASE_SECONDS)
        if held:
            raise Refused(
                f"{one['id']} is being worked on by {held['owner']} (incident"
                f" {held['incident_id']}): nothing was changed. Wait until it has ended, then ask"
                " again."
            )


def _give_back(record: IncidentRepository, targets: list[Json], owner: str) -> None:
    for one in targets:
        record.release(one["arn"], owner)


# -- restore ---------------------------------------------------------------------------------------


def _context(
    settings: configuration.Config, record: IncidentRepository, incident_id: str, owner: str
) -> Context:
    return Context(
        config=settings,
        options=settings.playbooks[os.environ["GDR_PLAYBOOK"]],
        finding=cast(finding.Finding, None),  # a restore goes by the record alone
        incident_id=incident_id,
        execution=owner,
        record=record,
        assume=partial(member_session, settings.partition, f"{incident_id}-restore"),
        put_evidence=partial(evidence_store.put, incident_id),
    )


def _restorable(meta: Json, targets: list[Json]) -> list[Json]:
    """The targets this incident changed. Raises Refused."""
    incident_id, status, playbook = (
        meta["incident_id"],
        Status(meta["status"]),
        os.environ["GDR_PLAYBOOK"],
    )
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
    if Event.RESTORED not in TRANSITIONS[status]:
        raise Refused(f"incident {incident_id} is {status}: there is nothing in it to restore")
    linked = sorted({one["attach"] for one in targets if one.get("attach")})
    own = [one for one in targets if not one.get("attach")]
    if linked and not own:
        raise Refused(
            f"incident {incident_id} only read the resource back: restore {', '.join(linked)},"
            " which contained it"
        )
    return own


def _one(context: Context, found: Json, who: str) -> Json:
    """Restores one target, writes what was seen, and returns its record."""
    record, incident_id = context.record, context.incident_id
    target = Target(**{name: found[name] for name in ("kind", "id", "arn", "account_id", "region")})
    got = load_restorer(os.environ["GDR_PLAYBOOK"]).restore(context, target)
    text = (
        f"{len(got.restored)} settings restored, {len(got.not_restored)} not restored; asked by"
        f" {who}"
    )
    record.set_target(
        incident_id,
        target.kind,
        target.id,
        status=got.status,
        verdict=text,
        still_contained=got.still_contained,
        checks=[dict(check.__dict__) for check in got.checks],
        restored={
            "at": now(),
            "by": who,
            "done": got.done,
            "restored": got.restored,
            "not_restored": got.not_restored,
        },
    )
    event = (
        "restored"
        if got.status is Status.RESTORED
        else "restored in part"
        if got.status is Status.RESTORE_PARTIAL
        else "gone"
    )
    record.event(
        incident_id,
        event,
        "; ".join([*got.restored, *(f"NOT: {one}" for one in got.not_restored)]),
        target.id,
        who,
    )
    return record.target(incident_id, target.kind, target.id)


def _settle(record: IncidentRepository, meta: Json, targets: list[Json]) -> Status:
    """All restored, all gone, or in part."""
    incident_id, found = meta["incident_id"], {Status(one["status"]) for one in targets}
    whole = found <= {Status.RESTORED, Status.GONE}
    event = (
        Event.GONE if found == {Status.GONE} else Event.RESTORED if whole else Event.RESTORE_PARTIAL
    )
    try:
        return record.transition(incident_id, event)
    except IllegalTransition as error:  # in part, once more: its status stands
        if event is not Event.RESTORE_PARTIAL:
            record.event(incident_id, "status kept", str(error))
        return Status(record.meta(incident_id)["status"])


def _answer(meta: Json, targets: list[Json], refused: str = "") -> Json:
    lists = {
        name: [text for one in targets for text in (one.get("restored") or {}).get(name, [])]
        for name in ("restored", "not_restored")
    }
    return {
        "incident_id": meta["incident_id"],
        "status": meta["status"],
        **lists,
        "refused": refused,
    }


def _restore(record: IncidentRepository, incident_id: str, who: str) -> Json:
    settings = configuration.load()
    meta, targets, _ = record.read(incident_id)
    if meta["status"] == Status.RESTORED:
        # a second time: what has happened to the resource since is not this incident's
        return _answer(meta, targets)
    own, owner = _restorable(meta, targets), f"restore-{incident_id}-{secrets.token_hex(4)}"
    try:
        _take(record, incident_id, own, owner)
        # the finding may have come again before the lease was ours
        _restorable(record.meta(incident_id), own)
        record.event(incident_id, "restore asked", f"by {who}", actor=who)
        context = _context(settings, record, incident_id, owner)
        done = [_one(context, one, who) for one in own]
    finally:
        _give_back(record, own, owner)
    meta["status"] = _settle(record, meta, done)
    _tell(record, meta, done, who)
    return _answer(meta, done)


def _tell(record: IncidentRepository, meta: Json, targets: list[Json], note: str) -> None:
    """The report anew, then the message; a report that cannot be written hides nothing."""
    incident_id, status = meta["incident_id"], Status(meta["status"])
    try:
        meta["report_key"] = report.write(record, incident_id)
    except Exception as error:
        record.event(incident_id, "report failed", f"{type(error).__name__}: {error}")
    notifications.publish(
        status, meta, targets, note=f"Asked by {note}.", escalate=status in ESCALATE
    )
    record.note(
        incident_id, told=status, **{name: meta[name] for name in ("report_key",) if name in meta}
    )


# -- close -----------------------------------------------------------------------------------------

_HOLDING = (
    Status.CONTAINED,
    Status.PARTIAL,
    Status.CONTAINMENT_LOST,
    Status.FAILED,
    Status.RESTORE_PARTIAL,
)


def _close(record: IncidentRepository, incident_id: str, who: str) -> Json:
    meta, targets, _ = record.read(incident_id)
    status = Status(meta["status"])
    if status is Status.CLOSED:
        return _answer(meta, [])
    if status in IN_PROGRESS:
        raise Refused(
            f"incident {incident_id} is {status}: it cannot be closed while it is at work. Wait"
            " until it has ended."
        )
    own, owner = (
        [one for one in targets if not one.get("attach")],
        f"close-{incident_id}-{secrets.token_hex(4)}",
    )
    try:
        _take(record, incident_id, own, owner)
        meta["status"] = record.transition(incident_id, Event.CLOSED)
    finally:
        _give_back(record, own, owner)
    note = f"{who}. It was {status}"
    if status in _HOLDING and own:
        note += (
            "; what containment changed stays as it is, is watched no longer, and this incident"
            " cannot be restored any more"
        )
    record.event(incident_id, "closed", f"by {note}", actor=who)
    _tell(record, meta, targets, note)
    return _answer(meta, [])


def _work(event: Json) -> Json:
    incident_id = event.get("incident_id")
    if not isinstance(incident_id, str) or not incident_id.startswith("inc-"):
        raise ResponseError(
            'an incident is named like {"incident_id": "inc-0123456789abcdef"}, not'
            f" {incident_id!r}"
        )
    record = IncidentRepository(os.environ["GDR_TABLE"])
    try:
        return (_close if event.get("close") is True else _restore)(
            record, incident_id, _who(event)
        )
    except Refused as refused:
        runtime.log("refused", incident_id=incident_id, detail=str(refused))
        return _answer(record.meta(incident_id), [], str(refused))


handler = runtime.entry(_work)

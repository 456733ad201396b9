"""Handles rechecks in the incident function: opening one, what it found that is new, its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.decision import configuration, finding, policy
from guardduty_response.errors import ResponseError
from guardduty_response.incident import commands, notifications, summary
from guardduty_response.incident.moments import now
from guardduty_response.incident.notifications import Draft
from guardduty_response.incident.outbox.history import MINOR_LOSS, History, reason_left
from guardduty_response.incident.outbox.message import reason_for
from guardduty_response.incident.outbox.waiting import LOSS_HOURS, LOSSES
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import WATCHED, Status
from guardduty_response.incident.target_repository import generation_of
from guardduty_response.monitoring import fights

if TYPE_CHECKING:
    from guardduty_response.incident.model import (
        IncidentRecord,
        RecheckReference,
        TargetRecord,
    )


class RecheckPayload(TypedDict):
    """Declares what the incident machine goes on with when a recheck is opened."""

    incident_id: str
    playbook: str
    next: Literal["triage"]
    verify_only: bool


class Ended(TypedDict):
    """Declares the answer of a step that settles an incident."""

    status: Status


def open_recheck(
    record: IncidentRepository, request: object, execution: str
) -> RecheckPayload | None:
    """Opens a recheck of an incident whose containment stands. Returns None when none stands.

    ``request`` is {incident_id, why, seen}, from the schedule, a change or a person. The incident
    keeps its own execution: a recheck that fails leaves nothing half done.
    """
    incident_id = finding.text(finding.get(request, "incident_id"), 40)
    why = finding.text(finding.get(request, "why"), 40)
    if not incident_id.startswith("inc-"):
        raise ResponseError(
            'a recheck is started with {"watch": {"incident_id": "inc-0123456789abcdef"}}, not'
            f" {request!r:.200}"
        )
    record.take_over_old(incident_id)
    meta = record.meta(incident_id)
    status = Status(meta["status"])
    if status not in WATCHED or not meta.get("playbook"):
        return None
    latest: RecheckReference = {
        "execution": execution,
        "why": why,
        "at": now(),
        "status": status,
    }
    fields: IncidentRecord = {"watch": latest}
    seen = cloudtrail_event.parse_change(finding.get(request, "seen"))
    if seen:
        fields["undone_by"] = seen
    record.note(incident_id, **fields)
    return {
        "incident_id": incident_id,
        "playbook": meta["playbook"],
        "next": "triage",
        "verify_only": True,
    }


def is_latest(meta: IncidentRecord, execution: str) -> bool:
    """Tells whether ``execution`` is the incident's latest recheck."""
    latest: RecheckReference = meta.get("watch") or {}
    return latest.get("execution") == execution


def news(history: History, target: TargetRecord) -> list[str]:
    """Returns the lost checks and CloudTrail events that people have not been notified of."""
    loss = target.get("breach")
    if target["status"] != Status.CONTAINMENT_LOST or not loss:
        return []
    known = {f"{target['id']} {name}" for name in loss["checks"]}
    known |= {change["event_id"] for change in loss["by"]}
    return sorted(known - history.known_losses)


def _mode(meta: IncidentRecord) -> str:
    """Returns the mode by which a lost containment is answered now; "paused" while it is."""
    config = configuration.load()
    if config.paused:
        return "paused"
    return policy.decide(
        config,
        meta["finding_type"],
        meta["account_id"],
        float(meta["severity"]),
        meta["playbook"],
        "no playbook",
        meta.get("in_doubt") or "",
    ).mode


def held_for(
    meta: IncidentRecord, history: History, status: Status, target: TargetRecord, again: bool
) -> str:
    """Returns the resource whose repeated losses are told of once an hour, or an empty string.

    Only where each loss is contained again: what is left to people is told at once. ``again``: the
    verdict is of a recheck, or of containing once more after a loss.
    """
    losses = len(history.losses_since(LOSS_HOURS, target["id"]))
    repeated = losses >= LOSSES and status in (Status.CONTAINMENT_LOST, Status.CONTAINED)
    return target["id"] if repeated and again and _mode(meta) == "auto" else ""


def tell_minor_loss(
    record: IncidentRepository, meta: IncidentRecord, history: History, target: TargetRecord
) -> None:
    """Tells people, without an escalation and once, what was undone while the resource stayed
    contained. From the fourth time in a day on, once an hour.
    """
    loss = target.get("breach") or {}
    if not loss.get("minor"):
        return
    ended, generation = loss.get("ended") or "", str(generation_of(target))
    reason = reason_for(
        MINOR_LOSS,
        target["arn"],
        generation,
        loss["at"],
        "ended" * bool(ended),
    )
    if history.has(reason):
        return
    mode = _mode(meta)
    if ended:
        said = f"It was put right at {ended}: the status stays {target['status']}."
    elif mode == "auto":
        said = "It could not be put right: the timeline says why. Each recheck tries it."
    else:
        why = "the response is paused" if mode == "paused" else f"the mode is {mode}"
        said = f"It is not put right automatically ({why}): the check has the command."
    actors = fights.sentences(fights.losses_of(record, target, minor=True))
    repeated = len(history.losses_since(LOSS_HOURS, target["id"], MINOR_LOSS)) >= LOSSES
    draft = Draft(
        MINOR_LOSS,
        reason,
        note="\n".join([said, *summary.containment_loss(loss), *actors]),
        losses=loss["checks"],
        entry=("minor loss", f"{', '.join(loss['checks'])}: {said}"),
        target=target["id"],
        held_for=f"{target['id']} minor" if repeated else "",
    )
    notifications.notify(
        record,
        meta,
        [target],
        draft,
    )


def next_response(
    meta: IncidentRecord,
    history: History,
    status: Status,
    target: TargetRecord,
    losses: fights.Losses,
) -> str:
    """Says what happens about a lost containment, or what a person can do about it.

    ``losses``: all of the containment so far.
    """
    if status is not Status.CONTAINMENT_LOST:
        return ""
    mode = _mode(meta)
    if mode == "auto":
        said = [
            "Mode auto: it is contained again at once, unless a guardrail forbids that. The next"
            " message says which."
        ]
        if len(history.losses_since(LOSS_HOURS, target["id"])) + 1 >= LOSSES:
            said.append(
                f"Containment was lost {LOSSES} times or more in {LOSS_HOURS} hours. Containing"
                " goes on, and further losses are told of in one message an hour."
            )
        return "\n".join([*said, *fights.sentences(losses)])
    why = "the response is paused" if mode == "paused" else f"the mode is {mode}"
    sentences = [f"It is not contained again automatically ({why}): a person decides."]
    return "\n".join([*sentences, *commands.after_containment_loss(meta)])


def close_recheck(
    record: IncidentRepository, meta: IncidentRecord, execution: str, decision: str, error: str
) -> Ended | None:
    """Ends a recheck that has nothing to say. Returns None when the incident closes as usual.

    96 rechecks a day must leave the timeline readable and write no reports. ``decision`` none:
    another execution worked on the resource.
    """
    status = Status(meta["status"])
    contained_again = meta.get("contained_again") == execution
    rechecked = is_latest(meta, execution) and not contained_again
    if status is Status.CONTAINMENT_LOST and not contained_again:
        _notify_left_to_people(record, meta)  # also of a recurrence that only verified
    if rechecked and decision == "failed":
        targets = record.meta_and_targets(meta["incident_id"])[1]
        notifications.notify_unverified(
            record,
            meta,
            targets,
            error,
        )
    elif decision == "none":
        pass
    elif rechecked and decision == "act" and not error and not _has_told(record, meta, execution):
        record.note(meta["incident_id"], checked_at=now())
    else:
        return None
    release_leases(record, meta, execution)
    return {"status": status}


def release_leases(record: IncidentRepository, meta: IncidentRecord, execution: str) -> None:
    """Ends an execution's leases on what the latest plan names, and on what a recheck verifies
    beside it: what other events of the finding named.
    """
    named = record.links(meta["incident_id"]) if meta.get("renamed") else meta.get("targets") or []
    record.leases.release_all(named, execution)


def _has_told(record: IncidentRepository, meta: IncidentRecord, execution: str) -> bool:
    """Tells whether the latest verdict that people were told is of this execution."""
    last = record.history(meta).last_status
    return last is not None and last.get("execution") == execution


def _notify_left_to_people(record: IncidentRepository, meta: IncidentRecord) -> None:
    """Notifies, once, that a guardrail left a lost containment to people, and why."""
    why = meta.get("left_breached") or ""
    if not why:
        return
    history = record.history(meta)
    reason = reason_left(why, history)
    if history.has(reason):
        return
    targets = record.meta_and_targets(meta["incident_id"])[1]
    note = "\n".join([why, *commands.after_containment_loss(meta)])
    draft = Draft(
        "problem",
        reason,
        note=note,
        escalate=True,
        entry=("not contained again", why),
    )
    notifications.notify(
        record,
        meta,
        targets,
        draft,
    )

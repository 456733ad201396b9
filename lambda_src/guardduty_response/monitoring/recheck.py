"""The incident function's part in checking that containment still stands: opening a check, what
is new in it, its end.
"""

from __future__ import annotations

from typing import Any

from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.decision import configuration, finding, policy
from guardduty_response.errors import ResponseError
from guardduty_response.incident import notifications
from guardduty_response.incident.repository import IncidentRepository, now
from guardduty_response.incident.statuses import WATCHED, Status

Json = dict[str, Any]


def opened(record: IncidentRepository, watch: Any, execution: str) -> Json | None:
    """Containment that stands is to be read back: {incident_id, why, seen}, from the watchdog or a
    person. None: none stands.

    The incident's own execution stays what it is: one that dies while it only reads has left
    nothing half done.
    """
    incident_id, why = (
        finding.text(finding.get(watch, "incident_id"), 40),
        finding.text(finding.get(watch, "why"), 40),
    )
    if not incident_id.startswith("inc-"):
        raise ResponseError(
            'a check is started with {"watch": {"incident_id": "inc-0123456789abcdef"}}, not'
            f" {watch!r:.200}"
        )
    meta = record.meta(incident_id)
    status = Status(meta["status"])
    if status not in WATCHED or not meta.get("playbook"):
        return None
    seen = cloudtrail_event.parse_change(finding.get(watch, "seen"))
    latest = {"execution": execution, "why": why, "at": now(), "status": status}
    record.note(incident_id, watch=latest, **({"undone_by": seen} if seen else {}))
    return {
        "incident_id": incident_id,
        "playbook": meta["playbook"],
        "next": "triage",
        "verify_only": True,
    }


def is_latest(meta: Json, execution: str) -> bool:
    """Whether ``execution`` is the latest check of containment that stands."""
    return (meta.get("watch") or {}).get("execution") == execution


def news(meta: Json, target: Json) -> list[str]:
    """What is undone, and by which CloudTrail events, that people have not been told of."""
    found = target.get("breach") or {}
    if target["status"] != Status.CONTAINMENT_LOST or not found:
        return []
    now_known = {f"{target['id']} {name}" for name in found["checks"]} | {
        one["event_id"] for one in found["by"]
    }
    return sorted(now_known - set(meta.get("breach_told") or []))


def answer(meta: Json, shown: Status) -> str:
    """What happens about a breach, or what a person can do about it."""
    if shown is not Status.CONTAINMENT_LOST:
        return ""
    settings = configuration.load()
    decided = policy.decide(
        settings,
        meta["finding_type"],
        meta["account_id"],
        float(meta["severity"]),
        meta["playbook"],
        "no playbook",
    )
    if decided.mode == "auto" and not settings.paused:
        return (
            "Mode auto: it is contained again at once, unless a guardrail forbids that; either is"
            " told next."
        )
    why = "the response is paused" if settings.paused else f"the mode is {decided.mode}"
    return "\n".join(
        [f"Nothing contains it again by itself ({why}): a person decides.", *_commands(meta)]
    )


def closed(
    record: IncidentRepository, meta: Json, execution: str, decision: str, error: str
) -> Json | None:
    """Ends a check that has nothing to tell; None: there is something, and the incident is closed
    as usual.

    96 checks a day must leave the timeline readable and write no reports. ``none``: somebody else
    was at work on it.
    """
    incident_id, status = meta["incident_id"], Status(meta["status"])
    checked = is_latest(meta, execution) and meta.get("contained_again") != execution
    if checked and status is Status.CONTAINMENT_LOST:
        _left(record, meta)
    if checked and decision == "failed":
        notifications.unverified(record, meta, record.read(incident_id)[1], error)
    elif not (
        decision == "none"
        or (checked and decision == "act" and not error and meta.get("told_by") != execution)
    ):
        return None
    elif decision == "act":
        record.note(incident_id, checked_at=now())
    for target in meta.get("targets") or []:
        record.release(target["arn"], execution)
    return {"status": status}


def _left(record: IncidentRepository, meta: Json) -> None:
    """A breach that a guardrail left to people: told once, with the reason."""
    left = meta.get("left_breached") or ""
    if left and left != meta.get("left_told"):
        note = "\n".join([left, *_commands(meta)])
        record.event(meta["incident_id"], "not contained again", left)
        notifications.publish(
            "problem", meta, record.read(meta["incident_id"])[1], note=note, escalate=True
        )
        record.note(meta["incident_id"], left_told=left)


def _commands(meta: Json) -> list[str]:
    """What a person can do about a breach that nothing answers by itself, as commands."""
    _, partition, _, region, account, _, machine, _ = [
        *str(meta.get("execution")).split(":"),
        *[""] * 8,
    ][:8]
    arn = f"arn:{partition}:states:{region}:{account}:stateMachine:{machine}"
    command = notifications.ask_close(
        machine.removesuffix("-incident"), str(meta.get("playbook")), meta["incident_id"], region
    )
    return [
        "Contain it again (asks for approval where the mode says so): aws stepfunctions"
        " start-execution "
        f'--state-machine-arn {arn} --input \'{{"finding_key": "{meta.get("finding_key")}"}}\''
        f" --region {region}",
        f"Or accept it and end the watch: {command}",
    ]

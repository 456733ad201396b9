"""Sums up an incident for people: open tasks, observations, verification results, losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.incident.statuses import ESCALATE, Status

if TYPE_CHECKING:
    from guardduty_response.incident.model import (
        CheckRecord,
        ContainmentLoss,
        EvidenceEntry,
        IncidentRecord,
        TargetRecord,
    )

RESTORE_STATUSES = frozenset({Status.RESTORED, Status.RESTORE_PARTIAL})
_ACTOR_UNKNOWN = (
    "not visible in CloudTrail yet (events arrive up to 15 minutes late); the next recheck looks"
    " again"
)


def check_result(check: CheckRecord) -> str:
    """Returns the result of a check in a word."""
    if check["ok"]:
        return "PASS"
    return "FAIL" if check.get("read", True) else "NOT READ"


def other_incidents(target: TargetRecord, incident_id: str) -> list[str]:
    """Returns the other incidents that the target's containment is for."""
    return [name for name in target.get("incidents", []) if name != incident_id]


def open_tasks(meta: IncidentRecord, targets: list[TargetRecord]) -> list[str]:
    """Returns what people have to do, as sentences: failed actions, failed checks, open evidence.

    After a restore: what was not restored, with the command where there is one.
    """
    tasks: list[str] = []
    for target in targets:
        tasks += [f"{target['id']}: {text}" for text in _tasks_of_target(target)]
    if not tasks and Status(meta["status"]) in ESCALATE:
        reasons = meta.get("reasons") or ["look at the incident record"]
        return reasons[-1:]
    return tasks


def _tasks_of_target(target: TargetRecord) -> list[str]:
    if target["status"] in RESTORE_STATUSES:
        return target.get("restored", {}).get("not_restored", [])
    evidence = target.get("evidence") or {}
    evidence_tasks = {
        name: entry["task"] for name, entry in sorted(evidence.items()) if entry.get("task")
    }
    tasks = _failed_actions(target, evidence_tasks)
    tasks += evidence_tasks.values()
    for entry in evidence.values():
        tasks += _texts(entry, "left")
    tasks += [
        f"{check['name']}: {check['detail']}"
        for check in target.get("checks", [])
        if not check["ok"]
    ]
    return tasks


def _failed_actions(target: TargetRecord, evidence_tasks: dict[str, str]) -> list[str]:
    """Returns a sentence for each failed action that no evidence item describes better."""
    described = set(evidence_tasks)
    if "snapshots" in evidence_tasks:
        described.add("snapshot")
    return [
        f"{name} failed: {action['detail']}"
        for name, action in sorted(target.get("actions", {}).items())
        if action["status"] == "FAILED"
        and name not in described
        and not name.startswith("revert/")  # the evidence of eradication lists these
    ]


def observations(targets: list[TargetRecord]) -> list[str]:
    """Returns what evidence shows that needs no change but should be known (sign-ins, reads)."""
    sentences: list[str] = []
    for target in targets:
        for entry in (target.get("evidence") or {}).values():
            sentences += [f"{target['id']}: {text}" for text in _texts(entry, "noted")]
    return sentences


def _texts(entry: EvidenceEntry, name: str) -> list[str]:
    """Returns the sentences that an evidence item keeps under ``name`` in its state."""
    return [str(text) for text in (entry.get("state") or {}).get(name) or []]


def containment_loss(loss: ContainmentLoss) -> list[str]:
    """Returns sentences that say since when containment is lost, what failed, and who did it."""
    what = "Undone, while it stayed contained" if loss.get("minor") else "Containment lost"
    lines = [f"{what}, first seen at {loss['at']}: {', '.join(loss['checks'])}"]
    for change in loss["by"]:
        lines.append(
            f"Changed by {change['who'] or 'unknown'}: {change['what']} at {change['when']} from"
            f" {change['from']} ({change['agent']}; CloudTrail event {change['event_id']})"
        )
    if not loss["by"]:
        lines.append(f"Changed by: {loss.get('unknown') or _ACTOR_UNKNOWN}")
    if loss.get("ended"):
        ended = "Not so any more since" if loss.get("minor") else "Contained again at"
        lines.append(f"{ended} {loss['ended']}")
    return lines

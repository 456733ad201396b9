"""Incidents as text for people."""

from __future__ import annotations

from .incidents import Json
from .report import paint

_GOOD = {"CONTAINED", "RESTORED", "CLOSED", "DONE", "ALREADY", "NOTIFIED", "DRY_RUN"}
_BAD = {"FAILED", "BREACHED", "PARTIAL", "TIMED_OUT", "RESTORE_PARTIAL"}


def status(word: str | None) -> str:
    """Return a status word, coloured on a terminal."""
    text = str(word)
    return paint(text, "green" if text in _GOOD else "red" if text in _BAD else "yellow")


def line(incident: Json) -> str:
    """Return the line of an incident in the list."""
    targets = ", ".join(str(target["id"]) for target in incident["targets"]) or "-"
    return (
        f"{incident['incident_id']}  {status(incident['status'])}  {incident['mode']} "
        f" {incident['finding_type']}  {incident['account_id']}  {targets}"
    )


def _result(ok: bool | None) -> str:
    if ok is None:
        return "NOT READ"
    return "PASS" if ok else "FAIL"


def text(incident: Json) -> str:
    """Return the whole incident as text."""
    lines = [
        f"{paint(str(incident['incident_id']), 'bold')}  {status(incident['status'])}",
        (
            f"finding   {incident['finding_type']} (severity {incident.get('severity')})"
            f" {incident['finding_id']}"
        ),
        f"where     account {incident['account_id']}, {incident['region']}",
        f"mode      {incident['mode']}, decision {incident['decision']}",
    ]
    lines += [f"          {reason}" for reason in incident.get("reasons") or []]
    for target in incident["targets"]:
        lines += ["", f"target    {target['kind']} {target['id']}  {status(target['status'])}"]
        if target.get("verdict"):
            lines.append(f"          {target['verdict']}")
        for undoing in (target.get("breach") or {}).get("by") or []:
            change = f"{undoing['what']} at {undoing['when']} from {undoing['from']}"
            lines.append(f"  {'UNDONE':8} by {undoing['who']}: {change}")
        for action in target["actions"]:
            detail = f": {action['detail']}" if action.get("detail") else ""
            lines.append(f"  {action.get('status', ''):8} {action['name']}{detail}")
        for text in (target.get("restored") or {}).get("not_restored") or []:
            lines.append(f"  {'MANUAL':8} not restored: {text}")
        for check in target.get("checks") or []:
            result = _result(check.get("ok"))
            detail = check.get("detail", "")
            lines.append(f"  {result:8} check {check.get('name')}: {detail}")
    lines += ["", "timeline"]
    for event in incident["timeline"]:
        lines.append(f"  {event['at']}  {event['event']}  {event.get('detail', '')}".rstrip())
    return "\n".join(lines)

"""Writes incidents as release 0.1 wrote them, for tests."""

from __future__ import annotations

from typing import Any

from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import WATCHED, Status

from tests.support.repository import load_finding
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import EXECUTION, call
from tests.unit.incident.containment_lab import action, check

Json = dict[str, Any]
BEFORE: Json = {"network": {"interfaces": {"eni-1": ["sg-web"]}}, "profile": {"name": "web"}}
HELD = WATCHED | {Status.FAILED, Status.RESTORE_PARTIAL}
REFERENCE: Json = {
    "kind": "ec2_instance",
    "id": "i-1",
    "arn": ARN,
    "account_id": "222222222222",
    "region": "us-east-1",
}
WRITTEN: Json = {
    "actions": {"network": action("closed"), "profile": action("replaced")},
    "before": BEFORE,
    "still_contained": [],
    "evidence": {
        "snapshots": {
            "outcome": "COMPLETE",
            "detail": "one set",
            "objects": [],
        }
    },
    "checks": [check("eni-1"), check("profile", ok=False)],
    "watched": ["eni-1", "i-1"],
    "weak": ["profile"],
    "verified": EXECUTION,
    "held_at": "2026-01-01T00:00:00.000000Z",
    "verdict": "1 of 1 interfaces closed",
}


def old_incident(
    record: IncidentRepository,
    name: str = "first",
    status: str = "CONTAINED",
    attach: str = "",
    **changes: Any,
) -> str:
    """Writes an incident as release 0.1 wrote it: everything in its TARGET item."""
    event = load_finding()
    event["detail"]["id"] = name
    incident_id = str(call("open", event=event)["incident_id"])
    reference = {**REFERENCE, "attach": attach}
    record.note(incident_id, targets=[reference], decision="act", playbook="fake")
    record.move(incident_id, Status.OPEN, Status(status))
    keys = {"pk": f"INCIDENT#{incident_id}", "sk": "TARGET#ec2_instance#i-1"}
    record.table.put({**keys, **reference, "status": status, **WRITTEN, **changes})
    return incident_id


def attached(record: IncidentRepository, owner: str, status: str = "CONTAINED") -> str:
    """Writes a second incident of the instance: in 0.1 it took over the first one's result."""
    nothing: Json = {"actions": {}, "before": {}, "evidence": {}, "watched": []}
    return old_incident(record, "second", status, owner, **nothing)


def shown(record: IncidentRepository, incident_id: str) -> Json:
    """Returns what people see of the target."""
    target: Any = record.target(incident_id, "ec2_instance", "i-1")
    names = ("status", *WRITTEN)
    return {name: target[name] for name in names if name in target}

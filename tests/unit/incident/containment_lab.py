"""Joins incidents to the containment of an instance, and reads what is stored of it."""

from __future__ import annotations

from typing import Any

from guardduty_response.incident.containments import Containments, Joined

from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import target

Json = dict[str, Any]


def join(
    containments: Containments, incident_id: str, immutable_id: str = "", **changes: Any
) -> Joined:
    """Joins an incident to the containment of i-1, or of the target that ``changes`` name."""
    return containments.join(target(**changes), incident_id, "ec2_instance", immutable_id)


def stored(deployment: Deployment, kind: str = "", arn: str = ARN) -> dict[str, Json]:
    """Returns the containment's items, of one kind or all of them, by sort key."""
    return {
        item["sk"]: item
        for item in deployment.items(f"CONTAINMENT#{arn}")
        if not kind or f"#{kind}" in item["sk"]
    }


def action(detail: str = "closed", status: str = "DONE") -> Any:
    """Returns an entry of the action log."""
    return {"status": status, "detail": detail, "at": "2026-01-01T00:00:00Z", "request_id": "r"}


def check(name: str, ok: bool = True, **more: Any) -> Any:
    """Returns what a verification read."""
    return {
        "name": name,
        "ok": ok,
        "detail": "as read",
        "fatal": False,
        "read": True,
        **more,
    }

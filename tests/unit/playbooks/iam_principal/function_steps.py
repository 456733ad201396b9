"""Runs the first steps of an incident through the deployed functions' handlers."""

from __future__ import annotations

from dataclasses import dataclass

from guardduty_response.functions import incident, respond

from tests.unit.deployment import EXECUTIONS, Deployment
from tests.unit.playbooks.iam_principal.iam_account import Json

EXECUTION = f"{EXECUTIONS}incident:one"


@dataclass
class OpenIncident:
    deployment: Deployment

    def __call__(
        self,
        event: Json,
        changes: Json | None = None,
        active: tuple[str, ...] = ("iam_principal", "ec2_instance"),
    ) -> str:
        """``changes``: of the configuration. ``active``: the playbooks switched on."""
        settings: Json = {"remediations": {"*": "auto"}, "active_playbooks": list(active)}
        self.deployment.configure({**settings, **(changes or {})})
        return open_event(event, EXECUTION)


def open_event(event: Json, execution: str) -> str:
    opened = incident.handler({"verb": "open", "event": event, "execution": execution}, None)
    return str(opened["incident_id"])


def plan_incident(incident_id: str, approved: bool = False) -> Json:
    event = {
        "verb": "plan",
        "incident_id": incident_id,
        "execution": EXECUTION,
        "verify_only": False,
        "approved": approved,
    }
    return dict(respond.handler(event, None))


def approve_incident(incident_id: str) -> None:
    """Asks people, and one of them approves."""
    asked = {"incident_id": incident_id, "execution": EXECUTION}
    incident.handler({"verb": "ask", **asked, "task_token": "t"}, None)
    answer = {"approved": True, "by": "ada"}
    incident.handler({"verb": "decide", **asked, "answer": answer}, None)


def contain_target(incident_id: str, target: Json) -> None:
    event = {
        "verb": "contain",
        "incident_id": incident_id,
        "execution": EXECUTION,
        "target": target,
        "tries": 1,
    }
    respond.handler(event, None)


def close_incident(incident_id: str, reason: str) -> None:
    """Closes an incident whose plan failed."""
    event = {
        "verb": "close",
        "incident_id": incident_id,
        "execution": EXECUTION,
        "decision": "failed",
        "error": reason,
    }
    incident.handler(event, None)

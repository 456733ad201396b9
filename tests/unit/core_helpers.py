"""The functions as the machines call them, and the contents of messages."""

from __future__ import annotations

from typing import Any

from guardduty_response.functions import incident, reconcile
from guardduty_response.incident.model import IncidentRecord
from guardduty_response.incident.repository import IncidentRepository

from tests.unit.lambda_world import EXECUTIONS, World

Json = dict[str, Any]
EXECUTION = f"{EXECUTIONS}incident:one"
NOTICE = f"{EXECUTIONS}notice:one"


def call(verb: str, **event: Any) -> Json:
    """The incident function."""
    return incident.handler({"verb": verb, "execution": EXECUTION, **event}, None)


def watch(event: Json) -> Json:
    return reconcile.handler(event, None)


def target(name: str = "i-1", **more: Any) -> Json:
    """As triage hands it on."""
    return {
        "kind": "ec2_instance",
        "id": name,
        "arn": f"arn:aws:ec2:us-east-1:222222222222:instance/{name}",
        "account_id": "222222222222",
        "region": "us-east-1",
        "scope": {},
        "attach": "",
        "verify_only": False,
        **more,
    }


def kinds(messages: list[Json]) -> list[str]:
    """Which messages arrived: their 'event' attribute."""
    return [message["MessageAttributes"]["event"]["Value"] for message in messages]


def told(world: World) -> tuple[list[str], list[str]]:
    """What the notification and the escalation topic were told since the last call."""
    return kinds(world.messages()), kinds(world.messages("escalations"))


def emission(record: IncidentRepository, incident_id: str, execution: str) -> str:
    """The same finding again, seen by ``execution``; returns the outcome."""
    stored = record.meta(incident_id)
    meta: IncidentRecord = {
        "incident_id": stored["incident_id"],
        "mode": stored["mode"],
        "severity": stored["severity"],
        "config_sha256": stored["config_sha256"],
        "finding_type": stored["finding_type"],
        "account_id": stored["account_id"],
        "execution": execution,
    }
    return str(record.open(meta).outcome)

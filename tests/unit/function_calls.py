"""Calls the functions as the state machines do, and reads which messages they sent."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from guardduty_response.functions import incident, reconcile
from guardduty_response.incident import notifications
from guardduty_response.incident.model import IncidentRecord, TargetPayload
from guardduty_response.incident.moments import iso
from guardduty_response.incident.outbox.message import reason_for
from guardduty_response.incident.outbox.sender import Sent
from guardduty_response.incident.repository import IncidentRepository

from tests.unit.deployment import EXECUTIONS, Deployment

Json = dict[str, Any]
EXECUTION = f"{EXECUTIONS}incident:first"
NOTICE = f"{EXECUTIONS}notice:first"
OUTBOX = {"source": "guardduty-response.outbox"}


def call(step_name: str, **event: Any) -> Json:
    """Runs a step of the incident function."""
    return incident.handler(
        {
            "verb": step_name,
            "execution": EXECUTION,
            **event,
        },
        None,
    )


def watch(event: Json) -> Json:
    """Sends an event to the watchdog function."""
    return reconcile.handler(event, None)


def target(name: str = "i-1", **more: Any) -> TargetPayload:
    """Returns a target as triage hands it on."""
    made: TargetPayload = {
        "kind": "ec2_instance",
        "id": name,
        "arn": f"arn:aws:ec2:us-east-1:222222222222:instance/{name}",
        "account_id": "222222222222",
        "region": "us-east-1",
        "scope": {},
        "attach": "",
        "verify_only": False,
    }
    made.update(cast("TargetPayload", more))
    return made


def kinds(messages: list[Json]) -> list[str]:
    """Returns which messages arrived: their attribute 'event'."""
    return [message["MessageAttributes"]["event"]["Value"] for message in messages]


def tell(record: IncidentRepository, event: str, meta: Any, targets: Any = (), **more: Any) -> Sent:
    """Sends a message about an incident, for a reason of its own."""
    draft = notifications.Draft(
        event,
        reason_for(event, secrets.token_hex(4)),
        **more,
    )
    return notifications.notify(
        record,
        meta,
        list(targets),
        draft,
    )


def notified(deployment: Deployment) -> tuple[list[str], list[str]]:
    """Returns what the notification and the escalation topic got since the last call."""
    return kinds(deployment.messages()), kinds(deployment.messages("escalations"))


def recurrence(record: IncidentRepository, incident_id: str, execution: str) -> str:
    """Opens the incident again, as a recurrence after new activity does in ``execution``; returns
    the outcome.
    """
    stored = record.meta(incident_id)
    meta: IncidentRecord = {
        "incident_id": stored["incident_id"],
        "mode": stored["mode"],
        "severity": stored["severity"],
        "config_sha256": stored["config_sha256"],
        "finding_type": stored["finding_type"],
        "account_id": stored["account_id"],
        "last_seen": iso(datetime.now(UTC) + timedelta(hours=1)),
        "execution": execution,
    }
    return str(record.open(meta).outcome)


def execution_ended(arn: str, status: str = "FAILED", **detail: Any) -> dict[str, Any]:
    """As EventBridge tells it (AWS Step Functions, "Step Functions Execution Status Change")."""
    return {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "detail": {"executionArn": arn, "status": status, **detail},
    }

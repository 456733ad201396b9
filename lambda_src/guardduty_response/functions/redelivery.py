"""Delivers, for the watchdog, events again that EventBridge could not deliver."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code
from guardduty_response.aws.log import log
from guardduty_response.decision import routing
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions import failed_executions
from guardduty_response.incident import opening
from guardduty_response.incident.repository import IncidentRepository

if TYPE_CHECKING:
    from guardduty_response.functions.events import QueueMessage


def redeliver(record: IncidentRepository, message: QueueMessage, event: object) -> None:
    """Starts the response again for a message of the ``undelivered`` queue.

    ``event`` is the message's body. What cannot be started is reported, escalated and kept in
    ``dead-letters``.
    """
    why = _reason(message)
    try:
        _start(event, why)
    except Exception as error:
        reason = f"{why}; starting the response again failed too: {type(error).__name__}: {error}"
        log("undelivered", detail=reason[:500])
        _keep(message.get("body") or "{}", event, reason)
        failed_executions.report_lost(record, event, "", reason)


def _reason(message: QueueMessage) -> str:
    """Returns why EventBridge gave up, from the attributes it sets on the message."""
    attributes = message.get("messageAttributes") or {}
    code = attributes.get("ERROR_CODE", {}).get("stringValue")
    text = attributes.get("ERROR_MESSAGE", {}).get("stringValue") or ""
    return f"EventBridge could not deliver it: {code} {text}".strip()


def _start(event: object, why: str) -> None:
    """Stores the event and starts the right machine with a pointer to it.

    The pointer also serves an event that is larger than an execution's input may be.
    """
    incident_id = opening.from_event(event, "", why)["incident_id"]
    key = evidence_store.put_event(incident_id, event)["key"]
    digest = hashlib.sha256(key.encode()).hexdigest()
    try:
        clients.client("stepfunctions").start_execution(
            stateMachineArn=routing.machine_for(event),
            name=f"{incident_id}-{digest[:12]}",
            input=json.dumps({"finding_key": key}),
        )
    except ClientError as error:
        if error_code(error) != "ExecutionAlreadyExists":  # the same message, delivered twice
            raise


def _keep(text: str, event: object, reason: str) -> None:
    """Sends the event to ``dead-letters``; one too large for a message goes as a pointer."""
    try:
        _send_to_dead_letters(text, reason)
    except ClientError as error:
        if error_code(error) != "InvalidParameterValue":
            raise
        incident_id = opening.from_event(event, "", reason)["incident_id"]
        key = evidence_store.put_event(incident_id, event)["key"]
        _send_to_dead_letters(json.dumps({"finding_key": key}), reason)


def _send_to_dead_letters(text: str, reason: str) -> None:
    clients.client("sqs").send_message(
        QueueUrl=os.environ["GDR_DEAD_LETTERS_URL"],
        MessageBody=text,
        MessageAttributes={"REASON": {"DataType": "String", "StringValue": reason[:900]}},
    )

"""Starts rechecks: executions of the incident machine with {"watch": {...}} as their input."""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code

if TYPE_CHECKING:
    from guardduty_response.incident.model import ChangeEvent

# Losses of one incident that are found within so many seconds share an execution.
SLOT_SECONDS = 120


def slot_of(seconds: float) -> str:
    """Returns the time slot of a time (seconds since 1970)."""
    return f"slot {int(seconds // SLOT_SECONDS)}"


def seconds_to_next_slot() -> float:
    """Returns the seconds until a loss is answered by an execution of its own again."""
    return SLOT_SECONDS - time.time() % SLOT_SECONDS


def start(incident_id: str, why: str, slot: str, seen: ChangeEvent | None = None) -> bool:
    """Starts a recheck, once for each ``slot``: a time slot, or what else makes it distinct.

    Returns False when this very recheck was started before, and has ended.
    """
    name = f"watch-{incident_id}-{hashlib.sha256(slot.encode()).hexdigest()[:12]}"
    request = {"incident_id": incident_id, "why": why, "seen": seen}
    try:
        clients.client("stepfunctions").start_execution(
            stateMachineArn=os.environ["GDR_INCIDENT_MACHINE_ARN"],
            name=name,
            input=json.dumps({"watch": request}),
        )
    except ClientError as error:
        if error_code(error) != "ExecutionAlreadyExists":
            raise
        return False
    return True

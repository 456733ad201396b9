"""The monitor function: checks whether what a playbook contained is contained still.

It reads, with a member role of its own that can do nothing else, and takes no lease. What it finds
lost is answered by the incident machine, which it starts (docs/decisions/0032). Event:
``{"monitor": {…}}`` as monitoring/batch.py declares it. Answer: how many were checked, and what
they came to.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.functions import runtime
from guardduty_response.functions.runtime import Payload
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.monitoring import batch as batches
from guardduty_response.monitoring import slots
from guardduty_response.monitoring.checks import BatchChecks, Counts

if TYPE_CHECKING:
    from guardduty_response.functions.events import LambdaContext

# Where nothing says how long the function may run: as long as every function.
_SECONDS = 120.0


def _seconds_left(lambda_context: LambdaContext | None) -> float:
    """Returns the seconds until AWS Lambda ends the function."""
    if lambda_context is None:
        return _SECONDS
    return float(lambda_context.get_remaining_time_in_millis()) / 1000


def _run(lambda_context: LambdaContext | None, event: Payload) -> Counts:
    request, record = batches.parse(event), IncidentRepository(os.environ["GDR_TABLE"])
    try:
        return BatchChecks(record, request, partial(_seconds_left, lambda_context)).run()
    finally:
        slots.free(record.table, request["batch"])


def handler(event: Payload, lambda_context: LambdaContext | None = None) -> Payload:
    """Runs a batch of checks."""
    return runtime.entry(partial(_run, lambda_context))(event)

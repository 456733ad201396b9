"""Fails, for the watchdog, incidents in progress on which no execution works any more.

In a storm, thousands of incidents wait for a person at the same time: each is in progress, and its
execution runs. They come after all others, so that they keep none from being looked at.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code
from guardduty_response.aws.log import log
from guardduty_response.functions import failed_executions
from guardduty_response.incident.statuses import Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from guardduty_response.incident.model import IndexedIncident
    from guardduty_response.incident.repository import IncidentRepository

# DescribeExecution is limited for the account (AWS Step Functions Developer Guide, "Quotas related
# to API action throttling").
SIDE_BY_SIDE = 10
# The function ends after 120 seconds. What is not begun in time is looked at by the next run.
SECONDS = 70.0
# Of those that wait for a person, so many are looked at in a run, others each time.
MOST_WAITING = 200


def fail_ended(
    record: IncidentRepository, metas: list[IndexedIncident], clock: Callable[[], float] = time.time
) -> tuple[list[str], list[Exception]]:
    """Fails those incidents of ``metas`` whose execution ended. Returns their IDs, and the errors:
    a broken record must not delay the others, and the next run finds it again.
    """
    failed: list[str] = []
    errors: list[Exception] = []
    ends, ordered = clock() + SECONDS, _in_order(metas)
    for begin in range(0, len(ordered), SIDE_BY_SIDE):
        if clock() > ends:
            log("reconciling goes on in the next run", left=str(len(ordered) - begin))
            break
        asked = [
            (meta, clients.POOL.submit(_execution_status, meta["execution"]))
            for meta in ordered[begin : begin + SIDE_BY_SIDE]
        ]
        for meta, status in asked:
            try:
                if _fail(record, meta, status):
                    failed.append(meta["incident_id"])
            except Exception as error:
                detail = f"{type(error).__name__}: {error}"[:500]
                log("reconciling failed", incident_id=meta["incident_id"], detail=detail)
                errors.append(error)
    return failed, errors


def _in_order(metas: list[IndexedIncident]) -> list[IndexedIncident]:
    """Returns what somebody works on, and then what waits for a person."""
    asked = [meta for meta in metas if meta["status"] == Status.AWAITING_APPROVAL]
    at_work = [meta for meta in metas if meta["status"] != Status.AWAITING_APPROVAL]
    return at_work + random.sample(asked, min(len(asked), MOST_WAITING))


def _fail(record: IncidentRepository, meta: IndexedIncident, status: Future[str]) -> bool:
    ended = status.result()
    if ended == "RUNNING":
        return False
    why = f"the incident stayed {meta['status']} though its execution is {ended}"
    failed_executions.fail(record, meta["incident_id"], why)
    return True


def _execution_status(arn: str) -> str:
    """Returns the execution's status; GONE when there is no such execution any more."""
    if not arn:
        return "GONE"
    try:
        answer = clients.client("stepfunctions").describe_execution(executionArn=arn)
    except ClientError as error:
        if error_code(error) != "ExecutionDoesNotExist":
            raise
        return "GONE"
    return str(answer["status"])

"""Lets contained resources be checked: the schedule, the monitor function, the clock."""

from __future__ import annotations

from typing import Any

from guardduty_response.functions import monitor
from guardduty_response.incident.moments import now

from tests.unit.deployment import TABLE, Deployment, plain
from tests.unit.function_calls import watch

Json = dict[str, Any]
SCHEDULE = {"source": "guardduty-response.watch"}


def due_items(deployment: Deployment) -> list[Json]:
    """Returns the items of containments that are monitored, that of the longest overdue first."""
    found = [
        plain(item)
        for page in deployment.dynamodb.get_paginator("scan").paginate(TableName=TABLE)
        for item in page["Items"]
        if item["sk"]["S"].endswith("#DUE") and "due_at" in item
    ]
    return sorted(found, key=lambda item: str(item["due_at"]))


def make_due(deployment: Deployment) -> None:
    """Makes every monitored containment due now."""
    for item in due_items(deployment):
        deployment.dynamodb.update_item(
            TableName=TABLE,
            Key={name: {"S": item[name]} for name in ("pk", "sk")},
            UpdateExpression="SET due_at = :now",
            ExpressionAttributeValues={":now": {"S": now()}},
        )


def run_invoked(deployment: Deployment) -> list[Json]:
    """Runs the monitor function for what it was invoked with; returns its answers."""
    payloads = [payload for _, payload in deployment.invoked]
    deployment.invoked.clear()
    return [monitor.handler(payload) for payload in payloads]


def check_due(deployment: Deployment) -> Json:
    """Lets the schedule come and the monitor function check what is due; returns the counts."""
    watch(SCHEDULE)
    return total(run_invoked(deployment))


def check_all(deployment: Deployment) -> Json:
    """Has everything checked that is monitored; returns the counts."""
    make_due(deployment)
    return check_due(deployment)


def total(answers: list[Json]) -> Json:
    """Returns the sum of the monitor function's answers."""
    names = ("checked", "held", "lost", "unread")
    return {name: sum(answer[name] for answer in answers) for name in names}


def counts(held: int = 0, lost: int = 0, not_read: int = 0) -> Json:
    """Returns what the monitor function answers when it found this."""
    checked = held + lost + not_read
    return {"checked": checked, "held": held, "lost": lost, "unread": not_read}

"""Looks at who is subscribed to the topics, for the watchdog's schedule.

A topic that nobody has confirmed swallows every message without an error. Amazon SNS puts an e-mail
subscription back to pending when it got too many messages, and deletes what stays pending.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from guardduty_response.aws import clients
from guardduty_response.aws.log import log, metric
from guardduty_response.incident.moments import now, seconds_left
from guardduty_response.incident.outbox.message import NOTIFICATIONS, topic_arns, topic_key
from guardduty_response.incident.outbox.pace import SUBSCRIPTIONS
from guardduty_response.incident.table import Table

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient

LOOK_SECONDS = 300
# What Amazon SNS gives in place of a subscription's ARN (Amazon SNS API reference, Subscribe).
_PENDING, _DELETED = "PendingConfirmation", "Deleted"


class SubscriptionsRecord(TypedDict, total=False):
    """Declares the item OUTBOX#topic/SUBSCRIPTIONS.

    ``confirmed`` is absent where the subscriptions could not be read.
    """

    checked_at: str
    expected: int
    confirmed: int
    pending: int
    problem: str  # a sentence, or empty


@dataclass(frozen=True)
class _Found:
    confirmed: int
    pending: int


def look(table: Table) -> list[str]:
    """Reads the subscriptions of each topic that was not looked at in the last minutes.

    A topic with a problem is looked at in each run, so that the record says soon that it is mended.
    Records what was found, writes a metric for the alarm where something is wrong, and returns
    the problems.
    """
    expected: dict[str, int] = json.loads(os.environ.get("GDR_EXPECTED_SUBSCRIPTIONS") or "{}")
    problems = []
    for topic, arn in topic_arns().items():
        count = expected.get(topic, 1)
        stored = table.get(topic_key(topic), SUBSCRIPTIONS) or {}
        checked_at = stored.get("checked_at")
        fresh = checked_at and seconds_left(checked_at, LOOK_SECONDS)
        settled = not stored.get("problem") and stored.get("expected") == count
        if count == 0:
            if "confirmed" in stored:  # it would be taken for what is so now
                unknown: SubscriptionsRecord = {"checked_at": now(), "expected": 0, "problem": ""}
                table.put({"pk": topic_key(topic), "sk": SUBSCRIPTIONS, **unknown})
            continue
        if fresh and settled:
            continue
        record = _look_at(topic, arn, count)
        table.put({"pk": topic_key(topic), "sk": SUBSCRIPTIONS, **record})
        if record["problem"]:
            problems.append(record["problem"])
            log("subscriptions", topic=topic, problem=record["problem"])
            metric("TopicsWithoutSubscribers", 1, topic=topic)
    return problems


def _look_at(topic: str, arn: str, expected: int) -> SubscriptionsRecord:
    record: SubscriptionsRecord = {"checked_at": now(), "expected": expected, "problem": ""}
    try:
        found = _read(arn)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"[:300]
        return {
            **record,
            "problem": f"The subscriptions of topic {arn} could not be read ({why}), so nobody"
            " knows who gets its messages.",
        }
    record |= {"confirmed": found.confirmed, "pending": found.pending}
    if found.confirmed < expected or found.pending:
        record["problem"] = (
            f"Topic {arn} has {found.confirmed} confirmed subscriptions where {expected} are"
            f" expected (notifications{'' if topic == NOTIFICATIONS else '.escalation'}"
            f".expected_subscriptions), and {found.pending} that wait for a confirmation. Confirm"
            " them, subscribe again, or correct the number."
        )
    return record


def _read(arn: str) -> _Found:
    sns: AwsClient = clients.client("sns")
    confirmed = pending = 0
    request: dict[str, str] = {"TopicArn": arn}
    while True:
        page = sns.list_subscriptions_by_topic(**request)
        for subscription in page["Subscriptions"]:
            state = subscription["SubscriptionArn"]
            pending += state == _PENDING
            confirmed += state not in (_PENDING, _DELETED)
        if not page.get("NextToken"):
            return _Found(confirmed, pending)
        request["NextToken"] = page["NextToken"]

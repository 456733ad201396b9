"""Limits how many messages a topic gets: single messages by the minute and the hour, and digests.

Amazon SNS suspends an e-mail subscription that gets more than ten messages a second (Amazon SNS
Developer Guide, "Amazon SNS email subscription setup and management"), and nobody reads that many.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from guardduty_response.aws import clients
from guardduty_response.aws.dynamodb_types import Item, item
from guardduty_response.aws.log import log
from guardduty_response.incident.moments import seconds_left
from guardduty_response.incident.outbox.message import topic_key
from guardduty_response.incident.table import Table

# An incident that is contained has three messages. Two of them in two minutes are told message by
# message; what comes beyond that goes out in a digest a minute later.
MESSAGES_A_MINUTE = 6
# An hour that brings more than so many minutes' limit is told in digests: few a minute are too many
# when it goes on.
BUSY_MINUTES = 10
# Digests go out every minute at first; after so many in an hour they wait for each other.
PROMPT_DIGESTS, DIGEST_MINUTES = 10, 5
SUBSCRIPTIONS = "SUBSCRIPTIONS"  # sort key of what is known of a topic's subscriptions
# The watchdog looks every few minutes. What it saw longer ago says nothing of now.
SEEN_SECONDS = 3_600
_MINUTE = "MINUTE#"
_RETENTION_SECONDS = 86_400


class Subscribers(StrEnum):
    """Says who is subscribed to a topic, as far as is known."""

    SOME = "some"
    NONE = "none"  # at the last look no subscription was confirmed
    UNKNOWN = "unknown"  # not looked at, not lately, or the look failed

    @classmethod
    def of(cls, stored: list[Item]) -> Subscribers:
        """Returns what the item SUBSCRIPTIONS says, if there is one."""
        for known in stored:
            checked_at, confirmed = str(known.get("checked_at") or ""), known.get("confirmed")
            if confirmed is not None and checked_at and seconds_left(checked_at, SEEN_SECONDS):
                return cls.SOME if confirmed else cls.NONE
        return cls.UNKNOWN


@dataclass(frozen=True)
class Slot:
    """Says whether a message may be sent by itself now.

    ``subscribers``: of the topic. ``digest``: a digest may be sent now.
    """

    free: bool
    subscribers: Subscribers
    minute: str
    digest: bool = True


@dataclass(frozen=True)
class Request:
    """Holds the calls that ask for a slot, under way."""

    minute: str
    counted: Future[int]
    known: Future[list[Item]]

    def slot(self) -> Slot:
        """Returns the slot. Pacing that cannot be read or counted keeps nobody from hearing."""
        try:
            count, known = self.counted.result(), self.known.result()
        except Exception as error:
            log("message not paced", detail=f"{type(error).__name__}: {error}"[:300])
            return Slot(True, Subscribers.UNKNOWN, "")
        minutes = [stored for stored in known if str(stored["sk"]).startswith(_MINUTE)]
        earlier = {str(stored["sk"]): int(stored.get("messages", 0)) for stored in minutes}
        earlier.pop(self.minute, None)
        subscriptions = [stored for stored in known if stored["sk"] == SUBSCRIPTIONS]
        subscribers = Subscribers.of(subscriptions)
        # A burst that goes on stays in digests until there was a quiet minute. The minute before
        # counts too: else twice the limit could go out in the second in which a minute ends.
        busy = count + earlier.get(_before(self.minute, 1), 0) > limit()
        busy = busy or count + sum(earlier.values()) > limit() * BUSY_MINUTES
        digests = [str(stored["sk"]) for stored in minutes if stored.get("digests")]
        due = len(digests) < PROMPT_DIGESTS or max(digests) <= _before(self.minute, DIGEST_MINUTES)
        return Slot(not busy, subscribers, self.minute, due)


def limit() -> int:
    """Returns how many single messages a topic gets in a minute."""
    return int(os.environ.get("GDR_MESSAGES_A_MINUTE") or MESSAGES_A_MINUTE)


def _before(minute: str, minutes: int) -> str:
    """Returns the sort key of so many minutes before that of ``minute``."""
    return _sort_key(
        datetime.fromisoformat(minute.removeprefix(_MINUTE)) - timedelta(minutes=minutes)
    )


def _sort_key(at: datetime) -> str:
    return f"{_MINUTE}{at.isoformat(timespec='minutes')}"


def present() -> datetime:
    """Returns the present time. Tests that simulate time replace it."""
    return datetime.now(UTC)


def ask(table: Table, topic: str) -> Request:
    """Counts a message of this minute, beside whatever else the caller does."""
    at = present()
    minute, before = _sort_key(at), _sort_key(at - timedelta(minutes=59))
    gone = {"expires_at": int(time.time()) + _RETENTION_SECONDS}
    key = topic_key(topic)
    return Request(
        minute,
        clients.POOL.submit(table.count, key, minute, "messages", 1, gone),
        clients.POOL.submit(
            table.query,
            KeyConditionExpression="pk = :pk AND sk >= :before",
            ExpressionAttributeValues=item({":pk": key, ":before": before}),
        ),
    )


def count_digest(table: Table, topic: str, slot: Slot) -> None:
    """Counts that digests were sent now. What cannot be counted keeps nobody from hearing."""
    if not slot.minute:
        return
    try:
        table.count(topic_key(topic), slot.minute, "digests", 1)
    except Exception as error:
        log("digest not counted", detail=f"{type(error).__name__}: {error}"[:300])


def give_back(table: Table, topic: str, slot: Slot) -> None:
    """Takes back the count of a message that was not sent."""
    if not slot.minute:
        return
    try:
        table.count(topic_key(topic), slot.minute, "messages", -1)
    except Exception as error:
        log("slot not given back", detail=f"{type(error).__name__}: {error}"[:300])

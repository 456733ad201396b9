"""Writes messages and sends them: each is claimed before it is sent, and marked afterwards.

At least once: who dies between sending and marking leaves a claim that ends, and the message is
sent again. A message that cannot be sent waits (outbox/waiting.py); the incident goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.dynamodb_types import Item, item, plain
from guardduty_response.aws.log import log
from guardduty_response.evidence import store
from guardduty_response.incident import timeline
from guardduty_response.incident.moments import from_now, now
from guardduty_response.incident.outbox import pace
from guardduty_response.incident.outbox.message import (
    address,
    sort_key,
    text_key,
    topic_arns,
)
from guardduty_response.incident.table import Table, condition_failed, incident_key, shard_of

if TYPE_CHECKING:
    from guardduty_response.incident.model import MessageAttributes, MessageRecord, TimelineEvent
    from guardduty_response.incident.table import Write

# Longer than any function that sends may run (120 s), so that nobody sends beside it.
CLAIM_SECONDS = 150
# A longer text is stored in S3, by its hash (DynamoDB: 400 KB an item).
INLINE_BYTES = 64 * 1024


class Sent(NamedTuple):
    """Says what became of a message.

    ``new``: it was written now, not by an earlier try. ``sent``: Amazon SNS has taken it for every
    topic; what it then delivers, it tells nobody but its metrics. ``nobody``: a topic that has it
    had no confirmed subscription. ``unknown``: whether one had is not known.
    """

    new: bool
    sent: bool = False
    nobody: bool = False
    unknown: bool = False

    @property
    def reached(self) -> bool:
        """Tells whether people have got a message that was written now, as far as is known."""
        return self.sent and not self.nobody

    @property
    def doubt(self) -> str:
        """Returns what to add where it says that people were notified; empty: nothing."""
        return "; whether anybody is subscribed is not known" if self.unknown else ""


@dataclass(frozen=True)
class Text:
    """What people read."""

    subject: str
    body: str


def write_and_send(
    table: Table,
    message: MessageRecord,
    text: Text,
    topics: Sequence[str],
    event: TimelineEvent | None = None,
) -> Sent:
    """Writes a message for each topic, and sends it at once, unless it is deferred or the topic's
    limit is used up: then it waits for a digest.

    Writes nothing if people were told for this reason before. ``event`` is written to the timeline
    with the message, or not at all. Raises botocore ClientError when the table cannot be written;
    what goes wrong later never raises, and the message waits.
    """
    deferred = bool(message.get("hold_until"))
    slots = {} if deferred else {topic: pace.ask(table, topic) for topic in topics}
    records = [_new(message, text, topic, deferred) for topic in topics]
    refused = table.transact(_writes(records, text, event))
    if refused:
        for topic, request in slots.items():
            pace.give_back(table, topic, request.slot())
        return Sent(new=False)
    if deferred:
        return Sent(new=True)
    sending = [
        clients.POOL.submit(_send_new, table, record, text, slots[record["topic"]])
        for record in records
    ]
    outcomes = [future.result() for future in sending]
    return Sent(
        True,
        all(outcome.sent for outcome in outcomes),
        any(outcome.nobody for outcome in outcomes),
        any(outcome.unknown for outcome in outcomes),
    )


def _new(message: MessageRecord, text: Text, topic: str, deferred: bool) -> MessageRecord:
    incident_id, at = message["incident_id"], now()
    made: MessageRecord = {
        **message,
        "pk": incident_key(incident_id),
        "sk": sort_key(topic, message["reason"]),
        "topic": topic,
        "subject": text.subject,
        "written_at": at,
        "outbox": shard_of(incident_id),
        "tries": 0,
    }
    if not deferred:
        made["sending_until"] = from_now(CLAIM_SECONDS)
    return made


def _writes(records: list[MessageRecord], text: Text, event: TimelineEvent | None) -> list[Write]:
    first = {"ConditionExpression": "attribute_not_exists(pk)"}
    writes: list[Write] = [{"Put": {"Item": item(record), **first}} for record in records]
    incident_id, reason = records[0]["incident_id"], records[0]["reason"]
    stored = {"pk": text_key(incident_id), "sk": reason, **_wrapped(incident_id, text.body)}
    writes.append({"Put": {"Item": item(stored)}})
    if event:
        writes.append({"Put": {"Item": item(event)}})
    return writes


def _wrapped(incident_id: str, body: str) -> Item:
    """Returns how a text is stored: itself, or where in S3 it is and its hash."""
    content = json.dumps(body).encode()
    if len(content) <= INLINE_BYTES:
        return {"body": body}
    name = f"message-{hashlib.sha256(content).hexdigest()[:16]}.json"
    try:
        return {"stored": dict(store.put(incident_id, name, content))}
    except Exception as error:  # people must hear of it all the same
        log("text of a message is cut", incident_id=incident_id, detail=f"{error}"[:300])
        cut = body.encode()[:INLINE_BYTES].decode(errors="ignore")
        return {"body": f"{cut}\n\nCut here: the whole text could not be stored."}


def body_of(table: Table, incident_id: str, reason: str) -> str:
    """Returns the text of a message."""
    stored = table.get(text_key(incident_id), reason) or {}
    if "stored" in stored:
        return str(store.get_verified(stored["stored"]))
    return str(stored.get("body", ""))


def _send_new(table: Table, record: MessageRecord, text: Text, request: pace.Request) -> Sent:
    """Sends a message whose claim was written with it."""
    slot = request.slot()
    if not slot.free:
        give_up_claim(table, record)
        return Sent(new=True)
    if send(table, record, text, slot.subscribers):
        nobody = slot.subscribers is pace.Subscribers.NONE
        return Sent(True, True, nobody, slot.subscribers is pace.Subscribers.UNKNOWN)
    pace.give_back(table, record["topic"], slot)
    return Sent(new=True)


def send(table: Table, record: MessageRecord, text: Text, subscribers: pace.Subscribers) -> bool:
    """Sends a message that the caller has claimed; returns whether the topic has it."""
    message_id = publish(table, [record], text, record["attributes"])
    if not message_id:
        return False
    mark(table, record, {"message_id": message_id}, subscribers)
    return True


def publish(
    table: Table,
    records: Sequence[MessageRecord],
    text: Text,
    attributes: MessageAttributes,
) -> str:
    """Publishes a text to the topic of the messages; returns its ID, empty when that failed.

    The messages then wait.
    """
    topic = records[0]["topic"]
    try:
        answer = clients.client("sns").publish(
            TopicArn=topic_arns()[address(topic)],
            Subject=text.subject,
            Message=text.body,
            MessageAttributes=dict(attributes),
        )
        return str(answer["MessageId"])
    except Exception as error:
        why = f"{type(error).__name__}: {error}"[:500]
        log("publish failed", topic=topic, messages=len(records), detail=why)
        for record in records:
            record["error"] = why
        if len(records) == 1:
            _wait(table, records[0])
        else:
            for waits in [clients.POOL.submit(_wait, table, record) for record in records]:
                waits.result()
        return ""


def mark(
    table: Table, record: MessageRecord, sent: MessageRecord, subscribers: pace.Subscribers
) -> None:
    """Records that a message is sent. What cannot be recorded is sent again."""
    nobody = subscribers is pace.Subscribers.NONE
    changes = {"sent_at": now(), "nobody": nobody, "subscribers": subscribers, **sent}
    remove = ["outbox", "sending_until", "hold_until", "error"]
    try:
        table.update(record["pk"], record["sk"], changes, add={"tries": 1}, remove=remove)
    except Exception as error:
        log("message not marked", sk=record["sk"], detail=f"{type(error).__name__}: {error}"[:300])
    if record.get("tries"):
        detail = f"{record['subject']} ({record['topic']}), {record['tries']} tries before"
        note(table, record["incident_id"], "message sent", detail)
    if nobody:
        detail = f"{record['subject']}: topic {record['topic']} has no confirmed subscription"
        note(table, record["incident_id"], "published to nobody", detail)


def _wait(table: Table, record: MessageRecord) -> None:
    """Leaves a message to the next run of the schedule. Says so in the timeline the first time.

    Why it waits is in the message.
    """
    why = record["error"]
    try:
        table.update(
            record["pk"], record["sk"], {"error": why}, add={"tries": 1}, remove=["sending_until"]
        )
    except Exception as error:
        log("message keeps its claim", sk=record["sk"], detail=f"{error}"[:300])
    if not record.get("tries"):
        detail = f"{record['subject']} ({record['topic']}): {why}"
        note(table, record["incident_id"], "message waits", detail)


def note(table: Table, incident_id: str, name: str, detail: str) -> None:
    """Appends to the timeline; a timeline that cannot be written keeps no message from going."""
    try:
        table.put(timeline.entry(incident_id, name, detail))
    except Exception as error:
        log(name, incident_id=incident_id, detail=detail, error=f"{error}"[:300])


def give_up_claim(table: Table, record: MessageRecord) -> None:
    """Lets others send a message that the caller has claimed."""
    try:
        table.update(record["pk"], record["sk"], {}, remove=["sending_until"])
    except Exception as error:
        log("message keeps its claim", sk=record["sk"], detail=f"{error}"[:300])


def claim(table: Table, record: MessageRecord) -> MessageRecord | None:
    """Claims a message that waits. Returns it as it is now, or None: somebody else sends it."""
    values = {":until": from_now(CLAIM_SECONDS), ":now": now()}
    try:
        answer = table.client.update_item(
            TableName=table.name,
            Key=item({"pk": record["pk"], "sk": record["sk"]}),
            UpdateExpression="SET sending_until = :until",
            ConditionExpression=(
                "attribute_exists(outbox)"
                " AND (attribute_not_exists(sending_until) OR sending_until < :now)"
            ),
            ExpressionAttributeValues=item(values),
            ReturnValues="ALL_NEW",
        )
    except ClientError as error:
        if condition_failed(error):
            return None
        raise
    return plain(answer["Attributes"])  # type: ignore[return-value]

"""Sends what waits in the outbox, for the watchdog's schedule: one by one, or in digests.

A message waits because its topic could not be reached, because many came at once, or because it is
held for the digest of a containment that is lost again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypedDict, cast

from guardduty_response.aws import clients
from guardduty_response.aws.dynamodb_types import item
from guardduty_response.aws.log import log, metric
from guardduty_response.incident.incident_links import Reading
from guardduty_response.incident.model import IncidentRecord, MessageRecord
from guardduty_response.incident.moments import from_now, now
from guardduty_response.incident.outbox import digest, pace, sender
from guardduty_response.incident.outbox.history import history_of, messages_of
from guardduty_response.incident.outbox.message import INDEX, address, topic_arns
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.incident.table import SHARDS, Table

# People are alarmed of what has waited for longer.
LATE_MINUTES = 10
# Containment that was lost so often in so many hours is told of in one message an hour.
LOSSES, LOSS_HOURS = 3, 24

# Amazon SNS API reference, Publish: errors.
_REFUSALS = ("InvalidParameter", "ValidationException")

Unit = list[MessageRecord]  # messages that go out together


class Delivered(TypedDict):
    """Declares how many messages were sent, in how many publications, and how many still wait."""

    sent: int
    publications: int
    waiting: int


class _Batch(NamedTuple):
    """Holds what was sent of a topic's messages, and in how many publications."""

    sent: int = 0
    publications: int = 0


class _StatusOfNow(NamedTuple):
    """Holds an incident's status, and what it and its children come to together."""

    status: Status
    overall: Status


def send_waiting(table: Table) -> Delivered:
    """Sends what waits and is not claimed, oldest first; escalations before notifications."""
    waiting = _waiting(table)
    _report_late(waiting)
    due = [record for record in waiting if _is_due(record)]
    sent = publications = 0
    for topic in topic_arns():
        mine = [record for record in due if address(record["topic"]) == topic]
        try:
            batch = _send_topic(table, topic, _units(mine))
        except Exception as error:  # the other topic is not delayed
            log("outbox failed", topic=topic, detail=f"{type(error).__name__}: {error}"[:300])
            continue
        sent, publications = sent + batch.sent, publications + batch.publications
    return {"sent": sent, "publications": publications, "waiting": len(waiting) - sent}


def _waiting(table: Table) -> list[MessageRecord]:
    """Returns what the index knows to be unsent, oldest first. It may lag by a moment."""
    queries = [
        clients.POOL.submit(
            table.query,
            IndexName=INDEX,
            KeyConditionExpression="outbox = :shard",
            ExpressionAttributeValues=item({":shard": str(shard)}),
        )
        for shard in range(SHARDS)
    ]
    found = [stored for query in queries for stored in query.result()]
    return cast("list[MessageRecord]", sorted(found, key=lambda stored: stored["written_at"]))


def _is_due(record: MessageRecord) -> bool:
    at = now()
    return record.get("sending_until", "") < at and record.get("hold_until", "") < at


def _is_refused(record: MessageRecord) -> bool:
    """Tells whether SNS refused the message for what it says, and not because of the topic."""
    return any(code in record.get("error", "") for code in _REFUSALS)


def _units(records: Sequence[MessageRecord]) -> list[Unit]:
    units: dict[str, Unit] = {}
    for record in records:
        key = f"{record['incident_id']} {record.get('group') or record['sk']}"
        units.setdefault(key, []).append(record)
    return list(units.values())


def _send_topic(table: Table, topic: str, units: list[Unit]) -> _Batch:
    """Sends a topic's messages; stops at the first that cannot be sent."""
    # What SNS refuses for its content goes out as lines of digests of their own, after all others.
    refused = [unit for unit in units if any(map(_is_refused, unit))]
    units = [unit for unit in units if unit not in refused]
    single, takes_more = _Batch(), True
    if len(units) <= pace.limit():
        single, takes_more = _send_single(table, topic, units)
    if not takes_more or not (units or refused):
        return single
    slot = pace.ask(table, topic).slot()
    if not slot.digest:
        return single
    digests = _send_digests(table, units, refused, slot.subscribers)
    if digests.publications:
        pace.count_digest(table, topic, slot)
    return _Batch(single.sent + digests.sent, single.publications + digests.publications)


def _send_single(table: Table, topic: str, units: list[Unit]) -> tuple[_Batch, bool]:
    """Sends messages by themselves while there are slots, and takes those out of ``units``.

    Also returns whether the topic takes messages.
    """
    sent = publications = 0
    while units:
        slot = pace.ask(table, topic).slot()
        instead_of_digest = not slot.free and len(units) == 1 and slot.digest
        if not (slot.free or instead_of_digest):
            break
        count = _send_unit(table, units.pop(0), slot)
        if not count:
            pace.give_back(table, topic, slot)
        elif instead_of_digest:
            pace.count_digest(table, topic, slot)
        if count is None:
            return _Batch(sent, publications), False
        sent, publications = sent + count, publications + bool(count)
    return _Batch(sent, publications), True


def _send_digests(
    table: Table, units: list[Unit], refused: list[Unit], subscribers: pace.Subscribers
) -> _Batch:
    sent = publications = 0
    # Claimed before they are named, so that two runs at once do not name the same incident.
    claimed, apart = (
        _claim_all(table, [record for unit in group for record in unit])
        for group in (units, refused)
    )
    claimed, apart = (_with_status_of_now(table, group)[0] for group in (claimed, apart))
    digests = [*digest.compose(claimed), *digest.compose(apart)]
    for number, (inside, text) in enumerate(digests):
        if not _publish(table, inside, text, subscribers):
            if all(map(_is_refused, inside)):
                continue
            _give_up_claims(table, [record for left, _ in digests[number + 1 :] for record in left])
            break
        sent, publications = sent + len(inside), publications + 1
    return _Batch(sent, publications)


def _send_unit(table: Table, unit: Unit, slot: pace.Slot) -> int | None:
    """Sends messages that go out together; returns how many, None if the topic takes nothing.

    What is refused for its content goes out in a digest of the next run.
    """
    claimed = _claim_all(table, unit)
    if not claimed:
        return 0
    claimed, is_now = _with_status_of_now(table, claimed)
    last = claimed[-1]
    body = _body(table, last)
    if len(claimed) == 1 and not last.get("group"):
        ok = sender.send(
            table,
            last,
            sender.Text(last["subject"], body),
            slot.subscribers,
        )
    else:
        history = history_of({}, messages_of(table, last["incident_id"]))
        text = digest.compose_fight(claimed, history, LOSS_HOURS, body, is_now)
        ok = _publish(table, claimed, text, slot.subscribers)
    if not ok:
        return 0 if all(map(_is_refused, claimed)) else None
    return len(claimed)


def _with_status_of_now(
    table: Table, records: list[MessageRecord]
) -> tuple[list[MessageRecord], bool]:
    """Returns the messages, with the status that their incidents have now where they were held.

    A message that was held for an hour must not say that what a person has restored meanwhile is
    contained. Also returns whether each status could be read. Reads an item for each incident.
    """
    repository = IncidentRepository(table.name, table.client)
    held = {record["incident_id"] for record in records if record.get("group")}
    reads = {incident_id: clients.POOL.submit(repository.meta, incident_id) for incident_id in held}
    found: dict[str, _StatusOfNow] = {}
    for incident_id, reading in reads.items():
        try:
            found[incident_id] = _status_of(repository, reading.result())
        except Exception as error:  # people must hear of the losses all the same
            why = f"{type(error).__name__}: {error}"[:300]
            log("status of now not read", incident_id=incident_id, detail=why)
    shown = [
        _as_now(record, found[record["incident_id"]]) if record["incident_id"] in found else record
        for record in records
    ]
    return shown, held == set(found)


def _status_of(repository: IncidentRepository, meta: IncidentRecord) -> _StatusOfNow:
    status = Status(meta["status"])
    return _StatusOfNow(status, Reading(repository, meta).links.overall(status))


def _as_now(record: MessageRecord, found: _StatusOfNow) -> MessageRecord:
    attributes = {**record["attributes"]}
    for name, value in found._asdict().items():
        attributes[name] = {"DataType": "String", "StringValue": value}
    return {**record, "status": found.status, "attributes": attributes}


def _body(table: Table, record: MessageRecord) -> str:
    """Returns the text of a message. One that cannot be read delays no message, not even itself."""
    try:
        return sender.body_of(table, record["incident_id"], record["reason"])
    except Exception as error:
        why = f"{type(error).__name__}: {error}"[:500]
        log("text of a message not read", incident_id=record["incident_id"], detail=why)
        sample = "Sample finding. " if digest.is_sample(record) else ""
        return (
            f"{sample}The text of this message could not be read ({why}). It is about incident"
            f" {record['incident_id']}, status {record['status']}: read its record in DynamoDB"
            f" table {table.name}."
        )


def _claim_all(table: Table, records: Sequence[MessageRecord]) -> list[MessageRecord]:
    """Claims messages; returns those that were won. One that fails keeps no other back."""
    claims = [clients.POOL.submit(sender.claim, table, record) for record in records]
    won: list[MessageRecord] = []
    for claim in claims:
        try:
            record = claim.result()
        except Exception as error:
            log("message not claimed", detail=f"{type(error).__name__}: {error}"[:300])
            continue
        if record:
            won.append(record)
    return won


def _give_up_claims(table: Table, records: Sequence[MessageRecord]) -> None:
    for done in [clients.POOL.submit(sender.give_up_claim, table, record) for record in records]:
        done.result()


def _publish(
    table: Table, records: list[MessageRecord], text: sender.Text, subscribers: pace.Subscribers
) -> bool:
    """Publishes a digest and marks the messages in it; returns whether the topic has it."""
    message_id = sender.publish(
        table,
        records,
        text,
        digest.attributes_of(records),
    )
    if not message_id:
        return False
    sent: MessageRecord = {"digest": message_id, "message_id": message_id}
    marks = [
        clients.POOL.submit(
            sender.mark,
            table,
            record,
            sent,
            subscribers,
        )
        for record in records
    ]
    for done in marks:
        done.result()
    return True


def _report_late(waiting: Sequence[MessageRecord]) -> None:
    """Writes a metric, for the alarm, where earlier runs could not send what waits."""
    before = from_now(-LATE_MINUTES * 60)
    late = [
        record
        for record in waiting
        if max(record["written_at"], record.get("hold_until", "")) < before
    ]
    if late:
        metric("MessagesWaiting", len(late), oldest=late[0]["written_at"])

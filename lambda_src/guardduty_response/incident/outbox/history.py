"""Tells what people were told about an incident, from its messages.

Releases before 0.2 kept that in META (told, breach_told, …). What is there counts as a message.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, cast

from guardduty_response.aws.dynamodb_types import item
from guardduty_response.incident.moments import from_now
from guardduty_response.incident.outbox.message import reason_for, word_of
from guardduty_response.incident.statuses import Status
from guardduty_response.incident.table import Table, incident_key

if TYPE_CHECKING:
    from typing import TypedDict

    from guardduty_response.incident.model import IncidentRecord, MessageRecord

    class OldFlags(TypedDict, total=False):
        """Declares what releases before 0.2 kept in META of what people were told."""

        told: str  # the status
        told_by: str  # ARN of the execution
        answer_told: list[str]  # as in IncidentRecord
        breach_told: list[str]  # as MessageRecord.losses
        closed_once: bool
        left_told: str  # why a loss was left to people
        death_told: str  # ARN of the execution that failed


MINOR_LOSS = "minor_loss"  # the event of a message about a loss that changes no status
_STATUSES = frozenset(map(str, Status))


class History(NamedTuple):
    """Holds the messages about an incident, oldest first, one for each reason.

    ``run``: the incident's present run (IncidentRecord).
    """

    messages: list[MessageRecord]
    run: str = ""

    @property
    def last_status(self) -> MessageRecord | None:
        """Returns the latest message that says what the incident, or a target, has come to."""
        return next((found for found in reversed(self.messages) if _is_status(found)), None)

    @property
    def status(self) -> str:
        """Returns the status that people were told last in this run, or an empty string."""
        last = self.last_status
        return last["event"] if last and last.get("run", "") == self.run else ""

    @property
    def has_ended(self) -> bool:
        """Tells whether people were told that the response of this run has ended."""
        ended = [found for found in self.messages if word_of(found["reason"]) == "ended"]
        return any(found.get("run", "") == self.run for found in ended)

    @property
    def known_losses(self) -> set[str]:
        """Returns what people know is lost: since the last message with another status."""
        known: set[str] = set()
        for found in filter(_is_status, reversed(self.messages)):
            if found["event"] != Status.CONTAINMENT_LOST:
                break
            known |= set(found.get("losses") or [])
        return known

    def losses_since(
        self, hours: float, resource: str, event: str = Status.CONTAINMENT_LOST
    ) -> list[MessageRecord]:
        """Returns the messages that told of a new loss of a resource's containment lately.

        ``event``: MINOR_LOSS for those in which it stayed contained.
        """
        since = from_now(hours=-hours)
        return [
            found
            for found in self.messages
            if found["event"] == event
            and found.get("losses")
            and found.get("resource") == resource
            and found.get("written_at", "") > since
        ]

    def has(self, reason: str) -> bool:
        """Tells whether people were told for this reason."""
        return any(found["reason"] == reason for found in self.messages)

    def with_message(self, message: MessageRecord) -> History:
        """Returns the history after one more message."""
        return self._replace(messages=[*self.messages, message])


def history_of(meta: IncidentRecord, items: Iterable[MessageRecord]) -> History:
    """Returns what people were told. ``items``: the incident's MESSAGE items."""
    by_reason: dict[str, MessageRecord] = {}
    for stored in items:
        by_reason[stored["reason"]] = stored.copy()
    written = sorted(by_reason.values(), key=lambda message: message["written_at"])
    return History([*_flags(meta), *written], meta.get("run") or "")


def messages_of(table: Table, incident_id: str) -> list[MessageRecord]:
    """Returns the incident's MESSAGE items."""
    found = table.query(
        KeyConditionExpression="pk = :pk AND begins_with(sk, :message)",
        ConsistentRead=True,
        ExpressionAttributeValues=item({":pk": incident_key(incident_id), ":message": "MESSAGE#"}),
    )
    return cast("list[MessageRecord]", found)


def reason_left(why: str, history: History) -> str:
    """Returns the reason of a message that says why a loss is left to people."""
    last = history.last_status
    return reason_for("left", why, last["reason"] if last else "")


def reason_failed(execution: str) -> str:
    """Returns the reason of a message that says that an execution failed."""
    return reason_for("execution", execution)


def _is_status(message: MessageRecord) -> bool:
    return message["event"] in _STATUSES


def _flags(meta: IncidentRecord) -> list[MessageRecord]:
    """Returns what the flags of releases before 0.2 in META say, as messages."""
    flags = cast("OldFlags", meta)
    messages: list[MessageRecord] = []
    status, answer = flags.get("told") or "", list(flags.get("answer_told") or [])
    if answer and answer[0] != status:
        messages.append(
            _flag(
                "status",
                event=answer[0],
                answer=answer,
                run="before",
            )
        )
    if status:
        messages.append(
            _flag(
                "status",
                event=status,
                losses=list(flags.get("breach_told") or []),
                execution=flags.get("told_by") or "",
                answer=answer if answer and answer[0] == status else [],
            )
        )
    if flags.get("closed_once"):
        messages.append(_flag("ended", event="closing"))
    if flags.get("left_told"):
        left = reason_left(flags["left_told"], History(messages))
        messages.append(_flag("", event="problem", reason=left))
    if "death_told" in flags:
        failed = reason_failed(flags["death_told"])
        messages.append(_flag("", event="problem", reason=failed))
    return messages


def _flag(word: str, **fields: object) -> MessageRecord:
    return cast("MessageRecord", {"reason": f"{word}#0.1", "written_at": "", "run": "", **fields})

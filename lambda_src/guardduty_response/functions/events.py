"""Declares what AWS hands to the functions, as far as it is read."""

from __future__ import annotations

from typing import NotRequired, Protocol, TypedDict


class LambdaContext(Protocol):
    """Declares the context object (AWS Lambda, "context object in Python")."""

    def get_remaining_time_in_millis(self) -> int: ...


class MessageAttribute(TypedDict):
    """Declares a message attribute of Amazon SQS."""

    stringValue: NotRequired[str]


class QueueMessage(TypedDict):
    """Declares what is read of a message as AWS Lambda hands it on (event source Amazon SQS)."""

    messageId: str
    body: NotRequired[str]
    messageAttributes: NotRequired[dict[str, MessageAttribute]]


class EndedExecution(TypedDict):
    """Declares what is read of an event's ``detail`` (AWS Step Functions, "Step Functions
    Execution Status Change").

    ``input`` and ``cause`` are left out where they are large.
    """

    executionArn: str
    status: str
    input: NotRequired[str | None]
    cause: NotRequired[str | None]

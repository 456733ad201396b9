"""Lets Amazon SNS fail, hang for a moment, or lose the sender, in tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError

Json = dict[str, Any]


class SenderDied(BaseException):
    """Ends a function as the end of its process does: nothing catches it."""


def down(_: Json) -> None:
    """Answers as Amazon SNS does when it throttles."""
    answer: Any = {
        "Error": {"Code": "Throttled", "Message": "Rate exceeded"},
        "ResponseMetadata": {"HTTPStatusCode": 429},
    }
    raise ClientError(answer, "Publish")


@contextmanager
def publishing(
    before: Callable[[Json], None] | None = None,
    after: Callable[[Json], None] | None = None,
    operation: str = "Publish",
) -> Iterator[list[Json]]:
    """Calls ``before`` and ``after`` around each Publish; yields the requests that were made."""
    requests: list[Json] = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def around(self: Any, name: str, arguments: Json) -> Any:
        if name != operation:
            return call(self, name, arguments)
        if before:
            before(arguments)
        answer = call(self, name, arguments)
        requests.append(arguments)
        if after:
            after(arguments)
        return answer

    with patch.object(BaseClient, "_make_api_call", around):
        yield requests

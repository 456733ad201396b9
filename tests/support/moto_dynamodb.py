"""Lets moto's DynamoDB answer a single request at a time.

For a transaction, moto copies all tables without a lock, and puts the copy back when a condition
fails: a write of another thread then breaks the copying, or is lost. DynamoDB does neither.
"""

from __future__ import annotations

import threading
from typing import Any

from moto.dynamodb.responses import DynamoHandler

_LOCK = threading.RLock()
_CALL = DynamoHandler.call_action


def _call_alone(self: DynamoHandler) -> Any:
    with _LOCK:
        return _CALL(self)


def take_turns() -> None:
    DynamoHandler.call_action = _call_alone  # type: ignore[method-assign]

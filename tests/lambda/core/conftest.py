"""Fixtures of the core's tests: an incident's beginnings and API calls that are atomic, as AWS's are."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from botocore.client import BaseClient
from guardduty_response.record import Record
from lambda_world import TABLE, World


@pytest.fixture
def record(world: World) -> Record:
    return Record(TABLE)


@pytest.fixture
def atomic(monkeypatch: pytest.MonkeyPatch) -> None:
    """One API call at a time: moto checks a condition and writes in two steps, DynamoDB does not."""
    lock, call = threading.Lock(), BaseClient._make_api_call  # type: ignore[attr-defined]

    def one(self: Any, operation: str, arguments: Any) -> Any:
        with lock:
            return call(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", one)

"""An AWS of a test's own on moto, for the labs of all playbooks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from guardduty_response.aws import clients
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber


@contextmanager
def empty_aws(monkeypatch: pytest.MonkeyPatch, region: str, *caches: Any) -> Iterator[None]:
    """Starts an empty AWS in ``region``, with invented credentials.

    The response's clients are forgotten before and after, and so is what ``caches`` hold.
    """
    for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    forgotten = (clients.client, clients._own, *caches)
    with mock_aws():
        for cache in forgotten:
            cache.cache_clear()
        yield
    for cache in forgotten:
        cache.cache_clear()


def one_at_a_time() -> Callable[..., Any]:
    """moto's answer to a request, to put in its place: moto is not safe for threads; AWS is."""
    answer, lock = BotocoreStubber.process_request, threading.RLock()

    def locked(*arguments: Any) -> Any:
        with lock:
            return answer(*arguments)

    return locked


def create_incident_table(region: str) -> None:
    """Creates an empty table for incidents, without its index."""
    boto3.client("dynamodb", region_name=region).create_table(
        TableName="incidents",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
        ],
    )

"""Tests which errors are worth repeating."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import botocore.retries.standard
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from guardduty_response.aws import clients, errors

from tests.support.repository import ROOT


def _error(code: str, status: int = 400, operation: str = "Publish") -> ClientError:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "code",
    [
        "Throttled",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "KMSThrottling",
        "KMSThrottlingException",
        "EC2ThrottledException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "PriorRequestNotComplete",
        "BandwidthLimitExceeded",
        "SlowDown",
        "RequestTimeout",
        "RequestTimeoutException",
    ],
)
def test_throttling_by_any_name_is_repeated(code: str) -> None:
    assert errors.is_transient(_error(code))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_status_says_so_too(status: int) -> None:
    assert errors.is_transient(_error("SomethingNew", status))


@pytest.mark.parametrize(
    "error",
    [
        _error("AccessDenied", 403),
        _error("ValidationException"),
        _error("ConditionalCheckFailedException"),
        _error("LimitExceeded", 409, "CreateRole"),  # IAM: a quota
        _error("LimitExceededException", 400, "CreateGrant"),  # AWS KMS: a quota
        _error("LimitExceededException", 400, "CreateSecret"),  # AWS Secrets Manager: a quota
        NoCredentialsError(),
        ValueError("no"),
    ],
)
def test_what_stays_is_not_repeated(error: Exception) -> None:
    assert not errors.is_transient(error)


@pytest.mark.parametrize("kind", [ReadTimeoutError, ConnectTimeoutError, EndpointConnectionError])
def test_a_connection_that_fails_is_repeated(kind: Any) -> None:
    assert errors.is_transient(kind(endpoint_url="https://sns.us-east-1.amazonaws.com"))


def test_botocores_own_lists_are_in_ours() -> None:
    known = errors.THROTTLING_CODES | errors.TIMEOUT_CODES
    standard: Any = botocore.retries.standard
    assert set(standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES) <= known
    assert set(standard.TransientRetryableChecker._TRANSIENT_ERROR_CODES) <= known
    rules = json.loads((Path(botocore.__file__).parent / "data" / "_retry.json").read_text())
    for name, rule in rules["definitions"].items():
        code = rule["applies_when"].get("response", {}).get("service_error_code")
        if code and re.search("throttl|throughput|limit", name):
            assert code in known


def test_a_call_that_hangs_at_every_attempt_ends_before_any_function_does() -> None:
    """Standard mode waits at most 1, 2, 4 … seconds between attempts."""
    pauses = sum(2**attempt for attempt in range(clients.ATTEMPTS - 1))
    longest = clients.ATTEMPTS * (clients.CONNECT_SECONDS + clients.READ_SECONDS) + pauses
    texts = [
        (ROOT / "modules" / name).read_text()
        for name in ("incident/functions.tf", "function/main.tf")
    ]
    found = [re.findall(r"^  timeout +=.*?(\d+)$", text, re.MULTILINE) for text in texts]
    limits = [int(seconds) for numbers in found for seconds in numbers]
    assert len(limits) == 2
    assert longest < min(limits)
    sns = clients.client("sns", "us-east-1").meta.config
    assert sns.retries["total_max_attempts"] == 2, "a message waits in the outbox instead"
    config = clients.client("sqs", "us-east-1").meta.config
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (
        clients.CONNECT_SECONDS,
        clients.READ_SECONDS,
        clients.ATTEMPTS,
    )

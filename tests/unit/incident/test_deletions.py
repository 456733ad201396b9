"""Functions delete leases and what leads to a containment, and no record."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients

from tests.support.leading_keys import deletable
from tests.unit.deployment import TABLE, Deployment


def _delete(pk: str) -> None:
    key = {"pk": {"S": pk}, "sk": {"S": "LEASE"}}
    clients.client("dynamodb").delete_item(TableName=TABLE, Key=key)


def test_both_policies_name_the_same_partitions() -> None:
    assert deletable() == ["MONITORING", "RESOURCE#*", "WATCHED#*"]


@pytest.mark.parametrize("pk", ["MONITORING", "RESOURCE#arn", "WATCHED#222222222222#i-1"])
def test_what_serves_the_moment_may_be_deleted(deployment: Deployment, pk: str) -> None:
    _delete(pk)


@pytest.mark.parametrize("pk", ["INCIDENT#inc-1", "CONTAINMENT#arn", "CONFIG", "OUTBOX#topic"])
def test_a_record_may_not(deployment: Deployment, pk: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        _delete(pk)

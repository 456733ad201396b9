"""Counts the resources that the response contains by itself (items BREAKER/time#playbook#arn)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from guardduty_response.aws.dynamodb_types import item
from guardduty_response.incident.table import Table

RETENTION_SECONDS = 86400  # after the time range has ended


class Counts(NamedTuple):
    """The numbers of distinct resources in a time range that ends now."""

    of_playbook: int
    of_account: int
    in_all: int


def _sort_key(seconds: float) -> str:
    # A fixed width, so that the order of the texts is the order of the times.
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class CircuitBreaker:
    """The markers of one deployment: an item for each resource and time, so that none grows."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def count_targets(
        self, playbook: str, account_id: str, arns: Iterable[str], minutes: int
    ) -> Counts:
        """Marks ``arns`` as contained now; returns what the last ``minutes`` contain with them.

        Each caller writes before it reads, and reads consistently. So of concurrent executions that
        exceed a limit together, no more than the limit see a count within it; all may see more.
        """
        at = time.time()
        for arn in sorted(set(arns)):
            self.table.put(
                {
                    "pk": "BREAKER",
                    "sk": f"{_sort_key(at)}#{playbook}#{arn}",
                    "playbook": playbook,
                    "account_id": account_id,
                    "arn": arn,
                    "expires_at": int(at) + minutes * 60 + RETENTION_SECONDS,
                }
            )
        markers = self.table.query(
            KeyConditionExpression="pk = :pk AND sk >= :since",
            ExpressionAttributeValues=item(
                {":pk": "BREAKER", ":since": _sort_key(at - minutes * 60)}
            ),
            ConsistentRead=True,
        )
        return Counts(
            of_playbook=_distinct(mark for mark in markers if mark["playbook"] == playbook),
            of_account=_distinct(mark for mark in markers if mark["account_id"] == account_id),
            in_all=_distinct(markers),
        )


def _distinct(markers: Iterable[dict[str, str]]) -> int:
    return len({marker["arn"] for marker in markers})

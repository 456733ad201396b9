"""Counts the resources that a playbook contains in a time range (items BREAKER#playbook)."""

from __future__ import annotations

import time

from guardduty_response.aws.dynamodb_types import item
from guardduty_response.incident.table import Table

RETENTION_SECONDS = 86400  # after the time range has ended


class CircuitBreaker:
    """The counters of one deployment."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def count_targets(self, playbook: str, arns: list[str], minutes: int) -> int:
        """Adds ``arns`` to the present time range; returns how many distinct ones it has.

        DynamoDB adds to a set atomically, so concurrent executions see each other.
        """
        start = int(time.time()) // (minutes * 60) * minutes * 60
        answer = self.table.client.update_item(
            TableName=self.table.name,
            Key=item({"pk": f"BREAKER#{playbook}", "sk": f"WINDOW#{start}"}),
            UpdateExpression="ADD targets :targets SET expires_at = :expires_at",
            ExpressionAttributeValues={
                ":targets": {"SS": sorted(set(arns))},
                ":expires_at": {"N": str(start + minutes * 60 + RETENTION_SECONDS)},
            },
            ReturnValues="ALL_NEW",
        )
        return len(answer["Attributes"]["targets"]["SS"])

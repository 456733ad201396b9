"""Limits how many batches of checks are in flight, by slots in the incident table.

A slot is an item MONITORING/SLOT#kind#number. The name of a batch begins with that of its slot, so
that the monitor function gives it back when it has ended; otherwise it ends by itself.
"""

from __future__ import annotations

import os
import secrets

from botocore.exceptions import ClientError

from guardduty_response.aws.dynamodb_types import item
from guardduty_response.incident.moments import from_now, now
from guardduty_response.incident.table import Table, condition_failed
from guardduty_response.monitoring.due import CLAIM_SECONDS

_PARTITION = "MONITORING"


def in_flight() -> int:
    """Returns how many slots each kind has (environment GDR_MONITOR_IN_FLIGHT).

    There are two kinds, so twice as many batches may be checked at a time.
    """
    return int(os.environ.get("GDR_MONITOR_IN_FLIGHT") or 2)


def take(table: Table, kind: str) -> str | None:
    """Takes a free slot, and returns the name of the batch that has it. None: there is none.

    ``kind``: schedule or change; each has as many.
    """
    for number in range(in_flight()):
        slot = f"{kind}-{number}"
        batch = f"{slot}-{secrets.token_hex(6)}"
        taken = table.put_if(
            {
                "pk": _PARTITION,
                "sk": f"SLOT#{slot}",
                "batch": batch,
                "busy_until": from_now(CLAIM_SECONDS),
            },
            "attribute_not_exists(pk) OR busy_until < :now",
            condition_values={":now": now()},
        )
        if taken:
            return batch
    return None


def free(table: Table, batch: str) -> None:
    """Gives back the slot of a batch, unless it is another batch's by now."""
    slot = batch.rpartition("-")[0]
    try:
        table.write(
            table.client.delete_item,
            TableName=table.name,
            Key=item({"pk": _PARTITION, "sk": f"SLOT#{slot}"}),
            ConditionExpression="#batch = :batch",
            ExpressionAttributeNames={"#batch": "batch"},
            ExpressionAttributeValues=item({":batch": batch}),
        )
    except ClientError as error:
        if not condition_failed(error):
            raise

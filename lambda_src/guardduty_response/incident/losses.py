"""Keeps the history of a containment's losses apart from the containment itself.

A program that undoes a containment every two minutes adds hundreds of items a day. Who reads the
containment must not read them, and who looks for such a program needs the newest alone. Items (pk
as the containment's): LOSS#0001#time, and MINOR#0001#time where it stayed contained. Earlier ones
are 0001#DRIFT#time, and are read too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from guardduty_response.aws.dynamodb_types import item
from guardduty_response.incident.containments import partition, sort_key
from guardduty_response.incident.table import Table

if TYPE_CHECKING:
    from guardduty_response.incident.model import ContainmentLoss

NEWEST = 200


def put(table: Table, arn: str, generation: int, loss: ContainmentLoss) -> None:
    """Records a loss, or its end: that replaces the loss, which was first seen at the same time."""
    stored = {
        "pk": partition(arn),
        "sk": f"{_prefix(generation, bool(loss.get('minor')))}{loss['at']}",
        "loss": dict(loss),
    }
    table.put(stored)


def newest(table: Table, arn: str, generation: int, minor: bool = False) -> list[ContainmentLoss]:
    """Returns the newest losses of a containment, NEWEST at most, oldest first.

    ``minor``: those alone in which it stayed contained; else those in which it did not.
    """
    found = _read(table, arn, _prefix(generation, minor))
    if len(found) < NEWEST:
        earlier = _read(table, arn, f"{sort_key(generation, 'DRIFT')}#")
        known = {loss["at"] for loss in found}
        found += [
            loss
            for loss in earlier
            if bool(loss.get("minor")) is minor and loss.get("at") not in known
        ]
    found.sort(key=lambda loss: str(loss.get("at") or ""))
    return found[-NEWEST:]


def _prefix(generation: int, minor: bool) -> str:
    return f"{'MINOR' if minor else 'LOSS'}#{generation:04d}#"


def _read(table: Table, arn: str, prefix: str) -> list[ContainmentLoss]:
    pages = table.pages(
        NEWEST,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
        ConsistentRead=True,
        ScanIndexForward=False,
        ExpressionAttributeValues=item({":pk": partition(arn), ":prefix": prefix}),
    )
    stored, _ = next(pages)
    return [cast("ContainmentLoss", found["loss"]) for found in stored]

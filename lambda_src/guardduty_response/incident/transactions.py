"""Splits writes into transactions that DynamoDB takes: 100 writes and 4 MB (TransactWriteItems)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardduty_response.incident.model import CheckRecord
    from guardduty_response.incident.table import Write

CHECKS_IN_TRANSACTION = 90  # with room for what else is written with them
BEFORES_IN_TRANSACTION = 50  # of 64 KB each


def batches(large: list[Write], small: list[Write]) -> list[list[Write]]:
    """Returns the writes as transactions, each with room for one write more.

    ``large``: those whose value may have 64 KB; they come first.
    """
    found = []
    while len(large) > BEFORES_IN_TRANSACTION or (
        large and len(large) + len(small) > CHECKS_IN_TRANSACTION
    ):
        found.append(large[:BEFORES_IN_TRANSACTION])
        large = large[BEFORES_IN_TRANSACTION:]
    rest = [*large, *small]
    for start in range(0, len(rest), CHECKS_IN_TRANSACTION):
        found.append(rest[start : start + CHECKS_IN_TRANSACTION])
    return found


def checks_by_key(checks: list[CheckRecord]) -> dict[str, CheckRecord]:
    """Returns the checks by a name of their own: two settings may share one."""
    found: dict[str, CheckRecord] = {}
    for check in checks:
        key, number = check["name"], 2
        while key in found:
            key, number = f"{check['name']} ({number})", number + 1
        found[key] = check
    return found

"""Counts the resources that the response contains by itself (items BREAKER/time#playbook#arn)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from guardduty_response.aws.dynamodb_types import item
from guardduty_response.incident.table import Table

RETENTION_SECONDS = 86400  # after the time range has ended


# The first page of markers that is read; each further one is twice as long (Table.pages).
PAGE = 100


class Counts(NamedTuple):
    """The numbers of distinct resources in a time range that ends now.

    ``complete``: False where there may be more, because a limit was seen to be exceeded before all
    was read.
    """

    of_playbook: int
    of_account: int
    in_all: int
    complete: bool = True

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Returns the numbers in the order of ``Limits``."""
        return self.of_playbook, self.of_account, self.in_all


class Limits(NamedTuple):
    """How many resources may be contained without a person; None: as many as there are."""

    of_playbook: int | None = None
    of_account: int | None = None
    in_all: int | None = None


_NO_LIMITS = Limits()


def _sort_key(seconds: float) -> str:
    # A fixed width, so that the order of the texts is the order of the times.
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class CircuitBreaker:
    """The markers of one deployment: an item for each resource and time, so that none grows."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def count_targets(
        self,
        playbook: str,
        account_id: str,
        arns: Iterable[str],
        minutes: int,
        limits: Limits = _NO_LIMITS,
        at: float | None = None,
    ) -> Counts:
        """Marks ``arns`` as contained now; returns what the last ``minutes`` contain with them.

        ``at``: seconds since 1970 that ``withdraw`` can name the marks by; now unless given.

        Each caller writes before it reads, and reads consistently. So of concurrent executions that
        exceed a limit together, no more than the limit see a count within it; all may see more.
        Reads the newest first, and no more once one of ``limits`` is exceeded: else each of
        thousands of findings would read the markers of all before it, from one partition.
        """
        at = time.time() if at is None else at
        expires_at = int(at) + minutes * 60 + RETENTION_SECONDS
        for arn in sorted(set(arns)):
            marked = {"account_id": account_id, "expires_at": expires_at}
            self.table.put({**_key(playbook, arn, at), **marked})
        pages = self.table.pages(
            PAGE,
            KeyConditionExpression="pk = :pk AND sk >= :since",
            ExpressionAttributeValues=item(
                {":pk": "BREAKER", ":since": _sort_key(at - minutes * 60)}
            ),
            ConsistentRead=True,
            ScanIndexForward=False,
        )
        of_playbook: set[str] = set()
        of_account: set[str] = set()
        in_all: set[str] = set()
        counts = Counts(0, 0, 0)
        for marks, is_last in pages:
            page = [mark for mark in marks if not mark.get("withdrawn")]
            of_playbook |= {mark["arn"] for mark in page if mark["playbook"] == playbook}
            of_account |= {mark["arn"] for mark in page if mark["account_id"] == account_id}
            in_all |= {mark["arn"] for mark in page}
            counts = Counts(len(of_playbook), len(of_account), len(in_all), is_last)
            if _exceeded(counts, limits):
                break
        return counts

    def withdraw(self, playbook: str, arns: Iterable[str], at: float) -> None:
        """Takes back marks that were made at ``at``: nothing was decided about these resources.

        They stay, and are not counted: the functions may delete nothing here.
        """
        for arn in sorted(set(arns)):
            expires_at = int(at) + RETENTION_SECONDS
            withdrawn = {"account_id": "", "withdrawn": True, "expires_at": expires_at}
            self.table.put({**_key(playbook, arn, at), **withdrawn})


def _key(playbook: str, arn: str, at: float) -> dict[str, str]:
    """Returns the keys of a mark, and the fields that they are made of."""
    sort = f"{_sort_key(at)}#{playbook}#{arn}"
    return {"pk": "BREAKER", "sk": sort, "playbook": playbook, "arn": arn}


def _exceeded(counts: Counts, limits: Limits) -> bool:
    return any(
        limit is not None and count > limit
        for count, limit in zip(counts.numbers, limits, strict=True)
    )

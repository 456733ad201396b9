"""``python -m benchmarks.monitoring_cost``: what monitoring costs a day, at AWS's list prices.

The figures of a check are limits: tests/benchmarks/test_monitoring_cost.py measures that a check
needs no more. Free tiers are left out. docs/costs.md has the tables that this prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .measure import Figure

MINUTES_A_DAY, DAYS_A_MONTH = 1440, 30
CHECKS_IN_A_BATCH, BATCHES_IN_FLIGHT = 50, 2
# A batch takes along what would be due within this part of its interval.
EARLY = 1 / 8
SHARDS = 8  # of the index "due"
MEMORY_GB = 1.0  # functions.memory_size


@dataclass(frozen=True)
class Price:
    """Holds a list price of us-east-1: so many USD for so many units, and the page it is from."""

    usd: float
    units: float
    unit: str
    page: str

    def of(self, quantity: float) -> float:
        """Returns what a quantity costs, in USD."""
        return quantity * self.usd / self.units


_LAMBDA, _DYNAMODB = (
    "https://aws.amazon.com/lambda/pricing/",
    "https://aws.amazon.com/dynamodb/pricing/on-demand/",
)
PRICES = {
    "invocations": Price(0.20, 1e6, "requests to Lambda", _LAMBDA),
    "compute": Price(16.6667, 1e6, "GB-seconds of Lambda (x86)", _LAMBDA),
    "reads": Price(0.125, 1e6, "read request units of DynamoDB", _DYNAMODB),
    "writes": Price(0.625, 1e6, "write request units of DynamoDB", _DYNAMODB),
    "schedules": Price(
        0,
        1,
        "scheduled events of an EventBridge rule",
        "https://aws.amazon.com/eventbridge/pricing/",
    ),
    "transitions": Price(
        0.025,
        1e3,
        "state transitions of Step Functions",
        "https://aws.amazon.com/step-functions/pricing/",
    ),
    "logs": Price(
        0.50, 1, "GB of CloudWatch Logs, ingested", "https://aws.amazon.com/cloudwatch/pricing/"
    ),
    "traces": Price(5.0, 1e6, "traces of X-Ray, recorded", "https://aws.amazon.com/xray/pricing/"),
    "objects": Price(0.0004, 1e3, "GET requests of S3", "https://aws.amazon.com/s3/pricing/"),
    "keys": Price(0.03, 1e4, "requests to KMS", "https://aws.amazon.com/kms/pricing/"),
    "metrics": Price(
        0.30, DAYS_A_MONTH, "custom metrics for a day", "https://aws.amazon.com/cloudwatch/pricing/"
    ),
}
# What others bill for the calls that checks make in the member accounts
INDUCED = {
    "guardduty": Price(
        4.0,
        1e6,
        "CloudTrail management events that GuardDuty analyzes",
        "https://aws.amazon.com/guardduty/pricing/",
    ),
    "second_trail": Price(
        2.0,
        1e5,
        "management events in a second trail (the first is free)",
        "https://aws.amazon.com/cloudtrail/pricing/",
    ),
}


@dataclass(frozen=True)
class CheckFigures:
    """Holds what one check of a containment needs at most.

    ``member_calls``: of a role in the member account; AssumeRole comes once for each batch.
    ``seconds``: of a function. ``reads`` and ``writes``: request units of the incident table, the
    indexes included.
    """

    member_calls: int
    seconds: float
    reads: float
    writes: float
    log_bytes: int
    objects: float = 1  # the finding, from the evidence bucket


# Writes: the claim, and the next time (1 for each item), in the index twice for each, because both
# change the due time, which is part of its key ("Working with GSIs", Amazon DynamoDB Developer
# Guide).
CHECKS: Mapping[str, CheckFigures] = {
    "ec2_instance": CheckFigures(member_calls=14, seconds=0.4, reads=14, writes=6, log_bytes=300),
    "iam_principal": CheckFigures(member_calls=12, seconds=0.25, reads=14, writes=6, log_bytes=300),
}
# An invocation of the monitoring function beside its checks: AssumeRole, the configuration, and the
# slot that limits how many there are at a time
INVOCATION = CheckFigures(
    member_calls=1, seconds=0.15, reads=1, writes=2, log_bytes=1200, objects=0
)
# An invocation of the reconciler each minute reads every shard: what is due, and what soon will be.
DISPATCH = CheckFigures(
    member_calls=0, seconds=0.3, reads=SHARDS, writes=0, log_bytes=1500, objects=0
)
WAIT_SECONDS = 1.0  # of the reconciler, for each time that all slots are taken
INDEX_ITEM_KB = 0.5
# What it looks at each minute of what is due soon: so much of each shard at most
SOON_MINUTES, FOUND = 360 * EARLY, 400


@dataclass(frozen=True)
class Load:
    """Says how much is monitored.

    ``groups``: the number of different (account, Region, playbook), which share no batch.
    """

    name: str
    containments: int
    interval_minutes: int
    groups: int
    playbook: str = "ec2_instance"


@dataclass(frozen=True)
class Day:
    """Holds what a day takes: quantities by the name of their price, and calls in members."""

    load: Load
    checks: float
    batches: float
    quantities: Mapping[str, float]
    member_calls: float

    @property
    def usd(self) -> float:
        """Returns what our own services cost, in USD a day."""
        return sum(PRICES[name].of(quantity) for name, quantity in self.quantities.items())


def batches_a_day(load: Load) -> float:
    """Returns how many invocations of the monitoring function a day takes at most.

    What is checked together is due together again, so a group needs no more batches in an interval
    than it has parts of which each takes the next along.
    """
    in_group = load.containments / load.groups
    in_interval = max(min(in_group, 1 / EARLY), in_group / CHECKS_IN_A_BATCH)
    return load.groups * in_interval * MINUTES_A_DAY / load.interval_minutes


def day(load: Load) -> Day:
    """Returns what a quiet day takes: nothing is lost, so no state machine starts."""
    check = CHECKS[load.playbook]
    checks = load.containments * MINUTES_A_DAY / load.interval_minutes
    batches = batches_a_day(load)
    parts = ((check, checks), (INVOCATION, batches), (DISPATCH, MINUTES_A_DAY))

    def total(name: str) -> float:
        return float(sum(getattr(part, name) * count for part, count in parts))

    waiting = WAIT_SECONDS * batches / BATCHES_IN_FLIGHT
    soon = min(SOON_MINUTES / load.interval_minutes, 1) * load.containments
    # An eventually consistent read of 8 KB is one unit.
    index_reads = min(soon, FOUND * SHARDS) * INDEX_ITEM_KB / 8 * MINUTES_A_DAY
    quantities = {
        "invocations": batches + MINUTES_A_DAY,
        "compute": (total("seconds") + waiting) * MEMORY_GB,
        "reads": total("reads") + index_reads,
        "writes": total("writes"),
        "schedules": MINUTES_A_DAY,
        "transitions": 0.0,
        "logs": total("log_bytes") / 1e9,
        # Sampled: the first of each second, and a twentieth of the others. All are counted.
        "traces": batches + MINUTES_A_DAY,
        "objects": total("objects"),
        # With a bucket key and DynamoDB's cache, some in five minutes for each function.
        "keys": 10 * MINUTES_A_DAY / 5,
        "metrics": 1.0,
    }
    return Day(load, checks, batches, quantities, total("member_calls"))


STEADY = Load("10,000 containments older than a week, in 100 groups", 10_000, 360, 100)
WITHIN_LIMIT = (
    Load("10,000 containments older than a week, in one group", 10_000, 360, 1),
    STEADY,
    Load("10,000 containments older than a week, in 500 groups", 10_000, 360, 500),
)
LOADS = (
    *WITHIN_LIMIT,
    Load("10,000 containments older than a week, each in a group of its own", 10_000, 360, 10_000),
    Load("1,000 containments in their first week, in 100 groups", 1_000, 60, 100),
    Load("1,000 containments on their first day, in 100 groups", 1_000, 15, 100),
    Load("100 containments on their first day, in 10 groups", 100, 15, 10),
)
USD_A_DAY = 1.0  # what those of WITHIN_LIMIT must stay below


def _rows(cells: Iterable[Iterable[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def loads_table() -> str:
    """Returns what each load costs a day, and what its calls induce, as a Markdown table."""
    head = (
        "monitored",
        "scheduled verifications a day",
        "invocations",
        "USD a day",
        "calls in members",
        "analyzed by GuardDuty, USD",
        "in a second trail, USD",
    )
    rows = [head, ("---",) * len(head)]
    for load in LOADS:
        found = day(load)
        rows.append(
            (
                load.name,
                f"{found.checks:,.0f}",
                f"{found.batches + MINUTES_A_DAY:,.0f}",
                f"{found.usd:.2f}",
                f"{found.member_calls:,.0f}",
                *(f"{price.of(found.member_calls):.2f}" for price in INDUCED.values()),
            )
        )
    return _rows(rows)


def parts_table(load: Load = STEADY) -> str:
    """Returns what a day of a load takes of each service, as a Markdown table."""
    found = day(load)
    rows: list[tuple[str, ...]] = [("of", "a day", "list price, USD", "USD a day"), ("---",) * 4]
    for name, quantity in found.quantities.items():
        price = PRICES[name]
        amount = f"{quantity:,.0f}" if quantity >= 10 or quantity == 0 else f"{quantity:.3g}"
        per = f"{price.usd:g} for {price.units:,.0f}"
        rows.append((f"[{price.unit}]({price.page})", amount, per, f"{price.of(quantity):.3f}"))
    return _rows(rows)


def figures() -> list[Figure]:
    """Returns the cost of a quiet day, with its limit."""
    note = "list prices, see docs/costs.md"
    return [Figure(load.name, day(load).usd, "USD a day", USD_A_DAY, note) for load in WITHIN_LIMIT]


def main() -> None:
    print(f"{loads_table()}\n\n{STEADY.name}:\n\n{parts_table()}")


if __name__ == "__main__":
    main()

"""What monitoring costs a day: the arithmetic, the limit, and the tables of docs/costs.md."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks import monitoring_cost
from benchmarks.monitoring_cost import (
    CHECKS,
    DISPATCH,
    INVOCATION,
    LOADS,
    MINUTES_A_DAY,
    PRICES,
    USD_A_DAY,
    CheckFigures,
    Load,
    batches_a_minute,
    day,
)
from tests.support.repository import ROOT

OLD = [load for load in LOADS if "older than a week" in load.name]


@pytest.mark.parametrize("load", OLD, ids=lambda load: f"{load.groups} groups")
@pytest.mark.parametrize("playbook", CHECKS)
def test_ten_thousand_old_containments_cost_less_than_a_dollar_a_day(
    load: Load, playbook: str
) -> None:
    assert (load.containments, load.interval_minutes) == (10_000, 360)
    assert day(dataclasses.replace(load, playbook=playbook)).usd < USD_A_DAY


def test_the_limit_is_felt() -> None:
    """Ten times the checks cost more than the limit, so the limit says something."""
    assert day(Load("first week", 10_000, 60, 100)).usd > USD_A_DAY


def test_what_is_alone_in_its_group_has_an_invocation_of_its_own() -> None:
    alone = Load("", containments=100, interval_minutes=360, groups=100)
    assert batches_a_minute(alone) == pytest.approx(100 / 360, rel=0.01)


def test_what_is_due_together_shares_invocations() -> None:
    few = Load("", containments=36_000, interval_minutes=360, groups=2)
    assert batches_a_minute(few) == pytest.approx(2), "100 a minute, 50 of each group"
    single = dataclasses.replace(few, groups=1)
    assert batches_a_minute(single) == pytest.approx(2), "no batch is larger than 50"


def test_a_day_is_the_sum_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    check = CheckFigures(3, seconds=0.5, reads=4, writes=2, log_bytes=1000, objects=1)
    monkeypatch.setattr(monitoring_cost, "CHECKS", {"made_up": check})
    found = day(Load("", containments=144, interval_minutes=144, groups=1, playbook="made_up"))
    invoked = -monitoring_cost.math.expm1(-1) * MINUTES_A_DAY
    assert found.checks == MINUTES_A_DAY
    assert found.batches == pytest.approx(invoked)
    assert found.member_calls == pytest.approx(3 * MINUTES_A_DAY + invoked)
    seconds = (0.5 + DISPATCH.seconds) * MINUTES_A_DAY + INVOCATION.seconds * invoked
    assert found.quantities["compute"] == pytest.approx(seconds)
    assert found.quantities["writes"] == 2 * MINUTES_A_DAY
    assert found.quantities["transitions"] == 0
    parts = {name: PRICES[name].of(count) for name, count in found.quantities.items()}
    assert found.usd == pytest.approx(sum(parts.values()))
    assert parts["writes"] == pytest.approx(2 * 1440 * 0.625 / 1_000_000)
    assert parts["invocations"] == pytest.approx((1440 + invoked) * 0.20 / 1_000_000)


def test_every_price_names_its_page() -> None:
    for price in (*PRICES.values(), *monitoring_cost.INDUCED.values()):
        assert price.page.startswith("https://aws.amazon.com/") and price.page.endswith("/")
        assert price.usd >= 0 and price.units > 0


@pytest.mark.parametrize(
    "table", [monitoring_cost.loads_table, monitoring_cost.parts_table], ids=["loads", "parts"]
)
def test_the_document_has_the_table(table: object) -> None:
    assert callable(table)
    text = (ROOT / "docs" / "costs.md").read_text()
    assert table() in text, (
        "docs/costs.md is not what python -m benchmarks.monitoring_cost prints: copy it there"
    )

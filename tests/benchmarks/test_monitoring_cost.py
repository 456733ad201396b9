"""What monitoring costs a day: the arithmetic, the limit, and the tables of docs/costs.md."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks import monitoring_cost
from benchmarks.monitoring_cost import (
    CHECKS,
    DISPATCH,
    INVOCATION,
    MINUTES_A_DAY,
    PRICES,
    USD_A_DAY,
    WITHIN_LIMIT,
    CheckFigures,
    Load,
    batches_a_day,
    day,
)
from tests.support.repository import ROOT


@pytest.mark.parametrize("load", WITHIN_LIMIT, ids=lambda load: f"{load.groups} groups")
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
    assert (
        batches_a_day(
            Load(
                "",
                containments=100,
                interval_minutes=360,
                groups=100,
            )
        )
        == 400
    )


def test_what_is_due_together_shares_invocations() -> None:
    """Eight batches of a group in an interval, unless there are more than 50 checks in each."""
    assert batches_a_day(Load("", containments=100, interval_minutes=720, groups=1)) == 8 * 2
    assert batches_a_day(Load("", containments=800, interval_minutes=720, groups=2)) == 8 * 2 * 2
    assert batches_a_day(Load("", containments=5_000, interval_minutes=720, groups=1)) == 100 * 2


def test_a_day_is_the_sum_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    check = CheckFigures(
        3,
        seconds=0.5,
        reads=4,
        writes=2,
        log_bytes=1000,
        objects=1,
    )
    monkeypatch.setattr(monitoring_cost, "CHECKS", {"made_up": check})
    found = day(
        Load(
            "",
            containments=4,
            interval_minutes=144,
            groups=2,
            playbook="made_up",
        )
    )
    assert (found.checks, found.batches) == (40, 40)
    assert found.member_calls == 3 * 40 + 40
    dispatched = DISPATCH.seconds * MINUTES_A_DAY + 40 / 2
    seconds = (check.seconds + INVOCATION.seconds) * 40 + dispatched
    assert found.quantities["compute"] == pytest.approx(seconds)
    assert found.quantities["writes"] == (2 + INVOCATION.writes) * 40
    assert found.quantities["transitions"] == 0
    parts = {name: PRICES[name].of(count) for name, count in found.quantities.items()}
    assert found.usd == pytest.approx(sum(parts.values()))
    assert parts["writes"] == pytest.approx(160 * 0.625 / 1_000_000)
    assert parts["invocations"] == pytest.approx((MINUTES_A_DAY + 40) * 0.20 / 1_000_000)


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

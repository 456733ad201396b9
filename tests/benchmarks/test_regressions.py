"""What the benchmarks call a regression, and the transitions that the documents name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import measure, transitions
from benchmarks.measure import Figure, keep, with_earlier
from benchmarks.to_verdict import Incident, Pair, compared, figures
from tests.support.repository import ROOT


@pytest.mark.parametrize(
    ("unit", "value", "passes"),
    [
        ("", 10.0, True),
        ("", 11.0, False),
        ("s", 12.0, True),
        ("s", 13.0, False),
        ("×", 12.5, False),
    ],
)
def test_a_figure_that_is_worse_than_before_fails(unit: str, value: float, passes: bool) -> None:
    figure = Figure("f", value, unit, 100.0, earlier=10.0)
    assert figure.within_limit is passes
    assert ("PASS" if passes else "**FAIL**") in figure.row()
    assert not Figure("f", value, unit, value - 1, earlier=100.0).within_limit


def test_the_figures_of_a_run_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "EARLIER", tmp_path / "earlier.json")
    measure.EARLIER.write_text('{"other": 3}')
    keep([Figure("f", 1.23456, "s")])
    assert json.loads(measure.EARLIER.read_text()) == {"f": 1.235, "other": 3}
    [worse] = with_earlier([Figure("f", 2.0, "s")])
    assert not worse.within_limit


def test_what_is_kept_is_measured() -> None:
    """A figure with another name would be compared with nothing."""
    pair = Pair(Incident(1.0, 2.0, 14, 12), Incident(1.0, 2.0, 14, 12))
    names = {figure.name for figure in [*figures([pair]), *compared([pair], [pair])]}
    assert {name for name in json.loads(measure.EARLIER.read_text()) if "finding to" in name} <= (
        names
    )


@pytest.mark.parametrize("case", transitions.CASES)
def test_the_documents_name_the_transitions(case: str) -> None:
    phases, limit = transitions.CASES[case]
    assert transitions.count(phases) == limit
    text = (ROOT / "docs" / "costs.md").read_text()
    for sentence in (
        "16 for an instance that stays",
        "22 for a principal",
        "28 with eradication after each list",
        "four more for each further wait",
    ):
        assert sentence in text

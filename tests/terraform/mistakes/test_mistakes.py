"""Every mistake of the table is answered by the sentence that the table has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.mistakes import (
    DOCUMENT,
    Mistake,
    mistakes,
    module_without_resources,
    planned,
    refused_arguments,
    render,
)
from tests.support.repository import ROOT

pytestmark = pytest.mark.terraform


def _says(printed: str, row: Mistake) -> bool:
    """Whether the text has every part of the sentence, in its order."""
    place = 0
    for part in " ".join(row["says"].split()).split("…"):
        place = printed.find(part.strip(), place)
        if place < 0:
            return False
        place += len(part.strip())
    return True


def _unanswered(rows: list[Mistake], printed: list[str]) -> dict[str, str]:
    return {
        row["mistake"]: text
        for row, text in zip(rows, printed, strict=True)
        if not _says(text, row)
    }


@pytest.mark.parametrize("policy", [False, True], ids=["settings", "policy"])
def test_the_plan_says_what_the_table_has(tmp_path: Path, policy: bool) -> None:
    rows = [
        row
        for row in mistakes()
        if "argument" not in row
        and "asked_of" not in row
        and ("remediations" in row["call"]) is policy
    ]
    root = module_without_resources(tmp_path / "module", policy=policy)
    assert _unanswered(rows, planned(root, [row["call"] for row in rows])) == {}


def test_the_module_has_no_such_argument(tmp_path: Path) -> None:
    rows = [row for row in mistakes() if "argument" in row]
    root = module_without_resources(tmp_path / "module", policy=False)
    printed = refused_arguments(root, [row["call"] for row in rows])
    assert _unanswered(rows, [printed] * len(rows)) == {}


def test_what_takes_a_provider_is_said_by_the_file_that_is_named() -> None:
    rows = [row for row in mistakes() if "asked_of" in row]
    texts = [(ROOT / row["asked_of"]).read_text().replace('\\"', '"') for row in rows]
    assert _unanswered(rows, texts) == {}


def test_the_table_is_long_and_its_document_is_written_from_it() -> None:
    assert len({row["call"] for row in mistakes()}) >= 51
    assert DOCUMENT.read_text() == render(), "run 'python -m tests.support.mistakes'"

"""Every decision has its page with the same sections, stands in the index, and is what is cited."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.repository import ROOT, skip_or_fail

FOLDER = ROOT / "docs" / "decisions"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
SECTIONS = ["## Context", "## Decision", "## Consequences"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_has_its_sections(page: Path) -> None:
    lines = page.read_text().splitlines()
    number = page.name.split("-")[0]
    assert lines[0].startswith(f"# {number}. ")
    assert any(re.match(r"Status: (accepted|replaced by \d{4})$", line) for line in lines)
    assert [line for line in lines if line.startswith("## ")] == SECTIONS


def test_numbers_have_no_gap_and_none_is_given_twice() -> None:
    numbers = [int(page.name.split("-")[0]) for page in PAGES]
    assert numbers == list(range(1, len(PAGES) + 1))


def test_index_names_every_page_with_its_title() -> None:
    rows = re.findall(
        r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE
    )
    titles = {page.name: page.read_text().splitlines()[0] for page in PAGES}
    assert {name: f"# {number}. {title}" for number, name, title in rows} == titles


def test_every_cited_decision_exists() -> None:
    found = subprocess.run(
        ["git", "grep", "-hoE", "docs/decisions/[0-9]{4}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode > 1:
        skip_or_fail("This is not a Git checkout; the files that cite decisions cannot be listed.")
    numbers = {page.name.split("-")[0] for page in PAGES}
    cited = {line.rsplit("/", 1)[1] for line in found.stdout.split()}
    assert cited and cited <= numbers, cited - numbers

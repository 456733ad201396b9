"""The corpus of findings: tests/fixtures/findings with its manifest, and what somebody adds."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path

from tests.support.repository import FINDINGS

REFUSED = ("NotAFinding", "MalformedFinding")


@dataclass(frozen=True)
class Entry:
    """A line of manifest.tsv; tests/fixtures/findings/README.md says what its columns mean."""

    file: str
    shape: str
    flags: frozenset[str]
    outcome: str
    words: str
    why: str

    def read(self) -> object:
        """The file's JSON, as it stands there: times are not moved."""
        content: object = json.loads((FINDINGS / self.file).read_text())
        return content

    @property
    def name(self) -> str:
        return self.file.removesuffix(".json")

    @property
    def playbook(self) -> str | None:
        return None if self.outcome == "none" else self.outcome


def corpus(*shapes: str) -> list[Entry]:
    """Every line of the manifest, or those of certain shapes."""
    with (FINDINGS / "manifest.tsv").open() as table:
        lines = list(csv.DictReader(table, delimiter="\t"))
    entries = [
        Entry(
            file=line["file"],
            shape=line["shape"],
            flags=frozenset(line["flags"].split(",")) - {""},
            outcome=line["outcome"],
            words=line["words"],
            why=line["why"],
        )
        for line in lines
    ]
    return [entry for entry in entries if not shapes or entry.shape in shapes]


def added_files() -> list[Path]:
    """JSON files of the folder that GUARDDUTY_FINDINGS names: run in addition, never required."""
    folder = os.environ.get("GUARDDUTY_FINDINGS", "")
    if not folder or not Path(folder).is_dir():
        return []
    return sorted(Path(folder).rglob("*.json"))

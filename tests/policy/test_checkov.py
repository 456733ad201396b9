"""checkov over the Terraform sources: nothing failed that is not excused in place, and every file could be read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from repository import ROOT, skip_or_fail

CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    if not CHECKOV.is_file():
        skip_or_fail("checkov is not installed (make checkov installs it into .venv-checkov).")
    out = tmp_path_factory.mktemp("checkov")
    done = subprocess.run(
        [CHECKOV, "--config-file", ROOT / ".checkov.yaml", "--output", "json", "--output-file-path", out],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    files = list(Path(out).glob("*.json"))
    assert files, f"checkov wrote no report: {done.stdout[-1000:]} {done.stderr[-2000:]}"
    found = json.loads(files[0].read_text())
    return found if isinstance(found, dict) else {"summary": {}, "results": {}}


def test_no_parsing_errors(report: dict[str, dict[str, object]]) -> None:
    """A file that checkov cannot read is a file that nothing checked."""
    assert report["summary"]["parsing_errors"] == 0


def test_nothing_failed(report: dict[str, dict[str, object]]) -> None:
    failed = report["results"].get("failed_checks", [])
    assert [f"{one['check_id']} {one['resource']}: {one['check_name']}" for one in failed] == []  # type: ignore[attr-defined]
    assert report["summary"]["failed"] == 0
    assert int(str(report["summary"]["passed"])) > 100, "the whole module was looked at"


def test_every_skip_says_why(report: dict[str, dict[str, object]]) -> None:
    skipped = report["results"].get("skipped_checks", [])
    for one in skipped:  # type: ignore[attr-defined]
        assert len(one["check_result"].get("suppress_comment", "")) > 20, (one["check_id"], one["resource"])

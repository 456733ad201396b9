"""checkov over the Terraform sources: nothing failed that is not excused in place, and every
file could be read.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.repository import ROOT
from tests.terraform.policy.checkov_run import checkov

# What only calls the module. Scanned where the module is not, or checkov would go through all of it
# again for every example.
CALLERS = ("examples", "sandbox/terraform", "tests/terraform")
Report = dict[str, dict[str, Any]]


def _scan(directory: Path, out: Path, *skipped: str) -> Report:
    options = [part for skipped_check in skipped for part in ("--skip-path", skipped_check)]
    return checkov(directory, out, "--config-file", ROOT / ".checkov.yaml", *options)


@pytest.fixture(scope="module", params=["the module", "its callers"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Report:
    scratch = tmp_path_factory.mktemp("checkov")
    if request.param == "the module":
        return _scan(ROOT, scratch / "out", *CALLERS)
    for part in CALLERS:
        ignored = shutil.ignore_patterns(".terraform", "*.tfstate*", "cdktf.out")
        shutil.copytree(ROOT / part, scratch / "source" / part, ignore=ignored)
    return _scan(scratch / "source", scratch / "out")


def test_no_parsing_errors(report: Report) -> None:
    """A file that checkov cannot read is a file that nothing checked."""
    assert report["summary"]["parsing_errors"] == 0


def test_nothing_failed(report: Report) -> None:
    failed = report["results"].get("failed_checks", [])
    assert [
        f"{failed_check['check_id']} {failed_check['resource']}: {failed_check['check_name']}"
        for failed_check in failed
    ] == []
    assert report["summary"]["failed"] == 0
    assert int(str(report["summary"]["passed"])) > 20, "it was looked at"


def test_every_skip_says_why(report: Report) -> None:
    skipped = report["results"].get("skipped_checks", [])
    for skipped_check in skipped:
        assert len(skipped_check["check_result"].get("suppress_comment", "")) > 20, (
            skipped_check["check_id"],
            skipped_check["resource"],
        )


@pytest.mark.smoke
def test_every_directory_with_terraform_is_scanned() -> None:
    """The module with what it is made of, and the callers, are all there is."""
    tracked = subprocess.run(
        ["git", "ls-files", "*.tf"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    rest = {
        name
        for name in tracked
        if "/" in name
        and not name.startswith(tuple(f"{caller}/" for caller in CALLERS))
        and not name.startswith("tests/fixtures/")  # part of a copy that a test makes
    }
    assert {name.split("/")[0] for name in rest} == {"modules"}

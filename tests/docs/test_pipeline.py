"""The workflow of docs/pipeline.md: it is valid, asks for no more than it needs, and its comment
says what changes for which finding type.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.repository import ROOT

Json = dict[str, Any]
[TEXT] = re.findall(
    r"^```yaml\n(.*?)^```$", (ROOT / "docs" / "pipeline.md").read_text(), re.DOTALL | re.MULTILINE
)
WORKFLOW: Json = yaml.safe_load(TEXT)
JOBS: dict[str, Json] = WORKFLOW["jobs"]


def _commented(tmp_path: Path, plan: Json) -> str:
    [script] = re.findall(
        r"<<'SUMMARY' \| tee comment\.md\n(.*?)^SUMMARY$", _steps("plan"), re.S | re.M
    )
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    return done.stdout


def _steps(job: str) -> str:
    return "\n".join(step["run"] for step in JOBS[job]["steps"] if "run" in step)


def _change(actions: list[str]) -> Json:
    return {"address": "x", "change": {"actions": actions}}


def test_the_comment_says_what_changes(tmp_path: Path) -> None:
    summary = {
        "before": {"A:EC2/x": "auto by A:*", "B:EC2/y": "dry_run by B:*", "C:EC2/z": "off by C:*"},
        "after": {"A:EC2/x": "auto by A:*", "B:EC2/y": "auto by B:*", "D:EC2/w": "approve by D:*"},
    }
    changes = [_change(["update"]), _change(["delete", "create"]), _change(["no-op"])]
    plan = {"output_changes": {"policy_summary": summary}, "resource_changes": changes}
    text = _commented(tmp_path, plan)
    assert [line for line in text.splitlines() if line.startswith("- ")] == [
        "- `B:EC2/y`: dry_run by B:* → **auto by B:***",
        "- `C:EC2/z`: off by C:* → **notify**",
        "- `D:EC2/w`: notify → **approve by D:***",
    ]
    assert "1 resources are destroyed or replaced" in text


@pytest.mark.parametrize("plan", [{}, {"output_changes": {"policy_summary": {"before": None}}}])
def test_a_plan_without_changes_says_so(tmp_path: Path, plan: Json) -> None:
    assert "Nothing changes for any finding type." in _commented(tmp_path, plan)


def test_only_the_environment_with_reviewers_applies() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "terraform apply" not in _steps("plan")
    assert JOBS["apply"]["environment"] == "security"
    assert JOBS["apply"]["permissions"] == {"contents": "read", "id-token": "write"}
    roles = {
        job: [
            step["with"]["role-to-assume"]
            for step in what["steps"]
            if "role-to-assume" in (step.get("with") or {})
        ]
        for job, what in JOBS.items()
    }
    assert [arns[0].rsplit("-", 1)[1] for arns in (roles["plan"], roles["apply"])] == [
        "plan",
        "apply",
    ]


def test_it_uses_the_same_versions_as_this_repository() -> None:
    own = "".join(path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    for step in (step for job in JOBS.values() for step in job["steps"] if "uses" in step):
        name, _, version = step["uses"].partition("@")
        assert re.fullmatch(r"v\d+\.\d+\.\d+", version), step
        if name != "aws-actions/configure-aws-credentials":  # this repository has no account
            assert f"{name}@{version}" in own

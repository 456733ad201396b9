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

import yaml

from tests.support.repository import ROOT

Json = dict[str, Any]
[TEXT] = re.findall(
    r"^```yaml\n(.*?)^```$", (ROOT / "docs" / "pipeline.md").read_text(), re.DOTALL | re.MULTILINE
)
WORKFLOW: Json = yaml.safe_load(TEXT)
JOBS: dict[str, Json] = WORKFLOW["jobs"]


def _commented(tmp_path: Path, plan: Json) -> str:
    """The comment that the workflow's own commands write, with terraform show answered here."""
    [script] = [
        step["run"] for step in JOBS["plan"]["steps"] if "tee comment.md" in step.get("run", "")
    ]
    modules = tmp_path / ".terraform" / "modules"
    modules.mkdir(parents=True, exist_ok=True)
    (modules / "guardduty_response").symlink_to(ROOT)  # where terraform init puts the module
    (tmp_path / "made.json").write_text(json.dumps(plan))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "terraform").write_text(
        '#!/bin/sh\n[ "$*" = "show -json response.tfplan" ] && cat made.json\n'
    )
    (programs / "terraform").chmod(0o755)
    (programs / "python3").symlink_to(sys.executable)
    subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=tmp_path,
        env={"PATH": f"{programs}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return (tmp_path / "comment.md").read_text(encoding="utf-8")


def _steps(job: str) -> str:
    return "\n".join(step["run"] for step in JOBS[job]["steps"] if "run" in step)


def _document(remediations: Json) -> Json:
    document = {"remediations": remediations, "active_playbooks": ["ec2_instance"]}
    return {"triggers_replace": json.dumps(document)}


def test_the_comment_says_what_changes(tmp_path: Path) -> None:
    change = {
        "address": "module.guardduty_response.module.incident[0].terraform_data.config",
        "name": "config",
        "change": {
            "actions": ["create", "delete"],
            "before": _document({"CryptoCurrency:EC2/BitcoinTool.B": "dry_run"}),
            "after": _document({"CryptoCurrency:EC2/BitcoinTool.B": "auto"}),
        },
    }
    other = {"address": "x", "name": "x", "change": {"actions": ["no-op"]}}
    text = _commented(tmp_path, {"format_version": "1.2", "resource_changes": [change, other]})
    kind = "CryptoCurrency:EC2/BitcoinTool.B"
    assert text == (
        "### What GuardDuty findings are answered with\n\n"
        f"- `{kind}`: dry_run by `{kind}` → **auto by `{kind}`**\n\n"
        "1 resource is destroyed or replaced.\n"
    )


def test_a_plan_without_changes_says_so(tmp_path: Path) -> None:
    text = _commented(tmp_path, {"format_version": "1.2", "resource_changes": []})
    assert "This plan has no deployment of the response." in text


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

"""Workflows, hooks and Dependabot: they parse, call what exists, and pin what they use."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
import pytest
import yaml

from tests.docs.makefile import targets
from tests.support import finding_types_upstream
from tests.support.repository import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PRE_COMMIT = ROOT / ".pre-commit-config.yaml"
PINNED = re.compile(r"[\w.-]+/[\w./-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})")
# What may be granted beyond reading, and to which job.
WRITES = {("release.yml", "publish"): {"contents": "write"}}


def _read(path: Path) -> dict[Any, Any]:
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict), path.name
    return document


def _jobs(path: Path) -> dict[str, dict[str, Any]]:
    jobs: dict[str, dict[str, Any]] = _read(path)["jobs"]
    return jobs


def _steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in _jobs(path).values():
        yield from job["steps"]


def _commands(path: Path) -> str:
    """Every command of a workflow, with each value of its matrix in place."""
    texts = []
    for job in _jobs(path).values():
        text = "\n".join(step.get("run", "") for step in job["steps"])
        for name, values in job.get("strategy", {}).get("matrix", {}).items():
            if f"${{{{ matrix.{name} }}}}" in text:
                text = "\n".join(
                    text.replace(f"${{{{ matrix.{name} }}}}", str(value)) for value in values
                )
        texts.append(text)
    return "\n".join(texts)


def _ids(path: Path) -> str:
    return path.name


def test_every_yaml_file_parses() -> None:
    files = [*(ROOT / ".github").rglob("*.yml"), PRE_COMMIT, ROOT / ".checkov.yaml"]
    assert len(files) >= 6
    for path in files:
        assert yaml.safe_load(path.read_text()), path


def test_there_is_a_workflow_for_changes_weeks_and_releases() -> None:
    assert [path.stem for path in WORKFLOWS] == ["release", "test", "weekly"]
    # YAML reads the key "on" as true.
    events = {path.stem: set(_read(path)[True]) for path in WORKFLOWS}
    assert events["test"] == {"push", "pull_request"}
    assert "schedule" in events["weekly"]
    assert _read(WORKFLOWS[0])[True]["push"] == {"tags": ["v*"]}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=_ids)
def test_a_workflow_calls_only_what_exists(workflow: Path) -> None:
    commands = _commands(workflow)
    called = re.findall(r"\bmake ([a-z0-9-]+)", commands)
    assert set(called) <= set(targets())
    scripts = re.findall(r"\.ci/[\w-]+", commands)
    assert called or scripts
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK), script


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=_ids)
def test_actions_are_pinned(workflow: Path) -> None:
    for step in _steps(workflow):
        if "uses" in step:
            assert PINNED.fullmatch(step["uses"]), step["uses"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=_ids)
def test_permissions_are_minimal(workflow: Path) -> None:
    assert _read(workflow)["permissions"] == {"contents": "read"}
    for name, job in _jobs(workflow).items():
        assert job.get("permissions", {}) == WRITES.get((workflow.name, name), {})
        assert job["timeout-minutes"] <= 120
    for step in _steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        # What others write (titles, branches) must not become part of a command.
        assert "github.event" not in step.get("run", "")


def test_the_readmes_versions_are_tested() -> None:
    jobs = _jobs(ROOT / ".github" / "workflows" / "test.yml")
    matrix = jobs["test"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    oldest, newest = matrix["include"][0]["terraform"], matrix["terraform"]
    assert (oldest.rpartition(".")[0], newest) == ("1.9", ["latest"])
    assert 'required_version = ">= 1.9"' in (ROOT / "versions.tf").read_text()
    assert jobs["providers"]["strategy"]["matrix"]["provider"] == ["5", "6"]
    readme = (ROOT / "README.md").read_text()
    assert re.search(r"Python 3\.11", readme) and re.search(r"Terraform 1\.9", readme)


def test_the_catalogue_is_compared_every_week_with_the_newest_botocore() -> None:
    commands = _commands(ROOT / ".github" / "workflows" / "weekly.yml")
    [target] = re.findall(r"make finding-types MODEL=\"\$RUNNER_TEMP/newest/(\S+)\"", commands)
    assert '--target "$RUNNER_TEMP/newest" botocore' in commands
    installed = Path(botocore.__file__).parent.parent / target
    assert finding_types_upstream.read_model(installed)["shapes"]["DetectorFeature"]


def test_local_hooks_call_what_exists() -> None:
    hooks = [
        hook
        for repository in _read(PRE_COMMIT)["repos"]
        if repository["repo"] == "local"
        for hook in repository["hooks"]
    ]
    names = {hook["id"] for hook in hooks}
    assert names >= {"terraform-fmt", "terraform-validate", "ruff", "mypy", "checkov", "zips"}
    for hook in hooks:
        program, *arguments = hook["entry"].split()
        if program.startswith(".ci/"):
            assert os.access(ROOT / program, os.X_OK)
        if program == "make":
            assert arguments[0] in targets()
        if program == ".venv/bin/python":
            assert (ROOT / arguments[0]).is_file()
    remote = [repository for repository in _read(PRE_COMMIT)["repos"] if "rev" in repository]
    assert [hook["id"] for repository in remote for hook in repository["hooks"]] == ["gitleaks"]


def test_what_the_secret_scan_lets_pass_is_no_key() -> None:
    settings = tomllib.loads((ROOT / ".gitleaks.toml").read_text())
    assert settings["extend"] == {"useDefault": True}
    patterns = settings["allowlist"]["regexes"]
    assert set(settings["allowlist"]) == {"description", "regexes"}, "no folder is left out"
    for made_up in ("ASIAFINDING000000001", "AKIAEXAMPLEALICE0001", "DeleteObject"):
        assert any(re.search(pattern, made_up) for pattern in patterns)
    for like_a_key in ("AKIA" + "Q3EGRZ7TPMV2XK4D", "wJalrXUtnFEMI/K7MDENG" + "/bPxRfiCY9"):
        assert not any(re.search(pattern, like_a_key) for pattern in patterns)


def test_dependabot_watches_all_three() -> None:
    updates = _read(ROOT / ".github" / "dependabot.yml")["updates"]
    watched = {update["package-ecosystem"] for update in updates}
    assert watched == {"pip", "github-actions", "terraform"}
    [requirements] = [update for update in updates if update["package-ecosystem"] == "pip"]
    assert list((ROOT / requirements["directory"].strip("/")).glob("*.txt"))


# -- the scripts ----------------------------------------------------------------------------------


def _notes(version: str, changelog: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / ".ci" / "release-notes", version, changelog],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_release_has_the_notes_of_its_version(tmp_path: Path) -> None:
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(
        "# Changelog\n\n## [Unreleased]\n\n- To come.\n\n## [1.2.0] - 2026-01-01\n\n"
        "### Added\n- This.\n\n## [1.1.0]\n\n## [1.0.0]\n- First.\n"
    )
    assert _notes("v1.2.0", changelog).stdout.strip() == "### Added\n- This."
    assert _notes("1.0.0", changelog).stdout.strip() == "- First."
    for missing in ("v1.3.0", "1.2", "v1.1.0"):
        refused = _notes(missing, changelog)
        assert refused.returncode == 1
        assert "has no section" in refused.stderr


def test_ci_runs_in_a_copy_with_nothing_beside_it(tmp_path: Path) -> None:
    """Of a small project whose test command shows where it runs; its exit code passes through."""
    project = tmp_path / "beside" / "project"
    (project / ".ci").mkdir(parents=True)
    (project / ".ci" / "run").write_text((ROOT / ".ci" / "run").read_text())
    (project / ".ci" / "run").chmod(0o755)
    (project / "Makefile").write_text(
        'test:\n\t@echo "CI=$(CI) in $(CURDIR)"\n\t@ls -A ..\n\t@exit $(shell cat code)\n'
    )
    (project / "code").write_text("0")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(project)]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    (project / "ignored").write_text("not committed")

    # CI starts it, not another make: that one would say which directory it is in.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    environment.pop("MFLAGS", None)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [project / ".ci" / "run"],
            env={**environment, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    passed = run()
    assert passed.returncode == 0, passed.stderr
    first, *beside = passed.stdout.splitlines()
    assert re.fullmatch(rf"CI=true in {tmp_path}/tmp\.\w+/checkout", first)
    assert beside == ["checkout"]
    assert "Uncommitted changes are not tested" in passed.stderr
    (project / "code").write_text("2")
    subprocess.run([*git, "commit", "-qam", "fails"], check=True)
    assert run().returncode != 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beside"]

"""OpenTofu, as far as it can be tested without it: its versions file, the job that validates."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import yaml

from tests.support.repository import ROOT


def _statements(name: str) -> list[str]:
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_both_versions_files_require_the_same() -> None:
    """OpenTofu has had what the module uses since the same number: 1.9."""
    assert _statements("versions.tofu") == _statements("versions.tf")
    folders = ("modules", "examples", "sandbox/terraform")
    assert not [path for name in folders for path in (ROOT / name).rglob("*.tofu")]


def test_a_job_validates_with_opentofu() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    job = workflow["jobs"]["opentofu"]
    matrix = job["strategy"]["matrix"]
    assert job["env"] == {"TERRAFORM": "tofu"}
    assert matrix["provider"] == ["5", "6"]
    oldest, newest = matrix["opentofu"]
    assert (oldest.rpartition(".")[0], newest) == ("1.9", "latest")
    assert f'required_version = ">= {oldest.rpartition(".")[0]}"' in "".join(
        (ROOT / "versions.tofu").read_text()
    )
    assert job["steps"][-1]["run"].endswith("make validate")


def test_the_scripts_take_the_program_that_is_named(tmp_path: Path) -> None:
    """A stand-in is called in a copy that has the file of OpenTofu's versions."""
    calls = tmp_path / "calls"
    program = tmp_path / "tofu"
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nls "${{1#-chdir=}}" >> {calls}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    done = subprocess.run(
        [str(ROOT / ".ci" / "validate"), "versions.tf"],
        env={**os.environ, "TERRAFORM": str(program), "TF_PLUGIN_MIRROR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ".: valid\n"), done.stderr
    said = calls.read_text()
    assert "init -backend=false" in said and "validate -no-color" in said
    assert "versions.tofu" in said

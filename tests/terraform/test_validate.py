"""make validate, which the hooks and the workflows call: what is not valid is named."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.repository import ROOT, skip_or_fail

pytestmark = pytest.mark.terraform


def _validate(checkout: Path, *files: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("terraform") is None:
        skip_or_fail("Terraform is not on the PATH. Install Terraform 1.9 or newer.")
    return subprocess.run(
        [checkout / ".ci" / "validate", *files],
        cwd=checkout,
        env={name: value for name, value in os.environ.items() if not name.startswith("TF_CLI")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_module_of_this_checkout_is_valid() -> None:
    done = _validate(ROOT, "modules/quarantine-scp/main.tf", "modules/quarantine-scp/versions.tf")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "modules/quarantine-scp: valid\n"


def test_what_is_not_valid_is_named(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "validate", tmp_path / ".ci")
    (tmp_path / "main.tf").write_text('output "fine" {\n  value = 1\n}\n')
    (tmp_path / "modules" / "broken").mkdir(parents=True)
    (tmp_path / "modules" / "broken" / "main.tf").write_text(
        'output "broken" {\n  value = var.missing\n}\n'
    )
    for arguments in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    done = _validate(tmp_path)
    assert done.returncode == 1
    assert done.stdout == ".: valid\n"
    assert "modules/broken is not valid" in done.stderr
    assert "var.missing" in done.stderr


def test_no_bucket_is_replaced_to_switch_object_lock_on() -> None:
    """The provider replaces a bucket where ``object_lock_enabled`` changes: what is in it would go.
    A bucket that has Object Lock from its first day, whatever is set, is none of these.
    """
    found = {
        path.relative_to(ROOT).as_posix(): line.strip()
        for path in ROOT.glob("modules/*/*.tf")
        for line in path.read_text().splitlines()
        if line.strip().startswith("object_lock_enabled ")
    }
    assert found == {"modules/forensics-account/bucket.tf": "object_lock_enabled = true"}

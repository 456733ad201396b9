"""Adds a playbook to a copy of the repository, exactly as docs ask for it: two folders, a variable
file, a line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sandbox import playbook_variables
from tests.support.repository import FINDINGS, ROOT

NAME = "dummy_bucket"
FILES = FINDINGS.parent / NAME
TYPE = "Discovery:S3/MaliciousIPCaller"  # names a bucket, which no other playbook answers
COPIED = ("catalogue", "lambda_src", "modules", "playbooks", "sandbox/terraform", "schema")
_LIST = "  playbooks = {\n"


def copy_with_playbook(target: Path) -> Path:
    """Copies the repository's module and functions, adds the playbook, and packages it.

    Returns the copy. Nothing else in it is edited.
    """
    target.mkdir(parents=True)
    for file in ROOT.glob("*.tf"):
        shutil.copy(file, target)
    ignored = shutil.ignore_patterns(
        "__pycache__",
        ".terraform*",
        "*.tfstate*",
        ".*_cache",
    )
    for part in COPIED:
        shutil.copytree(
            ROOT / part,
            target / part,
            ignore=ignored,
        )
    add_playbook(target)
    package(target)
    return target


def sandbox_root(repository: Path) -> Path:
    """Makes the copy's sandbox root one that can be planned, with an output; returns it."""
    root = repository / "sandbox" / "terraform"
    playbook_variables.write(root, repository)
    (root / "elsewhere.tf").unlink()  # more providers to start, nothing that is looked at
    (root / "shown.tf").write_text(
        'output "effective_policy" {\n  value = module.security.effective_policy\n}\n'
    )
    return root


def add_playbook(repository: Path) -> None:
    """Adds what a contributor adds."""
    code = repository / "lambda_src" / "guardduty_response" / "playbooks"
    shutil.copytree(FILES / "playbooks" / NAME, repository / "playbooks" / NAME)
    shutil.copytree(FILES / "package" / NAME, code / NAME)
    shutil.copy(FILES / "variables-dummy-bucket.tf", repository)
    text = (repository / "playbooks.tf").read_text()
    assert text.count(_LIST) == 1, "the one list of playbooks is in playbooks.tf"
    line = f"    {NAME}  = var.{NAME}\n"
    (repository / "playbooks.tf").write_text(text.replace(_LIST, _LIST + line))


def package(repository: Path) -> None:
    """Builds the zips of the copy, as ``make zips`` does."""
    done = subprocess.run(
        [sys.executable, str(repository / "lambda_src" / "build.py")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr

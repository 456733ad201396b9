"""What a playbook imports only where it is needed: what its first steps do without."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from tests.support.catalogue import manifests
from tests.support.repository import ROOT

PROGRAM = """
import importlib, sys
playbook = importlib.import_module(f"guardduty_response.playbooks.{sys.argv[1]}.playbook")
print(*(name for name in playbook.LATER if name in sys.modules))
"""


@pytest.mark.parametrize("name", sorted(manifests()))
def test_what_comes_later_is_not_imported_with_the_playbook(name: str) -> None:
    """In a process of its own: here, other tests have imported it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name],
        cwd=ROOT / "lambda_src",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


@pytest.mark.parametrize("name", sorted(manifests()))
def test_what_comes_later_can_be_imported_ahead(name: str) -> None:
    playbook = importlib.import_module(f"guardduty_response.playbooks.{name}.playbook")
    assert playbook.LATER
    for later in playbook.LATER:
        importlib.import_module(later)

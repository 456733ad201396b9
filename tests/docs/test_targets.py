"""Every target of the Makefile in a short form: what it would run is there, and begins to work.

The long forms are run by hand, weekly, or by ``make test`` itself.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.docs.makefile import commands, short_form, targets
from tests.support.repository import ROOT

SECONDS = 300


@cache
def _run(*command: str) -> tuple[int, str]:
    """The exit code and the end of the output. The same short form is run once."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COV_", "AWS_"))
    }
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environment, "COVERAGE_FILE": str(Path(tempfile.gettempdir()) / ".coverage")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    return done.returncode, done.stdout[-3000:]


def test_every_target_is_documented() -> None:
    text = (ROOT / "Makefile").read_text()
    rules = set(re.findall(r"^([a-z0-9-]+):(?!=)", text, flags=re.MULTILINE))
    assert rules == set(targets())
    [phony] = re.findall(r"^\.PHONY:(.*)$", text, flags=re.MULTILINE)
    assert sorted(phony.split()) == sorted(rules)


def test_help_lists_every_target() -> None:
    code, output = _run("make", "--no-print-directory", "help")
    assert code == 0
    assert [line.split("\t")[0] for line in output.splitlines()] == list(targets())


@pytest.mark.parametrize("target", sorted(targets()))
def test_a_target_runs_in_its_short_form(target: str) -> None:
    for line in commands(target):
        command = short_form(line)
        if command:
            code, output = _run(*command)
            assert code == 0, f"{line}\n{output}"


def test_a_broken_line_is_found() -> None:
    """What went unseen before: a module, a path or a marker that had moved."""
    for line in (
        ".venv/bin/python -m benchmarks.gone",
        ".venv/bin/python -m pytest -q tests/gone",
        ".venv/bin/python -m pytest -q -m gone",
        ".venv/bin/python lambda_src/gone.py --check",
        ".venv/bin/gone check .",
        ".venv/bin/python -m json.tool",
    ):
        with pytest.raises(AssertionError):
            short_form(line)

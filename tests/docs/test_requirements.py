"""Every package is pinned, so that the same is installed on every day."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.repository import ROOT

REQUIREMENTS = ROOT / "requirements"
LOCKED = sorted(path.stem for path in (REQUIREMENTS / "locked").glob("*.txt"))


def _lines(name: str) -> list[str]:
    """The requirements of a file, without comments."""
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _name(requirement: str) -> str:
    """The name of a package as Python compares it (PEP 503), without extras and version."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[=<>! ]", requirement)[0]).lower()


def _pins(name: str) -> dict[str, str]:
    pins = [line.partition("==") for line in _lines(name)]
    return {_name(package): version for package, _, version in pins}


def test_every_environment_is_locked() -> None:
    """But for the provider's schema, whose wheels are read and never installed, and pip itself."""
    files = {path.stem for path in REQUIREMENTS.glob("*.txt")}
    assert files - set(LOCKED) == {"pip", "provider-v6"}
    makefile = (ROOT / "Makefile").read_text()
    assert set(re.findall(r"requirements/locked/(\w+)\.txt", makefile)) <= set(LOCKED)


@pytest.mark.parametrize("name", LOCKED)
def test_what_is_locked_is_what_is_required(name: str) -> None:
    locked = _pins(f"locked/{name}")
    assert [line for line in _lines(f"locked/{name}") if not re.fullmatch(r"\S+==\S+", line)] == []
    for requirement in _lines(name):
        package, _, version = requirement.partition("==")
        found = locked.get(_name(package))
        assert found == (version or found) and found, (
            f"requirements/{name}.txt asks for {requirement}, and {found} is locked: make locked"
        )


def test_nothing_that_is_installed_lacks_another() -> None:
    """The locked packages are installed without looking for what they need."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout

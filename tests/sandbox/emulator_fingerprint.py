"""Whether the emulators are those that were tested last.

What AWS does is emulated by sandbox/emulator, on pinned releases of MiniStack and moto. The tests
of that take minutes, and their result changes only when one of the three does: the emulator's
sources, the pins, the tests. ``emulators.sha256`` has the sum of all three as they last passed.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

from tests.support.repository import ROOT

RECORD = Path(__file__).with_name("emulators.sha256")
# Beside the emulator itself: what starts it and speaks to it.
_SOURCES = ("sandbox/stack.py", "sandbox/processes.py", "sandbox/settings.py", "sandbox/clients.py")
_HELPERS = ("tests/sandbox/conftest.py", "tests/sandbox/emulator_helpers.py")
_PINNED = ("ministack", "moto", "boto3", "botocore")


def test_files() -> list[Path]:
    """Return the files that test the emulators."""
    return sorted(Path(__file__).parent.glob("test_emulator_*.py"))


def test_names(files: Iterable[Path]) -> set[str]:
    """Return "file name::function" of every test in the files."""
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found.add(f"{file.name}::{node.name}")
    return found


def _pins() -> str:
    """Return the lines of requirements/dev.txt that pin the emulators."""
    lines = (ROOT / "requirements" / "dev.txt").read_text().splitlines()
    return "\n".join(line for line in lines if line.replace("[", "=").split("=", 1)[0] in _PINNED)


def fingerprint() -> str:
    """Return the sum over the emulators, their pins and their tests as they are now."""
    files = [
        *sorted((ROOT / "sandbox" / "emulator").rglob("*.py")),
        *(ROOT / name for name in (*_SOURCES, *_HELPERS)),
        *test_files(),
    ]
    total = hashlib.sha256(_pins().encode())
    for file in files:
        total.update(f"\n{file.relative_to(ROOT).as_posix()}\n".encode())
        total.update(file.read_bytes())
    return total.hexdigest()


def tested() -> bool:
    """Tell whether the emulators passed their tests as they are now."""
    return RECORD.is_file() and RECORD.read_text().strip() == fingerprint()


def write() -> None:
    """Record that they did."""
    RECORD.write_text(f"{fingerprint()}\n")

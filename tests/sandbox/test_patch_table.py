"""The table of patches in sandbox/emulator/README.md is complete, and so is the list of modules
that patch.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import pytest

from sandbox import settings
from sandbox.emulator import patch_modules, patch_table

EMULATOR = settings.ROOT / "sandbox" / "emulator"
# In a process of its own: the patches would stay in force in this one.
_SHOW = """
import json
from sandbox.emulator import patch_table, patching
shown = {"table": patch_table.table(), "patches": {
    name: item.restores for name, item in patching.PATCHES.items()}}
print(json.dumps(shown))
"""


class Shown(TypedDict):
    """The table made from the code, and each patch with what it restores."""

    table: str
    patches: dict[str, str]


@pytest.fixture(scope="module")
def shown() -> Shown:
    environment = {
        "PYTHONPATH": str(settings.ROOT),
        "SANDBOX_GATEWAY_URL": "http://127.0.0.1:1",
        "SANDBOX_MOTO_URL": "http://127.0.0.1:1",
    }
    process = subprocess.run(
        [sys.executable, "-c", _SHOW], env=environment, capture_output=True, text=True, check=True
    )
    found: Shown = json.loads(process.stdout.splitlines()[-1])
    return found


def test_the_table_is_made_from_the_code(shown: Shown) -> None:
    """Mend it with: .venv/bin/python -m sandbox.emulator.patch_table"""
    assert patch_table.between_marks(patch_table.README.read_text()) == shown["table"]


def test_every_patch_says_what_it_restores_where_aws_says_so_and_who_could_take_it(
    shown: Shown,
) -> None:
    rows = [line.split(" | ") for line in shown["table"].splitlines() if line.startswith("| `")]
    assert {row[0].strip("|` ") for row in rows} == set(shown["patches"])
    for name, behaviour, document, upstream in rows:
        assert len(behaviour) > 20, name
        has_document = document.startswith("[") and "](https://docs.aws.amazon.com/" in document
        assert has_document or upstream.startswith("none: "), name


def _names_used(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "patching":
            yield from (alias.name for alias in node.names)


def test_every_module_that_patches_is_installed() -> None:
    patching = {
        module.stem
        for module in EMULATOR.glob("*.py")
        if {"patch", "replace", "add", "extend"} & set(_names_used(module))
    }
    # Patches moto by its own means, and restores no AWS behaviour.
    installed = set(patch_modules.GATEWAY + patch_modules.MOTO) - {"moto_speed"}
    assert patching == installed


def _imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            yield from [node.module] if node.module else [alias.name for alias in node.names]


@pytest.mark.parametrize("package", ["sandbox", "sandbox/emulator"])
def test_no_module_imports_itself_by_a_detour(package: str) -> None:
    """Imports inside functions count too."""
    modules = sorted((settings.ROOT / package).glob("*.py"))
    waiting = {module.stem: set(_imports(module)) for module in modules}
    while waiting:
        free = {name for name, wanted in waiting.items() if not wanted & set(waiting)}
        assert free, f"import circle among {sorted(waiting)}"
        for name in free:
            del waiting[name]

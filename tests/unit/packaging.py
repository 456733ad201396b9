"""The scripts that build the zips, and the zips as the sources give them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import bytecode
import pytest

from tests.support.repository import ROOT, skip_or_fail

LAMBDA = ROOT / "lambda_src"
PACKAGE = LAMBDA / "guardduty_response"
ZIPS = sorted(path.name for path in (LAMBDA / "dist").glob("*.zip"))  # build.py --check: all


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, LAMBDA / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build, trim_models = _script("build"), _script("trim_models")


def code() -> dict[str, bytes]:
    """The bytecode of each module, by its path in a zip."""
    try:
        made: dict[str, bytes] = build.compiled()
    except bytecode.NoCompiler as error:
        skip_or_fail(str(error))
    return made


def built(directory: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    directory.mkdir()
    monkeypatch.setattr(
        build,
        "DIST",
        directory,
    )
    code()
    assert build.main([]) == 0
    return {path.name: path.read_bytes() for path in sorted(directory.glob("*.zip"))}

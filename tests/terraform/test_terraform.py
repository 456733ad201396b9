"""``terraform test`` over tests/terraform, in a copy of the module."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.terraform_tools import copy_module, initialized, terraform

pytestmark = pytest.mark.terraform


def test_terraform_test(tmp_path: Path) -> None:
    """Every run of every file passes. On failure the output says which assertion, with its
    sentence.
    """
    module = copy_module(tmp_path / "module")
    initialized(module, tmp_path, "-test-directory=tests/terraform")
    done = terraform(module, tmp_path, "test", "-test-directory=tests/terraform", "-no-color")
    assert done.returncode == 0, done.stdout[-6000:]
    assert ", 0 failed" in done.stdout
    passed = int(done.stdout.rsplit("Success! ", 1)[1].split(" ", 1)[0])
    assert passed >= 20, done.stdout[-2000:]

"""No emulator goes untested: it passed its tests as it is now, or they are in this run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.sandbox import emulator_fingerprint
from tests.support.repository import ROOT


def test_the_emulators_passed_their_tests_as_they_are(request: pytest.FixtureRequest) -> None:
    collected = {item.path for item in request.session.items}
    assert emulator_fingerprint.tested() or set(emulator_fingerprint.test_files()) <= collected, (
        "The emulators, their pins or their tests changed since they last passed, and this run"
        " leaves their tests out. Run: make test-emulators"
    )


def test_a_changed_test_or_emulator_changes_the_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "copy"
    for name in ("sandbox", "tests/sandbox", "requirements"):
        ignored = shutil.ignore_patterns("__pycache__", ".terraform")
        shutil.copytree(ROOT / name, copied / name, ignore=ignored)
    monkeypatch.setattr(emulator_fingerprint, "ROOT", copied)
    monkeypatch.setattr(
        emulator_fingerprint, "__file__", str(copied / "tests/sandbox/emulator_fingerprint.py")
    )
    sums = [emulator_fingerprint.fingerprint()]
    for name in ("sandbox/emulator/events.py", "tests/sandbox/test_emulator_iam.py"):
        with (copied / name).open("a") as file:
            file.write("# changed\n")
        sums.append(emulator_fingerprint.fingerprint())
    pins = copied / "requirements" / "dev.txt"
    pins.write_text(pins.read_text().replace("moto[server]==", "moto[server]==9"))
    sums.append(emulator_fingerprint.fingerprint())
    assert len(set(sums)) == 4


def test_every_file_has_a_test_that_always_runs() -> None:
    for file in emulator_fingerprint.test_files():
        assert "@pytest.mark.smoke" in file.read_text(), f"{file.name} has no smoke test"

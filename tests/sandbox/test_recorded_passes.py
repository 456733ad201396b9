"""No recorded suite goes untested: it passed with its files as they are, or it is in this run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.sandbox import recorded_passes
from tests.sandbox.recorded_passes import (
    EMULATORS,
    MODULES,
    PLANS,
    SUITES,
    TERRAFORM_TEST,
    Suite,
)
from tests.support.repository import ROOT


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: str(suite.name))
def test_a_suite_passed_as_it_is_or_runs(suite: Suite, request: pytest.FixtureRequest) -> None:
    collected = {item.path for item in request.session.items}
    assert recorded_passes.passed(suite) or set(recorded_passes.test_files(suite)) <= collected, (
        f"Files that the suite {suite.name} depends on changed since it last passed, and this run"
        " leaves its tests out. Run: make test-emulators"
    )


CHANGES = [
    ("sandbox/emulator/events.py", {EMULATORS, MODULES, PLANS}),
    ("tests/sandbox/test_emulator_iam.py", {EMULATORS}),
    ("modules/detector/main.tf", {MODULES, TERRAFORM_TEST, PLANS}),
    ("tests/terraform/watch.tftest.hcl", {TERRAFORM_TEST}),
    ("catalogue/finding_types.json", {MODULES, TERRAFORM_TEST, PLANS}),
    ("tests/sandbox/test_enablement.py", {MODULES}),
    ("playbooks/ec2_instance/responder-policy.json", {MODULES, TERRAFORM_TEST, PLANS}),
    ("playbooks/ec2_instance/playbook.yaml", {MODULES, TERRAFORM_TEST, PLANS}),
    ("tests/terraform/mistakes/mistakes.yaml", {PLANS}),
    ("tests/support/mistakes.py", {PLANS}),  # imported by a test
    ("tests/support/identity_server.py", {PLANS}),  # imported by what tests import
    ("tests/terraform/plan/test_plan.py", set()),
]


def test_a_changed_file_changes_the_sums_that_depend_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__", ".terraform")
    for name in (
        "sandbox",
        "tests/sandbox",
        "tests/terraform",
        "tests/examples",
        "tests/support",
        "requirements",
        "modules",
        "playbooks",
        "catalogue",
        "schema",
    ):
        shutil.copytree(
            ROOT / name,
            copied / name,
            ignore=ignored,
        )
    monkeypatch.setattr(
        recorded_passes,
        "ROOT",
        copied,
    )
    for name, suites in CHANGES:
        before = {suite: recorded_passes.fingerprint(suite) for suite in SUITES}
        with (copied / name).open("a") as file:
            file.write("# changed\n")
        changed = {suite for suite in SUITES if recorded_passes.fingerprint(suite) != before[suite]}
        assert changed == suites, name
    before = {suite: recorded_passes.fingerprint(suite) for suite in SUITES}
    pins = copied / "requirements" / "dev.txt"
    pins.write_text(pins.read_text().replace("ministack==", "ministack==9"))
    assert all(recorded_passes.fingerprint(suite) != before[suite] for suite in SUITES)


def test_every_emulator_has_a_test_that_always_runs() -> None:
    for file in recorded_passes.test_files(EMULATORS):
        assert "@pytest.mark.smoke" in file.read_text(), f"{file.name} has no smoke test"


def test_what_runs_functions_is_never_left_out() -> None:
    names = {file.name for suite in SUITES for file in recorded_passes.test_files(suite)}
    assert names and "test_emulator_evidence.py" not in names


def test_plans_and_scans_have_tests_that_always_run() -> None:
    for name in ("examples/test_examples.py", "terraform/policy/test_checkov.py"):
        assert "pytest.mark.smoke" in (ROOT / "tests" / name).read_text(), f"{name} has none"


def test_another_terraform_runs_what_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {suite: recorded_passes.fingerprint(suite) for suite in SUITES}
    monkeypatch.setattr(
        recorded_passes,
        "_terraform_version",
        lambda: "0.0.1",
    )
    changed = {suite for suite in SUITES if recorded_passes.fingerprint(suite) != before[suite]}
    assert changed == {TERRAFORM_TEST, PLANS}

"""Tests whose result follows from files alone: what they last passed with is recorded.

Four suites take minutes, and their result changes only when their files do:

- ``emulators``: what sandbox/emulator answers, on pinned releases of MiniStack and moto;
- ``modules``: modules that Terraform applies to the emulators, without the functions;
- ``terraform-test``: tests/terraform/*.tftest.hcl, on a mocked provider. Its sum includes
  Terraform's version, so it runs wherever another one is installed;
- ``plans``: plans of the examples, of mistakes, of deployments side by side, and checkov. Its sum
  includes Terraform's version, too.

``passed/<suite>.sha256`` has the sum of a suite's files as they were when every test of it passed.
A suite is left out of a run when its sum is the recorded one, but for the tests marked ``smoke``.
(The end-to-end tests apply the whole module in every run, and other tests plan it.) ``make
test-emulators`` runs all four whatever is recorded, every week, with the newest provider.
"""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.repository import ROOT

TESTS = "tests/sandbox"
_PINNED = ("ministack", "moto", "boto3", "botocore")
_HELPERS = (f"{TESTS}/conftest.py", f"{TESTS}/emulator_helpers.py")


@dataclass(frozen=True)
class Suite:
    """``tests``: glob patterns of test files; ``sources``: glob patterns of what they test. Both
    are relative to the repository. ``with_terraform``: Terraform's version counts too.
    ``with_imports``: so does what the tests import of the repository, and what that imports.
    """

    name: str
    tests: tuple[str, ...]
    sources: tuple[str, ...]
    with_terraform: bool = False
    with_imports: bool = False


EMULATORS = Suite(
    "emulators",
    (f"{TESTS}/test_emulator_*.py",),
    (
        "sandbox/emulator/**/*.py",
        # Beside the emulator itself: what starts it and speaks to it.
        "sandbox/stack.py",
        "sandbox/processes.py",
        "sandbox/settings.py",
        "sandbox/clients.py",
        *_HELPERS,
    ),
)
MODULES = Suite(
    "modules",
    tuple(
        f"{TESTS}/test_{name}.py"
        for name in (
            "configuration_by_hash",
            "deletion_protection",
            "destroy_keeps_keys",
            "detection_apart",
            "enablement",
            "findings_modules",
            "member_stacks",
        )
    ),
    (
        *EMULATORS.sources,
        "*.tf",
        "modules/**/*.tf",
        "modules/**/*.json",
        "playbooks/**/*.json",
        "playbooks/**/*.yaml",
        "playbooks/**/*.sh",
        "playbooks/**/*.ps1",
        "catalogue/*.json",
        "schema/variables/*.json",
        f"{TESTS}/configuration_lab.py",
        f"{TESTS}/findings_modules_lab.py",
        f"{TESTS}/response_lab.py",
        f"{TESTS}/test_emulator_guardduty.py",
        f"{TESTS}/test_emulator_stacksets.py",
        "sandbox/terraform.py",
        "tests/support/shared_provider.py",
        "tests/support/terraform_tools.py",
    ),
)
TERRAFORM_TEST = Suite(
    "terraform-test",
    ("tests/terraform/test_terraform.py",),
    (
        "*.tf",
        "modules/**/*",
        "playbooks/**/*",
        "catalogue/*",
        "schema/variables/*",
        "examples/**/*.tf",
        "examples/**/*.tfvars",
        "tests/terraform/*.tftest.hcl",
        "tests/terraform/fixtures/**/*",
        "tests/support/shared_provider.py",
        "tests/support/terraform_tools.py",
    ),
    with_terraform=True,
)
PLANS = Suite(
    "plans",
    (
        "tests/examples/test_examples.py",
        "tests/terraform/mistakes/test_mistakes.py",
        "tests/terraform/plan/test_brought_keys.py",
        "tests/terraform/plan/test_forwarder_twins.py",
        "tests/terraform/plan/test_plan_size.py",
        "tests/terraform/plan/test_several_deployments.py",
        "tests/terraform/policy/test_checkov.py",
        "tests/terraform/policy/test_checkov_plan.py",
        "tests/terraform/schema/test_remediations_schema.py",
        "tests/terraform/test_enablement_names.py",
    ),
    (
        "*.tf",
        "modules/**/*",
        "playbooks/**/*",
        "catalogue/*",
        "schema/**/*",
        *(f"examples/**/*.{kind}" for kind in ("tf", "tfvars", "json", "md", "py")),
        "docs/mistakes.md",
        "sandbox/emulator/**/*.py",
        "sandbox/terraform/*",
        ".checkov.yaml",
        "requirements/checkov.txt",
        "requirements/locked/checkov.txt",
        "tests/conftest.py",
        "tests/terraform/**/*.json",
        "tests/terraform/**/*.tf",
        "tests/terraform/**/*.yaml",
    ),
    with_terraform=True,
    with_imports=True,
)
SUITES = (EMULATORS, MODULES, TERRAFORM_TEST, PLANS)


def _found(patterns: Iterable[str]) -> list[Path]:
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(path for path in found if ".terraform" not in path.parts)


def test_files(suite: Suite) -> list[Path]:
    """Return the suite's test files, without those that run a function: no sum has its sources."""
    return [
        path for path in _found(suite.tests) if "from guardduty_response." not in path.read_text()
    ]


def _imports(file: Path) -> set[Path]:
    """Return the repository's files that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {file for name in names if (file := ROOT / f"{name.replace('.', '/')}.py").is_file()}


def _with_imports(files: Iterable[Path]) -> set[Path]:
    """Return the files, what they import, and so on."""
    found: set[Path] = set()
    left = list(files)
    while left:
        file = left.pop()
        if file not in found:
            found.add(file)
            left += _imports(file)
    return found


def test_names(files: Iterable[Path]) -> set[str]:
    """Return "file name::function" of every test in the files that ``make test`` runs."""
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.FunctionDef)
                and node.name.startswith("test_")
                and "pytest.mark.proof" not in map(ast.unparse, node.decorator_list)
            ):
                found.add(f"{file.name}::{node.name}")
    return found


def _pins() -> str:
    """Return the lines of requirements/dev.txt that pin the emulators."""
    lines = (ROOT / "requirements" / "dev.txt").read_text().splitlines()
    return "\n".join(line for line in lines if line.replace("[", "=").split("=", 1)[0] in _PINNED)


def fingerprint(suite: Suite) -> str:
    """Return the sum over what the suite tests, the pins and its tests as they are now."""
    total = hashlib.sha256(_pins().encode())
    if suite.with_terraform:
        total.update(_terraform_version().encode())
    tests = test_files(suite)
    imported = _with_imports(tests) if suite.with_imports else set()
    for file in sorted({*_found(suite.sources), *tests, *imported}):
        total.update(f"\n{file.relative_to(ROOT).as_posix()}\n".encode())
        total.update(file.read_bytes())
    return total.hexdigest()


@cache
def _terraform_version() -> str:
    """Return the version of the Terraform on the PATH, or an empty string without one."""
    if shutil.which("terraform") is None:
        return ""
    command = ["terraform", "version", "-json"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)["terraform_version"])


def _record(suite: Suite) -> Path:
    return ROOT / TESTS / "passed" / f"{suite.name}.sha256"


def passed(suite: Suite) -> bool:
    """Tell whether the suite passed with its files as they are now."""
    record = _record(suite)
    return record.is_file() and record.read_text().strip() == fingerprint(suite)


def write(suite: Suite) -> None:
    """Record that it did."""
    _record(suite).write_text(f"{fingerprint(suite)}\n")

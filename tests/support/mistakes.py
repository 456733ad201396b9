"""Writes docs/mistakes.md: mistakes in the module call, and how the plan answers them.

The mistakes are in tests/terraform/mistakes/mistakes.yaml; test_mistakes.py plans each of them.

``python -m tests.support.mistakes``
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, TypedDict

import yaml

from tests.support.repository import ROOT
from tests.support.terraform_tools import initialized, terraform

Json = dict[str, Any]
DATA = ROOT / "tests" / "terraform" / "mistakes" / "mistakes.yaml"
DOCUMENT = ROOT / "docs" / "mistakes.md"
HEAD = """# Mistakes, and how the plan answers them

Written from `tests/terraform/mistakes/mistakes.yaml` by
`.venv/bin/python -m tests.support.mistakes`; a test plans each of them.

Each row is something that the module call may say by mistake. None of them is planned: the plan
fails with the sentence on the right.
"""
# The module without its resources: what a plan says of these variables needs no provider. The
# policy of all finding types is left out where the call has no switches: it takes the longest.
FOLDERS = ("catalogue", "modules/playbook-options", "modules/typed-options", "playbooks", "schema")
FILES = ("playbooks.tf", "settings.tf", "outputs-settings.tf")


class Mistake(TypedDict, total=False):
    """What somebody writes, and what the plan says, with … for what is left out.

    ``argument``: the module has no such argument. ``asked_of``: the file that answers, where that
    takes a provider; tests/terraform/enablement_*.tftest.hcl plan that.
    """

    mistake: str
    call: str
    says: str
    argument: bool
    asked_of: str


def mistakes() -> list[Mistake]:
    """Returns them in the order of the document."""
    found: list[Mistake] = yaml.safe_load(DATA.read_text())
    return found


def render() -> str:
    """Returns the document."""
    lines = [HEAD, "| mistake | the call | what the plan says |", "|---|---|---|"]
    for row in mistakes():
        call = "<br>".join(f"`{line}`" for line in row["call"].splitlines())
        says = row["says"].replace("<", "\\<").replace("*", "\\*")
        cells = (row["mistake"], call, says)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def module_without_resources(root: Path, *, policy: bool) -> Path:
    """Copies the module's variables and settings to ``root``, and with ``policy`` its policy."""
    root.mkdir()
    for path in (*(ROOT / name for name in FILES), *ROOT.glob("variables*.tf")):
        shutil.copy(path, root)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name)
    outputs = ["playbook_options"]
    if policy:
        outputs.append("effective_policy")
        shutil.copy(ROOT / "policy.tf", root)
        checks, found, _ = (
            (ROOT / "policy-checks.tf").read_text().partition("# Whoever applies this module")
        )
        assert found, "the part that asks who is calling is left out here"
        (root / "policy-checks.tf").write_text(checks)
    text = (ROOT / "outputs.tf").read_text()
    for name in outputs:
        found_output = re.search(
            rf'output "{name}" \{{.*?\n\}}\n',
            text,
            flags=re.DOTALL,
        )
        assert found_output, name
        (root / f"output-{name}.tf").write_text(found_output.group())
    return root


def _texts(printed: str) -> list[tuple[str, str]]:
    """Returns the file and the text of every error in Terraform's JSON lines."""
    found = []
    for line in printed.splitlines():
        message = json.loads(line)
        if message.get("type") != "diagnostic" or message["diagnostic"]["severity"] != "error":
            continue
        diagnostic = message["diagnostic"]
        text = " ".join(diagnostic.get("detail", "").split())
        found.append((str(message.get("@testfile", "")), text))
    return found


def planned(root: Path, calls: list[str]) -> list[str]:
    """Returns, of each call, what a plan with these variables says: one process plans them all."""
    tests = root / "tests"
    tests.mkdir()
    for number, call in enumerate(calls):
        body = "\n".join(f"    {line}" for line in call.splitlines())
        (tests / f"{number}.tftest.hcl").write_text(
            f'run "mistake" {{\n  command = plan\n\n  variables {{\n{body}\n  }}\n}}\n'
        )
    initialized(root, root)
    printed = terraform(root, root, "test", "-json", "-no-color").stdout
    said: dict[str, list[str]] = {}
    for file, text in _texts(printed):
        said.setdefault(Path(file).name, []).append(text)
    return [" ".join(said.get(f"{number}.tftest.hcl", [])) for number in range(len(calls))]


def refused_arguments(root: Path, calls: list[str]) -> str:
    """Returns what Terraform says of arguments that the module does not have, about all calls."""
    caller = root / "caller"
    caller.mkdir()
    body = "\n  ".join(calls)
    (caller / "main.tf").write_text(f'module "call" {{\n  source = "../"\n  {body}\n}}\n')
    initialized(caller, root)
    done = terraform(
        caller,
        root,
        "validate",
        "-json",
        "-no-color",
    )
    shown = json.loads(done.stdout[done.stdout.index("{") :])
    return " ".join(said["detail"] for said in shown["diagnostics"])


if __name__ == "__main__":
    DOCUMENT.write_text(render())
    print(DOCUMENT.relative_to(ROOT))

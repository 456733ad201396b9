"""Writes what follows from the controls: ``python lambda_src/generate.py`` writes, ``--check``
compares with what is committed.

Of each playbook whose package has ``permissions``: the policies of its member roles, the calls that
undo its containment, and the table of its runbook; of all of them, docs/permissions.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import yaml
from generator import permissions, policies, runbook, stand_in, undoing
from guardduty_response.containment.declared import Example

SOURCE = Path(__file__).resolve().parent
ROOT = SOURCE.parent
PLAYBOOKS = "guardduty_response.playbooks"
DOCUMENT = "docs/permissions.md"


def ported() -> list[str]:
    """Returns the playbooks that declare permissions, sorted."""
    package = SOURCE / PLAYBOOKS.replace(".", "/")
    return sorted(path.parent.parent.name for path in package.glob("*/permissions/__init__.py"))


def declared(name: str) -> permissions.Declared:
    """Returns what a playbook declares."""
    module = import_module(f"{PLAYBOOKS}.{name}.permissions")
    return permissions.Declared(
        name,
        module.CONTROLS,
        module.ROLES,
        examples(name),
        module.WHY,
    )


def files() -> dict[str, str]:
    """Returns the text of every generated file, by its path in the repository. Raises ValueError,
    which says what is missing.
    """
    playbooks = [declared(name) for name in ported()]
    found = {path: text for playbook in playbooks for path, text in _of_playbook(playbook)}
    return {**found, DOCUMENT: permissions.document(playbooks)}


def examples(name: str) -> tuple[Example, ...]:
    """Returns the examples of a playbook's controls, with its options as they are by default."""
    module = import_module(f"{PLAYBOOKS}.{name}.examples")
    return tuple(module.examples(stand_in.context(runbook.defaults(options(name)))))


def options(name: str) -> runbook.Options:
    """Returns the options of a playbook's manifest."""
    manifest = yaml.safe_load((ROOT / "playbooks" / name / "playbook.yaml").read_text())
    found: runbook.Options = manifest["options"]
    return found


def _of_playbook(playbook: permissions.Declared) -> Iterator[tuple[str, str]]:
    folder = f"playbooks/{playbook.name}"
    for role in playbook.roles:
        statements = policies.statements(playbook.controls, role)
        yield f"{folder}/{role.kind}-policy.json", policies.template(statements)
    yield f"{folder}/undoing-calls.json", undoing.undoing_calls(playbook.controls)
    page = f"{folder}/runbook.md"
    text = (ROOT / page).read_text()
    yield page, runbook.with_table(page, text, playbook.examples, options(playbook.name))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="fail if a file differs from what the controls give"
    )
    check = parser.parse_args(arguments).check
    try:
        found = files()
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    changed = []
    for name, text in found.items():
        path = ROOT / name
        if not path.is_file() or path.read_text() != text:
            changed.append(name)
            if not check:
                path.write_text(text)
    for name in changed:
        if check:
            print(
                f"error: {name} is not what the controls give: run lambda_src/generate.py and"
                " commit it",
                file=sys.stderr,
            )
        else:
            print(f"{name}: written")
    return 1 if check and changed else 0


if __name__ == "__main__":
    raise SystemExit(main())

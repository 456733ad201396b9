"""Gives a root that calls the module one variable for each playbook there is, passed on unchanged.

A module call names its arguments, and a playbook is to be added without an edit here.
"""

from __future__ import annotations

import json
from pathlib import Path


def playbook_names(repository: Path) -> list[str]:
    """Return the playbooks that have a manifest (releases before 0.2 have none), sorted."""
    return sorted(path.parent.name for path in repository.glob("playbooks/*/playbook.yaml"))


def write(root: Path, repository: Path) -> None:
    """Write the files into a copy of sandbox/terraform: variables, and an override of the call."""
    names = playbook_names(repository)
    if not names:
        return
    variables = {
        name: {"description": "Passed to the module.", "type": "any", "default": None}
        for name in names
    }
    arguments = {name: f"${{var.{name}}}" for name in names}
    files = {
        "playbooks.tf.json": {"variable": variables},
        "playbooks_override.tf.json": {"module": {"security": arguments}},
    }
    for file, content in files.items():
        (root / file).write_text(json.dumps(content, indent=2) + "\n")

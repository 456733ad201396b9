"""Writes the table of keys in modules/guardduty/README.md from schema/variables/guardduty.json.

``python -m tests.support.guardduty_table``
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.repository import ROOT

DOCUMENT = ROOT / "modules" / "guardduty" / "README.md"
SCHEMA = ROOT / "schema" / "variables" / "guardduty.json"
BEGIN, END = "<!-- keys -->\n", "<!-- end -->"


def _row(path: str, rule: dict[str, Any]) -> str:
    default = "required" if rule.get("required") else ""
    if rule.get("default") is not None:
        default = f"`{json.dumps(rule['default'])}`"
    cells = (f"`{path}`", rule["type"], default, rule["text"])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def render() -> str:
    """Returns the document with the table as the schema has it."""
    options = json.loads(SCHEMA.read_text())["options"]
    rows = [_row(path, rule) for path, rule in options.items()]
    table = "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows]) + "\n"
    before, rest = DOCUMENT.read_text().split(BEGIN)
    return before + BEGIN + table + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    DOCUMENT.write_text(render())

"""Writes the tables of variables and outputs: in the README of each public module, and of the root
module in docs/variables.md.

``python -m tests.support.module_tables``
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import hcl2

from tests.support.repository import ROOT

Json = dict[str, Any]
MODULES = ROOT / "modules"
ROOT_DOCUMENT = ROOT / "docs" / "variables.md"
INTERNAL = "# Internal: "  # how main.tf of a module begins that only other modules here call
TABLES = {
    "inputs": ["| variable | type | default | meaning |", "|---|---|---|---|"],
    "outputs": ["| output | meaning |", "|---|---|"],
}
END = "<!-- end -->"
_HEREDOC = re.compile(r"<<-?(\w+)\n(.*?)\n\s*\1", re.DOTALL)
# A colon ends one before a list.
_SENTENCE = re.compile(r".+?(?:\.(?=\s|$)|:(?=\s+- ))")


def internal(folder: Path) -> bool:
    """Returns whether only other modules of this repository call the module."""
    return (folder / "main.tf").read_text().startswith(INTERNAL)


def documents() -> dict[Path, Path]:
    """Returns the document of each public module: its folder -> the document."""
    folders = sorted(path.parent for path in MODULES.glob("*/main.tf"))
    public = {folder: folder / "README.md" for folder in folders if not internal(folder)}
    return {ROOT: ROOT_DOCUMENT, **public}


def _blocks(folder: Path, kind: str) -> dict[str, Json]:
    """Returns the variables or outputs of a module, by name, in the order of its files."""
    found: dict[str, Json] = {}
    for path in sorted(folder.glob(f"{kind}s*.tf"), key=lambda path: path.stem):
        with path.open(encoding="utf-8") as file:
            for block in hcl2.load(file).get(kind, []):
                found |= {name.strip('"'): body for name, body in block.items()}
    return found


def text_of(written: str) -> str:
    """Returns the text of an HCL string or heredoc."""
    heredoc = _HEREDOC.search(written)
    if heredoc:
        return textwrap.dedent(heredoc[2]).strip()
    return str(json.loads(written))


def first_sentence(text: str) -> str:
    """Returns the first sentence in one line."""
    line = " ".join(text.split())
    found = _SENTENCE.match(line)
    sentence = found[0] if found else line
    return sentence[:-1] + "." if sentence.endswith(":") else sentence


def short_type(written: str) -> str:
    """Returns a type without what is in its objects."""
    text = written.removeprefix("${").removesuffix("}") if written.startswith("${") else written
    while (start := text.find("object({")) >= 0:
        depth, end = 0, start + len("object")
        for end in range(start + len("object"), len(text)):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            if depth == 0:
                break
        text = text[:start] + "object" + text[end + 1 :]
    return text


def _default(variable: Json) -> str:
    if "default" not in variable:
        return "required"
    value = variable["default"]
    if isinstance(value, str):
        value = json.loads(value)
    return "" if value is None else f"`{json.dumps(plain(value), ensure_ascii=False)}`"


def plain(value: Any) -> Any:
    """Returns a default without the quotes and marks of the parser."""
    if isinstance(value, dict):
        return {
            name.strip('"'): plain(inner)
            for name, inner in value.items()
            if not name.startswith("__")
        }
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.strip('"') if isinstance(value, str) else value


def _row(*cells: str) -> str:
    escaped = [
        cell if cell.startswith("`") else re.sub(r"([|<*])", r"\\\1", cell) for cell in cells
    ]
    return "| " + " | ".join(escaped) + " |"


def rows(folder: Path, table: str) -> list[str]:
    """Returns the rows of a module's table: inputs or outputs."""
    if table == "outputs":
        return [
            _row(f"`{name}`", first_sentence(text_of(output["description"])))
            for name, output in _blocks(folder, "output").items()
        ]
    return [
        _row(
            f"`{name}`",
            short_type(variable["type"]),
            _default(variable),
            first_sentence(text_of(variable["description"])),
        )
        for name, variable in _blocks(folder, "variable").items()
    ]


def render(folder: Path, document: Path) -> str:
    """Returns a document with the tables as the module has them."""
    text = document.read_text(encoding="utf-8")
    for table, head in TABLES.items():
        before, found, rest = text.partition(f"<!-- {table} -->\n")
        _, end, after = rest.partition(END)
        if not found or not end:
            name = document.relative_to(ROOT)
            raise ValueError(f"{name} has no lines <!-- {table} --> and {END} after it")
        made = "".join(f"{line}\n" for line in [*head, *rows(folder, table)])
        text = before + found + made + end + after
    return text


if __name__ == "__main__":
    for module, written in documents().items():
        written.write_text(render(module, written), encoding="utf-8")
        print(written.relative_to(ROOT))

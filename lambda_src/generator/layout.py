"""Writes JSON as people write it: on one line what fits on one."""

from __future__ import annotations

import json
from collections.abc import Iterator

COLUMNS = 100
# Terraform's variables that are JSON themselves, and so stand without quotation marks.
JSON_VARIABLES = ("${group_kinds}", "${own_role_arns}", "${quarantine_role_arns}")


def render(value: object, indent: int = 0, used: int = 0, expand: bool = False) -> str:
    """Returns a value as JSON.

    ``indent``: of the line it begins on, ``used``: the columns before it, ``expand``: whether the
    value itself is on lines of its own in any case.
    """
    line = _line(value)
    fits = indent + used + len(line) <= COLUMNS
    if not isinstance(value, dict | list) or not value or (fits and not expand):
        return line
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    inner = ",\n".join(" " * (indent + 2) + part for part in _parts(value, indent + 2))
    return f"{opening}\n{inner}\n{' ' * indent}{closing}"


def _parts(value: dict[str, object] | list[object], indent: int) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield render(entry, indent, len(","))
        return
    for key, entry in value.items():
        name = f"{json.dumps(key)}: "
        yield name + render(entry, indent, len(name) + len(","))


def _line(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    for variable in JSON_VARIABLES:
        text = text.replace(json.dumps(variable), variable)
    return text

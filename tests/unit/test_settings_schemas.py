"""The schemas of the variables that are objects say everything about each key."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support import option_tables
from tests.support.repository import ROOT

SCHEMAS = option_tables.schemas()
TYPES: dict[str, type | tuple[type, ...]] = {
    "bool": bool,
    "number": (int, float),
    "string": str,
    "list(string)": list,
    "list(number)": list,
    "set(string)": list,
    "map(string)": dict,
    "map(number)": dict,
    "map(map(string))": dict,
    "object": dict,
    "list(object)": list,
    "map(object)": dict,
}
KEYS = {
    *("type", "text", "default", "required", "values", "meanings", "pattern", "key_pattern"),
    *("minimum", "above", "maximum", "integer", "minimum_items", "exactly_one_of", "must"),
    "example",
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_of_a_variable_and_is_asked(name: str) -> None:
    variables = "".join(path.read_text() for path in ROOT.glob("variables*.tf"))
    found = re.search(
        rf'^variable "{name}" \{{\n(?:.*\n)*?  type +=(.*)$',
        variables,
        re.MULTILINE,
    )
    assert found and found.group(1).strip() == "any"
    assert SCHEMAS[name]["text"].endswith(".")
    assert f"schema = local.schemas.{name}\n" in (ROOT / "settings.tf").read_text()


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name in SCHEMAS for path in SCHEMAS[name]["options"]]
)
def test_a_key_is_declared_completely(name: str, path: str) -> None:
    options: dict[str, dict[str, Any]] = SCHEMAS[name]["options"]
    rule = options[path]
    assert rule.keys() <= KEYS
    assert rule["text"].endswith(".") and rule["text"][0].isupper()
    assert rule.get("must", "must ").startswith("must ")
    parent = path.rpartition(".")[0].removesuffix(".*")
    assert not parent or "object" in options[parent]["type"]
    default = rule.get("default")
    if rule["type"] != "any":
        assert default is None or isinstance(default, TYPES[rule["type"]])
        assert rule["type"] == "bool" or not isinstance(default, bool)
    if rule["type"] == "string":
        for value in (default, rule.get("example")):
            assert value is None or "values" not in rule or value in rule["values"]
            assert value is None or "pattern" not in rule or re.search(rule["pattern"], value)


def test_the_table_of_settings_is_written_from_the_schemas() -> None:
    assert option_tables.SETTINGS.read_text() == option_tables.render_settings(), (
        "run 'python -m tests.support.option_tables'"
    )

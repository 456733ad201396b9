"""The manifests say what exists, and say it completely."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support import guardduty_table, option_tables
from tests.support.catalogue import finding_types, manifests
from tests.support.repository import ROOT

NAMES = sorted(manifests())
TYPES: dict[str, type | tuple[type, ...]] = {
    "bool": bool,
    "number": (int, float),
    "string": str,
    "set(string)": list,
    "list(string)": list,
    "map(string)": dict,
}
KEYS = {
    *("type", "text", "default", "required", "values", "meanings", "pattern", "key_pattern"),
    *("minimum", "above", "maximum", "minimum_items", "exactly_one_of", "must"),
}


def test_the_folders_are_the_one_list() -> None:
    text = (ROOT / "playbooks.tf").read_text()
    listed = re.findall(
        r"^    (\w+) += var\.(\w+)$",
        text,
        re.MULTILINE,
    )
    assert [name for name, _ in listed] == NAMES
    assert all(name == variable for name, variable in listed)
    assert {path.name for path in (ROOT / "playbooks").iterdir() if path.is_dir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_playbook_has_its_variable_and_its_code(name: str) -> None:
    variable = ROOT / f"variables-{name.replace('_', '-')}.tf"
    assert f'variable "{name}" {{' in variable.read_text()
    assert (ROOT / "lambda_src/guardduty_response/playbooks" / name / "playbook.py").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_its_jobs_are_switched_on_by_options_that_it_has(name: str) -> None:
    manifest = manifests()[name]
    assert {"playbook", "collect"} <= manifest["jobs"].keys()
    for job, entry in manifest["jobs"].items():
        for option, value in entry.get("switched_on_by", {}).items():
            rule = manifest["options"][option]
            assert value == "any" or value is True or value in rule["values"], job


def _options() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (name, path, rule) for name in NAMES for path, rule in manifests()[name]["options"].items()
    ]


@pytest.mark.parametrize(("name", "path", "rule"), _options())
def test_an_option_is_declared_completely(name: str, path: str, rule: dict[str, Any]) -> None:
    options = manifests()[name]["options"]
    assert rule.keys() <= KEYS
    assert rule["text"].endswith(".") and rule["text"][0].isupper()
    assert path.count(".") <= 2, "modules/playbook-options goes three levels deep"
    parent = path.rpartition(".")[0]
    assert not parent or options[parent]["type"] == "object"
    if rule["type"] == "object":
        assert any(other.startswith(f"{path}.") for other in options)
        return
    default = rule.get("default")
    assert default is None or isinstance(default, TYPES[rule["type"]])
    assert rule["type"] == "bool" or not isinstance(default, bool)
    assert default is not None or parent, "only keys of an object have no default"
    if "values" in rule and rule["type"] == "string":
        assert default in rule["values"]
        assert rule.get("meanings", {}).keys() <= set(rule["values"])


@pytest.mark.parametrize("name", NAMES)
def test_what_it_answers_and_hands_over_exists(name: str) -> None:
    manifest = manifests()[name]
    resources = {
        resource for entry in finding_types().values() for resource in entry["resource_type"]
    }
    assert {answer["resource_type"] for answer in manifest["answers"]} <= resources
    assert set(manifest["modes"]) <= {"dry_run", "approve", "auto"}
    for other in manifest.get("hands_over", []):
        assert other["playbook"] in NAMES


def test_the_table_of_options_is_written_from_the_manifests() -> None:
    assert option_tables.DOCUMENT.read_text() == option_tables.render(), (
        "run 'python -m tests.support.option_tables'"
    )


def test_the_table_of_guardduty_is_written_from_its_schema() -> None:
    assert guardduty_table.DOCUMENT.read_text() == guardduty_table.render(), (
        "run 'python -m tests.support.guardduty_table'"
    )

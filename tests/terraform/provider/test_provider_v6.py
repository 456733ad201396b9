"""Nothing is used that version 6 of the AWS provider removed or deprecates: the module works on
v5 and v6 alike.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.repository import ROOT
from tests.support.terraform_tools import initialized, terraform
from tests.terraform.provider import usage
from tests.terraform.provider.provider_v6 import camel, schema

pytestmark = pytest.mark.terraform
PLACES = (
    "*.tf",
    "modules/**/*.tf",
    "examples/**/*.tf",
    "sandbox/terraform/**/*.tf",
    "tests/**/*.tf",
)
Json = dict[str, Any]
PROBES = {
    "data aws_region",
    "resource aws_guardduty_detector",
    "resource aws_guardduty_organization_configuration",
}
# (type, argument) that v6 deprecates and v5 has nothing else for => how it stands.
EXCUSED = {
    (
        "resource aws_dynamodb_table",
        "global_secondary_index.hash_key",
    ): "v6 prefers key_schema, which 5.100 does not have (docs/decisions/0040)",
    (
        "resource aws_dynamodb_table",
        "global_secondary_index.range_key",
    ): "v6 prefers key_schema, which 5.100 does not have (docs/decisions/0040)",
}


def problems(document: Json, where: str, known: dict[str, Json]) -> list[str]:
    """What a parsed file uses that v6 has not, needs, or deprecates."""
    found = []
    for block in usage.blocks(document, where):
        definition = known.get(block.kind)
        if definition is None:
            found.append(f"{block.where}: v6 has no {block.kind}")
            continue
        if "" in definition["deprecated"]:
            found.append(f"{block.where}: {definition['deprecated']['']}")
        for path in block.arguments():
            found += [f"{block.where}: {text}" for text in _argument(block.kind, path, definition)]
        for path, written in block.blocks():
            missing = {
                name for name, arg in _below(definition, path).items() if arg["required"]
            } - written
            found += [
                f"{block.where}: v6 requires {'.'.join([*path, name])}" for name in sorted(missing)
            ]
    for kind, attribute in sorted(usage.references(document)):
        definition = known.get(kind, {"attributes": [], "deprecated": {}})
        if not {camel(attribute), f"{camel(attribute)}Attribute"} & set(definition["attributes"]):
            found.append(f"{where}: v6 has no attribute {attribute} of {kind}")
        found += [
            f"{where}: {kind}.{attribute} is deprecated: {text}"
            for text in _said(definition, attribute, kind)
        ]
    return found


def _below(usage: Json, path: tuple[str, ...]) -> Json:
    inside: Json = usage["arguments"]
    for name in path:
        inside = (inside.get(name) or {}).get("block") or {}
    return inside


def _argument(kind: str, path: tuple[str, ...], usage: Json) -> list[str]:
    name = ".".join(path)
    if path[-1] not in _below(usage, path[:-1]):
        return [f"v6 has no argument {name}"]
    return [f"{name} is deprecated: {text}" for text in _said(usage, name, kind)]


def _said(usage: Json, name: str, kind: str) -> list[str]:
    """The other bindings write what may be given several times in the plural."""
    spelt = {name, f"{name}s", f"{name}es", f"{name[:-1]}ies"}
    return [
        text
        for own, text in usage["deprecated"].items()
        if own in spelt and (kind, name) not in EXCUSED
    ]


@pytest.fixture(scope="module")
def documents() -> dict[str, Json]:
    files = {
        path for pattern in PLACES for path in ROOT.glob(pattern) if ".terraform" not in path.parts
    }
    return {str(path.relative_to(ROOT)): usage.parse(path) for path in sorted(files)}


@pytest.fixture(scope="module")
def known(documents: dict[str, Json]) -> dict[str, Json]:
    used = {
        block.kind
        for where, document in documents.items()
        for block in usage.blocks(document, where)
    }
    return schema(
        used
        | {
            "data aws_region",
            "resource aws_guardduty_detector",
            "resource aws_guardduty_organization_configuration",
        }
    )


def test_everything_used_is_in_v6_and_not_deprecated(
    documents: dict[str, Json], known: dict[str, Json]
) -> None:
    assert len(documents) > 40
    assert sum(len(usage.blocks(document, where)) for where, document in documents.items()) > 60
    assert sum(len(usage.references(document)) for document in documents.values()) > 60
    assert [
        text for where, document in documents.items() for text in problems(document, where, known)
    ] == []


def test_what_is_excused_is_used_and_deprecated(
    documents: dict[str, Json], known: dict[str, Json]
) -> None:
    used = {
        (block.kind, ".".join(path))
        for where, document in documents.items()
        for block in usage.blocks(document, where)
        for path in block.arguments()
    }
    for kind, name in EXCUSED:
        assert (kind, name) in used
        assert name in known[kind]["deprecated"]


def test_nothing_used_is_deprecated_in_v5(documents: dict[str, Json], tmp_path: Path) -> None:
    """By the schema of the provider that is installed here."""
    (tmp_path / "main.tf").write_text((ROOT / "versions.tf").read_text())
    initialized(tmp_path, tmp_path)
    shown = terraform(tmp_path, tmp_path, "providers", "schema", "-json")
    assert shown.returncode == 0, shown.stdout[-1000:]
    [whole] = json.loads(shown.stdout)["provider_schemas"].values()
    kinds = {
        "resource": whole["resource_schemas"],
        "data": whole["data_source_schemas"],
        "provider": {"aws": whole["provider"]},
    }
    found, seen = [], 0
    for where, document in documents.items():
        for block in usage.blocks(document, where):
            kind, _, name = block.kind.partition(" ")
            inside = kinds[kind][name]["block"]
            assert not inside.get("deprecated"), block.where
            for path in block.arguments():
                seen += 1
                found += (
                    [f"{block.where}: {'.'.join(path)}"] if _deprecated_in_v5(inside, path) else []
                )
        for kind_name, attribute in usage.references(document):
            kind, _, name = kind_name.partition(" ")
            found += (
                [f"{where}: {name}.{attribute}"]
                if _deprecated_in_v5(kinds[kind][name]["block"], (attribute,))
                else []
            )
    assert seen > 300
    assert found == []


def _deprecated_in_v5(block: Json, path: tuple[str, ...]) -> bool:
    for name in path[:-1]:
        block = (
            block["block_types"].get(name, {}).get("block", {"block_types": {}, "attributes": {}})
        )
    schema_item = block.get("attributes", {}).get(path[-1]) or block.get("block_types", {}).get(
        path[-1], {}
    ).get("block", {})
    return bool(schema_item.get("deprecated"))


REGION = 'data "aws_region" "x" {}\n'
DETECTOR = 'resource "aws_guardduty_detector" "x"'
ORGANIZATION = 'resource "aws_guardduty_organization_configuration" "x"'
DYNAMIC = 'dynamic "datasources" {\n for_each = [1]\n content {\n s3_log {}\n }\n }'
BAD = {
    "v6 has no argument auto_enable": (
        f'{ORGANIZATION} {{\n detector_id = "x"\n auto_enable = true\n}}\n'
    ),
    "v6 requires auto_enable_organization_members": f'{ORGANIZATION} {{\n detector_id = "x"\n}}\n',
    "datasources is deprecated": f"{DETECTOR} {{\n datasources {{}}\n}}\n",
    "v6 has no argument datasources.s3_log": f"{DETECTOR} {{\n {DYNAMIC}\n}}\n",
    "v6 has no argument enabled": f"{DETECTOR} {{\n enabled = true\n}}\n",
    "data aws_region.name is deprecated": (
        f'{REGION}locals {{\n region = "${{data.aws_region.x.name}}-1"\n}}\n'
    ),
    "data aws_region.id is deprecated": (
        f"{REGION}locals {{\n region = one(data.aws_region.x[*].id)\n}}\n"
    ),
    "v6 has no attribute arm of resource aws_guardduty_detector": (
        f"{DETECTOR} {{}}\nlocals {{\n arms = [for key, one in aws_guardduty_detector.x :"
        " one.arm]\n}\n"
    ),
    "v6 has no resource aws_opsworks_stack": 'resource "aws_opsworks_stack" "x" {}\n',
}


@pytest.mark.parametrize("sentence", BAD)
def test_what_v6_lacks_or_deprecates_is_found(
    known: dict[str, Json], tmp_path: Path, sentence: str
) -> None:
    (tmp_path / "bad.tf").write_text(BAD[sentence])
    found = problems(usage.parse(tmp_path / "bad.tf"), "bad.tf", known)
    assert [text for text in found if sentence in text], found

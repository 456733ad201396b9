"""The AWS provider's v6 schema of given types, out of two wheels of bindings (make provider-v6
downloads them).

``cdktn-provider-aws`` has every argument, block and attribute, ``pulumi-aws`` what is deprecated.
Neither is installed: both are read as archives, once for a set of types; what came out is kept
beside the wheels.
"""

from __future__ import annotations

import ast
import json
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from tests.support.repository import ROOT, skip_or_fail

Json = dict[str, Any]
CACHE = ROOT / ".cache" / "provider-v6"
VERSION = 3
BASES = {
    "cdktn.TerraformResource": "resource",
    "cdktn.TerraformDataSource": "data",
    "cdktn.TerraformProvider": "provider",
}
OURS = "@cdktn/provider-aws."
# Where pulumi-aws calls a type otherwise than its Terraform name says.
ELSEWHERE = {
    "resource aws_sqs_queue_redrive_policy": "sqs/redrive_policy",
    "resource aws_sqs_queue_redrive_allow_policy": "sqs/redrive_allow_policy",
    "resource aws_s3_bucket_replication_configuration": "s3/bucket_replication_config",
    "resource aws_s3_object": "s3/bucket_objectv2",
    "provider aws": "provider",
}


def _wheel(name: str) -> Path:
    """The downloaded wheel of a package; where it is missing, the test is skipped (fails in CI)."""
    wheels = sorted(CACHE.glob(f"{name}-*.whl"))
    if not wheels:
        skip_or_fail(
            "The v6 bindings of the AWS provider are not here: make provider-v6 downloads them"
            " (84 MB)."
        )
    return wheels[0]


def schema(types: set[str]) -> dict[str, Json]:
    """ "resource aws_x", "data aws_y", "provider aws" => {arguments, attributes, deprecated}; a
    type that v6 lacks is missing.
    """
    structure, deprecations = _wheel("cdktn_provider_aws"), _wheel("pulumi_aws")
    of = [VERSION, *sorted(types), structure.name, deprecations.name]
    kept = CACHE / "used.json"
    if kept.is_file():
        known = json.loads(kept.read_text())
        if known["of"] == of:
            found: dict[str, Json] = known["schema"]
            return found
    found = _bindings(structure, types)
    with zipfile.ZipFile(deprecations) as archive:
        for name, definition in found.items():
            definition["deprecated"] = _deprecated(archive, name, definition["arguments"])
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps({"of": of, "schema": found}))
    partial.replace(kept)
    return found


def camel(name: str) -> str:
    """A Terraform name as the bindings spell it."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def _pascal(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


# -- what there is ---------------------------------------------------------------------------------
def _member(package: tarfile.TarFile, name: str) -> bytes:
    """Read a file of a package that is read once from its beginning to its end."""
    for member in package:
        content = package.extractfile(member) if member.name == name else None
        if content:
            return content.read()
    raise LookupError(f"The package has no {name}.")


def _bindings(wheel: Path, types: set[str]) -> dict[str, Json]:
    with zipfile.ZipFile(wheel) as archive:
        [inner] = [name for name in archive.namelist() if name.endswith(".jsii.tgz")]
        with archive.open(inner) as packed, tarfile.open(fileobj=packed, mode="r|gz") as package:
            raw = _member(package, "package/.jsii")
    known = json.loads(raw)["types"]
    found = {}
    for fqn, definition in known.items():
        kind = BASES.get(definition.get("base", ""))
        if kind is None:
            continue
        # "Represents a {@link https://… aws_guardduty_detector}."
        word = re.search(r" (\w+)\}\.?$", definition["docs"]["summary"])
        name = f"{kind} {word.group(1)}" if word else ""
        if name in types:
            found[name] = {
                "arguments": _arguments(known, f"{fqn}Config", ()),
                "attributes": sorted(
                    prop["name"] for prop in definition["properties"] if not prop.get("static")
                ),
            }
    return found


def _arguments(known: Json, struct: str, within: tuple[str, ...]) -> Json:
    """Terraform name => {required, block: its arguments, or null}."""
    found = {}
    for prop in known[struct].get("properties", []):
        docs = " ".join(prop["docs"].get(part, "") for part in ("summary", "remarks"))
        # "Docs at …: {@link https://…/guardduty_detector#finding_publishing_frequency
        # GuarddutyDetector#…}"
        name = re.search(r"#(\w+) \w+#\w+\}", docs)
        if name is None:
            continue
        inner = next(
            (fqn for fqn in _names(prop["type"]) if fqn.startswith(OURS) and fqn not in within),
            None,
        )
        found[name.group(1)] = {
            "required": not prop.get("optional", False),
            "block": _arguments(known, inner, (*within, inner)) if inner else None,
        }
    return found


def _names(kind: Any) -> list[str]:
    """Every type that a type is made of."""
    if isinstance(kind, dict):
        own = [kind["fqn"]] if "fqn" in kind else []
        return own + [name for part in kind.values() for name in _names(part)]
    return [name for part in kind for name in _names(part)] if isinstance(kind, list) else []


# -- what v6 deprecates ----------------------------------------------------------------------------
def _deprecated(archive: zipfile.ZipFile, name: str, arguments: Json) -> dict[str, str]:
    """Argument or attribute ("" the type itself, "block.argument" inside one) => what the
    provider says of it.
    """
    path = _module(archive, name)
    text = archive.read(path).decode()
    tree = ast.parse(text)
    # Marked, or only said in words: "The `inline_policy` argument is deprecated."
    found = dict.fromkeys(
        re.findall(r"The `(\w+)` argument is deprecated", text), "its documentation says so"
    )
    resource = ""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= _deprecated_properties(node)
            if any(
                isinstance(base, ast.Attribute) and base.attr == "CustomResource"
                for base in node.bases
            ):
                resource = node.name
                notified = [
                    ast.unparse(line)
                    for line in node.body[:3]
                    if "warnings.warn" in ast.unparse(line)
                ]
                found |= {"": notified[0]} if notified else {}
    inputs = f"{path.rsplit('/', 1)[0]}/_inputs.py"
    if resource and inputs in archive.namelist():
        classes = {
            node.name: node
            for node in ast.parse(archive.read(inputs)).body
            if isinstance(node, ast.ClassDef)
        }
        for within in _paths(arguments):
            inputs_of = classes.get(resource + "".join(_pascal(word) for word in within) + "Args")
            if inputs_of:
                found |= {
                    ".".join([*within, prop]): text
                    for prop, text in _deprecated_properties(inputs_of).items()
                }
    return found


def _paths(arguments: Json, within: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    below = [(name, argument["block"]) for name, argument in arguments.items() if argument["block"]]
    return [
        path for name, block in below for path in [(*within, name), *_paths(block, (*within, name))]
    ]


def _deprecated_properties(node: ast.ClassDef) -> dict[str, str]:
    return {
        method.name: str(ast.literal_eval(decorator.args[0]))
        for method in node.body
        if isinstance(method, ast.FunctionDef)
        for decorator in method.decorator_list
        if isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Attribute)
        and decorator.func.attr == "deprecated"
    }


def _module(archive: zipfile.ZipFile, name: str) -> str:
    """The file of pulumi-aws that has a type: its service and its name, run together, are
    Terraform's.
    """
    kind, _, word = name.partition(" ")
    prefix = "get_" if kind == "data" else ""
    if name in ELSEWHERE:
        return f"pulumi_aws/{ELSEWHERE[name]}.py"
    wanted = word.removeprefix("aws_").replace("_", "")
    exact, tails = [], []
    for path in archive.namelist():
        place, _, file = path.removeprefix("pulumi_aws/").rpartition("/")
        if (
            not path.endswith(".py")
            or not file.startswith(prefix)
            or file.startswith("get_") != (kind == "data")
        ):
            continue
        stem = file.removeprefix(prefix).removesuffix(".py").replace("_", "")
        exact += [path] if place.replace("_", "") + stem == wanted else []
        tails += [path] if stem == wanted else []
    found = exact or tails
    if len(found) != 1:
        raise LookupError(
            f"pulumi-aws has {name} under another name ({found or 'none found'}): add it to"
            f" ELSEWHERE in {__file__}"
        )
    return found[0]

"""What the project's Terraform files use of the AWS provider: types, arguments, blocks, and
attributes they refer to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
# Terraform's own, in every resource; a provider block's own.
META = {
    "count",
    "for_each",
    "provider",
    "lifecycle",
    "depends_on",
    "provisioner",
    "connection",
    "alias",
    "version",
}
KINDS = ("resource", "data", "provider")
_REFERENCE = re.compile(r"(?<![\w.\"-])(data\.)?(aws_[a-z0-9_]+)\.([A-Za-z_][\w-]*)")
_ATTRIBUTE = re.compile(r"\.([a-z_][a-z0-9_]*)")
_EACH = re.compile(
    r"\bfor\s+(?:\w+\s*,\s*)?(\w+)\s+in\s+(data\.)?(aws_[a-z0-9_]+)\.\w+(?:\[\*\])?\s*:"
)


@dataclass(frozen=True)
class Block:
    """A resource, data source or provider block. ``kind``: "resource aws_x"."""

    kind: str
    where: str
    body: Json

    def arguments(self) -> Iterator[tuple[str, ...]]:
        """Every argument and nested block, as its path."""
        yield from _arguments(self.body, ())

    def blocks(self) -> Iterator[tuple[tuple[str, ...], set[str]]]:
        """Every block that is written, as its path, and the arguments in it."""
        yield from _blocks(self.body, ())


def unquoted(name: str) -> str:
    return name.strip('"')


def _inside(body: Json) -> Iterator[tuple[str, Any]]:
    """Arguments and blocks of a body; a dynamic block is the block it makes."""
    for name, value in body.items():
        if name.startswith("__") or name in META:
            continue
        if name == "dynamic":
            for element in value:
                for label, made in element.items():
                    if not label.startswith("__"):
                        yield unquoted(label), made["content"]
        else:
            yield unquoted(name), value


def _written(value: Any) -> list[Json]:
    """The bodies, where a value is a block."""
    return (
        [element for element in value if isinstance(element, dict) and element.get("__is_block__")]
        if isinstance(value, list)
        else []
    )


def _arguments(body: Json, within: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, value in _inside(body):
        yield (*within, name)
        for written in _written(value):
            yield from _arguments(written, (*within, name))


def _blocks(body: Json, within: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    inside = list(_inside(body))
    yield within, {name for name, _ in inside}
    for name, value in inside:
        for written in _written(value):
            yield from _blocks(written, (*within, name))


def parse(path: Path) -> Json:
    import hcl2

    with path.open() as file:
        found: Json = hcl2.load(file)
    return found


def blocks(document: Json, where: str) -> list[Block]:
    """Its resources, data sources and provider blocks of AWS."""
    found = []
    for kind in KINDS:
        for block in document.get(kind, []):
            for label, named in block.items():
                name = unquoted(label)
                if name == "aws" and kind == "provider":
                    found.append(Block("provider aws", where, named))
                elif name.startswith("aws_"):
                    found += [
                        Block(f"{kind} {name}", f"{where}: {name}.{unquoted(own)}", body)
                        for own, body in named.items()
                    ]
    return found


def references(document: Any) -> set[tuple[str, str]]:
    """("data aws_region", "name"): attributes that expressions take of resources and data
    sources.
    """
    return {found for text in _texts(document) for found in _references(text)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, nested in value.items():
            if name != "__comments__":
                yield from _texts(nested)
    elif isinstance(value, list):
        for element in value:
            yield from _texts(element)


def _references(text: str) -> Iterator[tuple[str, str]]:
    for match in _REFERENCE.finditer(text):
        attribute = _ATTRIBUTE.match(text, _past_indexes(text, match.end()))
        if attribute:
            yield f"{'data' if match.group(1) else 'resource'} {match.group(2)}", attribute.group(1)
    for match in _EACH.finditer(text):
        for attribute in re.findall(
            rf"\b{match.group(1)}\.([a-z_][a-z0-9_]*)", text[match.end() :]
        ):
            yield f"{'data' if match.group(2) else 'resource'} {match.group(3)}", attribute


def _past_indexes(text: str, at: int) -> int:
    """The position after [0], ["a"], [each.key], [*] and the like."""
    while at < len(text) and text[at] == "[":
        depth = 0
        while at < len(text):
            depth += {"[": 1, "]": -1}.get(text[at], 0)
            at += 1
            if depth == 0:
                break
    return at

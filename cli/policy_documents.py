"""Finds the documents with the switches in what ``terraform show -json`` prints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

Json = dict[str, Any]
DOCUMENT = re.compile(r"(?:(.+)\.)?module\.incident\[0\]\.(terraform_data|aws_dynamodb_table_item)")


class Document(NamedTuple):
    """Holds what of a configuration document decides (shape: config.tf of the root module)."""

    remediations: dict[str, str]
    account_remediations: dict[str, dict[str, str]]
    minimum_severity: dict[str, float]
    active_playbooks: list[str]
    limits: Json  # paused, minimum_severity and the guardrails
    extra_finding_types: list[str]


class Deployment(NamedTuple):
    """Holds one deployment's documents; None where there is none. ``unknown``: the new one is
    known only after the apply.
    """

    before: Document | None
    after: Document | None
    unknown: bool = False


class NotReadable(Exception):
    """Raised for what is no plan or state; the text says what to do."""


def read(text: str, where: str) -> Json:
    """Returns what ``terraform show -json`` printed. Raises NotReadable."""
    try:
        shown = json.loads(text)
    except ValueError as error:
        shown = error
    if not isinstance(shown, dict) or "format_version" not in shown:
        raise NotReadable(
            f"{where} is no plan and no state of Terraform as JSON: write one with terraform show"
            " -json response.tfplan"
        )
    return shown


def deployments(shown: Json) -> dict[str, Deployment]:
    """Returns the deployments of a plan or a state, by the address of the module's call."""
    if "resource_changes" not in shown:
        values = shown.get("planned_values") or shown.get("values") or {}
        resources = _resources(values.get("root_module", {}))
        changes = [{**entry, "change": {"after": entry["values"]}} for entry in resources]
    else:
        changes = [change for change in shown["resource_changes"] if "deposed" not in change]
    found: dict[str, Deployment] = {}
    for name, change in _of_documents(changes):
        before = _document(change.get("before"))
        after = _document(change.get("after"))
        unknown = _is_unknown(change)
        known = found.get(name, Deployment(None, None))
        found[name] = Deployment(
            known.before or before, known.after or after, known.unknown or unknown
        )
    return {name: found[name] for name in sorted(found) if any(found[name])}


def _resources(module: Json) -> Iterator[Json]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _resources(child)


def _of_documents(changes: list[Json]) -> Iterator[tuple[str, Json]]:
    """Yields the changes of what holds a document: first of this release, then of the first."""
    for kind in ("terraform_data", "aws_dynamodb_table_item"):
        for entry in changes:
            match = DOCUMENT.fullmatch(str(entry.get("address", "")).removesuffix(".config"))
            if match and match[2] == kind and entry.get("name") == "config":
                yield match[1] or "", entry["change"]


def _is_unknown(change: Json) -> bool:
    unknown = change.get("after_unknown")
    return isinstance(unknown, dict) and unknown.get("triggers_replace") is True


def _document(values: Json | None) -> Document | None:
    """Returns the document in a resource's values. The first release kept it in an item."""
    text = (values or {}).get("triggers_replace")
    try:
        if text is None and "item" in (values or {}):
            text = json.loads(values["item"])["document"]["S"] if values else None
        raw = json.loads(text or "{}")
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(raw, dict) or "remediations" not in raw:
        return None
    return Document(
        raw["remediations"],
        raw.get("account_remediations", {}),
        raw.get("minimum_severity", {}),
        raw.get("active_playbooks", []),
        {
            "paused": raw.get("paused", False),
            "minimum_severity": raw.get("minimum_severity", {}),
            **raw.get("guardrails", {}),
        },
        raw.get("extra_finding_types", []),
    )

"""Reads the catalogue of finding types, and which playbook its types go to by the manifests."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import yaml

from tests.support.repository import ROOT


@cache
def finding_types() -> dict[str, dict[str, Any]]:
    """Returns the catalogue: finding type -> resource_type (a list), severity, status, feature;
    and of an active type plan, source, mode and why.
    """
    found: dict[str, dict[str, Any]] = json.loads(
        (ROOT / "catalogue" / "finding_types.json").read_text()
    )
    return found


@cache
def features() -> dict[str, dict[str, Any]]:
    """Returns "FEATURE" and "FEATURE/CONFIGURATION" -> plan, scope, and whether provider 5 takes
    the name (terraform).
    """
    found: dict[str, dict[str, Any]] = json.loads(
        (ROOT / "catalogue" / "features.json").read_text()
    )
    return found


@cache
def manifests() -> dict[str, dict[str, Any]]:
    """Returns every playbook's manifest, by name."""
    return {
        path.parent.name: yaml.safe_load(path.read_text())
        for path in sorted(ROOT.glob("playbooks/*/playbook.yaml"))
    }


def left_alone(answer: dict[str, Any]) -> list[str]:
    """Returns the globs of finding types that the playbook leaves alone, whatever they say."""
    return [
        glob
        for exception in answer.get("unless", [])
        for condition in exception["when"]
        if condition.keys() == {"type"}
        for glob in condition["type"]
    ]


def playbook_of(kind: str) -> str | None:
    """Returns the playbook that answers the finding type where it names what it usually names."""
    for resource in finding_types()[kind]["resource_type"]:
        for name, manifest in manifests().items():
            for answer in manifest["answers"]:
                others = left_alone(answer)
                if answer["resource_type"] == resource and not any(
                    fnmatchcase(kind, glob) for glob in others
                ):
                    return name
    return None

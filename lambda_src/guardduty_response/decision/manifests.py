"""Chooses the playbook that answers a finding, from what the playbooks' manifests say.

``playbooks/<name>/playbook.yaml`` of the repository is a playbook's manifest. The packager writes
the part that functions need beside the playbook's code, as ``manifest.json``: a Lambda function has
no reader for YAML.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from guardduty_response.decision.finding import Finding, get
from guardduty_response.decision.globs import matches
from guardduty_response.errors import ConfigError

PLAYBOOKS = Path(__file__).resolve().parent.parent / "playbooks"


class NoneOf(TypedDict):
    """Declares that a field has none of these values, or is missing."""

    none_of: list[str]


# What a field of a finding may be: one of some globs, none of some globs, or a list with an entry.
Wanted = list[str] | NoneOf | Literal["not empty"]
Condition = dict[str, Wanted]  # by field, such as "service.resourceRole": all must hold


class Case(TypedDict):
    """Declares findings by conditions, of which one must hold; ``why`` is a sentence for people."""

    why: str
    when: list[Condition]


class Answer(TypedDict):
    """Declares which findings a playbook answers; ``why`` is a sentence for people.

    ``unless``: the findings that it leaves alone all the same. ``in_doubt``: those that it answers
    once a person has approved it, because they do not show whether the resource is the victim.
    """

    resource_type: str
    why: str
    unless: NotRequired[list[Case]]
    in_doubt: NotRequired[list[Case]]


class Manifest(TypedDict):
    """Declares the part of a playbook's manifest that functions read."""

    answers: list[Answer]
    modes: list[str]


@lru_cache(maxsize=1)
def load() -> Mapping[str, Manifest]:
    """Returns the manifests by the playbooks' names, read once per container. Raises ConfigError.

    Without them no playbook can be chosen, and nothing must look as if none answers a finding.
    """
    found: dict[str, Manifest] = {}
    for path in sorted(PLAYBOOKS.glob("*/manifest.json")):
        try:
            manifest: Manifest = json.loads(path.read_bytes())
            found[path.parent.name] = {"answers": manifest["answers"], "modes": manifest["modes"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"the manifest of the playbook {path.parent.name} in this function's code cannot be"
                f" read ({type(error).__name__}: {error}), so no playbook can be chosen for any"
                " finding: rebuild the zips (make zips) and apply again"
            ) from error
    if not found:
        raise ConfigError(
            "this function's code holds no manifest of any playbook, so no playbook can be chosen"
            " for any finding: rebuild the zips (make zips) and apply again"
        )
    return found


def modes_of(playbook: str) -> list[str]:
    """Returns the acting modes that a playbook supports; all, where this build has no manifest."""
    manifest = load().get(playbook)
    return manifest["modes"] if manifest else ["dry_run", "approve", "auto"]


def playbook_for(finding: Finding) -> tuple[str | None, str]:
    """Returns the playbook that answers the finding (or None), and why. Raises ConfigError.

    The resource and its role in the activity decide, never the finding type's prefix
    (docs/decisions/0015).
    """
    refusal = ""
    for name, answer in _answers(finding):
        why_not = _case(answer.get("unless"), finding)
        if not why_not:
            return name, answer["why"]
        refusal = refusal or why_not
    kind = finding.resource_type or "unknown"
    return None, refusal or f"no playbook answers resource type {kind} yet"


def doubt_about(finding: Finding) -> str:
    """Returns why a person decides about a finding that a playbook answers; "": nothing says so.

    Raises ConfigError.
    """
    for _, answer in _answers(finding):
        if not _case(answer.get("unless"), finding):
            return _case(answer.get("in_doubt"), finding)
    return ""


def _answers(finding: Finding) -> Iterator[tuple[str, Answer]]:
    """Yields what the playbooks say of the finding's resource, each with the playbook's name."""
    for name, manifest in load().items():
        for answer in manifest["answers"]:
            if answer["resource_type"] == finding.resource_type:
                yield name, answer


def _case(cases: list[Case] | None, finding: Finding) -> str:
    """Returns why the finding is one of the cases, or an empty string."""
    for case in cases or []:
        if any(_holds(condition, finding) for condition in case["when"]):
            return case["why"]
    return ""


def _holds(condition: Condition, finding: Finding) -> bool:
    return all(
        _is_wanted(get(finding.detail, *path.split(".")), wanted)
        for path, wanted in condition.items()
    )


def _is_wanted(value: object, wanted: Wanted) -> bool:
    if wanted == "not empty":
        return isinstance(value, list) and bool(value)
    if isinstance(wanted, dict):
        return not _is_wanted(value, wanted["none_of"])
    return isinstance(value, str) and any(matches(glob, value.strip()) for glob in wanted)

"""Reads one generation of a containment from its items (incident/containments.py stores them)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple, cast

from guardduty_response.aws.dynamodb_types import Item
from guardduty_response.errors import ResponseError
from guardduty_response.evidence import store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardduty_response.incident.model import (
        ActionLogEntry,
        BeforeStates,
        CheckRecord,
        ContainmentLink,
        ContainmentRecord,
        EvidenceEntry,
    )

# What STATE has of which there is something for each setting or reversal.
_LISTS = ("restored", "weak")
VERDICT_LENGTH = 20_000  # of the sentence; each check says its part in an item of its own
INLINE_BYTES = 64 * 1024  # a larger value is stored in S3, by its hash (DynamoDB: 400 KB an item)


class Containment(NamedTuple):
    """Holds everything that is stored of one generation of a containment."""

    state: ContainmentRecord
    before: BeforeStates
    actions: dict[str, ActionLogEntry]
    checks: list[CheckRecord]
    evidence: dict[str, EvidenceEntry]
    watched: list[str]
    links: list[ContainmentLink]

    @property
    def open_links(self) -> list[ContainmentLink]:
        """Returns the links of incidents that have not been closed."""
        links = [link for link in self.links if not link.get("released_at")]
        return sorted(links, key=lambda link: link["at"])


def parse(arn: str, generation: int, items: list[Item]) -> Containment:
    """Returns a generation from its items. Raises ResponseError as ``Containments.read`` does."""
    by_kind: dict[str, list[Item]] = {}
    for stored in items:
        by_kind.setdefault(stored["sk"].split("#")[1], []).append(stored)
    if "STATE" not in by_kind:
        raise ResponseError(f"there is no containment of {arn} of generation {generation}")
    state = _whole(by_kind["STATE"][0])
    for due in by_kind.get("DUE", []):  # a quiet check writes no other item
        state["held_at"] = max(state.get("held_at") or "", due.get("held_at") or "")
    checked_at = state.get("checks_at")
    return Containment(
        state,
        {
            stored["name"]: unwrapped(stored)
            for stored in by_kind.get("BEFORE", [])
            if "value" in stored  # else it was taken back
        },
        {stored["name"]: _action(stored) for stored in by_kind.get("ACTION", [])},
        [_check(stored) for stored in by_kind.get("CHECK", []) if stored.get("of") == checked_at],
        {
            stored["name"]: cast("EvidenceEntry", unwrapped(stored))
            for stored in by_kind.get("EVIDENCE", [])
        },
        [name for stored in by_kind.get("WATCHED", []) for name in stored["watched"]],
        [cast("ContainmentLink", stored) for stored in by_kind.get("LINK", [])],
    )


def bounded(arn: str, fields: Mapping[str, object]) -> dict[str, object]:
    """Returns fields of STATE of which none outgrows the item: what is large is in S3, and of a
    verdict the beginning is kept.
    """
    found = dict(fields)
    for name in _LISTS:
        value = wrapped(arn, found[name])["value"] if found.get(name) else {}
        if "stored" in value:
            found[name] = value
    verdict = found.get("verdict")
    if isinstance(verdict, str) and len(verdict) > VERDICT_LENGTH:
        found["verdict"] = f"{verdict[:VERDICT_LENGTH]} … (the checks say the rest)"
    return found


def _whole(state: Item) -> ContainmentRecord:
    """Returns STATE with what ``bounded`` has stored elsewhere."""
    large = {
        name: unwrapped({"value": state[name]})
        for name in _LISTS
        if isinstance(state.get(name), dict) and state[name].keys() == {"stored"}
    }
    return cast("ContainmentRecord", {**state, **large})


def _action(stored: Item) -> ActionLogEntry:
    return cast(
        "ActionLogEntry", {name: stored[name] for name in ("status", "detail", "at", "request_id")}
    )


def _check(stored: Item) -> CheckRecord:
    names = ("name", "ok", "detail", "fatal", "read", "minor")
    return cast("CheckRecord", {name: stored[name] for name in names if name in stored})


def wrapped(arn: str, value: object) -> Item:
    """Returns what is stored for a value: itself, or where in S3 it is and its hash."""
    content = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    if len(content) <= INLINE_BYTES:
        return {"value": {"inline": value}}
    place = hashlib.sha256(arn.encode()).hexdigest()[:16]
    name = f"state-{hashlib.sha256(content).hexdigest()}.json"
    return {"value": {"stored": dict(store.put(f"containment-{place}", name, content))}}


def unwrapped(stored: Item) -> object:
    """Returns the value that ``wrapped`` has stored."""
    value = stored["value"]
    return store.get_verified(value["stored"]) if "stored" in value else value["inline"]

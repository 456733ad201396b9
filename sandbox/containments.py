"""A containment as its items in DynamoDB tell it, joined with an incident's target."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
_PARTS = {"BEFORE": "before", "ACTION": "actions", "EVIDENCE": "evidence"}


def place(link: Json) -> tuple[str, int] | None:
    """Return the ARN and the generation that a TARGET item is linked to, or None."""
    generation = int(link.get("generation") or 0)
    return (str(link["arn"]), generation) if generation else None


def joined(link: Json, items: list[Json]) -> Json:
    """Return a TARGET item with everything of its containment; ``items``: those of CONTAINMENT#arn.

    The incident's own status counts while it has one.
    """
    found = place(link)
    if found is None:
        return link
    prefix = f"{found[1]:04d}#"
    state: Json = {}
    parts: dict[str, Json] = {"before": {}, "actions": dict(link.get("actions") or {})}
    parts["evidence"] = {}
    checks = []
    for item in items:
        if not item["sk"].startswith(prefix):
            continue
        kind = item["sk"].split("#")[1]
        if kind in ("STATE", "WATCHED"):
            state |= item
        elif kind == "ACTION":
            parts["actions"][item["name"]] = item
        elif kind in _PARTS and "value" in item:  # else a state before that was taken back
            value = item["value"]
            parts[_PARTS[kind]][item["name"]] = value.get("inline", value.get("stored"))
        elif kind == "CHECK":
            checks.append(item)
    own = {name: value for name, value in link.items() if value or name not in state}
    latest = [check for check in checks if check.get("of") == state.get("checks_at")]
    return {**state, **own, **parts, "checks": [_without_keys(check) for check in latest]}


def _without_keys(item: Json) -> Json:
    return {name: value for name, value in item.items() if name not in ("pk", "sk", "of")}

"""Lists what was collected, with the SHA-256 of every object: the list that later proves that
nothing was changed or left out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from guardduty_response.containment.target_context import TargetContext
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.incident.moments import now

if TYPE_CHECKING:
    from guardduty_response.incident.model import EvidenceEntry

NAME = "manifest"


ITEM_KEYS = ("outcome", "detail", "since", "at", "request_ids", "objects")
WITH_STATE = ("snapshots", "copies")  # their ids are in the state


def run(target_context: TargetContext, _before: EvidenceEntry) -> EvidenceItem:
    """Writes ``<resource id>/manifest.json``; its own hash goes into the record, outside the
    bucket that holds the rest.
    """
    context, target = target_context.context, target_context.target
    items: dict[str, EvidenceEntry] = dict(target_context.stored["evidence"])
    items.pop(NAME, None)
    document = {
        "incident_id": context.incident_id,
        "finding_id": context.finding.id,
        "account_id": target.account_id,
        "region": target.region,
        "resource": {"kind": target.kind, "id": target.id, "arn": target.arn},
        "execution": context.execution,
        "written_at": now(),
        "parts": {name: _entry(name, item) for name, item in sorted(items.items())},
    }
    content = json.dumps(document, sort_keys=True, indent=1, default=str).encode()
    stored = context.put_evidence(f"{target_context.id}/manifest.json", content)
    objects = sum(len(item.get("objects") or []) for item in items.values())
    text = (
        f"{objects} objects of {len(items)} evidence items listed with their SHA-256; the"
        f" manifest's own is {stored['sha256']}"
    )
    context.record.event(context.incident_id, "manifest written", text, target_context.id)
    return EvidenceItem(Outcome.COMPLETE, text, objects=[{**stored, "what": "manifest"}])


def _entry(name: str, item: EvidenceEntry) -> dict[str, object]:
    state = item.get("state") if name in WITH_STATE else {}
    return {**{key: item.get(key) for key in ITEM_KEYS}, "state": state}

"""What was collected, with the SHA-256 of every object: the list that later proves nothing was
changed or left out.
"""

from __future__ import annotations

import json

from guardduty_response.containment.target_context import TargetContext
from guardduty_response.evidence.items import EvidenceItem, Json, Outcome
from guardduty_response.incident.repository import now

NAME = "manifest"


def run(target_context: TargetContext, _before: Json) -> EvidenceItem:
    """``<resource id>/manifest.json``; its own hash goes into the record, outside the bucket
    that holds the rest.
    """
    kept: Json = {
        name: part for name, part in target_context.stored["evidence"].items() if name != NAME
    }
    document = {
        "incident_id": target_context.context.incident_id,
        "finding_id": target_context.context.finding.id,
        "account_id": target_context.target.account_id,
        "region": target_context.target.region,
        "resource": {
            "kind": target_context.target.kind,
            "id": target_context.id,
            "arn": target_context.target.arn,
        },
        "execution": target_context.context.execution,
        "written_at": now(),
        "parts": {
            name: {
                **{
                    key: part.get(key)
                    for key in ("outcome", "detail", "since", "at", "request_ids", "objects")
                },
                "state": part.get("state") if name in ("snapshots", "copies") else {},
            }
            for name, part in sorted(kept.items())
        },
    }
    content = json.dumps(document, sort_keys=True, indent=1, default=str).encode()
    stored = target_context.context.put_evidence(f"{target_context.id}/manifest.json", content)
    objects = sum(len(part.get("objects") or []) for part in kept.values())
    text = (
        f"{objects} objects of {len(kept)} parts listed with their SHA-256; the manifest's own is"
        f" {stored['sha256']}"
    )
    target_context.context.record.event(
        target_context.context.incident_id, "manifest written", text, target_context.id
    )
    return EvidenceItem(Outcome.COMPLETE, text, objects=[{**stored, "what": "manifest"}])

"""What was collected, with the SHA-256 of every object: the list that later proves nothing was
changed or left out.
"""

from __future__ import annotations

import json

from guardduty_response.containment.target_context import Work
from guardduty_response.evidence.items import Json, Outcome, Part
from guardduty_response.incident.repository import now

NAME = "manifest"


def run(work: Work, _before: Json) -> Part:
    """``<resource id>/manifest.json``; its own hash goes into the record, outside the bucket
    that holds the rest.
    """
    kept: Json = {name: part for name, part in work.kept["evidence"].items() if name != NAME}
    document = {
        "incident_id": work.ctx.incident_id,
        "finding_id": work.ctx.finding.id,
        "account_id": work.target.account_id,
        "region": work.target.region,
        "resource": {"kind": work.target.kind, "id": work.id, "arn": work.target.arn},
        "execution": work.ctx.execution,
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
    stored = work.ctx.put_evidence(f"{work.id}/manifest.json", content)
    objects = sum(len(part.get("objects") or []) for part in kept.values())
    text = (
        f"{objects} objects of {len(kept)} parts listed with their SHA-256; the manifest's own is"
        f" {stored['sha256']}"
    )
    work.ctx.record.event(work.ctx.incident_id, "manifest written", text, work.id)
    return Part(Outcome.COMPLETE, text, objects=[{**stored, "what": "manifest"}])

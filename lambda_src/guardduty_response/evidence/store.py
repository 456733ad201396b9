"""Evidence in S3: ``incidents/<incident id>/<name>``, hashed before it leaves, never read back
into a message.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from guardduty_response.aws import clients
from guardduty_response.decision.finding import canonical
from guardduty_response.errors import MalformedFinding

Json = dict[str, Any]


TYPES = {
    "html": "text/html; charset=utf-8",
    "gz": "application/gzip",
    "jpg": "image/jpeg",
    "txt": "text/plain; charset=utf-8",
}


def put(incident_id: str, name: str, content: bytes) -> Json:
    """Stores ``content``; returns {key, sha256 (hex), bytes, version}. S3 checks the same hash on
    arrival.

    ``version``: what to ask for when a later containment of the same incident has written the key
    again.
    """
    digest = hashlib.sha256(content)
    key = f"incidents/{incident_id}/{name}"
    kind = TYPES.get(name.rsplit(".", 1)[-1], "application/json")
    got = clients.client("s3").put_object(
        Bucket=os.environ["GDR_BUCKET"],
        Key=key,
        Body=content,
        ContentType=kind,
        ChecksumAlgorithm="SHA256",
    )
    stored: Json = {"key": key, "sha256": digest.hexdigest(), "bytes": len(content)}
    return {**stored, "version": got["VersionId"]} if got.get("VersionId") else stored


def put_event(incident_id: str, event: Any) -> Json:
    """The event as delivered; each distinct emission keeps its own object."""
    content = canonical(event).encode()
    return put(incident_id, f"finding-{hashlib.sha256(content).hexdigest()[:12]}.json", content)


def get_event(key: str) -> Any:
    """The event stored under ``key``. Raises MalformedFinding when the key lies outside
    ``incidents/`` or holds no JSON.
    """
    if not key.startswith("incidents/"):
        raise MalformedFinding(f"'{key}' is not a key of this deployment's evidence (incidents/…)")
    body = clients.client("s3").get_object(Bucket=os.environ["GDR_BUCKET"], Key=key)["Body"].read()
    try:
        return json.loads(body)
    except ValueError as error:
        raise MalformedFinding(f"the stored event {key} is not JSON: {error}") from error

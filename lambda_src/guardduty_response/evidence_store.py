"""Evidence in S3: ``incidents/<incident id>/<name>``, hashed before it leaves, never read back into a message."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from guardduty_response import aws
from guardduty_response.errors import MalformedFinding
from guardduty_response.finding import canonical

Json = dict[str, Any]


def put(incident_id: str, name: str, content: bytes, content_type: str = "application/json") -> Json:
    """Stores ``content``; returns {key, sha256 (hex), bytes}. S3 checks the same hash on arrival."""
    digest = hashlib.sha256(content)
    key = f"incidents/{incident_id}/{name}"
    aws.client("s3").put_object(
        Bucket=os.environ["GDR_BUCKET"], Key=key, Body=content, ContentType=content_type, ChecksumAlgorithm="SHA256"
    )
    return {"key": key, "sha256": digest.hexdigest(), "bytes": len(content)}


def put_event(incident_id: str, event: Any) -> Json:
    """The event as delivered; each distinct emission keeps its own object."""
    content = canonical(event).encode()
    return put(incident_id, f"finding-{hashlib.sha256(content).hexdigest()[:12]}.json", content)


def get_event(key: str) -> Any:
    """The event stored under ``key``. Raises MalformedFinding when the key lies outside ``incidents/`` or holds no JSON."""
    if not key.startswith("incidents/"):
        raise MalformedFinding(f"'{key}' is not a key of this deployment's evidence (incidents/…)")
    body = aws.client("s3").get_object(Bucket=os.environ["GDR_BUCKET"], Key=key)["Body"].read()
    try:
        return json.loads(body)
    except ValueError as error:
        raise MalformedFinding(f"the stored event {key} is not JSON: {error}") from error

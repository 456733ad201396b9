"""Stores evidence in S3 under ``incidents/<incident id>/<name>``, hashed before it is sent."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from guardduty_response.aws import clients
from guardduty_response.decision.finding import canonical
from guardduty_response.errors import MalformedFinding, ResponseError

if TYPE_CHECKING:
    from guardduty_response.incident.model import StoredObject

_PREFIX = "incidents/"
_CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "gz": "application/gzip",
    "jpg": "image/jpeg",
    "txt": "text/plain; charset=utf-8",
}


def put(incident_id: str, name: str, content: bytes) -> StoredObject:
    """Stores ``content``; returns its key, SHA-256, size and, in a versioned bucket, version.

    S3 checks the same hash on arrival. The version is what to ask for when a later containment of
    the same incident has written the key again.
    """
    digest = hashlib.sha256(content)
    key = key_of(incident_id, name)
    extension = name.rsplit(".", 1)[-1]
    answer = clients.client("s3").put_object(
        Bucket=os.environ["GDR_BUCKET"],
        Key=key,
        Body=content,
        ContentType=_CONTENT_TYPES.get(extension, "application/json"),
        ChecksumAlgorithm="SHA256",
    )
    stored: StoredObject = {"key": key, "sha256": digest.hexdigest(), "bytes": len(content)}
    if answer.get("VersionId"):
        stored["version"] = answer["VersionId"]
    return stored


def put_event(incident_id: str, event: object) -> StoredObject:
    """Stores the event as delivered; each distinct recurrence keeps an object of its own."""
    return put(incident_id, *event_file(event))


def event_file(event: object) -> tuple[str, bytes]:
    """Returns the name and the content under which ``put_event`` stores an event."""
    content = canonical(event).encode()
    return f"finding-{hashlib.sha256(content).hexdigest()[:12]}.json", content


def key_of(incident_id: str, name: str) -> str:
    """Returns the key under which ``put`` stores a file of an incident."""
    return f"{_PREFIX}{incident_id}/{name}"


def get_event(key: str) -> Any:
    """Returns the event stored under ``key``.

    Raises MalformedFinding when the key lies outside ``incidents/`` or holds no JSON.
    """
    if not key.startswith(_PREFIX):
        raise MalformedFinding(
            f"'{key}' is not a key of this deployment's evidence ({_PREFIX}…)",
        )
    answer = clients.client("s3").get_object(Bucket=os.environ["GDR_BUCKET"], Key=key)
    try:
        return json.loads(answer["Body"].read())
    except ValueError as error:
        raise MalformedFinding(f"the stored event {key} is not JSON: {error}") from error


def get_verified(stored: StoredObject) -> object:
    """Returns the JSON that was stored as ``stored`` names it.

    Raises ResponseError when the object's SHA-256 is another one: somebody changed it. Reads the
    current version: who names one needs s3:GetObjectVersion (Amazon S3 API, GetObject).
    """
    answer = clients.client("s3").get_object(Bucket=os.environ["GDR_BUCKET"], Key=stored["key"])
    content = answer["Body"].read()
    digest = hashlib.sha256(content).hexdigest()
    if digest != stored["sha256"]:
        raise ResponseError(
            f"{stored['key']} in the evidence bucket has SHA-256 {digest}, but {stored['sha256']}"
            " was stored: somebody changed it, so it is not used"
        )
    return json.loads(content)

"""Reads back whether S3 has replicated what was stored for an incident into another account, the
manifest included.

It is the last item, so neither containment nor other evidence waits for it. What could not be read
counts as not replicated.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.target_context import TargetContext, describe_error, run_all
from guardduty_response.evidence.items import EvidenceItem, Outcome

if TYPE_CHECKING:
    from guardduty_response.incident.model import EvidenceEntry, StoredObject

NAME = "replication"
# S3 replicates most objects within this time (Amazon S3 User Guide, "Troubleshooting replication").
LIMIT_SECONDS = 15 * 60
POLL_SECONDS = 15
MOST_NAMED, MOST_LISTED = 5, 200  # objects in the sentence, and in the record

# What HeadObject says of a source object. The API reference lists COMPLETE, too, and the user guide
# COMPLETED.
REPLICATED = ("COMPLETED", "COMPLETE")
PENDING, FAILED = "PENDING", "FAILED"
# No rule applied to the object when it was stored, or none has since: S3 does not do it later.
NO_RULE = "no replication rule applied to it"


class _Status(NamedTuple):
    """How far the replication of an object is. ``text``: for people. ``passes``: may change."""

    replicated: bool
    text: str = ""
    passes: bool = False


def run(target_context: TargetContext, before: EvidenceEntry) -> EvidenceItem:
    """Asks S3 for each object once per call, until all are replicated or the time is over."""
    replica = target_context.context.config.evidence.get("replica")
    if not replica:
        return EvidenceItem(
            Outcome.SKIPPED,
            "the evidence bucket is not replicated into another account (evidence.replica)",
        )
    objects = _stored_objects(target_context.stored["evidence"])
    if not objects:
        return EvidenceItem(Outcome.NOT_POSSIBLE, "no object was stored that could be replicated")
    since = int(before.get("state", {}).get("since") or time.time())
    answers = run_all(
        {index: partial(_replication_status, stored) for index, stored in enumerate(objects)}
    )
    statuses = [_status(answers[index]) for index in range(len(objects))]
    place = f"{replica['bucket_arn']} in account {replica['account_id']}"
    complete = sum(status.replicated for status in statuses)
    if complete == len(objects):
        text = f"all {complete} objects, the manifest included, are replicated to {place}"
        if not _has_manifest(target_context):
            text = f"all {complete} objects are replicated to {place}; there is no manifest"
        return EvidenceItem(Outcome.COMPLETE, text)
    text = f"{complete} of {len(objects)} objects are replicated to {place}"
    waits = sum(status.passes for status in statuses)
    if waits and time.time() < since + LIMIT_SECONDS:
        return EvidenceItem(
            Outcome.RUNNING, f"{text}; waits for {waits}", POLL_SECONDS, state={"since": since}
        )
    missing = [
        (stored, status.text)
        for stored, status in zip(objects, statuses, strict=True)
        if not status.replicated
    ]
    return EvidenceItem(
        Outcome.PARTIAL if complete else Outcome.FAILED,
        f"{text}; not replicated: {_named(missing)}",
        task=_task(missing),
        state={
            "since": since,
            "missing": [
                {"key": stored["key"], "status": status} for stored, status in missing[:MOST_LISTED]
            ],
        },
    )


def _replication_status(stored: StoredObject) -> str:
    """Returns PENDING, COMPLETED or FAILED; empty where no replication rule applied to the object.

    Asks for the very version that was stored, where one is known: that needs s3:GetObjectVersion,
    otherwise s3:GetObject (Amazon S3 API, HeadObject).
    """
    version = {"VersionId": stored["version"]} if stored.get("version") else {}
    answer = clients.client("s3").head_object(
        Bucket=os.environ["GDR_BUCKET"], Key=stored["key"], **version
    )
    return str(answer.get("ReplicationStatus") or "")


def _stored_objects(evidence: dict[str, EvidenceEntry]) -> list[StoredObject]:
    """Returns the objects of all items, the manifest's too; each version of a key once."""
    found: dict[tuple[str, str], StoredObject] = {}
    for _, entry in sorted(evidence.items()):
        for stored in entry.get("objects") or []:
            found[stored["key"], stored.get("version", "")] = stored
    return list(found.values())


def _has_manifest(target_context: TargetContext) -> bool:
    evidence: dict[str, EvidenceEntry] = target_context.stored["evidence"]
    entry = evidence.get("manifest")
    return bool(entry and entry.get("objects"))


def _status(answer: str | Exception) -> _Status:
    if isinstance(answer, Exception):
        text = f"not read ({describe_error(answer)})"
        return _Status(False, text, passes=is_transient(answer))
    if answer in REPLICATED:
        return _Status(True)
    if answer == PENDING:
        minutes = LIMIT_SECONDS // 60
        return _Status(False, f"still {PENDING} after {minutes} minutes", passes=True)
    return _Status(False, answer if answer == FAILED else f"{NO_RULE} ({answer or 'no status'})")


def _named(missing: list[tuple[StoredObject, str]]) -> str:
    """Returns the first objects with their status, and how many more there are of each."""
    text = ", ".join(
        f"{stored['key'].split('/', 2)[-1]}: {status}" for stored, status in missing[:MOST_NAMED]
    )
    more = Counter(status for _, status in missing[MOST_NAMED:])
    return text + "".join(f", and {count} more: {status}" for status, count in more.items())


def _task(missing: list[tuple[StoredObject, str]]) -> str:
    stored, _ = missing[0]
    version = f" --version-id {stored['version']}" if stored.get("version") else ""
    return (
        "look at the objects that are not replicated again"
        f" (`aws s3api head-object --bucket {os.environ['GDR_BUCKET']} --key {stored['key']}{version}`,"
        " ReplicationStatus). S3 repeats no replication that failed: mend what"
        " docs/evidence.md#replicas-of-the-objects names, and replicate them with"
        " S3 Batch Replication"
    )

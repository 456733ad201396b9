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


class _Missing(NamedTuple):
    """An object that is not replicated. ``passes``: that may change by itself."""

    stored: StoredObject
    status: str
    passes: bool


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
    missing = _missing(objects)
    complete = len(objects) - len(missing)
    text = f"{complete} of {len(objects)} objects are replicated to {replica['bucket_arn']}"
    text += f" in account {replica['account_id']}"
    if not missing:
        return EvidenceItem(Outcome.COMPLETE, f"{text}; {_manifest(target_context)}")
    if any(left.passes for left in missing) and time.time() < since + LIMIT_SECONDS:
        return EvidenceItem(Outcome.RUNNING, text, POLL_SECONDS, state={"since": since})
    return EvidenceItem(
        Outcome.PARTIAL if complete else Outcome.FAILED,
        f"{text}; not replicated: {_named(missing)}",
        task=_task(missing, replica["account_id"]),
        state={
            "since": since,
            "missing": [
                {"key": left.stored["key"], "status": left.status} for left in missing[:MOST_LISTED]
            ],
        },
    )


def _missing(objects: list[StoredObject]) -> list[_Missing]:
    """Asks for each object, and returns those that are not replicated, in their order."""
    answers = run_all(
        {index: partial(_replication_status, stored) for index, stored in enumerate(objects)}
    )
    found = []
    for index, stored in enumerate(objects):
        answer = answers[index]
        if isinstance(answer, Exception):
            text = f"not read ({describe_error(answer)})"
            found.append(_Missing(stored, text, is_transient(answer)))
        elif answer == PENDING:
            text = f"still {PENDING} after {LIMIT_SECONDS // 60} minutes"
            found.append(_Missing(stored, text, passes=True))
        elif answer not in REPLICATED:
            text = answer if answer == FAILED else f"{NO_RULE} ({answer or 'no status'})"
            found.append(_Missing(stored, text, passes=False))
    return found


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


def _manifest(target_context: TargetContext) -> str:
    evidence: dict[str, EvidenceEntry] = target_context.stored["evidence"]
    entry = evidence.get("manifest")
    stored = bool(entry and entry.get("objects"))
    return "the manifest is one of them" if stored else "there is no manifest"


def _named(missing: list[_Missing]) -> str:
    """Returns the first objects with their status, and how many more there are of each."""
    text = ", ".join(
        f"{left.stored['key'].split('/', 2)[-1]}: {left.status}" for left in missing[:MOST_NAMED]
    )
    more = Counter(left.status for left in missing[MOST_NAMED:])
    return text + "".join(f", and {count} more: {status}" for status, count in more.items())


def _task(missing: list[_Missing], account_id: str) -> str:
    stored = missing[0].stored
    version = f" --version-id {stored['version']}" if stored.get("version") else ""
    where = f"--bucket {os.environ['GDR_BUCKET']} --key {stored['key']}{version}"
    text = f"look again at what is not replicated (`aws s3api head-object {where}`)"
    if all(left.passes for left in missing):
        return text
    return (
        f"{text}. S3 repeats no replication that failed: mend the policies of the bucket and the"
        f" key in account {account_id}, and replicate the objects with S3 Batch Replication"
    )

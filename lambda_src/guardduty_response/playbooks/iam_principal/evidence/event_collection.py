"""The events of a principal as they come in, from all Regions at once: stored, counted, followed,
and the changes among them selected.
"""

from __future__ import annotations

import json
from collections import defaultdict
from threading import Lock
from typing import TYPE_CHECKING

from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.cloudtrail import log_reader, query
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.decision.own_roles import own_roles
from guardduty_response.playbooks.iam_principal import condense
from guardduty_response.playbooks.iam_principal.evidence.records import Progress
from guardduty_response.playbooks.iam_principal.ownership import (
    Ownership,
    handed_out,
    issued,
)

if TYPE_CHECKING:
    from guardduty_response.cloudtrail.event import CloudTrailRecord

MOST_EVENTS = 20_000  # of one pass
MOST_CHANGES, MOST_BYTES = 3000, 8_000_000  # of one pass; beyond MOST_BYTES without parameters
MOST_FOLLOWED = 25  # sessions whose calls are listed too
MOST_HANDED_OUT = 100  # keys that are kept with who asked for them


class EventCollection:
    """Collects records into ``progress`` (of all calls) and ``lines`` (of this call, by file)."""

    def __init__(
        self, principal: TargetContext, ownership: Ownership, progress: Progress, pass_number: int
    ) -> None:
        self.ownership = ownership
        self.progress = progress
        self.most_events = MOST_EVENTS * pass_number
        self.seen = set(progress.setdefault("seen", []))
        progress.setdefault("rows", {})
        progress.setdefault("changes", [])
        progress.setdefault("issued", [])
        progress.setdefault("handed_out", [])
        progress.setdefault("bytes", 0)
        progress.setdefault("left_out", 0)
        progress.setdefault("full", False)
        self.lines: dict[str, list[str]] = defaultdict(list)
        self.own_roles = own_roles(principal.context.config)
        self.lock = Lock()

    @property
    def followed(self) -> list[str]:
        """The keys of the sessions whose calls are listed too, in the order they were met."""
        if not self.ownership.follows:
            return []
        keys = [
            session["key"]
            for session in self.progress["issued"]
            if session["account"] == self.ownership.account
        ]
        return keys[:MOST_FOLLOWED]

    def add(self, record: CloudTrailRecord, file: str = "") -> int:
        """Add a CloudTrail record; return 1 when it is a new record of the principal, else 0.

        ``file``: the file it is written to, its Region by default.
        """
        id = str(record.get("eventID") or "")[:13]
        with self.lock:
            if not id or id in self.seen:
                return 0
            if not self.ownership.made(record, set(self.followed)):
                return 0
            if len(self.seen) >= self.most_events:
                self.progress["full"] = True
                return 0
            self.seen.add(id)
            self._follow(record)
            self._add_own(condense.without_secrets(record), file)
            return 1

    def _add_own(self, record: CloudTrailRecord, file: str) -> None:
        file = file or str(record.get("awsRegion") or "unknown")
        self.lines[file].append(log_reader.jsonl(record))
        query.summarize(self.progress["rows"], record)
        if condense.mutating(record) and cloudtrail_event.is_outside_change(record, self.own_roles):
            self._add_change(record)

    def add_lookup_event(self, event: query.LookupEvent) -> int:
        """Add an event as LookupEvents answers it; return 1 when it is new, else 0."""
        record: CloudTrailRecord = json.loads(event["CloudTrailEvent"])
        if "readOnly" not in record and event.get("ReadOnly"):
            record["readOnly"] = event["ReadOnly"]
        return self.add({"eventID": event["EventId"], **record})

    def _follow(self, record: CloudTrailRecord) -> None:
        """Remember the credentials that the call handed out."""
        handed = handed_out(record)
        if handed and len(self.progress["handed_out"]) < MOST_HANDED_OUT:
            self.progress["handed_out"].append(handed)
        known = self.progress["issued"]
        session = issued(record)
        if session is None or len(known) >= 4 * MOST_FOLLOWED:
            return
        if all(other["key"] != session["key"] for other in known):
            known.append(session)

    def _add_change(self, record: CloudTrailRecord) -> None:
        if len(self.progress["changes"]) >= MOST_CHANGES:
            self.progress["left_out"] += 1
            return
        change = condense.change(record)
        if self.progress["bytes"] > MOST_BYTES:
            change["parameters"] = {}
            change["response"] = {}
            change["cut"] = True
        self.progress["bytes"] += len(json.dumps(change, default=str))
        self.progress["changes"].append(change)

    def stored_progress(self) -> Progress:
        """Return ``progress`` as it is to be stored."""
        return {**self.progress, "seen": sorted(self.seen)}

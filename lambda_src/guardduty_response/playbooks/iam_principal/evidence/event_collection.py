"""The events of a principal as they come in, from any Region at once: kept, counted, followed, and
the changes picked out.

What must outlive a function call lies in ``progress``, an object in the evidence bucket: {seen:
ids, rows: of the summary, changes: of this round, bytes: of these, left_out: changes beyond the
bound, issued: credentials it was handed, regions, query}.
"""

from __future__ import annotations

import json
from collections import defaultdict
from threading import Lock

from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.cloudtrail import log_reader, query
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.evidence.items import Json
from guardduty_response.playbooks.iam_principal.evidence import condense
from guardduty_response.playbooks.iam_principal.evidence.ownership import Whose, issued

MOST_EVENTS = 20_000  # of one round
MOST_CHANGES, MOST_BYTES = 3000, 8_000_000  # of one round; beyond MOST_BYTES without parameters
MOST_FOLLOWED = 25  # sessions whose calls are asked for too


class Found:
    def __init__(self, principal: TargetContext, whose: Whose, progress: Json, round: int) -> None:
        self.whose, self.progress, self.most = whose, progress, MOST_EVENTS * round
        self.seen = set(progress.setdefault("seen", []))
        for name, empty in (
            ("rows", {}),
            ("changes", []),
            ("issued", []),
            ("bytes", 0),
            ("left_out", 0),
            ("full", False),
        ):
            progress.setdefault(name, empty)
        self.lines: dict[str, list[str]] = defaultdict(list)  # by Region, of this call
        self.own = cloudtrail_event.own_roles(principal.context.config)
        self.lock = Lock()

    @property
    def followed(self) -> list[str]:
        """Keys of the sessions whose calls are listed too, in the order they were met."""
        here = [
            one["key"] for one in self.progress["issued"] if one["account"] == self.whose.account
        ]
        return here[:MOST_FOLLOWED] if self.whose.follows else []

    def take(self, record: Json, place: str = "") -> int:
        """1 when the record is a new one of the principal's. ``place``: which file it goes into;
        its Region by default.
        """
        id = str(record.get("eventID") or "")[:13]
        with self.lock:
            if not id or id in self.seen or not self.whose.made(record, set(self.followed)):
                return 0
            if len(self.seen) >= self.most:
                self.progress["full"] = True
                return 0
            self.seen.add(id)
            self._follow(record)
            record = condense.without_secrets(record)
            self.lines[place or str(record.get("awsRegion") or "unknown")].append(
                log_reader.jsonl(record)
            )
            query.summarize(self.progress["rows"], record)
            if condense.mutating(record) and cloudtrail_event.is_outside_change(record, self.own):
                self._change(record)
            return 1

    def take_event(self, event: Json) -> int:
        """The same for an event as LookupEvents answers it."""
        record: Json = json.loads(event["CloudTrailEvent"])
        if "readOnly" not in record and event.get("ReadOnly"):
            record["readOnly"] = event["ReadOnly"]
        return self.take({"eventID": event["EventId"], **record})

    def _follow(self, record: Json) -> None:
        known, handed = self.progress["issued"], issued(record)
        if (
            handed
            and len(known) < 4 * MOST_FOLLOWED
            and all(one["key"] != handed["key"] for one in known)
        ):
            known.append(handed)

    def _change(self, record: Json) -> None:
        if len(self.progress["changes"]) >= MOST_CHANGES:
            self.progress["left_out"] += 1
            return
        short = condense.change(record)
        if self.progress["bytes"] > MOST_BYTES:
            short |= {"parameters": {}, "response": {}, "cut": True}
        self.progress["bytes"] += len(json.dumps(short, default=str))
        self.progress["changes"].append(short)

    def saved(self) -> Json:
        """``progress`` as it is to be kept."""
        return {**self.progress, "seen": sorted(self.seen)}

"""Keeps what AWS Config recorded of resources: their configuration items over a time range, and the
one before, which held when the range began.

The history is asked for even where there is no recorder: what a deleted one has recorded can still
be read (AWS Config API Reference, DeleteConfigurationRecorder). What the recorder does now says how
far the history can be relied on.

A page covers seven days at most and may be empty, with a token for the next one
(GetResourceConfigHistory).
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.cloudtrail import log_reader
from guardduty_response.cloudtrail.time_range import TimeRange
from guardduty_response.containment.target_context import TargetContext, allow, describe_error
from guardduty_response.evidence import config_recorders
from guardduty_response.evidence.config_history_records import (
    ABSENT,
    EMPTY,
    ConfigHistoryState,
    ResourceHistory,
)
from guardduty_response.evidence.config_history_report import Report, counts
from guardduty_response.evidence.items import EvidenceItem, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guardduty_response.aws import clients
    from guardduty_response.aws.api import AwsAnswer, PolicyStatement
    from guardduty_response.incident.model import StoredObject

ACTIONS = (*config_recorders.READS, "config:GetResourceConfigHistory")
OPTION = "config_history_days"
DEFAULT_DAYS = 7.0
CALL_SECONDS = 15.0  # of one call: what else is collected ends its own with it
MOST_RESOURCES = 40
PAGE = 100  # items
MOST_PAGES = 150  # of a resource in the time range
PAGES_BEFORE = 60  # and before it: a year and more, where every page is empty
PAGES_OF_ALL = 1500  # of all resources together: some minutes
MOST_BYTES = 32 << 20  # of all items together, before they are compressed
WHAT = "what AWS Config recorded of the resources, a configuration item a line"
_DENIED = ("AccessDeniedException", "AccessDenied")  # for one resource: for all of the Region


def days(target_context: TargetContext) -> float:
    """Returns how many days before the finding the history begins; 0: it is not kept."""
    return float(target_context.options.get(OPTION, DEFAULT_DAYS))


def switched_off() -> EvidenceItem:
    return EvidenceItem(Outcome.SKIPPED, f"switched off ({OPTION} = 0)")


def statement() -> PolicyStatement:
    """Returns what a session needs: AWS Config knows no narrower resource of a history."""
    return allow(ACTIONS)


def resource(type: str, id: str, regions: list[str]) -> ResourceHistory:
    return {"type": type, "id": id, "regions": regions, "refused": {}, "items": 0, "pages": 0}


class History:
    """One function call of the item. ``state`` has the resources and the recordings."""

    def __init__(
        self,
        target_context: TargetContext,
        session: clients.Session,
        state: ConfigHistoryState,
        objects: list[StoredObject],
    ) -> None:
        self.target_context, self.session, self.state = target_context, session, state
        self.range = TimeRange.of(target_context, state, days(target_context) * 24 * 60)
        self.objects = objects
        self.lines: list[str] = []
        self.asked = False
        state.setdefault("denied", {})

    def advance(self) -> EvidenceItem:
        """Reads until all is read, the call's time is up, or AWS Config throttles.

        Raises the error of a call that was throttled before anything was read.
        """
        until = time.monotonic() + CALL_SECONDS
        wait = 0
        try:
            while found := self._next():
                self._read_page(found)
                if time.monotonic() >= until:
                    break
        except (ClientError, BotoCoreError) as error:
            if not (is_transient(error) and self.asked):
                raise
            wait = 15  # what there is, is kept
        self._store()
        if self._next():
            text = f"{counts(self.state)} so far; still being read"
            return EvidenceItem(Outcome.RUNNING, text, wait or 1, self.objects, state=self.state)
        return self._end()

    def _next(self) -> ResourceHistory | None:
        return next((entry for entry in self.state["resources"] if not entry.get("done")), None)

    # -- reading -----------------------------------------------------------------------------------

    def _read_page(self, entry: ResourceHistory) -> None:
        """Reads one page of a resource's history. Raises what may pass."""
        region = entry["regions"][0]
        if reason := self.state["denied"].get(region):
            self._refuse(entry, region, reason)
            return
        if self.state.get("pages", 0) >= PAGES_OF_ALL:
            self._finish(entry, f"truncated after {PAGES_OF_ALL} pages of all resources")
            return
        config = self.session.client("config", region)
        try:
            answer = config.get_resource_config_history(**self._request(entry))
        except (ClientError, BotoCoreError) as error:
            if is_transient(error):
                raise
            code = error_code(error)
            reason = code if code in ABSENT else describe_error(error)
            if code in _DENIED:
                self.state["denied"][region] = reason
            if entry.get("region") or entry["pages"]:
                self._finish(entry, f"reading stopped ({reason})")
            else:
                self._refuse(entry, region, reason)
            return
        self.asked = True
        self._take(entry, region, answer)

    def _request(self, entry: ResourceHistory) -> dict[str, object]:
        start, end = self.range.start, self.range.end
        request: dict[str, object] = {
            "resourceType": entry["type"],
            "resourceId": entry["id"],
            "chronologicalOrder": "Reverse",
        }
        if entry.get("before"):
            request |= {"laterTime": start, "limit": 1}
        else:
            request |= {"earlierTime": start, "laterTime": end, "limit": PAGE}
        if entry.get("token"):
            request["nextToken"] = entry["token"]
        return request

    def _take(self, entry: ResourceHistory, region: str, answer: AwsAnswer) -> None:
        """Keeps a page, and says how the resource goes on."""
        entry["pages"] += 1
        self.state["pages"] = self.state.get("pages", 0) + 1
        for item in answer.get("configurationItems") or []:
            at = item["configurationItemCaptureTime"].timestamp()
            if entry.get("before") and at > self.range.start:
                continue  # kept already
            line = json.dumps(item, separators=(",", ":"), default=str)
            size = self.state.get("bytes", 0) + len(line)
            if size > MOST_BYTES:
                self._finish(entry, f"all items together are larger than {MOST_BYTES >> 20} MiB")
                return
            self.lines.append(line)
            self.state["bytes"] = size
            entry["items"] += 1
            entry["region"] = region
            if at <= self.range.start:
                self._finish(entry)  # it held when the range began
                return
        token = str(answer.get("nextToken") or "")
        if token and token == entry.get("token"):
            self._finish(entry, "AWS Config answered with the same page token again")
            return
        entry["token"] = token
        most = PAGES_BEFORE if entry.get("before") else MOST_PAGES
        if token and entry["pages"] >= most:
            what = "what it was when the range began" if entry.get("before") else "the oldest item"
            self._finish(entry, f"truncated after {most} pages: {what} was not reached")
        elif not token and not entry.get("before"):
            entry |= {"before": True, "pages": 0}
        elif not token:
            self._end_of_region(entry, region)

    def _end_of_region(self, entry: ResourceHistory, region: str) -> None:
        if entry["items"]:
            self._finish(entry)
        else:
            self._refuse(entry, region, EMPTY)

    def _refuse(self, entry: ResourceHistory, region: str, reason: str) -> None:
        """The Region has no history of the resource: the next one is asked."""
        entry["refused"][region] = reason
        entry["regions"] = entry["regions"][1:]
        entry |= {"before": False, "token": "", "pages": 0}
        if not entry["regions"]:
            self._finish(entry)

    def _finish(self, entry: ResourceHistory, left: str = "") -> None:
        entry |= {"done": True, "left": left, "token": ""}

    def _store(self) -> None:
        if not self.lines:
            return
        self.state["files"] = self.state.get("files", 0) + 1
        name = f"items-{self.state['files']:03}.jsonl.gz"
        self._put(name, log_reader.gzip_lines(self.lines), f"{WHAT}, {self.range}")

    def _put(self, name: str, content: bytes, what: str) -> None:
        path = f"{self.target_context.id}/config-history/{name}"
        stored = self.target_context.context.put_evidence(path, content)
        self.objects.append({**stored, "what": what})

    def _end(self) -> EvidenceItem:
        report = Report(self.target_context, self.state, self.range)
        self._put("summary.json", report.summary(), "which resources were asked for, and gaps")
        return EvidenceItem(
            report.outcome,
            report.text(),
            0,
            self.objects,
            report.task(),
            self.state,
        )


def bounded(resources: Iterable[ResourceHistory]) -> list[ResourceHistory]:
    """Returns the resources; those beyond the bound are named, and not read."""
    entries = list(resources)
    for entry in entries[MOST_RESOURCES:]:
        entry |= {"done": True, "left": f"beyond {MOST_RESOURCES} resources"}
    return entries

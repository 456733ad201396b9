"""What the principal did: every event of it in CloudTrail, listed twice because events come late,
and the changes among them; twice more for a later run, which contains it again.

The first pass ends when everything up to its first call (the cut-off) was read. The second pass,
``repeat_minutes`` later, reads what is newer than a quarter of an hour before that. The passes of a
later run are the third and fourth, and so on: an odd one begins a run's. The changes of each pass
are one object (``changes-N.json``), oldest first, which eradication reads. The state is a
``ListingState``; the rest lies in the bucket (``Progress``).
"""

from __future__ import annotations

import json
import math
import time
from copy import deepcopy
from datetime import datetime
from typing import TYPE_CHECKING, cast

from guardduty_response.cloudtrail import log_reader
from guardduty_response.cloudtrail import query as cloudtrail_query
from guardduty_response.cloudtrail.regions import ACTION as LIST_REGIONS
from guardduty_response.cloudtrail.regions import enabled
from guardduty_response.cloudtrail.time_range import CALL_SECONDS, TimeRange, iso
from guardduty_response.containment.target_context import TargetContext, allow
from guardduty_response.evidence import store as evidence_store
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.playbooks.iam_principal.evidence import regional_lookup, trail_queries
from guardduty_response.playbooks.iam_principal.evidence.actions_report import Report
from guardduty_response.playbooks.iam_principal.evidence.event_collection import (
    MOST_FOLLOWED,
    EventCollection,
)
from guardduty_response.playbooks.iam_principal.evidence.records import (
    Gap,
    ListingState,
    Progress,
)
from guardduty_response.playbooks.iam_principal.ownership import Ownership

if TYPE_CHECKING:
    from guardduty_response.incident.model import EvidenceEntry, StoredObject

NAME = "actions"


def run(principal: TargetContext, before: EvidenceEntry) -> EvidenceItem:
    """Do one function call's share of the listing; ``before``: the evidence entry so far."""
    if not principal.options.get("list_actions", True):
        return EvidenceItem(Outcome.SKIPPED, "switched off (list_actions)")
    ownership = Ownership.of(principal)
    if not ownership.lookup_attributes():
        return _not_possible(principal, ownership)
    state = cast("ListingState", deepcopy(before.get("state") or {}))
    TimeRange.of(principal, state, 60 * float(principal.options.get("lookup_hours", 24)))
    objects: list[StoredObject] = list(before.get("objects") or [])
    if _waits(state) and not state.get("again"):
        wait = state["due"] - time.time()
        if wait > 0:
            task = str(before.get("task") or "")
            return EvidenceItem(
                Outcome.RUNNING, _waiting(state), math.ceil(wait), objects, task, state
            )
    return Listing(
        principal,
        ownership,
        state,
        objects,
    ).advance()


def _waits(state: ListingState) -> bool:
    """Tells whether the first pass of a run is complete, and the second has not begun."""
    number = state.get("round", 0)
    return number % 2 == 1 and state.get("listed") == number


def reads_on(before: EvidenceEntry) -> bool:
    """Tells whether a list that is being made will have what happens until now."""
    state = cast("ListingState", before.get("state") or {})
    return _waits(state) and bool(state["due"])


def begin_again(principal: TargetContext, before: EvidenceEntry) -> ListingState:
    """Returns the state with which the list goes on where it ended, for a later run."""
    state = cast("ListingState", deepcopy(before.get("state") or {}))
    if "window" not in state:
        return {}  # nothing was asked for yet
    state["again"] = True
    return state


def _not_possible(principal: TargetContext, ownership: Ownership) -> EvidenceItem:
    text = f"the finding names no access key and no name by which CloudTrail could find {ownership}"
    task = (
        "look for what it did in CloudTrail by hand: aws cloudtrail lookup-events --region"
        f" {principal.target.region}"
    )
    state: ListingState = {"round": 1, "listed": 0, "changes": [], "cut_off": "", "due": 0}
    return EvidenceItem(
        Outcome.NOT_POSSIBLE,
        text,
        task=task,
        state=state,
    )


def _waiting(state: ListingState) -> str:
    return (
        f"listed once more at {iso(state['due'])}, for events that come late; until then:"
        f" {state['said']}"
    )


class Listing:
    """One function call of a pass.

    ``time_range``: from the start of the whole range to the end of this pass; ``since``: where the
    queries of this pass begin.
    """

    def __init__(
        self,
        principal: TargetContext,
        ownership: Ownership,
        state: ListingState,
        objects: list[StoredObject],
    ) -> None:
        self.target_context = principal
        self.ownership = ownership
        self.state = state
        self.objects = objects
        self._complete_state()
        self.progress: Progress = {}
        if state.get("progress"):
            self.progress = evidence_store.get_event(state["progress"])
        if self.state.pop("again", False):
            self._begin_pass(self.state["round"] + 1 + self.state["round"] % 2)
        elif state["listed"] == state["round"]:
            self._begin_pass(self.state["round"] + 1)
        start, end = state["window"]
        self.time_range = TimeRange(int(start), int(state.get("until") or end))
        self.since = int(state.get("since") or start)
        pass_number = int(state["round"])
        self.collection = EventCollection(
            principal,
            ownership,
            self.progress,
            pass_number,
        )

    def _complete_state(self) -> None:
        self.state.setdefault("round", 1)
        self.state.setdefault("listed", 0)
        self.state.setdefault("changes", [])
        self.state.setdefault("cut_off", "")
        self.state.setdefault("due", 0)
        self.state.setdefault("files", 0)
        self.state.setdefault("key", self.ownership.principal.key)

    def _begin_pass(self, number: int) -> None:
        """Read what is newer than a quarter of an hour before the cut-off, until now.

        All of it where nothing was listed to its end, or where the finding names another key now.
        """
        start, end = self.state["window"]
        since, cut_off = int(start), self.state["cut_off"]
        key = self.ownership.principal.key
        if cut_off and key in ("", self.state["key"]):
            until = int(datetime.fromisoformat(cut_off).timestamp())
            since = max(until - cloudtrail_query.LAG_SECONDS, since)
        self.state["key"] = key or self.state["key"]
        gaps = self._pass_gaps(TimeRange(int(start), int(self.state.get("until") or end)))
        self.state["round"] = number
        self.state["since"] = since
        self.state["until"] = int(time.time())
        self.progress["changes"] = []
        self.progress["bytes"] = 0
        self.progress["full"] = False
        self.progress["query"] = None
        earlier = [*self.progress.get("earlier", []), *(gap for gap in gaps if gap.get("cut"))]
        self.progress["earlier"] = earlier
        regions = self.progress.get("regions") or {}
        regional_lookup.repeat(regions, since)
        regional_lookup.add(regions, self.ownership.lookup_attributes(), int(start))

    def advance(self) -> EvidenceItem:
        until = time.monotonic() + CALL_SECONDS
        wait_seconds = self._query(until)
        self._store()
        if wait_seconds:
            count = len(self.collection.seen)
            text = (
                f"{count} events of {self.ownership} so far, from {self.time_range}; still being"
                " listed"
            )
            return EvidenceItem(
                Outcome.RUNNING,
                text,
                wait_seconds,
                self.objects,
                state=self.state,
            )
        return self._end_pass()

    # -- querying ----------------------------------------------------------------------------------

    def _query(self, until: float) -> int:
        """Query; return the seconds after which to go on, 0 when this pass is listed."""
        source = None
        if not self.state.get("fell_back"):
            source = trail_queries.source(self.target_context.options.get("trail_query"))
        if source:
            self.state["source"] = source.name
            try:
                return self._query_trail(source, until)
            except trail_queries.QueryFailed as error:
                self.state["fell_back"] = str(error)[:400]
        self.state["source"] = "LookupEvents"
        return self._look_up(until)

    def _look_up(self, until: float) -> int:
        regions = self.progress.setdefault("regions", {})
        if not regions:
            session = self.target_context.open_session(allow((LIST_REGIONS,)))
            names, remark = enabled(self.target_context, session)
            attributes = self.ownership.lookup_attributes()
            regions |= regional_lookup.begin(names, attributes, self.since)
            self.state["remark"] = remark
        self._add_followed_keys(regions)
        while not regional_lookup.is_complete(regions) and time.monotonic() < until:
            answered = regional_lookup.advance(
                self.target_context, regions, self.time_range, self.collection, until
            )
            if not answered:
                break  # a throttled Region is queried in the next call
            self._add_followed_keys(regions)
        return 0 if regional_lookup.is_complete(regions) else 1

    def _add_followed_keys(self, regions: regional_lookup.Regions) -> None:
        regional_lookup.add_keys(regions, self.collection.followed, self.time_range.start)

    def _query_trail(self, source: trail_queries.Athena | trail_queries.Lake, until: float) -> int:
        query = self.progress.get("query")
        if not query:
            columns = self.ownership.columns()
            followed = self.collection.followed
            query = trail_queries.begin(
                columns,
                followed,
                self.time_range,
                self.since,
            )
            self.progress["query"] = query
        return trail_queries.advance(
            self.target_context,
            source,
            query,
            self.collection,
            until,
        )

    # -- storing -----------------------------------------------------------------------------------

    def _put(self, name: str, content: bytes, what: str = "") -> str:
        """Store an object, list it when ``what`` says what it is, and return its key."""
        path = f"{self.target_context.id}/actions/{name}"
        stored = self.target_context.context.put_evidence(path, content)
        if what:
            self.objects.append({**stored, "what": what})
        return str(stored["key"])

    def _store(self) -> None:
        """Store the events of this call, and where to go on.

        Two progress objects take turns, and the record names the complete one: a call may die here.
        """
        pass_number = self.state["round"]
        for place, lines in sorted(self.collection.lines.items()):
            self.state["files"] += 1
            name = f"round-{pass_number}/{place}-{self.state['files']:03}.jsonl.gz"
            what = f"CloudTrail records of {self.ownership}, {place}, {self.time_range}"
            self._put(name, log_reader.gzip_lines(lines), what)
        parity = 1 - int(self.state.get("parity", 1))
        self.state["parity"] = parity
        progress = self.collection.stored_progress()
        content = json.dumps(progress, separators=(",", ":"), default=str).encode()
        self.state["progress"] = self._put(f"progress-{'ab'[parity]}.json", content)

    def _store_changes(self) -> int:
        """Store the changes of this pass, oldest first; return their number."""
        changes = self.progress["changes"]
        changes.sort(key=lambda change: (change["at"], change["id"]))
        if changes:
            pass_number = self.state["round"]
            content = json.dumps(changes, separators=(",", ":"), default=str).encode()
            what = f"changes by {self.ownership}, pass {pass_number}"
            self.state["changes"].append(self._put(f"changes-{pass_number}.json", content, what))
        return len(changes)

    # -- the end of a pass -------------------------------------------------------------------------

    def _end_pass(self) -> EvidenceItem:
        state = self.state
        regions = self.progress.get("regions") or {}
        refused = bool(regions) and all(map(regional_lookup.refusal, regions.values()))
        state["mutating"] = state.get("mutating", 0) + self._store_changes()
        state["listed"] = state["round"]
        state["cut_off"] = iso(self.time_range.end)
        state["events"] = len(self.collection.seen)
        state["issued"] = list(self.progress["issued"][:MOST_FOLLOWED])
        state["handed_out"] = list(self.progress["handed_out"])
        state["due"] = 0 if refused else self._second_pass_at()
        report = Report(
            self.target_context,
            self.ownership,
            state,
            self.progress,
            self.collection.followed,
            self.time_range,
        )
        gaps = report.gaps(self._pass_gaps(self.time_range))
        self.objects[:] = [
            entry for entry in self.objects if not entry["key"].endswith("/actions/summary.json")
        ]
        self._put("summary.json", report.summary(gaps), report.SUMMARY)
        state["said"] = report.text(gaps)
        task = report.task(gaps)
        if state["due"]:
            wait = max(1, math.ceil(state["due"] - time.time()))
            return EvidenceItem(
                Outcome.RUNNING,
                _waiting(state),
                wait,
                self.objects,
                task,
                state,
            )
        outcome = Outcome.PARTIAL if gaps else Outcome.COMPLETE
        if refused:
            outcome = Outcome.FAILED
        return EvidenceItem(
            outcome,
            state["said"],
            0,
            self.objects,
            task,
            state,
        )

    def _second_pass_at(self) -> int:
        """Return when the second pass begins (seconds since 1970), 0 when there is none."""
        minutes = float(self.target_context.options.get("repeat_minutes", 20))
        if self.state["round"] % 2 == 0 or not minutes:
            return 0
        return int(self.time_range.end + 60 * minutes)

    def _pass_gaps(self, time_range: TimeRange) -> list[Gap]:
        """Return what this pass was to read and did not."""
        gaps = regional_lookup.gaps(self.progress.get("regions") or {}, time_range)
        query = self.progress.get("query") or {}
        if query.get("cut"):
            source = self.state["source"]
            command = f"query {source} by hand"
            gaps.append({"region": source, "why": query["cut"], "command": command, "cut": True})
        return gaps

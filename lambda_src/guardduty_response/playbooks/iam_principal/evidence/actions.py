"""What the principal did: every event CloudTrail has of it, listed twice because events lag, and
the changes among them.

Round 1 ends when everything was answered up to its first call (the cut-off). Round 2,
``repeat_minutes`` later, asks for what is newer than a quarter of an hour before that. Each round's
changes are one object (``changes-N.json``), oldest first, which remediation reads. State, for
remediation, message and report: {round, listed, changes: keys, cut_off, due, window, events,
mutating, issued, key, said, source, progress, files, parity}; the rest lies in the bucket
(found.py).
"""

from __future__ import annotations

import json
import math
import time
from copy import deepcopy
from typing import Any

from guardduty_response.cloudtrail import log_reader
from guardduty_response.cloudtrail import query as cloudtrail_query
from guardduty_response.cloudtrail.time_range import CALL_SECONDS, TimeRange, iso
from guardduty_response.containment.target_context import TargetContext, allow
from guardduty_response.evidence import store as evidence_store
from guardduty_response.evidence.items import EvidenceItem, Json, Outcome
from guardduty_response.playbooks.iam_principal.evidence import regional_lookup, trail_queries
from guardduty_response.playbooks.iam_principal.evidence.event_collection import (
    MOST_CHANGES,
    MOST_FOLLOWED,
    Found,
)
from guardduty_response.playbooks.iam_principal.evidence.ownership import Whose
from guardduty_response.playbooks.iam_principal.regions import ACTION as LIST_REGIONS
from guardduty_response.playbooks.iam_principal.regions import enabled

NAME = "actions"
MOST_COMMANDS = 5  # in the task; all of them are in summary.json
TRAIL_LAG = "CloudTrail delivers up to 15 minutes late"
LOOKUP_LAG = f"{TRAIL_LAG}, and LookupEvents knows only management events of 90 days"


def run(principal: TargetContext, before: Json) -> EvidenceItem:
    if not principal.options.get("list_actions", True):
        return EvidenceItem(Outcome.SKIPPED, "switched off (list_actions)")
    whose = Whose.of(principal)
    if not whose.questions():
        return _nothing_to_ask(principal, whose)
    state: Json = deepcopy(before.get("state") or {})
    TimeRange.of(principal, state, 60 * float(principal.options.get("lookup_hours", 24)))
    objects: list[Json] = list(before.get("objects") or [])
    if state.get("listed") == 1 and state["round"] == 1:
        wait = state["due"] - time.time()
        if wait > 0:
            return EvidenceItem(
                Outcome.RUNNING,
                _waiting(state),
                math.ceil(wait),
                objects,
                str(before.get("task") or ""),
                state,
            )
    return Listing(principal, whose, state, objects).step()


def _nothing_to_ask(principal: TargetContext, whose: Whose) -> EvidenceItem:
    text = (
        "the finding names no access key and no name by which CloudTrail could be asked for"
        f" {whose}"
    )
    task = (
        "look for what it did in CloudTrail by hand: aws cloudtrail lookup-events --region"
        f" {principal.target.region}"
    )
    return EvidenceItem(
        Outcome.NOT_POSSIBLE,
        text,
        task=task,
        state={"round": 1, "listed": 0, "changes": [], "cut_off": "", "due": 0},
    )


def _waiting(state: Json) -> str:
    return (
        f"listed once more at {iso(state['due'])}, for events that come late; until then:"
        f" {state['said']}"
    )


class Listing:
    """One function call of a round. ``whole``: from the window's start until this round's end."""

    def __init__(
        self, principal: TargetContext, whose: Whose, state: Json, objects: list[Json]
    ) -> None:
        self.target_context, self.whose, self.state, self.objects = principal, whose, state, objects
        for name, value in (
            ("round", 1),
            ("listed", 0),
            ("changes", []),
            ("cut_off", ""),
            ("due", 0),
            ("files", 0),
            ("key", whose.principal.key),
        ):
            state.setdefault(name, value)
        self.progress: Json = (
            evidence_store.get_event(state["progress"]) if state.get("progress") else {}
        )
        if state["listed"] == state["round"]:
            self._second()
        start, end = state["window"]
        self.whole = TimeRange(int(start), int(state.get("until") or end))
        self.since = int(state.get("since") or start)
        self.found = Found(principal, whose, self.progress, int(state["round"]))

    def _second(self) -> None:
        """Round 2: what is newer than a quarter of an hour before the cut-off, until now."""
        end = int(self.state["window"][1])
        since = max(end - cloudtrail_query.LAG_SECONDS, int(self.state["window"][0]))
        self.state |= {"round": 2, "since": since, "until": int(time.time())}
        earlier = [
            one for one in self._read(TimeRange(*map(int, self.state["window"]))) if one.get("cut")
        ]
        self.progress |= {
            "changes": [],
            "bytes": 0,
            "full": False,
            "query": None,
            "earlier": earlier,
        }
        regional_lookup.again(self.progress.get("regions") or {}, since)

    def step(self) -> EvidenceItem:
        until = time.monotonic() + CALL_SECONDS
        wait = self._ask(until)
        self._store()
        if wait:
            text = f"{self._count()} so far, from {self.whole}; still being listed"
            return EvidenceItem(Outcome.RUNNING, text, wait, self.objects, state=self.state)
        return self._listed()

    # -- asking ------------------------------------------------------------------------------------

    def _ask(self, until: float) -> int:
        """Seconds after which to go on; 0: this round is listed."""
        source = (
            None
            if self.state.get("fell_back")
            else trail_queries.source(self.target_context.options.get("trail_query"))
        )
        self.state["source"] = source.name if source else "LookupEvents"
        if source:
            try:
                return self._query(source, until)
            except trail_queries.QueryFailed as error:
                self.state |= {"fell_back": str(error)[:400], "source": "LookupEvents"}
        places = self.progress.setdefault("regions", {})
        if not places:
            names, remark = enabled(
                self.target_context, self.target_context.open(allow((LIST_REGIONS,)))
            )
            places |= regional_lookup.begin(names, self.whose.questions(), self.since)
            self.state["remark"] = remark
        regional_lookup.add(places, self.found.followed, self.whole.start)
        while not regional_lookup.done(places) and time.monotonic() < until:
            if not regional_lookup.ask(self.target_context, places, self.whole, self.found, until):
                break  # not again at once
            regional_lookup.add(places, self.found.followed, self.whole.start)
        return 0 if regional_lookup.done(places) else 1

    def _query(self, source: Any, until: float) -> int:
        query = self.progress.get("query")
        if not query:
            query = trail_queries.begin(
                self.whose.columns(), self.found.followed, self.whole, self.since
            )
            self.progress["query"] = query
        return trail_queries.ask(self.target_context, source, query, self.found, until)

    # -- keeping -----------------------------------------------------------------------------------

    def _put(self, name: str, content: bytes, what: str = "") -> Json:
        stored = self.target_context.context.put_evidence(
            f"{self.target_context.id}/actions/{name}", content
        )
        if what:
            self.objects.append({**stored, "what": what})
        return {**stored}

    def _store(self) -> None:
        """The events of this call, and where to go on. The ledger names the last whole one of
        two: a call may die here.
        """
        round = self.state["round"]
        for place, lines in sorted(self.found.lines.items()):
            self.state["files"] += 1
            what = f"CloudTrail records of {self.whose}, {place}, {self.whole}"
            self._put(
                f"round-{round}/{place}-{self.state['files']:03}.jsonl.gz",
                log_reader.packed(lines),
                what,
            )
        self.state["parity"] = 1 - int(self.state.get("parity", 1))
        content = json.dumps(self.found.saved(), separators=(",", ":"), default=str).encode()
        self.state["progress"] = self._put(f"progress-{'ab'[self.state['parity']]}.json", content)[
            "key"
        ]

    def _listed(self) -> EvidenceItem:
        state, round, changes = self.state, self.state["round"], self.progress["changes"]
        changes.sort(key=lambda one: (one["at"], one["id"]))
        if changes:
            content, what = (
                json.dumps(changes, separators=(",", ":"), default=str),
                f"changes by {self.whose}, round {round}",
            )
            state["changes"].append(
                self._put(f"changes-{round}.json", content.encode(), what)["key"]
            )
        places = self.progress.get("regions") or {}
        refused = bool(places) and all(regional_lookup.refused(one) for one in places.values())
        minutes = (
            float(self.target_context.options.get("repeat_minutes", 20))
            if round == 1 and not refused
            else 0
        )
        state |= {
            "listed": round,
            "cut_off": iso(self.whole.end),
            "events": len(self.found.seen),
            "issued": self._issued(),
            "mutating": state.get("mutating", 0) + len(changes),
            "due": int(self.whole.end + 60 * minutes) if minutes else 0,
        }
        left = self._left()
        self._summary(left)
        state["said"] = self._text(left)
        if state["due"]:
            wait = max(1, math.ceil(state["due"] - time.time()))
            return EvidenceItem(
                Outcome.RUNNING, _waiting(state), wait, self.objects, self._task(left), state
            )
        outcome = Outcome.FAILED if refused else Outcome.PARTIAL if left else Outcome.COMPLETE
        return EvidenceItem(outcome, state["said"], 0, self.objects, self._task(left), state)

    # -- telling -----------------------------------------------------------------------------------

    def _issued(self) -> list[Json]:
        return list(self.progress["issued"][:MOST_FOLLOWED])

    def _read(self, window: TimeRange) -> list[Json]:
        """What this round was to read and did not: {region, why, command, cut}."""
        left, query = (
            regional_lookup.left(self.progress.get("regions") or {}, window),
            self.progress.get("query") or {},
        )
        if query.get("cut"):
            command = f"query {self.state['source']} by hand"
            left.append(
                {
                    "region": self.state["source"],
                    "why": query["cut"],
                    "command": command,
                    "cut": True,
                }
            )
        return left

    def _left(self) -> list[Json]:
        """What is not in the list: {region, why, command}."""
        left = [*self.progress.get("earlier", []), *self._read(self.whole)]

        def missing(where: str, text: str, command: str) -> None:
            left.append({"region": where, "why": text, "command": command})

        if self.state.get("fell_back"):
            text = f"trail_query failed ({self.state['fell_back']}); LookupEvents was asked instead"
            missing("trail_query", text, "repair playbooks.iam_principal.trail_query")
        if self.state.get("remark"):
            missing(
                "other Regions",
                self.state["remark"],
                "name them in playbooks.iam_principal.lookup_regions",
            )
        if self.progress["left_out"]:
            text = (
                f"{self.progress['left_out']} more than {MOST_CHANGES} a round were left out of"
                " changes-N.json"
            )
            missing(
                "changes",
                text,
                f"read {self.target_context.id}/actions/round-N/*.jsonl.gz in the evidence bucket",
            )
        followed = set(self.found.followed)
        for one in [one for one in self.progress["issued"] if one["key"] not in followed]:
            # of another account, beyond the bound, or of a session that is contained alone
            where = (
                f"account {one['account']}"
                if one["account"] != self.whose.account
                else "this account"
            )
            question = {"key": "AccessKeyId", "value": one["key"]}
            text = (
                f"it was handed a session of {one['role']} ({one['session']}) at {one['at']}, whose"
                " calls are not listed"
            )
            command = cloudtrail_query.command(
                question, self.whole, self.target_context.target.region
            )
            missing(where, text, f"in {where}: {command}")
        return left

    def _count(self) -> str:
        return f"{len(self.found.seen)} events of {self.whose}"

    def _text(self, left: list[Json]) -> str:
        state, places = self.state, self.progress.get("regions") or {}
        refused = {
            name: regional_lookup.refused(one)
            for name, one in places.items()
            if regional_lookup.refused(one)
        }
        where = (
            f"LookupEvents in {len(places) - len(refused)} Regions" if places else state["source"]
        )
        said = [
            (
                f"{self._count()}, {state['mutating']} of them changes that succeeded, by {where}"
                f" from {iso(self.whole.start)}"
            ),
            (
                f"cut-off {state['cut_off']}: later events are not listed;"
                f" {LOOKUP_LAG if places else TRAIL_LAG}"
            ),
        ]
        if self.found.followed:
            said.append(f"with the calls of {len(self.found.followed)} sessions that it assumed")
        if refused:
            some = [f"{name} ({text[:120]})" for name, text in list(refused.items())[:3]]
            more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""
            said.append(f"not asked: {', '.join(some)}{more}")
        others = [one for one in left if one["region"] not in refused]
        return "; ".join([*said, *(f"{one['region']}: {one['why']}" for one in others[:3])])

    def _task(self, left: list[Json]) -> str:
        if not left:
            return ""
        commands = list(dict.fromkeys(one["command"] for one in left))
        more = (
            f"; {len(commands) - MOST_COMMANDS} more in summary.json"
            if len(commands) > MOST_COMMANDS
            else ""
        )
        return (
            f"read what is missing from the list of {self.whose}'s calls (cut-off"
            f" {self.state['cut_off']}): {'; '.join(commands[:MOST_COMMANDS])}{more}"
        )

    def _summary(self, left: list[Json]) -> None:
        state, places = self.state, self.progress.get("regions") or {}
        document = {
            "principal": dict(self.whose.principal.__dict__),
            "account_id": self.whose.account,
            "window": str(self.whole),
            "cut_off": state["cut_off"],
            "round": state["round"],
            "read_by": state["source"],
            "events": state["events"],
            "changes": state["mutating"],
            "questions": self.whose.questions(),
            "followed": self._followed(),
            "regions": {
                name: regional_lookup.refused(one) or regional_lookup.found(one)
                for name, one in places.items()
            },
            "left": left,
            "calls": cloudtrail_query.calls(self.progress["rows"]),
        }
        self.objects[:] = [
            one for one in self.objects if not one["key"].endswith("/actions/summary.json")
        ]
        content = json.dumps(document, indent=1, default=str).encode()
        self._put(
            "summary.json",
            content,
            "who called what from where, first and last, with errors; what is missing",
        )

    def _followed(self) -> list[Json]:
        followed = set(self.found.followed)
        return [{**one, "listed": one["key"] in followed} for one in self.progress["issued"]]

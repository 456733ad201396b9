"""The order of things: one round after the other as the collector lists them, newest change first,
in pieces that fit a call.

State (``evidence.remediation.state`` of the ledger): ``handled`` rounds and ``keys`` of evidence
behind them, ``at``: how many of the present round's changes are dealt with, ``again``: [[position,
tries]] of those to be asked again, ``left``: sentences for people, ``noted``: what is worth knowing
and cannot be undone, ``counts``.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.containment.target_context import ALREADY, DONE, FAILED, Json, TargetContext
from guardduty_response.evidence import store as evidence_store
from guardduty_response.evidence.items import Outcome
from guardduty_response.incident.repository import now
from guardduty_response.playbooks.iam_principal.eradicate import (
    manual_commands,
    reversal_table,
    rotate,
)
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change, parse, sentence
from guardduty_response.playbooks.iam_principal.eradicate.reversal import (
    INFO,
    MANUAL,
    Job,
    NotYet,
    Result,
)

NAME = "remediation"
# changes until the state is written; pieces and seconds of one call
PIECE, PIECES, MOST_SECONDS = 50, 4, 90
TRIES, WAIT_SECONDS = 5, 15  # of a change that is asked again
MOST_LEFT, MOST_NOTED = 60, 20  # sentences in the record; the evidence objects hold all


def remediate(context: Context, target: Target) -> StepResult:
    """One call's share. Raises botocore's error when nothing at all could go on (throttled, an
    outage).
    """
    principal = TargetContext(context, target)
    principal.stored = principal.read_stored()
    said, waits = rotate.run(principal)
    listed = _listed(principal)
    if listed is None:
        return StepResult(
            not waits,
            WAIT_SECONDS if waits else 0,
            detail=said or "nothing was listed, so nothing is undone",
        )
    round_ = Round(principal, listed)
    until = time.monotonic() + MOST_SECONDS
    for _ in range(PIECES):
        if not round_.left or round_.waits or time.monotonic() >= until:
            break
        round_.piece(until)
    if round_.left or waits:
        return StepResult(
            done=False,
            wait_seconds=WAIT_SECONDS if waits or round_.waits else 1,
            detail=round_.detail,
        )
    next_step = "collect" if round_.end() else ""
    return StepResult(detail="; ".join(filter(None, (said, round_.detail))), next_step=next_step)


def _listed(principal: TargetContext) -> Json | None:
    """The collector's list as it stands, or None when there is none, or none is wanted."""
    part = (principal.stored.get("evidence") or {}).get("actions")
    return dict(part) if part and part.get("outcome") != Outcome.SKIPPED else None


class Round:
    """The changes of the rounds that were listed and not handled yet."""

    def __init__(self, principal: TargetContext, listed: Json) -> None:
        self.target_context, self.job = principal, Job(principal)
        self.kept = dict(principal.stored["evidence"].get(NAME) or {})
        self.state: Json = {
            "handled": 0,
            "keys": 0,
            "at": 0,
            "again": [],
            "left": [],
            "noted": [],
            "counts": {},
            "files": 0,
            **(self.kept.get("state") or {}),
        }
        self.listing, self.list_state = listed, dict(listed.get("state") or {})
        self.all_keys = [str(key) for key in self.list_state.get("changes") or []]
        self.keys = self.all_keys[self.state["keys"] :]
        self.changes = self._read()
        self.deferred = False

    def _read(self) -> list[Change]:
        """Newest first, as what is undone last was done first; credentials and grants before
        everything else.
        """
        found = [parse(one) for key in self.keys for one in evidence_store.get_event(key)]
        changes = sorted(
            {one.id: one for one in found if one}.values(),
            key=lambda one: (one.at, one.id),
            reverse=True,
        )
        return sorted(changes, key=lambda one: not _first(one))

    @property
    def left(self) -> bool:
        return self.state["at"] < len(self.changes) or bool(self.state["again"])

    @property
    def waits(self) -> bool:
        """Nothing is left but what was asked in this call, and answered "not yet"."""
        return self.deferred and self.state["at"] >= len(self.changes)

    # -- one piece ---------------------------------------------------------------------------------

    def piece(self, until: float) -> None:
        """Some changes further, then the evidence object of them, then the state. Raises what
        stood against all of them.
        """
        start, tries = (
            int(self.state["at"]),
            {int(at): int(count) for at, count in self.state["again"]},
        )
        again = start >= len(self.changes)
        positions = (
            sorted(tries) if again else list(range(start, min(start + PIECE, len(self.changes))))
        )
        done: list[tuple[Change, Result]] = []
        error: Exception | None = None
        for position in positions:
            if time.monotonic() >= until:
                break
            change = self.changes[position]
            try:
                done.append((change, self._deal(change)))
                tries.pop(position, None)
            except NotYet as not_yet:
                self.deferred = True
                tries[position] = tries.get(position, 0) + 1
                if tries[position] > TRIES:
                    done.append((change, self._give_up(change, str(not_yet))))
                    del tries[position]
                elif not_yet.cause and is_transient(not_yet.cause):
                    error = not_yet.cause
            if not again:
                self.state["at"] = position + 1
        self.state["again"] = [[at, count] for at, count in sorted(tries.items())]
        self._write(done)
        self._keep(Outcome.RUNNING)
        if error and not done:
            raise error

    def _deal(self, change: Change) -> Result:
        kind = reversal_table.revert_for(change)
        if kind is None:
            if reversal_table.noteworthy(change):
                return Result(INFO, "nothing to undo")
            return Result(MANUAL, "nothing here undoes it", manual_commands.by_hand(change))
        revert = kind(self.job, change)
        if kind.kind not in self.target_context.options["remediate"]:
            return Result(MANUAL, f"not undone ({kind.kind} is not in remediate)", revert.by_hand())
        return revert.run()

    def _give_up(self, change: Change, text: str) -> Result:
        kind = reversal_table.revert_for(change)
        return (
            kind(self.job, change).given_up(text)
            if kind
            else Result(FAILED, text, manual_commands.by_hand(change))
        )

    def _write(self, done: list[tuple[Change, Result]]) -> None:
        """The piece's evidence object, and what people are told of it."""
        if not done:
            return
        counts: Counter[str] = Counter(self.state["counts"])
        rows = []
        for change, result in done:
            counts["reverted" if result.reverted else result.status.lower()] += 1
            told = self._told(change, result)
            self.state["left"] += [] if result.status == INFO else told
            counts["for_people"] += 0 if result.status == INFO else len(told)
            self.state["noted"] += told if result.status == INFO else []
            rows.append(
                {
                    "id": change.id,
                    "at": change.at,
                    "name": change.name,
                    "region": change.region,
                    "who": change.who,
                    "status": result.status,
                    "text": result.text,
                    "by_hand": result.by_hand,
                    "left": told,
                }
            )
        self.state["files"] += 1
        name = f"{self.target_context.id}/remediation/{self.state['files']:03}.json"
        stored = self.target_context.context.put_evidence(name, json.dumps(rows, indent=1).encode())
        self.kept["objects"] = [
            *(self.kept.get("objects") or []),
            {**stored, "what": f"what became of {len(rows)} actions"},
        ]
        self.state["counts"] = dict(counts)
        self.state["left"], self.state["noted"] = (
            self.state["left"][:MOST_LEFT],
            self.state["noted"][:MOST_NOTED],
        )

    def _told(self, change: Change, result: Result) -> list[str]:
        if result.status == INFO:
            return [sentence(change, result.text, "")]
        own = [(result.text, result.by_hand)] if result.status in (MANUAL, FAILED) else []
        return [sentence(change, why, hand) for why, hand in [*own, *result.rest]]

    # -- the end of a round ------------------------------------------------------------------------

    def end(self) -> bool:
        """Writes how the round ended; whether another one is still to come."""
        more = self.listing.get("outcome") == Outcome.RUNNING
        self.state |= {
            "keys": len(self.all_keys),
            "at": 0,
            "handled": int(self.list_state.get("listed") or 0),
        }
        self.changes = []
        unlisted = not self.list_state.get("listed") and not more
        bad = self.state["counts"].get("failed") or unlisted
        outcome = Outcome.PARTIAL if bad else Outcome.COMPLETE
        self._keep(outcome, "what the principal did could not be listed to its end; " * unlisted)
        if not more:
            self.target_context.log_action(NAME, FAILED if bad else DONE, self.detail)
        return more

    @property
    def detail(self) -> str:
        counts: dict[str, int] = self.state["counts"]
        text = (
            f"{counts.get('reverted', 0)} reverted, {counts.get('for_people', 0)} left for people"
        )
        if counts.get(ALREADY.lower()):
            text += f", {counts[ALREADY.lower()]} were undone already"
        if counts.get(INFO.lower()):
            text += f", {counts[INFO.lower()]} worth knowing"
        return text

    def _keep(self, outcome: Outcome, said: str = "") -> None:
        people, objects = (
            int(self.state["counts"].get("for_people", 0)),
            self.kept.get("objects") or [],
        )
        task = ""
        if people and outcome is not Outcome.RUNNING:
            task = (
                f"{people} of the principal's actions are not undone: each with its command in"
                f" {objects[0]['key']}"
            )
            task += f" and {len(objects) - 1} more objects beside it" * (len(objects) > 1)
        entry: Json = {
            "outcome": outcome,
            "detail": said + self.detail,
            "objects": objects,
            "task": task,
            "state": self.state,
            "request_ids": [],
            "tries": 0,
            "since": self.kept.get("since") or now(),
            "at": now(),
        }
        self.kept = entry
        self.target_context.record_evidence(NAME, entry)
        self.target_context.stored["evidence"][NAME] = entry


def _first(change: Change) -> bool:
    kind: Any = reversal_table.revert_for(change)
    return bool(kind) and kind.kind in reversal_table.FIRST

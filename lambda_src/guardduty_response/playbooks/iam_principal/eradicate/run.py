"""The order of eradication: each of the collector's lists in turn, newest change first, in batches
that fit a call.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, cast

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.containment.target_context import ALREADY, DONE, FAILED, TargetContext
from guardduty_response.evidence import store as evidence_store
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.playbooks.iam_principal import foreseen
from guardduty_response.playbooks.iam_principal.attribution import Attribution
from guardduty_response.playbooks.iam_principal.eradicate import (
    manual_commands,
    reversal_table,
    rotate,
)
from guardduty_response.playbooks.iam_principal.eradicate.eradication_context import (
    EradicationContext,
)
from guardduty_response.playbooks.iam_principal.eradicate.records import (
    EradicationState,
    ReportRow,
)
from guardduty_response.playbooks.iam_principal.eradicate.revert import (
    INFO,
    Result,
    RetryLater,
    Revert,
    left_to_people,
)
from guardduty_response.playbooks.iam_principal.reversals.changes import Change, parse, sentence
from guardduty_response.playbooks.iam_principal.reversals.reversal import MANUAL

if TYPE_CHECKING:
    from guardduty_response.incident.model import EvidenceEntry, StoredObject
    from guardduty_response.playbooks.iam_principal.records import HandedOut

NAME = "remediation"
BATCH_SIZE = 50  # changes until the state is written
BATCHES, MOST_SECONDS = 4, 90  # of one call
TRIES, WAIT_SECONDS = 5, 15  # of a change that is tried again
MOST_MANUAL, MOST_INFO = 60, 20  # sentences in the record; the evidence objects hold all


def eradicate(context: Context, target: Target) -> StepResult:
    """Undo what the principal did, as far as one call comes.

    Raises botocore's error when nothing at all could go on (throttled, an outage).
    """
    principal = TargetContext(context, target)
    principal.stored = principal.read_stored()
    rotation_text, rotation_waits = rotate.run(principal)
    listed = _listed(principal)
    if listed is None:
        return StepResult(
            not rotation_waits,
            WAIT_SECONDS if rotation_waits else 0,
            detail=rotation_text or "nothing was listed, so nothing is undone",
        )
    eradication_pass = EradicationPass(principal, listed)
    until = time.monotonic() + MOST_SECONDS
    for _ in range(BATCHES):
        finished = not eradication_pass.unfinished or eradication_pass.waits
        if finished or time.monotonic() >= until:
            break
        eradication_pass.run_batch(until)
    if eradication_pass.unfinished or rotation_waits:
        waits = rotation_waits or eradication_pass.waits
        return StepResult(
            done=False,
            wait_seconds=WAIT_SECONDS if waits else 1,
            detail=eradication_pass.detail,
        )
    next_step = "collect" if eradication_pass.end() else ""
    sentences = filter(None, (rotation_text, eradication_pass.detail))
    return StepResult(detail="; ".join(sentences), next_step=next_step)


def _listed(principal: TargetContext) -> EvidenceEntry | None:
    """Return the collector's list as it stands; None when there is none, or none is wanted."""
    entry = (principal.stored.get("evidence") or {}).get("actions")
    if not entry or entry.get("outcome") == Outcome.SKIPPED:
        return None
    return cast("EvidenceEntry", dict(entry))


class EradicationPass:
    """The changes of the lists that were completed and not handled yet."""

    def __init__(self, principal: TargetContext, listed: EvidenceEntry) -> None:
        self.target_context = principal
        self.entry = cast("EvidenceEntry", dict(principal.stored["evidence"].get(NAME) or {}))
        self.state = _state_of(self.entry)
        self.listed = listed
        self.list_state = dict(listed.get("state") or {})
        self.all_keys = [str(key) for key in self.list_state.get("changes") or []]
        handled = self.state["keys"]
        self.changes = self._read(self.all_keys[handled:])
        self.attribution = Attribution(
            principal,
            cast("list[HandedOut]", self.list_state.get("handed_out") or []),
            [*self._read(self.all_keys[:handled]), *self.changes],
        )
        self.eradication = EradicationContext(principal, self.attribution.made)
        self.deferred = False
        if self.changes and not self.state["at"]:
            self._foresee()

    def _foresee(self) -> None:
        """Says what this pass will undo by itself; asks people where that is too much."""
        categories = self.target_context.options["remediate"]
        known = foreseen.foresee(self.changes, self.attribution, categories)
        self.state["asked"] = foreseen.reason_to_ask(self.target_context, known.automatic)
        for name, text in known.sentences().items():
            self.target_context.log_action(name, INFO, text)
        if asked := self.state["asked"]:
            context, target = self.target_context.context, self.target_context.target
            context.record.event(context.incident_id, "task", f"not undone: {asked}", target.id)

    def _read(self, keys: list[str]) -> list[Change]:
        """Read the changes: credentials and grants before everything else, newest first (what was
        done last is undone first).
        """
        changes: dict[str, Change] = {}
        for key in keys:
            for raw in evidence_store.get_event(key):
                if change := parse(raw):
                    changes[change.id] = change
        newest_first = sorted(
            changes.values(), key=lambda change: (change.at, change.id), reverse=True
        )
        return sorted(newest_first, key=lambda change: not _is_urgent(change))

    @property
    def unfinished(self) -> bool:
        return self.state["at"] < len(self.changes) or bool(self.state["again"])

    @property
    def waits(self) -> bool:
        """Whether only changes remain that this call tried and has to try again later."""
        return self.deferred and self.state["at"] >= len(self.changes)

    # -- one batch ---------------------------------------------------------------------------------

    def run_batch(self, until: float) -> None:
        """Deal with some changes, write their evidence object, then the state.

        Raises the error that stood against every change of the batch.
        """
        tries = {item[0]: item[1] for item in self.state["again"]}
        start = self.state["at"]
        retrying = start >= len(self.changes)
        if retrying:
            positions = sorted(tries)
        else:
            positions = list(range(start, min(start + BATCH_SIZE, len(self.changes))))
        done: list[tuple[Change, Result]] = []
        error: Exception | None = None
        for position in positions:
            if time.monotonic() >= until:
                break
            change = self.changes[position]
            try:
                done.append((change, self._handle(change)))
                tries.pop(position, None)
            except RetryLater as retry:
                self.deferred = True
                tries[position] = tries.get(position, 0) + 1
                if tries[position] > TRIES:
                    done.append((change, self._give_up(change, str(retry))))
                    del tries[position]
                elif retry.cause and is_transient(retry.cause):
                    error = retry.cause
            if not retrying:
                self.state["at"] = position + 1
        self.state["again"] = [[position, count] for position, count in sorted(tries.items())]
        self._report(done)
        self._store(Outcome.RUNNING)
        if error and not done:
            raise error

    def _handle(self, change: Change) -> Result:
        kind = reversal_table.reversal_for(change)
        if kind is None:
            if reversal_table.noteworthy(change):
                return Result(INFO, "nothing to undo")
            return _no_reversal(change)
        revert = Revert(self.eradication, change, kind)
        if kind.category not in self.target_context.options["remediate"]:
            reason = f"not undone ({kind.category} is not in remediate)"
            return left_to_people(MANUAL, reason, revert.reversal.manual_commands())
        if reason := self.attribution.reason_to_leave(change):
            return left_to_people(MANUAL, reason, revert.reversal.manual_commands())
        if asked := self.state["asked"]:
            return left_to_people(MANUAL, f"not undone: {asked}", revert.reversal.manual_commands())
        return revert.run()

    def _give_up(self, change: Change, text: str) -> Result:
        kind = reversal_table.reversal_for(change)
        if kind is None:
            return left_to_people(FAILED, text, manual_commands.commands_for(change))
        return Revert(self.eradication, change, kind).give_up(text)

    def _report(self, done: list[tuple[Change, Result]]) -> None:
        """Write the batch's evidence object, and what people are told of it."""
        if not done:
            return
        counts: Counter[str] = Counter(self.state["counts"])
        rows: list[ReportRow] = []
        for change, result in done:
            sentences = _sentences(change, result)
            counts["reverted" if result.reverted else result.status.lower()] += 1
            if result.status == INFO:
                self.state["noted"] += sentences
            else:
                self.state["left"] += sentences
                counts["for_people"] += len(sentences)
            rows.append(_row(change, result, sentences))
        self.state["files"] += 1
        name = f"{self.target_context.id}/remediation/{self.state['files']:03}.json"
        stored = self.target_context.context.put_evidence(name, json.dumps(rows, indent=1).encode())
        item = cast("StoredObject", {**stored, "what": f"what became of {len(rows)} actions"})
        self.entry["objects"] = [*(self.entry.get("objects") or []), item]
        self.state["counts"] = dict(counts)
        self.state["left"] = self.state["left"][:MOST_MANUAL]
        self.state["noted"] = self.state["noted"][:MOST_INFO]

    # -- the end of a pass -------------------------------------------------------------------------

    def end(self) -> bool:
        """Write how the pass ended; return whether another list is still to come."""
        more = self.listed.get("outcome") == Outcome.RUNNING
        self.state["keys"] = len(self.all_keys)
        self.state["at"] = 0
        self.state["handled"] = int(self.list_state.get("listed") or 0)
        self.changes = []
        unlisted = not self.list_state.get("listed") and not more
        failed = bool(self.state["counts"].get("failed")) or unlisted
        prefix = "what the principal did could not be listed to its end; " if unlisted else ""
        self._store(Outcome.PARTIAL if failed else Outcome.COMPLETE, prefix)
        if not more:
            self.target_context.log_action(NAME, FAILED if failed else DONE, self.detail)
        return more

    @property
    def detail(self) -> str:
        counts = self.state["counts"]
        text = (
            f"{counts.get('reverted', 0)} reverted, {counts.get('for_people', 0)} left for people"
        )
        if counts.get(ALREADY.lower()):
            text += f", {counts[ALREADY.lower()]} were undone already"
        if counts.get(INFO.lower()):
            text += f", {counts[INFO.lower()]} worth knowing"
        return text

    def _task(self, objects: list[StoredObject]) -> str:
        """Say what a person has to do, or return empty."""
        for_people = self.state["counts"].get("for_people", 0)
        if not for_people:
            return ""
        text = (
            f"{for_people} of the principal's actions are not undone: each with its command in"
            f" {objects[0]['key']}"
        )
        if len(objects) > 1:
            text += f" and {len(objects) - 1} more objects beside it"
        return text

    def _store(self, outcome: Outcome, prefix: str = "") -> None:
        objects = self.entry.get("objects") or []
        task = "" if outcome is Outcome.RUNNING else self._task(objects)
        item = EvidenceItem(
            outcome,
            prefix + self.detail,
            0,
            [object.copy() for object in objects],
            task,
            self.state,
        )
        self.entry = item.store(self.target_context, NAME, self.entry)


def _state_of(entry: EvidenceEntry) -> EradicationState:
    state: EradicationState = {
        "handled": 0,
        "keys": 0,
        "asked": "",
        "at": 0,
        "again": [],
        "left": [],
        "noted": [],
        "counts": {},
        "files": 0,
    }
    return cast("EradicationState", {**state, **(entry.get("state") or {})})


def _is_urgent(change: Change) -> bool:
    kind = reversal_table.reversal_for(change)
    return kind is not None and kind.category in reversal_table.FIRST


def _no_reversal(change: Change) -> Result:
    """Leaves to people what nothing reverts: where no command names the resource, the text does."""
    commands, text = manual_commands.commands_for(change), "no automatic reversal exists"
    if commands == [change.lookup_command] and change.named:
        text += f" (its request: {change.named})"
    return left_to_people(MANUAL, text, commands)


def _sentences(change: Change, result: Result) -> list[str]:
    """Return what people are told of a change."""
    if result.status == INFO:
        return [sentence(change, result.text, "")]
    reasons = list(result.remaining)
    if result.status in (MANUAL, FAILED):
        reasons.insert(0, (result.text, result.manual_command))
    return [sentence(change, reason, manual_command) for reason, manual_command in reasons]


def _row(change: Change, result: Result, sentences: list[str]) -> ReportRow:
    return {
        "id": change.id,
        "at": change.at,
        "name": change.name,
        "region": change.region,
        "who": change.actor,
        "status": result.status,
        "text": result.text,
        "by_hand": result.manual_command,
        "left": sentences,
    }

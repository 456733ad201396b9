"""Checks a batch of contained resources, for the monitor function, with a session that only reads.

A check that finds nothing new writes only when the next one is due. What is lost, gone or mended
is left to the incident machine, which verifies it again, records it, tells people and contains.
What cannot be read is told by the watchdog, which has the topics.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypedDict

from guardduty_response.aws import clients
from guardduty_response.aws.errors import describes_transient, is_transient
from guardduty_response.aws.log import log
from guardduty_response.containment.contract import Check
from guardduty_response.errors import ResponseError, TargetGone
from guardduty_response.incident import targets
from guardduty_response.incident.containment import Containment
from guardduty_response.incident.moments import from_now, now, seconds_left
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import drift, due, executions, upkeep
from guardduty_response.monitoring.batch import CHANGE, SCHEDULE, Batch, ToCheck
from guardduty_response.monitoring.reading import Checked, Reader

if TYPE_CHECKING:
    from guardduty_response.incident.model import (
        ChangeEvent,
        DueRecord,
        IncidentRecord,
    )

# At a time, so that an account's API limits are left to those who work there.
SIDE_BY_SIDE = 2
# A check that is not begun so long before the function's end is left due.
RESERVE_SECONDS = 45.0
# So long before that end the batch waits for no check any more, and so long it gives claims back.
END_SECONDS, GIVE_BACK_SECONDS = 10.0, 5.0
# Until what somebody works on is checked.
PUT_OFF_SECONDS = 120
# CloudTrail has delivered an event by then; who did it is looked for as often as it is checked.
ACTOR_SECONDS = 1200
_AT_WORK = frozenset({Status.OPEN, Status.CONTAINING})
# A fault that may pass is told when it lasts so long. It is read again soon for so long, and so is
# what a change named.
TELL_SECONDS, SOON_SECONDS = 900, 3600
# What is removed when a containment could be read.
_READ = ("unread", "why_unread", "seen", "read_again")
# What is removed when it holds, or the machine answers the loss.
_JUDGED = (*_READ, "lost", "why_lost")
HELD, LOST, UNREAD, NOT_CHECKED = "held", "lost", "unread", "not checked"


class Counts(TypedDict):
    """Declares what a batch came to; ``unread``: could not be read."""

    checked: int
    held: int
    lost: int
    unread: int


class BatchChecks:
    """Checks the containments of a batch. ``seconds_left``: until the function is ended."""

    def __init__(
        self, record: IncidentRepository, batch: Batch, seconds_left: Callable[[], float]
    ) -> None:
        self.record, self.batch, self.seconds_left = record, batch, seconds_left
        self.reader = Reader(record, batch["batch"])
        self._first = due.at_once()  # what a change named and is left is checked together

    def run(self) -> Counts:
        """Checks all of them, a few side by side, and returns what they came to.

        It ends before the function is ended: a call that hangs must not keep the slot, nor the
        claims of what was not begun.
        """
        pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="check")
        checks = [(named, pool.submit(self._check, named)) for named in self.batch["containments"]]
        wait([check for _, check in checks], max(0.0, self.seconds_left() - END_SECONDS))
        pool.shutdown(wait=False, cancel_futures=True)
        ended = [check for _, check in checks if check.done() and not check.cancelled()]
        stopped = [
            clients.POOL.submit(self._stop, named, not check.cancelled())
            for named, check in checks
            if check not in ended
        ]
        wait(stopped, GIVE_BACK_SECONDS)
        outcomes = Counter(check.result() for check in ended)
        outcomes.update(done.result() for done in stopped if done.done())
        return {
            "checked": outcomes[HELD] + outcomes[LOST] + outcomes[UNREAD],
            "held": outcomes[HELD],
            "lost": outcomes[LOST],
            "unread": outcomes[UNREAD],
        }

    def _check(self, wanted: ToCheck) -> str:
        found = self._claimed(wanted)
        if found is None:
            return NOT_CHECKED
        if min(self.seconds_left(), seconds_left(found["claimed_until"], 0)) < RESERVE_SECONDS:
            return self._leave(found)
        try:
            return self._check_claimed(found)
        except Exception as error:  # one that cannot be checked keeps no other back
            why = f"{type(error).__name__}: {error}"[:500]
            log("not checked", arn=found["arn"], detail=why)
            return self._note_unread(found, self._meta_of(found), why, is_transient(error))

    def _stop(self, wanted: ToCheck, begun: bool) -> str:
        """Gives back the claim of what was not checked in time."""
        found = due.get(self.record.table, wanted["arn"], wanted["generation"])
        if found is None or found.get("claim") != self.batch["batch"]:
            return NOT_CHECKED
        if not begun:
            return self._leave(found)
        why = "reading took longer than the function may run"
        log("not checked", arn=found["arn"], detail=why)
        return self._note_unread(
            found,
            self._meta_of(found),
            why,
            passing=True,
        )

    def _claimed(self, wanted: ToCheck) -> DueRecord | None:
        """Returns the containment's DUE item, if this batch is to check it.

        Somebody else has checked it where the claim is not the batch's: this is a second delivery,
        or a late one. A person who invokes the function by hand claims it.
        """
        arn, generation, batch = wanted["arn"], wanted["generation"], self.batch["batch"]
        found = due.get(self.record.table, arn, generation)
        if found is None or found.get("claim") == batch:
            return found
        if self.batch["why"] in (SCHEDULE, CHANGE):
            return None
        return due.claim_for_change(
            self.record.table,
            arn,
            generation,
            batch,
            self.batch["seen"],
        )

    def _seen(self, found: DueRecord) -> ChangeEvent | None:
        """Returns the change because of which a containment is checked."""
        return found.get("seen") or self.batch["seen"]

    def _known_change(self, found: DueRecord) -> ChangeEvent | None:
        """Returns that change, or the one because of which it was checked a moment ago."""
        again = found.get("read_again")
        return self._seen(found) or (again["change"] if again else None)

    def _leave(self, found: DueRecord) -> str:
        """Leaves a containment to the next batch."""
        table = self.record.table
        if seen := self._seen(found):
            due.put_first(
                table,
                found["arn"],
                found["generation"],
                seen,
                self._first,
            )
        else:
            due.settle(table, found, now())
        return NOT_CHECKED

    def _check_claimed(self, found: DueRecord) -> str:
        containment = self.record.containments.read(found["arn"], found["generation"])
        metas = upkeep.linked(self.record, containment)
        meta = upkeep.answering(metas)
        if meta is None and upkeep.answering(metas, _AT_WORK):
            return self._put_off(found)
        meta = meta or upkeep.waiting(metas)
        if meta is None:
            upkeep.forget(self.record, containment)
            return NOT_CHECKED
        checked = Checked(found, containment, meta)
        if self._is_worked_on(checked):
            return self._put_off(found)
        superseded = self.record.containments.generation(found["arn"]) != found["generation"]
        if superseded or not self.reader.can_check(checked):
            return self._have_verified(checked)
        return self._check_resource(checked)

    def _check_resource(self, checked: Checked) -> str:
        state = checked.containment.state
        try:
            step, checks, difference = self.reader.read(checked)
        except TargetGone as gone:
            log("gone", arn=state["arn"], detail=str(gone))
            return self._have_verified(checked)
        if difference.is_minor and checked.waits and not difference.not_read:
            return self._note_held(checked)  # approving does it again
        lost = difference.lost and not (difference.is_minor and difference.not_read)
        if lost and checked.waits:
            return self._note_lost(checked, difference)
        if lost:
            return self._answer_loss(checked, difference)
        if difference.not_read:
            passing = all(describes_transient(check.detail) for check in difference.not_read)
            return self._note_unread(
                checked.found,
                checked.meta,
                difference.detail,
                passing,
            )
        if step.status != state["status"] or _is_mended(checked.containment, checks):
            self._start(checked)
        return self._note_held(checked)

    def _is_worked_on(self, checked: Checked) -> bool:
        """Tells whether somebody changes the resource at this moment.

        An execution of an incident of the containment that only waits for evidence does not.
        """
        lease = self.record.leases.present(checked.found["arn"])
        if lease is None:
            return False
        linked = {link["incident_id"] for link in checked.containment.open_links}
        waits = ":execution:" in lease["owner"] and lease["incident_id"] in linked
        return not waits

    # -- what a check came to ----------------------------------------------------------------------

    def _note_held(self, checked: Checked) -> str:
        found, meta = checked.found, checked.meta
        if meta.get("unverified"):
            incident_id = meta["incident_id"]
            detail = "containment could be read again"
            self.record.event(
                incident_id,
                "verified again",
                detail,
                target=found["arn"],
            )
            self.record.note(incident_id, unverified="")
        at = now()
        self._settle_held(checked, _JUDGED, held_at=at, checked_at=at)
        return HELD

    def _start(self, checked: Checked) -> bool:
        """Starts the incident machine; returns whether, as ``executions.start`` does.

        An incident that waits for an approval is left to that: the machine would do nothing.
        """
        if checked.waits:
            return True
        seen = self._known_change(checked.found)
        why = CHANGE if seen else self.batch["why"]
        return executions.start(
            checked.meta["incident_id"],
            why,
            _slot(),
            seen,
        )

    def _answer_loss(self, checked: Checked, difference: drift.Difference) -> str:
        """Starts the incident machine, once in a slot for each incident."""
        incident_id, started = checked.meta["incident_id"], self._start(checked)
        fields = {"checked_at": now()}
        if started and _is_known(checked.containment, difference):
            self._settle(checked, remove=_JUDGED, **fields)
            return LOST
        if not started:
            detail = f"{difference.detail}: answered in {executions.SLOT_SECONDS} s at the latest"
            self.record.event(incident_id, "lost again", detail, target=checked.found["arn"])
        # What is lost while that execution works, or after it, is seen then.
        self._settle(checked, due.next_slot(), remove=_JUDGED, **fields)
        return LOST

    def _note_lost(self, checked: Checked, difference: drift.Difference) -> str:
        """Notes what is lost while an approval is awaited; the watchdog tells people, once."""
        found, at = checked.found, now()
        if found.get("lost"):
            self._settle(checked, remove=_READ, checked_at=at)
            return LOST
        why = f"{difference.detail}."
        if seen := self._known_change(found):
            why += f" {seen['who']} called {seen['what']} at {seen['when']}."
        self._settle(
            checked,
            at,
            remove=_READ,
            checked_at=at,
            lost=at,
            why_lost=why[:1000],
        )
        return LOST

    def _have_verified(self, checked: Checked) -> str:
        """Has the incident machine verify what this function cannot judge."""
        if self._start(checked):
            self._settle_held(checked, ("seen", "read_again"))
        else:
            self._settle(checked, due.next_slot(), remove=("seen",))
        return NOT_CHECKED

    def _note_unread(
        self, found: DueRecord, meta: IncidentRecord | None, why: str, passing: bool = False
    ) -> str:
        """Notes that a containment could not be read; the watchdog tells people, once.

        ``passing``: because of a fault that may pass. It is told when it has lasted TELL_SECONDS.
        The change that was to be looked at stays until it was.
        """
        since, seen = found.get("unread") or now(), self._seen(found)
        fields = {"unread": since, "checked_at": now()}
        due_at = from_now(due.interval_of(found) * 60)
        if passing and seconds_left(since, TELL_SECONDS):
            due_at = from_now(due.RETRY_SECONDS)
        elif meta and not meta.get("unverified"):
            fields |= {"why_unread": why, "incident_id": meta["incident_id"]}
            due_at = now()
        elif (passing or self._known_change(found)) and seconds_left(since, SOON_SECONDS):
            due_at = from_now(due.RETRY_SECONDS)
        due.settle(
            self.record.table,
            found,
            due_at,
            (),
            **fields,
            **_kept(seen),
        )
        return UNREAD

    def _put_off(self, found: DueRecord) -> str:
        """Checks again when whoever works on the resource has ended, the change with it."""
        due_at = from_now(PUT_OFF_SECONDS)
        due.settle(
            self.record.table,
            found,
            due_at,
            (),
            **_kept(self._seen(found)),
        )
        return NOT_CHECKED

    def _settle_held(self, checked: Checked, remove: tuple[str, ...], **fields: str) -> None:
        """Says when it is due again where nothing is seen to be lost: once more soon if a change
        was looked at.
        """
        due_at, again = due.after_check(checked.found, self._seen(checked.found))
        kept = {"read_again": again} if again else {}
        self._settle(checked, due_at, remove, **fields, **kept)

    def _settle(
        self, checked: Checked, due_at: str = "", remove: tuple[str, ...] = (), **fields: object
    ) -> None:
        found = checked.found
        due_at = due_at or from_now(due.interval_of(found) * 60)
        fields["incident_id"] = checked.meta["incident_id"]
        due.settle(self.record.table, found, due_at, remove, **fields)

    def _meta_of(self, found: DueRecord) -> IncidentRecord | None:
        try:
            return self.record.meta(found["incident_id"])
        except ResponseError:  # somebody has deleted that record
            return None


def _kept(seen: ChangeEvent | None) -> dict[str, ChangeEvent]:
    """Returns the field that keeps a change until what it named was read."""
    return {"seen": seen} if seen else {}


def _slot() -> str:
    return executions.slot_of(time.time())


def _is_known(containment: Containment, difference: drift.Difference) -> bool:
    """Tells whether a loss was recorded already, and who did it, or that CloudTrail would have told
    by now: nothing is news.
    """
    state = containment.state
    loss = state.get("breach") or {}
    names = {check.name for check in difference.lost}
    is_lost = state["status"] == Status.CONTAINMENT_LOST and not loss.get("ended")
    if not is_lost or not names <= set(loss["checks"]):
        return False
    return bool(loss.get("by")) or seconds_left(loss["at"], ACTOR_SECONDS) == 0


def _is_mended(containment: Containment, checks: list[Check]) -> bool:
    """Tells whether less fails than at the verdict, or a loss has ended."""
    loss = containment.state.get("breach") or {}
    if loss and not loss.get("ended"):
        return True
    weak = drift.weak_checks(targets.view({}, containment))
    return weak != {check.name for check in checks if not check.ok and not check.minor}

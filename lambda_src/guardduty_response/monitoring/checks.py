"""Checks a batch of contained resources, for the monitor function, with a session that only reads.

A check that finds nothing new writes only when the next one is due. What is lost, gone or mended
is left to the incident machine, which verifies it again, records it, tells people and contains.
What cannot be read is told by the watchdog, which has the topics.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from guardduty_response.aws.log import log, metric
from guardduty_response.containment.contract import (
    Check,
    Context,
    StepResult,
    Target,
    load,
    load_monitor,
)
from guardduty_response.decision import configuration, finding
from guardduty_response.errors import ResponseError, RoleUnavailable, TargetGone
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident import targets
from guardduty_response.incident.containment import Containment
from guardduty_response.incident.moments import now, seconds_left
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import IN_PROGRESS, Status
from guardduty_response.incident.target_repository import Place
from guardduty_response.monitoring import drift, due, executions, upkeep
from guardduty_response.monitoring.batch import CHANGE, SCHEDULE, Batch, ToCheck
from guardduty_response.monitoring.sessions import BatchSessions

if TYPE_CHECKING:
    from guardduty_response.incident.model import DueRecord, IncidentRecord, TargetRecord

# At a time, so that an account's API limits are left to those who work there.
SIDE_BY_SIDE = 2
# A check that is not begun so long before the function's end is left due.
RESERVE_SECONDS = 45.0
# Until what somebody works on is checked.
PUT_OFF_SECONDS = 120
REREAD_SECONDS = 2.0  # AWS is eventually consistent

HELD, LOST, UNREAD, NOT_CHECKED = "held", "lost", "unread", "not checked"


class Counts(TypedDict):
    """Declares what a batch came to; ``unread``: could not be read."""

    checked: int
    held: int
    lost: int
    unread: int


class _RecordOnce(IncidentRepository):
    """The record, in which a containment that was read a moment ago is not read again."""

    def __init__(self, record: IncidentRepository, containment: Containment) -> None:
        super().__init__(record.table.name, record.table.client)
        state = containment.state
        self._place: Place = state["arn"], state["generation"]
        self._containment = containment

    def target(
        self, incident_id: str, kind: str, id: str, place: Place | None = None
    ) -> TargetRecord:
        if place == self._place:
            return targets.view({}, self._containment)
        return super().target(incident_id, kind, id, place)


@dataclass(frozen=True)
class _Checked:
    """Holds a containment that is being checked, and the incident that answers for it."""

    found: DueRecord
    containment: Containment
    meta: IncidentRecord

    @property
    def place(self) -> Place:
        return self.found["arn"], self.found["generation"]


class BatchChecks:
    """Checks the containments of a batch. ``seconds_left``: until the function is ended."""

    def __init__(
        self, record: IncidentRepository, batch: Batch, seconds_left: Callable[[], float]
    ) -> None:
        self.record, self.batch, self.seconds_left = record, batch, seconds_left
        self.config = configuration.load()
        self.playbook = os.environ["GDR_PLAYBOOK"]
        self.monitor = load_monitor(self.playbook)
        name = f"{batch['batch']}-monitor"
        read = self.monitor.READ if self.monitor else ()
        self.sessions = BatchSessions(self.config.partition, name, read)

    def run(self) -> Counts:
        """Checks all of them, a few side by side, and returns what they came to."""
        with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="check") as pool:
            outcomes = Counter(pool.map(self._check, self.batch["containments"]))
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
            return self._note_unread(found, self._meta_of(found), why)

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
        return due.claim_for_change(self.record.table, arn, generation, batch)

    def _leave(self, found: DueRecord) -> str:
        """Leaves a containment to the next batch."""
        table, seen = self.record.table, self.batch["seen"]
        if seen:
            due.put_first(table, found["arn"], found["generation"], seen, due.at_once())
        else:
            due.settle(table, found, found["due_at"])
        return NOT_CHECKED

    def _check_claimed(self, found: DueRecord) -> str:
        containment = self.record.containments.read(found["arn"], found["generation"])
        meta = upkeep.answering(self.record, containment)
        if meta is None and upkeep.answering(self.record, containment, IN_PROGRESS):
            return self._put_off(found)
        if meta is None:
            upkeep.forget(self.record, containment)
            return NOT_CHECKED
        checked = _Checked(found, containment, meta)
        if self._is_worked_on(checked):
            return self._put_off(found)
        superseded = self.record.containments.generation(found["arn"]) != found["generation"]
        if superseded or not self._can_check(checked):
            return self._have_verified(checked)
        return self._check_resource(checked)

    def _check_resource(self, checked: _Checked) -> str:
        state, meta = checked.containment.state, checked.meta
        try:
            step, checks, difference = self._read(checked)
        except TargetGone as gone:
            log("gone", arn=state["arn"], detail=str(gone))
            return self._have_verified(checked)
        if difference.lost:
            return self._answer_loss(checked, difference)
        if difference.not_read:
            return self._note_unread(checked.found, meta, difference.detail)
        if step.status != state["status"] or _is_mended(checked.containment, checks):
            executions.start(meta["incident_id"], self.batch["why"], _slot(), self.batch["seen"])
        return self._note_held(checked)

    # -- reading -----------------------------------------------------------------------------------

    def _is_worked_on(self, checked: _Checked) -> bool:
        """Tells whether somebody changes the resource at this moment.

        An execution of an incident of the containment that only waits for evidence does not.
        """
        lease = self.record.leases.present(checked.found["arn"])
        if lease is None:
            return False
        linked = {link["incident_id"] for link in checked.containment.open_links}
        waits = ":execution:" in lease["owner"] and lease["incident_id"] in linked
        return not waits

    def _can_check(self, checked: _Checked) -> bool:
        """Tells whether this function can read the resource.

        It cannot where a member account lacks its role yet, nor what is of a kind that it cannot
        read: the incident machine verifies that, as releases before 0.2 did.
        """
        state = checked.containment.state
        if self.monitor and state["kind"] not in self.monitor.KINDS:
            return False
        try:
            self.sessions.check_role(state["account_id"], state["region"])
        except RoleUnavailable as error:
            metric("MonitorRoleMissing", 1, account=state["account_id"], detail=str(error)[:300])
            return False
        return True

    def _read(self, checked: _Checked) -> tuple[StepResult, list[Check], drift.Difference]:
        """Verifies the containment, and once more before it is called lost."""
        context = self._context(checked)
        target = self._target(context, checked)
        verify = self.monitor.verify if self.monitor else load(self.playbook).verify
        stored = targets.view({}, checked.containment)
        for attempt in range(1, drift.READS + 1):
            step, checks = verify(replace(context, attempt=attempt), target)
            step, checks = drift.keep_missing(stored, step, checks)
            difference = drift.compare(stored, checks)
            if step.status is Status.GONE:
                return step, checks, drift.Difference([], [])
            if not difference or attempt == drift.READS:
                break
            time.sleep(REREAD_SECONDS)
        return step, checks, difference

    def _context(self, checked: _Checked) -> Context:
        incident_id = checked.meta["incident_id"]
        event = evidence_store.get_event(checked.meta["finding_key"])
        return Context(
            config=self.config,
            options=self.config.playbooks[self.playbook],
            finding=finding.parse(event),
            incident_id=incident_id,
            execution=f"monitor {self.batch['batch']}",
            record=_RecordOnce(self.record, checked.containment),
            assume=self.sessions.assume,
            put_evidence=partial(evidence_store.put, incident_id),
        )

    def _target(self, context: Context, checked: _Checked) -> Target:
        """Returns the target as it is stored; a playbook without a monitor plans it anew.

        Raises TargetGone where a plan finds it no more.
        """
        state = checked.containment.state
        opened_by = state.get("opened_by") or ""
        if self.monitor:
            return Target(
                state["kind"],
                state["id"],
                state["arn"],
                state["account_id"],
                state["region"],
                scope={"unique_id": state.get("immutable_id") or ""},
                verify_only=True,
                generation=state["generation"],
                opened_by=opened_by,
            )
        for plan in load(self.playbook).plan(context):
            if plan.target.arn == state["arn"]:
                return plan.target._replace(
                    verify_only=True,
                    principals=plan.principals,
                    generation=state["generation"],
                    opened_by=opened_by,
                )
        raise TargetGone(f"the finding's plan no longer names {state['arn']}")

    # -- what a check came to ----------------------------------------------------------------------

    def _note_held(self, checked: _Checked) -> str:
        found, meta = checked.found, checked.meta
        if meta.get("unverified"):
            incident_id = meta["incident_id"]
            detail = "containment could be read again"
            self.record.event(incident_id, "verified again", detail, target=found["arn"])
            self.record.note(incident_id, unverified="")
        at = now()
        self._settle(checked, remove=("unread", "why_unread", "seen"), held_at=at, checked_at=at)
        return HELD

    def _answer_loss(self, checked: _Checked, difference: drift.Difference) -> str:
        """Starts the incident machine, once in a slot for each incident."""
        incident_id, why = checked.meta["incident_id"], self.batch["why"]
        started = executions.start(incident_id, why, _slot(), self.batch["seen"])
        fields = {"checked_at": now()}
        if started and _is_known(checked.containment, difference):
            self._settle(checked, remove=("seen",), **fields)
            return LOST
        if not started:
            detail = f"{difference.detail}: answered in {executions.SLOT_SECONDS} s at the latest"
            self.record.event(incident_id, "lost again", detail, target=checked.found["arn"])
        # What is lost while that execution works, or after it, is seen then.
        self._settle(checked, due.next_slot(), remove=("seen",), **fields)
        return LOST

    def _have_verified(self, checked: _Checked) -> str:
        """Has the incident machine verify what this function cannot judge."""
        incident_id, why = checked.meta["incident_id"], self.batch["why"]
        started = executions.start(incident_id, why, _slot(), self.batch["seen"])
        self._settle(checked, "" if started else due.next_slot(), remove=("seen",))
        return NOT_CHECKED

    def _note_unread(self, found: DueRecord, meta: IncidentRecord | None, why: str) -> str:
        """Notes that a containment could not be read; the watchdog tells people, once."""
        fields = {"unread": found.get("unread") or now(), "checked_at": now()}
        due_at = due.from_now(due.interval_of(found) * 60)
        if meta and not meta.get("unverified"):
            fields |= {"why_unread": why, "incident_id": meta["incident_id"]}
            due_at = now()
        due.settle(self.record.table, found, due_at, remove=("seen",), **fields)
        return UNREAD

    def _put_off(self, found: DueRecord) -> str:
        """Checks again when whoever works on the resource has ended."""
        due.settle(self.record.table, found, due.from_now(PUT_OFF_SECONDS), remove=("seen",))
        return NOT_CHECKED

    def _settle(
        self, checked: _Checked, due_at: str = "", remove: tuple[str, ...] = (), **fields: str
    ) -> None:
        found = checked.found
        due_at = due_at or due.from_now(due.interval_of(found) * 60)
        fields["incident_id"] = checked.meta["incident_id"]
        due.settle(self.record.table, found, due_at, remove, **fields)

    def _meta_of(self, found: DueRecord) -> IncidentRecord | None:
        try:
            return self.record.meta(found["incident_id"])
        except ResponseError:  # somebody has deleted that record
            return None


def _slot() -> str:
    return executions.slot_of(time.time())


def _is_known(containment: Containment, difference: drift.Difference) -> bool:
    """Tells whether a loss was recorded already, and who did it: nothing is news."""
    state = containment.state
    loss = state.get("breach") or {}
    names = {check.name for check in difference.lost}
    is_lost = state["status"] == Status.CONTAINMENT_LOST and not loss.get("ended")
    return is_lost and bool(loss.get("by")) and names <= set(loss["checks"])


def _is_mended(containment: Containment, checks: list[Check]) -> bool:
    """Tells whether less fails than at the verdict, or a loss has ended."""
    loss = containment.state.get("breach") or {}
    if loss and not loss.get("ended"):
        return True
    weak = drift.weak_checks(targets.view({}, containment))
    return weak != {check.name for check in checks if not check.ok}

"""Defines what each event does to an incident's status.

The decision is docs/decisions/0006. A test compares ``docs/statuses.md`` with this table.
"""

from __future__ import annotations

from enum import StrEnum

from guardduty_response.errors import IllegalTransition


class Status(StrEnum):
    """Names what an incident, or one of its targets, has come to. The values are stored."""

    OPEN = "OPEN"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    CONTAINING = "CONTAINING"
    CONTAINED = "CONTAINED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    CONTAINMENT_LOST = "BREACHED"
    NOTIFIED = "NOTIFIED"
    DRY_RUN = "DRY_RUN"
    SKIPPED = "SKIPPED"
    GONE = "GONE"
    REJECTED = "REJECTED"
    TIMED_OUT = "TIMED_OUT"
    RESTORED = "RESTORED"
    RESTORE_PARTIAL = "RESTORE_PARTIAL"
    CLOSED = "CLOSED"


class Event(StrEnum):
    """Names what can happen to an incident."""

    ACT = "act"  # triage decided to contain
    ASK = "ask"  # a person is asked first
    REJECTED = "rejected"
    APPROVAL_TIMED_OUT = "approval_timed_out"
    NOTIFIED = "notified"
    DRY_RUN = "dry_run"
    SKIPPED = "skipped"
    GONE = "gone"
    CONTAINED = "verified_contained"
    PARTIAL = "verified_partial"
    FAILED = "failed"
    CONTAINMENT_LOST = "verified_open"  # containment that was verified before is lost
    EXECUTION_FAILED = "execution_failed"  # the state machine ended without a verdict
    RESTORED = "restored"
    RESTORE_PARTIAL = "restored_partly"
    CLOSED = "closed"


class OnFinding(StrEnum):
    """Names what a recurrence of the same finding does."""

    START = "start"  # policy is evaluated anew and the response runs
    VERIFY = "verify"  # containment is only verified
    COUNT = "attach"  # counted; an execution already works on it, or a person has decided
    WAIT = "wait"  # names somebody else than the run at work: starts when that has ended


S, E = Status, Event

IN_PROGRESS = frozenset({S.OPEN, S.AWAITING_APPROVAL, S.CONTAINING})
# Statuses that are monitored: containment is verified again until a person restores or closes.
WATCHED = frozenset({S.CONTAINED, S.PARTIAL, S.CONTAINMENT_LOST})
ESCALATE = frozenset({S.FAILED, S.PARTIAL, S.CONTAINMENT_LOST, S.TIMED_OUT, S.RESTORE_PARTIAL})

_VERDICTS = {E.CONTAINED: S.CONTAINED, E.PARTIAL: S.PARTIAL, E.FAILED: S.FAILED, E.GONE: S.GONE}
_VERIFIED_AGAIN = {**_VERDICTS, E.CONTAINMENT_LOST: S.CONTAINMENT_LOST}
_RESTORE = {E.RESTORED: S.RESTORED, E.RESTORE_PARTIAL: S.RESTORE_PARTIAL, E.CLOSED: S.CLOSED}

TRANSITIONS: dict[Status, dict[Event, Status]] = {
    S.OPEN: {
        **_VERIFIED_AGAIN,
        E.ACT: S.CONTAINING,
        E.ASK: S.AWAITING_APPROVAL,
        E.NOTIFIED: S.NOTIFIED,
        E.DRY_RUN: S.DRY_RUN,
        E.SKIPPED: S.SKIPPED,
        E.EXECUTION_FAILED: S.FAILED,
    },
    S.AWAITING_APPROVAL: {
        **_VERIFIED_AGAIN,
        E.ASK: S.AWAITING_APPROVAL,
        E.ACT: S.CONTAINING,
        E.SKIPPED: S.SKIPPED,
        E.DRY_RUN: S.DRY_RUN,
        E.REJECTED: S.REJECTED,
        E.APPROVAL_TIMED_OUT: S.TIMED_OUT,
        E.EXECUTION_FAILED: S.FAILED,
    },
    S.CONTAINING: {**_VERIFIED_AGAIN, E.ACT: S.CONTAINING, E.EXECUTION_FAILED: S.FAILED},
    S.CONTAINED: {**_VERIFIED_AGAIN, **_RESTORE},
    S.PARTIAL: {**_VERIFIED_AGAIN, **_RESTORE},
    S.CONTAINMENT_LOST: {**_VERIFIED_AGAIN, **_RESTORE, E.ACT: S.CONTAINING},
    S.FAILED: {**_VERIFIED_AGAIN, **_RESTORE},
    S.NOTIFIED: {E.CLOSED: S.CLOSED},
    S.DRY_RUN: {E.CLOSED: S.CLOSED},
    S.SKIPPED: {E.CLOSED: S.CLOSED},
    # Its credentials may have outlived it: denied, they are given back; not denied, they are open.
    S.GONE: {E.GONE: S.GONE, E.PARTIAL: S.PARTIAL, **_RESTORE},
    S.REJECTED: {E.CLOSED: S.CLOSED},
    S.TIMED_OUT: {E.CLOSED: S.CLOSED},
    S.RESTORED: {E.CLOSED: S.CLOSED},
    S.RESTORE_PARTIAL: {E.CLOSED: S.CLOSED, E.RESTORED: S.RESTORED},
    S.CLOSED: {},
}

ON_FINDING: dict[Status, OnFinding] = {
    S.OPEN: OnFinding.COUNT,
    S.AWAITING_APPROVAL: OnFinding.COUNT,
    S.CONTAINING: OnFinding.COUNT,
    S.CONTAINED: OnFinding.VERIFY,
    S.PARTIAL: OnFinding.START,
    S.FAILED: OnFinding.START,
    S.CONTAINMENT_LOST: OnFinding.START,
    S.NOTIFIED: OnFinding.START,
    S.DRY_RUN: OnFinding.START,
    S.SKIPPED: OnFinding.START,
    S.GONE: OnFinding.START,
    S.REJECTED: OnFinding.START,
    S.TIMED_OUT: OnFinding.START,
    S.RESTORED: OnFinding.START,
    S.RESTORE_PARTIAL: OnFinding.START,
    S.CLOSED: OnFinding.START,
}

# What ends an incident for good: it starts again only by activity that GuardDuty saw afterwards
# (``service.eventLastSeen``). An older event that arrives late says nothing new. What is gone can
# be made anew under its name, and GuardDuty then counts the same finding up.
ENDED = frozenset({S.REJECTED, S.TIMED_OUT, S.RESTORED, S.RESTORE_PARTIAL, S.CLOSED, S.GONE})

# An incident that was opened again from one of these statuses and then ended without acting
# (skipped, dry run, rejected …) takes this event: what was changed before still stands, and a
# restore must still find it. So does one that failed, where that status is monitored.
EARLIER_CONTAINMENT: dict[Status, Event] = {
    S.CONTAINED: E.PARTIAL,  # what the finding names now is not contained
    S.PARTIAL: E.PARTIAL,
    S.FAILED: E.FAILED,
    S.CONTAINMENT_LOST: E.CONTAINMENT_LOST,
    S.RESTORE_PARTIAL: E.PARTIAL,
}


def next_status(status: Status, event: Event) -> Status:
    """Returns the status after ``event``.

    Raises IllegalTransition with both names when the table has no such transition.
    """
    try:
        return TRANSITIONS[status][event]
    except KeyError:
        raise IllegalTransition(
            f"an incident that is {status} cannot take the event '{event}'"
        ) from None


# What an incident takes of its targets: the first of these that a target has.
_WORST_FIRST = (
    S.CONTAINMENT_LOST,
    S.FAILED,
    S.PARTIAL,
    S.RESTORE_PARTIAL,
    S.AWAITING_APPROVAL,
    S.CONTAINING,
    S.OPEN,
)
_NOT_DONE = frozenset({S.SKIPPED, S.REJECTED, S.TIMED_OUT, S.DRY_RUN})


def combine(statuses: list[Status]) -> Status:
    """Derives an incident's status from those of its targets: the worst of them.

    A target that was skipped or rejected forbids CONTAINED: the incident is PARTIAL. So is one
    with a target restored and another contained. A target that is GONE weighs nothing beside
    others. No target at all is FAILED.
    """
    found = set(statuses)
    if len(found) > 1:
        found.discard(S.GONE)
    if len(found) == 1:
        return found.pop()
    worst = next((status for status in _WORST_FIRST if status in found), None)
    if worst:
        return worst
    if not found:
        return S.FAILED
    return S.RESTORE_PARTIAL if S.RESTORED in found and not found & _NOT_DONE else S.PARTIAL

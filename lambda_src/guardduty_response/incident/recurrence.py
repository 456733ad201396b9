"""Decides what a recurrence of a finding does to an incident that exists."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from guardduty_response.decision.configuration import PAUSED
from guardduty_response.incident.outbox.history import History
from guardduty_response.incident.statuses import (
    EARLIER_CONTAINMENT,
    ENDED,
    IN_PROGRESS,
    ON_FINDING,
    OnFinding,
    Status,
)

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord
    from guardduty_response.incident.named import NamedRecord
    from guardduty_response.incident.outbox.history import OldFlags

# The same decision on a recurrence would only be noise after one of these. Guardrails have decided
# too, so any change of the configuration has it decided anew; people are told when that differs.
# After a pause it is decided anew in any case: the operator's item is no part of the configuration.
_QUIET = frozenset({Status.DRY_RUN, Status.SKIPPED})
# A token that was issued after the plan of one of these is not denied.
_TOKENS_COUNT = frozenset({Status.CONTAINING, Status.CONTAINED})
# Decisions after which the same one would only be noise, while an earlier containment stands.
_NOTHING_DONE = frozenset({"dry_run", "skip"})
# What ends an incident for good, and everybody with it whom it was about.
_ENDS_ALL = frozenset({Status.RESTORED, Status.RESTORE_PARTIAL, Status.CLOSED})


def was_contained(stored: IncidentRecord) -> bool:
    """Tells whether an earlier run changed a resource, and that still stands."""
    status = Status(stored["status"])
    if status is Status.CONTAINED:
        return True
    return status in EARLIER_CONTAINMENT and bool(stored["targets"])


def outcome_of(
    stored: IncidentRecord, meta: IncidentRecord, earlier: NamedRecord | None = None
) -> OnFinding:
    """Decides what a recurrence of the finding does to an incident.

    ``earlier``: what is known of whom it names, where that are others than the latest run's.
    """
    status = Status(stored["status"])
    outcome = ON_FINDING[status]
    others = names_another(stored, meta)
    if others and status in IN_PROGRESS and meta["mode"] != "notify":
        return OnFinding.WAIT
    if was_contained(stored) and meta["mode"] == "notify":
        # The notice machine can neither verify nor repeat what was done.
        return OnFinding.COUNT
    ended = ended_for(stored, earlier) if earlier or not others else ""
    if ended and not is_later(meta, ended):
        return OnFinding.COUNT
    known = not others or _had_run(earlier)
    if known and status is Status.NOTIFIED and _decided_alike(stored, meta):
        return OnFinding.COUNT
    same_decision = (
        stored.get("config_sha256") == meta.get("config_sha256")
        and stored.get("mode") == meta.get("mode")
        and stored.get("severity") == meta.get("severity")
    )
    left = outcome is OnFinding.VERIFY and _left_alone(stored)
    quiet = (status in _QUIET or (left and stored.get("decision") in _NOTHING_DONE)) and not others
    starts = outcome is OnFinding.START or left
    if starts and same_decision and quiet and not _was_paused(stored):
        return OnFinding.COUNT
    # What another event of the incident contained needs no answer, and this one does.
    return OnFinding.START if outcome is OnFinding.VERIFY and (others or left) else outcome


def names_another(stored: IncidentRecord, meta: IncidentRecord) -> bool:
    """Tells whether a recurrence names a principal, instance or session that the event which was
    answered did not.

    A new token of the same session counts only once containing has begun: until then, it is
    denied with the others. Records of earlier releases do not say what was named.
    """
    old, new = stored.get("named") or [], meta.get("named") or []
    if Status(stored["status"]) not in _TOKENS_COUNT:
        old, new = old[:2], new[:2]
    return any(now and now != before for before, now in zip(old, new, strict=False))


def ended_for(stored: IncidentRecord, earlier: NamedRecord | None = None) -> str:
    """Returns when the incident was ended for good for whom its latest run is about, or for whom
    ``earlier`` is about; empty: it was not.

    A run of an incident that still contains somebody can be rejected: that ends it for whom it was
    about, and for nobody else.
    """
    status = Status(stored["status"])
    if earlier is None:
        whole = ended_at(stored) if status in ENDED else ""
        return max(whole, stored.get("refused_at") or "")
    if not _had_run(earlier):
        return ""
    return max(earlier["ended_at"], ended_at(stored) if status in _ENDS_ALL else "")


def _left_alone(stored: IncidentRecord) -> bool:
    """Tells whether the latest run of an incident contained nothing: what is contained is what
    earlier events named. Records of releases before 0.2 keep "approve" when people have approved;
    they have no digest of a plan.
    """
    decided = stored.get("decision") not in (None, "", "act", "none")
    return decided and bool(stored.get("plan_digest"))


def _had_run(earlier: NamedRecord | None) -> bool:
    return earlier is not None and "ended_at" in earlier


def _was_paused(stored: IncidentRecord) -> bool:
    return any(reason.startswith(PAUSED) for reason in stored.get("reasons") or [])


def answer_of_old(stored: IncidentRecord) -> IncidentRecord:
    """Returns what a release before 0.2 said was decided, where nothing was done.

    META keeps it for ``is_answered_as_before``: what is decided anew takes its place there.
    """
    status, flags = Status(stored["status"]), cast("OldFlags", stored)
    known = status in _QUIET and flags.get("told") == status and not stored.get("run")
    return {"answer_told": answer(stored)} if known else {}


def is_answered_as_before(meta: IncidentRecord, history: History) -> bool:
    """Tells whether people know the answer to a finding that was decided anew."""
    last = history.last_status
    known = last.get("answer") if last else []
    return bool(known) and known == answer(meta)


def answer(meta: IncidentRecord) -> list[str]:
    """Returns what was decided: status, mode, severity, the reasons, and about whom, where the
    finding named others before. Empty where something was done.
    """
    if meta["status"] not in _QUIET:
        return []
    severity = f"{float(meta['severity']):g}"
    named = (meta.get("named") or [])[:2] if meta.get("renamed") else []
    return [str(meta["status"]), meta["mode"], severity, *(meta.get("reasons") or []), *named]


def ended_at(stored: IncidentRecord) -> str:
    """Returns when the incident ended. Older records lack that: then it is their last change."""
    return stored.get("ended_at") or stored["updated_at"]


def is_later(meta: IncidentRecord, at: str) -> bool:
    """Tells whether GuardDuty saw activity after ``at``.

    Only a readable ``last_seen`` can show that.
    """
    try:
        last_seen = datetime.fromisoformat(meta.get("last_seen") or "")
    except ValueError:
        return False
    if last_seen.tzinfo is None:
        last_seen = last_seen.replace(tzinfo=UTC)
    return last_seen > datetime.fromisoformat(at)


def _decided_alike(stored: IncidentRecord, meta: IncidentRecord) -> bool:
    """Tells whether policy decides about a finding as it did, for the same reasons.

    The reasons name the key that decided. A change of another switch is no news.
    """
    return all(stored.get(name) == meta.get(name) for name in ("mode", "severity", "reasons"))

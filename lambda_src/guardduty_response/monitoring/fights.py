"""Finds, in the history of a containment's losses, who undoes it again and again.

The history is the containment's own (incident/losses.py), so that an actor who became known after
the message counts too.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from guardduty_response.incident import losses, notifications
from guardduty_response.incident.moments import from_now
from guardduty_response.incident.notifications import Draft
from guardduty_response.incident.outbox.message import reason_for
from guardduty_response.incident.outbox.waiting import LOSS_HOURS
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.target_repository import generation_of, place_of
from guardduty_response.monitoring.executions import SLOT_SECONDS

if TYPE_CHECKING:
    from guardduty_response.incident.model import ContainmentLoss, IncidentRecord, TargetRecord

# So many times in succession it was undone by the same actor within so many minutes after it was
# contained again: nothing that the response does will last.
TIMES, MINUTES = 6, 15

Losses = Sequence["ContainmentLoss"]  # oldest first


def losses_of(record: IncidentRepository, target: TargetRecord, minor: bool = False) -> Losses:
    """Returns the newest losses of a target's containment, as ``losses.newest`` does."""
    place = place_of(target)
    return losses.newest(record.table, *place, minor) if place else []


def actor_of(who: str) -> str:
    """Returns who a change is by: the role of a session, whose name may differ each time."""
    if ":assumed-role/" not in who:
        return who or "unknown"
    return "/".join(who.split("/")[:2])


def _actors(loss: ContainmentLoss) -> set[str]:
    return {actor_of(change["who"]) for change in loss.get("by") or []}


def recurring_actors(history: Losses, hours: float = LOSS_HOURS) -> list[tuple[str, int]]:
    """Returns who undid the containment more than once lately, and how often, most often first."""
    since = from_now(hours=-hours)
    lately = [loss for loss in history if str(loss.get("at") or "") > since]
    counted = Counter(actor for loss in lately for actor in _actors(loss) - {"unknown"})
    return [(actor, count) for actor, count in counted.most_common() if count > 1]


def controller(history: Losses) -> str:
    """Returns who undid the containment each time within minutes, or an empty string."""
    streak = history[-TIMES - 1 :]
    if len(streak) <= TIMES:
        return ""
    for earlier, later in itertools.pairwise(streak):
        if not earlier.get("ended") or _minutes(earlier["ended"], later["at"]) > MINUTES:
            return ""
    actors = set.intersection(*map(_actors, streak[1:])) - {"unknown"}
    return min(actors, default="")


def _minutes(earlier: str, later: str) -> float:
    between = datetime.fromisoformat(later) - datetime.fromisoformat(earlier)
    return between.total_seconds() / 60


def sentences(history: Losses) -> list[str]:
    """Returns what a message about a loss says of those who undo it again and again."""
    at_least = "at least " if len(history) >= losses.NEWEST else ""
    said = [
        f"Recurring actor: {actor} undid the containment {at_least}{count} times in {LOSS_HOURS}"
        " hours."
        for actor, count in recurring_actors(history)[:3]
    ]
    if actor := controller(history):
        said.append(_cannot_hold(actor))
    return said


def _cannot_hold(actor: str) -> str:
    return (
        f"Another controller wins each time: {actor} undid the last {TIMES} containments within"
        f" {MINUTES} minutes each. Containing goes on, every {SLOT_SECONDS // 60} minutes at most;"
        " a person must stop the controller."
    )


def tell_if_it_cannot_hold(
    record: IncidentRepository, meta: IncidentRecord, target: TargetRecord, history: Losses
) -> None:
    """Escalates, once for each actor, that the response cannot win by itself."""
    actor = controller(history)
    if not actor:
        return
    calls = sorted({change["what"] for loss in history[-TIMES:] for change in loss.get("by") or []})
    said = _cannot_hold(actor)
    note = "\n".join(
        [
            said,
            f"Find what runs as {actor} (a pipeline, a GitOps loop, another automation), and pause"
            f" it for {target['id']}, or deny it {', '.join(calls) or 'these calls'} there. The"
            " next containment then lasts. Until then the resource is open for minutes each time.",
            "This message is sent once.",
        ]
    )
    draft = Draft(
        "problem",
        reason_for(
            "cannot_hold",
            target["arn"],
            str(generation_of(target)),
            actor,
        ),
        note=note,
        escalate=True,
        entry=("cannot hold", said),
        target=target["id"],
    )
    notifications.notify(
        record,
        meta,
        [target],
        draft,
    )

"""Whether containment still stands: what a verification alone says of it. Nothing here changes a
resource.
"""

from __future__ import annotations

import os
from typing import Any

from guardduty_response.containment.contract import Check, Context, Json, StepResult, Target, load
from guardduty_response.errors import ResponseError
from guardduty_response.incident.repository import now
from guardduty_response.incident.statuses import Status

READS = 2  # before anything is called undone: AWS is eventually consistent


class NotRead(ResponseError):
    """What containment consists of could not be read: neither held nor undone."""


def free(context: Context, target: Target, seconds: int) -> bool:
    """Takes the right to look at the resource undisturbed. False: a restore, or another incident,
    is at work on it.

    An execution of the same incident that still waits for evidence does not keep anybody from
    looking.
    """
    held = context.record.claim(target.arn, context.execution, context.incident_id, seconds)
    return held is None or (
        held["incident_id"] == context.incident_id and ":execution:" in held["owner"]
    )


def contained(context: Context, target: Target, step: StepResult, checks: list[Check]) -> Json:
    """What is kept with the verdict of a containment, for the checks to come."""
    kept = context.record.target(context.incident_id, target.kind, target.id)
    more: Json = {
        "weak": [one.name for one in checks if not one.ok],
        "held_at": now(),
        "watched": step.watched,
    }
    if kept.get("breach") and step.status is Status.CONTAINED:
        more["breach"] = {**kept["breach"], "ended": now()}
    return more


def judge(
    context: Context, target: Target, step: StepResult, checks: list[Check]
) -> tuple[StepResult, Json]:
    """(what is true now, what else is kept of it). ``weak``: checks that failed at the verdict;
    they are no breach.

    Raises NotRead when a part could not be read and nothing else is seen undone.
    """
    if step.status is Status.GONE:
        return step, {}
    kept = context.record.target(context.incident_id, target.kind, target.id)
    weak = set(
        kept["weak"]
        if "weak" in kept
        else [one["name"] for one in kept.get("checks", []) if not one["ok"]]
    )
    wrong = [one for one in checks if not one.ok and one.name not in weak]
    undone, unread = [one for one in wrong if one.read], [one for one in wrong if not one.read]
    text = "; ".join(one.detail for one in undone or unread)
    if wrong and context.attempt < READS:
        return (
            StepResult(
                done=False,
                wait_seconds=2,
                detail=f"read once more before it is called undone: {text}",
            ),
            {},
        )
    if undone:
        found = _breach(context, target, kept, undone)
        return StepResult(
            status=Status.CONTAINMENT_LOST, detail=f"containment was undone: {text}"
        ), {"breach": found}
    if unread:
        raise NotRead(text)
    more: Json = {
        "weak": [one.name for one in checks if not one.ok],
        "held_at": now(),
        "watched": step.watched,
    }
    if kept.get("breach") and not kept["breach"].get("ended"):
        more["breach"] = {**kept["breach"], "ended": now()}
    return step, more


def _breach(context: Context, target: Target, kept: Json, undone: list[Check]) -> Json:
    """Since when, what, and who: from the change that was heard of, from an earlier check, or
    from CloudTrail.
    """
    old = kept.get("breach") or {}
    old = {} if old.get("ended") else old
    names = [one.name for one in undone]
    found: Json = {"at": old.get("at") or now(), "checks": names, "by": []}
    if old.get("by") and set(names) <= set(old["checks"]):
        return {**found, "by": old["by"]}
    find_actors: Any = getattr(load(os.environ["GDR_PLAYBOOK"]), "find_actors", None)
    if find_actors is None:
        return {
            **found,
            "unknown": "this playbook cannot look it up: search CloudTrail for the resource",
        }
    seen = context.record.meta(context.incident_id).get("undone_by")
    try:
        found["by"] = find_actors(
            context,
            target,
            undone,
            str(kept.get("held_at") or ""),
            seen,
            list(kept.get("watched") or []),
        )
    except Exception as error:  # who it was must not keep anybody from hearing that it was
        found["unknown"] = (
            f"CloudTrail could not be asked ({type(error).__name__}: {str(error)[:300]}); looked"
            " for again"
        )
    return found

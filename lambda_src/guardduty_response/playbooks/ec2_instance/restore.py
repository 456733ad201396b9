"""Undoes containment from the record: every part that is still as containment left it, read back
afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from guardduty_response.containment import restoration
from guardduty_response.containment.contract import Context, Restored, Target
from guardduty_response.containment.restoration import Kind, Part, by_hand
from guardduty_response.containment.target_context import BRANCHES, DONE, Sessions, gather, why
from guardduty_response.errors import TargetGone
from guardduty_response.playbooks.ec2_instance import action_order, restore_access, restore_network
from guardduty_response.playbooks.ec2_instance.instance_context import Work
from guardduty_response.playbooks.ec2_instance.state import Facts, look

JUDGES: dict[str, Callable[[Work, Sessions, Any], list[Part]]] = {
    "network": restore_network.network,
    "addresses": restore_network.addresses,
    "profile": restore_access.profile,
    "sessions": restore_access.denials,
    "protection": restore_access.protection,
    "tags": restore_access.tags,
    "target_groups": restore_network.target_groups,
    "auto_scaling": restore_network.auto_scaling,
}


def restore(ctx: Context, target: Target) -> Restored:
    """Brings back what the ledger's before-state says, and reads it back. Raises RoleUnavailable,
    or the error of DescribeInstances: then nothing was changed.
    """
    work = Work(ctx, target)
    work.kept = work.ledger()
    return restoration.restore(work, partial(_look, work))


def _look(work: Work) -> tuple[bool, list[Part]]:
    """A fresh session each time: it reads everything and changes nothing."""
    reading = action_order.reading(work)
    try:
        facts = look(work, reading.client("ec2"))
    except TargetGone:
        return False, _judge(work, reading, None)
    parts = _judge(work, reading, facts)
    if other := _contained_by_another(work, facts):
        parts = [
            replace(one, kind=Kind.KEPT, call=None, hand="", text=other) if one.call else one
            for one in parts
        ]
    return True, parts


def _judge(work: Work, reading: Sessions, facts: Facts | None) -> list[Part]:
    """Every recorded part. What cannot be read is not touched; the others go on. ``facts``: None
    when the instance is gone.
    """
    names = {name.split("/")[0] for name in work.kept.get("before", {})}
    calls = {
        name: partial(one, work, reading, facts)
        for name, one in JUDGES.items()
        if name in names and (facts or name == "sessions")
    }
    parts = [
        Part(Kind.FOREIGN, name, "", f"{name} of {work.id}: the instance no longer exists")
        for name in sorted(names - calls.keys())
    ]
    for name, got in gather(calls, BRANCHES).items():
        if isinstance(got, Exception):
            parts.append(
                Part(
                    Kind.STUCK,
                    name,
                    "",
                    f"{name} could not be read ({why(got)}): run restore again",
                )
            )
        else:
            parts += got
    return parts + (_stopped(work, facts) if facts else [])


def _stopped(work: Work, facts: Facts) -> list[Part]:
    """Starting what was compromised is a decision of its own."""
    if work.acted("stop_instance").get("status") != DONE or facts.instance["State"]["Name"] not in (
        "stopping",
        "stopped",
    ):
        return []
    hand = by_hand(work, f"ec2 start-instances --instance-ids {work.id}")
    return [
        Part(
            Kind.KEPT,
            "stop",
            work.id,
            f"{work.id} was stopped when contained, and is not started by itself",
            hand,
        )
    ]


def _contained_by_another(work: Work, facts: Facts) -> str:
    """A later incident found the instance as we left it, and holds it so: undoing ours would
    undo that one's.
    """
    key = f"{work.prefix}-incident"
    tag = facts.tags.get(key, "")
    if tag in ("", work.ctx.incident_id, (work.had("tags") or {}).get(key)):
        return ""
    return (
        f"incident {tag} contains {work.id} too, by its tag {key}: restore that one first (no such"
        " incident: remove the tag)"
    )

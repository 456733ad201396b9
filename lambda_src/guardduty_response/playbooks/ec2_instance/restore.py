"""Undoes containment from the record: every part that is still as containment left it, read back
afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from guardduty_response.containment import restoration
from guardduty_response.containment.contract import Context, RestoreResult, Target
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus, aws_command
from guardduty_response.containment.target_context import (
    BRANCHES,
    DONE,
    Sessions,
    describe_error,
    run_all,
)
from guardduty_response.errors import TargetGone
from guardduty_response.playbooks.ec2_instance import action_order, restore_access, restore_network
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import InstanceState, look

JUDGES: dict[str, Callable[[InstanceContext, Sessions, Any], list[RestoreItem]]] = {
    "network": restore_network.network,
    "addresses": restore_network.addresses,
    "profile": restore_access.profile,
    "sessions": restore_access.denials,
    "protection": restore_access.protection,
    "tags": restore_access.tags,
    "target_groups": restore_network.target_groups,
    "auto_scaling": restore_network.auto_scaling,
}


def restore(context: Context, target: Target) -> RestoreResult:
    """Brings back what the ledger's before-state says, and reads it back. Raises RoleUnavailable,
    or the error of DescribeInstances: then nothing was changed.
    """
    instance = InstanceContext(context, target)
    instance.stored = instance.read_stored()
    return restoration.restore(instance, partial(_look, instance))


def _look(instance: InstanceContext) -> tuple[bool, list[RestoreItem]]:
    """A fresh session each time: it reads everything and changes nothing."""
    reading = action_order.reading(instance)
    try:
        current = look(instance, reading.client("ec2"))
    except TargetGone:
        return False, _judge(instance, reading, None)
    parts = _judge(instance, reading, current)
    if other := _contained_by_another(instance, current):
        parts = [
            replace(item, status=RestoreStatus.RETAINED, call=None, manual_command="", text=other)
            if item.call
            else item
            for item in parts
        ]
    return True, parts


def _judge(
    instance: InstanceContext, reading: Sessions, current: InstanceState | None
) -> list[RestoreItem]:
    """Every recorded part. What cannot be read is not touched; the others go on. ``facts``: None
    when the instance is gone.
    """
    names = {name.split("/")[0] for name in instance.stored.get("before", {})}
    calls = {
        name: partial(judge, instance, reading, current)
        for name, judge in JUDGES.items()
        if name in names and (current or name == "sessions")
    }
    parts = [
        RestoreItem(
            RestoreStatus.CHANGED_SINCE,
            name,
            "",
            f"{name} of {instance.id}: the instance no longer exists",
        )
        for name in sorted(names - calls.keys())
    ]
    for name, got in run_all(calls, BRANCHES).items():
        if isinstance(got, Exception):
            parts.append(
                RestoreItem(
                    RestoreStatus.MANUAL,
                    name,
                    "",
                    f"{name} could not be read ({describe_error(got)}): run restore again",
                )
            )
        else:
            parts += got
    return parts + (_stopped(instance, current) if current else [])


def _stopped(instance: InstanceContext, current: InstanceState) -> list[RestoreItem]:
    """Starting what was compromised is a decision of its own."""
    if instance.logged_action("stop_instance").get("status") != DONE or current.instance["State"][
        "Name"
    ] not in (
        "stopping",
        "stopped",
    ):
        return []
    hand = aws_command(instance, f"ec2 start-instances --instance-ids {instance.id}")
    return [
        RestoreItem(
            RestoreStatus.RETAINED,
            "stop",
            instance.id,
            f"{instance.id} was stopped when contained, and is not started by itself",
            hand,
        )
    ]


def _contained_by_another(instance: InstanceContext, current: InstanceState) -> str:
    """A later incident found the instance as we left it, and holds it so: undoing ours would
    undo that one's.
    """
    key = f"{instance.prefix}-incident"
    tag = current.tags.get(key, "")
    if tag in ("", instance.context.incident_id, (instance.before_state("tags") or {}).get(key)):
        return ""
    return (
        f"incident {tag} contains {instance.id} too, by its tag {key}: restore that one first "
        "(no such"
        " incident: remove the tag)"
    )

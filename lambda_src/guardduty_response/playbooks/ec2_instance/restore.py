"""Restores the recorded state before containment: each setting that is still as containment left
it, verified afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from guardduty_response.containment import restoration
from guardduty_response.containment.contract import Context, RestoreResult, Target
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus, aws_command
from guardduty_response.containment.target_context import (
    BRANCHES,
    DONE,
    Sessions,
    allow,
    describe_error,
    run_all,
)
from guardduty_response.errors import TargetGone
from guardduty_response.playbooks.ec2_instance import restore_access, restore_network
from guardduty_response.playbooks.ec2_instance.actions import READ
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import LOOK, InstanceState, look

# The record names the target groups, so they are not looked for
_READ = [action for action in READ if action != "elasticloadbalancing:DescribeTargetGroups"]
ASSESS: dict[str, Callable[[InstanceContext, Sessions, Any], list[RestoreItem]]] = {
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
    """Restores what the record says of the state before, and verifies it.

    Raises RoleUnavailable, or the error of DescribeInstances: then nothing was changed.
    """
    instance = InstanceContext(context, target)
    instance.stored = instance.read_stored()
    return restoration.restore(instance, partial(_read_items, instance))


def _read_items(instance: InstanceContext) -> tuple[bool, list[RestoreItem]]:
    """Reads everything with a fresh session, which can change nothing."""
    reading = Sessions(instance, [allow((*LOOK, *_READ))], {})
    try:
        current = look(instance, reading.client("ec2"))
    except TargetGone:
        return False, _assess(instance, reading, None)
    return True, _assess(instance, reading, current)


def _assess(
    instance: InstanceContext, reading: Sessions, current: InstanceState | None
) -> list[RestoreItem]:
    """Assesses every recorded setting. What cannot be read is not touched; the others go on.

    ``current``: None when the instance is gone.
    """
    names = {name.split("/")[0] for name in instance.stored.get("before", {})}
    calls = {
        name: partial(judge, instance, reading, current)
        for name, judge in ASSESS.items()
        if name in names and (current or name == "sessions")
    }
    items = [
        RestoreItem(
            RestoreStatus.CHANGED_SINCE,
            name,
            "",
            f"{name} of {instance.id}: the instance no longer exists",
        )
        for name in sorted(names - calls.keys())
    ]
    for name, result in run_all(calls, BRANCHES).items():
        if isinstance(result, Exception):
            items.append(
                RestoreItem(
                    RestoreStatus.MANUAL,
                    name,
                    "",
                    f"{name} could not be read ({describe_error(result)}): run restore again",
                )
            )
        else:
            items += result
    return items + (_stopped(instance, current) if current else [])


def _stopped(instance: InstanceContext, current: InstanceState) -> list[RestoreItem]:
    """Says that the instance stays stopped: a person decides to start what was compromised."""
    state = current.instance["State"]["Name"]
    stopped_here = instance.logged_action("stop_instance").get("status") == DONE
    if not stopped_here or state not in ("stopping", "stopped"):
        return []
    command = aws_command(instance, f"ec2 start-instances --instance-ids {instance.id}")
    return [
        RestoreItem(
            RestoreStatus.RETAINED,
            "stop",
            instance.id,
            f"{instance.id} was stopped when contained, and is not started by itself",
            command,
        )
    ]

"""Restores the recorded state before containment: each setting that is still as containment left
it, verified afterwards.
"""

from __future__ import annotations

from functools import partial

from guardduty_response.containment import chained_denial, restoration
from guardduty_response.containment.chained_denial import NAME
from guardduty_response.containment.contract import Context, RestoreResult, Target
from guardduty_response.containment.control import actions_of
from guardduty_response.containment.control_restore import read_all, restore_items
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus, aws_command
from guardduty_response.containment.target_context import DONE, Sessions, allow
from guardduty_response.errors import TargetGone
from guardduty_response.playbooks.ec2_instance import action_order, former_sessions
from guardduty_response.playbooks.ec2_instance.credentials import RevokeSessions
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.instance_control import InstanceControl
from guardduty_response.playbooks.ec2_instance.state import InstanceState, look


def restore(context: Context, target: Target) -> RestoreResult:
    """Restores what the record says of the prior state, and verifies it.

    Raises RoleUnavailable, or the error of DescribeInstances: then nothing was changed.
    """
    instance = InstanceContext(context, target)
    instance.stored = instance.read_stored()
    return restoration.restore(instance, partial(_read_items, instance))


def _read_items(instance: InstanceContext) -> tuple[bool, list[RestoreItem]]:
    """Reads everything with a fresh session, which can change nothing."""
    # The record names what is to be found.
    reads = actions_of(grant for control in action_order.CONTROLS for grant in control.reads)
    reading = Sessions(instance, [allow(reads)], {})
    try:
        current = look(instance, reading.client("ec2"))
    except TargetGone:
        return False, _items(instance, reading, None)
    return True, _items(instance, reading, current) + _stopped(instance, current)


def _items(
    instance: InstanceContext, reading: Sessions, current: InstanceState | None
) -> list[RestoreItem]:
    """Compares every recorded setting. What cannot be read is not touched; the others go on.

    ``current``: None when the instance is gone. Its role is restored all the same.
    """
    names = {name.split("/")[0] for name in instance.stored.get("before", {})} - {
        NAME,
        former_sessions.NAME,
    }
    kinds: list[type[InstanceControl]] = [RevokeSessions]
    if current:
        kinds = action_order.controls(instance)
    controls = {kind.item: kind for kind in kinds}
    state = current or InstanceState({})
    gone = [
        RestoreItem(
            RestoreStatus.CHANGED_SINCE,
            name,
            "",
            f"{name} of {instance.id}: the instance no longer exists",
        )
        for name in sorted(names - controls.keys())
    ]
    calls = {
        item: partial(restore_items, kind(instance, reading, state))
        for item, kind in controls.items()
        if item in names
    }
    former = former_sessions.restore_calls(instance, reading, state)
    return gone + read_all({**calls, **former, **chained_denial.restore_calls(instance)})


def _stopped(instance: InstanceContext, current: InstanceState) -> list[RestoreItem]:
    """Says that the instance stays stopped: a person decides to start what was compromised."""
    state = current.instance["State"]["Name"]
    stopped_here = instance.logged_action("stop_instance").get("status") == DONE
    if not stopped_here or state not in ("stopping", "stopped"):
        return []
    command = aws_command(instance, f"ec2 start-instances --instance-ids {instance.id}")
    text = f"{instance.id} was stopped when contained, and is not started by itself"
    return [RestoreItem(RestoreStatus.RETAINED, "stop", instance.id, text, command)]

"""Finds out whose interfaces are of which neither an attachment nor a tag tells: in planning and
verification, which have the time. Changes nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.containment.target_context import Sessions, describe_error, run_all
from guardduty_response.playbooks.ec2_instance import (
    branch_interfaces,
    container_tasks,
    local_interfaces,
)
from guardduty_response.playbooks.ec2_instance.container_tasks import (
    OF_TASK,
    list_commands,
    stop_command,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import TASKS, InstanceState, Interface

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient

READ = ("ec2:DescribeTrunkInterfaceAssociations", *container_tasks.READ, *local_interfaces.READ)


def attribute(instance: InstanceContext, sessions: Sessions, current: InstanceState) -> None:
    """Adds to ``current`` what was found out, and what was not. Raises nothing of AWS's."""
    if current.trunks:
        _associate(
            instance,
            sessions.client("ec2"),
            current,
        )
    if current.for_tasks:
        _assign_to_tasks(
            instance,
            sessions,
            current,
        )
    local_interfaces.find(sessions.client("ec2"), current)


def _associate(instance: InstanceContext, ec2: AwsClient, current: InstanceState) -> None:
    """Attributes branches by what AWS knows itself, where it tells: it lets no role that is assumed
    see associations, at times, and that is no error.
    """
    answer = run_all({0: partial(branch_interfaces.associations, ec2)})[0]
    if isinstance(answer, Exception):
        return
    read = {interface.id for interface in current.interfaces}
    own = {branch for branch, trunk in answer.items() if trunk in current.trunks} - read
    found = run_all(
        {
            0: partial(
                branch_interfaces.by_ids,
                ec2,
                own,
            )
        }
    )[0]
    if isinstance(found, Exception):
        why = f"{', '.join(sorted(own))}: {describe_error(found)}"
        current.read_errors["branch interfaces"] = why
        return
    current.interfaces += [
        Interface.read(interface, instance.target.account_id) for interface in found
    ]
    for id in answer:
        current.unknown_branches.pop(id, None)
    current.note_unknown_branches()


def _assign_to_tasks(instance: InstanceContext, sessions: Sessions, current: InstanceState) -> None:
    """Says of each interface of a task of Amazon ECS which task has it."""
    region = instance.target.region
    tasks = container_tasks.find(sessions.client("ecs"), instance.id)
    managed = {id: f"{OF_TASK}{task.name}" for task in tasks.running for id in task.interfaces}
    missing = managed.keys() - {interface.id for interface in current.interfaces}
    ec2 = sessions.client("ec2")
    found = run_all(
        {
            0: partial(
                branch_interfaces.by_ids,
                ec2,
                missing,
            )
        }
    )[0]
    problems = list(tasks.errors)
    if isinstance(found, Exception):
        problems.append(describe_error(found))
        found = []
    current.interfaces += [
        Interface.read(interface, instance.target.account_id) for interface in found
    ]
    # Those that planning knew of a task are what they are now.
    current.interfaces = [
        interface._replace(
            managed=managed.get(interface.id)
            or ("" if interface.managed.startswith(OF_TASK) else interface.managed)
        )
        for interface in current.interfaces
    ]
    read = {interface.id for interface in current.interfaces}
    for task in tasks.running:
        if not task.interfaces or set(task.interfaces) - read:
            stop = stop_command(f"{OF_TASK}{task.name}", region)
            problems.append(f"the interface of task {task.name} is not shown yet: `{stop}`")
    if tasks.registered:
        current.trunks_for_tasks = current.trunks.keys() & set(current.for_tasks)
    elif not tasks.errors:
        interfaces = ", ".join(current.for_tasks)
        problems.append(
            f"no cluster has {instance.id} as a container instance, in spite of {interfaces}"
        )
    current.read_errors.pop(TASKS, None)
    if problems:
        listing = list_commands(instance.id, region)
        current.read_errors[TASKS] = f"{'; '.join(problems)}. To list the tasks: {listing}"

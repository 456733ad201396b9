"""Finds out whose interfaces are of which neither an attachment nor a tag tells: in planning and
verification, which have the time. Changes nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.containment.target_context import Sessions, describe_error, run_all
from guardduty_response.playbooks.ec2_instance import branch_interfaces
from guardduty_response.playbooks.ec2_instance.state import InstanceState, Interface

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient

READ = ("ec2:DescribeTrunkInterfaceAssociations",)


def attribute(sessions: Sessions, current: InstanceState) -> None:
    """Adds to ``current`` what was found out, and what was not. Raises nothing of AWS's."""
    if current.trunks:
        _associate(sessions.client("ec2"), current)


def _associate(ec2: AwsClient, current: InstanceState) -> None:
    """Attributes branches by what AWS knows itself, where it tells: it lets no role that is assumed
    see associations, at times, and that is no error.
    """
    answer = run_all({0: partial(branch_interfaces.associations, ec2)})[0]
    if isinstance(answer, Exception):
        return
    read = {interface.id for interface in current.interfaces}
    own = {branch for branch, trunk in answer.items() if trunk in current.trunks} - read
    found = run_all({0: partial(branch_interfaces.by_ids, ec2, own)})[0]
    if isinstance(found, Exception):
        why = f"{', '.join(sorted(own))}: {describe_error(found)}"
        current.read_errors["branch interfaces"] = why
        return
    current.interfaces += [Interface.read(interface) for interface in found]
    for id in answer:
        current.unknown_branches.pop(id, None)
    current.note_unknown_branches()

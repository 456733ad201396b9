"""Closes interfaces by what the plan has read of them: the first calls after AssumeRole.

What the plan has read is recorded while the role is being assumed. What has changed since is seen
by ``state.look``, which reads at the same time; ``network.close`` does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.contract import NOTHING
from guardduty_response.containment.planned_state import fresh_state
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    Sessions,
    describe_error,
    run_all,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.network_controls import (
    Network,
)
from guardduty_response.playbooks.ec2_instance.state import InstanceState

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer
    from guardduty_response.playbooks.ec2_instance.records import InterfaceBefore, NetworkBefore

GONE = "InvalidNetworkInterfaceID.NotFound"


class Closed(NamedTuple):
    """Holds what was closed by the plan: interface -> how it was, and interface -> the answer of
    the call that closed it, or its error.
    """

    before: Mapping[str, InterfaceBefore] = NOTHING
    answers: Mapping[str, AwsAnswer | Exception] = NOTHING


def close_planned(instance: InstanceContext, allowed: Sessions) -> Closed:
    """Records what the plan has read, and closes the interfaces that were open.

    Does nothing where the plan is not fresh, and with interfaces whose quarantine group has to be
    made first, or that are to go by way of the flush group. Raises GateClosed: nothing was changed.
    """
    states = fresh_state(instance)
    before: NetworkBefore | None = states.get(Network.item)
    if not before or instance.options["untrack_connections"]:
        return Closed()
    groups: dict[str, str] = instance.scope("groups") or {}
    wanted = {
        id: groups[was["vpc"]]
        for id, was in before["interfaces"].items()
        if was["vpc"] in groups and not was["managed"] and was["groups"] != [groups[was["vpc"]]]
    }
    if not wanted:
        return Closed()
    instance.record_before_states(states)
    network = Network(instance, allowed, InstanceState({}))
    for id in wanted:
        network.writer(id)  # one after the other: that opens sessions
    calls = {id: partial(network.write, id, {"groups": [group]}) for id, group in wanted.items()}
    return Closed(before["interfaces"], run_all(calls))


def settle(
    instance: InstanceContext, allowed: Sessions, current: InstanceState, closed: Closed
) -> str:
    """Puts back what is no longer the instance's, and shows in ``current`` what was closed as it
    was before, for the log. Returns what people must know, or ''.
    """
    before, answers = closed
    current.interfaces = [
        interface._replace(groups=tuple(before[interface.id]["groups"]))
        if interface.id in answers
        else interface
        for interface in current.interfaces
    ]
    if "interfaces" in current.read_errors:
        return ""
    attached = {interface.id for interface in current.interfaces}
    network = Network(instance, allowed, current)
    put_back = {
        id: partial(network.write, id, {"groups": before[id]["groups"]})
        for id, answer in answers.items()
        if id not in attached and not isinstance(answer, Exception)
    }
    return "".join(_put_back_text(id, answer) for id, answer in run_all(put_back).items())


def _put_back_text(id: str, answer: object) -> str:
    if not isinstance(answer, Exception):
        return f"; {id} is not the instance's any more, and is back in its groups"
    if isinstance(answer, AWS_ERRORS) and error_code(answer) == GONE:
        return f"; {id} no longer exists"
    return f"; {id} is not the instance's any more, and stays closed ({describe_error(answer)})"

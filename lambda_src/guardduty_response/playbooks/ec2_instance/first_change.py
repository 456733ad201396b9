"""Closes interfaces by what the plan has read of them: the first calls after AssumeRole.

What the plan has read is recorded while the role is being assumed. What has changed since is seen
by ``state.look``, which reads at the same time; ``network.close`` does the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.contract import NOTHING
from guardduty_response.containment.planned_state import fresh_state
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    DONE,
    FAILED,
    SKIPPED,
    Sessions,
    describe_error,
    run_all,
)
from guardduty_response.errors import TargetGone
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.network_controls import (
    CLOSED,
    Network,
    closed_text,
)
from guardduty_response.playbooks.ec2_instance.state import InstanceState

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer
    from guardduty_response.playbooks.ec2_instance.records import InterfaceBefore, NetworkBefore

GONE = "InvalidNetworkInterfaceID.NotFound"


class Closed(NamedTuple):
    """Holds what was closed by the plan: interface -> how it was, interface -> the answer of the
    call that closed it, or its error, and interface -> the quarantine group that it was given.
    """

    before: Mapping[str, InterfaceBefore] = NOTHING
    answers: Mapping[str, AwsAnswer | Exception] = NOTHING
    groups: Mapping[str, str] = NOTHING

    @property
    def made(self) -> dict[str, AwsAnswer]:
        """The answers of the calls that succeeded."""
        return {id: answer for id, answer in self.answers.items() if isinstance(answer, dict)}


def close_planned(instance: InstanceContext, allowed: Sessions) -> Closed:
    """Records what the plan has read, and closes the interfaces that were open.

    Does nothing where the plan is not fresh, and with interfaces whose quarantine group has to be
    made first, or where ``untrack_connections`` is on: these pass through the all-open group first
    (``network``). Raises GateClosed: nothing was changed.
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
    return Closed(before["interfaces"], run_all(calls), wanted)


def reconcile(
    instance: InstanceContext, allowed: Sessions, current: InstanceState, done: Closed
) -> str:
    """Puts back what is no longer the instance's, and shows in ``current`` what was closed as it
    was before, for the log. Returns what people must know, or ''.
    """
    current.interfaces = [
        interface._replace(groups=tuple(done.before[interface.id]["groups"]))
        if interface.id in done.answers
        else interface
        for interface in current.interfaces
    ]
    left = done.made.keys() - {interface.id for interface in current.interfaces}
    if "interfaces" in current.read_errors:  # they may be the instance's all the same
        return "".join(f"; {_closed_text(done, id)}" for id in sorted(left))
    return "".join(f"; {text}" for text, _ in _put_back(instance, allowed, done, left))


def log_undescribed(instance: InstanceContext, done: Closed, error: Exception) -> str:
    """Logs that the instance could not be described, and what was closed all the same. Returns the
    sentence.
    """
    said = [
        _failed_text(id, answer) if isinstance(answer, Exception) else _closed_text(done, id)
        for id, answer in sorted(done.answers.items())
    ]
    did = "; ".join([*said, "the rest was not done"]) if said else "nothing was changed"
    text = (
        f"{instance.id} could not be described ({describe_error(error)}): {did}."
        " By hand: runbook, 'Network'"
    )
    instance.log_action(Network.name, FAILED, text, done.made.values())
    return text


def reconcile_gone(
    instance: InstanceContext, allowed: Sessions, closing: Future[Closed], gone: TargetGone
) -> str:
    """Puts back what was closed of an instance that no longer exists and is not its own any more:
    nothing will restore it. Logs that, and returns what is to be said of it.

    What is still attached stays closed: an instance that shuts down runs until it is terminated.
    """
    try:
        done = closing.result()
    except AWS_ERRORS as error:  # the prior state could not be recorded, or must not be
        return f"{gone}; nothing was closed ({describe_error(error)})"
    done = done if done.answers else _closed_earlier(instance)
    if not done.answers:
        return str(gone)
    said = _put_back(instance, allowed, done, done.answers)
    text = "; ".join([str(gone), *(text for text, _ in said)])
    status = DONE if done.made else SKIPPED
    if any(stays for _, stays in said):
        status = FAILED
    instance.log_action(Network.name, status, text, done.made.values())
    return text


def _closed_earlier(instance: InstanceContext) -> Closed:
    """Returns what an attempt had closed that could not describe the instance, by its log."""
    logged = instance.logged_action(Network.name)
    recorded: NetworkBefore | None = instance.before_state(Network.item)
    before = recorded["interfaces"] if recorded else {}
    groups: dict[str, str] = instance.scope("groups") or {}
    answer = {"ResponseMetadata": {"RequestId": logged.get("request_id") or ""}}
    ids = [
        id
        for id, was in before.items()
        if f"{id} {CLOSED}" in logged.get("detail", "") and was["vpc"] in groups
    ]
    given = {id: groups[before[id]["vpc"]] for id in ids}
    return Closed(before, dict.fromkeys(ids, answer), given)


def _put_back(
    instance: InstanceContext, allowed: Sessions, done: Closed, ids: Collection[str]
) -> list[tuple[str, bool]]:
    """Gives interfaces that are not the instance's any more the groups that they were in.

    They may be somebody else's by now, and are read first: what others have changed since is left.
    Returns for each a sentence, and whether it stays closed, so that a person has to look.
    """
    if not ids:
        return []
    named = [{"Name": "network-interface-id", "Values": sorted(ids)}]
    read = partial(allowed.client("ec2").describe_network_interfaces, Filters=named)
    answer = run_all({0: read})[0]
    if isinstance(answer, Exception):
        why = f"could not be read again ({describe_error(answer)})"
        return [_stays(instance, allowed, done, id, why) for id in sorted(ids)]
    found = {
        interface["NetworkInterfaceId"]: interface for interface in answer["NetworkInterfaces"]
    }
    said: dict[str, tuple[str, bool]] = {}
    open_again = []
    for id in sorted(ids):
        if id not in found:
            said[id] = f"{id} no longer exists", False
            continue
        groups = [group["GroupId"] for group in found[id].get("Groups") or []]
        # Perhaps they are still shown as they were before.
        ours = groups == [done.groups[id]] or groups == done.before[id]["groups"]
        if refused := _refusal(done.answers[id]):
            said[id] = _failed_text(id, refused), False
        elif not ours:
            said[id] = f"{id} has other groups since ({', '.join(groups)}), and is left so", False
        elif _is_attached(instance, found[id]):
            why = f"is still attached to {instance.id}"
            said[id] = _stays(instance, allowed, done, id, why)
        else:
            open_again.append(id)
    for id, error in _write_back(instance, allowed, done, open_again).items():
        said[id] = f"{id} is not the instance's any more, and is back in its groups", False
        if isinstance(error, AWS_ERRORS) and error_code(error) == GONE:
            said[id] = f"{id} no longer exists", False
        elif isinstance(error, Exception):
            why = f"is not the instance's any more ({describe_error(error)})"
            said[id] = _stays(instance, allowed, done, id, why)
    return [said[id] for id in sorted(said)]


def _write_back(
    instance: InstanceContext, allowed: Sessions, done: Closed, ids: list[str]
) -> dict[str, AwsAnswer | Exception]:
    """Gives interfaces their groups back. Returns the answers of the calls, or their errors.

    The session that closed them may give them no group but that of the quarantine.
    """
    network = Network(instance, allowed, InstanceState({}))
    calls = {
        id: partial(
            network.restoring(id, done.before[id]).write,  # opens its session
            id,
            {"groups": done.before[id]["groups"]},
        )
        for id in ids
    }
    return run_all(calls)


def _refusal(answer: object) -> Exception | None:
    """Returns the error of a call that did not close its interface. None: it has, or may have:
    there was no answer in time.
    """
    return answer if isinstance(answer, Exception) and not is_transient(answer) else None


def _is_attached(instance: InstanceContext, interface: AwsAnswer) -> bool:
    """Tells whether the instance has the interface. Of a branch interface that is not told: it is
    attached to the trunk interface of its instance.
    """
    attachment = interface.get("Attachment") or {}
    return attachment.get("InstanceId") == instance.id or interface.get("InterfaceType") == "branch"


def _stays(
    instance: InstanceContext, allowed: Sessions, done: Closed, id: str, why: str
) -> tuple[str, bool]:
    if refused := _refusal(done.answers[id]):
        return _failed_text(id, refused), False
    network = Network(instance, allowed, InstanceState({}))
    command = network.full_command(id, done.before[id])
    closed = "stays closed" if id in done.made else "may be closed"
    return f"{id} {why}, and {closed}. To open it: {command}", True


def _closed_text(done: Closed, id: str) -> str:
    return closed_text(id, done.before[id]["groups"], done.groups[id])


def _failed_text(id: str, error: Exception) -> str:
    if error_code(error) == GONE:
        return f"{id} no longer exists"
    return f"closing {id} failed ({describe_error(error)})"

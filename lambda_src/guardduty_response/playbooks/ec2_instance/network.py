"""Closes every interface. Nothing else may delay this: three round trips after AssumeRole at most,
and all interfaces at the same time. A group is empty before anything is put into it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.target_context import (
    ALREADY,
    AWS_ERRORS,
    DONE,
    FAILED,
    PLANNED,
    Sessions,
    allow,
    describe_error,
    result_or_raise,
    run_all,
)
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.ec2_instance import first_change
from guardduty_response.playbooks.ec2_instance.group_rules import STRIP, GroupRules
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.network_controls import CREATE, MODIFY, OPEN, Network
from guardduty_response.playbooks.ec2_instance.quarantine_groups import (
    Preparation,
    flush_group,
    is_new,
)
from guardduty_response.playbooks.ec2_instance.state import InstanceState, is_empty, looking

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer
    from guardduty_response.playbooks.ec2_instance.records import InterfaceBefore


def sessions(
    instance: InstanceContext, interfaces: list[str], vpcs: list[str], groups: dict[str, str]
) -> Sessions:
    """Returns sessions that may close ``interfaces``.

    A group that does not exist yet can only be named by the tag it is created with.
    """
    tag, any_group = f"aws:ResourceTag/{instance.prefix}", instance.arn("security-group/*")
    flush = bool(instance.options["untrack_connections"])
    # A configured group may be one that another account shares: its ID alone is known by now.
    known = {
        vpc: instance.group_arn(
            id, "*" if instance.own_groups.get(vpc) == id else instance.target.account_id
        )
        for vpc, id in groups.items()
    }
    base = [
        allow(looking(instance)),
        allow(MODIFY, list(known.values())),
        allow(
            STRIP,
            [arn for vpc, arn in known.items() if instance.own_groups.get(vpc) != groups[vpc]],
        ),
    ]
    if flush or any(vpc not in instance.own_groups or vpc not in groups for vpc in vpcs):
        kinds = ["quarantine", *["untrack"] * flush]
        base += [
            allow(MODIFY + STRIP, any_group, **{tag: kinds}),
            allow(CREATE, [any_group, *(_vpc_arn(instance, vpc) for vpc in vpcs)]),
            allow(("ec2:CreateTags",), any_group, **{"ec2:CreateAction": "CreateSecurityGroup"}),
            *[allow(OPEN, any_group, **{tag: "untrack"})] * flush,
        ]
    return Sessions(
        instance, base, {instance.arn(f"network-interface/{id}"): MODIFY for id in interfaces}
    )


def _vpc_arn(instance: InstanceContext, vpc: str) -> str:
    """Returns the ARN of a VPC in any account: a shared one has its owner's."""
    target = instance.target
    return f"arn:{instance.context.config.partition}:ec2:{target.region}:*:vpc/{vpc}"


def close(
    instance: InstanceContext,
    allowed: Sessions,
    current: InstanceState,
    started: Callable[[], object],
    done: first_change.Closed,
    made: Mapping[str, AwsAnswer | Exception],
) -> None:
    """Records the prior state, empties the quarantine groups, then closes interfaces.

    ``started`` is called when the changes are under way. ``done``: what was closed already.
    ``made``: VPC -> the group that was made for it meanwhile, or the error.
    """
    note = first_change.reconcile(
        instance,
        allowed,
        current,
        done,
    )
    known: dict[str, str] = instance.scope("groups") or {}
    # The plan's groups still close interfaces; verify says that rules could not be read.
    if "groups" in current.read_errors:
        _adopt(current, [{"GroupId": id, "VpcId": vpc} for vpc, id in known.items()])
    groups = [group for group in made.values() if isinstance(group, dict)]
    new = [group["GroupId"] for group in groups if is_new(group)]
    _forget(current, new)  # so that what is said is what was promised
    allowed = _sufficient(instance, allowed, current)
    network = Network(instance, allowed, current)
    group_rules = GroupRules(instance, allowed, current)
    for control in (network, group_rules):
        control.read_current()
    said = {control.name: control.intent() for control in (network, group_rules)}
    earlier, answers = network.closed_earlier()
    status, text = said[network.name]
    if earlier and status == ALREADY:
        status = DONE
    said[network.name] = status, f"{text}{earlier}{note}"
    known = {vpc: group["GroupId"] for vpc, group in current.groups.items()}
    _adopt(current, groups)
    ready = Preparation(
        network,
        group_rules,
        network.open_vpcs,
        new,
    )
    flush = _prepare(network, ready)
    for vpc in ready.vpcs:
        group = current.groups.get(vpc)
        if group and known.get(vpc) != group["GroupId"]:
            status, text = said[network.name]
            said[network.name] = status, f"{text}; {vpc} has {group['GroupId']}"
    changes: dict[tuple[str, str], Callable[[], AwsAnswer]] = {}
    for id in network.pending:
        answer, vpc = done.answers.get(id), network.interfaces[id].vpc
        if isinstance(answer, dict) and is_empty(instance, current, done.groups[id]):
            changes[network.name, id] = partial(dict, answer)
            continue
        network.writer(id)  # opens its session
        quarantine = ready.failed.get(vpc) or current.groups[vpc]
        changes[network.name, id] = partial(
            _swap,
            network,
            id,
            quarantine,
            flush.get(vpc),
        )
    results = run_all(changes, then=started)
    _log(
        instance,
        said,
        {**ready.results, **results},
        {network.name: answers},
    )


def _forget(current: InstanceState, ids: list[str]) -> None:
    """Takes groups out of what was read: they were made meanwhile."""
    for id in ids:
        current.quarantine_groups.pop(id, None)
    current.groups = {
        vpc: group for vpc, group in current.groups.items() if group["GroupId"] not in ids
    }


def _adopt(current: InstanceState, groups: list[AwsAnswer]) -> None:
    """Adds to what was read the groups that AWS may not show yet, or that could not be read."""
    for group in groups:
        current.quarantine_groups.setdefault(group["GroupId"], group)
        current.groups.setdefault(group["VpcId"], group)


def _sufficient(instance: InstanceContext, allowed: Sessions, current: InstanceState) -> Sessions:
    """Returns other sessions where those of the plan do not do: for an interface in a VPC that the
    plan did not see, or where a configured group is used no longer, or only now.
    """
    planned: dict[str, str] = instance.scope("groups") or {}
    ids = {vpc: group["GroupId"] for vpc, group in current.groups.items()}
    unseen = set(current.vpcs) - set(instance.scope("vpcs") or [])
    changed = [
        vpc
        for vpc in current.vpcs
        if vpc in instance.own_groups and ids.get(vpc) != planned.get(vpc)
    ]
    return (
        sessions(
            instance,
            [],
            current.vpcs,
            ids,
        )
        if unseen or changed
        else allowed
    )


def _prepare(network: Network, ready: Preparation) -> dict[str, AwsAnswer | Exception]:
    """Records the prior state, and makes what interfaces are put into, at the same time.

    Returns VPC -> the flush group, or the error. Raises the error of the record.
    """
    instance, current, ec2 = network.target_context, network.state, network.client
    beside: dict[tuple[str, str], Callable[[], AwsAnswer | None]] = {
        ("before", ""): network.record_before
    }
    if instance.options["untrack_connections"]:
        for vpc in ready.vpcs:
            beside["untrack", vpc] = partial(
                flush_group,
                instance,
                ec2,
                vpc,
                current,
            )
    answers = ready.run(beside)
    result_or_raise(answers.pop(("before", "")))
    return {vpc: group for (_, vpc), group in answers.items() if group is not None}


class LeftOpen(ResponseError):
    """Says in which group an interface is, whose groups could not be given back."""


def _swap(
    network: Network,
    id: str,
    group: AwsAnswer | Exception,
    flush_group: AwsAnswer | Exception | None,
) -> AwsAnswer:
    """Gives an interface the quarantine group alone, by way of the flush group if there is one: at
    once then, because a gate that closed in between would leave all open. It gets its own groups
    back where the second call is refused.
    """
    quarantined: InterfaceBefore = {"groups": [result_or_raise(group)["GroupId"]]}
    if flush_group is None:
        return network.write(id, quarantined)
    note = ""
    gate = network.target_context.context.gate
    with gate.batch() if gate else nullcontext():
        try:
            network.write(id, {"groups": [result_or_raise(flush_group)["GroupId"]]})
        except AWS_ERRORS as error:
            note = f"; {id} not untracked ({describe_error(error)})"
            if not is_transient(error):  # else it may be in the flush group all the same
                return {**network.write(id, quarantined), "note": note}
        try:
            return {**network.write(id, quarantined), "note": note}
        except AWS_ERRORS as error:
            if error_code(error) != first_change.GONE:
                _put_back(network, id, error)
            raise


def _put_back(network: Network, id: str, error: Exception) -> None:
    """Takes an interface out of the flush group again. Raises LeftOpen."""
    before = (network.recorded or {}).get(id) or network.present["interfaces"][id]
    try:
        network.restoring(id, before).write(id, {"groups": before["groups"]})
    except AWS_ERRORS as second:
        command = network.full_command(id, network.wanted(id, network.present["interfaces"][id]))
        raise LeftOpen(
            f"{id} is OPEN in the all-open {network.target_context.flush_group_name}: closing"
            f" it failed ({describe_error(error)}) and so did giving its groups back"
            f" ({describe_error(second)}). At once: {command}"
        ) from second


def _log(
    instance: InstanceContext,
    said: dict[str, tuple[str, str]],
    results: Mapping[tuple[str, str], object],
    earlier: Mapping[str, list[AwsAnswer]],
) -> None:
    """Logs both controls: as they were said, or what failed of them.

    ``earlier``: control -> what stands for the calls of an earlier attempt.
    """
    calls = {}
    for name, intent in said.items():
        own = {what: result for (control, what), result in results.items() if control == name}
        before = earlier.get(name, [])
        calls[name] = partial(
            _log_control,
            instance,
            name,
            intent,
            own,
            before,
        )
    for result in run_all(calls).values():
        result_or_raise(result)


def _log_control(
    instance: InstanceContext,
    name: str,
    said: tuple[str, str],
    results: Mapping[str, object],
    earlier: list[AwsAnswer],
) -> None:
    status, text = said
    # An interface that was detached meanwhile is no longer the instance's.
    failed = {
        what.split(" ")[0]: _failed_text(what.split(" ")[0], result)
        for what, result in results.items()
        if isinstance(result, Exception) and error_code(result) != first_change.GONE
    }
    answers = [result for result in results.values() if isinstance(result, dict)]
    text += "".join(answer.get("note", "") for answer in answers)
    if failed:
        stays = "; ".join(failed.values())
        text = (
            f"{len(answers)} of {len(results)} changes made; {stays}. By hand: runbook, 'Network'."
            f" Wanted: {text}"
        )
    if failed or "stays open" in said[1]:
        status = FAILED
    elif status == PLANNED:
        status = DONE
    instance.log_action(
        name,
        status,
        text,
        [*earlier, *answers],
    )


def _failed_text(what: str, error: Exception) -> str:
    if isinstance(error, LeftOpen):
        return str(error)
    return f"{what} stays as it was ({describe_error(error)})"

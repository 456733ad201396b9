"""Closes every interface. Nothing else may delay this: three round trips after AssumeRole, then all
changes at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from guardduty_response.aws.errors import error_code
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
from guardduty_response.playbooks.ec2_instance import first_change
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.instance_control import AwsAnswer
from guardduty_response.playbooks.ec2_instance.network_controls import (
    CREATE,
    MODIFY,
    OPEN,
    STRIP,
    GroupRules,
    Network,
)
from guardduty_response.playbooks.ec2_instance.quarantine_groups import create, flush_group
from guardduty_response.playbooks.ec2_instance.state import LOOK, InstanceState


def sessions(
    instance: InstanceContext, interfaces: list[str], vpcs: list[str], groups: dict[str, str]
) -> Sessions:
    """Returns sessions that may close ``interfaces``.

    A group that does not exist yet can only be named by the tag it is created with.
    """
    tag, any_group = f"aws:ResourceTag/{instance.prefix}", instance.arn("security-group/*")
    flush = bool(instance.options["untrack_connections"])
    known = {vpc: instance.arn(f"security-group/{id}") for vpc, id in groups.items()}
    base = [
        allow(LOOK),
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
) -> None:
    """Records the state before, then closes interfaces and strips groups at the same time.

    ``started`` is called when the changes are under way. ``done``: what was closed already.
    """
    note = first_change.settle(instance, allowed, current, done)
    known: dict[str, str] = instance.scope("groups") or {}
    # The plan's ids still close interfaces; verify says that rules could not be read.
    if "groups" in current.read_errors:
        for vpc, id in known.items():
            current.groups.setdefault(vpc, {"GroupId": id})
    # If an interface is in a VPC that the plan did not see, other sessions are needed.
    if set(current.vpcs) - set(instance.scope("vpcs") or []):
        ids = {vpc: group["GroupId"] for vpc, group in current.groups.items()}
        allowed = sessions(instance, [], current.vpcs, ids)
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
    vpcs = {id: network.interfaces[id].vpc for id in network.pending}
    ready = _prepare(network, set(vpcs.values()))
    for vpc in current.vpcs:
        group = ready.get(("quarantine", vpc))
        if isinstance(group, dict):
            current.groups[vpc] = group
            status, text = said[network.name]
            said[network.name] = status, f"{text}; {vpc} has {group['GroupId']}"
    group_rules.read_current()  # of the new groups, too
    changes: dict[tuple[str, str], Callable[[], AwsAnswer]] = {}
    for id, vpc in vpcs.items():
        if isinstance(done.answers.get(id), dict):
            changes[network.name, id] = partial(dict, done.answers[id])
            continue
        network.writer(id)  # opens its session
        group = ready.get(("quarantine", vpc)) or current.groups[vpc]
        changes[network.name, id] = partial(
            _swap,
            network,
            id,
            group,
            ready.get(("untrack", vpc)),
        )
    for rule in group_rules.pending:
        if group_rules.current[rule]:  # else its group could not be made
            changes[group_rules.name, rule] = partial(group_rules.write, rule, None)
    results = run_all(changes, then=started)
    _log(instance, said, results, {network.name: answers})


def _prepare(network: Network, vpcs: set[str]) -> dict[tuple[str, str], Any]:
    """Records the state before, and makes the groups that are missing.

    Returns (kind of group, VPC) -> the group, or the error. Raises the error of the record.
    """
    instance, current, ec2 = network.target_context, network.state, network.client
    calls: dict[tuple[str, str], Callable[[], object]] = {("before", ""): network.record_before}
    for vpc in vpcs - current.groups.keys():
        calls["quarantine", vpc] = partial(create, instance, ec2, vpc)
    if instance.options["untrack_connections"]:
        for vpc in vpcs:
            calls["untrack", vpc] = partial(
                flush_group,
                instance,
                ec2,
                vpc,
                current,
            )
    ready = run_all(calls)
    result_or_raise(ready.pop(("before", "")))
    return ready


def _swap(network: Network, id: str, group: Any, flush_group: Any) -> AwsAnswer:
    """Gives an interface the quarantine group alone, by way of the flush group if there is one: at
    once then, because a gate that closed in between would leave all open.
    """
    quarantined, note = {"groups": [result_or_raise(group)["GroupId"]]}, ""
    gate = network.target_context.context.gate
    with gate.batch() if gate and flush_group is not None else nullcontext():
        if flush_group is not None:
            try:
                network.write(id, {"groups": [result_or_raise(flush_group)["GroupId"]]})
            except AWS_ERRORS as error:
                note = f"; {id} not untracked ({describe_error(error)})"
        return {**network.write(id, quarantined), "note": note}


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
        calls[name] = partial(_log_control, instance, name, intent, own, before)
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
        what.split(" ")[0]: describe_error(result)
        for what, result in results.items()
        if isinstance(result, Exception) and error_code(result) != first_change.GONE
    }
    answers = [result for result in results.values() if isinstance(result, dict)]
    text += "".join(answer.get("note", "") for answer in answers)
    if failed:
        stays = "; ".join(f"{id} stays as it was ({error})" for id, error in failed.items())
        text = (
            f"{len(answers)} of {len(results)} changes made; {stays}. By hand: runbook, 'Network'."
            f" Wanted: {text}"
        )
    if failed or "stays open" in said[1]:
        status = FAILED
    elif status == PLANNED:
        status = DONE
    instance.log_action(name, status, text, [*earlier, *answers])

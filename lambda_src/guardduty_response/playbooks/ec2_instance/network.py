"""Closes every interface. Nothing else may delay this: three round trips after AssumeRole, then all
changes at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any, TypedDict

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import (
    ALREADY,
    AWS_ERRORS,
    DONE,
    FAILED,
    PLANNED,
    SKIPPED,
    AwsClient,
    Sessions,
    allow,
    describe_error,
    result_or_raise,
    run_all,
)
from guardduty_response.playbooks.ec2_instance.actions import AwsAnswer
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.quarantine_groups import (
    IpPermission,
    create,
    edit,
    flush_group,
)
from guardduty_response.playbooks.ec2_instance.state import (
    LOOK,
    InstanceState,
    Interface,
    closed,
    open_rules,
)

MODIFY = ("ec2:ModifyNetworkInterfaceAttribute",)
STRIP = ("ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress")
OPEN = ("ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress")
# The group's ID, which of its lists, the rule as text, and its number in the permission.
RuleKey = tuple[str, str, str, int]
GONE = "InvalidNetworkInterfaceID.NotFound"
IDENTIFY = {
    "IpRanges": ("CidrIp",),
    "Ipv6Ranges": ("CidrIpv6",),
    "PrefixListIds": ("PrefixListId",),
    "UserIdGroupPairs": ("GroupId", "UserId"),
}


class InterfaceBefore(TypedDict):
    """An interface before it was contained: its VPC, its security groups, and which AWS service
    owns it (else empty).
    """

    vpc: str
    groups: list[str]
    managed: str


def interfaces_before(before: Mapping[str, Any]) -> dict[str, InterfaceBefore]:
    """Returns interface -> how it was, by the state before: those of the first attempt, and those
    attached or contained again since.
    """
    recorded = dict((before.get("network") or {}).get("interfaces") or {})
    for name, was in before.items():
        if name.startswith("network/"):
            recorded[name.split("/")[1]] = was
    return recorded


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
            allow(
                ("ec2:CreateSecurityGroup",),
                [any_group, *(instance.arn(f"vpc/{vpc}") for vpc in vpcs)],
            ),
            allow(("ec2:CreateTags",), any_group, **{"ec2:CreateAction": "CreateSecurityGroup"}),
            *[allow(OPEN, any_group, **{tag: "untrack"})] * flush,
        ]
    return Sessions(
        instance, base, {instance.arn(f"network-interface/{id}"): MODIFY for id in interfaces}
    )


def intents(instance: InstanceContext, current: InstanceState) -> dict[str, tuple[str, str]]:
    """Says what is to be changed of interfaces and groups: action -> (status, sentence)."""
    return {
        "quarantine_network": _interface_intent(instance, current),
        "strip_group_rules": _rules_intent(instance, current),
    }


def _interface_intent(instance: InstanceContext, current: InstanceState) -> tuple[str, str]:
    swaps, managed = [], []
    for interface in current.interfaces:
        if closed(instance, current, interface):
            continue
        if interface.managed:
            managed.append(
                f"{interface.id} is {interface.managed}: only that service can close it, and it"
                " stays open"
            )
            continue
        group = current.groups.get(interface.vpc, {}).get("GroupId")
        group = group or f"a new {instance.group_name}"
        swaps.append(f"{interface.id} ({', '.join(interface.groups)} -> {group})")
    if not swaps:
        if managed:
            return FAILED, "; ".join(managed)
        return ALREADY, f"in {instance.group_name} already"
    text = (
        "security groups replaced by the quarantine group, which lets nothing in or out:"
        f" {', '.join(swaps)}"
    )
    if instance.options["untrack_connections"]:
        text += (
            f", by way of the all-open {instance.flush_group_name} so that tracked connections end"
            " (best effort)"
        )
    return PLANNED, "; ".join([text, *managed])


def _rules_intent(instance: InstanceContext, current: InstanceState) -> tuple[str, str]:
    status, lines = SKIPPED, []
    for vpc in current.vpcs:
        group = current.groups.get(vpc, {}).get("GroupId")
        rules = "default egress to 0.0.0.0/0 and ::/0"
        if group:
            rules = ", ".join(open_rules(instance, current.groups[vpc]))
        if not rules:
            continue
        if group and instance.own_groups.get(vpc) == group:
            status = FAILED
            lines.append(
                f"{group} has rules ({rules}) but is a group of yours and is never edited: remove"
                " them yourself"
            )
        else:
            status = PLANNED if status == SKIPPED else status
            lines.append(f"rules removed from {group or f'the new group of {vpc}'}: {rules}")
    return status, "; ".join(lines) or "the quarantine group has no rules"


def close(
    instance: InstanceContext,
    allowed: Sessions,
    current: InstanceState,
    started: Callable[[], object],
) -> None:
    """Records the state before, then closes interfaces and strips groups at the same time.

    ``started`` is called when the changes are under way.
    """
    known: dict[str, str] = instance.scope("groups") or {}
    # The plan's ids still close interfaces; verify says that rules could not be read.
    if "groups" in current.read_errors:
        for vpc, id in known.items():
            current.groups.setdefault(vpc, {"GroupId": id})
    # If an interface is in a VPC that the plan did not see, other sessions are needed.
    if set(current.vpcs) - set(instance.scope("vpcs") or []):
        ids = {vpc: group["GroupId"] for vpc, group in current.groups.items()}
        allowed = sessions(instance, [], current.vpcs, ids)
    said, ec2 = intents(instance, current), allowed.client("ec2")
    to_close = [
        interface
        for interface in current.interfaces
        if not interface.managed and not closed(instance, current, interface)
    ]
    ready = _prepare(instance, ec2, current, {interface.vpc for interface in to_close})
    created = [
        f"; {vpc} has {group['GroupId']}"
        for (role, vpc), group in ready.items()
        if role == "quarantine" and isinstance(group, dict)
    ]
    status, text = said["quarantine_network"]
    said["quarantine_network"] = status, text + "".join(created)
    groups: dict[str, Any] = {
        vpc: ready.get(("quarantine", vpc)) or current.groups.get(vpc) for vpc in current.vpcs
    }
    swaps: dict[Interface, Callable[[], AwsAnswer]] = {}
    for interface in to_close:
        client = allowed.client("ec2", instance.arn(f"network-interface/{interface.id}"), MODIFY)
        flush = ready.get(("untrack", interface.vpc))
        swap = partial(_swap, client, interface.id, groups[interface.vpc], flush)
        swaps[interface] = partial(_at_once, instance, swap) if flush is not None else swap
    strips: dict[RuleKey, Callable[[], AwsAnswer]] = {}
    for vpc, group in groups.items():
        if isinstance(group, dict) and instance.own_groups.get(vpc) != group["GroupId"]:
            strips |= _strips(ec2, group)
    results = run_all({**swaps, **strips}, then=started)
    _log(
        instance,
        said,
        {interface: results[interface] for interface in swaps},
        {rule: results[rule] for rule in strips},
    )


def _prepare(
    instance: InstanceContext, ec2: AwsClient, current: InstanceState, vpcs: set[str]
) -> dict[tuple[str, str], Any]:
    """Records the state before, and makes the groups that are missing.

    Returns (kind of group, VPC) -> the group, or the error. Raises the error of the record.
    """
    calls: dict[tuple[str, str], Callable[[], object]] = {
        ("before", ""): partial(_record_before, instance, current)
    }
    for vpc in vpcs - current.groups.keys():
        calls["quarantine", vpc] = partial(create, instance, ec2, vpc)
    if instance.options["untrack_connections"]:
        for vpc in vpcs:
            calls["untrack", vpc] = partial(flush_group, instance, ec2, vpc, current)
    ready = run_all(calls)
    result_or_raise(ready.pop(("before", "")))
    return ready


def _record_before(instance: InstanceContext, current: InstanceState) -> None:
    interfaces: dict[str, InterfaceBefore] = {
        interface.id: {
            "vpc": interface.vpc,
            "groups": list(interface.groups),
            "managed": interface.managed,
        }
        for interface in current.interfaces
    }
    recorded = instance.before_state("network")
    if not recorded:
        state = {"state": current.instance["State"]["Name"], "interfaces": interfaces}
        instance.record_before_state("network", state)
        return
    # Interfaces that were attached since the first attempt.
    for id in interfaces.keys() - recorded["interfaces"].keys():
        instance.record_before_state(f"network/{id}", interfaces[id])


def _at_once(instance: InstanceContext, swap: Callable[[], AwsAnswer]) -> AwsAnswer:
    """Swaps by way of the flush group: a gate that closed in between would leave all open."""
    gate = instance.context.gate
    with gate.batch() if gate else nullcontext():
        return swap()


def _swap(ec2: AwsClient, id: str, group: Any, flush_group: Any) -> AwsAnswer:
    """Gives an interface the quarantine group alone, by way of the flush group if there is one."""
    modify, note = partial(ec2.modify_network_interface_attribute, NetworkInterfaceId=id), ""
    if flush_group is not None:
        try:
            modify(Groups=[result_or_raise(flush_group)["GroupId"]])
        except AWS_ERRORS as error:
            note = f"; {id} not untracked ({describe_error(error)})"
    return {**modify(Groups=[result_or_raise(group)["GroupId"]]), "note": note}


def _strips(ec2: AwsClient, group: AwsAnswer) -> dict[RuleKey, Callable[[], AwsAnswer]]:
    """Returns calls that remove a rule each, because the ::/0 default rule may not exist."""
    calls: dict[RuleKey, Callable[[], AwsAnswer]] = {}
    id = group["GroupId"]
    for revoke, key in (
        (ec2.revoke_security_group_ingress, "IpPermissions"),
        (ec2.revoke_security_group_egress, "IpPermissionsEgress"),
    ):
        for permission in group.get(key) or []:
            for number, rule in enumerate(_single_rules(permission)):
                calls[id, key, str(rule), number] = partial(edit, revoke, id, rule)
    return calls


def _single_rules(permission: IpPermission) -> Iterator[IpPermission]:
    """Yields a permission's rules, each with a single peer."""
    ports = ("IpProtocol", "FromPort", "ToPort")
    for peers, names in IDENTIFY.items():
        for peer in permission.get(peers) or []:
            rule = {name: permission[name] for name in ports if name in permission}
            rule[peers] = [{name: peer[name] for name in names if name in peer}]
            yield rule


def _log(
    instance: InstanceContext,
    said: dict[str, tuple[str, str]],
    swapped: dict[Interface, object],
    stripped: dict[RuleKey, object],
) -> None:
    """Logs both actions: as they were said, or what failed of them."""
    interfaces = {interface.id: result for interface, result in swapped.items()}
    groups = {key[0]: result for key, result in stripped.items() if isinstance(result, Exception)}
    calls = {
        "quarantine_network": partial(
            _log_action, instance, "quarantine_network", said, interfaces, interfaces.values()
        ),
        "strip_group_rules": partial(
            _log_action, instance, "strip_group_rules", said, groups, stripped.values()
        ),
    }
    for result in run_all(calls).values():
        result_or_raise(result)


def _log_action(
    instance: InstanceContext,
    name: str,
    said: dict[str, tuple[str, str]],
    by_id: Mapping[str, object],
    results: Collection[object],
) -> None:
    status, text = said[name]
    # An interface that was detached meanwhile is no longer the instance's.
    failed = [
        f"{id} stays as it was ({describe_error(result)})"
        for id, result in by_id.items()
        if isinstance(result, Exception) and error_code(result) != GONE
    ]
    answers = [result for result in results if isinstance(result, dict)]
    text += "".join(answer.get("note", "") for answer in answers)
    if failed:
        text = (
            f"{len(answers)} of {len(results)} changes made; {'; '.join(failed)}. By hand: runbook,"
            f" 'Network'. Wanted: {text}"
        )
    if failed or "stays open" in said[name][1]:
        status = FAILED
    elif status == PLANNED:
        status = DONE
    instance.log_action(name, status, text, answers)

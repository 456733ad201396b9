"""Closes every interface. Nothing else may delay this: three round trips after AssumeRole, then
all changes at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import (
    ALREADY,
    AWS_ERRORS,
    DONE,
    FAILED,
    PLANNED,
    SKIPPED,
    Json,
    Sessions,
    allow,
    describe_error,
    result_or_raise,
    run_all,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import (
    LOOK,
    InstanceState,
    Interface,
    closed,
    filters,
    open_rules,
)

MODIFY = ("ec2:ModifyNetworkInterfaceAttribute",)
STRIP = ("ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress")
OPEN = ("ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress")
EVERYTHING: list[Json] = [
    {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
    {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
]
GONE = "InvalidNetworkInterfaceID.NotFound"
IDENTIFY = {
    "IpRanges": ("CidrIp",),
    "Ipv6Ranges": ("CidrIpv6",),
    "PrefixListIds": ("PrefixListId",),
    "UserIdGroupPairs": ("GroupId", "UserId"),
}


def sessions(
    instance: InstanceContext, interfaces: list[str], vpcs: list[str], groups: dict[str, str]
) -> Sessions:
    """May close ``interfaces``. A group that does not exist yet can only be named by the tag it
    is created with.
    """
    tag, any_group = f"aws:ResourceTag/{instance.prefix}", instance.arn("security-group/*")
    flush = bool(instance.options["untrack_connections"])
    known = {vpc: instance.arn(f"security-group/{id}") for vpc, id in groups.items()}
    base = [
        allow(LOOK),
        allow(MODIFY, list(known.values())),
        allow(
            STRIP, [arn for vpc, arn in known.items() if instance.brought.get(vpc) != groups[vpc]]
        ),
    ]
    if flush or any(vpc not in instance.brought or vpc not in groups for vpc in vpcs):
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
    """What is to be done to interfaces and groups: action -> (status, sentence)."""
    todo, managed, lines, status = [], "", [], SKIPPED
    for interface in current.interfaces:
        if closed(instance, current, interface):
            continue
        if interface.managed:
            managed += (
                f"; {interface.id} is {interface.managed}: only that service can close it, and it"
                " stays open"
            )
        else:
            group = current.groups.get(interface.vpc, {}).get(
                "GroupId", f"a new {instance.group_name}"
            )
            todo.append(f"{interface.id} ({', '.join(interface.groups)} -> {group})")
    by_way = (
        f", by way of the all-open {instance.flush_group_name} so that tracked connections end"
        " (best effort)"
    )
    text = (
        "security groups replaced by the quarantine group, which lets nothing in or out:"
        f" {', '.join(todo)}"
    )
    text = (
        text + by_way * instance.options["untrack_connections"]
        if todo
        else f"in {instance.group_name} already" * (not managed)
    )
    for vpc in current.vpcs:
        group = current.groups.get(vpc, {}).get("GroupId")
        found = (
            ", ".join(open_rules(instance, current.groups[vpc]))
            if group
            else "default egress to 0.0.0.0/0 and ::/0"
        )
        if found and instance.brought.get(vpc) == group and group:
            lines.append(
                f"{group} has rules ({found}) but was brought along and is never edited: remove"
                " them yourself"
            )
            status = FAILED
        elif found:
            lines.append(f"rules removed from {group or 'the new group of ' + vpc}: {found}")
            status = PLANNED if status == SKIPPED else status
    return {
        "quarantine_network": (
            PLANNED if todo else FAILED if managed else ALREADY,
            (text + managed).lstrip("; "),
        ),
        "strip_group_rules": (status, "; ".join(lines) or "the quarantine group has no rules"),
    }


def close(
    instance: InstanceContext,
    allowed: Sessions,
    current: InstanceState,
    started: Callable[[], object],
) -> None:
    """Records, then closes and strips side by side. ``started`` is called when the changes are
    under way.
    """
    known: dict[str, str] = instance.scope("groups") or {}
    # the plan's ids still close interfaces; verify says that rules could not be read
    if "groups" in current.read_errors:
        current.groups |= {
            vpc: {"GroupId": id} for vpc, id in known.items() if vpc not in current.groups
        }
    # an interface from a VPC the plan did not see
    if set(current.vpcs) - set(instance.scope("vpcs") or []):
        allowed = sessions(
            instance,
            [],
            current.vpcs,
            {vpc: group["GroupId"] for vpc, group in current.groups.items()},
        )
    said, ec2 = intents(instance, current), allowed.client("ec2")
    todo = [
        interface
        for interface in current.interfaces
        if not interface.managed and not closed(instance, current, interface)
    ]
    vpcs = {interface.vpc for interface in todo}
    first: dict[Any, Callable[[], Any]] = {"before": partial(_before, instance, current)}
    first |= {
        ("quarantine", vpc): partial(_create, instance, ec2, vpc)
        for vpc in vpcs - current.groups.keys()
    }
    if instance.options["untrack_connections"]:
        first |= {
            ("untrack", vpc): partial(_flush_group, instance, ec2, vpc, current) for vpc in vpcs
        }
    ready = run_all(first)
    result_or_raise(ready["before"])
    new = [
        f"; {key[1]} has {got['GroupId']}"
        for key, got in ready.items()
        if key[0] == "quarantine" and isinstance(got, dict)
    ]
    status, text = said["quarantine_network"]
    said["quarantine_network"] = status, text + "".join(new)
    groups: Json = {
        vpc: ready.get(("quarantine", vpc)) or current.groups.get(vpc) for vpc in current.vpcs
    }
    calls: dict[Any, Callable[[], Any]] = {}
    for interface in todo:
        client = allowed.client("ec2", instance.arn(f"network-interface/{interface.id}"), MODIFY)
        calls[interface] = partial(
            _swap,
            client,
            interface.id,
            groups[interface.vpc],
            ready.get(("untrack", interface.vpc)),
        )
    for vpc, group in groups.items():
        if isinstance(group, dict) and instance.brought.get(vpc) != group["GroupId"]:
            calls |= _strips(ec2, group)
    got = run_all(calls, then=started)
    _tell(
        instance,
        said,
        {interface: got[interface] for interface in todo},
        {key: got[key] for key in got if isinstance(key, tuple)},
    )


def _before(instance: InstanceContext, current: InstanceState) -> None:
    state = {
        interface.id: {
            "vpc": interface.vpc,
            "groups": list(interface.groups),
            "managed": interface.managed,
        }
        for interface in current.interfaces
    }
    had = instance.before_state("network")
    if not had:
        instance.record_before_state(
            "network", {"state": current.instance["State"]["Name"], "interfaces": state}
        )
    # attached since the first attempt
    for id in state.keys() - had["interfaces"].keys() if had else ():
        instance.record_before_state(f"network/{id}", state[id])


def _create(instance: InstanceContext, ec2: Any, vpc: str, kind: str = "quarantine") -> Json:
    name = f"{instance.prefix}-{kind}"
    tags = [{"Key": instance.prefix, "Value": kind}, {"Key": "Name", "Value": name}]
    try:
        got = ec2.create_security_group(
            GroupName=name,
            VpcId=vpc,
            Description=f"{instance.prefix} {kind}",
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
        )
        return {"GroupId": got["GroupId"], "IpPermissionsEgress": EVERYTHING}
    except ClientError as error:
        if error_code(error) != "InvalidGroup.Duplicate":
            raise
    found = ec2.describe_security_groups(Filters=filters(**{"group-name": name, "vpc-id": vpc}))
    return dict(found["SecurityGroups"][0])


def _flush_group(instance: InstanceContext, ec2: Any, vpc: str, current: InstanceState) -> Json:
    """A group that lets everything through both ways: only then does a flow stop being tracked."""
    if vpc in current.flush_groups:
        return current.flush_groups[vpc]
    group = _create(instance, ec2, vpc, "untrack")
    for call in (ec2.authorize_security_group_ingress, ec2.authorize_security_group_egress):
        for permission in EVERYTHING:
            _edit(call, group["GroupId"], permission)
    return group


def _swap(ec2: Any, id: str, group: Any, flush_group: Any) -> Json:
    modify, note = partial(ec2.modify_network_interface_attribute, NetworkInterfaceId=id), ""
    if flush_group is not None:
        try:
            modify(Groups=[result_or_raise(flush_group)["GroupId"]])
        except AWS_ERRORS as error:
            note = f"; {id} not untracked ({describe_error(error)})"
    return {**modify(Groups=[result_or_raise(group)["GroupId"]]), "note": note}


def _strips(ec2: Any, group: Json) -> dict[Any, Callable[[], Any]]:
    """Calls that remove every rule, one each: the ::/0 default exists in IPv6 VPCs alone."""
    calls: dict[Any, Callable[[], Any]] = {}
    for call, key in (
        (ec2.revoke_security_group_ingress, "IpPermissions"),
        (ec2.revoke_security_group_egress, "IpPermissionsEgress"),
    ):
        for permission in group.get(key) or []:
            for kind, names in IDENTIFY.items():
                for n, peer in enumerate(permission.get(kind) or []):
                    rule = {
                        name: permission[name]
                        for name in ("IpProtocol", "FromPort", "ToPort")
                        if name in permission
                    }
                    rule[kind] = [{name: peer[name] for name in names if name in peer}]
                    calls[group["GroupId"], key, str(rule), n] = partial(
                        _edit, call, group["GroupId"], rule
                    )
    return calls


def _edit(call: Callable[..., Any], group: str, permission: Json) -> Json:
    """Changes a rule, or finds it as wanted already: another incident may have been faster."""
    try:
        return dict(call(GroupId=group, IpPermissions=[permission]))
    except ClientError as error:
        if error_code(error) not in ("InvalidPermission.NotFound", "InvalidPermission.Duplicate"):
            raise
        return {}


def _tell(
    instance: InstanceContext,
    said: dict[str, tuple[str, str]],
    swapped: dict[Interface, Any],
    stripped: dict[Any, Any],
) -> None:
    lines = {}
    for (name, (status, text)), got in zip(said.items(), (swapped, stripped), strict=True):
        errors = {
            getattr(key, "id", "") or key[0]: result
            for key, result in got.items()
            if isinstance(result, Exception)
        }
        # An interface that was detached meanwhile is no longer the instance's.
        bad = [
            f"{id} stays as it was ({describe_error(error)})"
            for id, error in errors.items()
            if error_code(error) != GONE
        ]
        good = [result for result in got.values() if isinstance(result, dict)]
        told = text + "".join(result.get("note", "") for result in good)
        if bad:
            told = (
                f"{len(good)} of {len(got)} changes made; {'; '.join(bad)}. By hand: runbook,"
                f" 'Network'. Wanted: {told}"
            )
        done = FAILED if bad or "stays open" in text else DONE if status == PLANNED else status
        lines[name] = partial(instance.log_action, name, done, told, good)
    for result in run_all(lines).values():
        result_or_raise(result)

"""The controls of the network: the security groups of every interface, and the rules of the
quarantine groups.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypedDict

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.contract import Check
from guardduty_response.containment.control import Grant, Values
from guardduty_response.containment.target_context import (
    ALREADY,
    DONE,
    FAILED,
    PLANNED,
    AwsClient,
    Json,
    allow,
)
from guardduty_response.playbooks.ec2_instance.instance_control import (
    GROUPS,
    INSTANCES,
    INTERFACES,
    VPCS,
    AwsAnswer,
    Ec2Control,
)
from guardduty_response.playbooks.ec2_instance.state import (
    LOOK,
    Interface,
    closed,
    open_rules,
    rules,
)

MODIFY = ("ec2:ModifyNetworkInterfaceAttribute",)
CREATE = ("ec2:CreateSecurityGroup",)
STRIP = ("ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress")
OPEN = ("ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress")
# What restricts a role to groups of containment, of the kinds that the options need.
NEW, OWN = "aws:RequestTag/${name_prefix}", "aws:ResourceTag/${name_prefix}"
KINDS = "${group_kinds}"
CREATED = {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"}}


CLOSED = "was closed ("


def closed_text(id: str, before: Iterable[str], group: str) -> str:
    """Says that an interface was closed, for the action log: ``closed_earlier`` finds it there."""
    return f"{id} {CLOSED}{', '.join(before)} -> {group})"


class InterfaceBefore(TypedDict):
    """An interface before it was contained: its VPC, its security groups, and which AWS service
    owns it (else empty).
    """

    vpc: str
    groups: list[str]
    managed: str


class NetworkBefore(TypedDict):
    """The instance's state and interfaces before it was contained."""

    state: str
    interfaces: dict[str, InterfaceBefore]


class Network(Ec2Control):
    """The security groups of every interface: interface -> how it is (InterfaceBefore).

    ``network.close`` writes them, by way of the flush group where that is switched on.
    """

    name = "quarantine_network"
    item = "network"
    check_name = "interface"
    critical = True
    placeholder = "ENI"
    reads = (Grant(LOOK, "*"),)
    contains = (
        Grant(MODIFY, (INSTANCES, INTERFACES, GROUPS)),
        Grant(CREATE, VPCS),
        Grant(CREATE, GROUPS, {"StringEquals": {NEW: KINDS}}),
        Grant(("ec2:CreateTags",), GROUPS, CREATED),
        Grant(
            OPEN,
            GROUPS,
            {"StringEquals": {OWN: "untrack"}},
            option="untrack_connections",
        ),
    )
    restores = (Grant(MODIFY, (INSTANCES, INTERFACES, GROUPS)),)
    undone_by = (
        "ModifyNetworkInterfaceAttribute",
        "ModifyInstanceAttribute",
        "AttachNetworkInterface",
    )
    deleted: Collection[str] = ()  # recorded security groups that were not found

    @property
    def done_text(self) -> str:  # type: ignore[override]
        return f"in {self.target_context.group_name} already"

    def arn_of(self, name: str) -> str:
        return self.target_context.arn(f"network-interface/{name}")

    def writer(self, name: str) -> AwsClient:
        return self.sessions.client("ec2", self.arn_of(name), MODIFY)

    def read(self) -> NetworkBefore:
        """Returns what the step has read already (state.look)."""
        interfaces: dict[str, InterfaceBefore] = {
            each.id: {"vpc": each.vpc, "groups": list(each.groups), "managed": each.managed}
            for each in self.state.interfaces
        }
        return {"state": self.state.instance["State"]["Name"], "interfaces": interfaces}

    @property
    def interfaces(self) -> dict[str, Interface]:
        return {interface.id: interface for interface in self.state.interfaces}

    def closed(self, id: str) -> bool:
        interface = self.interfaces.get(id)
        return interface is not None and closed(self.target_context, self.state, interface)

    def values(self, stored: Any) -> Values:
        return dict((stored or {}).get("interfaces") or {})

    def wanted(self, name: str, value: Any) -> Any:
        """Returns the interface in its VPC's quarantine group alone, which may have to be made."""
        if self.closed(name):
            return value
        if not value:
            return {"groups": ["GROUP"]}
        group = self.state.groups.get(value["vpc"], {}).get("GroupId")
        return {**value, "groups": [group or f"a new {self.target_context.group_name}"]}

    @property
    def pending(self) -> Values:
        """What AWS alone may change stays as it is."""
        return {id: value for id, value in super().pending.items() if not value["managed"]}

    def intent(self) -> tuple[str, str]:
        managed = [
            f"{id} is {interface.managed}: only that service can close it, and it stays open"
            for id, interface in self.interfaces.items()
            if interface.managed and not self.closed(id)
        ]
        if pending := self.pending:
            return PLANNED, "; ".join([self.contained_text(pending), *managed])
        return (FAILED, "; ".join(managed)) if managed else (ALREADY, self.done_text)

    def contained_text(self, pending: Values) -> str:
        swaps = [
            f"{id} ({', '.join(self.interfaces[id].groups)} -> {new['groups'][0]})"
            for id, new in pending.items()
        ]
        text = (
            "security groups replaced by the quarantine group, which lets nothing in or out:"
            f" {', '.join(swaps)}"
        )
        if self.target_context.options["untrack_connections"]:
            text += (
                f", by way of the all-open {self.target_context.flush_group_name} so that tracked"
                " connections end (best effort)"
            )
        return text

    def correct_log(self) -> None:
        if "interfaces" in self.state.read_errors:  # some may not be seen
            return
        earlier, answers = self.closed_earlier()
        if earlier and self.intent()[0] == ALREADY:
            text = f"{self.done_text}{earlier}"
            self.target_context.log_action(self.name, DONE, text, answers)
        else:
            super().correct_log()

    def closed_earlier(self) -> tuple[str, list[AwsAnswer]]:
        """Says what an attempt that failed otherwise had closed, with its request IDs, or ''.

        Its line in the action log is written over. What that line does not say was closed was
        perhaps closed by somebody else.
        """
        logged, recorded = self.target_context.logged_action(self.name), self.recorded or {}
        closed = [
            closed_text(id, recorded[id]["groups"], ", ".join(interface.groups))
            for id, interface in self.interfaces.items()
            if f"{id} {CLOSED}" in logged.get("detail", "") and id in recorded and self.closed(id)
        ]
        if logged.get("status") != FAILED or not closed:
            return "", []
        answer = {"ResponseMetadata": {"RequestId": logged.get("request_id") or ""}}
        return f"; by an earlier attempt {'; '.join(closed)}", [answer]

    def write(self, name: str, value: Any) -> AwsAnswer:
        modify = self.writer(name).modify_network_interface_attribute
        return dict(modify(NetworkInterfaceId=name, Groups=value["groups"]))

    def command(self, name: str, value: Any) -> str:
        groups = [group for group in (value or {}).get("groups", []) if group not in self.deleted]
        if not value or len(groups) < len(value["groups"]):
            groups.append("GROUP")
        modify = "ec2 modify-network-interface-attribute --network-interface-id"
        return f"{modify} {name} --groups {' '.join(groups)}"

    # -- verifying ---------------------------------------------------------------------------------

    def checks(self) -> list[Check]:
        if not self.interfaces:
            text = f"no interface of {self.target_context.id} could be read back"
            return [
                Check(
                    "interfaces",
                    False,
                    text,
                    fatal=True,
                    read=False,
                )
            ]
        return [*map(self._check, self.interfaces.values()), *self._detached_checks()]

    def _check(self, interface: Interface) -> Check:
        ok = self.closed(interface.id)
        state = "is in the quarantine group alone" if ok else "is OPEN"
        text = f"{interface.id} {state} ({', '.join(interface.groups) or 'no group'})"
        if interface.managed:
            text = f"{text}; {interface.managed}"
        name = f"{self.check_name} {interface.id}"
        return Check(name, ok, text, fatal=self.critical and not interface.managed)

    def _detached_checks(self) -> list[Check]:
        """Passes for interfaces that were open at the verdict and are no longer the instance's."""
        if "interfaces" in self.state.read_errors:
            return []
        prefix = f"{self.check_name} "
        weak: list[str] = self.target_context.stored.get("weak") or []
        ids = {name.removeprefix(prefix) for name in weak if name.startswith(prefix)}
        return [
            Check(f"{prefix}{id}", True, f"{id} is not attached to the instance any more")
            for id in sorted(ids - self.interfaces.keys())
        ]

    # -- restoring ---------------------------------------------------------------------------------

    def read_recorded(self) -> NetworkBefore:
        groups = {group for was in self.to_restore().values() if was for group in was["groups"]}
        if groups:
            matching = [{"Name": "group-id", "Values": sorted(groups)}]
            found = self.client.describe_security_groups(Filters=matching)["SecurityGroups"]
            self.deleted = groups - {group["GroupId"] for group in found}
        return self.read()

    def to_restore(self) -> Values:
        """``None``: what is in quarantine, and the record does not say how it was."""
        recorded = self.recorded or {}
        unknown = {id: None for id in self.interfaces.keys() - recorded if self.closed(id)}
        own = {id: was for id, was in recorded.items() if not was.get("managed")}
        return {**own, **unknown}

    def key_of(self, name: str) -> str:
        return f"{self.item}/{name}"

    def as_before(self, name: str, before: Any, now: Any) -> bool:
        return bool(before and now) and set(now["groups"]) == set(before["groups"])

    def left(self, name: str, before: Any, now: Any) -> bool:
        return self.closed(name)

    def irreversible(self, name: str, before: Any, now: Any) -> str:
        if not before:
            return (
                f"{name} is in quarantine, and the record does not say in which groups it was;"
                " choose groups"
            )
        missing = ", ".join(group for group in before["groups"] if group in self.deleted)
        if not missing:
            return ""
        return (
            f"{name} stays in quarantine: its security group {missing} no longer exists; choose"
            " groups"
        )

    def state_text(self, name: str, value: Any) -> str:
        if value is None:
            command = self.full_command(name, self.to_restore()[name])
            return (
                f"{name} is no longer attached to {self.target_context.id}; if it exists, it may"
                f" still be in quarantine: {command}"
            )
        text = f"{name} is in {', '.join(value['groups'])}"
        return f"{text}; that is quarantine, for another incident" if self.closed(name) else text

    def restored_text(self, name: str, before: Any) -> str:
        return f"{name} out of quarantine, back in {', '.join(before['groups'])}"

    def restore_statements(self, name: str, before: Any) -> list[Json]:
        groups = [self.target_context.arn(f"security-group/{group}") for group in before["groups"]]
        return [allow(MODIFY, [self.arn_of(name), *groups])]


class GroupRules(Ec2Control):
    """The rules of the quarantine groups: a group's ID and a rule in words -> the rule, as the
    calls of EC2 take it; empty where the group has to be made. A configured group is never edited.
    """

    name = "strip_group_rules"
    item = "groups"
    check_name = "group"
    title = "{name}"
    placeholder = "GROUP egress RULE"
    absent_text = "the quarantine group has no rules"
    contained_as = "rules removed: {things}"
    reads = (Grant(LOOK, "*"),)
    contains = (Grant(STRIP, GROUPS, {"StringEquals": {OWN: KINDS}}),)
    undone_by = (
        "AuthorizeSecurityGroupIngress",
        "AuthorizeSecurityGroupEgress",
        "ModifySecurityGroupRules",
    )

    def read(self) -> dict[str, Json]:
        """Returns what the step has read already (state.look)."""
        found: dict[str, Json] = {
            f"{group['GroupId']} {words}": rule
            for group in self._groups()
            for words, rule in open_rules(self.target_context, group).items()
        }
        for vpc in set(self.state.vpcs) - self.state.groups.keys():
            found[f"of the new group of {vpc}, default egress to 0.0.0.0/0 and ::/0"] = {}
        return found

    def _groups(self) -> list[Json]:
        groups = self.state.groups
        return [groups[vpc] for vpc in self.state.vpcs if vpc in groups]

    def wanted(self, name: str, value: Any) -> None:
        """No rule."""

    @property
    def pending(self) -> Values:
        own = set(self.target_context.own_groups.values())
        return {name: None for name in super().pending if name.split(" ", 1)[0] not in own}

    def intent(self) -> tuple[str, str]:
        status, text = super().intent()
        own = ", ".join(sorted(self.values(self.current).keys() - self.pending.keys()))
        if not own:
            return status, text
        never = f"{own}: a group of yours is never edited, remove its rules yourself"
        return FAILED, f"{never}; {text}" if status == PLANNED else never

    def write(self, name: str, value: Any) -> AwsAnswer:
        group, direction = name.split(" ")[:2]
        revoke = self.client.revoke_security_group_egress
        if direction == "ingress":
            revoke = self.client.revoke_security_group_ingress
        return edit_rule(revoke, group, self.current[name])

    def command(self, name: str, value: Any) -> str:
        group, direction = name.split(" ")[:2]
        rule = (self.current or {}).get(name)
        what = f"'{json.dumps([rule])}'" if rule else "RULE"
        return f"ec2 revoke-security-group-{direction} --group-id {group} --ip-permissions {what}"

    def checks(self) -> list[Check]:
        return [] if self.item in self.state.read_errors else [*map(self._check, self._groups())]

    def _check(self, group: Json) -> Check:
        id = group["GroupId"]
        name = f"{self.check_name} {id}"
        if wrong := ", ".join(open_rules(self.target_context, group)):
            return Check(name, False, f"{id} has rules: {wrong}")
        but = f" but to endpoints ({', '.join(rules(group))})" if rules(group) else ", v4 or v6"
        return Check(name, True, f"{id} has no rules{but}")


def edit_rule(call: Callable[..., AwsAnswer], group: str, permission: Json) -> AwsAnswer:
    """Changes a rule. Another incident may have been faster; then the rule is as wanted."""
    try:
        return dict(call(GroupId=group, IpPermissions=[permission]))
    except ClientError as error:
        if error_code(error) not in ("InvalidPermission.NotFound", "InvalidPermission.Duplicate"):
            raise
        return {}

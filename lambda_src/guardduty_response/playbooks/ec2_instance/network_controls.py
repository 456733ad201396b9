"""The control of the network: the security groups of every interface."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from guardduty_response.containment.contract import NOTHING, Check
from guardduty_response.containment.control import Grant
from guardduty_response.containment.target_context import (
    ALREADY,
    DONE,
    FAILED,
    PLANNED,
    allow,
)
from guardduty_response.playbooks.ec2_instance import local_interfaces
from guardduty_response.playbooks.ec2_instance.container_tasks import stop_command
from guardduty_response.playbooks.ec2_instance.endpoint_rules import open_rules
from guardduty_response.playbooks.ec2_instance.instance_control import (
    ANY_GROUPS,
    GROUPS,
    INSTANCES,
    INTERFACES,
    VPCS,
    Ec2Control,
)
from guardduty_response.playbooks.ec2_instance.state import (
    LOOK,
    OWNED,
    Interface,
    closed,
    in_own_group,
)

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient, PolicyStatement
    from guardduty_response.containment.control import Values
    from guardduty_response.playbooks.ec2_instance.records import InterfaceBefore, NetworkBefore

MODIFY = ("ec2:ModifyNetworkInterfaceAttribute",)
CREATE = ("ec2:CreateSecurityGroup",)
OPEN = ("ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress")
# What restricts a role to groups of containment, of the kinds that the options need.
NEW, OWN = "aws:RequestTag/${name_prefix}", "aws:ResourceTag/${name_prefix}"
KINDS = "${group_kinds}"
CREATED = {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"}}


CLOSED = "was closed ("


def closed_text(id: str, before: Iterable[str], group: str) -> str:
    """Says that an interface was closed, for the action log: ``closed_earlier`` finds it there."""
    return f"{id} {CLOSED}{', '.join(before)} -> {group})"


class Network(Ec2Control["NetworkBefore", "InterfaceBefore"]):
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
        Grant(MODIFY, (INSTANCES, INTERFACES, ANY_GROUPS)),
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
    restores = (Grant(MODIFY, (INSTANCES, INTERFACES, ANY_GROUPS)),)
    undone_by = (
        "ModifyNetworkInterfaceAttribute",
        "ModifyInstanceAttribute",
        "AttachNetworkInterface",
    )
    deleted: Collection[str] = ()  # recorded security groups that were not found
    owners: Mapping[str, str] = NOTHING  # recorded security groups -> the accounts they are of

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

    @property
    def open_vpcs(self) -> set[str]:
        """The VPCs of interfaces that are to be closed."""
        return {
            interface.vpc
            for id, interface in self.interfaces.items()
            if not interface.managed and not self.closed(id)
        }

    def in_own_group(self, id: str) -> bool:
        interface = self.interfaces.get(id)
        return interface is not None and in_own_group(self.target_context, self.state, interface)

    def values(self, stored: NetworkBefore | None) -> Values[InterfaceBefore]:
        return dict(stored["interfaces"] or {}) if stored else {}

    def wanted(self, name: str, value: InterfaceBefore | None) -> InterfaceBefore:
        """Returns the interface in its VPC's quarantine group alone, which may have to be made."""
        if not value:
            return {"groups": ["GROUP"]}
        if self.closed(name):
            return value
        group = self.state.groups.get(value["vpc"], {}).get("GroupId")
        return {**value, "groups": [group or f"a new {self.target_context.group_name}"]}

    @property
    def pending(self) -> Values[InterfaceBefore]:
        """What AWS alone may change stays as it is."""
        return {id: value for id, value in super().pending.items() if not value["managed"]}

    def intent(self) -> tuple[str, str]:
        managed = [
            f"{id} is {interface.managed}: {self._way_out(interface)}"
            for id, interface in self.interfaces.items()
            if interface.managed and not self.closed(id)
        ]
        unused = self._unused_groups()
        if pending := self.pending:
            return PLANNED, "; ".join([self.contained_text(pending), *managed, *unused])
        if managed:
            return FAILED, "; ".join([*managed, *unused])
        return ALREADY, "; ".join([self.done_text, *unused])

    def _way_out(self, interface: Interface) -> str:
        """Says what ends the traffic of an interface that its service alone may change."""
        if local_interfaces.is_local(interface):
            region = self.target_context.target.region
            return local_interfaces.way_out(self.target_context.id, interface.id, region)
        alone = "only that service can close it, and it stays open"
        if stop := stop_command(interface.managed, self.target_context.target.region):
            return f"{alone}. Way out: stop the task, `{stop}`"
        if interface.managed.startswith(OWNED):
            return (
                "only that account can close it, and it stays open. Way out: that account closes"
                " it, or you detach it: `aws ec2 detach-network-interface --attachment-id"
                " ATTACHMENT`"
            )
        kubernetes = any(key.startswith(("eks:", "kubernetes.io/")) for key in self.state.tags)
        if not kubernetes and "eks" not in interface.managed:
            return f"{alone}. Way out: end the instance through that service"
        return (
            f"{alone}. Way out: drain and delete the node, NODE being the name that `kubectl get"
            " nodes -o custom-columns=NODE:.metadata.name,ID:.spec.providerID` shows beside"
            f" {self.target_context.id}: `kubectl drain NODE --ignore-daemonsets"
            " --delete-emptydir-data`, `kubectl delete node NODE`"
        )

    def _unused_groups(self) -> list[str]:
        """Says which configured groups are not used, because they have rules."""
        groups = self.state.quarantine_groups
        configured = {vpc: self.target_context.own_groups.get(vpc, "") for vpc in self.state.vpcs}
        return [
            f"{id}, which quarantine_security_group_ids names for {vpc}, is not used: it has rules"
            f" ({', '.join(wrong)}), remove them yourself"
            for vpc, id in configured.items()
            if id in groups and (wrong := open_rules(self.target_context, self.state, groups[id]))
        ]

    def contained_text(self, pending: Values[InterfaceBefore]) -> str:
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
            self.target_context.log_action(
                self.name,
                DONE,
                text,
                answers,
            )
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

    def write(self, name: str, value: InterfaceBefore) -> AwsAnswer:
        modify = self.writer(name).modify_network_interface_attribute
        return dict(modify(NetworkInterfaceId=name, Groups=value["groups"]))

    def command(self, name: str, value: InterfaceBefore) -> str:
        groups = [group for group in value.get("groups", []) if group not in self.deleted]
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
        # Where a service owns all of them, nothing is contained.
        own = [id for id, interface in self.interfaces.items() if not interface.branch]
        none_closed = not any(map(self.closed, own))
        checks = [self._check(interface, none_closed) for interface in self.interfaces.values()]
        return [*checks, *self._detached_checks()]

    def _check(self, interface: Interface, none_closed: bool) -> Check:
        # What rules that group has, is told by a check of its own.
        in_quarantine = set(interface.groups) <= self.state.quarantine_groups.keys()
        alone = len(interface.groups) == 1 and in_quarantine
        is_local = local_interfaces.is_local(interface)
        ok = self.closed(interface.id) or (alone and not is_local)
        ok = ok or (is_local and not local_interfaces.is_open(self.state, interface))
        state = "is in the quarantine group alone" if ok else "is OPEN"
        if ok and is_local:
            state = "carries nothing while the instance is stopped"
        text = f"{interface.id} {state} ({', '.join(interface.groups) or 'no group'})"
        if self.state.flush_groups.keys() & set(interface.groups):
            text = f"{text}, in the all-open {self.target_context.flush_group_name}"
        if interface.managed:
            text = f"{text}; {interface.managed}" + ("" if ok else f": {self._way_out(interface)}")
        of_service = bool(interface.managed)
        if interface.id in self.state.trunks_for_tasks:
            of_service, text = True, f"{text}; it is the trunk interface of Amazon ECS"
        name = f"{self.check_name} {interface.id}"
        return Check(
            name,
            ok,
            text,
            fatal=none_closed or not of_service,
        )

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
            self.owners = {group["GroupId"]: group["OwnerId"] for group in found}
            self.deleted = groups - self.owners.keys()
        return self.read()

    def to_restore(self) -> Values[InterfaceBefore]:
        """Empty: what is in quarantine, and the record does not say how it was."""
        recorded = self.recorded or {}
        flush = self.state.flush_groups.keys()
        # An earlier containment stopped half-way: nobody is put into the all-open group again.
        own: dict[str, InterfaceBefore] = {
            id: {} if set(was["groups"]) & flush else was
            for id, was in recorded.items()
            if not was.get("managed")
        }
        return own | {id: {} for id in self.interfaces.keys() - recorded if self.in_own_group(id)}

    def key_of(self, name: str) -> str:
        return f"{self.item}/{name}"

    def as_before(self, name: str, before: InterfaceBefore, now: InterfaceBefore | None) -> bool:
        return bool(before and now and set(now["groups"]) == set(before["groups"]))

    def left(self, name: str, before: InterfaceBefore, now: InterfaceBefore | None) -> bool:
        return self.in_own_group(name)

    def irreversible(self, name: str, before: InterfaceBefore, now: InterfaceBefore | None) -> str:
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

    def state_text(self, name: str, value: InterfaceBefore | None) -> str:
        if value is None:
            command = self.full_command(name, self.to_restore()[name])
            return (
                f"{name} is no longer attached to {self.target_context.id}; if it exists, it may"
                f" still be in quarantine: {command}"
            )
        text = f"{name} is in {', '.join(value['groups'])}"
        return (
            f"{text}; that is quarantine, for another incident" if self.in_own_group(name) else text
        )

    def restored_text(self, name: str, before: InterfaceBefore) -> str:
        return f"{name} out of quarantine, back in {', '.join(before['groups'])}"

    def restore_statements(self, name: str, before: InterfaceBefore) -> list[PolicyStatement]:
        arn = self.target_context.group_arn
        groups = [arn(group, self.owners.get(group, "*")) for group in before["groups"]]
        return [allow(MODIFY, [self.arn_of(name), *groups])]

"""Reads the state of the instance, its interfaces and the quarantine groups. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import (
    describe_error,
    result_or_raise,
    run_all,
)
from guardduty_response.errors import TargetGone
from guardduty_response.playbooks.ec2_instance import branch_interfaces
from guardduty_response.playbooks.ec2_instance.branch_interfaces import EKS_TRUNK, is_of_task
from guardduty_response.playbooks.ec2_instance.container_tasks import OF_TASK
from guardduty_response.playbooks.ec2_instance.endpoint_rules import (
    OF_AWS,
    needs_lists,
    of_aws,
    open_rules,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.local_interfaces import LOCAL, is_open
from guardduty_response.playbooks.ec2_instance.rules import prefix_lists

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient, Filter
    from guardduty_response.containment.target_context import Settings
    from guardduty_response.incident.model import TargetRecord
    from guardduty_response.playbooks.ec2_instance.records import InterfaceBefore, NetworkBefore

# The kinds of containment's own groups: the value of their tag, and the end of their names.
QUARANTINE, UNTRACK = "quarantine", "untrack"
LOOK = ("ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups")
LISTS = ("ec2:DescribeManagedPrefixLists",)
OWNED = "owned by account "
# Names of what could not be read: whose branches are, and what Amazon ECS runs on the instance.
WHOSE, TASKS = "trunk interfaces of branches", "tasks of Amazon ECS"


class Interface(NamedTuple):
    """``managed``: which AWS service or account owns it and alone may change it, or that it is one
    which no security group closes, else empty. ``branch``: whether it is a pod's or a task's, and
    not the instance's own. ``subnet``, ``device``: where it is attached (device index 0: as
    the primary one).
    """

    id: str
    vpc: str
    groups: tuple[str, ...]
    names: tuple[str, ...] = ()
    managed: str = ""
    addresses: tuple[str, ...] = ()
    branch: bool = False
    subnet: str = ""
    device: int = 0

    @staticmethod
    def read(node: AwsAnswer, account: str) -> Interface:
        operator, groups = node.get("Operator") or {}, node.get("Groups") or []
        by = operator.get("Principal") or node.get("RequesterId") or "an AWS service"
        managed = ""
        if node.get("RequesterManaged") or operator.get("Managed"):
            managed = f"managed by {by}"
        elif (owner := node.get("OwnerId", account)) != account:
            managed = f"{OWNED}{owner}"
        private = [*(node.get("PrivateIpAddresses") or []), *(node.get("Ipv6Addresses") or [])]
        return Interface(
            node["NetworkInterfaceId"],
            node.get("VpcId", ""),
            tuple(group["GroupId"] for group in groups),
            tuple(group.get("GroupName", "") for group in groups),
            managed,
            tuple(
                str(address.get("PrivateIpAddress") or address.get("Ipv6Address"))
                for address in private
            ),
            node.get("InterfaceType") == "branch",
            node.get("SubnetId") or "",
            (node.get("Attachment") or {}).get("DeviceIndex") or 0,
        )


class InstanceGone(TargetGone):
    """The instance no longer exists. ``described``: as AWS shows it still, or empty."""

    def __init__(self, text: str, described: AwsAnswer) -> None:
        super().__init__(text)
        self.described = described


@dataclass
class InstanceState:
    """What was read. ``instance``: as DescribeInstances has it. ``groups``: VPC -> the quarantine
    group to use there. ``quarantine_groups``, ``flush_groups``: all of containment's, by ID.
    ``settings``: by action item. ``read_errors``: what could not be read, and why. ``trunks``: the
    instance's trunk interfaces, with their descriptions. ``unknown_branches``: branch interfaces in
    its subnets of which nothing tells whose they are, by ID. ``for_tasks``: the interfaces by which
    it looks like a container instance of Amazon ECS. ``trunks_for_tasks``: the trunk interfaces
    among them, once Amazon ECS has said that it is one: the account cannot change them.
    ``aws_lists``: the prefix lists that AWS manages, where a configured group may let out to one.
    """

    instance: AwsAnswer
    interfaces: list[Interface] = field(default_factory=list)
    groups: dict[str, AwsAnswer] = field(default_factory=dict)
    quarantine_groups: dict[str, AwsAnswer] = field(default_factory=dict)
    flush_groups: dict[str, AwsAnswer] = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)
    read_errors: dict[str, str] = field(default_factory=dict)
    trunks: dict[str, str] = field(default_factory=dict)
    unknown_branches: dict[str, AwsAnswer] = field(default_factory=dict)
    for_tasks: list[str] = field(default_factory=list)
    trunks_for_tasks: Collection[str] = ()
    aws_lists: Collection[str] = ()

    @property
    def disks(self) -> dict[str, AwsAnswer]:
        """Returns device name -> EBS mapping."""
        return {
            mapping["DeviceName"]: mapping["Ebs"]
            for mapping in self.instance.get("BlockDeviceMappings") or []
            if mapping.get("Ebs")
        }

    @property
    def vpcs(self) -> list[str]:
        return sorted({interface.vpc for interface in self.interfaces})

    def note_unknown_branches(self) -> None:
        """Says, among what could not be read, of which branches nothing tells whose they are."""
        self.read_errors.pop(WHOSE, None)
        if ids := sorted(self.unknown_branches):
            self.read_errors[WHOSE] = (
                f"neither a tag nor an association tells which one carries {', '.join(ids)}, in the"
                " subnets of the instance: they stay as they are. Close those that are this"
                " instance's: `aws ec2 modify-network-interface-attribute --network-interface-id"
                f" {ids[0]} --groups GROUP`"
            )

    @property
    def spot(self) -> bool:
        return self.instance.get("InstanceLifecycle") == "spot"

    @property
    def tags(self) -> dict[str, str]:
        return tags(self.instance)


def tags(node: AwsAnswer) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in node.get("Tags") or []}


def look(instance: InstanceContext, ec2: AwsClient, stored: bool = False) -> InstanceState:
    """Reads the state in one round trip.

    ``stored``: whether the target's record is read into ``instance.stored`` too.
    Raises InstanceGone, or the error of DescribeInstances; other failures go into ``read_errors``.
    """
    results = run_all(_look_calls(instance, ec2, stored))
    record = results.get("stored")
    if isinstance(record, dict):
        instance.stored = cast("TargetRecord", record)
    current = InstanceState(only_instance(instance, results["instance"]))
    if isinstance(record, Exception):
        raise record
    found: dict[str, AwsAnswer] = {}
    for name, item in (
        ("interfaces", "interfaces"),
        ("groups", "groups"),
        ("own_groups", "groups"),
    ):
        answer = results.get(name, {})
        if isinstance(answer, Exception):
            current.read_errors[item] = describe_error(answer)
        else:
            found[name] = answer
    described = [
        *(current.instance.get("NetworkInterfaces") or []),
        *found.get("interfaces", {}).get("NetworkInterfaces", []),
    ]
    known = _known(instance)
    described += _branches(
        ec2,
        current,
        described,
        known,
    )
    by_id = {interface["NetworkInterfaceId"]: interface for interface in described}
    current.interfaces = [
        _as_known(Interface.read(interface, instance.target.account_id), known)
        for interface in by_id.values()
    ]
    lists = results.get("lists", {})
    if not isinstance(lists, Exception):
        current.aws_lists = of_aws(lists)
    for name in ("groups", "own_groups"):
        for group in found.get(name, {}).get("SecurityGroups", []):
            if isinstance(lists, Exception) and needs_lists(instance, group):
                # What it lets out to is not known: it is a group whose rules were not read.
                current.read_errors["groups"] = (
                    f"which prefix lists AWS manages, of those in {group['GroupId']}"
                    f" ({', '.join(sorted(prefix_lists(group)))}): {describe_error(lists)}"
                )
                continue
            _sort_group(instance, current, group)
    for vpc in {group["VpcId"] for group in current.quarantine_groups.values()}:
        if group := choose_group(instance, current, vpc):
            current.groups[vpc] = group
    return current


def _look_calls(
    instance: InstanceContext, ec2: AwsClient, stored: bool
) -> dict[str, Callable[[], AwsAnswer]]:
    attached = filters(**{"attachment.instance-id": instance.id})
    # By the tag, and not by the name, which anybody may give a group.
    tagged = [
        {"Name": f"tag:{instance.prefix}", "Values": [QUARANTINE, UNTRACK]},
        *filters(**{"owner-id": instance.target.account_id}),
    ]
    calls: dict[str, Callable[[], AwsAnswer]] = {
        "instance": partial(ec2.describe_instances, InstanceIds=[instance.id]),
        "interfaces": partial(ec2.describe_network_interfaces, Filters=attached),
        "groups": partial(ec2.describe_security_groups, Filters=tagged),
    }
    if instance.own_groups:
        ids = [{"Name": "group-id", "Values": sorted(set(instance.own_groups.values()))}]
        calls["own_groups"] = partial(ec2.describe_security_groups, Filters=ids)
    if instance.uses_endpoints:
        # AWS manages a few dozen, and a page has a hundred. One that is not seen is no endpoint.
        owned = filters(**{"owner-id": OF_AWS})
        calls["lists"] = partial(ec2.describe_managed_prefix_lists, Filters=owned)
    if stored:
        calls["stored"] = lambda: {**instance.read_stored()}
    return calls


def _branches(
    ec2: AwsClient,
    current: InstanceState,
    described: list[AwsAnswer],
    known: Mapping[str, InterfaceBefore],
) -> list[AwsAnswer]:
    """Returns the branch interfaces of the instance, and keeps what is not known of others."""
    current.trunks = branch_interfaces.trunks_of(described)
    current.for_tasks = sorted(
        {id for id, text in current.trunks.items() if text != EKS_TRUNK}
        | {each["NetworkInterfaceId"] for each in described if is_of_task(each)}
    )
    if current.for_tasks:
        current.read_errors[TASKS] = "not asked for"
    if not current.trunks:
        return []
    subnets = {each["SubnetId"] for each in described if each.get("SubnetId")}
    read = {each["NetworkInterfaceId"] for each in described}
    found = branch_interfaces.find(
        ec2,
        current.trunks,
        subnets,
        known.keys() - read,
    )
    current.unknown_branches = found.unknown
    if found.errors:
        current.read_errors["branch interfaces"] = "; ".join(found.errors)
    current.note_unknown_branches()
    return found.own


def _known(instance: InstanceContext) -> dict[str, InterfaceBefore]:
    """Returns the interfaces that planning found, and an earlier containment."""
    known: dict[str, InterfaceBefore] = {}
    planned = (instance.scope("before") or {}).get("network")
    networks: tuple[NetworkBefore | None, ...] = (instance.before_state("network"), planned)
    for network in networks:
        known |= (network["interfaces"] or {}) if network else {}
    return known


def _as_known(interface: Interface, known: Mapping[str, InterfaceBefore]) -> Interface:
    """Returns an interface with the task that Amazon ECS said it is of, or as a local one, as
    planning has found out.
    """
    managed = known.get(interface.id, {}).get("managed", "")
    if interface.managed or not managed.startswith((OF_TASK, LOCAL)):
        return interface
    return interface._replace(managed=managed)


def looking(instance: InstanceContext) -> tuple[str, ...]:
    """Returns the actions that ``look`` needs."""
    return (*LOOK, *LISTS) if instance.uses_endpoints else LOOK


def _sort_group(instance: InstanceContext, current: InstanceState, group: AwsAnswer) -> None:
    id = group["GroupId"]
    if instance.own_groups.get(group["VpcId"]) == id or instance.owns(group, QUARANTINE):
        current.quarantine_groups[id] = group
    elif instance.owns(group, UNTRACK):
        current.flush_groups[id] = group


def choose_group(
    instance: InstanceContext, current: InstanceState, vpc: str, refused: Collection[str] = ()
) -> AwsAnswer | None:
    """Returns the quarantine group to use in a VPC: one without rules, else one of containment's
    own that can be emptied. A configured group comes first, and is never edited: with rules it is
    not used. None: one has to be made.

    ``refused``: the IDs of groups that could not be emptied.
    """
    own_group = instance.own_groups.get(vpc)
    usable = [
        (
            bool(open_rules(instance, current, group)),
            id != own_group,
            group.get("GroupName", ""),
            id,
        )
        for id, group in current.quarantine_groups.items()
        if group["VpcId"] == vpc and id not in refused
    ]
    usable = [each for each in usable if each[1] or not each[0]]
    return current.quarantine_groups[min(usable)[-1]] if usable else None


def only_instance(instance: InstanceContext, got: AwsAnswer | Exception) -> AwsAnswer:
    """Returns the instance of a DescribeInstances answer. Raises InstanceGone when it is gone."""
    if isinstance(got, ClientError) and error_code(got).startswith("InvalidInstanceID"):
        got = {"Reservations": []}
    found = [
        described
        for reservation in result_or_raise(got)["Reservations"]
        for described in reservation["Instances"]
    ]
    state = found[0]["State"]["Name"] if found else "unknown there"
    if state in ("terminated", "shutting-down", "unknown there"):
        where = f"account {instance.target.account_id}, {instance.target.region}"
        described = dict(found[0]) if found else {}
        raise InstanceGone(f"instance {instance.id} is {state} ({where})", described)
    return dict(found[0])


def describe(instance: InstanceContext, ec2: AwsClient) -> AwsAnswer:
    """Returns the instance as it is now. Raises InstanceGone, ClientError."""
    return only_instance(
        instance, run_all({0: partial(ec2.describe_instances, InstanceIds=[instance.id])})[0]
    )


def filters(**equals: str) -> list[Filter]:
    return [{"Name": name, "Values": [text]} for name, text in equals.items()]


def closed(instance: InstanceContext, current: InstanceState, interface: Interface) -> bool:
    """Says whether the interface has no group but one quarantine group, which has no rules, and is
    none that no group filters.
    """
    if len(interface.groups) != 1 or is_open(current, interface):
        return False
    [id] = interface.groups
    if id in current.quarantine_groups:
        return is_empty(instance, current, id)
    if "groups" not in current.read_errors:
        return False
    # The groups could not be read, and the verdict says so. The name, or the id of the configured
    # group, tells what is closed all the same.
    named = "".join(interface.names)
    return instance.is_named(named, QUARANTINE) or id == instance.own_groups.get(interface.vpc)


def is_empty(instance: InstanceContext, current: InstanceState, id: str) -> bool:
    """Says whether a group is a quarantine group without rules."""
    group = current.quarantine_groups.get(id)
    return group is not None and not open_rules(instance, current, group)


def in_own_group(instance: InstanceContext, current: InstanceState, interface: Interface) -> bool:
    """Says whether the interface is where containment puts it: in a quarantine group alone, even if
    that has rules, or in a flush group, where a containment stopped half-way.
    """
    if closed(instance, current, interface):
        return True
    return len(interface.groups) == 1 and (
        interface.groups[0] in current.quarantine_groups
        or interface.groups[0] in current.flush_groups
    )

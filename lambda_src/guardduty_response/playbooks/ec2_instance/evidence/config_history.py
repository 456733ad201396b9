"""Keeps what AWS Config recorded of the instance, its interfaces and their security groups: those
of before containment and those of now.

The response's own groups are left out, unless the instance was in them before. AWS Config still has
the history of an instance that is gone.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.target_context import allow, describe_error
from guardduty_response.evidence import config_history, config_recorders
from guardduty_response.evidence.config_history import History
from guardduty_response.evidence.config_history_records import ConfigHistoryState, Gap
from guardduty_response.evidence.items import EvidenceItem
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import QUARANTINE, UNTRACK, filters

if TYPE_CHECKING:
    from guardduty_response.aws import clients
    from guardduty_response.incident.model import EvidenceEntry
    from guardduty_response.playbooks.ec2_instance.records import NetworkBefore

NAME = "config_history"
INSTANCE = "AWS::EC2::Instance"
INTERFACE = "AWS::EC2::NetworkInterface"
GROUP = "AWS::EC2::SecurityGroup"


def run(instance: InstanceContext, before: EvidenceEntry) -> EvidenceItem:
    """Does one call's share: ``config-history/items-NNN.jsonl.gz``, at the end ``summary.json``."""
    if not config_history.days(instance):
        return config_history.switched_off()
    state = cast("ConfigHistoryState", deepcopy(before.get("state") or {}))
    session = instance.open_session(
        config_history.statement(), allow(("ec2:DescribeNetworkInterfaces",))
    )
    if "resources" not in state:
        _begin(instance, session, state)
    return History(instance, session, state, list(before.get("objects") or [])).advance()


def _begin(instance: InstanceContext, session: clients.Session, state: ConfigHistoryState) -> None:
    """Finds the resources, and what the recorder of their Region does."""
    region = instance.target.region
    interfaces, groups, unknown = _network(instance, session)
    ids = [(INSTANCE, instance.id)]
    ids += [(INTERFACE, id) for id in sorted(interfaces)]
    ids += [(GROUP, id) for id in sorted(groups)]
    named = [config_history.resource(type, id, [region]) for type, id in ids]
    state["resources"] = config_history.bounded(named)
    state["unknown"] = unknown
    types = (INSTANCE, INTERFACE, GROUP)
    state["recordings"] = {region: config_recorders.read_or_say(session, region, types)}


def _network(
    instance: InstanceContext, session: clients.Session
) -> tuple[set[str], set[str], list[Gap]]:
    """Returns the interfaces and the security groups, of before containment and of now, and what
    could not be read.
    """
    recorded = cast("NetworkBefore | None", instance.before_state("network"))
    before = recorded["interfaces"] if recorded else {}
    interfaces = set(before)
    groups = {id for interface in before.values() for id in interface.get("groups") or []}
    attached = filters(**{"attachment.instance-id": instance.id})
    try:
        answer = session.client("ec2").describe_network_interfaces(Filters=attached)
    except (ClientError, BotoCoreError) as error:
        if is_transient(error):
            raise
        command = (
            "aws ec2 describe-network-interfaces --filters"
            f" Name=attachment.instance-id,Values={instance.id} --region {instance.target.region}"
        )
        why = f"its interfaces of now could not be read ({describe_error(error)})"
        return interfaces, groups, [{"of": "", "why": why, "command": command}]
    for interface in answer["NetworkInterfaces"]:
        interfaces.add(interface["NetworkInterfaceId"])
        for group in interface.get("Groups") or []:
            if not _own(instance, str(group.get("GroupName", ""))):
                groups.add(group["GroupId"])
    return interfaces, groups, []


def _own(instance: InstanceContext, name: str) -> bool:
    return any(instance.is_named(name, kind) for kind in (QUARANTINE, UNTRACK))

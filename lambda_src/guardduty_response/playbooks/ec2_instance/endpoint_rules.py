"""Says which rules a quarantine group may have: a configured group may let out to endpoints."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.playbooks.ec2_instance.rules import prefix_lists, rules, to_endpoints

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, IpPermission
    from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
    from guardduty_response.playbooks.ec2_instance.state import InstanceState

OF_AWS = "AWS"  # the owner of a prefix list that AWS manages


def of_aws(lists: AwsAnswer) -> set[str]:
    """Returns the IDs of the prefix lists that AWS manages (DescribeManagedPrefixLists)."""
    found = lists.get("PrefixLists") or []
    return {each["PrefixListId"] for each in found if each.get("OwnerId") == OF_AWS}


def needs_lists(instance: InstanceContext, group: AwsAnswer) -> bool:
    """Says whether nothing tells what a group lets out to but who manages its prefix lists."""
    own = instance.own_groups.get(group["VpcId"]) == group["GroupId"]
    return own and bool(prefix_lists(group))


def reaches_endpoints(instance: InstanceContext, current: InstanceState) -> bool:
    """Says whether every quarantine group of the instance is a configured group that lets it to
    endpoints alone.
    """
    groups = [current.groups.get(vpc) or {} for vpc in current.vpcs]
    if not instance.endpoints or not groups:
        return False
    for group in groups:
        own = group.get("GroupId")
        if not own or instance.own_groups.get(group.get("VpcId", "")) != own:
            return False
        if not rules(group) or open_rules(instance, current, group):
            return False
    return True


def open_rules(
    instance: InstanceContext, current: InstanceState, group: AwsAnswer
) -> dict[str, IpPermission]:
    """Returns the rules that containment does not allow: all but the endpoint rules of a group
    configured for forensics.
    """
    own_group = instance.own_groups.get(group.get("VpcId", ""))
    spared = instance.endpoints and own_group == group.get("GroupId")
    return rules(group, partial(to_endpoints, current.aws_lists) if spared else None)

"""Finds the local network interfaces of an instance on an AWS Outposts server. They reach the local
network of the server, and no security group filters that ("By design, the local network interface
does not use security groups in your VPC": AWS Outposts User Guide for servers, "Local network
interfaces").
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.containment.target_context import describe_error, run_all

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient
    from guardduty_response.playbooks.ec2_instance.state import InstanceState, Interface

READ = ("ec2:DescribeSubnets",)
LOCAL = "a local network interface of an Outposts server"
ITEM = "local network interfaces"  # the name of what could not be read


def find(ec2: AwsClient, current: InstanceState) -> None:
    """Marks them in ``current``, of an instance that is on an Outpost: the subnet says at which
    device index they are. Raises nothing of AWS's.
    """
    subnets = sorted({each.subnet for each in current.interfaces if each.subnet and each.device})
    if not current.instance.get("OutpostArn") or not subnets:
        return
    answer = run_all({0: partial(ec2.describe_subnets, SubnetIds=subnets)})[0]
    if isinstance(answer, Exception):
        current.read_errors[ITEM] = (
            f"{describe_error(answer)}; no security group closes one of those, which the attribute"
            f" EnableLniAtDeviceIndex of {', '.join(subnets)} tells"
        )
        return
    indices = {each["SubnetId"]: each.get("EnableLniAtDeviceIndex") for each in answer["Subnets"]}
    current.interfaces = [
        _marked(interface, indices.get(interface.subnet)) for interface in current.interfaces
    ]


def _marked(interface: Interface, index: int | None) -> Interface:
    """Returns the interface as the subnet's device index tells. What planning knew may be over."""
    if interface.device and interface.device == index:
        return interface._replace(managed=LOCAL)
    return interface._replace(managed="") if is_local(interface) else interface


def is_local(interface: Interface) -> bool:
    """Tells whether an interface is one."""
    return interface.managed == LOCAL


def is_open(current: InstanceState, interface: Interface) -> bool:
    """Tells whether an interface is one, and the instance may use it."""
    state = (current.instance.get("State") or {}).get("Name")
    return is_local(interface) and state != "stopped"


def way_out(id: str, interface: str, region: str) -> str:
    """Says what ends the traffic of an instance's (``id``) local network interface."""
    return (
        "no security group filters it, and it stays open to the local network. Way out: detach it,"
        f" with the attachment that `aws ec2 describe-network-interfaces --network-interface-ids"
        f" {interface} --region {region}` shows: `aws ec2 detach-network-interface --force"
        f" --attachment-id ATTACHMENT --region {region}`; or stop the instance: `aws ec2"
        f" stop-instances --instance-ids {id} --region {region}`"
    )

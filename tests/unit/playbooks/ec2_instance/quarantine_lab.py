"""Security groups as the tests of the quarantine need them: the response's own, and others."""

from __future__ import annotations

from typing import Any

from tests.unit.playbooks.ec2_instance.ec2_lab import PREFIX, Lab

QUARANTINE, UNTRACK = f"{PREFIX}-quarantine", f"{PREFIX}-untrack"
OPEN: list[Any] = [
    {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
        "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
    }
]


def make_group(
    lab: Lab,
    name: str = QUARANTINE,
    kind: str = "quarantine",
    rules: bool = False,
) -> str:
    """Makes a security group in the lab's VPC, and returns its ID.

    ``kind``: the value of the response's tag; "" for a group of somebody else's. ``rules``: whether
    it keeps the rule that EC2 gives every group.
    """
    ec2, tags = lab.see("ec2"), [{"Key": PREFIX, "Value": kind}] if kind else []
    specified = [{"ResourceType": "security-group", "Tags": tags}] if tags else []
    id = str(
        ec2.create_security_group(
            GroupName=name,
            Description="made by a test",
            VpcId=lab.ids["vpc"],
            TagSpecifications=specified,
        )["GroupId"]
    )
    if not rules:
        empty(lab, id)
    return id


def described(lab: Lab, id: str) -> Any:
    [found] = lab.see("ec2").describe_security_groups(GroupIds=[id])["SecurityGroups"]
    return found


def empty(lab: Lab, id: str) -> None:
    """Takes every rule off a group."""
    ec2, group = lab.see("ec2"), described(lab, id)
    if group["IpPermissions"]:
        ec2.revoke_security_group_ingress(GroupId=id, IpPermissions=group["IpPermissions"])
    if group["IpPermissionsEgress"]:
        ec2.revoke_security_group_egress(GroupId=id, IpPermissions=group["IpPermissionsEgress"])


def let_in(lab: Lab, id: str) -> None:
    """Opens a group to everybody."""
    lab.see("ec2").authorize_security_group_ingress(GroupId=id, IpPermissions=OPEN)


def ids_of_groups(lab: Lab) -> list[list[str]]:
    """Returns the IDs of the groups of each attached interface."""
    attached = [{"Name": "attachment.instance-id", "Values": [lab.ids["instance"]]}]
    found = lab.see("ec2").describe_network_interfaces(Filters=attached)["NetworkInterfaces"]
    return [[group["GroupId"] for group in interface["Groups"]] for interface in found]


def put_into(lab: Lab, id: str) -> None:
    """Puts every attached interface into a group alone."""
    for interface in lab.groups():
        lab.see("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[id])


def text_of(lab: Lab, action: str = "quarantine_network") -> str:
    """Returns the line of an action in the action log."""
    return str(lab.stored_record()["actions"][action]["detail"])

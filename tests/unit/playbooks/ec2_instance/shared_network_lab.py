"""What moto has not of networks: VPCs that accounts share, trunk interfaces with their branches."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from moto.ec2.models import ec2_backends
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupBackend

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, REGION, Lab
from tests.unit.playbooks.ec2_instance.quarantine_lab import empty, let_in, make_group
from tests.unit.playbooks.ec2_instance.trunk_moto import ASSOCIATIONS

OTHER = "333333333333"
EKS_TRUNK, EKS_BRANCH = "aws-k8s-trunk-eni", "aws-k8s-branch-eni"


def group_of_other_account(
    lab: Lab, name: str, monkeypatch: pytest.MonkeyPatch, tagged: bool = False
) -> str:
    """Creates a participant's group in a VPC that this account owns and shares. The owner sees it;
    each account has names of its own. Returns its id.
    """
    id = make_group(
        lab,
        name,
        kind="quarantine" if tagged else "",
        rules=True,
    )
    theirs = ec2_backends[MEMBER][REGION].get_security_group_from_id(id)
    assert theirs is not None
    theirs.owner_id = OTHER
    by_name = SecurityGroupBackend.get_security_group_from_name

    def own_by_name(
        backend: SecurityGroupBackend, name: str, vpc_id: str | None = None
    ) -> SecurityGroup | None:
        found = by_name(
            backend,
            name,
            vpc_id,
        )
        return None if found is not None and found.owner_id == OTHER else found

    monkeypatch.setattr(
        SecurityGroupBackend,
        "get_security_group_from_name",
        own_by_name,
    )
    return id


def share_group(lab: Lab, name: str, monkeypatch: pytest.MonkeyPatch, rules: bool = False) -> str:
    """Creates a group that another account shares with this one. Returns its id."""
    id = group_of_other_account(
        lab,
        name,
        monkeypatch,
    )
    if not rules:
        empty(lab, id)
    return id


def give_away(interface: str) -> None:
    """Makes an attached interface another account's, which let this one attach it."""
    _node(interface).owner = OTHER


def attach_trunk(lab: Lab, index: int = 1, description: str = EKS_TRUNK) -> str:
    """Attaches a trunk interface, as Amazon EKS or ECS does; returns its id."""
    trunk = lab.attach(index)
    node = _node(trunk)
    node.interface_type, node.description = "trunk", description
    return trunk


def add_branch(lab: Lab, trunk: str, subnet: str = "", description: str = EKS_BRANCH) -> str:
    """Gives a pod a branch interface: it is attached to the trunk, and AWS shows no attachment.

    ``trunk``: which the tag names; "" for a branch without the tag.
    """
    tags = [{"Key": "eks:eni:owner", "Value": "eks-vpc-resource-controller"}]
    if trunk:
        tags.append({"Key": "vpcresources.k8s.aws/trunk-eni-id", "Value": trunk})
    branch = str(
        lab.see("ec2").create_network_interface(
            SubnetId=subnet or lab.ids["subnet"],
            Groups=[lab.ids["group"]],
            Description=description,
            TagSpecifications=[{"ResourceType": "network-interface", "Tags": tags}],
        )["NetworkInterface"]["NetworkInterfaceId"]
    )
    _node(branch).interface_type = "branch"
    return branch


def add_subnet(lab: Lab, block: str = "10.0.2.0/24") -> str:
    """Makes another subnet in the lab's VPC; returns its id."""
    made = lab.see("ec2").create_subnet(VpcId=lab.ids["vpc"], CidrBlock=block)
    return str(made["Subnet"]["SubnetId"])


class Network(NamedTuple):
    """A VPC with one subnet and one group: their IDs."""

    vpc: str
    subnet: str
    group: str


def add_vpc(lab: Lab) -> Network:
    """Makes another VPC, with a group that lets everybody in."""
    ec2 = lab.see("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"]
    made = ec2.create_security_group(
        GroupName="appliance",
        Description="appliance",
        VpcId=vpc,
    )
    let_in(lab, made["GroupId"])
    return Network(
        vpc,
        subnet,
        made["GroupId"],
    )


def show_associations(lab: Lab, trunks: dict[str, str]) -> None:
    """Lets the response see associations, one on each page. ``trunks``: branch -> trunk."""
    every = [
        {"BranchInterfaceId": branch, "TrunkInterfaceId": trunk, "InterfaceProtocol": "VLAN"}
        for branch, trunk in trunks.items()
    ]

    def page(params: dict[str, Any]) -> dict[str, Any]:
        at = int(params.get("NextToken") or 0)
        more = {"NextToken": str(at + 1)} if at + 1 < len(every) else {}
        return {"InterfaceAssociations": every[at : at + 1], **more}

    lab.answers[ASSOCIATIONS] = page


def groups_of(lab: Lab, interface: str) -> list[str]:
    """Returns the names of an interface's groups, attached or not."""
    [found] = lab.see("ec2").describe_network_interfaces(NetworkInterfaceIds=[interface])[
        "NetworkInterfaces"
    ]
    return [group["GroupName"] for group in found["Groups"]]


def _node(interface: str) -> Any:
    return ec2_backends[MEMBER][REGION].enis[interface]

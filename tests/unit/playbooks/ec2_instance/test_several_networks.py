"""An instance with interfaces in several subnets, and in two VPCs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.incident.statuses import Status

from tests.unit.playbooks.ec2_instance.ec2_lab import PREFIX, Lab
from tests.unit.playbooks.ec2_instance.quarantine_lab import QUARANTINE, make_group
from tests.unit.playbooks.ec2_instance.shared_network_lab import Network, add_subnet, add_vpc


def build(lab: Lab) -> Network:
    """Builds three interfaces in two subnets, and one more in a second VPC, which it returns."""
    lab.build()
    second = add_vpc(lab)
    other = make_group(
        lab,
        "admin",
        kind="",
        rules=True,
    )
    lab.attach(
        1,
        add_subnet(lab),
        (lab.ids["group"], other),
    )
    lab.attach(2)
    lab.attach(
        3,
        second.subnet,
        (second.group,),
    )
    return second


def described(lab: Lab) -> str:
    """Returns, as text, how EC2 describes every interface, and every group but the response's."""
    ec2 = lab.see("ec2")
    interfaces: list[Any] = ec2.describe_network_interfaces()["NetworkInterfaces"]
    groups: list[Any] = ec2.describe_security_groups()["SecurityGroups"]
    found = [
        *sorted(interfaces, key=lambda each: str(each["NetworkInterfaceId"])),
        *sorted(
            (each for each in groups if not each["GroupName"].startswith(PREFIX)),
            key=lambda each: str(each["GroupId"]),
        ),
    ]
    return json.dumps(
        found,
        default=str,
        sort_keys=True,
    )


def by_network(lab: Lab) -> dict[str, set[tuple[str, ...]]]:
    """Returns VPC -> the VPCs and names of the groups of its interfaces."""
    ec2 = lab.see("ec2")
    vpcs = {
        group["GroupId"]: group["VpcId"]
        for group in ec2.describe_security_groups()["SecurityGroups"]
    }
    found: dict[str, set[tuple[str, ...]]] = {}
    for each in ec2.describe_network_interfaces()["NetworkInterfaces"]:
        groups = tuple(f"{vpcs[got['GroupId']]} {got['GroupName']}" for got in each["Groups"])
        found.setdefault(each["VpcId"], set()).add(groups)
    return found


@pytest.mark.usefixtures("full_models")  # as restore has them
@pytest.mark.parametrize("flush", [False, True])
def test_all_of_them_are_closed_verified_and_given_back(lab: Lab, flush: bool) -> None:
    lab.options["untrack_connections"] = flush
    second = build(lab)
    before = described(lab)
    target = lab.plan()
    assert set(target.scope["vpcs"]) == {lab.ids["vpc"], second.vpc}
    step = lab.respond(target)
    assert step.status is Status.CONTAINED, step.detail
    assert by_network(lab) == {
        vpc: {(f"{vpc} {QUARANTINE}",)} for vpc in (lab.ids["vpc"], second.vpc)
    }, "each is in the group of its own VPC, alone"
    checks = lab.ids["checks"]
    assert all(checks[f"interface {id}"].ok for id in lab.groups())
    assert len([name for name in checks if name.startswith("group ")]) == 2
    assert lab.restore().status is Status.RESTORED
    assert described(lab) == before


@pytest.mark.parametrize("vpc", [0, 1])
def test_one_vpc_whose_group_is_refused_keeps_no_other_open(lab: Lab, vpc: int) -> None:
    second = build(lab)
    vpcs = [lab.ids["vpc"], second.vpc]
    lab.fail(
        "CreateSecurityGroup",
        "SecurityGroupLimitExceeded",
        lambda params: params["VpcId"] == vpcs[vpc],
    )
    step = lab.respond()
    assert step.status is Status.FAILED
    closed = by_network(lab)
    assert closed[vpcs[1 - vpc]] == {(f"{vpcs[1 - vpc]} {QUARANTINE}",)}
    assert not any(QUARANTINE in text for groups in closed[vpcs[vpc]] for text in groups)

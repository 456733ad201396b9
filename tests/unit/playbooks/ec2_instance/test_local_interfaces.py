"""An instance on an AWS Outposts server: a local network interface uses no security group, so that
none closes it.
"""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.support.member_policies import in_members, member_policy, refused
from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, PREFIX, Lab
from tests.unit.playbooks.ec2_instance.finish_lab import state_of

Json = dict[str, Any]
OUTPOST = f"arn:aws:outposts:us-east-1:{MEMBER}:outpost/op-0123456789abcdef0"
QUARANTINE = f"{PREFIX}-quarantine"


def show_outpost(lab: Lab, index: int | None) -> None:
    """moto knows neither: an instance's Outpost, and the attribute of a subnet."""

    def instances(asked: Json) -> Json:
        found: Json = lab.see("ec2").describe_instances(InstanceIds=asked["InstanceIds"])
        for reservation in found["Reservations"]:
            for instance in reservation["Instances"]:
                instance["OutpostArn"] = OUTPOST
        return found

    def subnets(asked: Json) -> Json:
        assert asked["SubnetIds"] == [lab.ids["subnet"]]
        attribute = {} if index is None else {"EnableLniAtDeviceIndex": index}
        return {"Subnets": [{"SubnetId": lab.ids["subnet"], **attribute}]}

    lab.answers |= {"DescribeInstances": instances, "DescribeSubnets": subnets}


def local_of(lab: Lab) -> str:
    """Returns the ID of the interface at device index 1."""
    filters = [{"Name": "attachment.instance-id", "Values": [lab.ids["instance"]]}]
    found = lab.see("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    [id] = [each["NetworkInterfaceId"] for each in found if each["Attachment"]["DeviceIndex"] == 1]
    return str(id)


@pytest.fixture
def server(lab: Lab) -> Lab:
    """An instance with a local network interface."""
    lab.build(interfaces=2)
    show_outpost(lab, 1)
    return lab


def test_a_local_interface_is_named_and_partial(server: Lab) -> None:
    id = local_of(server)
    target = server.plan()
    said = server.ids["planned"].actions["quarantine_network"]
    assert f"{id} is a local network interface" in said
    step = server.respond(target)
    assert step.status is Status.PARTIAL
    check = server.ids["checks"][f"interface {id}"]
    assert not check.ok and check.read
    assert "is OPEN" in check.detail
    assert "aws ec2 detach-network-interface --force" in step.detail
    assert f"aws ec2 stop-instances --instance-ids {server.ids['instance']}" in step.detail
    groups = server.groups()
    assert groups.pop(id) == ["web"]
    assert list(groups.values()) == [[QUARANTINE]]


def test_the_quarantine_group_does_not_close_it(server: Lab) -> None:
    """An earlier containment, or a person, has put it there."""
    made = server.see("ec2").create_security_group(
        GroupName=QUARANTINE, Description="q", VpcId=server.ids["vpc"]
    )
    server.see("ec2").create_tags(
        Resources=[made["GroupId"]], Tags=[{"Key": PREFIX, "Value": "quarantine"}]
    )
    id = local_of(server)
    server.see("ec2").modify_network_interface_attribute(
        NetworkInterfaceId=id, Groups=[made["GroupId"]]
    )
    assert server.respond().status is Status.PARTIAL
    assert not server.ids["checks"][f"interface {id}"].ok


@pytest.mark.parametrize("index", [None, 2])
def test_an_interface_at_another_index_is_closed(lab: Lab, index: int | None) -> None:
    lab.build(interfaces=2)
    show_outpost(lab, index)
    assert lab.respond().status is Status.CONTAINED
    assert set(map(tuple, lab.groups().values())) == {(QUARANTINE,)}


def test_elsewhere_no_subnet_is_read(lab: Lab) -> None:
    lab.build(interfaces=2)
    assert lab.respond().status is Status.CONTAINED
    assert "DescribeSubnets" not in lab.operations()


@pytest.mark.parametrize("error", ["UnauthorizedOperation", "InternalError"])
def test_what_cannot_be_read_is_partial(server: Lab, error: str) -> None:
    server.fail("DescribeSubnets", error)
    step = server.respond()
    assert step.status is Status.PARTIAL
    assert "EnableLniAtDeviceIndex" in step.detail
    assert not server.ids["checks"]["local network interfaces"].read


def test_detached_it_is_contained(server: Lab) -> None:
    id = local_of(server)
    target = server.plan()
    assert server.respond(target).status is Status.PARTIAL
    ec2 = server.see("ec2")
    [found] = ec2.describe_network_interfaces(NetworkInterfaceIds=[id])["NetworkInterfaces"]
    ec2.detach_network_interface(AttachmentId=found["Attachment"]["AttachmentId"])
    assert server.verify(target._replace(verify_only=True)).status is Status.CONTAINED


def test_stopped_it_carries_nothing(server: Lab) -> None:
    target = server.plan()
    assert server.respond(target).status is Status.PARTIAL
    server.see("ec2").stop_instances(InstanceIds=[server.ids["instance"]])
    assert server.verify(target._replace(verify_only=True)).status is Status.CONTAINED
    assert (
        "while the instance is stopped"
        in server.ids["checks"][f"interface {local_of(server)}"].detail
    )


def test_the_switch_that_stops_does_what_helps(server: Lab) -> None:
    server.options |= {"finish": "stop", "snapshot": False}
    target = server.plan()
    assert server.respond(target).status is Status.PARTIAL
    server.wait(ec2_instance.finish, target._replace(scope={}))
    assert state_of(server) == "stopped"


def test_the_monitor_may_read_it(server: Lab) -> None:
    target = server.plan()
    assert server.respond(target).status is Status.PARTIAL
    server.calls.clear()
    ec2_instance.verify(server.context(), target._replace(verify_only=True, scope={}))
    calls = in_members(server.calls)
    assert "DescribeSubnets" in {call.operation for call in calls}
    assert (
        refused(
            calls,
            member_policy("ec2_instance", "monitor", MEMBER),
            MEMBER,
        )
        == []
    )

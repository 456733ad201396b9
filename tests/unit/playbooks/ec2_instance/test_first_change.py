"""The first change is the first call after AssumeRole, and what changed since the plan is seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from guardduty_response.containment.contract import Target
from guardduty_response.containment.planned_state import FRESH_SECONDS
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.playbooks.ec2_instance.ec2_lab import PREFIX, Lab

QUARANTINE = [f"{PREFIX}-quarantine"]
MODIFY = "ModifyNetworkInterfaceAttribute"


@pytest.fixture
def prepared(lab: Lab) -> Lab:
    """An instance with two interfaces, in a VPC that has the quarantine group."""
    lab.build(interfaces=2)
    ec2 = lab.see("ec2")
    group = ec2.create_security_group(
        GroupName=QUARANTINE[0], Description="quarantine", VpcId=lab.ids["vpc"]
    )["GroupId"]
    [described] = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=described["IpPermissionsEgress"])
    return lab


def _older(target: Target, seconds: float) -> Target:
    """The target as a plan made so many seconds ago has it."""
    read_at = datetime.now(UTC) - timedelta(seconds=seconds)
    return target._replace(scope={**target.scope, "read_at": read_at.isoformat()})


def _contain(lab: Lab, target: Target) -> list[str]:
    """Contains it; the calls of EC2 in the order in which they began."""
    lab.calls.clear()
    ec2_instance.contain(lab.context(), target)
    calls = sorted(lab.calls, key=lambda call: call.start)
    return [call.operation for call in calls if call.service == "ec2"]


def test_a_fresh_plan_is_recorded_and_acted_on_at_once(prepared: Lab) -> None:
    prepared.own("sts")
    target = prepared.plan()
    prepared.latency = 0.3  # far above what a busy machine adds to a call
    _contain(prepared, target)
    [assumed] = [call for call in prepared.calls if call.operation == "AssumeRole"][:1]
    closing = [call for call in prepared.calls if call.operation == MODIFY]
    assert len(closing) == 2, "each interface is closed once"
    assert all(call.end - assumed.end < 2 * prepared.latency for call in closing)
    assert set(map(tuple, prepared.groups().values())) == {tuple(QUARANTINE)}
    before = prepared.stored_record()["before"]["network"]["interfaces"]
    assert {tuple(was["groups"]) for was in before.values()} == {(prepared.ids["group"],)}
    assert prepared.actions()["quarantine_network"] == "DONE"


def test_a_plan_that_is_older_is_read_again_first(prepared: Lab) -> None:
    """Its owner has given an interface another group meanwhile: that is what was before."""
    target, ec2 = _older(prepared.plan(), FRESH_SECONDS + 1), prepared.see("ec2")
    changed = sorted(prepared.groups())[0]
    new = ec2.create_security_group(GroupName="new", Description="new", VpcId=prepared.ids["vpc"])[
        "GroupId"
    ]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=changed, Groups=[new])
    operations = _contain(prepared, target)
    assert operations.index("DescribeInstances") < operations.index(MODIFY)
    before = prepared.stored_record()["before"]["network"]["interfaces"]
    assert before[changed]["groups"] == [new]
    assert set(map(tuple, prepared.groups().values())) == {tuple(QUARANTINE)}


def test_an_interface_that_came_since_the_plan_is_closed_too(prepared: Lab) -> None:
    target = prepared.plan()
    attached = prepared.attach(2)
    _contain(prepared, target)
    assert prepared.groups()[attached] == QUARANTINE
    before = prepared.stored_record()["before"]
    assert before[f"network/{attached}"]["groups"] == [prepared.ids["group"]]


def test_an_interface_that_left_since_the_plan_is_put_back(prepared: Lab) -> None:
    target, ec2 = prepared.plan(), prepared.see("ec2")
    described = ec2.describe_network_interfaces(
        Filters=[{"Name": "attachment.instance-id", "Values": [prepared.ids["instance"]]}]
    )["NetworkInterfaces"]
    [left] = [each for each in described if each["Attachment"]["DeviceIndex"] == 1]
    ec2.detach_network_interface(AttachmentId=left["Attachment"]["AttachmentId"])
    _contain(prepared, target)
    id = left["NetworkInterfaceId"]
    [now] = ec2.describe_network_interfaces(NetworkInterfaceIds=[id])["NetworkInterfaces"]
    assert [group["GroupId"] for group in now["Groups"]] == [prepared.ids["group"]]
    detail = prepared.stored_record()["actions"]["quarantine_network"]["detail"]
    assert f"{id} is not the instance's any more, and is back in its groups" in detail


def test_what_fails_at_first_is_tried_again(prepared: Lab) -> None:
    target, tries = prepared.plan(), list[str]()

    def first_two(params: dict[str, str]) -> bool:
        tries.append(params["NetworkInterfaceId"])
        return len(tries) <= 2

    prepared.fail(MODIFY, "IncorrectState", when=first_two)
    _contain(prepared, target)
    assert set(map(tuple, prepared.groups().values())) == {tuple(QUARANTINE)}
    assert prepared.actions()["quarantine_network"] == "DONE"

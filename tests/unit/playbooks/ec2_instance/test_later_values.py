"""What appears on an instance after its first containment is contained, recorded and restored."""

from __future__ import annotations

import pytest
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.incident.statuses import Status

from tests.unit.playbooks.ec2_instance.ec2_lab import Lab
from tests.unit.playbooks.ec2_instance.restore_lab import contained, picture

pytestmark = pytest.mark.usefixtures("full_models")  # their functions have no trimmed EC2 model


def _contain_again(lab: Lab) -> None:
    assert lab.respond(lab.plan()).status is Status.CONTAINED


def _attach_volume(lab: Lab) -> None:
    ec2, id = lab.see("ec2"), lab.ids["instance"]
    [found] = ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"]
    zone = found["Placement"]["AvailabilityZone"]
    volume = ec2.create_volume(Size=8, AvailabilityZone=zone)["VolumeId"]
    ec2.attach_volume(VolumeId=volume, InstanceId=id, Device="/dev/sdf")
    mapping = {"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": True}}
    ec2.modify_instance_attribute(InstanceId=id, BlockDeviceMappings=[mapping])


def test_a_volume_is_kept_and_given_back_what_it_had(lab: Lab) -> None:
    lab.build()
    contained(lab)
    _attach_volume(lab)
    assert picture(lab)["disks"]["/dev/sdf"] is True
    _contain_again(lab)
    assert picture(lab)["disks"] == dict.fromkeys(("/dev/sda1", "/dev/sdb", "/dev/sdf"), False)
    before = lab.stored_record()["before"]
    assert before["protection/DeleteOnTermination of /dev/sdf"] is True
    assert set(before["protection"]["DeleteOnTermination"]) == {"/dev/sda1", "/dev/sdb"}
    assert lab.restore().status is Status.RESTORED
    assert picture(lab)["disks"] == dict.fromkeys(("/dev/sda1", "/dev/sdb", "/dev/sdf"), True)


def test_a_registration_is_taken_and_given_back(lab: Lab) -> None:
    lab.build(targets=True)
    contained(lab)
    elb, later = lab.see("elbv2"), {"Id": lab.ids["instance"], "Port": 4711}
    arn = elb.create_target_group(
        Name="new",
        Protocol="HTTP",
        Port=1,
        VpcId=lab.ids["vpc"],
    )["TargetGroups"][0]["TargetGroupArn"]
    lab.ids["target_groups"].append(arn)
    elb.register_targets(TargetGroupArn=arn, Targets=[later])
    _contain_again(lab)
    assert set(map(len, picture(lab)["targets"].values())) == {0}
    assert lab.restore().status is Status.RESTORED
    assert set(map(len, picture(lab)["targets"].values())) == {1}
    assert [target["Port"] for target in picture(lab)["targets"][arn]] == [4711]


def test_an_address_is_taken_and_given_back(lab: Lab) -> None:
    lab.build()
    lab.options["disassociate_elastic_ip"] = True
    contained(lab)
    ec2, [interface] = lab.see("ec2"), lab.groups()
    allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=allocation, InstanceId=lab.ids["instance"])
    _contain_again(lab)
    assert not any(picture(lab)["addresses"])
    assert lab.restore().status is Status.RESTORED
    assert picture(lab)["addresses"] == [interface]


def test_a_wider_revocation_is_recorded_and_taken_back(lab: Lab) -> None:
    lab.build()
    contained(lab)
    lab.options["revoke_sessions"] = "role"
    _contain_again(lab)
    assert set(lab.role_policies()) == {lab.deny_name(), OLDER}
    assert lab.stored_record()["before"][f"sessions/{OLDER}"] is None
    lab.options["revoke_sessions"] = "instance"
    lab.see("iam").delete_role_policy(RoleName="app", PolicyName=OLDER)
    _contain_again(lab)
    assert set(lab.role_policies()) == {lab.deny_name(), OLDER}
    assert lab.restore().status is Status.RESTORED
    assert lab.role_policies() == {}


def test_what_was_left_contained_keeps_its_first_state(lab: Lab) -> None:
    """A restore that fails for the volumes: containing anew must not record them as kept."""
    lab.build()
    before = picture(lab)
    contained(lab)
    _attach_volume(lab)
    _contain_again(lab)
    lab.fail("ModifyInstanceAttribute", "InternalFailure")
    assert lab.restore().still_contained == ["protection"]
    lab.faults.clear()
    lab.plan()
    assert lab.respond().status is Status.CONTAINED
    assert lab.restore().status is Status.RESTORED
    after = picture(lab)
    assert after["disks"].pop("/dev/sdf") is True
    assert after == before

"""Actions other than the network and the credentials: each records the state before, acts, and
fails alone.
"""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from moto.ec2.models import ec2_backends

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, MEMBER, PREFIX, REGION, Lab
from tests.unit.playbooks.ec2_instance.tags_lab import OURS, tags_of_instance, tags_of_interfaces

QUARANTINE = f"{PREFIX}-quarantine"


def attribute(lab: Lab, name: str, key: str) -> Any:
    got = lab.see("ec2").describe_instance_attribute(InstanceId=lab.ids["instance"], Attribute=name)
    return got[key]["Value"]


def disks(lab: Lab) -> list[bool]:
    found = lab.see("ec2").describe_instances(InstanceIds=[lab.ids["instance"]])
    [instance] = found["Reservations"][0]["Instances"]
    return [mapping["Ebs"]["DeleteOnTermination"] for mapping in instance["BlockDeviceMappings"]]


# -- Auto Scaling and load balancers ---------------------------------------------------------------


def test_detached_with_a_replacement(lab: Lab) -> None:
    lab.build(asg=True)
    assert lab.respond().status is Status.CONTAINED
    client = lab.see("autoscaling")
    found = client.describe_auto_scaling_instances(InstanceIds=[lab.ids["instance"]])
    assert found["AutoScalingInstances"] == []
    found = client.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])
    [group] = found["AutoScalingGroups"]
    assert group["DesiredCapacity"] == 1
    assert [described["InstanceId"] for described in group["Instances"]] != [lab.ids["instance"]]
    assert len(group["Instances"]) == 1
    assert lab.stored_record()["before"]["auto_scaling"] == {"group": "web", "state": "InService"}


def test_standby(lab: Lab) -> None:
    lab.build(asg=True)
    lab.options["auto_scaling"] = "standby"
    assert lab.respond().status is Status.CONTAINED
    (described,) = lab.see("autoscaling").describe_auto_scaling_instances(
        InstanceIds=[lab.ids["instance"]]
    )["AutoScalingInstances"]
    assert described["LifecycleState"] == "Standby"
    assert lab.actions()["standby_auto_scaling"] == "DONE"
    assert "detach_auto_scaling" not in lab.actions()


def test_detaching_refused_is_partial_with_the_fix(lab: Lab) -> None:
    lab.build(asg=True, interfaces=2)
    lab.fail("DetachInstances", "ValidationError")
    assert lab.respond().status is Status.PARTIAL
    assert set(map(tuple, lab.groups().values())) == {(QUARANTINE,)}
    line = lab.stored_record()["actions"]["detach_auto_scaling"]
    assert line["status"] == "FAILED"
    assert "aws autoscaling detach-instances" in line["detail"]
    assert "InService" in line["detail"]


def test_deregistered_with_its_ports(lab: Lab) -> None:
    lab.build(targets=True)
    assert lab.respond().status is Status.CONTAINED
    client = lab.see("elbv2")
    for arn in lab.ids["target_groups"]:
        got = client.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        assert [target for target in got if target["TargetHealth"]["State"] != "draining"] == []
    assert sorted(target["port"] for target in lab.stored_record()["before"]["target_groups"]) == [
        80,
        8080,
    ]


def test_registered_by_address(lab: Lab) -> None:
    lab.build()
    client = lab.see("elbv2")
    address = lab.see("ec2").describe_instances(InstanceIds=[lab.ids["instance"]])["Reservations"][
        0
    ]["Instances"][0]
    arn = client.create_target_group(
        Name="ip", Protocol="HTTP", Port=9000, VpcId=lab.ids["vpc"], TargetType="ip"
    )["TargetGroups"][0]["TargetGroupArn"]
    client.register_targets(
        TargetGroupArn=arn, Targets=[{"Id": address["PrivateIpAddress"], "Port": 9000}]
    )
    assert lab.respond().status is Status.CONTAINED
    assert client.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"] == []


@pytest.mark.parametrize(
    "operation",
    [
        "DescribeTargetGroups",
        "DescribeAutoScalingInstances",
        "DescribeIamInstanceProfileAssociations",
        "GetInstanceProfile",
    ],
)
def test_what_the_plan_could_not_read_contain_looks_for_again(lab: Lab, operation: str) -> None:
    lab.build(asg=True, targets=True)
    lab.fail(operation, "Throttling", times=1)
    target = lab.plan()
    lab.faults.clear()
    assert lab.respond(target).status is Status.CONTAINED
    assert lab.profiles() == [QUARANTINE]
    assert set(lab.role_policies()) == {lab.deny_name()}
    client = lab.see("autoscaling")
    found = client.describe_auto_scaling_instances(InstanceIds=[lab.ids["instance"]])
    assert found["AutoScalingInstances"] == []


@pytest.mark.parametrize(
    "operation",
    [
        "DescribeTargetHealth",
        "DescribeAutoScalingInstances",
        "GetInstanceProfile",
        "DescribeIamInstanceProfileAssociations",
        "DescribeInstanceAttribute",
    ],
)
def test_what_cannot_be_read_is_not_called_contained(lab: Lab, operation: str) -> None:
    lab.build(
        asg=True,
        targets=True,
        interfaces=2,
    )
    lab.fail(operation, "AccessDenied")
    step = lab.respond()
    assert step.status is Status.PARTIAL
    assert "could not be read (AccessDenied" in step.detail
    assert set(map(tuple, lab.groups().values())) == {(QUARANTINE,)}


def test_a_target_group_that_was_deleted_meanwhile_has_no_registration(lab: Lab) -> None:
    lab.build(targets=True)
    target = lab.plan()
    gone, kept = lab.ids["target_groups"]
    lab.see("elbv2").delete_target_group(TargetGroupArn=gone)
    assert lab.respond(target).status is Status.CONTAINED
    health = lab.see("elbv2").describe_target_health(TargetGroupArn=kept)
    assert health["TargetHealthDescriptions"] == []


# -- protection, addresses, tags -------------------------------------------------------------------


def test_protected_with_the_state_before(lab: Lab) -> None:
    lab.build()
    assert lab.respond().status is Status.CONTAINED
    assert attribute(lab, "disableApiTermination", "DisableApiTermination") is True
    assert (
        attribute(lab, "instanceInitiatedShutdownBehavior", "InstanceInitiatedShutdownBehavior")
        == "stop"
    )
    assert disks(lab) == [False, False]
    assert lab.stored_record()["before"]["protection"] == {
        "DisableApiTermination": False,
        "InstanceInitiatedShutdownBehavior": "terminate",
        "DeleteOnTermination": {"/dev/sda1": True, "/dev/sdb": True},
    }


def test_a_spot_instance_keeps_its_volumes_and_says_it_cannot_be_protected(lab: Lab) -> None:
    lab.build()
    ec2_backends[MEMBER][REGION].get_instance(lab.ids["instance"]).lifecycle = "spot"
    assert lab.respond().status is Status.CONTAINED
    assert disks(lab) == [False, False]
    assert attribute(lab, "disableApiTermination", "DisableApiTermination") is False
    assert (
        "Spot: no termination protection"
        in lab.stored_record()["actions"]["protect_instance"]["detail"]
    )


def test_elastic_ip_by_option(lab: Lab) -> None:
    lab.build(eip=True)
    assert lab.respond().status is Status.CONTAINED
    (address,) = lab.see("ec2").describe_addresses()["Addresses"]
    assert address["AssociationId"]
    lab.options["disassociate_elastic_ip"] = True
    assert lab.respond().status is Status.CONTAINED
    (address,) = lab.see("ec2").describe_addresses()["Addresses"]
    assert not address.get("AssociationId")
    assert lab.stored_record()["before"]["addresses"][0]["allocation"] == address["AllocationId"]


def test_tags(lab: Lab) -> None:
    lab.build()
    lab.respond()
    tags = lab.see("ec2").describe_instances(InstanceIds=[lab.ids["instance"]])["Reservations"][0][
        "Instances"
    ][0]["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {
        PREFIX: "quarantined",
        f"{PREFIX}-incident": INCIDENT,
    }


def test_everything_off_only_closes_the_network(lab: Lab) -> None:
    lab.build(
        interfaces=2,
        asg=True,
        targets=True,
        eip=True,
    )
    lab.options |= {
        "auto_scaling": "none",
        "deregister_targets": False,
        "protect_instance": False,
        "replace_instance_profile": False,
        "revoke_sessions": "none",
        "snapshot": False,
    }
    assert lab.respond().status is Status.CONTAINED
    assert set(map(tuple, lab.groups().values())) == {(QUARANTINE,)}
    assert lab.profiles() == ["app"]
    assert disks(lab) == [True, True]
    assert lab.see("autoscaling").describe_auto_scaling_instances(
        InstanceIds=[lab.ids["instance"]]
    )["AutoScalingInstances"]
    assert all(
        "switched off" in check.detail
        for name, check in lab.ids["checks"].items()
        if name in lab.options
    )


@pytest.mark.parametrize(
    "operation",
    [
        "ModifyInstanceAttribute",
        "CreateTags",
        "DetachInstances",
        "DeregisterTargets",
        "ReplaceIamInstanceProfileAssociation",
        "PutRolePolicy",
    ],
)
def test_each_part_fails_alone(lab: Lab, operation: str) -> None:
    lab.build(
        interfaces=2,
        ipv6=True,
        asg=True,
        targets=True,
    )
    lab.fail(operation, "AccessDenied")
    step = lab.respond()
    assert set(map(tuple, lab.groups().values())) == {(QUARANTINE,)}
    failed = [name for name, status in lab.actions().items() if status == "FAILED"]
    assert len(failed) == 1
    assert "AccessDenied" in lab.stored_record()["actions"][failed[0]]["detail"]
    assert "By hand: aws " in lab.stored_record()["actions"][failed[0]]["detail"]
    assert step.status is (Status.CONTAINED if operation == "CreateTags" else Status.PARTIAL)


def test_what_was_promised_is_what_is_done(lab: Lab) -> None:
    lab.build(
        interfaces=2,
        asg=True,
        targets=True,
    )
    target = lab.plan()
    promised = dict(lab.ids["planned"].actions)
    assert promised.pop("snapshot").startswith("one crash-consistent snapshot set of vol-")
    assert promised.pop("held_sessions").startswith("sessions that its credentials got of other")
    lab.respond(target)
    done = lab.stored_record()["actions"]
    assert done.pop("tag_denied_role app")["status"] == "DONE"  # which follows from the denial
    for name, line in done.items():
        if line["status"] == "DONE":
            assert line["detail"].startswith(promised.pop(name))
    assert promised == {}
    assert lab.ids["planned"].principals == [f"arn:aws:iam::{MEMBER}:role/app"]


def test_an_interface_that_takes_no_tag_does_not_keep_the_instance_from_having_it(lab: Lab) -> None:
    lab.build(interfaces=2)
    lab.fail(
        "CreateTags",
        "InvalidNetworkInterfaceID.NotFound",
        lambda asked: any(id.startswith("eni-") for id in asked["Resources"]),
    )
    assert lab.respond().status is Status.CONTAINED
    assert tags_of_instance(lab) == OURS
    assert lab.actions()["tag_instance"] == "FAILED"
    assert tags_of_interfaces(lab) == [[]] * 2

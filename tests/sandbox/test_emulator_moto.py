"""moto answers as EC2, Auto Scaling and Elastic Load Balancing do where the playbook looks."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from sandbox import seed
from sandbox.clients import Aws
from tests.support.patience import until

Make = Callable[..., seed.Victim]


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def quarantine(aws: Aws, vpc: str) -> str:
    ec2 = aws.client("ec2")
    name = f"q-{time.monotonic_ns()}"
    return str(
        ec2.create_security_group(
            GroupName=name,
            Description="q",
            VpcId=vpc,
        )["GroupId"]
    )


@pytest.mark.smoke
def test_the_seeded_workload_is_complete(aws: Aws) -> None:
    found = seed.instance(aws)
    shown = seed.describe(aws, found.account, found.instance)
    assert len(shown["NetworkInterfaces"]) == 2
    assert shown["IamInstanceProfile"]["Arn"] == found.instance_profile_arn
    assert len(shown["BlockDeviceMappings"]) == 2
    assert shown["State"]["Name"] == "running"
    group = aws.client("ec2").describe_security_groups(GroupIds=[found.security_group])[
        "SecurityGroups"
    ][0]
    assert group["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
    assert [r["CidrIpv6"] for p in group["IpPermissionsEgress"] for r in p["Ipv6Ranges"]] == [
        "::/0"
    ]
    health = aws.client("elbv2").describe_target_health(TargetGroupArn=found.target_group)
    assert [item["Target"]["Id"] for item in health["TargetHealthDescriptions"]] == [found.instance]


def test_groups_of_interfaces_are_read_back(aws: Aws, victim: Make) -> None:
    found = victim(interfaces=2)
    ec2 = aws.client("ec2")
    group = quarantine(aws, found.vpc)
    for interface in found.interfaces:
        ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[group])
    shown = seed.describe(aws, found.account, found.instance)
    assert [item["GroupId"] for item in shown["SecurityGroups"]] == [group]
    for item in shown["NetworkInterfaces"]:
        assert [entry["GroupId"] for entry in item["Groups"]] == [group]
    ec2.modify_network_interface_attribute(
        NetworkInterfaceId=found.interfaces[1], Groups=[found.security_group]
    )
    listed = ec2.describe_network_interfaces(NetworkInterfaceIds=found.interfaces)[
        "NetworkInterfaces"
    ]
    groups = {
        item["NetworkInterfaceId"]: [entry["GroupId"] for entry in item["Groups"]]
        for item in listed
    }
    assert groups == {found.interfaces[0]: [group], found.interfaces[1]: [found.security_group]}
    assert ec2.describe_instance_attribute(InstanceId=found.instance, Attribute="groupSet")[
        "Groups"
    ] == [{"GroupId": group}]


def test_wrong_groups_are_refused(aws: Aws, victim: Make) -> None:
    found = victim()
    ec2 = aws.client("ec2")
    interface = found.interfaces[0]
    elsewhere = quarantine(aws, seed.network(aws, ipv6=False).vpc)
    modify = ec2.modify_network_interface_attribute
    assert (
        code(lambda: modify(NetworkInterfaceId=interface, Groups=["sg-00000000000000000"]))
        == "InvalidGroup.NotFound"
    )
    assert (
        code(lambda: modify(NetworkInterfaceId=interface, Groups=[elsewhere])) == "InvalidParameter"
    )


def test_a_requester_managed_interface_cannot_be_changed(aws: Aws, victim: Make) -> None:
    found = victim(interfaces=2, requester_managed=True)
    ec2 = aws.client("ec2")
    shown = ec2.describe_network_interfaces(NetworkInterfaceIds=found.interfaces)[
        "NetworkInterfaces"
    ]
    assert {item["NetworkInterfaceId"]: item["RequesterManaged"] for item in shown} == {
        found.interfaces[0]: False,
        found.interfaces[1]: True,
    }
    modify = ec2.modify_network_interface_attribute
    assert (
        code(lambda: modify(NetworkInterfaceId=found.interfaces[1], Groups=[found.security_group]))
        == "AuthFailure"
    )


def test_branch_interfaces_are_attached_to_nothing_but_their_trunk(aws: Aws, victim: Make) -> None:
    found = victim(interfaces=1, branches=2)
    ec2 = aws.client("ec2")
    described = ec2.describe_network_interfaces
    shown = described(NetworkInterfaceIds=[*found.interfaces, *found.branches])["NetworkInterfaces"]
    kinds = {item["NetworkInterfaceId"]: item["InterfaceType"] for item in shown}
    primary, trunk = found.interfaces
    assert kinds == {
        primary: "interface",
        trunk: "trunk",
        **dict.fromkeys(found.branches, "branch"),
    }
    attached = {item["NetworkInterfaceId"] for item in shown if item.get("Attachment")}
    assert attached == {primary, trunk}
    by_tag = described(
        Filters=[{"Name": "tag:vpcresources.k8s.aws/trunk-eni-id", "Values": [trunk]}]
    )
    assert {item["NetworkInterfaceId"] for item in by_tag["NetworkInterfaces"]} == {*found.branches}


def test_instance_attributes(aws: Aws, victim: Make) -> None:
    found = victim(interfaces=2)
    ec2 = aws.client("ec2")
    modify = functools.partial(ec2.modify_instance_attribute, InstanceId=found.instance)
    modify(InstanceInitiatedShutdownBehavior={"Value": "terminate"})
    modify(InstanceInitiatedShutdownBehavior={"Value": "stop"})
    modify(DisableApiTermination={"Value": True})
    modify(BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": False}}])
    shown = seed.describe(aws, found.account, found.instance)
    assert [item["GroupId"] for item in shown["SecurityGroups"]] == [found.security_group]
    kept = {
        item["DeviceName"]: item["Ebs"]["DeleteOnTermination"]
        for item in shown["BlockDeviceMappings"]
    }
    assert kept["/dev/sdf"] is False
    for attribute, key, value in (
        ("disableApiTermination", "DisableApiTermination", True),
        ("instanceInitiatedShutdownBehavior", "InstanceInitiatedShutdownBehavior", "stop"),
    ):
        answer = ec2.describe_instance_attribute(InstanceId=found.instance, Attribute=attribute)
        assert answer[key] == {"Value": value}
    both = {
        "DisableApiTermination": {"Value": True},
        "InstanceInitiatedShutdownBehavior": {"Value": "stop"},
    }
    assert code(lambda: modify(**both)) == "InvalidParameterCombination"
    assert code(lambda: modify(Groups=[found.security_group])) == "InvalidInstanceID"
    assert (
        code(lambda: ec2.terminate_instances(InstanceIds=[found.instance]))
        == "OperationNotPermitted"
    )


def test_a_replaced_profile_shows(aws: Aws, victim: Make) -> None:
    found = victim(profile_attached=True)
    ec2 = aws.client("ec2")
    arn, _ = seed.profile(aws, found.account, f"{found.instance_profile}-next")
    find = {"Filters": [{"Name": "instance-id", "Values": [found.instance]}]}
    before = ec2.describe_iam_instance_profile_associations(**find)[
        "IamInstanceProfileAssociations"
    ][0]
    ec2.replace_iam_instance_profile_association(
        AssociationId=before["AssociationId"],
        IamInstanceProfile={"Name": f"{found.instance_profile}-next"},
    )
    after = ec2.describe_iam_instance_profile_associations(**find)[
        "IamInstanceProfileAssociations"
    ][0]
    assert after["IamInstanceProfile"]["Arn"] == arn
    assert after["AssociationId"] != before["AssociationId"]
    shown = seed.describe(aws, found.account, found.instance)["IamInstanceProfile"]
    assert shown["Arn"] == arn
    assert shown["Id"].startswith("AIPA")
    ec2.stop_instances(InstanceIds=[found.instance])
    replace = ec2.replace_iam_instance_profile_association
    wanted = {"IamInstanceProfile": {"Arn": found.instance_profile_arn}}
    assert (
        code(lambda: replace(AssociationId=after["AssociationId"], **wanted))
        == "IncorrectInstanceState"
    )
    ec2.disassociate_iam_instance_profile(AssociationId=after["AssociationId"])
    assert "IamInstanceProfile" not in seed.describe(aws, found.account, found.instance)
    ec2.associate_iam_instance_profile(InstanceId=found.instance, **wanted)
    shown = seed.describe(aws, found.account, found.instance)["IamInstanceProfile"]
    assert shown["Arn"] == found.instance_profile_arn
    assert shown["Id"].startswith("AIPA")
    unknown = {"IamInstanceProfile": {"Name": "nobody"}, "InstanceId": victim().instance}
    assert code(lambda: ec2.associate_iam_instance_profile(**unknown)) == "InvalidParameterValue"


def test_a_terminated_instance_is_bare(aws: Aws, victim: Make) -> None:
    found = victim(profile_attached=True)
    ec2 = aws.client("ec2")
    ec2.terminate_instances(InstanceIds=[found.instance])
    shown = seed.describe(aws, found.account, found.instance)
    assert shown["State"]["Name"] == "terminated"
    assert not shown["NetworkInterfaces"]
    assert not shown["SecurityGroups"]
    assert "PrivateIpAddress" not in shown
    assert not shown.get("PrivateDnsName")
    gone = functools.partial(ec2.describe_network_interfaces, NetworkInterfaceIds=found.interfaces)
    assert code(gone) == "InvalidNetworkInterfaceID.NotFound"
    wanted = {
        "IamInstanceProfile": {"Arn": found.instance_profile_arn},
        "InstanceId": found.instance,
    }
    assert code(lambda: ec2.associate_iam_instance_profile(**wanted)) == "IncorrectInstanceState"


def test_snapshots_take_a_moment(aws: Aws, victim: Make) -> None:
    found = victim()
    ec2 = aws.client("ec2")
    made = ec2.create_snapshots(InstanceSpecification={"InstanceId": found.instance})["Snapshots"]
    assert {item["State"] for item in made} == {"pending"}
    assert len(made) == 2
    assert {item["Progress"] for item in made} != {"100%"}
    names = [item["SnapshotId"] for item in made]
    done = [{"Name": "snapshot-id", "Values": names}, {"Name": "status", "Values": ["completed"]}]
    assert not ec2.describe_snapshots(Filters=done)["Snapshots"]

    def states() -> set[str]:
        return {item["State"] for item in ec2.describe_snapshots(SnapshotIds=names)["Snapshots"]}

    until(lambda: states() == {"completed"}, "the snapshots are complete")


def test_detaching_and_standby(aws: Aws, victim: Make) -> None:
    found = victim(in_asg=True, target_group=True)
    scaling = aws.client("autoscaling")
    name = found.auto_scaling_group
    group = found.target_group
    leave = {"AutoScalingGroupName": name, "InstanceIds": [found.instance]}
    assert (
        code(lambda: scaling.detach_instances(**leave, ShouldDecrementDesiredCapacity=True))
        == "ValidationError"
    )
    assert (
        code(lambda: scaling.enter_standby(**leave, ShouldDecrementDesiredCapacity=True))
        == "ValidationError"
    )
    scaling.detach_instances(**leave, ShouldDecrementDesiredCapacity=False)
    members = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])[
        "AutoScalingGroups"
    ][0]["Instances"]
    assert [item["InstanceId"] for item in members] != [found.instance]
    assert len(members) == 1
    registered = targets(aws, group)
    assert registered == [members[0]["InstanceId"]]
    assert (
        code(lambda: scaling.detach_instances(**leave, ShouldDecrementDesiredCapacity=False))
        == "ValidationError"
    )
    assert (
        code(lambda: scaling.enter_standby(**leave, ShouldDecrementDesiredCapacity=False))
        == "ValidationError"
    )
    first = members[0]["InstanceId"]
    scaling.enter_standby(
        AutoScalingGroupName=name, InstanceIds=[first], ShouldDecrementDesiredCapacity=False
    )
    assert first not in targets(aws, group)


def targets(aws: Aws, group: str | None) -> list[str]:
    health = aws.client("elbv2").describe_target_health(TargetGroupArn=group)[
        "TargetHealthDescriptions"
    ]
    return [item["Target"]["Id"] for item in health]


def test_a_deregistered_target_stays_out(aws: Aws, victim: Make) -> None:
    found = victim(in_asg=True, target_group=True)
    balancing = aws.client("elbv2")
    out = {"TargetGroupArn": found.target_group, "Targets": [{"Id": found.instance}]}
    balancing.deregister_targets(**out)
    balancing.deregister_targets(**out)
    scaling = aws.client("autoscaling")
    scaling.set_desired_capacity(AutoScalingGroupName=found.auto_scaling_group, DesiredCapacity=2)
    assert found.instance not in targets(aws, found.target_group)
    assert len(targets(aws, found.target_group)) == 1


def test_instances_of_a_group_have_the_templates_profile(aws: Aws, victim: Make) -> None:
    found = victim(in_asg=True, profile_attached=True)
    shown = seed.describe(aws, found.account, found.instance)
    assert shown["IamInstanceProfile"]["Arn"] == found.instance_profile_arn


def test_the_organization_is_the_one_of_the_condition_key(aws: Aws) -> None:
    known = aws.client("organizations").describe_organization()["Organization"]
    assert known["Id"] == "o-sandbox001"
    assert known["MasterAccountId"] == "999999999999"
    assert (
        known == aws.client("organizations", "999999999999").describe_organization()["Organization"]
    )


def test_the_instances_of_a_profile_are_found(aws: Aws, victim: Make) -> None:
    found = victim(profile_attached=True)
    other = victim(profile_attached=True)
    wanted = [{"Name": "iam-instance-profile.arn", "Values": [found.instance_profile_arn]}]
    groups = aws.client("ec2").describe_instances(Filters=wanted)["Reservations"]
    assert (
        [instance["InstanceId"] for group in groups for instance in group["Instances"]]
        == [found.instance]
        != [other.instance]
    )

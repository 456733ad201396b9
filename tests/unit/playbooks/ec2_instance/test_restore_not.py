"""What restore does not bring back and why, and what somebody else changed since: left alone and
said.
"""

from __future__ import annotations

import json

import pytest
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.links import link
from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, PREFIX, Lab
from tests.unit.playbooks.ec2_instance.restore_lab import changes, contained, picture

pytestmark = pytest.mark.usefixtures("full_models")  # their functions have no trimmed EC2 model

QUARANTINE = f"{PREFIX}-quarantine"


# -- what does not come back -----------------------------------------------------------------------


def test_a_deleted_group_keeps_its_interface_closed(lab: Lab) -> None:
    lab.build(interfaces=2)
    ec2 = lab.see("ec2")
    extra = ec2.create_security_group(
        GroupName="extra",
        Description="x",
        VpcId=lab.ids["vpc"],
    )["GroupId"]
    last = sorted(lab.groups())[-1]
    ec2.modify_network_interface_attribute(
        NetworkInterfaceId=last, Groups=[lab.ids["group"], extra]
    )
    contained(lab)
    ec2.delete_security_group(GroupId=extra)
    got = lab.restore()
    assert got.status is Status.RESTORE_PARTIAL
    [text] = got.not_restored
    assert f"{last} stays in quarantine: its security group {extra} no longer exists" in text
    assert (
        f"aws ec2 modify-network-interface-attribute --network-interface-id {last} --groups"
        f" {lab.ids['group']} GROUP" in text
    )
    assert lab.groups() == {id: [QUARANTINE] if id == last else ["web"] for id in lab.groups()}
    assert (lab.actions()["restore_network"], got.still_contained) == (
        "FAILED",
        [f"network/{last}"],
    )


def test_an_interface_that_is_gone_is_said(lab: Lab) -> None:
    lab.build(interfaces=2)
    contained(lab)
    ec2 = lab.see("ec2")
    attached = ec2.describe_network_interfaces(NetworkInterfaceIds=list(lab.groups()))[
        "NetworkInterfaces"
    ]
    # the first cannot be detached
    [shown] = [interface for interface in attached if interface["Attachment"]["DeviceIndex"] == 1]
    last = shown["NetworkInterfaceId"]
    ec2.detach_network_interface(AttachmentId=shown["Attachment"]["AttachmentId"], Force=True)
    got = lab.restore()
    assert got.status is Status.RESTORE_PARTIAL
    assert f"{last} is no longer attached" in got.not_restored[0]
    assert list(lab.groups().values()) == [["web"]]


@pytest.mark.parametrize(
    ("fate", "said"), [("taken", "is not free: it is on"), ("released", "was released")]
)
def test_an_address_that_is_not_free(lab: Lab, fate: str, said: str) -> None:
    lab.build(eip=True)
    lab.options["disassociate_elastic_ip"] = True
    contained(lab)
    ec2 = lab.see("ec2")
    [address] = ec2.describe_addresses()["Addresses"]
    if fate == "released":
        ec2.release_address(AllocationId=address["AllocationId"])
    else:
        other = ec2.create_network_interface(SubnetId=lab.ids["subnet"])["NetworkInterface"][
            "NetworkInterfaceId"
        ]
        ec2.associate_address(AllocationId=address["AllocationId"], NetworkInterfaceId=other)
    got = lab.restore()
    assert (got.status, "AssociateAddress" in changes(lab)) == (Status.RESTORE_PARTIAL, False)
    assert said in got.not_restored[0]


@pytest.mark.parametrize("fate", ["deleted", "another role"])
def test_a_profile_that_is_not_what_it_was_is_not_given(lab: Lab, fate: str) -> None:
    lab.build()
    contained(lab)
    iam = lab.see("iam")
    iam.remove_role_from_instance_profile(InstanceProfileName="app", RoleName="app")
    if fate == "deleted":
        iam.delete_instance_profile(InstanceProfileName="app")
    else:
        iam.create_role(RoleName="admin", AssumeRolePolicyDocument="{}")
        iam.add_role_to_instance_profile(InstanceProfileName="app", RoleName="admin")
    got = lab.restore()
    assert (got.status, lab.profiles(), lab.actions()["restore_profile"]) == (
        Status.RESTORE_PARTIAL,
        [QUARANTINE],
        "FAILED",
    )
    assert (
        "no longer exists" if fate == "deleted" else "role/admin now, and held"
    ) in got.not_restored[0]
    assert "aws ec2 replace-iam-instance-profile-association" in got.not_restored[0]


def test_older_sessions_that_an_earlier_release_denied_stay_dead(lab: Lab) -> None:
    """It recorded nothing of who else needs it."""
    lab.build()
    lab.options["revoke_sessions"] = "role"
    contained(lab)
    lab.forget_entries()
    got = lab.restore()
    assert got.status is Status.RESTORE_PARTIAL
    assert OLDER in lab.role_policies()
    assert "stay dead by design" in got.not_restored[0]
    assert (
        "aws iam delete-role-policy --role-name app --policy-name AWSRevokeOlderSessions"
        in got.not_restored[0]
    )
    assert lab.actions()["restore_sessions"] == "DONE"


def test_a_deleted_target_group(lab: Lab) -> None:
    lab.build(targets=True)
    contained(lab)
    lab.see("elbv2").delete_target_group(TargetGroupArn=lab.ids["target_groups"].pop())
    got = lab.restore()
    assert (got.status, len(got.not_restored)) == (Status.RESTORE_PARTIAL, 1)
    assert "target group api no longer exists" in got.not_restored[0]
    assert len(picture(lab)["targets"][lab.ids["target_groups"][0]]) == 1


def test_a_stopped_instance_is_not_started(lab: Lab) -> None:
    lab.build()
    lab.options["finish"] = "stop"
    target = contained(lab)
    lab.record.action(
        INCIDENT,
        "ec2_instance",
        lab.ids["instance"],
        "snapshot",
        "DONE",
        "as the collector writes it",
    )
    lab.wait(ec2_instance.finish, target)
    got = lab.restore()
    assert (got.status, lab.profiles()) == (Status.RESTORE_PARTIAL, ["app"])
    assert f"aws ec2 start-instances --instance-ids {lab.ids['instance']}" in got.not_restored[0]


def test_an_instance_that_is_gone_leaves_its_role_as_it_was(lab: Lab) -> None:
    lab.build()
    lab.options["protect_instance"] = False
    contained(lab)
    lab.see("ec2").terminate_instances(InstanceIds=[lab.ids["instance"]])
    got = lab.restore()
    assert (got.status, lab.role_policies()) == (Status.GONE, {})
    assert any("the instance no longer exists" in text for text in got.not_restored)


def test_a_refusal_is_told_with_the_command_and_touches_nothing_else(lab: Lab) -> None:
    lab.build(interfaces=2, targets=True)
    before = picture(lab)
    contained(lab)
    lab.fail("DeleteRolePolicy", "AccessDenied")
    got = lab.restore()
    assert (got.status, got.still_contained) == (Status.RESTORE_PARTIAL, ["sessions"])
    assert "failed (AccessDenied: injected)" in got.not_restored[0]
    assert "aws iam delete-role-policy --role-name app" in got.not_restored[0]
    assert {name for name, value in picture(lab).items() if value != before[name]} == {"policies"}


def test_a_change_that_is_not_seen_afterwards_is_not_claimed(lab: Lab) -> None:
    lab.build()
    contained(lab)

    def failed_checks() -> None:
        group = lab.group()["GroupId"]
        lab.see("ec2").modify_network_interface_attribute(
            NetworkInterfaceId=next(iter(lab.groups())), Groups=[group]
        )

    lab.hooks.append(
        (
            "ModifyNetworkInterfaceAttribute",
            lambda: lab.hooks.append(("DescribeNetworkInterfaces", failed_checks)),
        )
    )
    got = lab.restore()
    assert got.status is Status.RESTORE_PARTIAL
    assert "not to be seen on reading back" in got.not_restored[0]


# -- somebody else's changes -----------------------------------------------------------------------


def test_what_somebody_changed_since_is_left_alone(lab: Lab) -> None:
    lab.build(interfaces=2)
    contained(lab)
    ec2, iam, id = lab.see("ec2"), lab.see("iam"), lab.ids["instance"]
    first = sorted(lab.groups())[0]
    mine = ec2.create_security_group(
        GroupName="forensics",
        Description="x",
        VpcId=lab.ids["vpc"],
    )["GroupId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=first, Groups=[mine])
    iam.create_instance_profile(InstanceProfileName="forensics")
    [old] = ec2.describe_iam_instance_profile_associations(
        Filters=[{"Name": "instance-id", "Values": [id]}]
    )["IamInstanceProfileAssociations"]
    ec2.replace_iam_instance_profile_association(
        AssociationId=old["AssociationId"], IamInstanceProfile={"Name": "forensics"}
    )
    other = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
            }
        ],
    }
    iam.put_role_policy(
        RoleName="app",
        PolicyName=lab.deny_name(),
        PolicyDocument=json.dumps(other),
    )
    ec2.create_tags(Resources=[id], Tags=[{"Key": PREFIX, "Value": "under investigation"}])
    ec2.modify_instance_attribute(
        InstanceId=id, Attribute="instanceInitiatedShutdownBehavior", Value="stop"
    )
    got = lab.restore()
    assert got.status is Status.RESTORE_PARTIAL
    assert lab.groups()[first] == ["forensics"]
    assert lab.profiles() == ["forensics"]
    assert lab.role_policies() == {lab.deny_name(): other}
    assert {"Key": PREFIX, "Value": "under investigation"} in picture(lab)["tags"]
    assert len(got.not_restored) == 4
    assert all("somebody changed it since, left as it is" in text for text in got.not_restored)
    assert got.still_contained == []
    assert [group for id, group in lab.groups().items() if id != first] == [["web"]]


def test_a_later_incident_shares_the_containment(lab: Lab) -> None:
    """The second finds it contained and joins: restoring either restores the instance."""
    lab.build(interfaces=2)
    before = picture(lab)
    target, second = contained(lab), "inc-fedcba9876543210"
    joined = link(
        lab.record,
        second,
        target,
        "ec2_instance",
        target.id,
    )
    assert joined.generation == target.generation
    held = picture(lab)
    ec2_instance.contain(lab.context(incident=second), joined)
    assert picture(lab) == held
    assert lab.restore(second).status is Status.RESTORED
    assert picture(lab) == before

"""Restore: what comes back, what does not and why, what is left alone, and that it is safe to repeat."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ec2_lab import INCIDENT, MEMBER, PREFIX, REGION, Lab
from guardduty_response.playbooks import Target, ec2_instance
from guardduty_response.playbooks.ec2_instance import restore as restoring
from guardduty_response.playbooks.ec2_instance.credentials import OLDER, deny_document
from guardduty_response.statuses import Status
from moto.autoscaling.models import autoscaling_backends

QUARANTINE, DENY = f"{PREFIX}-quarantine", f"{PREFIX}-deny-"
CHANGES = (
    "ModifyNetworkInterfaceAttribute", "ModifyInstanceAttribute", "ReplaceIamInstanceProfileAssociation", "AssociateAddress",
    "AssociateIamInstanceProfile", "DisassociateIamInstanceProfile", "DeleteRolePolicy", "PutRolePolicy", "RegisterTargets",
    "AttachInstances", "ExitStandby", "CreateTags", "DeleteTags",
)  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "PAUSE_SECONDS", 0)


def picture(lab: Lab) -> dict[str, Any]:
    """Everything about the instance that containment may change, read with other eyes."""
    ec2, id = lab.see("ec2"), lab.ids["instance"]
    shown = ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0]
    attributes = {
        name: ec2.describe_instance_attribute(InstanceId=id, Attribute=name)[name[0].upper() + name[1:]]["Value"]
        for name in ("disableApiTermination", "instanceInitiatedShutdownBehavior")
    }
    health = {
        arn: [one["Target"] for one in lab.see("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]]
        for arn in lab.ids.get("target_groups", [])
    }
    scaling = lab.see("autoscaling").describe_auto_scaling_instances(InstanceIds=[id])["AutoScalingInstances"]
    # moto: an address associated with an interface does not show the instance it is attached to.
    addresses = ec2.describe_addresses()["Addresses"]
    return {
        "groups": lab.groups(), "profile": lab.profiles(), "policies": lab.role_policies(), "attributes": attributes,
        "disks": {one["DeviceName"]: one["Ebs"]["DeleteOnTermination"] for one in shown["BlockDeviceMappings"]},
        "tags": shown.get("Tags", []), "targets": health, "addresses": [one.get("NetworkInterfaceId") for one in addresses],
        "scaling": [(one["AutoScalingGroupName"], one["LifecycleState"]) for one in scaling],
    }  # fmt: skip


def changes(lab: Lab) -> list[str]:
    return [name for name in lab.operations() if name in CHANGES]


def contained(lab: Lab) -> Target:
    target = lab.plan()
    assert lab.respond(target).status is Status.CONTAINED
    return target


# -- what comes back --------------------------------------------------------------------------------------------------


def test_everything_is_as_it_was(lab: Lab) -> None:
    lab.build(interfaces=3, ipv6=True, targets=True, eip=True)
    lab.options["disassociate_elastic_ip"] = True
    before = picture(lab)
    contained(lab)
    assert {name for name, value in picture(lab).items() if value != before[name]} == set(before) - {"scaling"}
    lab.calls.clear()
    got = lab.restore()
    assert picture(lab) == before
    assert (got.status, got.not_restored, got.still_contained) == (Status.RESTORED, [], [])
    assert all(check.ok for check in got.checks)
    lines = {name: status for name, status in lab.actions().items() if name.startswith("restore_")}
    assert lines == dict.fromkeys(
        ["restore_network", "restore_addresses", "restore_profile", "restore_sessions", "restore_protection",
         "restore_target_groups", "restore_tags"], "DONE")  # fmt: skip
    assert lab.ledger()["actions"]["restore_network"]["detail"].count("out of quarantine, back in") == 3
    assert lab.actions()["quarantine_network"] == "DONE", "what was done stays in the ledger"
    last_change = max(n for n, name in enumerate(lab.operations()) if name in CHANGES)
    assert "DescribeNetworkInterfaces" in lab.operations()[last_change:], "read back afterwards"


def test_a_second_restore_changes_nothing(lab: Lab) -> None:
    lab.build(interfaces=2, targets=True)
    before = picture(lab)
    contained(lab)
    lab.restore()
    lab.calls.clear()
    got = lab.restore()
    assert (got.status, changes(lab)) == (Status.RESTORED, [])
    assert picture(lab) == before
    assert lab.actions()["restore_network"] == "DONE", "the first one's line stands"


def test_a_registration_that_auto_scaling_took_first_is_restored(lab: Lab) -> None:
    """Detaching deregisters too, side by side: what the plan saw is recorded, whoever was faster."""
    lab.build(targets=True)
    before = picture(lab)
    target = lab.plan()
    for arn in lab.ids["target_groups"]:
        lab.see("elbv2").deregister_targets(TargetGroupArn=arn, Targets=[{"Id": target.id}])
    lab.respond(target)
    assert "DeregisterTargets" not in lab.operations()
    assert lab.restore().status is Status.RESTORED
    assert picture(lab) == before


def test_only_what_was_changed_is_restored(lab: Lab) -> None:
    """Half contained: two parts failed, one was never reached."""
    lab.build(targets=True)
    before = picture(lab)
    target = lab.plan()
    lab.fail("ReplaceIamInstanceProfileAssociation", "UnauthorizedOperation")
    lab.fail("DeregisterTargets", "AccessDenied")
    lab.options["protect_instance"] = False
    lab.respond(target)
    lab.faults.clear()
    lab.calls.clear()
    got = lab.restore()
    assert (got.status, picture(lab)) == (Status.RESTORED, before)
    assert "protection" not in str(got.done)
    assert not {"ReplaceIamInstanceProfileAssociation", "RegisterTargets", "ModifyInstanceAttribute"} & set(changes(lab))
    assert (lab.actions()["restore_profile"], lab.actions()["restore_target_groups"]) == ("ALREADY", "ALREADY")


def test_nothing_recorded_nothing_done(lab: Lab) -> None:
    lab.build()
    lab.plan()
    got = lab.restore()
    assert (got.status, got.restored, changes(lab)) == (Status.RESTORED, [], [])


@pytest.mark.parametrize("state", ["stopped", "running"])
def test_profile_of_a_stopped_instance(lab: Lab, state: str) -> None:
    lab.build(stopped=state == "stopped")
    contained(lab)
    lab.calls.clear()
    assert lab.restore().status is Status.RESTORED
    assert lab.profiles() == ["app"]
    two = ["DisassociateIamInstanceProfile", "AssociateIamInstanceProfile"]
    assert [n for n in changes(lab) if "Profile" in n] == (
        two if state == "stopped" else ["ReplaceIamInstanceProfileAssociation"]
    )


def test_a_profile_taken_and_not_given_is_given_the_next_time(lab: Lab) -> None:
    lab.build(stopped=True)
    contained(lab)
    lab.fail("AssociateIamInstanceProfile", "InternalFailure")
    got = lab.restore()
    assert (got.status, lab.profiles(), lab.actions()["restore_profile"]) == (Status.RESTORE_PARTIAL, [], "FAILED")
    assert "aws ec2" in lab.ledger()["actions"]["restore_profile"]["detail"]
    lab.faults.clear()
    assert (lab.restore().status, lab.profiles()) == (Status.RESTORED, ["app"])


def test_a_policy_that_was_there_before_is_put_back(lab: Lab) -> None:
    lab.build()
    name = DENY + lab.ids["instance"]
    own = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
    lab.see("iam").put_role_policy(RoleName="app", PolicyName=name, PolicyDocument=json.dumps(own))
    contained(lab)
    assert lab.role_policies() == {name: deny_document(lab.ids["instance"])}
    assert lab.restore().status is Status.RESTORED
    assert lab.role_policies() == {name: own}


def test_tags_that_were_there_before_are_put_back(lab: Lab) -> None:
    lab.build()
    lab.see("ec2").create_tags(Resources=[lab.ids["instance"]], Tags=[{"Key": PREFIX, "Value": "ask"}])
    contained(lab)
    assert lab.restore().status is Status.RESTORED
    assert picture(lab)["tags"] == [{"Key": PREFIX, "Value": "ask"}]


# -- Auto Scaling -----------------------------------------------------------------------------------------------------


def test_auto_scaling_is_left_to_a_person(lab: Lab) -> None:
    lab.build(asg=True)
    contained(lab)
    got = lab.restore()
    assert (got.status, got.still_contained) == (Status.RESTORE_PARTIAL, ["auto_scaling"])
    [text] = got.not_restored
    assert "reattach_auto_scaling is off" in text
    assert f"aws autoscaling attach-instances --instance-ids {lab.ids['instance']} --auto-scaling-group-name web" in text
    assert lab.actions()["restore_auto_scaling"] == "SKIPPED"
    lab.options["reattach_auto_scaling"] = True
    got = lab.restore()
    assert (got.status, got.not_restored) == (Status.RESTORED, [])
    assert picture(lab)["scaling"] == [("web", "InService")]


def test_standby_is_left_when_opted_in(lab: Lab) -> None:
    lab.build(asg=True)
    lab.options |= {"auto_scaling": "standby", "reattach_auto_scaling": True}
    contained(lab)
    assert picture(lab)["scaling"] == [("web", "Standby")]
    assert lab.restore().status is Status.RESTORED
    assert picture(lab)["scaling"] == [("web", "InService")]
    assert "ExitStandby" in lab.operations() and "AttachInstances" not in lab.operations()


def test_no_room_in_the_auto_scaling_group(lab: Lab) -> None:
    lab.build(asg=True)
    lab.options["reattach_auto_scaling"] = True
    contained(lab)
    lab.fail("AttachInstances", "ValidationError")
    got = lab.restore()
    assert (got.status, lab.actions()["restore_auto_scaling"]) == (Status.RESTORE_PARTIAL, "FAILED")
    assert autoscaling_backends[MEMBER][REGION]


# -- what does not come back ------------------------------------------------------------------------------------------


def test_a_deleted_group_keeps_its_interface_closed(lab: Lab) -> None:
    lab.build(interfaces=2)
    ec2 = lab.see("ec2")
    extra = ec2.create_security_group(GroupName="extra", Description="x", VpcId=lab.ids["vpc"])["GroupId"]
    last = sorted(lab.groups())[-1]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=last, Groups=[lab.ids["group"], extra])
    contained(lab)
    ec2.delete_security_group(GroupId=extra)
    got = lab.restore()
    assert got.status is Status.RESTORE_PARTIAL
    [text] = got.not_restored
    assert f"{last} stays in quarantine: its security group {extra} no longer exists" in text
    assert f"aws ec2 modify-network-interface-attribute --network-interface-id {last} --groups {lab.ids['group']} GROUP" in text
    assert lab.groups() == {id: [QUARANTINE] if id == last else ["web"] for id in lab.groups()}
    assert (lab.actions()["restore_network"], got.still_contained) == ("FAILED", [f"network/{last}"])


def test_an_interface_that_is_gone_is_said(lab: Lab) -> None:
    lab.build(interfaces=2)
    contained(lab)
    ec2, last = lab.see("ec2"), sorted(lab.groups())[-1]
    [shown] = ec2.describe_network_interfaces(NetworkInterfaceIds=[last])["NetworkInterfaces"]
    ec2.detach_network_interface(AttachmentId=shown["Attachment"]["AttachmentId"], Force=True)
    got = lab.restore()
    assert got.status is Status.RESTORE_PARTIAL
    assert f"{last} is no longer attached" in got.not_restored[0]
    assert list(lab.groups().values()) == [["web"]]


@pytest.mark.parametrize(("fate", "said"), [("taken", "is not free: it is on"), ("released", "was released")])
def test_an_address_that_is_not_free(lab: Lab, fate: str, said: str) -> None:
    lab.build(eip=True)
    lab.options["disassociate_elastic_ip"] = True
    contained(lab)
    ec2 = lab.see("ec2")
    [address] = ec2.describe_addresses()["Addresses"]
    if fate == "released":
        ec2.release_address(AllocationId=address["AllocationId"])
    else:
        other = ec2.create_network_interface(SubnetId=lab.ids["subnet"])["NetworkInterface"]["NetworkInterfaceId"]
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
    assert (got.status, lab.profiles(), lab.actions()["restore_profile"]) == (Status.RESTORE_PARTIAL, [QUARANTINE], "FAILED")
    assert ("no longer exists" if fate == "deleted" else "role/admin now, and held") in got.not_restored[0]
    assert "aws ec2 replace-iam-instance-profile-association" in got.not_restored[0]


def test_older_sessions_stay_dead(lab: Lab) -> None:
    lab.build()
    lab.options["revoke_sessions"] = "role"
    contained(lab)
    got = lab.restore()
    assert (got.status, list(lab.role_policies())) == (Status.RESTORE_PARTIAL, [OLDER])
    assert "stay dead by design" in got.not_restored[0]
    assert "aws iam delete-role-policy --role-name app --policy-name AWSRevokeOlderSessions" in got.not_restored[0]
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
    lab.wait(ec2_instance.evidence, target)
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

    def undone() -> None:
        group = lab.group()["GroupId"]
        lab.see("ec2").modify_network_interface_attribute(NetworkInterfaceId=next(iter(lab.groups())), Groups=[group])

    lab.hooks.append(("ModifyNetworkInterfaceAttribute", lambda: lab.hooks.append(("DescribeNetworkInterfaces", undone))))
    got = lab.restore()
    assert got.status is Status.RESTORE_PARTIAL
    assert "not to be seen on reading back" in got.not_restored[0]


# -- somebody else's changes ------------------------------------------------------------------------------------------


def test_what_somebody_changed_since_is_left_alone(lab: Lab) -> None:
    lab.build(interfaces=2)
    contained(lab)
    ec2, iam, id = lab.see("ec2"), lab.see("iam"), lab.ids["instance"]
    first = sorted(lab.groups())[0]
    mine = ec2.create_security_group(GroupName="forensics", Description="x", VpcId=lab.ids["vpc"])["GroupId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=first, Groups=[mine])
    iam.create_instance_profile(InstanceProfileName="forensics")
    [old] = ec2.describe_iam_instance_profile_associations(Filters=[{"Name": "instance-id", "Values": [id]}])[
        "IamInstanceProfileAssociations"
    ]
    ec2.replace_iam_instance_profile_association(AssociationId=old["AssociationId"], IamInstanceProfile={"Name": "forensics"})
    other = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="app", PolicyName=DENY + id, PolicyDocument=json.dumps(other))
    ec2.create_tags(Resources=[id], Tags=[{"Key": PREFIX, "Value": "under investigation"}])
    ec2.modify_instance_attribute(InstanceId=id, Attribute="instanceInitiatedShutdownBehavior", Value="stop")
    got = lab.restore()
    assert got.status is Status.RESTORE_PARTIAL
    assert lab.groups()[first] == ["forensics"]
    assert lab.profiles() == ["forensics"]
    assert lab.role_policies() == {DENY + id: other}
    assert {"Key": PREFIX, "Value": "under investigation"} in picture(lab)["tags"]
    assert len(got.not_restored) == 4
    assert all("somebody changed it since, left as it is" in text for text in got.not_restored)
    assert got.still_contained == []
    assert [one for id, one in lab.groups().items() if id != first] == [["web"]]


def test_a_later_incident_on_the_instance_comes_first(lab: Lab) -> None:
    """The second found it contained and holds it: undoing the first would undo that one's containment."""
    lab.build(interfaces=2)
    before = picture(lab)
    target, second = contained(lab), "inc-fedcba9876543210"
    lab.record.put_target(second, {"kind": target.kind, "id": target.id, "arn": target.arn})
    ec2_instance.contain(lab.context(incident=second), target)
    held = picture(lab)
    lab.calls.clear()
    got = lab.restore()
    assert (got.status, changes(lab), picture(lab)) == (Status.RESTORE_PARTIAL, [], held)
    assert f"incident {second} contains {target.id} too" in got.not_restored[0]
    assert lab.restore(second).status is Status.RESTORED
    assert lab.groups() == held["groups"], "the first one's containment stands"
    assert lab.restore().status is Status.RESTORED
    assert picture(lab) == before


# -- limits on power --------------------------------------------------------------------------------------------------


def test_each_session_names_what_it_restores_and_nothing_else(lab: Lab) -> None:
    lab.build(interfaces=2, asg=True, targets=True, eip=True)
    lab.options |= {"disassociate_elastic_ip": True, "reattach_auto_scaling": True}
    contained(lab)
    lab.policies.clear()
    assert lab.restore().status is Status.RESTORED
    passed = []
    for policy in lab.policies:
        assert len(json.dumps(policy, separators=(",", ":"))) <= 2048
        for statement in policy["Statement"]:
            for action in statement["Action"]:
                assert "*" not in action
                if not action.split(":")[1].startswith(("Describe", "Get")):
                    resources = statement["Resource"]
                    wide = [one for one in ([resources] if isinstance(resources, str) else resources) if one.endswith("/*")]
                    assert statement["Resource"] != "*"
                    assert not wide or action == "ec2:ModifyInstanceAttribute", "the volume of the instance named beside it"
                if action.startswith("iam:") and not action.startswith("iam:Get"):
                    passed.append((action, statement["Resource"]))
    role = f"arn:aws:iam::{MEMBER}:role/app"
    assert sorted(passed) == [("iam:DeleteRolePolicy", role), ("iam:PassRole", role)]


# -- and again --------------------------------------------------------------------------------------------------------


def again(lab: Lab, reset: bool = True) -> Target:
    """The finding comes again after a restore: the ledger begins anew, as the playbook function does it."""
    (planned,) = ec2_instance.plan(lab.context())
    target = planned.target
    lab.record.put_target(INCIDENT, {"kind": target.kind, "id": target.id, "arn": target.arn}, reset=reset)
    return target


def test_contained_again_after_a_restore(lab: Lab) -> None:
    lab.build(interfaces=2)
    contained(lab)
    lab.restore()
    ec2, first = lab.see("ec2"), sorted(lab.groups())[0]
    new = ec2.create_security_group(GroupName="new", Description="x", VpcId=lab.ids["vpc"])["GroupId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=first, Groups=[new])
    between = picture(lab)
    assert lab.respond(again(lab)).status is Status.CONTAINED
    assert set(map(tuple, lab.groups().values())) == {(QUARANTINE,)}
    assert lab.restore().status is Status.RESTORED
    assert picture(lab) == between, "as it was before the second containment, not before the first"


def test_contained_again_after_a_restore_in_part(lab: Lab) -> None:
    """What was left contained keeps its first before-state; what was restored is recorded anew."""
    lab.build(interfaces=2)
    before = picture(lab)
    contained(lab)
    first, last = sorted(lab.groups())
    lab.fail("ModifyNetworkInterfaceAttribute", "InternalFailure", lambda params: params["NetworkInterfaceId"] == last)
    assert lab.restore().still_contained == [f"network/{last}"]
    lab.faults.clear()
    new = lab.see("ec2").create_security_group(GroupName="new", Description="x", VpcId=lab.ids["vpc"])["GroupId"]
    lab.see("ec2").modify_network_interface_attribute(NetworkInterfaceId=first, Groups=[new])
    again(lab)
    assert lab.respond(again(lab)).status is Status.CONTAINED, "planned twice, its answer was lost once"
    got = lab.restore()
    assert (got.status, got.not_restored) == (Status.RESTORED, [])
    assert lab.groups() == {first: ["new"], last: ["web"]}
    assert {name for name, value in picture(lab).items() if value != before[name]} == {"groups"}

"""Restore: what comes back, that it is safe to repeat, its limits, and containment again
afterwards.
"""

from __future__ import annotations

import json

import pytest
from guardduty_response.incident.statuses import Status

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, MEMBER, PREFIX, Lab, deny_document
from tests.unit.playbooks.ec2_instance.regions_lab import AWAY, called, home, twin_at_home
from tests.unit.playbooks.ec2_instance.restore_lab import CHANGES, changes, contained, picture
from tests.unit.playbooks.ec2_instance.tags_lab import OURS, tags_of_instance, tags_of_interfaces

pytestmark = pytest.mark.usefixtures("full_models")  # their functions have no trimmed EC2 model

QUARANTINE = f"{PREFIX}-quarantine"


# -- what comes back -------------------------------------------------------------------------------


def test_everything_is_as_it_was(lab: Lab) -> None:
    lab.build(
        interfaces=3,
        ipv6=True,
        targets=True,
        eip=True,
    )
    lab.options["disassociate_elastic_ip"] = True
    before = picture(lab)
    contained(lab)
    assert {name for name, value in picture(lab).items() if value != before[name]} == set(
        before
    ) - {"scaling"}
    lab.calls.clear()
    got = lab.restore()
    assert picture(lab) == before
    assert (got.status, got.not_restored, got.still_contained) == (Status.RESTORED, [], [])
    assert all(check.ok for check in got.checks)
    lines = {name: status for name, status in lab.actions().items() if name.startswith("restore_")}
    assert lines == dict.fromkeys(
        [
            "restore_network",
            "restore_addresses",
            "restore_profile",
            "restore_sessions",
            "restore_protection",
            "restore_target_groups",
            "restore_tags",
        ],
        "DONE",
    )
    detail = lab.stored_record()["actions"]["restore_network"]["detail"]
    assert detail.count("out of quarantine, back in") == 3
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
    """Detaching deregisters too, side by side: what the plan saw is recorded, whoever was
    faster.
    """
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
    assert not {
        "ReplaceIamInstanceProfileAssociation",
        "RegisterTargets",
        "ModifyInstanceAttribute",
    } & set(changes(lab))
    assert (lab.actions()["restore_profile"], lab.actions()["restore_target_groups"]) == (
        "ALREADY",
        "ALREADY",
    )


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
    assert (got.status, lab.profiles(), lab.actions()["restore_profile"]) == (
        Status.RESTORE_PARTIAL,
        [],
        "FAILED",
    )
    assert "aws ec2" in lab.stored_record()["actions"]["restore_profile"]["detail"]
    lab.faults.clear()
    assert (lab.restore().status, lab.profiles()) == (Status.RESTORED, ["app"])


def test_a_policy_that_was_there_before_is_put_back(lab: Lab) -> None:
    lab.build()
    name = lab.deny_name()
    own = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Action": "s3:*",
                "Resource": "*",
            }
        ],
    }
    lab.see("iam").put_role_policy(
        RoleName="app",
        PolicyName=name,
        PolicyDocument=json.dumps(own),
    )
    contained(lab)
    denial = deny_document(lab.ids["instance"])["Statement"]
    assert lab.role_policies() == {name: {**own, "Statement": [*own["Statement"], *denial]}}
    assert lab.restore().status is Status.RESTORED
    assert lab.role_policies() == {name: own}


def test_tags_that_were_there_before_are_put_back(lab: Lab) -> None:
    lab.build()
    lab.see("ec2").create_tags(
        Resources=[lab.ids["instance"]], Tags=[{"Key": PREFIX, "Value": "ask"}]
    )
    contained(lab)
    assert lab.restore().status is Status.RESTORED
    assert picture(lab)["tags"] == [{"Key": PREFIX, "Value": "ask"}]


def test_the_interfaces_have_the_tags_of_the_instance_until_it_is_restored(lab: Lab) -> None:
    """The organization's quarantine policy goes by them."""
    lab.build(interfaces=3)
    assert lab.respond().status is Status.CONTAINED
    assert tags_of_interfaces(lab) == [OURS] * 3
    assert tags_of_instance(lab) == OURS
    assert lab.restore().status is Status.RESTORED
    assert tags_of_interfaces(lab) == [[]] * 3
    assert tags_of_instance(lab) == []


def test_other_tags_of_an_interface_stay(lab: Lab) -> None:
    lab.build(interfaces=2)
    own = {"Key": "team", "Value": "web"}
    ids = list(lab.groups())
    lab.see("ec2").create_tags(Resources=ids, Tags=[own])
    lab.respond()
    assert tags_of_interfaces(lab) == [[*OURS, own]] * 2
    lab.see("ec2").create_tags(Resources=ids[:1], Tags=[{"Key": PREFIX, "Value": "mine"}])
    assert lab.restore().status is Status.RESTORED
    assert sorted(tags_of_interfaces(lab), key=len) == [
        [own],
        [{"Key": PREFIX, "Value": "mine"}, own],
    ]


# -- Auto Scaling ----------------------------------------------------------------------------------


def test_auto_scaling_is_left_to_a_person(lab: Lab) -> None:
    lab.build(asg=True)
    contained(lab)
    got = lab.restore()
    assert (got.status, got.still_contained) == (Status.RESTORE_PARTIAL, ["auto_scaling"])
    [text] = got.not_restored
    assert "reattach_auto_scaling is off" in text
    assert (
        f"aws autoscaling attach-instances --instance-ids {lab.ids['instance']}"
        " --auto-scaling-group-name web" in text
    )
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


# -- limits on power -------------------------------------------------------------------------------


def test_each_session_names_what_it_restores_and_nothing_else(lab: Lab) -> None:
    lab.build(
        interfaces=2,
        asg=True,
        targets=True,
        eip=True,
    )
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
                    wide = [
                        resource
                        for resource in ([resources] if isinstance(resources, str) else resources)
                        if resource.endswith("/*")
                    ]
                    assert statement["Resource"] != "*"
                    assert not wide or action == "ec2:ModifyInstanceAttribute", (
                        "the volume of the instance named beside it"
                    )
                if action.startswith("iam:") and not action.startswith("iam:Get"):
                    passed.append((action, statement["Resource"]))
    role = f"arn:aws:iam::{MEMBER}:role/app"
    assert sorted(passed) == [
        ("iam:DeleteRolePolicy", role),
        ("iam:PassRole", role),
        ("iam:UntagRole", role),
    ]


# -- and again -------------------------------------------------------------------------------------


def test_contained_again_after_a_restore(lab: Lab) -> None:
    lab.build(interfaces=2)
    contained(lab)
    lab.restore()
    ec2, first = lab.see("ec2"), sorted(lab.groups())[0]
    new = ec2.create_security_group(
        GroupName="new",
        Description="x",
        VpcId=lab.ids["vpc"],
    )["GroupId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=first, Groups=[new])
    between = picture(lab)
    assert lab.respond().status is Status.CONTAINED
    assert set(map(tuple, lab.groups().values())) == {(QUARANTINE,)}
    assert lab.restore().status is Status.RESTORED
    assert picture(lab) == between, "as it was before the second containment, not before the first"


def test_contained_again_after_a_restore_in_part(lab: Lab) -> None:
    """What was left contained keeps its first before-state; what was restored is recorded anew."""
    lab.build(interfaces=2)
    before = picture(lab)
    contained(lab)
    first, last = sorted(lab.groups())
    lab.fail(
        "ModifyNetworkInterfaceAttribute",
        "InternalFailure",
        lambda params: params["NetworkInterfaceId"] == last,
    )
    assert lab.restore().still_contained == [f"network/{last}"]
    lab.faults.clear()
    new = lab.see("ec2").create_security_group(
        GroupName="new", Description="x", VpcId=lab.ids["vpc"]
    )["GroupId"]
    lab.see("ec2").modify_network_interface_attribute(NetworkInterfaceId=first, Groups=[new])
    lab.plan()
    assert lab.respond().status is Status.CONTAINED, "planned twice, its answer was lost once"
    got = lab.restore()
    assert (got.status, got.not_restored) == (Status.RESTORED, [])
    assert lab.groups() == {first: ["new"], last: ["web"]}
    assert {name for name, value in picture(lab).items() if value != before[name]} == {"groups"}


def test_a_record_of_an_interface_by_itself_is_the_newer_one(lab: Lab) -> None:
    """Earlier releases recorded all interfaces anew, also one that a restore had left closed."""
    lab.build()
    target = contained(lab)
    [interface] = lab.groups()
    new = lab.see("ec2").create_security_group(
        GroupName="new", Description="x", VpcId=lab.ids["vpc"]
    )["GroupId"]
    was = {"vpc": lab.ids["vpc"], "groups": [new], "managed": ""}
    lab.record.before(
        INCIDENT,
        target.kind,
        target.id,
        f"network/{interface}",
        was,
    )
    assert lab.restore().status is Status.RESTORED
    assert lab.groups() == {interface: ["new"]}


def test_an_instance_of_another_region_is_restored_there(lab: Lab) -> None:
    lab.region = AWAY
    lab.build()
    twin_at_home(lab)
    before = home(lab)
    lab.respond()
    assert lab.restore().status is Status.RESTORED
    assert list(lab.groups().values()) == [["web"]]
    assert lab.profiles() == ["app"]
    assert home(lab) == before
    assert called(lab) == {AWAY}

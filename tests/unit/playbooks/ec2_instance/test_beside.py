"""Everything beside the network: each part records how it was, acts, and fails alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.containment.role_policies import revoke_document, revoked_before
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance
from guardduty_response.playbooks.ec2_instance.credentials import deny_document
from moto.ec2.models import ec2_backends

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, MEMBER, PREFIX, REGION, Lab

QUARANTINE = f"{PREFIX}-quarantine"


def deny(lab: Lab) -> str:
    return f"{PREFIX}-deny-{lab.ids['instance']}"


def attribute(lab: Lab, name: str, key: str) -> Any:
    got = lab.see("ec2").describe_instance_attribute(InstanceId=lab.ids["instance"], Attribute=name)
    return got[key]["Value"]


def disks(lab: Lab) -> list[bool]:
    got = lab.see("ec2").describe_instances(InstanceIds=[lab.ids["instance"]])["Reservations"][0][
        "Instances"
    ][0]
    return [mapping["Ebs"]["DeleteOnTermination"] for mapping in got["BlockDeviceMappings"]]


# -- credentials -----------------------------------------------------------------------------------


def test_profile_replaced_and_its_sessions_denied(lab: Lab) -> None:
    lab.build()
    assert lab.respond().status is Status.CONTAINED
    # moto: DescribeInstances keeps the old profile after a replacement; the association is what AWS
    # acts on.
    assert lab.profiles() == [QUARANTINE]
    assert lab.role_policies() == {deny(lab): deny_document(lab.ids["instance"])}
    statement = lab.role_policies()[deny(lab)]["Statement"][0]
    assert statement["Condition"] == {"StringLike": {"aws:userid": f"*:{lab.ids['instance']}"}}
    before = lab.ledger()["before"]
    assert before["profile"]["name"] == "app"
    assert before["sessions"]["policies"] == {deny(lab): None}
    order = [
        name
        for name in lab.operations()
        if name in ("ReplaceIamInstanceProfileAssociation", "PutRolePolicy")
    ]
    assert order == ["ReplaceIamInstanceProfileAssociation", "PutRolePolicy"]


def test_no_profile_is_contained_and_gets_none(lab: Lab) -> None:
    lab.build(profile=False)
    assert lab.respond().status is Status.CONTAINED
    assert lab.profiles() == []
    assert lab.actions()["replace_instance_profile"] == "SKIPPED"
    assert lab.actions()["revoke_sessions"] == "SKIPPED"


def test_stopped_instance_is_disassociated_and_associated(lab: Lab) -> None:
    """AWS replaces the profile of running instances only; moto would replace a stopped one's
    too.
    """
    lab.build(interfaces=2, stopped=True)
    assert lab.respond().status is Status.CONTAINED
    assert set(map(tuple, lab.groups().values())) == {(QUARANTINE,)}
    assert lab.profiles() == [QUARANTINE]
    assert "ReplaceIamInstanceProfileAssociation" not in lab.operations()


def test_replacing_refused_for_its_state_falls_back(lab: Lab) -> None:
    lab.build()
    lab.fail("ReplaceIamInstanceProfileAssociation", "IncorrectInstanceState")
    assert lab.respond().status is Status.CONTAINED
    assert lab.profiles() == [QUARANTINE]


def test_retry_after_a_crash_between_disassociate_and_associate(lab: Lab) -> None:
    lab.build(stopped=True)
    target = lab.plan()
    lab.fail("AssociateIamInstanceProfile", "InternalError", times=1)
    ec2_instance.contain(lab.context(), target)
    assert lab.profiles() == []
    assert lab.actions()["replace_instance_profile"] == "FAILED"
    assert lab.respond(target).status is Status.CONTAINED
    assert lab.profiles() == [QUARANTINE]
    assert deny(lab) in lab.role_policies(), (
        "the role comes from the record, for the profile is gone"
    )


def test_retry_after_a_crash_revokes_on_the_original_role(lab: Lab) -> None:
    lab.build(interfaces=2, asg=True, targets=True)
    target = lab.plan()
    lab.fail("PutRolePolicy", "ServiceFailure", times=1)
    ec2_instance.contain(lab.context(), target)
    assert lab.profiles() == [QUARANTINE]
    assert lab.role_policies() == {}
    first = lab.ledger()["before"]
    step = lab.respond(target)
    assert step.status is Status.CONTAINED
    assert set(lab.role_policies()) == {deny(lab)}
    assert lab.ledger()["before"]["profile"] == first["profile"]
    assert lab.ledger()["before"]["network"] == first["network"]
    assert lab.actions()["detach_auto_scaling"] == "DONE"
    assert (
        len(
            lab.see("ec2").describe_security_groups(
                Filters=[{"Name": "group-name", "Values": [QUARANTINE]}]
            )["SecurityGroups"]
        )
        == 1
    )


def test_role_quota_is_failed_with_the_command(lab: Lab) -> None:
    lab.build()
    lab.fail("PutRolePolicy", "LimitExceeded")
    step = lab.respond()
    assert step.status is Status.PARTIAL
    assert set(map(tuple, lab.groups().values())) == {(QUARANTINE,)}
    assert lab.profiles() == [QUARANTINE]
    line = lab.ledger()["actions"]["revoke_sessions"]
    assert line["status"] == "FAILED"
    assert f"aws iam put-role-policy --role-name app --policy-name {deny(lab)}" in line["detail"]
    assert json.dumps(deny_document(lab.ids["instance"]), separators=(",", ":")) in line["detail"]


@pytest.mark.parametrize(
    "path", ["/aws-service-role/x.amazonaws.com/", "/aws-reserved/sso.amazonaws.com/"]
)
def test_a_role_of_aws_is_not_touched_and_said(lab: Lab, path: str) -> None:
    lab.build(profile=False)
    iam, ec2 = lab.see("iam"), lab.see("ec2")
    iam.create_role(RoleName="owned", Path=path, AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="owned")
    iam.add_role_to_instance_profile(InstanceProfileName="owned", RoleName="owned")
    ec2.associate_iam_instance_profile(
        InstanceId=lab.ids["instance"], IamInstanceProfile={"Name": "owned"}
    )
    assert lab.respond().status is Status.PARTIAL
    assert lab.profiles() == [QUARANTINE]
    assert "UnmodifiableEntity" in lab.ledger()["actions"]["revoke_sessions"]["detail"]
    assert "PutRolePolicy" not in lab.operations()


@pytest.mark.parametrize("why", ["option", "exfiltration"])
def test_role_wide_revocation(lab: Lab, why: str) -> None:
    lab.build()
    if why == "option":
        lab.options["revoke_sessions"] = "role"
    else:
        lab.finding_type = "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"
    assert lab.respond().status is Status.CONTAINED
    policies = lab.role_policies()
    assert set(policies) == {deny(lab), "AWSRevokeOlderSessions"}
    date = revoked_before(policies["AWSRevokeOlderSessions"])
    assert date == lab.ledger()["before"]["sessions"]["revoked_before"]
    lab.respond()
    assert lab.role_policies() == policies, "a retry moves no date"


def test_role_wide_revocation_merges_with_an_existing_one(lab: Lab) -> None:
    lab.build()
    lab.options["revoke_sessions"] = "role"
    other = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    old = revoke_document({"Statement": other}, "2020-01-01T00:00:00Z")
    lab.see("iam").put_role_policy(
        RoleName="app", PolicyName="AWSRevokeOlderSessions", PolicyDocument=json.dumps(old)
    )
    assert lab.respond().status is Status.CONTAINED
    merged = lab.role_policies()["AWSRevokeOlderSessions"]
    assert other in merged["Statement"]
    assert len(merged["Statement"]) == 2
    assert revoked_before(merged) > "2026"
    assert lab.ledger()["before"]["sessions"]["policies"]["AWSRevokeOlderSessions"] == old


def test_a_later_date_is_kept() -> None:
    old = revoke_document(None, "2099-01-01T00:00:00Z")
    assert revoke_document(old, "2026-01-01T00:00:00Z") == old
    narrower = {"Statement": [{**old["Statement"][0], "Action": "s3:*"}]}
    assert revoked_before(narrower) == "", "a deny of some actions revokes nothing"


def test_revocation_off_stays_off_for_exfiltration(lab: Lab) -> None:
    lab.build()
    lab.options["revoke_sessions"] = "none"
    lab.finding_type = "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"
    assert lab.respond().status is Status.CONTAINED
    assert lab.role_policies() == {}


def test_deny_policy_removed_again_is_seen(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    lab.respond(target)
    lab.see("iam").delete_role_policy(RoleName="app", PolicyName=deny(lab))
    step = lab.verify(target)
    assert step.status is Status.PARTIAL
    assert deny(lab) in step.detail


# -- Auto Scaling and load balancers ---------------------------------------------------------------


def test_detached_with_a_replacement(lab: Lab) -> None:
    lab.build(asg=True)
    assert lab.respond().status is Status.CONTAINED
    client = lab.see("autoscaling")
    assert (
        client.describe_auto_scaling_instances(InstanceIds=[lab.ids["instance"]])[
            "AutoScalingInstances"
        ]
        == []
    )
    group = client.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"][
        0
    ]
    assert group["DesiredCapacity"] == 1
    assert [described["InstanceId"] for described in group["Instances"]] != [lab.ids["instance"]]
    assert len(group["Instances"]) == 1
    assert lab.ledger()["before"]["auto_scaling"] == {"group": "web", "state": "InService"}


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
    line = lab.ledger()["actions"]["detach_auto_scaling"]
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
    assert sorted(target["port"] for target in lab.ledger()["before"]["target_groups"]) == [
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
    assert set(lab.role_policies()) == {deny(lab)}
    assert (
        lab.see("autoscaling").describe_auto_scaling_instances(InstanceIds=[lab.ids["instance"]])[
            "AutoScalingInstances"
        ]
        == []
    )


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
    lab.build(asg=True, targets=True, interfaces=2)
    lab.fail(operation, "AccessDenied")
    step = lab.respond()
    assert step.status is Status.PARTIAL
    assert "could not be read (AccessDenied" in step.detail
    assert set(map(tuple, lab.groups().values())) == {(QUARANTINE,)}


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
    assert lab.ledger()["before"]["protection"] == {
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
        "Spot: no termination protection" in lab.ledger()["actions"]["protect_instance"]["detail"]
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
    assert lab.ledger()["before"]["addresses"][0]["allocation"] == address["AllocationId"]


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
    lab.build(interfaces=2, asg=True, targets=True, eip=True)
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
    lab.build(interfaces=2, ipv6=True, asg=True, targets=True)
    lab.fail(operation, "AccessDenied")
    step = lab.respond()
    assert set(map(tuple, lab.groups().values())) == {(QUARANTINE,)}
    failed = [name for name, status in lab.actions().items() if status == "FAILED"]
    assert len(failed) == 1
    assert "AccessDenied" in lab.ledger()["actions"][failed[0]]["detail"]
    assert "By hand: aws " in lab.ledger()["actions"][failed[0]]["detail"]
    assert step.status is (Status.CONTAINED if operation == "CreateTags" else Status.PARTIAL)


def test_what_was_promised_is_what_is_done(lab: Lab) -> None:
    lab.build(interfaces=2, asg=True, targets=True)
    target = lab.plan()
    promised = dict(lab.ids["planned"].actions)
    assert promised.pop("snapshot").startswith("one crash-consistent snapshot set of vol-")
    lab.respond(target)
    for name, line in lab.ledger()["actions"].items():
        if line["status"] == "DONE":
            assert line["detail"].startswith(promised.pop(name))
    assert promised == {}
    assert lab.ids["planned"].principals == [f"arn:aws:iam::{MEMBER}:role/app"]

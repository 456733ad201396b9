"""The credentials of an instance: its profile is replaced, and the sessions of its role are
denied.
"""

from __future__ import annotations

import json

import pytest
from guardduty_response.containment.role_policies import revoke_document, revoked_before
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import instance_profile
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.playbooks.ec2_instance.ec2_lab import PREFIX, REGION, Lab, deny_document

QUARANTINE = f"{PREFIX}-quarantine"


def test_profile_replaced_and_its_sessions_denied(lab: Lab) -> None:
    lab.build()
    assert lab.respond().status is Status.CONTAINED
    # moto: DescribeInstances keeps the old profile after a replacement; the association is what AWS
    # acts on.
    assert lab.profiles() == [QUARANTINE]
    assert lab.role_policies() == {lab.deny_name(): deny_document(lab.ids["instance"])}
    before = lab.stored_record()["before"]
    assert before["profile"]["name"] == "app"
    assert before["sessions"]["policies"] == {lab.deny_name(): None}
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


@pytest.mark.parametrize(
    "operation", ["AssociateIamInstanceProfile", "DisassociateIamInstanceProfile"]
)
def test_an_association_that_is_on_its_way_is_waited_for(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """EC2 takes an association away after its answer, and refuses the next one until then."""
    monkeypatch.setattr(instance_profile, "PAUSES", (0.0, 0.0))
    lab.build(stopped=True)
    lab.fail(operation, "IncorrectState", times=2)
    target = lab.plan()
    ec2_instance.contain(lab.context(), target)
    assert lab.profiles() == [QUARANTINE], "within the same call"
    assert lab.actions()["replace_instance_profile"] == "DONE"
    assert lab.respond(target).status is Status.CONTAINED


def test_an_association_that_takes_longer_is_contained_once_more(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance_profile, "PAUSES", (0.0,))
    lab.build(stopped=True)
    lab.fail("AssociateIamInstanceProfile", "IncorrectState", times=4)
    assert lab.respond().status is Status.CONTAINED
    assert lab.profiles() == [QUARANTINE]
    assert lab.deny_name() in lab.role_policies()


def test_the_command_is_for_what_a_failure_has_left(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old profile is gone, and the new one was refused: there is nothing to replace."""
    monkeypatch.setattr(instance_profile, "PAUSES", (0.0,))
    lab.build(stopped=True)
    lab.fail("AssociateIamInstanceProfile", "IncorrectState")
    assert lab.respond().status is Status.PARTIAL
    assert lab.profiles() == []
    detail = lab.stored_record()["actions"]["replace_instance_profile"]["detail"]
    instance = lab.ids["instance"]
    profile = f"--iam-instance-profile Name={QUARANTINE}"
    assert f"aws ec2 associate-iam-instance-profile --instance-id {instance} {profile}" in detail
    assert "association-id" not in detail
    assert lab.deny_name() in lab.role_policies(), "its sessions are denied all the same"


def test_the_command_takes_the_profile_of_a_stopped_instance_first(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 replaces the profile of running instances only."""
    monkeypatch.setattr(instance_profile, "PAUSES", (0.0,))
    lab.build(stopped=True)
    lab.fail("DisassociateIamInstanceProfile", "IncorrectState")
    assert lab.respond().status is Status.PARTIAL
    assert lab.profiles() == ["app"]
    detail = lab.stored_record()["actions"]["replace_instance_profile"]["detail"]
    assert "replace-iam-instance-profile-association" not in detail
    taken, given = detail.split("By hand: ")[1].split(" ; ")
    assert taken.startswith("aws ec2 disassociate-iam-instance-profile --association-id iip-assoc-")
    assert given.startswith("aws ec2 associate-iam-instance-profile --instance-id i-")
    assert f"--region {REGION}" in taken
    assert f"--region {REGION}" in given


def test_retry_after_a_crash_between_disassociate_and_associate(lab: Lab) -> None:
    lab.build(stopped=True)
    target = lab.plan()
    lab.fail("AssociateIamInstanceProfile", "InternalError", times=1)
    ec2_instance.contain(lab.context(), target)
    assert lab.profiles() == []
    assert lab.actions()["replace_instance_profile"] == "FAILED"
    assert lab.respond(target).status is Status.CONTAINED
    assert lab.profiles() == [QUARANTINE]
    assert lab.deny_name() in lab.role_policies(), (
        "the role comes from the record, for the profile is gone"
    )


def test_retry_after_a_crash_revokes_on_the_original_role(lab: Lab) -> None:
    lab.build(
        interfaces=2,
        asg=True,
        targets=True,
    )
    target = lab.plan()
    lab.fail("PutRolePolicy", "ServiceFailure", times=1)
    ec2_instance.contain(lab.context(), target)
    assert lab.profiles() == [QUARANTINE]
    assert lab.role_policies() == {}
    first = lab.stored_record()["before"]
    step = lab.respond(target)
    assert step.status is Status.CONTAINED
    assert set(lab.role_policies()) == {lab.deny_name()}
    assert lab.stored_record()["before"]["profile"] == first["profile"]
    assert lab.stored_record()["before"]["network"] == first["network"]
    assert lab.actions()["detach_auto_scaling"] == "DONE"
    named = [{"Name": "group-name", "Values": [QUARANTINE]}]
    found = lab.see("ec2").describe_security_groups(Filters=named)
    assert len(found["SecurityGroups"]) == 1


def test_role_quota_is_failed_with_the_command(lab: Lab) -> None:
    lab.build()
    lab.fail("PutRolePolicy", "LimitExceeded")
    lab.fail("CreatePolicy", "LimitExceeded")
    step = lab.respond()
    assert step.status is Status.PARTIAL
    assert set(map(tuple, lab.groups().values())) == {(QUARANTINE,)}
    assert lab.profiles() == [QUARANTINE]
    line = lab.stored_record()["actions"]["revoke_sessions"]
    assert line["status"] == "FAILED"
    assert (
        f"aws iam put-role-policy --role-name app --policy-name {lab.deny_name()}" in line["detail"]
    )
    assert json.dumps(deny_document(lab.ids["instance"]), separators=(",", ":")) in line["detail"]


@pytest.mark.parametrize(
    "path", ["/aws-service-role/x.amazonaws.com/", "/aws-reserved/sso.amazonaws.com/"]
)
def test_a_role_of_aws_is_not_touched_and_said(lab: Lab, path: str) -> None:
    lab.build(profile=False)
    iam, ec2 = lab.see("iam"), lab.see("ec2")
    iam.create_role(
        RoleName="owned",
        Path=path,
        AssumeRolePolicyDocument="{}",
    )
    iam.create_instance_profile(InstanceProfileName="owned")
    iam.add_role_to_instance_profile(InstanceProfileName="owned", RoleName="owned")
    ec2.associate_iam_instance_profile(
        InstanceId=lab.ids["instance"], IamInstanceProfile={"Name": "owned"}
    )
    assert lab.respond().status is Status.PARTIAL
    assert lab.profiles() == [QUARANTINE]
    assert "UnmodifiableEntity" in lab.stored_record()["actions"]["revoke_sessions"]["detail"]
    assert "PutRolePolicy" not in lab.operations()


def test_stolen_credentials_deny_the_sessions_of_the_instance_alone(lab: Lab) -> None:
    lab.build()
    lab.finding_type = "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"
    assert lab.respond().status is Status.CONTAINED
    assert lab.role_policies() == {lab.deny_name(): deny_document(lab.ids["instance"])}


def test_role_wide_revocation(lab: Lab) -> None:
    lab.build()
    lab.options["revoke_sessions"] = "role"
    assert lab.respond().status is Status.CONTAINED
    policies = lab.role_policies()
    assert set(policies) == {lab.deny_name(), "AWSRevokeOlderSessions"}
    date = revoked_before(policies["AWSRevokeOlderSessions"])
    assert date == lab.stored_record()["before"]["sessions"]["revoked_before"]
    lab.respond()
    assert lab.role_policies() == policies, "a retry moves no date"


def test_role_wide_revocation_merges_with_an_existing_one(lab: Lab) -> None:
    lab.build()
    lab.options["revoke_sessions"] = "role"
    other = {
        "Effect": "Deny",
        "Action": "s3:*",
        "Resource": "*",
    }
    old = revoke_document({"Statement": other}, "2020-01-01T00:00:00Z")
    lab.see("iam").put_role_policy(
        RoleName="app", PolicyName="AWSRevokeOlderSessions", PolicyDocument=json.dumps(old)
    )
    assert lab.respond().status is Status.CONTAINED
    merged = lab.role_policies()["AWSRevokeOlderSessions"]
    assert other in merged["Statement"]
    assert len(merged["Statement"]) == 2
    assert revoked_before(merged) > "2026"
    assert lab.stored_record()["before"]["sessions"]["policies"]["AWSRevokeOlderSessions"] == old


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
    lab.see("iam").delete_role_policy(RoleName="app", PolicyName=lab.deny_name())
    step = lab.verify(target)
    assert step.status is Status.PARTIAL
    assert lab.deny_name() in step.detail

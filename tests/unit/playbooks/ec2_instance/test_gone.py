"""An instance that is gone: the credentials that were taken from it work on, so its sessions are
denied all the same.
"""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.containment.role_policies import OLDER, revoked_before
from guardduty_response.errors import TargetGone
from guardduty_response.functions.planning import plan_digest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance
from moto.ec2.models import ec2_backends

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, PREFIX, REGION, Lab, deny_document

APP = f"arn:aws:iam::{MEMBER}:instance-profile/app"


def details(lab: Lab, **more: Any) -> None:
    """The finding names the instance, and ``more``."""
    named = {"instanceId": lab.ids["instance"], **more}
    lab.ids["detail"] = {"resource": {"instanceDetails": named}}


def terminate(lab: Lab) -> None:
    ec2, instance = lab.see("ec2"), lab.ids["instance"]
    ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[instance])


def forget(lab: Lab) -> None:
    """AWS shows a terminated instance for about an hour."""
    terminate(lab)
    lab.fail("DescribeInstances", "InvalidInstanceID.NotFound")


def denied(lab: Lab) -> bool:
    return lab.role_policies() == {lab.deny_name(): deny_document(lab.ids["instance"])}


@pytest.fixture
def known(lab: Lab) -> Lab:
    """An instance whose profile the finding names."""
    lab.build()
    details(lab, iamInstanceProfile={"arn": APP})
    return lab


@pytest.mark.parametrize("end", [terminate, forget])
def test_gone_before_the_plan_its_sessions_are_denied(known: Lab, end: Any) -> None:
    end(known)
    step = known.respond()
    assert denied(known)
    assert step.status is Status.GONE
    assert f"role app are denied by policy {known.deny_name()}" in step.detail
    assert "One that CloudTrail shows later may live until 20" in step.detail
    assert known.actions() == {
        "revoke_sessions": "DONE",
        "tag_denied_role app": "DONE",
        "held_sessions": "SKIPPED",
    }
    planned = known.ids["planned"]
    assert list(planned.actions) == ["revoke_sessions", "held_sessions"]
    assert planned.principals == [f"arn:aws:iam::{MEMBER}:role/app"]
    assert planned.immutable_id == known.ids["instance"]


@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_the_profile_that_aws_still_shows_is_enough(lab: Lab, state: str) -> None:
    lab.build()
    ended = ec2_backends[MEMBER][REGION].get_instance(lab.ids["instance"])
    ended._state.name = state  # moto: a terminated instance has lost its profile
    assert lab.respond().status is Status.GONE
    assert denied(lab)


@pytest.mark.parametrize("end", [terminate, forget])
def test_gone_after_the_plan_its_sessions_are_denied(known: Lab, end: Any) -> None:
    target = known.plan()
    end(known)
    step = known.respond(target)
    assert denied(known)
    assert step.status is Status.GONE
    assert "role app are denied" in step.detail


def test_gone_after_it_was_contained_the_denial_is_read(known: Lab) -> None:
    target = known.plan()
    assert known.respond(target).status is Status.CONTAINED
    terminate(known)
    again = target._replace(verify_only=True, scope={"unique_id": known.ids["instance"]})
    assert known.verify(again).status is Status.GONE
    known.see("iam").delete_role_policy(RoleName="app", PolicyName=known.deny_name())
    step = known.verify(again)
    assert step.status is Status.PARTIAL
    assert not known.ids["checks"]["revoke_sessions"].ok
    assert known.ids["checks"]["revoke_sessions"].read


def test_planning_changes_nothing(known: Lab) -> None:
    terminate(known)
    known.plan()
    assert known.role_policies() == {}
    said = known.ids["planned"]
    assert said.actions["revoke_sessions"].startswith(f"sessions of {known.ids['instance']} denied")
    assert "credentials that were taken from it work on" in said.consequences


def test_the_plan_stays_the_one_that_was_approved(known: Lab) -> None:
    """AWS forgets a terminated instance while people are asked."""
    terminate(known)
    known.plan()
    asked = known.ids["planned"]
    known.fail("DescribeInstances", "InvalidInstanceID.NotFound")
    known.plan()
    assert plan_digest([known.ids["planned"]]) == plan_digest([asked])


@pytest.mark.parametrize("end", [terminate, forget])
def test_a_denial_that_failed_is_partial_with_the_command(known: Lab, end: Any) -> None:
    end(known)
    known.fail("PutRolePolicy", "AccessDenied")
    step = known.respond()
    assert step.status is Status.PARTIAL
    assert "is terminated" in step.detail or "is unknown there" in step.detail
    assert "may be used until 20" in step.detail
    assert known.role_policies() == {}
    detail = known.stored_record()["actions"]["revoke_sessions"]["detail"]
    assert f"aws iam put-role-policy --role-name app --policy-name {known.deny_name()}" in detail
    assert known.ids["instance"] in step.watched
    assert "app" in step.watched


@pytest.mark.parametrize("error", ["AccessDenied", "NoSuchEntity"])
def test_a_role_that_cannot_be_found_out_is_partial(known: Lab, error: str) -> None:
    forget(known)
    known.fail("GetInstanceProfile", error)
    step = known.respond()
    assert step.status is Status.PARTIAL
    assert error in step.detail
    assert "instance profile app" in step.detail
    assert "By hand: aws iam put-role-policy --role-name ROLE" in step.detail
    assert known.actions() == {"revoke_sessions": "FAILED", "held_sessions": "FAILED"}


def test_a_profile_without_a_role_by_now_is_partial(known: Lab) -> None:
    forget(known)
    known.see("iam").remove_role_from_instance_profile(InstanceProfileName="app", RoleName="app")
    assert known.respond().status is Status.PARTIAL


def test_a_denial_that_could_not_be_read_is_partial(known: Lab) -> None:
    terminate(known)
    target = known.plan()
    ec2_instance.contain(known.context(), target)
    known.fail("GetRolePolicy", "AccessDenied")
    assert known.verify(target).status is Status.PARTIAL


def test_a_denial_that_was_throttled_is_done_again(known: Lab) -> None:
    terminate(known)
    known.fail(
        "PutRolePolicy",
        "Throttling",
        times=1,
    )
    assert known.respond().status is Status.GONE
    assert denied(known)


def test_a_denial_that_is_seen_late_is_waited_for(known: Lab) -> None:
    terminate(known)
    target = known.plan()
    known.see_late(3)
    assert known.respond(target).status is Status.GONE
    assert known.waited >= 2
    assert denied(known)


def test_a_role_that_was_deleted_too_is_gone(known: Lab) -> None:
    target = known.plan()
    forget(known)
    iam = known.see("iam")
    iam.remove_role_from_instance_profile(InstanceProfileName="app", RoleName="app")
    iam.delete_role(RoleName="app")
    step = known.respond(target)
    assert step.status is Status.GONE
    assert "role app no longer exists" in step.detail
    assert known.actions() == {"revoke_sessions": "SKIPPED", "held_sessions": "SKIPPED"}


@pytest.mark.parametrize(
    "profile", [None, {}, {"arn": ""}, {"arn": f"{APP}-x".replace("app-x", f"{PREFIX}-quarantine")}]
)
def test_no_profile_is_named_by_anybody(lab: Lab, profile: Any) -> None:
    lab.build(profile=False)
    details(lab, iamInstanceProfile=profile)
    terminate(lab)
    with pytest.raises(TargetGone, match="neither the finding nor AWS names an instance profile"):
        lab.plan()


def test_switched_off_it_is_said(known: Lab) -> None:
    known.options["revoke_sessions"] = "none"
    target = known.plan()
    terminate(known)
    step = known.respond(target)
    assert step.status is Status.GONE
    assert "not denied (revoke_sessions = none)" in step.detail
    assert known.role_policies() == {}
    with pytest.raises(TargetGone, match="may be used for 6 hours"):
        known.plan()


def test_role_wide_by_option(known: Lab) -> None:
    known.options["revoke_sessions"] = "role"
    terminate(known)
    step = known.respond()
    assert step.status is Status.GONE
    assert revoked_before(known.role_policies()[OLDER])
    assert OLDER in step.detail


def test_a_role_of_aws_takes_no_policy(known: Lab) -> None:
    iam = known.see("iam")
    iam.create_role(
        RoleName="AWSReservedSSO_x", Path="/aws-reserved/", AssumeRolePolicyDocument="{}"
    )
    iam.create_instance_profile(InstanceProfileName="aws")
    iam.add_role_to_instance_profile(InstanceProfileName="aws", RoleName="AWSReservedSSO_x")
    details(known, iamInstanceProfile={"arn": APP.replace("/app", "/path/aws")})
    forget(known)
    step = known.respond()
    assert step.status is Status.PARTIAL
    assert "belongs to AWS and takes no policy" in step.detail


def test_the_tags_of_the_finding_are_the_guardrails(known: Lab) -> None:
    details(
        known,
        iamInstanceProfile={"arn": APP},
        tags=[{"key": "team", "value": "payments"}],
    )
    forget(known)
    known.plan()
    assert known.ids["planned"].tags == {"team": "payments"}


def test_restoring_takes_the_denial_back(known: Lab) -> None:
    terminate(known)
    assert known.respond().status is Status.GONE
    got = known.restore()
    assert got.status is Status.GONE
    assert known.role_policies() == {}
    assert got.not_restored == []
    assert f"policy {known.deny_name()} removed from role app" in got.restored[0]
    assert known.restore().status is Status.GONE


def test_a_denial_that_cannot_be_taken_back_is_restored_in_part(known: Lab) -> None:
    terminate(known)
    known.respond()
    known.fail("DeleteRolePolicy", "AccessDenied")
    got = known.restore()
    assert got.status is Status.RESTORE_PARTIAL
    assert denied(known)
    assert "aws iam delete-role-policy" in got.not_restored[0]

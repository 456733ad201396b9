"""Sessions of other roles that are known and not denied, and searches that failed: never CONTAINED,
tried again, and told with the command.
"""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.cloudtrail import regions
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, PREFIX, Lab
from tests.unit.playbooks.ec2_instance.session_trail import (
    ELSEWHERE,
    OTHER,
    assume_role,
    denied,
    of_instance,
    policies,
    role_id,
)

NAME = "held_sessions"


@pytest.fixture
def built(lab: Lab) -> Lab:
    return lab.build()


def detail(lab: Lab) -> str:
    return str(lab.stored_record()["actions"][NAME]["detail"])


# -- known and not denied --------------------------------------------------------------------------


def test_a_role_of_another_account_is_named_with_the_command(built: Lab) -> None:
    userid = assume_role(built, "elsewhere", "s1", "ASIA1", account=OTHER)
    step = built.respond()
    assert step.status is Status.PARTIAL
    assert f"{userid} in arn:aws:iam::{OTHER}:role/elsewhere (another account)" in step.detail
    assert "aws iam put-role-policy --role-name elsewhere" in step.detail
    assert built.actions()[NAME] == "FAILED"
    entry = built.stored_record()["evidence"][NAME]
    assert entry["outcome"] == "PARTIAL"
    assert "aws iam put-role-policy" in entry["task"]


def test_a_session_of_root_is_named_with_the_command(built: Lab) -> None:
    built.got.call(
        "AssumeRoot",
        of_instance(built),
        requestParameters={"targetPrincipal": OTHER},
        responseElements={"credentials": {"accessKeyId": "ASIAROOT"}},
    )
    step = built.respond()
    assert step.status is Status.PARTIAL
    assert f"ASIAROOT of arn:aws:iam::{OTHER}:root (AssumeRoot) not denied" in step.detail
    assert f"aws organizations attach-policy --target-id {OTHER}" in step.detail


def test_a_session_of_root_that_is_over_is_left(built: Lab) -> None:
    built.got.call(
        "AssumeRoot",
        of_instance(built),
        ago=1800,
        requestParameters={"targetPrincipal": f"arn:aws:iam::{OTHER}:root"},
        responseElements={"credentials": {"accessKeyId": "ASIAROOT"}},
    )
    assert built.respond().status is Status.CONTAINED


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        (f"{PREFIX}-responder-ec2-instance", "a role of the response itself"),
        ("terraform", "exempt (exempt_principals: arn:aws:iam::*:role/terraform)"),
        ("aws-reserved/sso.amazonaws.com/AWSReservedSSO_x", "a role of AWS, which takes no policy"),
        ("aws-service-role/x.amazonaws.com/AWSServiceRoleForX", "a role of AWS"),
    ],
)
def test_roles_that_are_spared_are_named_with_the_command(
    built: Lab, role: str, reason: str
) -> None:
    built.exempt = ["arn:aws:iam::*:role/terraform"]
    path, _, name = role.rpartition("/")
    iam = built.see("iam")
    iam.create_role(RoleName=name, Path=f"/{path}/" if path else "/", AssumeRolePolicyDocument="{}")
    unique_id = role_id(built, name)
    built.got.call(
        "AssumeRole",
        of_instance(built),
        requestParameters={"roleArn": f"arn:aws:iam::{MEMBER}:role/{role}"},
        responseElements={
            "credentials": {"accessKeyId": "ASIA1"},
            "assumedRoleUser": {"assumedRoleId": f"{unique_id}:s1"},
        },
    )
    step = built.respond()
    assert step.status is Status.PARTIAL
    assert f"{unique_id}:s1" in step.detail
    assert reason in step.detail
    assert "aws iam put-role-policy" in step.detail or "aws organizations" in step.detail
    assert policies(built, name) == {}


@pytest.mark.parametrize("error", ["UnmodifiableEntity", "AccessDenied"])
def test_a_denial_that_is_refused_is_partial_with_the_command(built: Lab, error: str) -> None:
    userid = assume_role(built, "admin", "s1", "ASIA1")
    other = assume_role(built, "batch", "s2", "ASIA2")
    built.fail("PutRolePolicy", error, lambda params: params["RoleName"] == "admin")
    step = built.respond()
    assert step.status is Status.PARTIAL
    assert denied(built, "batch") == [other]
    assert userid in step.detail and error in step.detail
    assert "aws iam put-role-policy --role-name admin" in step.detail


def test_a_role_that_is_deleted_keeps_nothing_alive(built: Lab) -> None:
    assume_role(built, "admin", "s1", "ASIA1")
    built.see("iam").delete_role(RoleName="admin")
    assert built.respond().status is Status.CONTAINED


# -- searches that failed --------------------------------------------------------------------------


@pytest.mark.parametrize("error", ["AccessDeniedException", "ThrottlingException"])
def test_a_search_that_failed_is_partial_with_the_command(built: Lab, error: str) -> None:
    built.fail("LookupEvents", error)
    step = built.respond()
    assert step.status is Status.PARTIAL
    assert error in step.detail
    assert "aws cloudtrail lookup-events" in step.detail
    assert f"AttributeValue={built.ids['instance']}" in step.detail
    check = built.ids["checks"][NAME]
    assert (check.ok, check.fatal, check.read) == (False, False, True)
    assert "holds no session" not in detail(built), "nobody knows"
    assert built.role_policies()[built.deny_name()], "its own sessions are denied"


def test_a_throttled_search_is_repeated_before_the_verdict(built: Lab) -> None:
    userid = assume_role(built, "admin", "s1", "ASIA1")
    built.fail("LookupEvents", "ThrottlingException", times=len(built.got.regions))
    assert built.respond().status is Status.CONTAINED
    assert denied(built, "admin") == [userid]


def test_regions_that_cannot_be_listed_are_partial(built: Lab) -> None:
    built.fail("ListRegions", "AccessDeniedException")
    step = built.respond()
    assert step.status is Status.PARTIAL
    assert "the enabled Regions could not be listed" in step.detail


def test_regions_of_the_option_are_asked_instead(built: Lab) -> None:
    built.options["lookup_regions"] = [ELSEWHERE]
    userid = assume_role(built, "admin", "s1", "ASIA1", region=ELSEWHERE)
    built.fail("ListRegions", "AccessDeniedException")
    assert built.respond().status is Status.CONTAINED
    assert denied(built, "admin") == [userid]


def test_a_search_that_was_cut_off_is_partial(built: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    real = regions.look_up

    def cut(*arguments: Any) -> Any:
        return real(*arguments)[0], {ELSEWHERE: "not answered to its end within 15 s"}

    userid = assume_role(built, "admin", "s1", "ASIA1")
    monkeypatch.setattr(regions, "look_up", cut)
    step = built.respond()
    assert step.status is Status.PARTIAL
    assert f"{ELSEWHERE} not looked at (not answered to its end within 15 s)" in step.detail
    assert denied(built, "admin") == [userid]


def test_a_search_that_never_came_is_partial(built: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    target = built.plan()

    def broken(*_: object) -> None:
        raise RuntimeError("ended before")

    with monkeypatch.context() as patch:
        patch.setattr("guardduty_response.playbooks.ec2_instance.held_sessions.deny", broken)
        with pytest.raises(RuntimeError):
            ec2_instance.contain(built.context(), target)
    step = built.verify(target)
    assert step.status is Status.PARTIAL
    assert "sessions that it got of roles were not looked for" in step.detail


def test_a_profile_whose_role_cannot_be_read_is_said(built: Lab) -> None:
    built.fail("GetInstanceProfile", "AccessDenied")
    step = built.respond()
    assert step.status is Status.PARTIAL
    assert built.actions()[NAME] == "FAILED"
    assert "its role is not known (AccessDenied" in detail(built)
    assert "aws cloudtrail lookup-events" in detail(built)


# -- the verdict -----------------------------------------------------------------------------------


def test_a_denial_that_is_seen_late_is_waited_for(built: Lab) -> None:
    userid = assume_role(built, "admin", "s1", "ASIA1")
    target = built.plan()
    built.see_late(3)
    assert built.respond(target).status is Status.CONTAINED
    assert built.waited >= 2
    assert denied(built, "admin") == [userid]


def test_a_denial_on_another_role_alone_that_is_seen_late_is_waited_for(built: Lab) -> None:
    userid = assume_role(built, "admin", "s1", "ASIA1")
    # before it is written, and twice afterwards
    built.fail(
        "GetRolePolicy", "NoSuchEntity", lambda params: params["RoleName"] == "admin", times=3
    )
    assert built.respond().status is Status.CONTAINED
    assert built.waited > 0
    assert denied(built, "admin") == [userid]
    # once, by its name and by the key of what it got
    assert built.operations().count("LookupEvents") == 2 * len(built.got.regions)


def test_a_complete_search_is_not_repeated_when_something_else_is_contained_again(
    built: Lab,
) -> None:
    built.fail("ModifyNetworkInterfaceAttribute", "RequestLimitExceeded", times=1)
    assert built.respond().status is Status.CONTAINED
    assert built.operations().count("LookupEvents") == len(built.got.regions)


def test_a_denial_that_is_taken_away_is_lost_and_contained_again(built: Lab) -> None:
    userid = assume_role(built, "admin", "s1", "ASIA1")
    target = built.plan()
    assert built.respond(target).status is Status.CONTAINED
    built.see("iam").delete_role_policy(RoleName="admin", PolicyName=f"{PREFIX}-sessions")
    step, checks = ec2_instance.verify(built.context(), target._replace(verify_only=True))
    assert step.status is Status.PARTIAL
    [lost] = [check for check in checks if not check.ok]
    assert (lost.name, lost.read) == ("held_sessions admin", True)
    assert {"admin", built.ids["instance"]} <= set(step.watched)
    ec2_instance.contain(built.context(), target)
    assert denied(built, "admin") == [userid]
    step, _ = ec2_instance.verify(built.context(), target._replace(verify_only=True))
    assert step.status is Status.CONTAINED

"""Sessions of a role: the one a finding names is denied and no other, or all older ones; judged
by IAM's own evaluation.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.cloudtrail.event import CloudTrailRecord
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.decision import manifests
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import drift
from guardduty_response.playbooks.iam_principal import playbook
from moto.ec2.utils import filter_dict_attribute_mapping

from tests.unit.playbooks.iam_principal.iam_account import REGION
from tests.unit.playbooks.iam_principal.iam_lab import INCIDENT, PREFIX, IamLab
from tests.unit.playbooks.iam_principal.iam_moto import HOME, MEMBER
from tests.unit.playbooks.iam_principal.session_judge import (
    ALLOW_EVERYTHING,
    EXFILTRATION,
    INSTANCE,
    is_allowed,
    moment,
)

SESSIONS = f"{PREFIX}-sessions"


def test_one_of_two_sessions_is_denied_and_only_as_far_as_it_is_older(iam: IamLab) -> None:
    iam.role(session="carol")
    assert is_allowed(iam, "carol", -600)
    assert iam.respond().status is Status.CONTAINED
    assert not is_allowed(iam, "carol", -600), "the one of the finding"
    assert is_allowed(iam, "dave", -600), "another session of the role goes on"
    assert is_allowed(iam, "carol2", -600)
    assert is_allowed(iam, "carol", 60), (
        "names are compared whole; whoever signs in again may go on"
    )
    [(name, document)] = iam.role_policies().items()
    assert name == SESSIONS
    [statement] = document["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "*", "*")
    assert statement["Condition"]["StringEquals"] == {
        "aws:userid": [f"{iam.ids['roles']['app']}:carol"]
    }
    assert statement["Condition"]["DateLessThan"].keys() == {"aws:TokenIssueTime"}


def test_all_sessions_by_option(iam: IamLab) -> None:
    iam.options["revoke_sessions"] = "role"
    assert iam.role().respond().status is Status.CONTAINED
    assert not is_allowed(iam, "carol", -600)
    assert not is_allowed(iam, "dave", -600)
    assert is_allowed(iam, "dave", 60)
    assert set(iam.role_policies()) == {OLDER, SESSIONS}


@pytest.mark.parametrize("old", ["2024-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_all_sessions_by_option_keep_what_was_there(iam: IamLab, old: str) -> None:
    iam.role(session=INSTANCE, trust={"Service": "ec2.amazonaws.com"})
    iam.options["revoke_sessions"] = "role"
    own_statement = {
        "Effect": "Deny",
        "Action": "s3:*",
        "Resource": "*",
        "Sid": "Ours",
    }
    older = {
        "Effect": "Deny",
        "Action": ["*"],
        "Resource": ["*"],
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": [old]}},
    }
    document = {"Version": "2012-10-17", "Statement": [own_statement, older]}
    iam.see().put_role_policy(
        RoleName="app",
        PolicyName=OLDER,
        PolicyDocument=json.dumps(document),
    )
    assert iam.respond().status is Status.CONTAINED
    found = iam.role_policies()[OLDER]["Statement"]
    if old.startswith("2099"):
        assert found == [own_statement, older], "denies more than we want: left"
    else:
        assert found[0] == own_statement
        assert len(found) == 2
        assert found[1]["Condition"]["DateLessThan"]["aws:TokenIssueTime"] > moment(-60)
    assert iam.stored_target()["before"]["sessions"]["policies"][OLDER] == document
    assert not is_allowed(iam, "i-0fffffffffffffff0", -60)


def test_stolen_instance_credentials_deny_the_session_that_is_named(iam: IamLab) -> None:
    iam.role(session=INSTANCE, trust={"Service": "ec2.amazonaws.com"})
    iam.finding_type = EXFILTRATION
    assert iam.respond().status is Status.CONTAINED
    assert not is_allowed(iam, INSTANCE, -60)
    assert is_allowed(iam, "i-0fffffffffffffff0", -60), "another instance of the role goes on"
    assert set(iam.role_policies()) == {SESSIONS}


def test_a_finding_without_a_session_denies_all(iam: IamLab) -> None:
    iam.role()
    iam.details["principalId"] = iam.ids["roles"]["app"]
    target = iam.plan()
    assert target.id == "app/*"
    assert iam.respond(target).status is Status.CONTAINED
    assert set(iam.role_policies()) == {OLDER}
    assert not is_allowed(iam, "anybody", -60)


def test_a_role_with_a_path(iam: IamLab) -> None:
    assert iam.role(path="/team/web/").respond().status is Status.CONTAINED
    assert not is_allowed(iam, "carol", -60)
    assert (
        iam.stored_target()["before"]["sessions"]["role"]
        == f"arn:aws:iam::{MEMBER}:role/team/web/app"
    )


def test_the_rest_of_the_role_is_as_it_was(iam: IamLab) -> None:
    iam.role()
    iam.see().put_role_policy(
        RoleName="app", PolicyName="work", PolicyDocument=json.dumps(ALLOW_EVERYTHING)
    )
    iam.respond()
    assert iam.role_policies()["work"] == ALLOW_EVERYTHING
    quarantined = {PREFIX: "quarantined", f"{PREFIX}-incident": INCIDENT}
    assert iam.role_dump()["tags"] == {**quarantined, f"{PREFIX}-sessions": "denied"}


def test_how_the_role_was_is_in_the_record_before_it_is_changed(iam: IamLab) -> None:
    target = iam.role().plan()
    seen: list[Any] = []

    def die() -> None:
        seen.extend([iam.stored_target()["before"].get("sessions"), iam.role_policies()])
        raise KeyboardInterrupt

    iam.hooks.append(("PutRolePolicy", die))
    with pytest.raises(KeyboardInterrupt):
        playbook.contain(iam.context(), target)
    assert seen[0]["policies"] == {SESSIONS: None}
    assert seen[1] == {}


def test_a_role_that_somebody_else_changes_is_waited_for(iam: IamLab) -> None:
    iam.role().fail(
        "PutRolePolicy",
        "ConcurrentModification",
        times=3,
    )
    assert iam.respond().status is Status.CONTAINED
    assert not is_allowed(iam, "carol", -60)


def test_a_full_role_is_not_contained_and_says_what_to_run(iam: IamLab) -> None:
    iam.role().fail("PutRolePolicy", "LimitExceeded")
    iam.fail("CreatePolicy", "LimitExceeded")
    result = iam.respond()
    assert result.status is Status.FAILED
    assert iam.role_policies() == {}
    detail = iam.detail("revoke_sessions")
    assert "aws iam put-role-policy --role-name app" in detail
    document = json.loads(detail.split("--policy-document '")[1].split("'")[0])
    assert document["Statement"][0]["Condition"]["StringEquals"]["aws:userid"] == [
        f"{iam.ids['roles']['app']}:carol"
    ]


# -- again -----------------------------------------------------------------------------------------


def test_read_back_and_contained_twice_it_is_the_same_policy(iam: IamLab) -> None:
    target = iam.role().plan()
    iam.respond(target)
    before = iam.role_policies()
    iam.clock_offset += 30
    iam.respond(target)
    assert iam.role_policies() == before
    assert iam.operations().count("PutRolePolicy") == 1


def test_contained_again_by_a_later_execution_the_new_sessions_are_denied_too(iam: IamLab) -> None:
    iam.role()
    iam.respond()
    iam.clock_offset += 3600
    assert is_allowed(iam, "carol", 1800), "signed in again meanwhile"
    assert iam.respond(iam.plan()).status is Status.CONTAINED
    assert not is_allowed(iam, "carol", 1800)
    assert iam.stored_target()["before"]["sessions"]["policies"] == {SESSIONS: None}


def test_a_check_of_what_stands_finds_nothing_undone(
    iam: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = iam.role().plan()
    iam.respond(target)
    iam.clock_offset += 3600
    [planned] = playbook.plan(iam.context())
    check = planned.target._replace(verify_only=True)
    result, checks = playbook.verify(iam.context(), check)
    assert (
        drift.assess(
            iam.context(),
            check,
            result,
            checks,
        )[0].status
        is Status.CONTAINED
    )
    iam.see().delete_role_policy(RoleName="app", PolicyName=SESSIONS)
    monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
    result, checks = playbook.verify(iam.context(2), check)
    assert (
        drift.assess(
            iam.context(2),
            check,
            result,
            checks,
        )[0].status
        is Status.CONTAINMENT_LOST
    )


# -- whose session it is ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trust", "session", "detail"),
    [
        (
            {"Service": "lambda.amazonaws.com"},
            "resize-images",
            "credentials of a Lambda function (session resize-images)",
        ),
        (
            {"Service": "ecs-tasks.amazonaws.com"},
            "0f1e2d3c",
            "credentials of an ECS task (session 0f1e2d3c): stop the task",
        ),
        ({"Service": "pods.eks.amazonaws.com"}, "eks-c-web-1", "credentials of a Kubernetes pod"),
        (
            {
                "Federated": (
                    f"arn:aws:iam::{MEMBER}:oidc-provider/oidc.eks.{REGION}.amazonaws.com/id/E"
                )
            },
            "botocore-session-1",
            "credentials of a Kubernetes pod (session botocore-session-1): delete the pod",
        ),
        (
            {"AWS": f"arn:aws:iam::{MEMBER}:root"},
            "carol",
            "session carol: whoever may assume the role can sign in again",
        ),
        (
            {"Service": "ec2.amazonaws.com"},
            INSTANCE,
            f"instance {INSTANCE}, after which the session is named, is not handed over",
        ),
    ],
)
def test_whose_credentials_they_are_is_said(
    iam: IamLab, trust: dict[str, str | list[str]], session: str, detail: str
) -> None:
    assert detail in iam.role(session=session, trust=trust).planned().consequences


def test_who_else_uses_the_role_is_said(iam: IamLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto knows no filter by instance profile."""
    monkeypatch.setitem(
        filter_dict_attribute_mapping, "iam-instance-profile.arn", "iam_instance_profile.Arn"
    )
    iam.role(session="carol", trust={"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]})
    client, ec2 = iam.see(), iam.see("ec2")
    client.create_instance_profile(InstanceProfileName="app")
    client.add_role_to_instance_profile(InstanceProfileName="app", RoleName="app")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    profile = {"Name": "app"}
    created = [
        ec2.run_instances(
            ImageId=image,
            MinCount=1,
            MaxCount=1,
            IamInstanceProfile=profile,
        )
        for _ in range(5)
    ]
    code = {"ZipFile": b"x"}
    iam.see("lambda").create_function(
        FunctionName="resize", Runtime="python3.13", Handler="a.b", Role=iam.ids["arn"], Code=code
    )
    text = iam.planned().consequences
    names = ", ".join(sorted(started["Instances"][0]["InstanceId"] for started in created))
    assert f"instance {names} in {REGION}" in text, "in an order that stays"
    assert "function resize" in text
    assert "other sessions go on" in text
    iam.respond(iam.plan())
    assert "function resize" in iam.detail("other_workloads")
    assert iam.actions()["other_workloads"] == "NOTED"


def test_what_else_uses_the_role_and_cannot_be_read_fails_nothing(iam: IamLab) -> None:
    iam.role()
    for operation in ("ListInstanceProfilesForRole", "ListFunctions"):
        iam.fail(operation, "AccessDenied")
    assert iam.respond().status is Status.CONTAINED
    assert "could not be listed" in iam.detail("other_workloads")


# -- who signs in again ----------------------------------------------------------------------------


def caller(iam: IamLab, session: str, issued: float, name: str = "app") -> CloudTrailRecord:
    issuer = {
        "type": "Role",
        "principalId": iam.ids["roles"][name],
        "userName": name,
        "accountId": MEMBER,
    }
    return {
        "type": "AssumedRole",
        "principalId": f"{iam.ids['roles'][name]}:{session}",
        "accountId": MEMBER,
        "accessKeyId": "ASIANEWER000000000001",
        "sessionContext": {"sessionIssuer": issuer, "attributes": {"creationDate": moment(issued)}},
    }


def test_a_newer_session_of_that_name_is_told_afterwards(iam: IamLab) -> None:
    target = iam.role().plan()
    iam.respond(target)
    iam.add_event(
        "GetCallerIdentity",
        caller(iam, "carol", 600),
        ago=-620,
        region=HOME,
    )
    [waits, done] = iam.finish(target)
    assert waits.wait_seconds > 1000
    assert done.done
    assert iam.actions()["signed_in_again"] == "FAILED"
    detail = iam.detail("signed_in_again")
    assert "GetCallerIdentity" in detail
    assert "198.51.100.7" in detail
    assert "trust policy of app" in detail
    check = target._replace(verify_only=True)
    result, _ = playbook.verify(iam.context(), check)
    assert result.status is Status.PARTIAL, "it lives, and nobody denied it"
    iam.clock_offset += 3600
    iam.respond(iam.plan())
    assert iam.checks["signed_in_again"].ok, "contained again, it is denied"


@pytest.mark.parametrize("other", ["older", "dave", "another role"])
def test_nobody_else_is_taken_for_it(iam: IamLab, other: str) -> None:
    iam.role().role("batch", session=None)
    target = iam.plan()
    iam.respond(target)
    seen = {
        "older": caller(iam, "carol", -600),
        "dave": caller(iam, "dave", 600),
        "another role": caller(
            iam,
            "carol",
            600,
            "batch",
        ),
    }
    iam.add_event(
        "GetCallerIdentity",
        seen[other],
        ago=-620,
    )
    iam.finish(target)
    assert iam.actions()["signed_in_again"] == "SKIPPED"


def test_a_region_that_cannot_be_asked_is_no_clean_answer(iam: IamLab) -> None:
    target = iam.role().plan()
    iam.respond(target)
    iam.fail(
        "LookupEvents",
        "AccessDenied",
        when=lambda params: params["region"] == HOME,
    )
    iam.finish(target)
    assert iam.actions()["signed_in_again"] == "FAILED"
    assert HOME in iam.detail("signed_in_again")


# -- parse -----------------------------------------------------------------------------------------


def test_the_finding_stays_about_a_credential(iam: IamLab) -> None:
    assert manifests.playbook_for(iam.role().finding())[0] == "iam_principal"

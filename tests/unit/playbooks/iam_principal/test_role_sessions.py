"""Sessions of a role: the one a finding names is denied and no other, or all older ones; judged
by IAM's own evaluation.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.decision import finding
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import drift
from guardduty_response.playbooks.iam_principal import playbook, role
from moto.ec2.utils import filter_dict_attribute_mapping

from tests.support.policy_oracle import decide
from tests.unit.playbooks.iam_principal.iam_lab import (
    HOME,
    INCIDENT,
    MEMBER,
    PREFIX,
    REGION,
    IamLab,
)

Json = dict[str, Any]
INSTANCE = "i-0123456789abcdef0"
EXFILTRATION = "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"
EVERYTHING: Json = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def moment(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def may(iam: IamLab, session: str, issued: float, name: str = "app") -> bool:
    """Whether the session, issued so many seconds from now, may still do what the role allows."""
    keys = {
        "aws__userid": f"{iam.ids['roles'][name]}:{session}",
        "aws__TokenIssueTime": moment(issued),
    }
    policies = [EVERYTHING, *iam.role_policies(name).values()]
    principal = f"arn:aws:sts::{MEMBER}:assumed-role/{name}/{session}"
    return bool(decide(policies, "s3:GetObject", "arn:aws:s3:::b/k", principal, **keys) == "Allow")


def test_one_of_two_sessions_is_denied_and_only_as_far_as_it_is_older(iam: IamLab) -> None:
    iam.role(session="carol")
    assert may(iam, "carol", -600)
    assert iam.respond().status is Status.CONTAINED
    assert not may(iam, "carol", -600), "the one of the finding"
    assert may(iam, "dave", -600), "another session of the role goes on"
    assert may(iam, "carol2", -600) and may(iam, "carol", 60), (
        "names are compared whole; whoever signs in again may go on"
    )
    [(name, document)] = iam.role_policies().items()
    assert name == role.policy_name(PREFIX, "app/carol")
    [statement] = document["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "*", "*")
    assert statement["Condition"]["StringEquals"] == {
        "aws:userid": [f"{iam.ids['roles']['app']}:carol"]
    }
    assert statement["Condition"]["DateLessThan"].keys() == {"aws:TokenIssueTime"}


def test_all_sessions_by_option(iam: IamLab) -> None:
    iam.options["revoke_sessions"] = "role"
    assert iam.role().respond().status is Status.CONTAINED
    assert not may(iam, "carol", -600) and not may(iam, "dave", -600)
    assert may(iam, "dave", 60)
    assert set(iam.role_policies()) == {OLDER, role.policy_name(PREFIX, "app/carol")}


@pytest.mark.parametrize("old", ["2024-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_stolen_instance_credentials_deny_all_and_keep_what_was_there(
    iam: IamLab, old: str
) -> None:
    iam.role(session=INSTANCE, trust={"Service": "ec2.amazonaws.com"})
    iam.finding_type = EXFILTRATION
    mine = {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Sid": "Ours"}
    older = {
        "Effect": "Deny",
        "Action": ["*"],
        "Resource": ["*"],
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": [old]}},
    }
    document = {"Version": "2012-10-17", "Statement": [mine, older]}
    iam.see().put_role_policy(RoleName="app", PolicyName=OLDER, PolicyDocument=json.dumps(document))
    assert iam.respond().status is Status.CONTAINED
    found = iam.role_policies()[OLDER]["Statement"]
    if old.startswith("2099"):
        assert found == [mine, older], "denies more than we want: left"
    else:
        assert found[0] == mine and len(found) == 2
        assert found[1]["Condition"]["DateLessThan"]["aws:TokenIssueTime"] > moment(-60)
    assert iam.ledger()["before"]["sessions"]["policies"][OLDER] == document
    assert not may(iam, "i-0fffffffffffffff0", -60)


def test_a_finding_without_a_session_denies_all(iam: IamLab) -> None:
    iam.role()
    iam.details["principalId"] = iam.ids["roles"]["app"]
    target = iam.plan()
    assert target.id == "app/*"
    assert iam.respond(target).status is Status.CONTAINED
    assert set(iam.role_policies()) == {OLDER} and not may(iam, "anybody", -60)


def test_a_role_with_a_path(iam: IamLab) -> None:
    assert iam.role(path="/team/web/").respond().status is Status.CONTAINED
    assert not may(iam, "carol", -60)
    assert iam.ledger()["before"]["sessions"]["role"] == f"arn:aws:iam::{MEMBER}:role/team/web/app"


def test_the_rest_of_the_role_is_as_it_was(iam: IamLab) -> None:
    iam.role()
    iam.see().put_role_policy(
        RoleName="app", PolicyName="work", PolicyDocument=json.dumps(EVERYTHING)
    )
    iam.respond()
    assert iam.role_policies()["work"] == EVERYTHING
    assert iam.role_dump()["tags"] == {PREFIX: "quarantined", f"{PREFIX}-incident": INCIDENT}


def test_how_the_role_was_is_in_the_record_before_it_is_changed(iam: IamLab) -> None:
    target = iam.role().plan()
    seen: list[Any] = []

    def die() -> None:
        seen.extend([iam.ledger()["before"].get("sessions"), iam.role_policies()])
        raise KeyboardInterrupt

    iam.hooks.append(("PutRolePolicy", die))
    with pytest.raises(KeyboardInterrupt):
        playbook.contain(iam.context(), target)
    assert seen[0]["policies"] == {role.policy_name(PREFIX, "app/carol"): None} and seen[1] == {}


def test_a_role_that_somebody_else_changes_is_waited_for(iam: IamLab) -> None:
    iam.role().fail("PutRolePolicy", "ConcurrentModification", times=3)
    assert iam.respond().status is Status.CONTAINED and not may(iam, "carol", -60)


def test_a_full_role_is_not_contained_and_says_what_to_run(iam: IamLab) -> None:
    iam.role().fail("PutRolePolicy", "LimitExceeded")
    step = iam.respond()
    assert step.status is Status.FAILED and iam.role_policies() == {}
    said = iam.said("revoke_sessions")
    assert "aws iam put-role-policy --role-name app" in said
    document = json.loads(said.split("--policy-document '")[1].split("'")[0])
    assert document["Statement"][0]["Condition"]["StringEquals"]["aws:userid"] == [
        f"{iam.ids['roles']['app']}:carol"
    ]


# -- again -----------------------------------------------------------------------------------------


def test_read_back_and_contained_twice_it_is_the_same_policy(iam: IamLab) -> None:
    target = iam.role().plan()
    iam.respond(target)
    before = iam.role_policies()
    iam.ahead += 30
    iam.respond(target)
    assert iam.role_policies() == before and iam.operations().count("PutRolePolicy") == 1


def test_contained_again_by_a_later_execution_the_new_sessions_are_denied_too(iam: IamLab) -> None:
    iam.role()
    iam.respond()
    iam.ahead += 3600
    assert may(iam, "carol", 1800), "signed in again meanwhile"
    assert iam.respond(iam.plan()).status is Status.CONTAINED
    assert not may(iam, "carol", 1800)
    assert iam.ledger()["before"]["sessions"]["policies"] == {
        role.policy_name(PREFIX, "app/carol"): None
    }


def test_a_check_of_what_stands_finds_nothing_undone(
    iam: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = iam.role().plan()
    iam.respond(target)
    iam.ahead += 3600
    [planned] = playbook.plan(iam.context())
    check = planned.target.__class__(**{**planned.target.payload(), "verify_only": True})
    step, checks = playbook.verify(iam.context(), check)
    assert drift.assess(iam.context(), check, step, checks)[0].status is Status.CONTAINED
    iam.see().delete_role_policy(RoleName="app", PolicyName=role.policy_name(PREFIX, "app/carol"))
    monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
    step, checks = playbook.verify(iam.context(2), check)
    assert drift.assess(iam.context(2), check, step, checks)[0].status is Status.CONTAINMENT_LOST


# -- whose session it is ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trust", "session", "said"),
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
        ({"Service": "ec2.amazonaws.com"}, INSTANCE, f"credentials of instance {INSTANCE}"),
    ],
)
def test_whose_credentials_they_are_is_said(
    iam: IamLab, trust: Json, session: str, said: str
) -> None:
    assert said in iam.role(session=session, trust=trust).planned().consequences


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
    made = ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "app"}
    )["Instances"][0]
    code = {"ZipFile": b"x"}
    iam.see("lambda").create_function(
        FunctionName="resize", Runtime="python3.13", Handler="a.b", Role=iam.ids["arn"], Code=code
    )
    text = iam.planned().consequences
    assert (
        f"instance {made['InstanceId']} in {REGION}" in text
        and "function resize" in text
        and "other sessions go on" in text
    )
    iam.respond(iam.plan())
    assert (
        "function resize" in iam.said("other_workloads")
        and iam.actions()["other_workloads"] == "NOTED"
    )


def test_what_else_uses_the_role_and_cannot_be_read_fails_nothing(iam: IamLab) -> None:
    iam.role()
    for operation in ("ListInstanceProfilesForRole", "ListFunctions"):
        iam.fail(operation, "AccessDenied")
    assert iam.respond().status is Status.CONTAINED
    assert "could not be listed" in iam.said("other_workloads")


# -- who signs in again ----------------------------------------------------------------------------


def who(iam: IamLab, session: str, issued: float, name: str = "app") -> Json:
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
    iam.happened("GetCallerIdentity", who(iam, "carol", 600), ago=-620, region=HOME)
    [waits, done] = iam.finish(target)
    assert waits.wait_seconds > 1000 and done.done
    assert iam.actions()["signed_in_again"] == "FAILED"
    said = iam.said("signed_in_again")
    assert "GetCallerIdentity" in said and "198.51.100.7" in said and "trust policy of app" in said


@pytest.mark.parametrize("other", ["older", "dave", "another role"])
def test_nobody_else_is_taken_for_it(iam: IamLab, other: str) -> None:
    iam.role().role("batch", session=None)
    target = iam.plan()
    iam.respond(target)
    seen = {
        "older": who(iam, "carol", -600),
        "dave": who(iam, "dave", 600),
        "another role": who(iam, "carol", 600, "batch"),
    }
    iam.happened("GetCallerIdentity", seen[other], ago=-620)
    iam.finish(target)
    assert iam.actions()["signed_in_again"] == "SKIPPED"


def test_a_region_that_cannot_be_asked_is_no_clean_answer(iam: IamLab) -> None:
    target = iam.role().plan()
    iam.respond(target)
    iam.fail("LookupEvents", "AccessDenied", when=lambda params: params["region"] == HOME)
    iam.finish(target)
    assert iam.actions()["signed_in_again"] == "FAILED" and HOME in iam.said("signed_in_again")


# -- parse -----------------------------------------------------------------------------------------


def test_the_finding_stays_about_a_credential(iam: IamLab) -> None:
    assert finding.playbook_for(iam.role().finding())[0] == "iam_principal"

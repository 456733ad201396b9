"""Policies, groups and trust: reverted, left alone where somebody changed them since, and
brought back.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import resource_state

from tests.unit.deployment import MEMBER, PREFIX, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import (
    DENY_ALL,
    NOTHING,
    USER,
    EradicationLab,
)

Json = dict[str, Any]
ADMIN: Json = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
OTHER = "999999999999"
SID = "GuarddutyResponseDenyOutside"


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    made = EradicationLab(deployment, monkeypatch)
    iam = made.see("iam")
    iam.create_user(UserName="bob")
    iam.create_group(GroupName="admins")
    iam.create_role(
        RoleName="app", AssumeRolePolicyDocument=json.dumps(trust({"Service": "ec2.amazonaws.com"}))
    )
    iam.create_policy(PolicyName="all", PolicyDocument=json.dumps(ADMIN))
    return made


def trust(*principals: Any, effect: str = "Allow") -> Json:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole"}
            for principal in principals
        ],
    }


OF = {"user": "bob", "role": "app", "group": "admins"}
POLICY = f"arn:aws:iam::{MEMBER}:policy/all"


def named(of: str) -> Json:
    return {f"{of.title()}Name": OF[of]}


def attached(lab: EradicationLab, of: str) -> list[str]:
    result = getattr(lab.see("iam"), f"list_attached_{of}_policies")(
        **{f"{of.title()}Name": OF[of]}
    )
    return [policy["PolicyArn"] for policy in result["AttachedPolicies"]]


def inline(lab: EradicationLab, of: str) -> dict[str, Json]:
    iam = lab.see("iam")
    get_policy = getattr(iam, f"get_{of}_policy")
    names = getattr(iam, f"list_{of}_policies")(**named(of))["PolicyNames"]
    return {name: get_policy(**named(of), PolicyName=name)["PolicyDocument"] for name in names}


@pytest.mark.parametrize("of", OF)
def test_attached(lab: EradicationLab, of: str) -> None:
    lab.does("iam", f"attach_{of}_policy", **named(of), PolicyArn=POLICY)
    lab.eradicate()
    assert (attached(lab, of), set(lab.lines().values()), lab.left) == ([], {"DONE"}, [])
    assert lab.restore().status is Status.RESTORED
    assert attached(lab, of) == [POLICY]


def test_a_denial_that_was_attached_is_not_taken_away(lab: EradicationLab) -> None:
    lab.does("iam", "attach_user_policy", UserName="bob", PolicyArn=DENY_ALL)
    lab.eradicate()
    assert (attached(lab, "user"), lab.lines()) == ([DENY_ALL], {"AttachUserPolicy": "SKIPPED"})
    assert "detaching it would grant access" in lab.left[0]


def test_detached_since(lab: EradicationLab) -> None:
    lab.does("iam", "attach_user_policy", UserName="bob", PolicyArn=POLICY)
    lab.see("iam").detach_user_policy(UserName="bob", PolicyArn=POLICY)
    lab.eradicate()
    assert (lab.lines(), lab.changed(), lab.left) == ({"AttachUserPolicy": "ALREADY"}, [], [])


@pytest.mark.parametrize("of", OF)
def test_inline(lab: EradicationLab, of: str) -> None:
    lab.does(
        "iam",
        f"put_{of}_policy",
        **named(of),
        PolicyName="p",
        PolicyDocument=json.dumps(ADMIN),
    )
    lab.eradicate()
    assert (inline(lab, of), set(lab.lines().values())) == ({}, {"DONE"})
    assert "whether it replaced an older policy is not known" in str(lab.stored_record()["actions"])
    result = lab.restore()
    assert (inline(lab, of), result.status) == ({"p": ADMIN}, Status.RESTORED)


def test_an_inline_policy_put_twice_is_deleted_once(lab: EradicationLab) -> None:
    for document in (NOTHING, ADMIN):
        lab.does(
            "iam",
            "put_user_policy",
            UserName="bob",
            PolicyName="p",
            PolicyDocument=json.dumps(document),
        )
    lab.eradicate()
    assert (inline(lab, "user"), lab.left) == ({}, [])
    actions = lab.stored_record()["actions"]
    reverted = [entry["status"] for name, entry in actions.items() if name.startswith("revert/")]
    assert sorted(reverted) == ["ALREADY", "DONE"]
    assert lab.restore().status is Status.RESTORED
    assert inline(lab, "user") == {"p": ADMIN}


def test_an_inline_policy_changed_since(lab: EradicationLab) -> None:
    lab.does(
        "iam", "put_user_policy", UserName="bob", PolicyName="p", PolicyDocument=json.dumps(ADMIN)
    )
    lab.see("iam").put_user_policy(
        UserName="bob", PolicyName="p", PolicyDocument=json.dumps(NOTHING)
    )
    lab.eradicate()
    assert (inline(lab, "user"), lab.lines()) == ({"p": NOTHING}, {"PutUserPolicy": "SKIPPED"})
    assert (
        "was changed since: it is left as it is" in lab.left[0]
        and "aws iam delete-user-policy" in lab.left[0]
    )


def test_an_inline_policy_whose_text_was_cut(lab: EradicationLab) -> None:
    """What was put is not known then: what is there is recorded, so it can come back."""
    lab.does(
        "iam",
        "put_user_policy",
        UserName="bob",
        PolicyName="p",
        PolicyDocument=json.dumps(ADMIN),
        also={
            "parameters": {
                "userName": "bob",
                "policyName": "p",
                "policyDocument": '{"Version": "20…',
            }
        },
    )
    lab.eradicate()
    assert inline(lab, "user") == {}


@pytest.mark.parametrize("name", ["AWSRevokeOlderSessions", f"{PREFIX}-deny-session"])
def test_what_denies_sessions_is_never_deleted(lab: EradicationLab, name: str) -> None:
    """The principal may have put a policy of that name; containment has put its own in its place
    since.
    """
    lab.does(
        "iam", "put_role_policy", RoleName="app", PolicyName=name, PolicyDocument=json.dumps(ADMIN)
    )
    lab.eradicate()
    assert (set(inline(lab, "role")), lab.lines()) == ({name}, {"PutRolePolicy": "SKIPPED"})


def test_put_back_by_somebody_else_is_not_overwritten(lab: EradicationLab) -> None:
    lab.does(
        "iam", "put_user_policy", UserName="bob", PolicyName="p", PolicyDocument=json.dumps(ADMIN)
    )
    lab.eradicate()
    lab.see("iam").put_user_policy(
        UserName="bob", PolicyName="p", PolicyDocument=json.dumps(NOTHING)
    )
    result = lab.restore()
    assert (inline(lab, "user"), result.status) == ({"p": NOTHING}, Status.RESTORE_PARTIAL)


def members(lab: EradicationLab) -> list[str]:
    return [user["UserName"] for user in lab.see("iam").get_group(GroupName="admins")["Users"]]


def test_added_to_a_group(lab: EradicationLab) -> None:
    lab.does("iam", "add_user_to_group", UserName="bob", GroupName="admins")
    lab.eradicate()
    assert (members(lab), lab.lines()) == ([], {"AddUserToGroup": "DONE"})
    assert lab.restore().status is Status.RESTORED
    assert members(lab) == ["bob"]


def test_the_contained_user_itself_loses_what_it_gave_itself(lab: EradicationLab) -> None:
    lab.does("iam", "attach_user_policy", UserName=USER, PolicyArn=POLICY)
    lab.see("iam").attach_user_policy(UserName=USER, PolicyArn=DENY_ALL)
    lab.eradicate()
    result = lab.see("iam").list_attached_user_policies(UserName=USER)["AttachedPolicies"]
    assert [text["PolicyArn"] for text in result] == [DENY_ALL]


@pytest.mark.parametrize(
    ("name", "parameters", "manual_command"),
    [
        (
            "PutUserPermissionsBoundary",
            {"userName": "bob"},
            "aws iam delete-user-permissions-boundary --user-name bob",
        ),
        (
            "DeleteRolePermissionsBoundary",
            {"roleName": "app"},
            "aws iam put-role-permissions-boundary --permissions-boundary ARN --role-name app",
        ),
        (
            "CreatePolicyVersion",
            {"policyArn": POLICY},
            f"aws iam list-policy-versions --policy-arn {POLICY}",
        ),
        (
            "SetDefaultPolicyVersion",
            {"policyArn": POLICY},
            f"aws iam list-policy-versions --policy-arn {POLICY}",
        ),
        (
            "DetachUserPolicy",
            {"userName": "bob", "policyArn": POLICY},
            f"aws iam attach-user-policy --user-name bob --policy-arn {POLICY}",
        ),
        (
            "CreateInstanceProfile",
            {"instanceProfileName": "p"},
            "aws iam delete-instance-profile --instance-profile-name p",
        ),
        (
            "CreateInstanceProfile",
            {"instanceProfileName": "$(rm -rf .)"},
            "--instance-profile-name '$(rm -rf .)'",
        ),
        (
            "CreateInstanceProfile",
            {},
            "aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventId",
        ),
        (
            "SomethingNew",
            {},
            "aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventId",
        ),
    ],
)
def test_for_people(lab: EradicationLab, name: str, parameters: Json, manual_command: str) -> None:
    lab.happened("iam", name, parameters)
    lab.eradicate()
    assert manual_command in lab.left[0] and lab.changed() == []


# -- trust -----------------------------------------------------------------------------------------


def role_trust(lab: EradicationLab) -> Json:
    return dict(lab.see("iam").get_role(RoleName="app")["Role"]["AssumeRolePolicyDocument"])


def set_trust(lab: EradicationLab, document: Json) -> None:
    """The principal replaces the trust policy of the role app."""
    text = json.dumps(document)
    lab.does("iam", "update_assume_role_policy", RoleName="app", PolicyDocument=text)


@pytest.mark.parametrize(
    "outside",
    [
        {"AWS": f"arn:aws:iam::{OTHER}:root"},
        {"AWS": [f"arn:aws:iam::{MEMBER}:root", f"arn:aws:iam::{OTHER}:role/x"]},
        {"AWS": OTHER},
        {"AWS": "*"},
        "*",
    ],
)
def test_a_door_for_another_account(lab: EradicationLab, outside: Any) -> None:
    document = trust({"Service": "ec2.amazonaws.com"}, outside)
    set_trust(lab, document)
    lab.eradicate()
    *kept, denial = role_trust(lab)["Statement"]
    assert kept == document["Statement"], "what was there stays"
    assert (denial["Sid"], denial["Effect"], denial["Action"]) == (SID, "Deny", "sts:AssumeRole")
    assert denial["Condition"]["StringNotEquals"] == {"aws:PrincipalAccount": MEMBER}
    assert lab.lines() == {"UpdateAssumeRolePolicy": "DONE"}
    assert lab.restore().status is Status.RESTORED
    assert role_trust(lab) == document


@pytest.mark.parametrize(
    "inside",
    [
        {"Service": "ec2.amazonaws.com"},
        {"AWS": f"arn:aws:iam::{MEMBER}:root"},
        {"AWS": MEMBER},
        {"Federated": f"arn:aws:iam::{MEMBER}:saml-provider/idp"},
        {"AWS": "AROAEXAMPLEEXAMPLE12"},
    ],
)
def test_trust_that_names_this_account_alone_is_for_people(
    lab: EradicationLab, inside: Any
) -> None:
    document = trust(inside)
    set_trust(lab, document)
    lab.eradicate()
    assert (role_trust(lab), lab.lines()) == (document, {"UpdateAssumeRolePolicy": "SKIPPED"})
    assert "aws iam get-role --role-name app" in lab.left[0]


def test_two_changes_of_one_trust_get_one_denial(lab: EradicationLab) -> None:
    for outside in (OTHER, "888888888888"):
        set_trust(lab, trust({"AWS": outside}))
    lab.eradicate()
    sids = [statement.get("Sid") for statement in role_trust(lab)["Statement"]]
    assert (sids.count(SID), lab.left) == (1, [])


def test_trust_changed_since_is_not_overwritten_by_restore(lab: EradicationLab) -> None:
    set_trust(lab, trust({"AWS": OTHER}))
    lab.eradicate()
    now = trust({"AWS": MEMBER})
    lab.see("iam").update_assume_role_policy(RoleName="app", PolicyDocument=json.dumps(now))
    result = lab.restore()
    assert (role_trust(lab), result.status) == (now, Status.RESTORE_PARTIAL)


def test_what_the_denial_denies() -> None:
    """By an IAM evaluator: strangers, and neither the own account nor a service nor a web
    identity.
    """
    from ministack.core.iam_evaluator import EvalContext, parse_policy_document
    from ministack.core.iam_evaluator import evaluate as answer

    document = resource_state.with_denial(trust({"AWS": "*"}), SID, MEMBER)
    identity: Json = {
        "Version": "2012-10-17",
        "Statement": [
            {**{k: v for k, v in statement.items() if k != "Principal"}, "Resource": "*"}
            for statement in document["Statement"]
        ],
    }
    identity["Statement"].append(
        {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Resource": "*"}
    )

    def asked(action: str, account: str, **keys: str) -> str:
        context = EvalContext(
            principal_arn=f"arn:aws:iam::{account}:root",
            principal_type="AssumedRole",
            principal_account=account,
            action=action,
            resource_arn="*",
            region="us-east-1",
            secure_transport=True,
            request_tags={},
            tag_keys=[],
            service_context={
                k: v for name, v in keys.items() for k in (f"aws:{name}", f"aws:{name}".lower())
            },
        )
        return str(answer(context, [parse_policy_document(json.dumps(identity))]).decision)

    assert asked("sts:AssumeRole", OTHER) == "Deny"
    assert asked("sts:AssumeRole", MEMBER) == "Allow"
    assert asked("sts:AssumeRole", OTHER, PrincipalIsAWSService="true") == "Allow"
    assert asked("sts:AssumeRoleWithWebIdentity", "anonymous") == "Allow"

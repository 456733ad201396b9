"""Policies and groups: reverted, left alone where somebody changed them since or may have set them
before, and brought back.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from guardduty_response.incident.statuses import Status

from tests.unit.deployment import MEMBER, PREFIX, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import (
    DENY_ALL,
    NOTHING,
    USER,
    EradicationLab,
)
from tests.unit.playbooks.iam_principal.eradication_scenario import TRUST, create_role, for_people

Json = dict[str, Any]
ADMIN: Json = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    made = EradicationLab(deployment, monkeypatch)
    iam = made.see("iam")
    iam.create_user(UserName="bob")
    iam.create_group(GroupName="admins")
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    iam.create_policy(PolicyName="all", PolicyDocument=json.dumps(ADMIN))
    return made


@pytest.fixture
def new(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    """Calls of the finding made the user, the group and the role, which nothing undoes here."""
    made = EradicationLab(deployment, monkeypatch)
    made.options["remediate"] = ["policies"]
    made.does("iam", "create_user", UserName="bob")
    made.does("iam", "create_group", GroupName="admins")
    create_role(made)
    return made


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
def test_attached(new: EradicationLab, of: str) -> None:
    lab = new
    lab.see("iam").create_policy(PolicyName="all", PolicyDocument=json.dumps(ADMIN))
    lab.does("iam", f"attach_{of}_policy", **named(of), PolicyArn=POLICY)
    lab.eradicate()
    assert (attached(lab, of), set(lab.lines().values()), for_people(lab)) == ([], {"DONE"}, [])
    assert lab.restore().status is Status.RESTORED
    assert attached(lab, of) == [POLICY]


@pytest.mark.parametrize("of", OF)
@pytest.mark.parametrize("before", [True, False])
def test_a_policy_that_may_have_been_attached_is_for_people(
    lab: EradicationLab, of: str, before: bool
) -> None:
    """IAM attaches one that is attached without an error: the event is the same."""
    if before:
        getattr(lab.see("iam"), f"attach_{of}_policy")(**named(of), PolicyArn=POLICY)
    lab.does("iam", f"attach_{of}_policy", **named(of), PolicyArn=POLICY)
    lab.eradicate()
    assert (attached(lab, of), lab.changed()) == ([POLICY], [])
    assert lab.lines() == {f"Attach{of.title()}Policy": "SKIPPED"}
    [left] = lab.left
    id = getattr(lab.see("iam"), f"get_{of}")(**named(of))[of.title()][f"{of.title()}Id"]
    assert "whether it was attached before is not known" in left and id in left
    words = shlex.split(left.partition("By hand: ")[2])
    assert words[:3] == ["aws", "iam", f"detach-{of}-policy"]
    assert set(words[3:]) == {f"--{of}-name", OF[of], "--policy-arn", POLICY}


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


def put(lab: EradicationLab, of: str, document: Json = ADMIN) -> None:
    """The principal writes the inline policy p."""
    text = json.dumps(document)
    lab.does("iam", f"put_{of}_policy", **named(of), PolicyName="p", PolicyDocument=text)


@pytest.mark.parametrize("of", OF)
def test_inline(new: EradicationLab, of: str) -> None:
    lab = new
    put(lab, of)
    lab.eradicate()
    assert (inline(lab, of), lab.lines()) == ({}, {f"Put{of.title()}Policy": "DONE"})
    assert for_people(lab) == []
    result = lab.restore()
    assert (inline(lab, of), result.status) == ({"p": ADMIN}, Status.RESTORED)


@pytest.mark.parametrize("of", OF)
def test_an_inline_policy_that_may_have_been_there_is_for_people(
    lab: EradicationLab, of: str
) -> None:
    """IAM says of neither call whether it replaced one (PutRolePolicy: "adds or updates")."""
    before = json.dumps(NOTHING)
    getattr(lab.see("iam"), f"put_{of}_policy")(**named(of), PolicyName="p", PolicyDocument=before)
    put(lab, of)
    lab.eradicate()
    assert (inline(lab, of), lab.lines()) == ({"p": ADMIN}, {f"Put{of.title()}Policy": "SKIPPED"})
    [left] = lab.left
    id = getattr(lab.see("iam"), f"get_{of}")(**named(of))[of.title()][f"{of.title()}Id"]
    assert "whether it is new or replaced an older policy is not known" in left and id in left
    assert f"aws iam delete-{of}-policy --{of}-name {OF[of]} --policy-name p" in left
    assert lab.restore().status is Status.RESTORED
    assert inline(lab, of) == {"p": ADMIN}


def test_a_role_that_was_made_in_an_earlier_round_is_known(new: EradicationLab) -> None:
    new.eradicate(more=True)
    put(new, "role")
    new.eradicate()
    assert (inline(new, "role"), new.lines()) == ({}, {"PutRolePolicy": "DONE"})


def test_a_role_that_was_made_again_since_is_not_the_findings(new: EradicationLab) -> None:
    """Its name is that of the finding's role, its ID is not."""
    iam = new.see("iam")
    iam.delete_role(RoleName="app")
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    put(new, "role")
    new.eradicate()
    assert (inline(new, "role"), new.lines()) == ({"p": ADMIN}, {"PutRolePolicy": "SKIPPED"})


def test_a_role_that_its_owner_made_is_not_the_findings(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record has that call too: the owner works with the same user."""
    lab = EradicationLab(deployment, monkeypatch)
    create_role(lab, key="AKIAOWNER")
    put(lab, "role")
    lab.eradicate()
    assert (inline(lab, "role"), lab.lines()) == ({"p": ADMIN}, {"PutRolePolicy": "SKIPPED"})


def test_what_may_have_been_there_is_foretold_for_people(new: EradicationLab) -> None:
    new.see("iam").create_user(UserName="carol")
    document = json.dumps(ADMIN)
    for user in ("bob", "carol"):
        new.does("iam", "put_user_policy", UserName=user, PolicyName="p", PolicyDocument=document)
    new.eradicate()
    said = new.stored_record()["actions"]
    undoes, lists = (said[f"remediation_{name}"]["detail"] for name in ("undoes", "lists"))
    assert undoes.startswith("1 calls undone by itself: ") and "userName=bob" in undoes
    assert "userName=carol" in lists


def test_an_inline_policy_put_twice_is_deleted_once(new: EradicationLab) -> None:
    lab = new
    for document in (NOTHING, ADMIN):
        lab.does(
            "iam",
            "put_user_policy",
            UserName="bob",
            PolicyName="p",
            PolicyDocument=json.dumps(document),
        )
    lab.eradicate()
    assert (inline(lab, "user"), for_people(lab)) == ({}, [])
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


def test_an_inline_policy_whose_text_was_cut(new: EradicationLab) -> None:
    """What was put is not known then: what is there is recorded, so it can come back."""
    lab = new
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


def test_put_back_by_somebody_else_is_not_overwritten(new: EradicationLab) -> None:
    lab = new
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


@pytest.mark.parametrize("made", ["create_user", "create_group"])
def test_added_to_a_group(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, made: str
) -> None:
    """Where the finding made one of the two, the user was not in the group before."""
    lab = EradicationLab(deployment, monkeypatch)
    lab.options["remediate"] = ["policies"]
    requests: Json = {
        "create_user": {"UserName": "bob"},
        "create_group": {"GroupName": "admins"},
    }
    for call, request in requests.items():
        if call == made:
            lab.does("iam", call, **request)
        else:
            getattr(lab.see("iam"), call)(**request)
    lab.does("iam", "add_user_to_group", UserName="bob", GroupName="admins")
    lab.eradicate()
    assert (members(lab), lab.lines()) == ([], {"AddUserToGroup": "DONE"})
    assert lab.restore().status is Status.RESTORED
    assert members(lab) == ["bob"]


@pytest.mark.parametrize("before", [True, False])
def test_a_user_who_may_have_been_in_the_group_is_for_people(
    lab: EradicationLab, before: bool
) -> None:
    request: Json = {"UserName": "bob", "GroupName": "admins"}
    if before:
        lab.see("iam").add_user_to_group(**request)
    lab.does("iam", "add_user_to_group", **request)
    lab.eradicate()
    assert (members(lab), lab.lines()) == (["bob"], {"AddUserToGroup": "SKIPPED"})
    assert lab.changed() == []
    words = shlex.split(lab.left[0].partition("By hand: ")[2])
    assert words[:3] == ["aws", "iam", "remove-user-from-group"]
    assert {"bob", "admins"} < set(words)


def test_what_the_contained_user_gave_itself_is_for_people(lab: EradicationLab) -> None:
    """It may have had it before, and is denied everything."""
    lab.does("iam", "attach_user_policy", UserName=USER, PolicyArn=POLICY)
    lab.see("iam").attach_user_policy(UserName=USER, PolicyArn=DENY_ALL)
    lab.eradicate()
    result = lab.see("iam").list_attached_user_policies(UserName=USER)["AttachedPolicies"]
    assert {text["PolicyArn"] for text in result} == {POLICY, DENY_ALL}
    assert "aws iam detach-user-policy" in lab.left[0] and POLICY in lab.left[0]


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

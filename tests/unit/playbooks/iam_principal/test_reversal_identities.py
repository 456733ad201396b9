"""Keys, passwords, users and roles: reverted, left alone where they are not as they were made,
and brought back.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal.reversals.identities import DENY_DOCUMENT

from tests.unit.deployment import MEMBER, PREFIX, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import (
    DENY_ALL,
    NOTHING,
    USER,
    EradicationLab,
)

Json = dict[str, Any]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    return EradicationLab(deployment, monkeypatch)


def keys(lab: EradicationLab, user: str) -> dict[str, str]:
    return {
        key["AccessKeyId"]: key["Status"]
        for key in lab.see("iam").list_access_keys(UserName=user)["AccessKeyMetadata"]
    }


def policies(lab: EradicationLab, user: str) -> list[str]:
    return [
        policy["PolicyArn"]
        for policy in lab.see("iam").list_attached_user_policies(UserName=user)["AttachedPolicies"]
    ]


# -- access keys -----------------------------------------------------------------------------------


def test_a_key_for_somebody_else(lab: EradicationLab) -> None:
    lab.see("iam").create_user(UserName="bob", Path="/team/")
    key = lab.does(
        "iam",
        "create_access_key",
        UserName="bob",
    )["AccessKey"]["AccessKeyId"]
    lab.eradicate()
    assert keys(lab, "bob") == {key: "Inactive"}
    assert lab.restore().status is Status.RESTORED
    assert keys(lab, "bob") == {key: "Active"}


def test_a_key_of_its_own_that_containment_ended(lab: EradicationLab) -> None:
    """IAM leaves the user's name out of the request when the call is about oneself."""
    key = lab.does(
        "iam",
        "create_access_key",
        UserName=USER,
        also={"parameters": None},
    )["AccessKey"]["AccessKeyId"]
    lab.see("iam").update_access_key(
        UserName=USER,
        AccessKeyId=key,
        Status="Inactive",
    )
    lab.eradicate()
    assert (lab.lines(), lab.changed(), lab.left) == ({"CreateAccessKey": "ALREADY"}, [], [])
    assert "1 were undone already" in lab.kept()["detail"]
    assert lab.restore().restored == [], "nothing was recorded, so nothing is brought back"


def bobs_key_set(lab: EradicationLab, status: str) -> str:
    """The principal sets the status of a key of the user bob; returns the key's ID."""
    iam = lab.see("iam")
    iam.create_user(UserName="bob")
    key = str(iam.create_access_key(UserName="bob")["AccessKey"]["AccessKeyId"])
    lab.does(
        "iam",
        "update_access_key",
        UserName="bob",
        AccessKeyId=key,
        Status=status,
    )
    return key


@pytest.mark.parametrize("made", ["create_user", "create_access_key"])
def test_a_key_switched_on_again(lab: EradicationLab, made: str) -> None:
    """Calls of the finding made the key, or its user."""
    iam = lab.see("iam")
    if made == "create_user":
        lab.does("iam", "create_user", UserName="bob")
        key = iam.create_access_key(UserName="bob")["AccessKey"]["AccessKeyId"]
    else:
        iam.create_user(UserName="bob")
        key = lab.does("iam", "create_access_key", UserName="bob")["AccessKey"]["AccessKeyId"]
    lab.does("iam", "update_access_key", UserName="bob", AccessKeyId=key, Status="Active")
    lab.eradicate()
    assert (keys(lab, "bob"), lab.left) == ({key: "Inactive"}, [])
    assert lab.lines()["UpdateAccessKey"] == "DONE"


def test_a_key_that_may_have_been_active_is_for_people(lab: EradicationLab) -> None:
    """bob's owner made it, and it was active: IAM says nothing of that."""
    key = bobs_key_set(lab, "Active")
    lab.eradicate()
    assert (keys(lab, "bob"), lab.lines()) == ({key: "Active"}, {"UpdateAccessKey": "SKIPPED"})
    [left] = lab.left
    assert "whether the key was active before is not known" in left
    words = left.partition("By hand: ")[2].split()
    assert words[:3] == ["aws", "iam", "update-access-key"]
    assert {"Inactive", "bob", key} < set(words)


def test_a_key_switched_off_is_for_people(lab: EradicationLab) -> None:
    key = bobs_key_set(lab, "Inactive")
    lab.eradicate()
    assert (
        f"aws iam update-access-key --status Active --user-name bob --access-key-id {key}"
        in lab.left[0]
    )
    assert lab.lines() == {}


def test_a_key_that_is_gone(lab: EradicationLab) -> None:
    lab.see("iam").create_user(UserName="bob")
    key = lab.does(
        "iam",
        "create_access_key",
        UserName="bob",
    )["AccessKey"]["AccessKeyId"]
    lab.see("iam").delete_access_key(UserName="bob", AccessKeyId=key)
    lab.eradicate()
    assert (lab.lines(), lab.left) == ({"CreateAccessKey": "ALREADY"}, [])


# -- users -----------------------------------------------------------------------------------------


def test_a_new_user(lab: EradicationLab) -> None:
    lab.does(
        "iam",
        "create_user",
        UserName="mallory",
        Path="/x/",
    )
    # by another principal, say
    key = lab.see("iam").create_access_key(UserName="mallory")["AccessKey"]["AccessKeyId"]
    lab.eradicate()
    assert (policies(lab, "mallory"), keys(lab, "mallory")) == ([DENY_ALL], {key: "Inactive"})
    assert lab.restore().status is Status.RESTORED
    assert (policies(lab, "mallory"), keys(lab, "mallory")) == ([], {key: "Active"})


@pytest.mark.parametrize("old", [None, f"arn:aws:iam::{MEMBER}:policy/limit"])
def test_a_user_whose_policy_quota_is_full(lab: EradicationLab, old: str | None) -> None:
    """Ten attached policies, which whoever makes a user can see to."""
    iam = lab.see("iam")
    iam.create_policy(PolicyName="limit", PolicyDocument=json.dumps(NOTHING))
    lab.does("iam", "create_user", UserName="mallory")
    if old:
        iam.put_user_permissions_boundary(UserName="mallory", PermissionsBoundary=old)
    lab.fail("AttachUserPolicy", "LimitExceeded")
    lab.eradicate()
    result = iam.get_user(UserName="mallory")["User"]["PermissionsBoundary"][
        "PermissionsBoundaryArn"
    ]
    assert (result, lab.lines()) == (DENY_ALL, {"CreateUser": "DONE"})
    assert lab.restore().status is Status.RESTORED
    now = (
        iam.get_user(UserName="mallory")["User"]
        .get("PermissionsBoundary", {})
        .get("PermissionsBoundaryArn")
    )
    assert now == old


def test_a_user_made_anew_by_somebody_since(lab: EradicationLab) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    lab.see("iam").delete_user(UserName="mallory")
    lab.see("iam").create_user(UserName="mallory")
    lab.eradicate()
    assert (policies(lab, "mallory"), lab.lines()) == ([], {"CreateUser": "SKIPPED"})
    assert "was deleted and created again since" in lab.left[0]


def test_a_denial_taken_away_by_somebody_is_not_theirs_to_restore(lab: EradicationLab) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    lab.eradicate()
    lab.see("iam").detach_user_policy(UserName="mallory", PolicyArn=DENY_ALL)
    lab.calls.clear()
    assert lab.restore().status is Status.RESTORED
    assert lab.changed() == []


# -- console passwords -----------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["create_login_profile", "update_login_profile"])
def test_a_password_of_another_user(lab: EradicationLab, call: str) -> None:
    iam = lab.see("iam")
    iam.create_user(UserName="bob")
    if call == "update_login_profile":
        iam.create_login_profile(UserName="bob", Password="first")
    lab.does(
        "iam",
        call,
        UserName="bob",
        Password="known-to-the-intruder",
    )
    lab.eradicate()
    assert iam.get_login_profile(UserName="bob")["LoginProfile"]["PasswordResetRequired"] is True
    [(_, asked)] = [call for call in lab.calls if call[0] == "UpdateLoginProfile"]
    assert len(asked["Password"]) >= 40 and asked["Password"] not in lab.said(), (
        "it is kept nowhere"
    )
    lab.calls.clear()
    lab.record.evidence(
        "inc-0123456789abcdef", lab.kind, lab.name, "remediation", {**lab.kept(), "state": {}}
    )
    lab.once()
    assert lab.changed() == [], "not a second time"
    result = lab.restore()
    assert (result.status, lab.changed()) == (Status.RESTORE_PARTIAL, [])
    assert (
        "aws iam update-login-profile" in result.not_restored[0]
        and "a person sets a new password" in result.not_restored[0]
    )


def test_its_own_password_is_containments(lab: EradicationLab) -> None:
    lab.does(
        "iam",
        "create_login_profile",
        UserName=USER,
        Password="x",
    )
    lab.eradicate()
    assert (lab.lines(), lab.changed()) == ({"CreateLoginProfile": "ALREADY"}, [])


# -- roles -----------------------------------------------------------------------------------------


def role_policy(lab: EradicationLab, role: str = "door") -> dict[str, Json]:
    iam = lab.see("iam")
    return {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    }


def test_a_new_role(lab: EradicationLab) -> None:
    lab.does(
        "iam",
        "create_role",
        RoleName="door",
        AssumeRolePolicyDocument=TRUST,
        Path="/x/",
    )
    lab.eradicate()
    assert role_policy(lab) == {f"{PREFIX}-deny-all": DENY_DOCUMENT}
    assert lab.restore().status is Status.RESTORED
    assert role_policy(lab) == {}


def test_a_role_whose_policies_are_full(lab: EradicationLab) -> None:
    lab.does(
        "iam",
        "create_role",
        RoleName="door",
        AssumeRolePolicyDocument=TRUST,
    )
    lab.fail("PutRolePolicy", "LimitExceeded")
    lab.eradicate()
    iam = lab.see("iam")
    assert (
        iam.get_role(RoleName="door")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
        == DENY_ALL
    )
    assert lab.restore().status is Status.RESTORED
    assert "PermissionsBoundary" not in iam.get_role(RoleName="door")["Role"]


def test_another_denial_of_that_name_on_a_role_is_left_by_restore(lab: EradicationLab) -> None:
    lab.does(
        "iam",
        "create_role",
        RoleName="door",
        AssumeRolePolicyDocument=TRUST,
    )
    lab.eradicate()
    other = {
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
        RoleName="door", PolicyName=f"{PREFIX}-deny-all", PolicyDocument=json.dumps(other)
    )
    result = lab.restore()
    assert (role_policy(lab), result.status) == (
        {f"{PREFIX}-deny-all": other},
        Status.RESTORE_PARTIAL,
    )
    assert "somebody changed it since" in result.not_restored[0]


def test_a_role_that_is_gone(lab: EradicationLab) -> None:
    lab.does(
        "iam",
        "create_role",
        RoleName="door",
        AssumeRolePolicyDocument=TRUST,
    )
    lab.see("iam").delete_role(RoleName="door")
    lab.eradicate()
    assert (lab.lines(), lab.left) == ({"CreateRole": "ALREADY"}, [])

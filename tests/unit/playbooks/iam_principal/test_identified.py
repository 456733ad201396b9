"""Whose credential a finding is about: by what it says, by IAM, and by CloudTrail where it says
too little.
"""

from __future__ import annotations

import dataclasses
from typing import Unpack, cast

import pytest
from guardduty_response.errors import NoTarget
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import identify, playbook
from guardduty_response.playbooks.iam_principal.identify import Principal
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext
from moto.core.responses import ActionResult
from moto.sts.responses import TokenResponse

from tests.support.repository import load_finding
from tests.unit.playbooks.iam_principal.iam_account import REGION, AccessKeyDetails
from tests.unit.playbooks.iam_principal.iam_lab import DENY_ALL, IamLab
from tests.unit.playbooks.iam_principal.iam_moto import HOME, MEMBER

OTHER, KEY = "999999999999", "AKIAFINDING000000001"


def details(**changes: Unpack[AccessKeyDetails]) -> AccessKeyDetails:
    return {
        "accessKeyId": KEY,
        "principalId": "AIDAALICE00000000001",
        "userType": "IAMUser",
        "userName": "alice",
        **changes,
    }


USER = Principal("iam_user", user="alice", key=KEY, unique_id="AIDAALICE00000000001")
APP = Principal(
    "role_session", role="app", session="carol", key=KEY, unique_id="AROAAPP0000000000001"
)


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        (details(), USER),
        (details(userName="123456789012"), dataclasses.replace(USER, user="123456789012")),
        (
            details(principalId="GeneratedFindingPrincipalId", userName="GeneratedFindingUserName"),
            Principal("iam_user", user="GeneratedFindingUserName", key=KEY),
        ),
        (
            details(
                principalId="AROAAPP0000000000001:carol", userType="AssumedRole", userName="app"
            ),
            APP,
        ),
        # AWS's own samples do
        (
            details(principalId="AROAAPP0000000000001:carol", userType="IAMUser", userName="app"),
            APP,
        ),
        (details(principalId="AROAAPP0000000000001:carol", userType="Role", userName="app"), APP),
        (
            details(principalId="AROAAPP0000000000001:carol", userType="AssumedRole", userName=""),
            dataclasses.replace(APP, kind="unknown_principal", role=""),
        ),
        (
            details(principalId="AROAAPP0000000000001", userType="AssumedRole", userName="app"),
            dataclasses.replace(APP, session=""),
        ),
        (
            details(
                principalId="AROASSO0000000000001:carol@example.com",
                userType="AssumedRole",
                userName="AWSReservedSSO_Admin_0f1e",
            ),
            Principal(
                "role_session",
                role="AWSReservedSSO_Admin_0f1e",
                session="carol@example.com",
                key=KEY,
                unique_id="AROASSO0000000000001",
            ),
        ),
        (
            details(
                principalId="AROASLR0000000000001:x",
                userType="AssumedRole",
                userName="AWSServiceRoleForSupport",
            ),
            Principal(
                "role_session",
                role="AWSServiceRoleForSupport",
                session="x",
                key=KEY,
                unique_id="AROASLR0000000000001",
            ),
        ),
        (details(principalId=MEMBER, userType="Root", userName="Root"), Principal("root", key=KEY)),
        (details(principalId=MEMBER, userType="", userName=""), Principal("root", key=KEY)),
        (
            details(principalId=f"{MEMBER}:carol", userType="FederatedUser", userName="carol"),
            Principal("federated_user", user="carol", key=KEY),
        ),
        (
            details(principalId="AIDAFOREIGN000000001", userType="AWSAccount", userName=OTHER),
            Principal("foreign_principal", user=OTHER, key=KEY),
        ),
        (
            details(principalId="", userType="AWSAccount", userName=OTHER),
            Principal("foreign_principal", user=OTHER, key=KEY),
        ),
        (
            details(principalId="", userType="Unknown", userName="x"),
            Principal("unknown_principal", user="x", key=KEY),
        ),
        ({}, Principal("unknown_principal")),
        (
            {"userName": 5, "principalId": None, "userType": ["IAMUser"]},
            Principal("unknown_principal"),
        ),
    ],
)
def test_who_it_is(iam: IamLab, detail: object, expected: Principal) -> None:
    iam.details = cast("AccessKeyDetails", detail)
    assert identify.principal_in(iam.finding()) == expected


@pytest.mark.parametrize(
    ("session", "instance"),
    [
        ("i-0123456789abcdef0", True),
        ("i-01234567", True),
        ("i-0123456789abcdef", False),
        ("carol", False),
        ("xi-01234567", False),
    ],
)
def test_an_instances_sessions_bear_its_id(session: str, instance: bool) -> None:
    assert Principal("role_session", role="app", session=session).instance == (
        session if instance else ""
    )


def test_later_phases_know_it_from_the_target_and_the_finding(iam: IamLab) -> None:
    """They get no scope."""
    for kind, make in (("iam_user", iam.user), ("role_session", iam.role)):
        make()
        target = iam.planned().target._replace(scope={})
        caller = identify.principal_of(PrincipalContext(iam.context(), target))
        assert (caller.kind, caller.id, caller.unique_id) == (
            kind,
            target.id,
            iam.details["principalId"].partition(":")[0],
        )


# -- by IAM ----------------------------------------------------------------------------------------


def test_an_empty_name_is_found_by_the_key(iam: IamLab) -> None:
    iam.user()
    iam.details |= {"userName": "", "principalId": ""}
    assert iam.respond().status is Status.CONTAINED
    assert iam.attached() == {DENY_ALL}


def test_an_empty_name_is_found_by_cloudtrail(iam: IamLab) -> None:
    iam.user()
    iam.details |= {"userName": "", "principalId": "", "accessKeyId": "ASIATEMPORARY0000001"}
    caller = {
        "type": "IAMUser",
        "userName": "alice",
        "accountId": MEMBER,
        "accessKeyId": "ASIATEMPORARY0000001",
    }
    iam.add_event("ListBuckets", caller, region=HOME)
    assert iam.respond().status is Status.CONTAINED
    assert iam.attached() == {DENY_ALL}


def test_a_key_that_leads_to_nobody_is_no_target(iam: IamLab) -> None:
    iam.details = details(userName="", principalId="")
    with pytest.raises(NoTarget, match=rf"access key '{KEY}' leads to none of account {MEMBER}"):
        iam.plan()


def test_a_renamed_user_is_followed_by_its_key(iam: IamLab) -> None:
    iam.user()
    iam.rename("alice", "mallory")
    target = iam.plan()
    assert target.id == "mallory"
    assert iam.respond(target).status is Status.CONTAINED
    assert iam.attached("mallory") == {DENY_ALL}


def test_a_renamed_user_whose_name_is_taken_is_followed_too(iam: IamLab) -> None:
    iam.user()
    iam.rename("alice", "mallory")
    iam.see().create_user(UserName="alice")
    assert iam.respond().status is Status.CONTAINED
    assert iam.attached("mallory") == {DENY_ALL}
    assert iam.attached("alice") == set()


def test_a_deleted_user_is_gone(iam: IamLab) -> None:
    """What it got of roles is searched for all the same (test_gone.py)."""
    iam.user(keys=0)
    iam.see().delete_user(UserName="alice")
    step = iam.respond()
    assert step.status is Status.GONE
    assert f"IAM user alice no longer exists in account {MEMBER}" in step.detail


def test_another_user_of_the_same_name_is_left_alone(iam: IamLab) -> None:
    iam.user(keys=0)
    old = iam.details
    iam.see().delete_user(UserName="alice")
    iam.user()
    iam.details = {**old, "accessKeyId": ""}
    step = iam.respond()
    assert step.status is Status.GONE
    assert "a new user of the same name" in step.detail
    assert iam.attached() == set()
    assert set(iam.key_states().values()) == {"Active"}


def test_a_deleted_role_is_gone_and_another_of_its_name_left_alone(iam: IamLab) -> None:
    iam.role()
    old = iam.details
    iam.see().delete_role(RoleName="app")
    assert "role app no longer exists" in iam.planned().consequences
    iam.role()
    iam.details = old
    step = iam.respond()
    assert step.status is Status.GONE
    assert "a new role of the same name" in step.detail
    assert iam.role_policies() == {}


def test_a_key_that_is_none_leads_to_nobody(iam: IamLab) -> None:
    iam.details = details(userName="", principalId="", accessKeyId="AKIA")
    with pytest.raises(NoTarget, match="access key 'AKIA' leads to none"):
        iam.plan()


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("kind", ["user", "role"])
def test_a_key_of_another_account_is_told_to_its_owner(
    iam: IamLab, monkeypatch: pytest.MonkeyPatch, kind: str, known: bool
) -> None:
    """``known``: this account has a principal of that name too."""
    if known:
        (iam.user if kind == "user" else iam.role)()
    elsewhere = {
        "user": details(principalId="AIDAELSEWHERE00000001"),
        "role": details(
            principalId="AROAELSEWHERE00000001:carol",
            userType="AssumedRole",
            userName="app",
            accessKeyId=f"ASIA{KEY[4:]}",
        ),
    }
    iam.details = elsewhere[kind]
    monkeypatch.setattr(
        TokenResponse, "get_access_key_info", lambda _: ActionResult({"Account": OTHER})
    )
    target = iam.plan()
    assert (target.kind, target.id) == ("foreign_principal", OTHER)
    assert iam.respond(target).status is Status.FAILED
    if known and kind == "user":
        assert iam.attached() == set()
    if known and kind == "role":
        assert iam.role_policies() == {}


def test_throttling_is_no_answer(iam: IamLab) -> None:
    """The machine asks again; nobody is called gone."""
    iam.user()
    iam.fail("GetUser", "Throttling")
    with pytest.raises(Exception, match="Throttling"):
        playbook.plan(iam.context())


# -- federated -------------------------------------------------------------------------------------


def federated(iam: IamLab) -> None:
    iam.details = {
        "accessKeyId": "ASIAFEDERATED0000001",
        "principalId": f"{MEMBER}:carol",
        "userType": "FederatedUser",
        "userName": "carol",
    }


@pytest.mark.parametrize("region", [HOME, REGION])
def test_a_federated_session_is_contained_with_the_user_behind_it(iam: IamLab, region: str) -> None:
    iam.user()
    issuer = {
        "type": "IAMUser",
        "principalId": iam.ids["user"],
        "arn": iam.ids["arn"],
        "accountId": MEMBER,
        "userName": "alice",
    }
    federated(iam)
    caller = {
        "type": "FederatedUser",
        "principalId": f"{MEMBER}:carol",
        "accountId": MEMBER,
        "accessKeyId": "ASIAFEDERATED0000001",
        "sessionContext": {"sessionIssuer": issuer},
    }
    iam.add_event("ListBuckets", caller, region=region)
    target = iam.plan()
    assert (target.kind, target.id) == ("iam_user", "alice")
    assert iam.respond(target).status is Status.CONTAINED
    assert iam.attached() == {DENY_ALL}


def test_a_federated_session_of_nobody_known_is_not_contained(iam: IamLab) -> None:
    iam.user()
    federated(iam)
    target = iam.plan()
    assert target.kind == "federated_user"
    result = iam.respond(target)
    assert result.status is Status.FAILED
    assert iam.attached() == set()
    assert "sessionContext.sessionIssuer names the user" in iam.detail("by_hand_1")
    assert (
        iam.detail("by_hand_2")
        == f"aws iam attach-user-policy --user-name THAT_USER --policy-arn {DENY_ALL}"
    )


# -- samples ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["IAMUser", "GeneratedFindingUserType"])
def test_a_sample_of_nobody_is_rehearsed(iam: IamLab, kind: str) -> None:
    """Both are what AWS's own samples say."""
    iam.sample = True
    iam.details = {
        "accessKeyId": "GeneratedFindingAccessKeyId",
        "principalId": "GeneratedFindingPrincipalId",
        "userType": kind,
        "userName": "GeneratedFindingUserName",
    }
    planned = iam.planned()
    assert planned.target.id == "GeneratedFindingUserName"
    assert planned.actions["deny_all"].startswith(
        "sample finding: user GeneratedFindingUserName does not exist"
    )


def test_a_sample_of_no_role_is_rehearsed(iam: IamLab) -> None:
    iam.sample = True
    iam.details = {
        "accessKeyId": "GeneratedFindingAccessKeyId",
        "principalId": "GeneratedFindingPrincipalId",
        "userType": "Role",
        "userName": "GeneratedFindingUserName",
    }
    assert "its sessions would be denied" in iam.planned().actions["revoke_sessions"]


def test_a_person_of_a_role_that_is_gone(iam: IamLab) -> None:
    iam.ids["event"] = load_finding("unauthorizedaccess_iamuser_toripcaller_identity_center")
    said = iam.planned().consequences
    assert "its sessions can do nothing; if it was IAM Identity Center's (its name says so" in said


@pytest.mark.parametrize(
    ("name", "kind", "id"),
    [
        ("policy_iamuser_rootcredentialusage", "root", "root"),
        ("unauthorizedaccess_iamuser_toripcaller_identity_center", "identity_center", None),
        ("discovery_s3_toripcaller_foreign_account", "foreign_principal", None),
        ("unauthorizedaccess_iamuser_maliciousipcaller_federated_user", "federated_user", None),
    ],
)
def test_findings_as_they_come(iam: IamLab, name: str, kind: str, id: str | None) -> None:
    event = load_finding(name)
    if kind == "identity_center":
        details = event["detail"]["resource"]["accessKeyDetails"]
        iam.role(details["userName"], session=None, path="/aws-reserved/sso.amazonaws.com/")
        details["principalId"] = (
            f"{iam.ids['roles'][details['userName']]}:{details['principalId'].partition(':')[2]}"
        )
    iam.ids["event"] = event
    planned = iam.planned()
    assert planned.target.kind == kind
    assert id is None or planned.target.id == id
    assert planned.consequences.startswith("nothing can be contained automatically: ")

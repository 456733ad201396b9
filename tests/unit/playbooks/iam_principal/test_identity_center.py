"""A person who signed in through IAM Identity Center is denied in every permission set held; nobody
else is.

State is read by other clients than the response's: the inline policies of the permission sets, and
those of the accounts' roles.
"""

from __future__ import annotations

import json

import pytest
from guardduty_response.aws import clients
from guardduty_response.aws.api import PolicyDocument
from guardduty_response.errors import RoleUnavailable
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import playbook
from guardduty_response.playbooks.iam_principal.identity_center import verify

from tests.support.policy_oracle import decide
from tests.unit.playbooks.iam_principal.center_lab import INSTANCE, POLICY, WORK, CenterLab
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER
from tests.unit.playbooks.iam_principal.session_judge import ALLOW_EVERYTHING, moment
from tests.unit.playbooks.iam_principal.session_judge import is_allowed as role_session_is_allowed

OTHER = "333333333333"


def is_allowed(
    center: CenterLab,
    person: str,
    name: str = "PowerUser",
    account: str = MEMBER,
    issued: float = -60,
) -> bool:
    """Whether a session of the person in the account's role may still do something, by IAM's
    evaluation.
    """
    keys = {"identitystore__userId": center.people[person], "aws__TokenIssueTime": moment(issued)}
    policies: list[str | PolicyDocument] = [
        ALLOW_EVERYTHING,
        {"Version": "2012-10-17", "Statement": center.role(name, account)},
    ]
    return bool(decide(policies, "s3:GetObject", "arn:aws:s3:::b/k", **keys) == "Allow")


def changed(iam: IamLab) -> list[str]:
    return [
        call.operation
        for call in iam.calls
        if call.service == "sso-admin" and call.operation.startswith(("Put", "Prov", "Del"))
    ]


def test_the_person_is_denied_and_nobody_else_of_the_permission_set(center: CenterLab) -> None:
    assert is_allowed(center, "carol")
    assert is_allowed(center, "dave")
    assert center.iam.respond().status is Status.CONTAINED
    assert not is_allowed(center, "carol")
    assert not is_allowed(center, "carol", issued=3600), "who signs in again is denied too"
    assert is_allowed(center, "dave")
    assert WORK in center.statements("PowerUser"), "what the permission set allowed, it allows"


def test_in_every_permission_set_held_also_by_a_group_and_in_another_account(
    center: CenterLab,
) -> None:
    result = center.iam.respond()
    assert result.status is Status.CONTAINED
    assert result.detail.startswith("7 checks passed")
    for name in ("PowerUser", "Audit", "Console"):
        assert center.denied(center.statements(name)) == [center.people["carol"]], name
    assert center.denied(center.role("Audit", OTHER)) == [center.people["carol"]]
    assert center.policy("Billing") == POLICY
    assert center.role("Billing") == [WORK], "not a permission set of carol's"
    assert not is_allowed(center, "carol", "Audit", OTHER)
    assert is_allowed(center, "erin", "Audit", OTHER)


def test_the_findings_permission_set_is_first(center: CenterLab) -> None:
    center.iam.respond()
    puts = [
        call.params["PermissionSetArn"]
        for call in center.iam.calls
        if call.operation == "PutInlinePolicyToPermissionSet"
    ]
    assert puts[0] == center.sets["PowerUser"]
    assert len(puts) == 3
    assert center.iam.actions()["deny_user PowerUser"] == "DONE"
    before = center.iam.stored_target()["before"]["identity_center/PowerUser"]
    assert (before["arn"], before["policy"]) == (center.sets["PowerUser"], POLICY)


def test_every_call_is_narrowed_to_what_it_is_for(center: CenterLab) -> None:
    """The lab refuses what a session's policy does not allow; here: that it allows no more."""
    center.iam.respond()
    for call in center.iam.calls:
        if (
            call.operation in ("PutInlinePolicyToPermissionSet", "ProvisionPermissionSet")
            and call.policy
        ):
            written, provisioned, key = call.policy["Statement"]
            mine = [INSTANCE, call.params["PermissionSetArn"]]
            assert written["Resource"] == mine
            assert provisioned["Action"] == ["sso:ProvisionPermissionSet"]
            assert provisioned["Resource"] == [*mine, "arn:aws:sso:::account/*"]
            assert key["Action"] == ["kms:Decrypt"]
            assert key["Condition"] == {
                "StringLike": {"kms:ViaService": ["identitystore.*", "sso.*"]}
            }


def test_a_session_whose_permission_set_was_taken_away_meanwhile_is_denied(
    center: CenterLab,
) -> None:
    center.see("sso-admin").delete_account_assignment(
        InstanceArn=INSTANCE,
        PermissionSetArn=center.sets["PowerUser"],
        TargetId=MEMBER,
        TargetType="AWS_ACCOUNT",
        PrincipalType="USER",
        PrincipalId=center.people["carol"],
    )
    assert center.iam.respond().status is Status.CONTAINED
    assert not is_allowed(center, "carol")


def test_provisioning_is_waited_for_by_the_machine(center: CenterLab) -> None:
    center.polls = 3
    target = center.iam.plan()
    playbook.contain(center.iam.context(), target)
    result, _ = playbook.verify(center.iam.context(), target)
    assert (result.done, result.wait_seconds) == (
        False,
        5,
    )
    assert "being provisioned: PowerUser" in result.detail
    assert is_allowed(center, "carol"), "not contained yet, and not called so"
    assert center.iam.verify(target).status is Status.CONTAINED
    assert not is_allowed(center, "carol")


def test_provisioning_that_never_ends_is_said(
    center: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "PATIENCE", 60)
    center.polls = 10**6
    result = center.iam.respond()
    assert result.status is Status.FAILED
    assert "does NOT deny carol" in result.detail
    assert is_allowed(center, "carol")
    assert changed(center.iam).count("ProvisionPermissionSet") == 3, "it is not begun beside itself"


def test_provisioning_that_cannot_be_asked_about_is_said(center: CenterLab) -> None:
    center.polls = 1
    center.iam.fail("DescribePermissionSetProvisioningStatus", "AccessDeniedException")
    assert center.iam.respond().status is Status.FAILED
    assert "is UNKNOWN: AccessDeniedException" in center.iam.checks["provisioned PowerUser"].detail


def test_provisioning_that_failed_is_begun_again(center: CenterLab) -> None:
    center.failures = ["AWSReservedSSO role is being changed"]
    assert center.iam.respond().status is Status.CONTAINED
    assert not is_allowed(center, "carol")
    assert changed(center.iam).count("PutInlinePolicyToPermissionSet") == 3


def test_provisioning_that_keeps_failing_is_not_contained(center: CenterLab) -> None:
    center.failures = ["the account is suspended"] * 30
    result = center.iam.respond()
    assert result.status is Status.FAILED
    assert "does NOT deny carol" in result.detail
    assert not center.iam.checks["provisioned PowerUser"].ok
    assert "the account is suspended" in center.iam.checks["provisioned PowerUser"].detail
    assert changed(center.iam).count("ProvisionPermissionSet") == 9, "three tries each"


def test_another_permission_set_that_is_full_leaves_it_partial(center: CenterLab) -> None:
    center.put("Audit", full())
    result = center.iam.respond()
    assert result.status is Status.PARTIAL
    assert "NOT denied to carol in permission set Audit" in result.detail
    assert not is_allowed(center, "carol")
    assert is_allowed(center, "carol", "Audit", OTHER)
    detail = center.iam.detail("deny_user Audit")
    assert "of at most 10240" in detail
    assert "aws organizations create-policy --type SERVICE_CONTROL_POLICY" in detail
    assert center.policy("Audit") == full()


def full() -> str:
    """A policy that takes what the limit lets, not counting its white space."""
    statement = {**WORK, "Resource": "arn:aws:s3:::" + "x" * 10080}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=8)


def test_the_findings_permission_set_that_is_full_is_not_contained(center: CenterLab) -> None:
    center.put("PowerUser", full())
    result = center.iam.respond()
    assert result.status is Status.FAILED
    assert "NOT denied to carol in permission set PowerUser" in result.detail
    assert center.denied(center.statements("Console")) == [center.people["carol"]], (
        "the others are denied all the same"
    )


def test_somebody_writing_the_policy_at_the_same_time_is_not_written_over_for_good(
    center: CenterLab,
) -> None:
    """Between reading and writing: their statement is lost to ours, or ours to theirs, which is
    seen and done again.
    """
    theirs = json.dumps({"Version": "2012-10-17", "Statement": [WORK, {**WORK, "Sid": "Theirs"}]})
    center.iam.hooks.append(("ProvisionPermissionSet", lambda: center.put("PowerUser", theirs)))
    assert center.iam.respond().status is Status.CONTAINED
    assert {statement["Sid"] for statement in center.statements("PowerUser")} >= {"Work", "Theirs"}
    assert not is_allowed(center, "carol")
    assert is_allowed(center, "dave")


def test_a_repeated_finding_changes_nothing(center: CenterLab) -> None:
    center.iam.respond()
    before = {name: center.policy(name) for name in center.sets}
    center.iam.calls.clear()
    assert center.iam.respond().status is Status.CONTAINED
    assert changed(center.iam) == []
    assert {name: center.policy(name) for name in center.sets} == before


def test_two_people_of_one_permission_set(center: CenterLab) -> None:
    center.iam.respond()
    center.signed_in("dave", "PowerUser")
    assert center.iam.respond().status is Status.CONTAINED
    assert sorted(center.denied(center.role("PowerUser"))) == sorted(
        [center.people["carol"], center.people["dave"]]
    )


def test_sessions_the_person_got_of_roles_are_denied_too(center: CenterLab) -> None:
    iam = center.iam
    iam.role("deploy", session=None)
    person = {
        "type": "AssumedRole",
        "principalId": iam.details["principalId"],
        "accessKeyId": "ASIAFINDING000000001",
        "arn": f"arn:aws:sts::{MEMBER}:assumed-role/{iam.details['userName']}/carol",
    }
    userid = iam.add_assume_role(person, "deploy", "chained", "ASIACHAINED000000001")
    assert iam.respond().status is Status.CONTAINED
    [document] = iam.role_policies("deploy").values()
    assert document["Statement"][0]["Condition"]["StringEquals"] == {"aws:userid": [userid]}


# -- rehearsed, and told ---------------------------------------------------------------------------


def test_what_would_be_done_is_said(center: CenterLab) -> None:
    planned = center.iam.planned()
    detail = planned.actions["deny_user PowerUser"]
    assert detail.startswith(
        f"everything denied to carol ({center.people['carol']}) in permission set PowerUser"
    )
    assert "provisioned again in all its accounts; others who hold it go on" in detail
    assert {name for name in planned.actions if name.startswith("deny_user")} == {
        "deny_user PowerUser",
        "deny_user Audit",
        "deny_user Console",
    }
    assert "did not provision" in planned.consequences
    assert "held_sessions" in planned.actions
    assert changed(center.iam) == []
    assert center.policy("PowerUser") == POLICY


def test_the_guardrails_see_the_role_the_session_and_the_person(center: CenterLab) -> None:
    role = center.iam.details["userName"]
    assert center.iam.planned().principals == [
        f"arn:aws:iam::{MEMBER}:role/aws-reserved/sso.amazonaws.com/eu-west-1/{role}",
        f"arn:aws:sts::{MEMBER}:assumed-role/{role}/carol",
        f"arn:aws:identitystore:::user/{center.people['carol']}",
    ]


# -- what cannot be --------------------------------------------------------------------------------


def not_contained(center: CenterLab, reason: str) -> None:
    """FAILED, nothing changed, with the reason and the commands."""
    before = {name: center.policy(name) for name in center.sets}
    target = center.iam.plan()
    assert reason in center.iam.ids["planned"].consequences
    center.iam.calls.clear()
    result = center.iam.respond(target)
    assert result.status is Status.FAILED
    assert result.detail.startswith("NOT contained: ")
    assert reason in result.detail
    assert changed(center.iam) == []
    assert {name: center.policy(name) for name in center.sets} == before
    assert any(
        "put-inline-policy-to-permission-set" in center.iam.detail(name)
        for name in center.iam.actions()
    )


def test_an_unknown_person(center: CenterLab) -> None:
    center.see("identitystore").delete_user(
        IdentityStoreId="d-0123456789", UserId=center.people["carol"]
    )
    not_contained(center, "identity store d-0123456789 has no user named carol")


def test_an_unknown_permission_set(center: CenterLab) -> None:
    role = center.iam.details["userName"].replace("PowerUser", "Nothing")
    center.iam.role(role, session="carol", path="/aws-reserved/sso.amazonaws.com/")
    not_contained(center, "has no permission set Nothing")


def test_the_wrong_account(center: CenterLab) -> None:
    """Another account knows nothing of the instance, and is not allowed to ask."""
    for operation in ("GetUserId", "ListAccountAssignmentsForPrincipal"):
        center.iam.fail(operation, "AccessDeniedException")
    not_contained(center, "AccessDeniedException")


def test_no_role_in_that_account(center: CenterLab, monkeypatch: pytest.MonkeyPatch) -> None:
    assume = center.iam.assume

    def refused(
        account: str, region: str, policy: PolicyDocument, role: str = ""
    ) -> clients.Session:
        if role:
            raise RoleUnavailable(f"cannot assume a role in account {account}")
        return assume(account, region, policy)

    monkeypatch.setattr(center.iam, "assume", refused)
    target = center.iam.plan()
    assert "cannot assume a role in account 999999999999" in center.iam.ids["planned"].consequences
    assert center.iam.respond(target).status is Status.FAILED


def test_switched_off_it_is_as_without(center: CenterLab) -> None:
    center.iam.options["identity_center"] = None
    not_contained(
        center,
        "playbooks.iam_principal.identity_center: not set: with it the response denies that user",
    )
    assert not any(call.service in ("sso-admin", "identitystore") for call in center.iam.calls)


def test_a_delegated_administrator_knows_the_findings_account_alone(center: CenterLab) -> None:
    """AWS answers ListAccountAssignmentsForPrincipal in the management account alone."""
    center.iam.fail("ListAccountAssignmentsForPrincipal", "AccessDeniedException")
    result = center.iam.respond()
    assert result.status is Status.PARTIAL
    assert "is answered in the management account alone" in result.detail
    assert not is_allowed(center, "carol")
    assert center.denied(center.statements("Console")) == [center.people["carol"]]
    assert center.policy("Audit") == ""
    assert is_allowed(center, "carol", "Audit", OTHER)


def test_a_role_that_is_gone_is_gone(center: CenterLab) -> None:
    center.iam.details["userName"] = "AWSReservedSSO_Old_0123456789abcdef"
    step = center.iam.respond()
    assert step.status is Status.GONE
    assert "role AWSReservedSSO_Old_0123456789abcdef no longer exists" in step.detail
    assert changed(center.iam) == []


def test_a_role_that_an_attacker_named_so_denies_nobody_in_identity_center(
    center: CenterLab,
) -> None:
    """Whoever may create roles in a member account chooses the role's name and the session's,
    not IAM's path.
    """
    name = "AWSReservedSSO_PowerUser_0123456789abcdee"
    center.iam.role(name, session="carol")
    assert center.iam.respond().status is Status.CONTAINED
    assert changed(center.iam) == []
    assert is_allowed(center, "carol")
    assert [
        center.denied(center.statements(name)) for name in ("PowerUser", "Console", "Audit")
    ] == [
        [],
        [],
        [],
    ]
    assert not role_session_is_allowed(center.iam, "carol", -60, name), (
        "the session itself is denied"
    )

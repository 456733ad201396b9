"""That a person stays denied: what undoes it is a breach, who did it is told, and what cannot be
read is neither.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from guardduty_response.aws import clients
from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.containment.contract import StepResult, Target, member_session
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import drift
from guardduty_response.playbooks.iam_principal import playbook
from guardduty_response.playbooks.iam_principal.identity_center.center import INLINE, ROLE_NAME

from tests.unit.playbooks.iam_principal.center_lab import CENTER, POLICY, WHERE, CenterLab
from tests.unit.playbooks.iam_principal.iam_lab import INCIDENT, PREFIX, IamLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER

Json = dict[str, Any]


def check(center: CenterLab, monkeypatch: pytest.MonkeyPatch) -> tuple[StepResult, Json]:
    """As a check does: planned anew, read twice where something is wrong."""
    monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
    [planned] = playbook.plan(center.iam.context())
    target = Target(**{**planned.target.payload(), "verify_only": True})
    for attempt in (1, 2):
        context = center.iam.context(attempt)
        step, checks = playbook.verify(context, target)
        step, more = drift.assess(context, target, step, checks)
        if step.done:
            return step, more
    raise AssertionError("a check ends")


@pytest.fixture
def held(center: CenterLab) -> CenterLab:
    target = center.iam.plan()
    assert center.iam.respond(target).status is Status.CONTAINED
    step, checks = playbook.verify(center.iam.context(), target)
    center.iam.record.set_target(
        INCIDENT,
        target.kind,
        target.id,
        **drift.baseline(center.iam.context(), target, step, checks),
    )
    center.iam.ahead += 3600
    center.iam.calls.clear()
    return center


def test_what_stands_is_contained_and_nothing_is_changed(
    held: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(held, monkeypatch)[0].status is Status.CONTAINED
    operations = {one.operation for one in held.iam.calls if one.service in ("sso-admin", "iam")}
    assert all(name.startswith(("Get", "List", "Describe")) for name in operations)


def test_the_statement_taken_out_is_a_breach_and_who_did_it_is_told(
    held: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.put("Audit", POLICY)
    who = {"type": "AssumedRole", "arn": f"arn:aws:sts::{CENTER}:assumed-role/pipeline/run"}
    asked = {"permissionSetArn": held.sets["Audit"]}
    held.iam.happened(
        "PutInlinePolicyToPermissionSet",
        who,
        region=WHERE,
        eventSource="sso.amazonaws.com",
        requestParameters=asked,
    )
    step, more = check(held, monkeypatch)
    assert (
        step.status is Status.CONTAINMENT_LOST
        and "NOT denied to carol in permission set Audit" in step.detail
    )
    assert more["breach"]["checks"] == ["deny_user Audit"]
    [culprit] = more["breach"]["by"]
    assert (culprit["who"], culprit["what"]) == (who["arn"], "PutInlinePolicyToPermissionSet")


def test_it_is_contained_again(held: CenterLab) -> None:
    held.put("PowerUser", POLICY)
    held.apply(held.sets["PowerUser"], [MEMBER])
    assert held.denied(held.role("PowerUser")) == []
    assert held.iam.respond().status is Status.CONTAINED
    assert held.denied(held.role("PowerUser")) == [held.people["carol"]]
    assert held.iam.ledger()["before"]["identity_center/PowerUser"]["policy"] == POLICY


def test_the_role_without_the_statement_is_a_breach(
    held: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = held.iam.details["userName"]
    held.see("iam", MEMBER).delete_role_policy(RoleName=role, PolicyName=INLINE)
    step, more = check(held, monkeypatch)
    assert step.status is Status.CONTAINMENT_LOST and more["breach"]["checks"] == [
        f"role_denies {role}"
    ]


def test_a_permission_set_got_since_is_a_breach(
    held: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.assign("Billing", "carol", "444444444444")
    step, more = check(held, monkeypatch)
    assert step.status is Status.CONTAINMENT_LOST and more["breach"]["checks"] == [
        "deny_user Billing"
    ]


def test_a_policy_that_says_more_beside_is_no_breach(
    held: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(held.policy("PowerUser"))
    document["Statement"].append(
        {"Sid": "More", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    )
    held.put("PowerUser", json.dumps(document))
    assert check(held, monkeypatch)[0].status is Status.CONTAINED


def test_a_permission_set_that_was_deleted_is_no_breach(
    held: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.see("sso-admin").delete_account_assignment(
        InstanceArn="arn:aws:sso:::instance/ssoins-0123456789abcdef",
        PermissionSetArn=held.sets["Console"],
        TargetId=MEMBER,
        TargetType="AWS_ACCOUNT",
        PrincipalType="USER",
        PrincipalId=held.people["carol"],
    )
    held.see("sso-admin").delete_permission_set(
        InstanceArn="arn:aws:sso:::instance/ssoins-0123456789abcdef",
        PermissionSetArn=held.sets["Console"],
    )
    assert check(held, monkeypatch)[0].status is Status.CONTAINED


def test_a_person_who_was_deleted_stays_denied(
    held: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions that there are outlive the user: what the record says is read back, and is a
    breach when it is undone.
    """
    held.see("identitystore").delete_user(
        IdentityStoreId="d-0123456789", UserId=held.people["carol"]
    )
    assert check(held, monkeypatch)[0].status is Status.CONTAINED
    held.put("PowerUser", POLICY)
    assert check(held, monkeypatch)[0].status is Status.CONTAINMENT_LOST


@pytest.mark.parametrize("operation", ["GetUserId", "GetInlinePolicyForPermissionSet"])
def test_what_may_not_be_read_is_no_breach(
    held: CenterLab, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    held.iam.fail(operation, "AccessDeniedException")
    with pytest.raises(drift.NotRead):
        check(held, monkeypatch)


def test_switched_off_since_it_cannot_be_read(
    held: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.iam.options["identity_center"] = None
    with pytest.raises(drift.NotRead, match="not set any more"):
        check(held, monkeypatch)


def test_what_a_call_undoing_it_would_name_is_kept(held: CenterLab) -> None:
    names = {
        held.iam.details["userName"],
        *(held.sets[name] for name in ("PowerUser", "Console", "Audit")),
    }
    assert set(held.iam.ledger()["watched"]) == names


def test_the_late_look_asks_what_the_session_got_since(held: CenterLab) -> None:
    held.iam.role("deploy", session=None)
    who = {
        "type": "AssumedRole",
        "principalId": held.iam.details["principalId"],
        "accessKeyId": "ASIAFINDING000000001",
    }
    held.iam.assumed(who, "deploy", "late", "ASIALATE000000000001")
    assert [step.done for step in held.iam.finish(held.iam.ids["target"])][-1]
    assert held.iam.role_policies("deploy") != {}


def test_the_responses_own_calls_are_no_breach(iam: IamLab) -> None:
    own = cloudtrail_event.own_roles(iam.context().config)
    for kind in ("responder", "restorer"):
        assert cloudtrail_event.is_own(
            f"arn:aws:iam::{CENTER}:role/{PREFIX}-identity-center-{kind}", own
        )


def test_a_permission_sets_name_is_whole_in_its_roles_name() -> None:
    """CreatePermissionSet: at most 32 characters; an IAM role's name: at most 64."""
    longest = "A+b=c,d.e@f-g_" * 3
    role = f"AWSReservedSSO_{longest[:32]}_0123456789abcdef"
    matched = ROLE_NAME.fullmatch(role)
    assert len(role) == 64 and matched and matched[1] == longest[:32]


def test_the_functions_session_is_of_the_role_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Any] = []
    monkeypatch.setattr(clients, "Session", lambda *given: opened.append(given))
    for name in ("GDR_RESPONDER_ROLE", "GDR_IDENTITY_CENTER_ROLE"):
        monkeypatch.setenv(name, f"security/{name}")
    assume = partial(member_session, "aws", "inc-1")
    assume(MEMBER, "eu-central-1", {})
    assume(CENTER, WHERE, {}, role="GDR_IDENTITY_CENTER_ROLE")
    assert [one[0] for one in opened] == [
        f"arn:aws:iam::{MEMBER}:role/security/GDR_RESPONDER_ROLE",
        f"arn:aws:iam::{CENTER}:role/security/GDR_IDENTITY_CENTER_ROLE",
    ]

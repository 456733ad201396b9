"""A person stays denied: what undoes it is containment lost, its actor is named, and what cannot be
read is neither.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from guardduty_response.aws import clients
from guardduty_response.containment.contract import Check, StepResult, member_session
from guardduty_response.decision.own_roles import is_own, own_roles
from guardduty_response.incident.model import TargetRecord
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import drift
from guardduty_response.playbooks.iam_principal import playbook
from guardduty_response.playbooks.iam_principal.identity_center.center import INLINE, ROLE_NAME

from tests.unit.playbooks.iam_principal.center_lab import CENTER, POLICY, WHERE, CenterLab
from tests.unit.playbooks.iam_principal.iam_lab import INCIDENT, PREFIX, IamLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER


def check(center: CenterLab, monkeypatch: pytest.MonkeyPatch) -> tuple[StepResult, TargetRecord]:
    """As a check does: planned anew, read twice where something is wrong."""
    monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
    [planned] = playbook.plan(center.iam.context())
    target = planned.target._replace(verify_only=True)
    for attempt in (1, 2):
        context = center.iam.context(attempt)
        result, checks = playbook.verify(context, target)
        result, _, more = drift.recheck(
            context,
            target,
            result,
            checks,
        )
        if result.done:
            return result, more
    raise AssertionError("a check ends")


@pytest.fixture
def contained(center: CenterLab) -> CenterLab:
    target = center.iam.plan()
    assert center.iam.respond(target).status is Status.CONTAINED
    result, checks = playbook.verify(center.iam.context(), target)
    center.iam.record.set_target(
        INCIDENT,
        target.kind,
        target.id,
        **drift.baseline(
            center.iam.context(),
            target,
            result,
            checks,
        ),
    )
    center.iam.clock_offset += 3600
    center.iam.calls.clear()
    return center


def test_what_stands_is_contained_and_nothing_is_changed(
    contained: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(contained, monkeypatch)[0].status is Status.CONTAINED
    operations = {
        call.operation for call in contained.iam.calls if call.service in ("sso-admin", "iam")
    }
    assert all(name.startswith(("Get", "List", "Describe")) for name in operations)


def test_the_statement_taken_out_is_containment_lost_and_who_did_it_is_told(
    contained: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    contained.put("Audit", POLICY)
    caller = {"type": "AssumedRole", "arn": f"arn:aws:sts::{CENTER}:assumed-role/pipeline/run"}
    parameters = {"permissionSetArn": contained.sets["Audit"]}
    contained.iam.add_event(
        "PutInlinePolicyToPermissionSet",
        caller,
        region=WHERE,
        eventSource="sso.amazonaws.com",
        requestParameters=parameters,
    )
    result, more = check(contained, monkeypatch)
    assert result.status is Status.CONTAINMENT_LOST
    assert "NOT denied to carol in permission set Audit" in result.detail
    assert more["breach"]["checks"] == ["deny_user Audit"]
    [actor] = more["breach"]["by"]
    assert (actor["who"], actor["what"]) == (caller["arn"], "PutInlinePolicyToPermissionSet")


def test_it_is_contained_again(contained: CenterLab) -> None:
    contained.put("PowerUser", POLICY)
    contained.apply(contained.sets["PowerUser"], [MEMBER])
    assert contained.denied(contained.role("PowerUser")) == []
    assert contained.iam.respond().status is Status.CONTAINED
    assert contained.denied(contained.role("PowerUser")) == [contained.people["carol"]]
    assert contained.iam.stored_target()["before"]["identity_center/PowerUser"]["policy"] == POLICY


def test_the_role_without_the_statement_is_containment_lost(
    contained: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = contained.iam.details["userName"]
    contained.see("iam", MEMBER).delete_role_policy(RoleName=role, PolicyName=INLINE)
    result, more = check(contained, monkeypatch)
    assert result.status is Status.CONTAINMENT_LOST
    assert more["breach"]["checks"] == [f"role_denies {role}"]


def test_a_permission_set_got_since_is_containment_lost(
    contained: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    contained.assign("Billing", "carol", "444444444444")
    result, more = check(contained, monkeypatch)
    assert result.status is Status.CONTAINMENT_LOST
    assert more["breach"]["checks"] == ["deny_user Billing"]


def test_what_was_not_provisioned_at_the_verdict_is_mended_when_it_is(
    contained: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, arn = "provisioned Audit", contained.sets["Audit"]
    [account, *_] = contained.accounts(arn)
    contained.provisioned[arn, account] = POLICY
    failed = Check(name, False, "provisioning permission set Audit is FAILED").record()
    target = contained.iam.ids["target"]
    fields: Any = {"weak": [name], "checks": [failed], "status": "PARTIAL"}
    contained.iam.record.set_target(INCIDENT, target.kind, target.id, **fields)
    result, more = check(contained, monkeypatch)
    assert (result.status, more["weak"]) == (Status.PARTIAL, [name])
    assert f"has not reached account {account}" in result.detail
    contained.apply(arn, [account])
    result, more = check(contained, monkeypatch)
    assert (result.status, more["weak"]) == (Status.CONTAINED, [])


def test_a_policy_that_says_more_beside_is_no_lost_containment(
    contained: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(contained.policy("PowerUser"))
    document["Statement"].append(
        {
            "Sid": "More",
            "Effect": "Allow",
            "Action": "s3:*",
            "Resource": "*",
        }
    )
    contained.put("PowerUser", json.dumps(document))
    assert check(contained, monkeypatch)[0].status is Status.CONTAINED


def test_a_permission_set_that_was_deleted_is_no_lost_containment(
    contained: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    contained.see("sso-admin").delete_account_assignment(
        InstanceArn="arn:aws:sso:::instance/ssoins-0123456789abcdef",
        PermissionSetArn=contained.sets["Console"],
        TargetId=MEMBER,
        TargetType="AWS_ACCOUNT",
        PrincipalType="USER",
        PrincipalId=contained.people["carol"],
    )
    contained.see("sso-admin").delete_permission_set(
        InstanceArn="arn:aws:sso:::instance/ssoins-0123456789abcdef",
        PermissionSetArn=contained.sets["Console"],
    )
    assert check(contained, monkeypatch)[0].status is Status.CONTAINED


def test_a_person_who_was_deleted_stays_denied(
    contained: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions that there are outlive the user: what the record says is verified, and is
    containment lost when it is undone.
    """
    contained.see("identitystore").delete_user(
        IdentityStoreId="d-0123456789", UserId=contained.people["carol"]
    )
    assert check(contained, monkeypatch)[0].status is Status.CONTAINED
    contained.put("PowerUser", POLICY)
    assert check(contained, monkeypatch)[0].status is Status.CONTAINMENT_LOST


@pytest.mark.parametrize(
    "operation", ["ListGroupMembershipsForMember", "GetInlinePolicyForPermissionSet"]
)
def test_what_may_not_be_read_is_no_lost_containment(
    contained: CenterLab, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    contained.iam.fail(operation, "AccessDeniedException")
    with pytest.raises(drift.NotRead):
        check(contained, monkeypatch)


def test_switched_off_since_it_cannot_be_read(
    contained: CenterLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    contained.iam.options["identity_center"] = None
    with pytest.raises(drift.NotRead, match="not set any more"):
        check(contained, monkeypatch)


def test_what_a_call_undoing_it_would_name_is_kept(contained: CenterLab) -> None:
    names = {
        contained.iam.details["userName"],
        *(contained.sets[name] for name in ("PowerUser", "Console", "Audit")),
    }
    assert set(contained.iam.stored_target()["watched"]) == names


def test_the_late_look_asks_what_the_session_got_since(contained: CenterLab) -> None:
    contained.iam.role("deploy", session=None)
    caller = {
        "type": "AssumedRole",
        "principalId": contained.iam.details["principalId"],
        "accessKeyId": "ASIAFINDING000000001",
    }
    contained.iam.add_assume_role(caller, "deploy", "late", "ASIALATE000000000001")
    assert [result.done for result in contained.iam.finish(contained.iam.ids["target"])][-1]
    assert contained.iam.role_policies("deploy") != {}


def test_the_responses_own_calls_are_no_lost_containment(iam: IamLab) -> None:
    own = own_roles(iam.context().config)
    for kind in ("responder", "monitor", "restorer"):
        assert is_own(f"arn:aws:iam::{CENTER}:role/{PREFIX}-identity-center-{kind}", own)


def test_a_permission_sets_name_is_whole_in_its_roles_name() -> None:
    """CreatePermissionSet: at most 32 characters; an IAM role's name: at most 64."""
    longest = "A+b=c,d.e@f-g_" * 3
    role = f"AWSReservedSSO_{longest[:32]}_0123456789abcdef"
    matched = ROLE_NAME.fullmatch(role)
    assert len(role) == 64
    assert matched
    assert matched[1] == longest[:32]


def test_the_functions_session_is_of_the_role_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        clients,
        "Session",
        lambda *given: opened.append(given),
    )
    for name in ("GDR_RESPONDER_ROLE", "GDR_IDENTITY_CENTER_ROLE"):
        monkeypatch.setenv(name, f"security/{name}")
    assume = partial(member_session, "aws", "inc-1")
    nothing: dict[str, list[str]] = {"Statement": []}
    assume(MEMBER, "eu-central-1", nothing)
    assume(CENTER, WHERE, nothing, role="GDR_IDENTITY_CENTER_ROLE")
    assert [arguments[0] for arguments in opened] == [
        f"arn:aws:iam::{MEMBER}:role/security/GDR_RESPONDER_ROLE",
        f"arn:aws:iam::{CENTER}:role/security/GDR_IDENTITY_CENTER_ROLE",
    ]

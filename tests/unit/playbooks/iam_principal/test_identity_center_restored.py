"""A person is let again: the statement is out of every permission set and out of the accounts,
and nothing else changed.
"""

from __future__ import annotations

import json

import pytest
from guardduty_response.incident.statuses import Status

from tests.unit.playbooks.iam_principal.center_lab import POLICY, WORK, CenterLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER
from tests.unit.playbooks.iam_principal.test_identity_center import is_allowed

pytestmark = pytest.mark.usefixtures("untrimmed_models")
SETS = ("PowerUser", "Console", "Audit")


@pytest.fixture
def contained(center: CenterLab) -> CenterLab:
    assert center.iam.respond().status is Status.CONTAINED
    center.iam.calls.clear()
    return center


def test_every_policy_is_what_it_was_in_the_accounts_too(contained: CenterLab) -> None:
    result = contained.iam.restore()
    assert (result.status, result.not_restored, result.still_contained) == (Status.RESTORED, [], [])
    assert [contained.policy(name) for name in SETS] == [POLICY, POLICY, ""], "to the letter"
    assert contained.role("PowerUser") == [WORK]
    assert contained.role("Audit", "333333333333") == []
    assert is_allowed(contained, "carol")
    assert is_allowed(contained, "dave")


def test_every_call_is_narrowed_to_its_permission_set(contained: CenterLab) -> None:
    contained.iam.restore()
    written = [
        call
        for call in contained.iam.calls
        if call.operation.startswith(("Put", "Delete", "Provision")) and call.policy
    ]
    assert {call.params["PermissionSetArn"] for call in written} == {
        contained.sets[name] for name in SETS
    }
    for call in written:
        assert call.policy is not None
        granted = {arn for statement in call.policy["Statement"] for arn in statement["Resource"]}
        others = {contained.sets[name] for name in SETS} - {call.params["PermissionSetArn"]}
        assert not others & granted


def test_a_second_time_there_is_nothing_to_do(contained: CenterLab) -> None:
    contained.iam.restore()
    contained.iam.calls.clear()
    assert contained.iam.restore().status is Status.RESTORED
    assert not [
        call
        for call in contained.iam.calls
        if call.service == "sso-admin" and call.operation.startswith(("Put", "Del", "Prov"))
    ]


def test_what_somebody_else_changed_stays(contained: CenterLab) -> None:
    document = json.loads(contained.policy("PowerUser"))
    more = {
        "Sid": "More",
        "Effect": "Allow",
        "Action": "s3:*",
        "Resource": "*",
    }
    contained.put(
        "PowerUser", json.dumps({**document, "Statement": [*document["Statement"], more]})
    )
    assert contained.iam.restore().status is Status.RESTORED
    assert contained.statements("PowerUser") == [WORK, more]
    assert contained.role("PowerUser") == [
        WORK,
        more,
    ]


def test_a_statement_that_is_not_as_containment_left_it_is_left(contained: CenterLab) -> None:
    document = json.loads(contained.policy("PowerUser"))
    statement = document["Statement"][-1]
    statement["Condition"]["StringEquals"]["identitystore:userId"] = [
        contained.people["carol"],
        contained.people["dave"],
    ]
    contained.put("PowerUser", json.dumps(document))
    result = contained.iam.restore()
    assert result.status is Status.RESTORE_PARTIAL
    assert contained.statements("PowerUser")[-1] == statement
    [text] = result.not_restored
    assert f"statement {statement['Sid']} of permission set PowerUser is another statement" in text
    assert contained.policy("Console") == POLICY, "the others are restored"


def test_what_terraform_put_back_meanwhile_is_as_before(contained: CenterLab) -> None:
    contained.put("PowerUser", POLICY)
    contained.apply(contained.sets["PowerUser"], [MEMBER])
    assert contained.iam.restore().status is Status.RESTORED


def test_another_incidents_denial_of_the_same_person_stays(contained: CenterLab) -> None:
    document = json.loads(contained.policy("PowerUser"))
    other = {**document["Statement"][-1], "Sid": "GuarddutyResponseDenyffffffffffffffff"}
    contained.put(
        "PowerUser", json.dumps({**document, "Statement": [*document["Statement"], other]})
    )
    assert contained.iam.restore().status is Status.RESTORED
    assert contained.denied(contained.role("PowerUser")) == [contained.people["carol"]]
    assert not is_allowed(contained, "carol")


def test_provisioning_that_is_not_through_is_said(contained: CenterLab) -> None:
    contained.polls = 1
    result = contained.iam.restore()
    assert result.status is Status.RESTORE_PARTIAL
    assert all("not to be seen on reading back" in text for text in result.not_restored)
    assert len(result.not_restored) == 3
    assert not is_allowed(contained, "carol"), "the accounts deny still, and nobody said otherwise"
    contained.polls = 0
    assert contained.iam.restore().status is Status.RESTORED
    assert is_allowed(contained, "carol")


def test_a_permission_set_that_is_gone_is_said(contained: CenterLab) -> None:
    contained.see("sso-admin").delete_permission_set(
        InstanceArn="arn:aws:sso:::instance/ssoins-0123456789abcdef",
        PermissionSetArn=contained.sets["Console"],
    )
    result = contained.iam.restore()
    assert result.status is Status.RESTORE_PARTIAL
    assert result.not_restored == ["permission set Console no longer exists"]
    assert is_allowed(contained, "carol")


def test_switched_off_since_a_person_must(contained: CenterLab) -> None:
    contained.iam.options["identity_center"] = None
    result = contained.iam.restore()
    assert result.status is Status.RESTORE_PARTIAL
    assert len(result.still_contained) == 3
    assert all("aws sso-admin provision-permission-set" in text for text in result.not_restored)
    assert not is_allowed(contained, "carol")

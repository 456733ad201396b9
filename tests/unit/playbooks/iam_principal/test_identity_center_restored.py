"""A person is let again: the statement is out of every permission set and out of the accounts,
and nothing else changed.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.incident.statuses import Status

from tests.unit.playbooks.iam_principal.center_lab import POLICY, WORK, CenterLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER
from tests.unit.playbooks.iam_principal.test_identity_center import may

Json = dict[str, Any]
SETS = ("PowerUser", "Console", "Audit")


@pytest.fixture
def held(center: CenterLab) -> CenterLab:
    assert center.iam.respond().status is Status.CONTAINED
    center.iam.calls.clear()
    return center


def test_every_policy_is_what_it_was_in_the_accounts_too(held: CenterLab) -> None:
    got = held.iam.restore()
    assert (got.status, got.not_restored, got.still_contained) == (Status.RESTORED, [], [])
    assert [held.policy(name) for name in SETS] == [POLICY, POLICY, ""], "to the letter"
    assert held.role("PowerUser") == [WORK] and held.role("Audit", "333333333333") == []
    assert may(held, "carol") and may(held, "dave")


def test_every_call_is_narrowed_to_its_permission_set(held: CenterLab) -> None:
    held.iam.restore()
    written = [
        one
        for one in held.iam.calls
        if one.operation.startswith(("Put", "Delete", "Provision")) and one.policy
    ]
    assert {one.params["PermissionSetArn"] for one in written} == {held.sets[name] for name in SETS}
    for one in written:
        others = {held.sets[name] for name in SETS} - {one.params["PermissionSetArn"]}
        assert not others & {arn for part in one.policy["Statement"] for arn in part["Resource"]}  # type: ignore[index]


def test_a_second_time_there_is_nothing_to_do(held: CenterLab) -> None:
    held.iam.restore()
    held.iam.calls.clear()
    assert held.iam.restore().status is Status.RESTORED
    assert not [
        one
        for one in held.iam.calls
        if one.service == "sso-admin" and one.operation.startswith(("Put", "Del", "Prov"))
    ]


def test_what_somebody_else_changed_stays(held: CenterLab) -> None:
    document = json.loads(held.policy("PowerUser"))
    more = {"Sid": "More", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    held.put("PowerUser", json.dumps({**document, "Statement": [*document["Statement"], more]}))
    assert held.iam.restore().status is Status.RESTORED
    assert held.statements("PowerUser") == [WORK, more] and held.role("PowerUser") == [WORK, more]


def test_a_statement_that_is_not_as_containment_left_it_is_left(held: CenterLab) -> None:
    document = json.loads(held.policy("PowerUser"))
    mine = document["Statement"][-1]
    mine["Condition"]["StringEquals"]["identitystore:userId"] = [
        held.people["carol"],
        held.people["dave"],
    ]
    held.put("PowerUser", json.dumps(document))
    got = held.iam.restore()
    assert got.status is Status.RESTORE_PARTIAL and held.statements("PowerUser")[-1] == mine
    [said] = got.not_restored
    assert f"statement {mine['Sid']} of permission set PowerUser is another one" in said
    assert held.policy("Console") == POLICY, "the others are restored"


def test_what_terraform_put_back_meanwhile_is_as_before(held: CenterLab) -> None:
    held.put("PowerUser", POLICY)
    held.apply(held.sets["PowerUser"], [MEMBER])
    assert held.iam.restore().status is Status.RESTORED


def test_another_incidents_denial_of_the_same_person_stays(held: CenterLab) -> None:
    document = json.loads(held.policy("PowerUser"))
    other = {**document["Statement"][-1], "Sid": "GuarddutyResponseDenyffffffffffffffff"}
    held.put("PowerUser", json.dumps({**document, "Statement": [*document["Statement"], other]}))
    assert held.iam.restore().status is Status.RESTORED
    assert held.denied(held.role("PowerUser")) == [held.people["carol"]] and not may(held, "carol")


def test_provisioning_that_is_not_through_is_said(held: CenterLab) -> None:
    held.polls = 1
    got = held.iam.restore()
    assert got.status is Status.RESTORE_PARTIAL
    assert (
        all("not to be seen on reading back" in one for one in got.not_restored)
        and len(got.not_restored) == 3
    )
    assert not may(held, "carol"), "the accounts deny still, and nobody said otherwise"
    held.polls = 0
    assert held.iam.restore().status is Status.RESTORED and may(held, "carol")


def test_a_permission_set_that_is_gone_is_said(held: CenterLab) -> None:
    held.see("sso-admin").delete_permission_set(
        InstanceArn="arn:aws:sso:::instance/ssoins-0123456789abcdef",
        PermissionSetArn=held.sets["Console"],
    )
    got = held.iam.restore()
    assert got.status is Status.RESTORE_PARTIAL and got.not_restored == [
        "permission set Console no longer exists"
    ]
    assert may(held, "carol")


def test_switched_off_since_a_person_must(held: CenterLab) -> None:
    held.iam.options["identity_center"] = None
    got = held.iam.restore()
    assert got.status is Status.RESTORE_PARTIAL and len(got.still_contained) == 3
    assert all(
        "aws sso-admin provision-permission-set" in one for one in got.not_restored
    ) and not may(held, "carol")

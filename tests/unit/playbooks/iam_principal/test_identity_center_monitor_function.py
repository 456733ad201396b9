"""The monitor function looks whether a person stays denied: in the Identity Center account, with a
role of its own that only reads.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws.api import PolicyDocument
from guardduty_response.containment.contract import Check, Context, StepResult
from guardduty_response.containment.session_policy import accepted, reads
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.errors import RoleUnavailable
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import identify, monitor, playbook
from guardduty_response.playbooks.iam_principal.identity_center.center import INLINE, ROLE
from moto.identitystore.models import identitystore_backends

from tests.unit.playbooks.iam_principal.center_lab import (
    CENTER,
    OPTION,
    POLICY,
    STORE,
    WHERE,
    CenterLab,
)
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER
from tests.unit.playbooks.iam_principal.test_identity_center_monitored import check as check_again
from tests.unit.playbooks.iam_principal.test_identity_center_monitored import contained

__all__ = ["contained"]
READING = ("Get", "List", "Describe", "Query", "AssumeRole", "Lookup")


def monitors(center: CenterLab) -> Context:
    """Returns the context that the monitor function has: its roles, in one session each.

    The lab refuses every call that the session's policy does not allow.
    """
    context = center.iam.context()

    def assume(account: str, region: str, _: PolicyDocument, role: str = "") -> Any:
        actions = monitor.READ_ELSEWHERE[role] if role else monitor.READ
        return center.iam.assume(account, region, policy(allow(actions)), role, job="monitor")

    context.assume = partial(assume)
    return context


def check(center: CenterLab) -> tuple[StepResult, list[Check]]:
    """As the monitor function checks: by the record alone, nothing is planned."""
    target = center.iam.ids["target"]._replace(scope={"unique_id": ""}, verify_only=True)
    return monitor.verify(monitors(center), target)


def failed(checks: list[Check]) -> list[str]:
    return [found.name for found in checks if not found.ok]


def test_a_check_only_reads_and_sees_what_the_machine_sees(contained: CenterLab) -> None:
    step, checks = check(contained)
    operations = set(contained.iam.operations())
    assert "GetInlinePolicyForPermissionSet" in operations
    assert [name for name in operations if not name.startswith(READING)] == []
    assert step.status is Status.CONTAINED
    [planned] = playbook.plan(contained.iam.context())
    expected, expected_checks = playbook.verify(
        contained.iam.context(), planned.target._replace(verify_only=True)
    )
    assert checks == expected_checks
    assert step.watched == expected.watched


def test_the_statement_taken_out_is_seen(contained: CenterLab) -> None:
    contained.put("Audit", POLICY)
    assert failed(check(contained)[1]) == ["deny_user Audit"]


def test_the_role_without_the_statement_is_seen(contained: CenterLab) -> None:
    role = contained.iam.details["userName"]
    contained.see("iam", MEMBER).delete_role_policy(RoleName=role, PolicyName=INLINE)
    assert failed(check(contained)[1]) == [f"role_denies {role}"]


def test_a_permission_set_got_since_is_seen(contained: CenterLab) -> None:
    contained.assign("Billing", "carol", "444444444444")
    assert failed(check(contained)[1]) == ["deny_user Billing"]


def test_a_person_who_was_deleted_stays_denied(contained: CenterLab) -> None:
    contained.see("identitystore").delete_user(
        IdentityStoreId="d-0123456789", UserId=contained.people["carol"]
    )
    assert check(contained)[0].status is Status.CONTAINED
    contained.put("PowerUser", POLICY)
    assert failed(check(contained)[1]) == ["deny_user PowerUser"]


def _drop_role(center: CenterLab) -> str:
    """Identity Center deletes an account's role with its last assignment there."""
    role = str(center.iam.details["userName"])
    iam = center.see("iam", MEMBER)
    iam.delete_role_policy(RoleName=role, PolicyName=INLINE)
    iam.delete_role(RoleName=role)
    return role


@pytest.mark.parametrize("namesake", [False, True])
def test_without_the_findings_role_the_rest_is_checked_by_both(
    contained: CenterLab, monkeypatch: pytest.MonkeyPatch, namesake: bool
) -> None:
    role = _drop_role(contained)
    if namesake:
        contained.see("iam", MEMBER).create_role(RoleName=role, AssumeRolePolicyDocument="{}")
    assert failed(check(contained)[1]) == []
    assert check_again(contained, monkeypatch)[0].status is Status.CONTAINED
    contained.put("Audit", POLICY)
    assert failed(check(contained)[1]) == ["deny_user Audit"]
    result, more = check_again(contained, monkeypatch)
    assert result.status is Status.CONTAINMENT_LOST
    assert more["breach"]["checks"] == ["deny_user Audit"]


def test_a_role_that_was_never_identity_centers_says_nothing(center: CenterLab) -> None:
    """A name is anybody's: whoever deletes such a role has nobody else denied by it."""
    _drop_role(center)
    [planned] = playbook.plan(center.iam.context())
    assert planned.target.kind == identify.SESSION


def test_who_was_renamed_is_the_same_and_who_has_the_name_is_not(contained: CenterLab) -> None:
    carol = contained.people["carol"]
    users = identitystore_backends[CENTER][WHERE].identity_stores[STORE].users
    users[carol] = users[carol]._replace(UserName="carol.smith")  # moto has no UpdateUser
    contained.person("carol").assign("Billing", "carol", "444444444444")
    assert failed(check(contained)[1]) == [], "that of somebody else"
    contained.people["carol"] = carol
    contained.assign("Billing", "carol", "444444444444")
    assert failed(check(contained)[1]) == ["deny_user Billing"]


@pytest.mark.parametrize("kind", ["USER", None])
def test_a_user_who_is_not_there_any_more_is_no_fault(
    contained: CenterLab, kind: str | None
) -> None:
    contained.iam.fail("ListGroupMembershipsForMember", _missing(ResourceType=kind))
    assert check(contained)[0].status is Status.CONTAINED


@pytest.mark.parametrize(
    "answer", [{"ResourceType": "IDENTITY_STORE"}, {"Reason": "KMS_KEY_NOT_FOUND"}]
)
def test_a_store_or_key_that_is_not_there_is_not_read(
    contained: CenterLab, answer: dict[str, str]
) -> None:
    contained.iam.fail("ListGroupMembershipsForMember", _missing(**answer))
    missing = [found for found in check(contained)[1] if not found.ok]
    assert [(found.name, found.read) for found in missing] == [("held_sets", False)]


def test_an_instance_that_is_not_there_is_no_deleted_permission_set(contained: CenterLab) -> None:
    for operation in (
        "GetInlinePolicyForPermissionSet",
        "ListPermissionSetsProvisionedToAccount",
        "ListAccountAssignmentsForPrincipal",
    ):
        contained.iam.fail(operation, "ResourceNotFoundException")
    step, checks = check(contained)
    assert step.status is not Status.CONTAINED
    assert [found.name for found in checks if not found.ok and found.read] == []


def _missing(**more: str | None) -> ClientError:
    given = {name: value for name, value in more.items() if value}
    answer: Any = {
        "Error": {"Code": "ResourceNotFoundException", "Message": "not found"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
        **given,
    }
    return ClientError(answer, "ListGroupMembershipsForMember")


@pytest.mark.parametrize(
    "operation", ["ListGroupMembershipsForMember", "GetInlinePolicyForPermissionSet"]
)
def test_what_may_not_be_read_is_not_called_lost(contained: CenterLab, operation: str) -> None:
    contained.iam.fail(operation, "AccessDeniedException")
    missing = [found for found in check(contained)[1] if not found.ok]
    assert missing
    assert [found.name for found in missing if found.read] == []


def test_what_was_throttled_is_raised(contained: CenterLab) -> None:
    contained.iam.fail("ListGroupMembershipsForMember", "ThrottlingException")
    with pytest.raises(Exception, match="Throttling"):
        check(contained)


def test_where_a_person_is_contained() -> None:
    options = {"identity_center": OPTION}
    place = {ROLE: (CENTER, WHERE)}
    assert monitor.elsewhere(identify.IDENTITY_CENTER, options) == place
    assert monitor.elsewhere(identify.USER, options) == {}
    with pytest.raises(RoleUnavailable, match="not set any more"):
        monitor.elsewhere(identify.IDENTITY_CENTER, {"identity_center": None})


def test_its_session_takes_reading_actions_that_sts_accepts() -> None:
    [actions] = monitor.READ_ELSEWHERE.values()
    assert [action for action in actions if not reads(action)] == []
    assert accepted(policy(allow(actions)))

"""The monitor function looks whether a person stays denied: in the Identity Center account, with a
role of its own that only reads.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from guardduty_response.aws.api import PolicyDocument
from guardduty_response.containment.contract import Check, Context, StepResult
from guardduty_response.containment.session_policy import accepted, reads
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.errors import RoleUnavailable, TargetGone
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import identify, monitor, playbook
from guardduty_response.playbooks.iam_principal.identity_center.center import INLINE, ROLE

from tests.unit.playbooks.iam_principal.center_lab import CENTER, OPTION, POLICY, WHERE, CenterLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER
from tests.unit.playbooks.iam_principal.test_identity_center_monitored import contained
from tests.unit.playbooks.watched_session import acting

__all__ = ["contained"]
READING = ("Get", "List", "Describe", "Query", "AssumeRole", "Lookup")


def monitors(center: CenterLab) -> Context:
    """Returns the context that the monitor function has: its roles, in one session each.

    The lab refuses every call that the session's policy does not allow.
    """
    context = center.iam.context()

    def assume(account: str, region: str, _: PolicyDocument, role: str = "") -> Any:
        actions = monitor.READ_ELSEWHERE[role] if role else monitor.READ
        with acting(center.iam, "monitor"):
            return center.iam.assume(account, region, policy(allow(actions)), role)

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


def test_a_role_that_is_gone_is_left_to_the_machine(contained: CenterLab) -> None:
    role = contained.iam.details["userName"]
    iam = contained.see("iam", MEMBER)
    iam.delete_role_policy(RoleName=role, PolicyName=INLINE)
    iam.delete_role(RoleName=role)
    with pytest.raises(TargetGone, match="no longer exists"):
        check(contained)


@pytest.mark.parametrize("operation", ["GetUserId", "GetInlinePolicyForPermissionSet"])
def test_what_may_not_be_read_is_not_called_lost(contained: CenterLab, operation: str) -> None:
    contained.iam.fail(operation, "AccessDeniedException")
    missing = [found for found in check(contained)[1] if not found.ok]
    assert missing
    assert [found.name for found in missing if found.read] == []


def test_what_was_throttled_is_raised(contained: CenterLab) -> None:
    contained.iam.fail("GetUserId", "ThrottlingException")
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

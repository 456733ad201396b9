"""What the monitor function reads of a principal: as much as verify, and nothing but reading."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from guardduty_response.containment import session_policy
from guardduty_response.containment.contract import Context, Target
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import identify, monitor, playbook

from tests.unit.playbooks.iam_principal.iam_account import EVERY_CREDENTIAL
from tests.unit.playbooks.iam_principal.iam_lab import DENY_ALL, IamLab

READING = ("Get", "List", "Query", "AssumeRole")


def _contained(iam: IamLab, kind: str) -> Target:
    if kind == identify.USER:
        iam.options["console_password"] = "reset"
        target = iam.user(**EVERY_CREDENTIAL).plan()
    else:
        target = iam.role().plan()
    assert iam.respond(target).status is Status.CONTAINED
    return target


def _checked(iam: IamLab, planned: Target) -> tuple[Context, Target]:
    """Returns what the monitor function passes to verify: the record's target, its own session.

    The lab notes every call that the session's policy does not allow.
    """
    context = iam.context()

    def assume(account: str, region: str, _: Any) -> Any:
        return iam.assume(account, region, policy(allow(monitor.READ)), job="monitor")

    context.assume = partial(assume)
    unique_id = planned.scope["unique_id"]
    iam.calls.clear()
    return context, planned._replace(scope={"unique_id": unique_id}, verify_only=True)


@pytest.mark.parametrize("kind", [identify.USER, identify.SESSION])
def test_a_check_only_reads_and_sees_what_verify_sees(iam: IamLab, kind: str) -> None:
    planned = _contained(iam, kind)
    context, target = _checked(iam, planned)
    step, checks = monitor.verify(context, target)
    operations = set(iam.operations())
    assert operations
    assert [name for name in operations if not name.startswith(READING)] == []
    assert step.status is Status.CONTAINED
    whole = planned._replace(verify_only=True)
    expected, expected_checks = playbook.verify(iam.context(), whole)
    assert checks == expected_checks
    assert step.watched == expected.watched


def test_a_detached_denial_is_seen(iam: IamLab) -> None:
    context, target = _checked(iam, _contained(iam, identify.USER))
    iam.see().detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    _, checks = monitor.verify(context, target)
    assert [check.name for check in checks if not check.ok] == ["deny_all"]


def test_its_actions_are_reading_ones() -> None:
    assert [action for action in monitor.READ if not session_policy.reads(action)] == []

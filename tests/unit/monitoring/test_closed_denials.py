"""How often the watchdog has AWS asked about instances that nobody watches any more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.functions import respond
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import expiry
from guardduty_response.playbooks.ec2_instance import gone

from tests.unit.deployment import onlooker
from tests.unit.monitoring.expiry_lab import (
    FUNCTION,
    REGION,
    ROLE,
    Role,
    on,
)


def test_of_a_closed_containment_it_leaves_when_the_instance_is_gone(
    closed: Role, instance: str, clock: Any
) -> None:
    """Nobody verifies it any more: EC2 is asked, every six hours, while the instance exists."""
    for _ in range(2):
        on(clock, hours=12.2)
        [request] = closed.reconcile()
        assert respond.handler(request)["error"] == ""
        assert closed.is_denied() and 300 < closed.minutes() <= 360
    onlooker("ec2", REGION).terminate_instances(InstanceIds=[instance])
    on(clock, hours=6.1)
    [request] = closed.reconcile()
    assert respond.handler(request)["error"] == ""
    assert closed.is_denied(), "credentials that it had may live for 12 hours"
    assert 12 * 60 < closed.minutes() < 12 * 60 + 6
    assert closed.deployment.timeline(closed.incident)[-1] == "gone"
    on(clock, hours=12.2)
    [request] = closed.reconcile()
    assert respond.handler(request) == {"next": "", "error": ""}
    assert closed.iam.list_role_policies(RoleName="app")["PolicyNames"] == []
    assert closed.iam.list_role_tags(RoleName="app")["Tags"] == []
    assert "due_at" not in closed.due and closed.problems() == []
    assert closed.record.meta(closed.incident)["status"] == Status.CLOSED


def test_while_ec2_does_not_answer_it_stays_and_people_are_told(
    closed: Role, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "DescribeInstances")

    def refuse(*_: Any) -> str:
        raise refused

    monkeypatch.setattr(gone, "why_gone", refuse)
    on(clock, hours=12.2)
    for _ in range(expiry.ATTEMPTS + 3):
        [request] = closed.reconcile()
        assert "UnauthorizedOperation" in respond.handler(request)["error"]
        assert closed.is_denied()
        assert 300 < closed.minutes() <= 360
        on(clock, hours=6.1)
    [message] = closed.problems()
    assert "It is tried again" in message and "UnauthorizedOperation" in message
    assert "whether it does could not be found out" in message and "over by now" not in message
    state = closed.record.containments.state(*closed.place)
    assert state is not None and state["status"] == Status.CONTAINED
    assert closed.is_denied()


def test_what_cannot_be_asked_about_keeps_no_other_entry_from_leaving(
    closed: Role, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking fails for days; then the instance of another entry is gone."""

    def refuse(*_: Any) -> str:
        raise ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "DescribeInstances")

    other = closed.deny_another("i-2")
    closed.record.containments.set(*other, status=Status.CONTAINED)
    monkeypatch.setattr(gone, "why_gone", refuse)
    for _ in range(expiry.ATTEMPTS + 3):
        on(clock, hours=12.2)
        [request] = closed.reconcile()
        respond.handler(request)
    closed.record.containments.set(*other, status=Status.GONE)
    for _ in range(2):
        on(clock, hours=12.2)
        [request] = closed.reconcile()
        respond.handler(request)
    known = closed.record.shared.read(ROLE, OLDER).known
    assert set(known) == {closed.place}
    assert closed.is_denied()


def test_what_the_function_did_not_live_to_ask_is_asked_again(closed: Role, clock: Any) -> None:
    on(clock, hours=12.2)
    for _ in range(expiry.ATTEMPTS + 3):
        assert closed.reconcile(), "its function dies each time"
        on(clock, minutes=closed.minutes() + 1)
    [message] = closed.problems()
    assert "the function did not answer" in message


def test_of_a_closed_containment_whose_playbook_is_switched_off_nobody_asks(
    closed: Role, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is switched on: nothing is known to be over, and people are told nothing."""
    monkeypatch.setenv(expiry.FUNCTIONS, "{}")
    for _ in range(expiry.TOLD_AFTER + 1):
        on(clock, hours=12.2)
        assert closed.reconcile() == []
    assert closed.problems() == [] and 300 < closed.minutes() <= 360
    monkeypatch.setenv(expiry.FUNCTIONS, json.dumps({"ec2_instance": FUNCTION}))
    on(clock, hours=6.1)
    assert closed.reconcile()


@pytest.mark.parametrize("status", [Status.OPEN, Status.CONTAINING])
def test_of_a_containment_whose_verdict_is_to_come_nobody_asks(
    closed: Role, clock: Any, status: Status
) -> None:
    """Its monitoring begins with the verdict: until then it is at work, not forgotten."""
    closed.record.containments.set(*closed.place, status=status)
    on(clock, hours=12.2)
    assert closed.reconcile() == [] and 300 < closed.minutes() <= 360
    closed.record.containments.set(*closed.place, status=Status.FAILED)
    on(clock, hours=6.1)
    assert closed.reconcile()


def test_of_an_instance_that_somebody_works_on_nobody_asks(closed: Role, clock: Any) -> None:
    on(clock, hours=12.2)
    arn, leases = closed.place[0], closed.record.leases
    leases.acquire(arn, "somebody", "inc-1", 900)
    assert closed.reconcile() == [] and 300 < closed.minutes() <= 360
    on(clock, hours=6.1)
    assert closed.reconcile(), "a lease that has run out keeps nobody"

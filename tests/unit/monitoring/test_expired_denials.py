"""When the watchdog has denials taken out of a role, how often it tries, and whom it tells."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.aws.dynamodb_types import item
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.functions import respond
from guardduty_response.incident import shared_settings
from guardduty_response.monitoring import expiry

from tests.unit.deployment import TABLE
from tests.unit.monitoring.expiry_lab import (
    ROLE,
    Role,
    on,
)


def test_nothing_is_looked_at_before_a_session_can_be_over(role: Role, clock: Any) -> None:
    role.goes()
    assert 12 * 60 < role.minutes() < 12 * 60 + 6
    on(clock, hours=12)
    assert role.reconcile() == [] and role.is_denied()


def test_what_is_over_is_taken_out_and_the_role_is_looked_at_no_more(
    role: Role, clock: Any
) -> None:
    role.goes()
    on(clock, hours=12.2)
    [request] = role.reconcile()
    assert (request["verb"], request["role"]) == ("expire", ROLE)
    assert role.reconcile() == [], "it is handed out once"
    assert respond.handler(request) == {"next": "", "error": ""}
    assert role.iam.list_role_policies(RoleName="app")["PolicyNames"] == []
    assert role.iam.list_role_tags(RoleName="app")["Tags"] == []
    assert "due_at" not in role.due
    assert "denial taken out" in " ".join(role.deployment.timeline(role.incident))
    on(clock, days=2)
    assert role.reconcile() == [] and role.problems() == []


def test_while_it_is_contained_it_is_looked_at_again(role: Role, clock: Any) -> None:
    for _ in range(3):
        on(clock, hours=12.2)
        assert role.reconcile() == [] and role.is_denied()
        assert 300 < role.minutes() <= 360
    role.goes()
    on(clock, hours=12.2)
    [request] = role.reconcile()
    respond.handler(request)
    assert not role.is_denied()


def test_a_pause_is_respected_and_ends_nothing(role: Role, clock: Any) -> None:
    pause = {"pk": "CONTROL", "sk": "OPERATOR", "paused": True, "by": "ada", "reason": "a drill"}
    role.deployment.dynamodb.put_item(TableName=TABLE, Item=item(pause))
    role.goes()
    on(clock, hours=12.2)
    for _ in range(expiry.ATTEMPTS + 3):
        [request] = role.reconcile()
        assert "paused by ada" in respond.handler(request)["error"]
        assert role.is_denied()
        assert 59 < role.minutes() <= 60
        on(clock, hours=1.1)
    assert role.problems() == []
    role.deployment.dynamodb.delete_item(
        TableName=TABLE, Key=item({"pk": "CONTROL", "sk": "OPERATOR"})
    )
    [request] = role.reconcile()
    respond.handler(request)
    assert not role.is_denied()


def test_what_fails_is_tried_again_and_told_and_ends(role: Role, clock: Any) -> None:
    """Less and less often; people are told once while it goes on, and once when it ends."""
    role.goes()
    on(clock, hours=12.2)
    waits = []
    for _ in range(expiry.ATTEMPTS):
        [_request] = role.reconcile()  # which dies each time
        waits.append(role.minutes())
        on(clock, minutes=waits[-1] + 1)
    waits = [round(minutes) for minutes in waits]
    assert waits == sorted(waits) and (waits[0], waits[-1]) == (15, 360)
    assert role.reconcile() == []
    messages = role.problems()
    assert len(messages) == 2
    assert "It is tried again" in messages[0] and "the function did not answer" in messages[0]
    assert "It is not tried again" in messages[1]
    assert "due_at" not in role.due and role.is_denied()
    on(clock, days=2)
    assert role.reconcile() == [] and role.problems() == []


def test_a_failure_says_why(role: Role, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease of the role's setting is respected."""
    monkeypatch.setattr(
        shared_settings,
        "WAIT_SECONDS",
        0.0,
    )
    role.goes()
    on(clock, hours=12.2)
    role.record.leases.acquire(
        f"{ROLE}#{OLDER}",
        "somebody",
        "inc-1",
        3600,
    )
    [request] = role.reconcile()
    assert "is being written by somebody" in respond.handler(request)["error"]
    assert role.is_denied()
    assert "is being written by somebody" in role.due["why"]
    assert role.due["attempts"] == 1


def test_who_is_denied_meanwhile_is_looked_at_later(role: Role, clock: Any) -> None:
    """The step's answer does not settle an item that a containment has written since."""
    role.goes()
    on(clock, hours=12.2)
    [request] = role.reconcile()
    role.deny_another("i-2")
    respond.handler(request)
    assert 12 * 60 < role.minutes() < 12 * 60 + 6


def test_a_playbook_that_is_switched_off_writes_nothing(
    role: Role, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(expiry.FUNCTIONS, "{}")
    role.goes()
    on(clock, hours=12.2)
    assert role.reconcile() == []
    assert role.due["why"] == "playbook ec2_instance is switched off"
    assert role.is_denied()


def test_where_no_playbook_is_in_use_the_index_is_not_asked(
    role: Role, clock: Any, monkeypatch: pytest.MonkeyPatch, api_calls: list[str]
) -> None:
    """Its role may not, and the watchdog would fail every five minutes."""
    monkeypatch.delenv(expiry.FUNCTIONS)
    role.goes()
    on(clock, hours=12.2)
    api_calls.clear()
    assert expiry.dispatch(role.record) == []
    assert api_calls == []

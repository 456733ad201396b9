"""Tests what is checked where there are no monitor functions yet: an apply is under way, a playbook
or a member account lacks what checks it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from guardduty_response.errors import RoleUnavailable
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.monitoring import reading, schedule, slots
from guardduty_response.monitoring.sessions import BatchSessions

from tests.unit.checks import counts, make_due
from tests.unit.deployment import Deployment
from tests.unit.function_calls import watch
from tests.unit.monitoring.contained_incident import OPEN, TAGGED, Case
from tests.unit.monitoring.watchdog_events import (
    Begin,
    change_event,
    handed_out,
    run_schedule,
    started_checks,
)


@pytest.fixture
def without(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions are new, their environment is not."""
    monkeypatch.delenv("GDR_MONITOR_FUNCTIONS")


@pytest.mark.usefixtures("without")
def test_every_incident_is_rechecked_by_the_machine_every_quarter_of_an_hour(
    deployment: Deployment, held: Begin
) -> None:
    incident_id = held()
    quarter = (datetime.now(UTC).timestamp() // schedule.RECHECK_SECONDS + 1) * 900
    with time_machine.travel(quarter, tick=False) as clock:
        for _ in range(14):
            run_schedule()
            clock.shift(60)
        assert len(started_checks(deployment)) == 1
        clock.shift(60)
        run_schedule()
    assert len(started_checks(deployment)) == 2
    [first, _] = started_checks(deployment).values()
    assert first == {"watch": {"incident_id": incident_id, "why": "schedule", "seen": None}}
    assert handed_out(deployment) == []


@pytest.mark.usefixtures("without")
def test_a_change_is_rechecked_by_the_machine(deployment: Deployment, held: Begin) -> None:
    incident_id = held()
    assert watch(change_event(parameters={"roleName": "APP"})) == {"started": [incident_id]}
    watch(change_event())
    [given] = started_checks(deployment).values()
    assert given["watch"]["why"] == "change"
    assert given["watch"]["seen"]["event_id"] == "ev-1"


def test_a_playbook_without_a_monitor_function_is_rechecked_by_the_machine(
    deployment: Deployment, held: Begin, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDR_MONITOR_FUNCTIONS", json.dumps({"iam_principal": "arn:x"}))
    incident_id = held()
    make_due(deployment)
    run_schedule()
    [given] = started_checks(deployment).values()
    assert given["watch"]["incident_id"] == incident_id
    run_schedule()
    assert len(started_checks(deployment)) == 1, "not before it is due again"
    assert slots.take(record.table, "schedule"), "no slot is taken by it"
    assert watch(change_event())["started"] == [incident_id]
    assert len(started_checks(deployment)) == 2


def test_an_account_without_the_monitors_role_is_rechecked_by_the_machine(
    case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Members are deployed apart: until theirs has come, it is as before this release."""

    def refuse(*_: object) -> None:
        raise RoleUnavailable("cannot assume the role")

    monkeypatch.setattr(BatchSessions, "check_role", refuse)
    case.see(OPEN, TAGGED)
    before = case.contained()
    assert case.check_all() == counts()
    assert (case.meta["status"], case.contained()) == ("CONTAINED", before + 1)
    assert "MonitorRoleMissing" in capsys.readouterr().out


def test_a_kind_that_the_monitor_cannot_read_is_rechecked_by_the_machine(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow: Any = SimpleNamespace(
        READ=("ec2:DescribeInstances",), READ_ELSEWHERE={}, KINDS=frozenset({"another_kind"})
    )
    monkeypatch.setattr(reading, "load_monitor", lambda _: narrow)
    started = set(started_checks(case.deployment))
    assert case.check_all() == counts()
    assert len(set(started_checks(case.deployment)) - started) == 1


def test_without_its_role_in_a_further_account_the_machine_rechecks(
    case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a person of IAM Identity Center, who is contained in another account."""
    elsewhere: Any = SimpleNamespace(
        READ=("ec2:DescribeInstances",),
        READ_ELSEWHERE={"GDR_OTHER_ROLE": ("sso:GetInlinePolicyForPermissionSet",)},
        KINDS=frozenset({"ec2_instance"}),
        elsewhere=lambda kind, options: {"GDR_OTHER_ROLE": ("999999999999", "eu-west-1")},
    )
    monkeypatch.setattr(reading, "load_monitor", lambda _: elsewhere)
    started = set(started_checks(case.deployment))
    assert case.check_all() == counts()
    assert len(set(started_checks(case.deployment)) - started) == 1
    said = capsys.readouterr().out
    assert "MonitorRoleMissing" in said
    assert "GDR_OTHER_ROLE" in said
    assert '"account": "999999999999"' in said, "the account that lacks it"

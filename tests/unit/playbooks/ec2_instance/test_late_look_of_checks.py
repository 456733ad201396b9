"""Without the phase finish, the first verification that is late enough makes the second look at
CloudTrail for sessions of other roles.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from guardduty_response.containment.contract import StepResult
from guardduty_response.incident.moments import iso
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance
from guardduty_response.playbooks.ec2_instance.evidence import items

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, Lab
from tests.unit.playbooks.ec2_instance.finish_lab import read_events
from tests.unit.playbooks.ec2_instance.session_trail import assume_role, denied
from tests.unit.playbooks.ec2_instance.test_gone import APP, details, terminate
from tests.unit.playbooks.ec2_instance.test_late_look import NAME, monitored, rechecked, responded


@pytest.fixture
def built(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """An instance whose profile the finding names."""
    monkeypatch.setenv("GDR_PLAYBOOK", "ec2_instance")
    lab.build()
    read_events(lab)  # which opens the incident
    details(lab, iamInstanceProfile={"arn": APP})
    return lab


@pytest.fixture
def later(built: Lab, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Puts the clock forward by minutes; CloudTrail is asked again after 20."""
    built.options |= {"repeat_minutes": 20, "finish": "none"}
    real = time.time

    def put_forward(minutes: float) -> None:
        monkeypatch.setattr(
            time,
            "time",
            lambda: real() + minutes * 60,
        )

    return put_forward


def test_a_check_finds_what_cloudtrail_shows_late_and_it_is_contained(
    built: Lab, later: Callable[[float], None]
) -> None:
    target, status = responded(built)
    assert status is Status.CONTAINED
    userid = assume_role(
        built,
        "admin",
        "s1",
        "ASIA1",
    )
    later(15)
    assert "held_sessions admin" not in monitored(built, target), "too early"
    later(30)
    found = monitored(built, target)["held_sessions admin"]
    assert not found.ok
    assert userid in found.detail
    assert rechecked(built, target) is Status.CONTAINMENT_LOST
    ec2_instance.contain(built.context(), target)
    assert denied(built, "admin") == [userid]
    assert rechecked(built, target) is Status.CONTAINED


def test_one_check_makes_the_second_look(built: Lab, later: Callable[[float], None]) -> None:
    target, _ = responded(built)
    later(30)
    before = built.operations().count("LookupEvents")
    assert all(check.ok for check in monitored(built, target).values())
    looked = built.operations().count("LookupEvents")
    assert looked > before
    seen = iso(datetime.now(UTC) + timedelta(minutes=30))
    built.record.set_target(
        INCIDENT,
        target.kind,
        target.id,
        held_at=seen,
    )
    monitored(built, target)
    assert built.operations().count("LookupEvents") == looked


def test_a_second_look_of_a_check_that_is_throttled_could_not_be_read(
    built: Lab, later: Callable[[float], None]
) -> None:
    target, _ = responded(built)
    later(30)
    built.fail("LookupEvents", "ThrottlingException")
    check = monitored(built, target)[NAME]
    assert (check.ok, check.read) == (False, False)
    built.faults.clear()
    assert NAME not in monitored(built, target)


def test_a_second_look_of_a_check_that_is_refused_is_partial_and_no_loss(
    built: Lab, later: Callable[[float], None]
) -> None:
    target, _ = responded(built)
    later(30)
    built.fail("LookupEvents", "AccessDeniedException")
    assert not monitored(built, target)[NAME].ok
    assert rechecked(built, target) is Status.PARTIAL
    built.faults.clear()
    assert rechecked(built, target) is Status.CONTAINED


@pytest.mark.parametrize(
    ("finish", "gone", "next_step"),
    [
        ("none", False, ""),
        ("stop", False, ""),
        ("terminate", False, "finish"),
        ("none", True, "finish"),
    ],
)
def test_the_phase_finish_makes_it_where_nothing_will_be_monitored(
    built: Lab, monkeypatch: pytest.MonkeyPatch, finish: str, gone: bool, next_step: str
) -> None:
    built.options |= {"repeat_minutes": 20, "finish": finish}
    if gone:
        terminate(built)
    target, _ = responded(built)
    monkeypatch.setattr(
        items.COLLECTION,
        "collect",
        lambda *_: StepResult(),
    )
    assert items.collect(built.context(), target).next_step == next_step

"""What a run that fails leaves of an earlier containment: its status, and its monitoring."""

from __future__ import annotations

import json

import pytest
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.errors import RoleUnavailable
from guardduty_response.functions import reconcile
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Event

from tests.support.repository import load_finding
from tests.unit.checks import counts
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook, configure
from tests.unit.function_calls import call, execution_ended, notified, recurrence
from tests.unit.monitoring.contained_incident import GOOD, OPEN, TAGGED, UNTAGGED, Case

ROLE = RoleUnavailable("the role guardduty-response-responder-fake cannot be assumed")


class Half(Case):
    """An incident of which a part stays open, whatever is done."""

    def see(self, *checks: Check) -> None:
        profile = UNTAGGED if TAGGED in checks else checks[-1]
        super().see(checks[0], profile)

    def comes_again(self) -> None:
        """Lets GuardDuty see later activity of the finding."""
        event = load_finding()
        event["detail"]["service"]["eventLastSeen"] = f"2031-02-03T04:{self.count:02d}:06.000Z"
        self.run(event)


@pytest.fixture
def half(deployment: Deployment, fake: FakePlaybook) -> Half:
    made = Half(deployment, fake)
    made.see(GOOD, TAGGED)
    made.contain()
    assert made.meta["status"] == "PARTIAL"
    return made


def _lost(half: Half) -> None:
    """Leaves a loss to people: the mode asks them."""
    configure(half.deployment, remediations={"CryptoCurrency:EC2/*": "approve"})
    half.see(OPEN, UNTAGGED)
    half.check_all()
    assert half.meta["status"] == "BREACHED"
    notified(half.deployment)


def test_a_triage_that_fails_leaves_what_is_contained_in_part_and_monitored(half: Half) -> None:
    half.fake.error = ROLE
    for _ in range(2):  # as often as GuardDuty sees activity
        half.comes_again()
        assert half.meta["status"] == "PARTIAL"
        assert notified(half.deployment) == (["problem"], ["problem"])
        assert str(ROLE) in half.meta["reasons"]
        half.fake.error = None
        assert half.check_all() == counts(held=1)
        half.fake.error = ROLE
    half.fake.error = None
    half.see(OPEN, UNTAGGED)
    assert half.check_all() == counts(lost=1)
    assert notified(half.deployment)[1] == ["BREACHED", "PARTIAL"]


def test_a_lost_containment_stays_lost_and_monitored(half: Half) -> None:
    _lost(half)
    half.fake.error = ROLE
    half.comes_again()
    assert half.meta["status"] == "BREACHED"
    assert notified(half.deployment) == (["problem"], ["problem"])
    half.fake.error = None
    half.check_all()
    assert half.due is not None
    half.see(GOOD, UNTAGGED)
    half.check()
    assert half.meta["status"] == "PARTIAL", "somebody has closed it"


@pytest.mark.parametrize("lost", [False, True], ids=["partial", "lost"])
def test_a_response_without_a_verdict_leaves_what_was_verified(half: Half, lost: bool) -> None:
    if lost:
        _lost(half)
        configure(half.deployment)
    half.fake.verify = _broken  # type: ignore[method-assign]
    half.comes_again()
    assert half.meta["status"] == ("BREACHED" if lost else "PARTIAL")
    messages, escalated = notified(half.deployment)
    assert "problem" in messages and escalated == ["problem", half.meta["status"]]
    assert half.target["status"] == half.meta["status"]
    del half.fake.verify
    half.see(GOOD, UNTAGGED)
    assert half.check_all() == counts(held=1)


def _broken(context: Context, target: Target) -> tuple[StepResult, list[Check]]:
    raise ValueError("the playbook is broken")


@pytest.mark.parametrize("again", [False, True], ids=["finding", "loss"])
@pytest.mark.parametrize("acts", [False, True], ids=["OPEN", "CONTAINING"])
def test_an_execution_that_dies_leaves_what_was_verified(
    half: Half, record: IncidentRepository, acts: bool, again: bool
) -> None:
    """``again``: the execution is one that contains again after a loss."""
    dead = f"{half.meta['execution']}-dead"
    if again:
        _lost(half)
        record.note(half.incident_id, contained_again=dead, execution=dead)
        if not acts:
            return  # it has the status BREACHED until it acts
        record.transition(half.incident_id, Event.ACT)
    else:
        _reopen(record, half.incident_id, dead)
        if acts:
            record.transition(half.incident_id, Event.ACT)
    notified(half.deployment)
    event = execution_ended(dead, input=_input(half), cause="killed")
    reconcile.handler(event, None)
    assert half.meta["status"] == ("BREACHED" if again else "PARTIAL")
    assert notified(half.deployment) == (["problem"], ["problem"])
    half.check_all()
    assert half.due is not None


def _reopen(record: IncidentRepository, incident_id: str, execution: str) -> None:
    assert recurrence(record, incident_id, execution) == "start"


def _input(half: Half) -> str:
    return json.dumps({"finding_key": half.meta["finding_key"]})


def test_what_was_given_back_in_part_is_not_contained(
    half: Half, record: IncidentRepository
) -> None:
    """A restore has ended that containment: nothing of it is left to be monitored."""
    record.transition(half.incident_id, Event.RESTORE_PARTIAL)
    half.fake.error = ROLE
    half.comes_again()
    assert half.meta["status"] == "FAILED"


def test_a_verdict_that_nobody_was_told_of_is_told_as_it_is(
    half: Half, record: IncidentRepository
) -> None:
    execution = f"{half.meta['execution']}-again"
    _reopen(record, half.incident_id, execution)
    record.transition(half.incident_id, Event.FAILED)
    call(
        "close",
        incident_id=half.incident_id,
        decision="failed",
        error="collect failed",
        execution=execution,
    )
    assert notified(half.deployment) == (["FAILED"], ["FAILED"])

"""What each event of a finding named goes by that event to its end, whatever is named later."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.containment.contract import Context, Planned, StepResult
from guardduty_response.errors import NoTarget, TargetGone
from guardduty_response.functions import collect, standing
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Event, Status
from guardduty_response.incident.table import incident_key

from tests.unit.checks import check_all
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook, configure
from tests.unit.function_calls import EXECUTION, call, notified
from tests.unit.functions.respond_steps import SECOND, lease_owners
from tests.unit.functions.updated_finding import (
    also_contained,
    contained,
    contained_update,
    event_about,
    recheck,
    respond_to,
    statuses,
    update,
)

MALLORY = {"instance": "i-2", "principal": "AROAEXAMPLE:mallory", "key": "ASIATWO"}


@pytest.fixture(autouse=True)
def _by_instance(fake: FakePlaybook) -> None:
    fake.by_instance = True


def _collect(incident_id: str, execution: str = EXECUTION) -> dict[str, Any]:
    event = {"verb": "collect", "incident_id": incident_id, "execution": execution, "attempt": 2}
    return dict(collect.handler({**event, "verify_only": False}, None))


def _read_by(fake: FakePlaybook) -> dict[str, list[str]]:
    """Returns what the finding named by which each target was worked on, by the target's ID."""
    seen = zip(fake.calls, fake.seen, strict=True)
    return {target.id: context.finding.named for (_, target), context in seen}


def _missing(monkeypatch: pytest.MonkeyPatch, instance: str, error: Exception) -> None:
    """The plan of the event that names ``instance`` ends in ``error``."""
    plan = FakePlaybook.plan

    def failing(playbook: FakePlaybook, context: Context) -> list[Planned]:
        if context.finding.named[1] == instance:
            raise error
        return plan(playbook, context)

    monkeypatch.setattr(FakePlaybook, "plan", failing)


# -- the phases of a run ---------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("older", [False, True])
def test_a_run_goes_on_with_what_it_contained(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository, asked: bool, older: bool
) -> None:
    """Also while people are asked about the next one, and with records that name no execution."""
    configure(deployment, **{"playbooks.fake": {"finish": "stop"}})
    incident_id = contained(fake, deployment)
    opened = update(event_about(**MALLORY))
    respond_to(incident_id, SECOND, close=False, finding_key=opened["finding_key"])
    if asked:
        key = (incident_key(incident_id), "META")
        record.table.update(*key, {"status": Status.AWAITING_APPROVAL})
    if older:
        key = (incident_key(incident_id), "TARGET#ec2_instance#i-1")
        record.table.update(*key, {}, remove=["execution", "finding_key"])
        record.note(incident_id, finding_key=record.link(*_i_2(incident_id))["finding_key"])
    fake.calls.clear()
    fake.seen.clear()
    assert _collect(incident_id) == {"done": True, "wait_seconds": 0, "next": "finish"}
    assert [(step, target.id) for step, target in fake.calls] == [("collect", "i-1")]
    if not older:
        assert _read_by(fake)["i-1"] == ["AROAEXAMPLE:alice", "i-1", "ASIAFIRST"]
    _collect(incident_id, SECOND)
    assert fake.calls[-1][1].id == "i-2"
    assert _read_by(fake)["i-2"] == ["AROAEXAMPLE:mallory", "i-2", "ASIATWO"]


def _i_2(incident_id: str) -> tuple[str, str, str]:
    return incident_id, "ec2_instance", "i-2"


def test_what_is_contained_again_is_of_the_run_that_does_it(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    """The first run leaves its evidence to it: nothing is collected twice."""
    incident_id = contained(fake, deployment)
    contained_update(incident_id, SECOND, key="ASIATWO")
    fake.calls.clear()
    assert _collect(incident_id)["next"] == "close"
    assert fake.calls == []


def test_a_run_that_ends_frees_what_it_worked_on(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    incident_id = contained(fake, deployment)
    fake.steps["collect"] = StepResult(done=False, wait_seconds=5)
    _collect(incident_id)
    assert lease_owners(deployment) == [EXECUTION]
    opened = update(event_about(**MALLORY))
    respond_to(incident_id, SECOND, close=False, finding_key=opened["finding_key"])
    call("close", incident_id=incident_id, decision="act")
    assert lease_owners(deployment) == []


# -- rechecks and monitoring -----------------------------------------------------------------------


def test_a_recheck_reads_each_by_its_own_event(deployment: Deployment, fake: FakePlaybook) -> None:
    incident_id = contained(fake, deployment)
    contained_update(incident_id, **MALLORY)
    fake.calls.clear()
    fake.seen.clear()
    recheck(incident_id, "third")
    assert _read_by(fake) == {
        "i-1": ["AROAEXAMPLE:alice", "i-1", "ASIAFIRST"],
        "i-2": ["AROAEXAMPLE:mallory", "i-2", "ASIATWO"],
    }
    assert lease_owners(deployment) == [], "nor is the earlier one kept from others"


def test_monitoring_reads_each_by_its_own_event(deployment: Deployment, fake: FakePlaybook) -> None:
    incident_id = contained(fake, deployment)
    contained_update(incident_id, **MALLORY)
    fake.calls.clear()
    fake.seen.clear()
    assert check_all(deployment) == {"checked": 2, "held": 2, "lost": 0, "unread": 0}
    assert _read_by(fake)["i-1"] == ["AROAEXAMPLE:alice", "i-1", "ASIAFIRST"]


def test_a_recheck_covers_whatever_was_named(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository
) -> None:
    incident_id = contained(fake, deployment)
    for number in range(2, 24):
        also_contained(record, incident_id, f"i-{number}")
    assert {found["id"] for found in recheck(incident_id, "third")} == {
        f"i-{number}" for number in range(1, 24)
    }


def test_what_one_recheck_has_no_room_for_is_first_in_the_next(
    deployment: Deployment,
    fake: FakePlaybook,
    record: IncidentRepository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(standing, "AT_ONCE", 2)
    incident_id = contained(fake, deployment)
    for number in (2, 3, 4):
        also_contained(record, incident_id, f"i-{number}")
    assert [found["id"] for found in recheck(incident_id, "third")] == ["i-1", "i-2"]
    assert [found["id"] for found in recheck(incident_id, "fourth")] == ["i-3", "i-4"]
    place = record.link(*_i_2(incident_id))
    record.containments.set(place["arn"], 1, status=Status.CONTAINMENT_LOST)
    assert recheck(incident_id, "fifth")[0]["id"] == "i-2", "what is lost comes before all others"


def test_who_is_gone_is_gone_alone(
    deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_id = contained(fake, deployment)
    contained_update(incident_id, **MALLORY)
    _missing(monkeypatch, "i-1", TargetGone("i-1 is terminated"))
    recheck(incident_id, "third")
    assert statuses(deployment, incident_id) == {"i-1": "GONE", "i-2": "CONTAINED"}
    assert deployment.meta(incident_id)["status"] == "CONTAINED"
    assert [found["id"] for found in recheck(incident_id, "fourth")] == ["i-2"]
    assert check_all(deployment)["checked"] == 1, "its monitoring has ended"


def test_the_last_one_that_is_gone_ends_the_incident(
    deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_id = contained(fake, deployment)
    contained_update(incident_id, **MALLORY)
    _missing(monkeypatch, "i-1", TargetGone("i-1 is terminated"))
    recheck(incident_id, "third")
    _missing(monkeypatch, "i-2", TargetGone("i-2 is terminated"))
    recheck(incident_id, "fourth")
    assert statuses(deployment, incident_id) == {"i-1": "GONE", "i-2": "GONE"}
    assert deployment.meta(incident_id)["status"] == "GONE"


def test_who_cannot_be_planned_is_told_and_the_others_are_verified(
    deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_id = contained(fake, deployment)
    contained_update(incident_id, **MALLORY)
    notified(deployment)
    _missing(monkeypatch, "i-1", NoTarget("the event names no instance"))
    recheck(incident_id, "third")
    assert statuses(deployment, incident_id) == {"i-1": "CONTAINED", "i-2": "CONTAINED"}
    assert "the event names no instance" in str(deployment.messages("escalations"))


def test_targets_of_older_records_are_planned_by_the_events_that_meta_kept(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository
) -> None:
    incident_id = contained(fake, deployment)
    first_key = deployment.meta(incident_id)["finding_key"]
    contained_update(incident_id, **MALLORY)
    for name in ("i-1", "i-2"):
        key = (incident_key(incident_id), f"TARGET#ec2_instance#{name}")
        record.table.update(*key, {}, remove=["finding_key", "execution"])
    record.note(incident_id, earlier_findings=[first_key])
    assert {found["id"] for found in recheck(incident_id, "third")} == {"i-1", "i-2"}


def test_what_is_lost_of_an_earlier_one_is_contained_again(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository
) -> None:
    """Although the one that is named now is gone."""
    incident_id = contained(fake, deployment)
    contained_update(incident_id, **MALLORY)
    link = record.link(*_i_2(incident_id))
    record.containments.set(link["arn"], 1, status=Status.GONE)
    record.transition(incident_id, Event.CONTAINMENT_LOST)
    record.note(incident_id, contained_again="third")
    fake.calls.clear()
    fake.seen.clear()
    targets = respond_to(incident_id, "third")
    assert [found["id"] for found in targets] == ["i-1"]
    assert _read_by(fake)["i-1"] == ["AROAEXAMPLE:alice", "i-1", "ASIAFIRST"]

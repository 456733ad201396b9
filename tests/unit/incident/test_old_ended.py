"""Incidents of release 0.1.0 that ended FAILED or RESTORE_PARTIAL: no index holds them, and a
finding about their resource must find the state before all the same.
"""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.incident import repository
from guardduty_response.incident.repository import SEARCHED_KEY, TAKEN_OVER_KEY, IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.support.repository import load_finding
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import ARN, FakePlaybook
from tests.unit.function_calls import watch
from tests.unit.functions.respond_steps import SECOND, open_incident, run_step
from tests.unit.incident.containment_lab import join
from tests.unit.incident.old_incident_lab import BEFORE, REFERENCE, old_incident, shown

ENDED = ("FAILED", "RESTORE_PARTIAL")
SWEEP = {"source": "guardduty-response.sweeper"}


@pytest.mark.parametrize("status", ENDED)
def test_the_sweep_takes_them_over(
    deployment: Deployment, record: IncidentRepository, status: str
) -> None:
    incident_id = old_incident(
        record,
        status=status,
        still_contained=["profile"],
    )
    watch(SWEEP)
    assert record.containments.generation(ARN) == 1
    target = shown(record, incident_id)
    assert (target["status"], target["before"]) == (status, BEFORE)
    assert record.meta(incident_id)["status"] == status
    assert "taken over" in deployment.timeline(incident_id)
    assert record.table.get(*TAKEN_OVER_KEY)


@pytest.mark.parametrize(
    ("status", "generation", "before"), [("FAILED", 1, BEFORE), ("RESTORE_PARTIAL", 2, {})]
)
def test_a_new_finding_finds_the_state_before(
    record: IncidentRepository, fake: FakePlaybook, status: str, generation: int, before: Any
) -> None:
    """After a restore in part, of what that left contained."""
    kept = {"profile": BEFORE["profile"]}
    incident_id = old_incident(
        record,
        status=status,
        still_contained=["profile"],
    )
    watch(SWEEP)
    second = open_incident(SECOND, detail={**load_finding()["detail"], "id": "new"})
    assert (
        run_step(
            "plan",
            second,
            execution=SECOND,
        )["decision"]
        == "act"
    )
    record.before(
        second,
        "ec2_instance",
        "i-1",
        "profile",
        {"name": "quarantine"},
    )
    [target] = record.read(second)[1]
    assert (target["generation"], target["before"]) == (generation, before or kept)
    assert (incident_id in target["incidents"]) == (status == "FAILED")


def test_the_oldest_of_a_resource_has_the_state_before(record: IncidentRepository) -> None:
    later = old_incident(
        record,
        "later",
        "FAILED",
        before={"profile": {"name": "quarantine"}},
    )
    first = old_incident(record, "first", "FAILED")
    record.note(later, opened_at="2026-01-02T00:00:00.000000Z")
    record.note(first, opened_at="2026-01-01T00:00:00.000000Z")
    assert record.take_over_ended() == [first]
    assert record.containments.read(ARN, 1).before == BEFORE
    assert "generation" not in record.meta(later)["targets"][0]


def failed_beside_a_containment(record: IncidentRepository) -> str:
    """An old incident that failed; another one has contained its resource since."""
    incident_id = old_incident(record, status="FAILED")
    join(record.containments, "inc-new", "i-1")
    record.containments.set(
        ARN,
        1,
        status=Status.CONTAINED,
        verdict="all closed",
    )
    return incident_id


def test_a_containment_that_is_there_already_is_left_alone(record: IncidentRepository) -> None:
    incident_id = failed_beside_a_containment(record)
    assert record.take_over_ended() == []
    assert "generation" not in record.meta(incident_id)["targets"][0]
    assert [link["incident_id"] for link in record.containments.read(ARN, 1).links] == ["inc-new"]


def test_restoring_one_beside_a_containment_keeps_its_state(record: IncidentRepository) -> None:
    incident_id = failed_beside_a_containment(record)
    assert record.take_over_old(incident_id)
    state = record.containments.state(ARN, 1)
    assert state and (state["status"], state["verdict"]) == ("CONTAINED", "all closed")


def test_one_that_changed_nothing_needs_no_containment(record: IncidentRepository) -> None:
    old_incident(record, status="FAILED", before={})
    assert record.take_over_ended() == []
    assert record.containments.generation(ARN) == 0


def test_the_table_is_searched_once_and_again_when_nothing_is_in_progress(
    record: IncidentRepository,
) -> None:
    """An execution that release 0.1.0 began may fail after the first search."""
    reference = {
        **REFERENCE,
        "id": "i-2",
        "arn": ARN.replace("i-1", "i-2"),
    }
    under_way = old_incident(record, "under way", "CONTAINING")
    record.note(under_way, targets=[reference])
    assert record.take_over_ended() == []
    assert record.table.get(*SEARCHED_KEY) and not record.table.get(*TAKEN_OVER_KEY)
    failed = old_incident(record, "failed", "FAILED")
    assert record.take_over_ended() == [], "not every five minutes"
    record.move(under_way, Status.CONTAINING, Status.GONE)
    assert record.take_over_ended() == [failed]
    assert record.table.get(*TAKEN_OVER_KEY)
    assert record.take_over_ended() == []


def test_a_search_that_did_not_come_to_the_end_says_so(
    record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "_PAGES", 0)
    old_incident(record, status="FAILED")
    assert record.take_over_ended() == []
    marker = record.table.get(*TAKEN_OVER_KEY)
    assert marker and marker["complete"] is False

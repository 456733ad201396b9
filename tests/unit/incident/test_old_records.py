"""Records that a release before 0.2 wrote: read as they are, taken over, restored."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from guardduty_response.containment.contract import Context, RestoreResult, Target
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.functions import restore
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import IN_PROGRESS, Status

from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import ARN, FakePlaybook
from tests.unit.function_calls import notified
from tests.unit.incident.containment_lab import join, stored
from tests.unit.incident.old_incident_lab import (
    BEFORE,
    HELD,
    WRITTEN,
    Json,
    attached,
    old_incident,
    shown,
)

# -- as they are -----------------------------------------------------------------------------------


def test_an_old_record_is_read_as_it_is(record: IncidentRepository) -> None:
    incident_id = old_incident(record)
    assert shown(record, incident_id) == {"status": "CONTAINED", **WRITTEN}
    [target] = record.read(incident_id)[1]
    assert (target["before"], target["actions"]) == (BEFORE, WRITTEN["actions"])


def test_an_execution_that_was_under_way_goes_on_in_its_own_record(
    deployment: Deployment, record: IncidentRepository
) -> None:
    """Its state machine hands on targets without a generation."""
    incident_id = old_incident(record, status="CONTAINING")
    record.before(
        incident_id,
        "ec2_instance",
        "i-1",
        "profile",
        {"name": "quarantine"},
    )
    record.before(
        incident_id,
        "ec2_instance",
        "i-1",
        "tags",
        {"a": None},
    )
    record.action(
        incident_id,
        "ec2_instance",
        "i-1",
        "tags",
        "DONE",
        "tagged",
    )
    record.evidence(
        incident_id,
        "ec2_instance",
        "i-1",
        "console",
        {"outcome": "COMPLETE"},
    )
    record.set_target(
        incident_id,
        "ec2_instance",
        "i-1",
        status=Status.PARTIAL,
        verdict="half",
    )
    target = record.target(incident_id, "ec2_instance", "i-1")
    assert target["before"] == {**BEFORE, "tags": {"a": None}}, "the first state stands"
    assert set(target["actions"]) == {"network", "profile", "tags"}
    assert set(target["evidence"]) == {"snapshots", "console"}
    assert (target["status"], target["verdict"]) == ("PARTIAL", "half")
    assert stored(deployment) == {}


# -- taken over ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", sorted(HELD))
def test_an_old_record_is_taken_over(
    deployment: Deployment, record: IncidentRepository, status: Status
) -> None:
    incident_id = old_incident(record, status=status)
    before = shown(record, incident_id)
    assert record.take_over_old(incident_id)
    assert shown(record, incident_id) == before
    assert deployment.meta(incident_id)["targets"][0]["generation"] == 1
    [item] = [
        found
        for found in deployment.items(f"INCIDENT#{incident_id}")
        if found["sk"].startswith("TARGET#")
    ]
    assert item["generation"] == 1
    assert not {"before", "evidence", "checks", "watched"} & set(item)
    read = record.containments.read(ARN, 1)
    assert (read.before, read.state["status"], read.state["opened_by"]) == (
        BEFORE,
        status,
        incident_id,
    )
    assert [link["incident_id"] for link in read.open_links] == [incident_id]
    items = stored(deployment)
    assert not record.take_over_old(incident_id), "once"
    assert stored(deployment) == items


@pytest.mark.parametrize("status", sorted(set(Status) - HELD))
def test_what_contains_nothing_stays_as_it_is(
    deployment: Deployment, record: IncidentRepository, status: Status
) -> None:
    incident_id = old_incident(record, status=status)
    assert not record.take_over_old(incident_id)
    assert stored(deployment) == {}
    assert shown(record, incident_id) == {"status": status, **WRITTEN}
    assert status in IN_PROGRESS or "generation" not in deployment.meta(incident_id)["targets"][0]


@pytest.mark.parametrize("failing", range(1, 9))
def test_taking_over_is_taken_up_where_it_broke_off(
    record: IncidentRepository, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    incident_id = old_incident(record)
    write, writes = record.table.write, [0]

    def sometimes(request: Any, **arguments: Any) -> None:
        writes[0] += 1
        if writes[0] == failing:
            raise OSError("no answer")
        write(request, **arguments)

    with monkeypatch.context() as broken:
        broken.setattr(record.table, "write", sometimes)
        with pytest.raises(OSError, match="no answer"):
            record.take_over_old(incident_id)
    record.take_over_old(incident_id)
    assert shown(record, incident_id) == {"status": "CONTAINED", **WRITTEN}
    assert record.containments.generation(ARN) == 1


def test_a_newer_incident_joins_what_was_taken_over(record: IncidentRepository) -> None:
    incident_id = old_incident(record)
    record.take_over_old(incident_id)
    joined = join(record.containments, "inc-new", "i-1")
    assert (joined.generation, joined.opened_by) == (1, incident_id)


@pytest.mark.parametrize("owner_first", [True, False])
def test_incidents_that_shared_a_containment_share_it_again(
    record: IncidentRepository, owner_first: bool
) -> None:
    owner = old_incident(record)
    second = attached(record, owner)
    for incident_id in (owner, second) if owner_first else (second, owner):
        record.take_over_old(incident_id)
    for incident_id in (owner, second):
        assert shown(record, incident_id) == {"status": "CONTAINED", **WRITTEN}
    read = record.containments.read(ARN, 1)
    assert record.containments.generation(ARN) == 1
    assert read.state["opened_by"] == owner, "under whose name evidence is stored"
    assert {link["incident_id"] for link in read.open_links} == {owner, second}


@pytest.mark.parametrize(
    ("status", "of_target", "before"),
    [
        ("CLOSED", "CONTAINED", BEFORE),  # what it changed still stands
        ("GONE", "GONE", BEFORE),
        ("RESTORED", "RESTORED", {}),
    ],
)
def test_an_owner_that_has_ended_is_left_alone(
    record: IncidentRepository, status: str, of_target: str, before: Json
) -> None:
    owner = old_incident(record, status=status)
    record.set_target(owner, "ec2_instance", "i-1", status=of_target)
    second = attached(record, owner)
    assert record.take_over_old(second)
    target = shown(record, second)
    assert (target["status"], target["before"]) == ("CONTAINED", before)
    assert record.meta(owner)["status"] == status
    assert [link["incident_id"] for link in record.containments.read(ARN, 1).links] == [second]


def test_incidents_that_name_each_other_are_taken_over(record: IncidentRepository) -> None:
    """Each was opened again while the other was at work."""
    first = old_incident(record)
    second = attached(record, first)
    record.set_target(first, "ec2_instance", "i-1", attach=second)
    record.action(
        second,
        "ec2_instance",
        "i-1",
        "network",
        "ALREADY",
        "is closed",
    )
    assert record.take_over_old(first)
    for incident_id in (first, second):
        assert shown(record, incident_id)["before"] == BEFORE
        assert shown(record, incident_id)["status"] == "CONTAINED"
    assert record.containments.generation(ARN) == 1


def test_an_owner_that_no_longer_exists_keeps_nobody(record: IncidentRepository) -> None:
    second = attached(record, "inc-0000000000000000")
    assert record.take_over_old(second)
    assert shown(record, second)["status"] == "CONTAINED"


# -- restored --------------------------------------------------------------------------------------


class Restorer(ModuleType):
    """Gives back what the record says of the state before."""

    def __init__(self) -> None:
        super().__init__("guardduty_response.playbooks.fake.restore")
        self.given_back: list[Json] = []

    def restore(self, context: Context, target: Target) -> RestoreResult:
        assert context.gate
        context.gate.permit()
        self.given_back.append(TargetContext(context, target).read_stored()["before"])
        return RestoreResult(
            Status.RESTORED,
            ["network"],
            [],
            ["eni-1 is back"],
            [],
            [],
        )


@pytest.fixture
def restorer(fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch) -> Restorer:
    module = Restorer()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.mark.parametrize("second_too", [False, True])
def test_an_old_containment_is_restored(
    deployment: Deployment, record: IncidentRepository, restorer: Restorer, second_too: bool
) -> None:
    incident_id = old_incident(record)
    if second_too:
        attached(record, incident_id)
    answer = restore.handler({"incident_id": incident_id, "requested_by": "ada"})
    assert (answer["status"], answer["refused"]) == ("RESTORED", "")
    assert restorer.given_back == [BEFORE]
    assert stored(deployment)["0001#STATE"]["status"] == "RESTORED"


def test_restoring_the_second_incident_gives_back_what_the_first_one_recorded(
    deployment: Deployment, record: IncidentRepository, restorer: Restorer
) -> None:
    owner = old_incident(record)
    second = attached(record, owner)
    notified(deployment)
    answer = restore.handler({"incident_id": second, "requested_by": "ada"})
    assert (answer["status"], restorer.given_back) == ("RESTORED", [BEFORE])
    assert deployment.meta(owner)["status"] == "RESTORED", "it was told"
    assert notified(deployment)[0] == ["RESTORED", "RESTORED"]

"""The sparse index of incidents in progress and of those that are monitored."""

from __future__ import annotations

import pytest
from guardduty_response.incident import open_index
from guardduty_response.incident.model import IncidentRecord, IndexedIncident
from guardduty_response.incident.moments import now
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.incident.table import SHARDS

from tests.unit.deployment import Deployment
from tests.unit.incident_table import INDEXED

ID = "inc-0123456789abcdef"


def _meta(incident_id: str = ID) -> IncidentRecord:
    return {
        "incident_id": incident_id,
        "execution": "one",
        "mode": "auto",
        "severity": 8.0,
        "config_sha256": "c0",
    }


def test_a_burst_is_spread_over_the_index_and_found_in_the_order_of_change(
    deployment: Deployment, record: IncidentRepository
) -> None:
    names = [f"inc-{number}" for number in range(40)]
    for name in names:
        record.open(_meta(incident_id=name))
    assert len({deployment.meta(name)["open"] for name in names}) == SHARDS
    assert [entry["incident_id"] for entry in record.stale(now())] == names
    for name in reversed(names):
        record.move(name, Status.OPEN, Status.CONTAINED)
    assert [entry["incident_id"] for entry in record.watched()] == names[::-1]
    assert record.stale(now()) == []


@pytest.mark.parametrize(("status", "value"), [(Status.OPEN, "1"), (Status.CONTAINED, "held")])
def test_what_an_earlier_release_indexed_is_found_until_its_status_changes(
    deployment: Deployment, record: IncidentRepository, status: Status, value: str
) -> None:
    record.open(_meta())
    if status is not Status.OPEN:
        assert record.move(ID, Status.OPEN, status)
    record.table.update(f"INCIDENT#{ID}", "META", {"open": value})
    found = record.stale(now()) if status is Status.OPEN else record.watched()
    assert [entry["incident_id"] for entry in found] == [ID]
    record.move(ID, status, Status.PARTIAL)
    assert deployment.meta(ID)["open"] == open_index.value_of(ID, Status.PARTIAL)
    assert [entry["incident_id"] for entry in record.watched()] == [ID]


def test_the_index_has_what_its_readers_may_ask_of_an_incident(
    deployment: Deployment, record: IncidentRepository
) -> None:
    record.open({**_meta(), "playbook": "ec2_instance", "account_id": "111111111111"})
    record.note(ID, targets=[{"kind": "instance", "id": "i-1"}], unwatched="", options={"a": 1})
    [entry] = record.stale("9")
    keys = {"pk", "sk", "open", "updated_at"}
    assert set(IndexedIncident.__annotations__) == {*INDEXED, *keys}
    assert set(entry) == {*INDEXED, *keys}
    assert set(entry) < set(deployment.meta(ID))

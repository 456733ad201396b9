"""The incident record: what each write decides, seen by another client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from guardduty_response.errors import IllegalTransition, ResponseError
from guardduty_response.incident import open_index
from guardduty_response.incident.model import IncidentRecord, TargetReference
from guardduty_response.incident.moments import iso, now
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import (
    EARLIER_CONTAINMENT,
    IN_PROGRESS,
    ON_FINDING,
    WATCHED,
    Event,
    OnFinding,
    Status,
)

from tests.unit.deployment import TABLE, Deployment

ID, ARN = "inc-0123456789abcdef", "arn:aws:ec2:eu-central-1:222222222222:instance/i-1"
TARGET: TargetReference = {
    "kind": "ec2_instance",
    "id": "i-1",
    "arn": ARN,
    "account_id": "222222222222",
    "region": "eu-central-1",
    "attach": "",
}


def _meta(**changes: Any) -> IncidentRecord:
    fields = {
        "incident_id": ID,
        "execution": "one",
        "mode": "auto",
        "severity": 8.0,
        "config_sha256": "c0",
        "last_seen": iso(datetime.now(UTC) + timedelta(hours=1)),
        **changes,
    }
    return cast(IncidentRecord, fields)


def _at(record: IncidentRepository, status: Status, **fields: Any) -> None:
    """An incident that has come to ``status``, executed by 'one'."""
    record.open(_meta())
    assert record.move(ID, Status.OPEN, status, **fields)


# -- opening ---------------------------------------------------------------------------------------


def test_a_new_incident(deployment: Deployment, record: IncidentRepository) -> None:
    opened = record.open(_meta(title="Köln"))
    assert (opened.outcome, opened.previous) == (OnFinding.START, None)
    stored = deployment.meta(ID)
    shown = {"status": "OPEN", "emissions": 1, "targets": [], "title": "Köln"}
    assert stored | shown | {"open": open_index.value_of(ID, Status.OPEN)} == stored
    assert stored["opened_at"] == stored["updated_at"]
    assert datetime.fromisoformat(stored["opened_at"]).tzinfo is not None


@pytest.mark.parametrize("status", list(Status), ids=str)
def test_a_further_emission_does_what_the_table_says(
    deployment: Deployment, record: IncidentRepository, status: Status
) -> None:
    _at(record, status, targets=[TARGET])
    opened = record.open(_meta(execution="two", config_sha256="c1", reasons=["another key"]))
    assert opened.outcome is ON_FINDING[status]
    assert opened.previous is status
    stored = deployment.meta(ID)
    assert stored["emissions"] == 2
    assert stored["status"] == ("OPEN" if opened.outcome is OnFinding.START else status)
    assert stored["execution"] == ("two" if opened.outcome is OnFinding.START else "one")
    now = Status(stored["status"])
    kind = stored.get("open", "").partition("#")[0]
    assert kind == ("1" if now in IN_PROGRESS else "held" if now in WATCHED else "")
    if opened.outcome is OnFinding.START:
        assert (stored["config_sha256"], stored["previous"]) == ("c1", status)
        # What an earlier run changed is known, whatever becomes of this one.
        kept = status in EARLIER_CONTAINMENT
        assert stored["held"] == (status if kept else "")
        assert stored["targets"] == ([TARGET] if kept or status is Status.GONE else [])
        assert stored["run"] > stored["opened_at"], "a new run: what was told before is no news"


def test_an_emission_does_not_refresh_work_that_may_be_dead(
    deployment: Deployment, record: IncidentRepository
) -> None:
    record.open(_meta())
    before = deployment.meta(ID)["updated_at"]
    record.open(_meta(execution="two"))
    assert deployment.meta(ID)["updated_at"] == before


@pytest.mark.parametrize("status", [Status.NOTIFIED, Status.DRY_RUN, Status.SKIPPED], ids=str)
@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, OnFinding.COUNT),
        ({"mode": "dry_run"}, OnFinding.START),
        ({"severity": 9.0}, OnFinding.START),
        ({"severity": 8}, OnFinding.COUNT),
    ],
)
def test_the_same_quiet_answer_is_not_given_twice(
    record: IncidentRepository, status: Status, changes: dict[str, Any], outcome: OnFinding
) -> None:
    _at(record, status)
    assert record.open(_meta(execution="two", **changes)).outcome is outcome


def test_a_failed_answer_is_repeated_though_nothing_changed(record: IncidentRepository) -> None:
    _at(record, Status.FAILED)
    assert record.open(_meta(execution="two")).outcome is OnFinding.START


def test_the_same_execution_resumes_after_a_lost_answer(
    deployment: Deployment, record: IncidentRepository
) -> None:
    record.open(_meta())
    assert record.open(_meta()).outcome is OnFinding.START
    assert deployment.meta(ID)["emissions"] == 1
    assert record.open(_meta(execution="two")).outcome is OnFinding.COUNT


def test_the_same_execution_resumes_a_reopening(record: IncidentRepository) -> None:
    _at(record, Status.RESTORED)
    assert record.open(_meta(execution="two")).outcome is OnFinding.START
    again = record.open(_meta(execution="two"))
    assert (again.outcome, again.previous) == (OnFinding.START, "RESTORED")


@pytest.mark.parametrize(
    "status", [Status.CONTAINED, Status.PARTIAL, Status.FAILED, Status.CONTAINMENT_LOST], ids=str
)
def test_a_notice_leaves_alone_what_was_done_to_a_resource(
    deployment: Deployment, record: IncidentRepository, status: Status
) -> None:
    _at(record, status, targets=[TARGET])
    assert (
        record.open(_meta(execution="notice", mode="notify", config_sha256="c1")).outcome
        is OnFinding.COUNT
    )
    stored = deployment.meta(ID)
    assert (stored["status"], stored["execution"], stored["emissions"]) == (status, "one", 2)


def test_a_notice_takes_up_a_failure_that_touched_nothing(record: IncidentRepository) -> None:
    _at(record, Status.FAILED)
    assert record.open(_meta(execution="notice", mode="notify")).outcome is OnFinding.START


def test_only_new_leaves_an_existing_incident_as_it_is(
    deployment: Deployment, record: IncidentRepository
) -> None:
    _at(record, Status.FAILED)
    before = deployment.meta(ID)
    assert record.open(_meta(execution="two"), only_new=True).outcome is OnFinding.COUNT
    assert deployment.meta(ID) == before


# -- statuses --------------------------------------------------------------------------------------


def test_transitions_keep_the_open_index_in_step(
    deployment: Deployment, record: IncidentRepository
) -> None:
    record.open(_meta())
    assert record.transition(ID, Event.ACT, decision="act") is Status.CONTAINING
    shard = deployment.meta(ID)["open"].removeprefix("1#")
    assert shard in "01234567"
    assert record.transition(ID, Event.CONTAINED) is Status.CONTAINED
    stored = deployment.meta(ID)
    assert (stored["open"], stored["decision"]) == (f"held#{shard}", "act")
    assert record.transition(ID, Event.RESTORED) is Status.RESTORED
    assert "open" not in deployment.meta(ID)


@pytest.mark.parametrize("status", list(Status), ids=str)
def test_what_stands_is_held_and_nothing_else(
    deployment: Deployment, record: IncidentRepository, status: Status
) -> None:
    _at(record, status)
    assert [entry["incident_id"] for entry in record.watched()] == (
        [ID] if status in WATCHED else []
    )


def test_a_step_the_table_lacks_changes_nothing(
    deployment: Deployment, record: IncidentRepository
) -> None:
    _at(record, Status.CLOSED)
    before = deployment.meta(ID)
    with pytest.raises(IllegalTransition, match="CLOSED"):
        record.transition(ID, Event.ACT)
    assert deployment.meta(ID) == before


def test_a_status_moves_only_from_what_was_read(
    deployment: Deployment, record: IncidentRepository
) -> None:
    record.open(_meta())
    assert not record.move(ID, Status.CONTAINING, Status.CONTAINED)
    assert deployment.meta(ID)["status"] == "OPEN"


def test_a_transition_is_decided_again_when_somebody_else_moved_first(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.open(_meta())
    read, calls = record.meta, []

    def meta(incident_id: str) -> IncidentRecord:
        found = read(incident_id)
        calls.append(found["status"])
        if len(calls) == 1:
            record.move(incident_id, Status.OPEN, Status.CONTAINING)
        return found

    monkeypatch.setattr(record, "meta", meta)
    assert record.transition(ID, Event.CONTAINED) is Status.CONTAINED
    assert calls == ["OPEN", "CONTAINING"]


def test_what_does_not_exist_is_said_and_never_created(
    deployment: Deployment, record: IncidentRepository
) -> None:
    with pytest.raises(ResponseError, match=f"no incident {ID} in table {TABLE}"):
        record.read(ID)
    with pytest.raises(ResponseError, match=f"no incident {ID}"):
        record.meta(ID)
    with pytest.raises(ClientError):
        record.note(ID, title="x")
    with pytest.raises(ResponseError, match="no target"):
        record.target(ID, "ec2_instance", "i-1")
    assert deployment.items(f"INCIDENT#{ID}") == []


def test_reading_an_incident_whole(record: IncidentRepository) -> None:
    record.open(_meta())
    record.put_target(ID, TARGET)
    for name in ("first", "second"):
        record.event(ID, name, "x" * 5000, target="i-1")
    for number in range(10):  # more than a page of a query (1 MB)
        record.put_target(ID, TARGET | {"id": f"i-{number}", "principals": ["z" * 300_000]})
    meta, targets, timeline = record.read(ID)
    assert (meta["incident_id"], [target["id"] for target in targets]) == (
        ID,
        [f"i-{number}" for number in range(10)],
    )
    assert [event["event"] for event in timeline[:2]] == ["first", "second"]
    assert len(timeline[0]["detail"]) == 2000
    assert len(timeline) == 2


def test_stale_work(deployment: Deployment, record: IncidentRepository) -> None:
    for name, status in (("a", Status.CONTAINING), ("b", Status.CONTAINED), ("c", Status.OPEN)):
        record.open(_meta(incident_id=name))
        record.move(name, Status.OPEN, status)
    assert [entry["incident_id"] for entry in record.stale(now())] == ["a", "c"]
    past = datetime.now(UTC) - timedelta(minutes=1)
    assert record.stale(past.isoformat(timespec="microseconds").replace("+00:00", "Z")) == []


# -- the ledger ------------------------------------------------------------------------------------


def test_before_is_written_once(deployment: Deployment, record: IncidentRepository) -> None:
    record.put_target(ID, TARGET)
    record.before(
        ID,
        "ec2_instance",
        "i-1",
        "interfaces",
        {"eni-1": ["sg-web"]},
    )
    record.before(
        ID,
        "ec2_instance",
        "i-1",
        "interfaces",
        {"eni-1": ["sg-quarantine"]},
    )
    record.before(ID, "ec2_instance", "i-1", "tags.of it", {"a": "b"})
    [stored] = deployment.targets(ID)
    assert stored["before"] == {"interfaces": {"eni-1": ["sg-web"]}, "tags.of it": {"a": "b"}}


def test_actions_and_evidence_take_the_latest_word(
    deployment: Deployment, record: IncidentRepository
) -> None:
    record.put_target(ID, TARGET)
    record.action(
        ID,
        "ec2_instance",
        "i-1",
        "detach",
        "FAILED",
        "z" * 2000,
    )
    record.action(
        ID,
        "ec2_instance",
        "i-1",
        "detach",
        "DONE",
        "detached",
        "req-1",
    )
    record.evidence(
        ID,
        "ec2_instance",
        "i-1",
        "snapshots",
        {"ids": ["snap-1"]},
    )
    [stored] = deployment.targets(ID)
    action = stored["actions"]["detach"]
    assert (action["status"], action["detail"], action["request_id"]) == (
        "DONE",
        "detached",
        "req-1",
    )
    assert stored["evidence"] == {"snapshots": {"ids": ["snap-1"]}}


def test_a_target_keeps_its_record_when_planned_again(
    deployment: Deployment, record: IncidentRepository
) -> None:
    record.put_target(ID, TARGET)
    record.before(
        ID,
        "ec2_instance",
        "i-1",
        "interfaces",
        {"eni-1": ["sg-web"]},
    )
    record.set_target(ID, "ec2_instance", "i-1", status=Status.FAILED)
    record.put_target(ID, TARGET | {"attach": "inc-other"})
    [stored] = deployment.targets(ID)
    assert (stored["status"], stored["attach"], stored["before"]) == (
        "OPEN",
        "inc-other",
        {"interfaces": {"eni-1": ["sg-web"]}},
    )


# -- leases ----------------------------------------------------------------------------------------


def _holder(deployment: Deployment) -> dict[str, Any]:
    [found] = deployment.items(f"RESOURCE#{ARN}")
    return found


def test_a_lease_is_taken_renewed_refused_and_given_back(
    deployment: Deployment, record: IncidentRepository
) -> None:
    assert record.leases.acquire(ARN, "one", ID, 60) is None
    first = int(_holder(deployment)["expires"])
    assert record.leases.acquire(ARN, "one", ID, 600) is None
    assert int(_holder(deployment)["expires"]) > first + 500
    other = record.leases.acquire(ARN, "two", "inc-two", 60)
    assert other is not None
    assert (other["owner"], other["incident_id"]) == ("one", ID)
    record.leases.release(ARN, "two")
    assert _holder(deployment)["owner"] == "one"
    record.leases.release(ARN, "one")
    assert deployment.items(f"RESOURCE#{ARN}") == []


def test_an_expired_lease_is_taken_over(deployment: Deployment, record: IncidentRepository) -> None:
    record.leases.acquire(ARN, "one", ID, -5)
    assert record.leases.acquire(ARN, "two", "inc-two", 60) is None
    assert _holder(deployment)["owner"] == "two"


def test_a_dead_owner_is_replaced_but_not_a_successor(
    deployment: Deployment, record: IncidentRepository
) -> None:
    record.leases.acquire(ARN, "dead", ID, 600)
    assert record.leases.acquire(ARN, "two", "inc-two", 60, instead_of="dead") is None
    held = record.leases.acquire(ARN, "three", "inc-three", 60, instead_of="dead")
    assert held is not None
    assert held["owner"] == "two"

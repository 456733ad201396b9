"""Writes that meet a transaction on the same item: DynamoDB refuses them, botocore does not repeat
them, and moto never refuses them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws.errors import is_transient
from guardduty_response.incident import table as tables
from guardduty_response.incident.model import IncidentRecord
from guardduty_response.incident.moments import iso
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Event, OnFinding, Status

from tests.unit.containment.gates import Lab
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import ARN

CONFLICT, CONDITION = "TransactionConflict", "ConditionalCheckFailed"


def cancelled(*codes: str) -> ClientError:
    """Returns DynamoDB's answer: a reason for each write of the transaction."""
    answer: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
        "CancellationReasons": [{"Code": code} for code in codes],
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    return ClientError(answer, "TransactWriteItems")


def conflict() -> ClientError:
    """Returns the answer to a single write."""
    answer: Any = {
        "Error": {"Code": "TransactionConflictException", "Message": "an ongoing transaction"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    return ClientError(answer, "UpdateItem")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CONFLICT_PAUSES", (0, 0, 0))


def refuse(
    record: IncidentRepository,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    error: ClientError,
    times: int,
) -> None:
    """Lets the first ``times`` calls of an operation meet ``error``."""
    call, left = getattr(record.table.client, operation), [error] * times

    def refused(**request: Any) -> Any:
        if left:
            raise left.pop()
        return call(**request)

    monkeypatch.setattr(record.table.client, operation, refused)


def test_a_transaction_that_met_another_is_made_again(
    record: IncidentRepository, incident: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    incident()
    error = cancelled("None", CONFLICT, "None")
    refuse(record, monkeypatch, "transact_write_items", error, 3)
    record.containments.set(ARN, 1, status=Status.CONTAINED, checks=[], watched=["i-1"])
    stored = record.containments.read(ARN, 1)
    assert (stored.state["status"], stored.watched) == ("CONTAINED", ["i-1"])


@pytest.mark.parametrize(
    ("operation", "write", "read"),
    [
        (
            "update_item",
            lambda record, id: record.note(id, verdict="read"),
            lambda record, id: record.meta(id)["verdict"] == "read",
        ),
        (
            "put_item",
            lambda record, id: record.leases.acquire(ARN, "me", id, 60),
            lambda record, id: record.table.get(f"RESOURCE#{ARN}", "LEASE")["owner"] == "me",
        ),
        (
            "put_item",
            lambda record, id: record.event(id, "seen"),
            lambda record, id: "seen" in [event["event"] for event in record.read(id)[2]],
        ),
    ],
)
def test_a_write_that_met_a_transaction_is_made_again(
    record: IncidentRepository,
    incident: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    write: Any,
    read: Any,
) -> None:
    incident_id = incident()
    refuse(record, monkeypatch, operation, conflict(), 3)
    write(record, incident_id)
    assert read(record, incident_id)


def test_a_lease_is_given_back_beside_a_transaction(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.leases.acquire(ARN, "me", "inc-1", 60)
    refuse(record, monkeypatch, "delete_item", conflict(), 2)
    record.leases.release(ARN, "me")
    assert deployment.items(f"RESOURCE#{ARN}") == []


def test_a_conflict_that_lasts_is_the_machines_to_repeat(
    record: IncidentRepository, incident: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    incident()
    for operation, error, write in (
        ("transact_write_items", cancelled(CONFLICT, "None"), {"watched": ["i-1"]}),
        ("update_item", conflict(), {"verdict": "x"}),
    ):
        refuse(record, monkeypatch, operation, error, 99)
        with pytest.raises(ClientError) as raised:
            record.containments.set(ARN, 1, **write)
        assert is_transient(raised.value)


@pytest.mark.parametrize(
    ("codes", "passes"),
    [
        (["None", CONFLICT], True),
        (["ThrottlingError"], True),
        (["ProvisionedThroughputExceeded", "None"], True),
        ([CONFLICT, CONDITION], False),
        (["ValidationError"], False),
        (["None", "ItemCollectionSizeLimitExceeded", CONFLICT], False),
        ([], False),
    ],
)
def test_which_cancelled_transactions_can_succeed(codes: list[str], passes: bool) -> None:
    assert is_transient(cancelled(*codes)) is passes


def test_a_condition_that_failed_beside_a_conflict_is_named(
    record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(record, monkeypatch, "transact_write_items", cancelled(CONFLICT, CONDITION), 1)
    assert record.table.transact([{"Put": {"Item": {}}}, {"Put": {"Item": {}}}]) == [1]


def test_a_conflict_never_closes_a_gate(
    deployment: Deployment, incident: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gates of an incident's targets all look at its META item, side by side."""
    lab = Lab(deployment, incident)
    gate = lab.gate()
    error = cancelled("None", "None", "None", CONFLICT, "None")
    refuse(lab.record, monkeypatch, "transact_write_items", error, 2)
    gate.write_before("network", {"eni-1": ["sg-web"]})
    gate.permit()
    assert lab.befores() == {"network": {"eni-1": ["sg-web"]}}


# -- an answer that is lost ------------------------------------------------------------------------


def lose_the_first_answer(
    record: IncidentRepository, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """Lets the client write, get no answer in time and repeat the call, as botocore does."""
    call, lost = getattr(record.table.client, operation), list[Any]()

    def repeated(**request: Any) -> Any:
        if not lost:
            lost.append(call(**request))
        return call(**request)

    monkeypatch.setattr(record.table.client, operation, repeated)


@pytest.mark.parametrize("status", [Status.RESTORED, Status.FAILED, Status.NOTIFIED], ids=str)
def test_who_reopens_an_incident_and_gets_no_answer_has_reopened_it(
    deployment: Deployment,
    record: IncidentRepository,
    incident: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    status: Status,
) -> None:
    """Else the incident is OPEN, names this execution, and nobody works on it."""
    incident_id = incident(status=status)
    again = {
        "incident_id": incident_id,
        "execution": "again",
        "mode": "auto",
        "severity": 8.0,
        "config_sha256": "another",
        "reasons": ["another key"],
        "last_seen": iso(datetime.now(UTC) + timedelta(hours=1)),
    }
    lose_the_first_answer(record, monkeypatch, "update_item")
    opened = record.open(cast(IncidentRecord, again))
    assert (opened.outcome, opened.previous) == (OnFinding.START, status)
    assert deployment.meta(incident_id)["execution"] == "again"


@pytest.mark.parametrize(
    ("status", "event", "comes_to"),
    [
        (Status.OPEN, Event.NOTIFIED, Status.NOTIFIED),
        (Status.OPEN, Event.SKIPPED, Status.SKIPPED),
        (Status.CONTAINED, Event.RESTORED, Status.RESTORED),
        (Status.CONTAINED, Event.CLOSED, Status.CLOSED),
    ],
)
def test_a_transition_whose_answer_is_lost_was_made(
    record: IncidentRepository,
    incident: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    status: Status,
    event: Event,
    comes_to: Status,
) -> None:
    incident_id = incident(status=status)
    lose_the_first_answer(record, monkeypatch, "update_item")
    assert record.transition(incident_id, event) is comes_to
    assert record.meta(incident_id)["status"] == comes_to

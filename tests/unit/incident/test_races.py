"""Many executions at once: exactly one wins, nothing is counted twice or lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from guardduty_response.incident.model import IncidentRecord
from guardduty_response.incident.moments import iso
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Event, OnFinding, Status

from tests.unit.deployment import Deployment

pytestmark = pytest.mark.usefixtures("atomic")
ID, ARN = "inc-0123456789abcdef", "arn:aws:ec2:eu-central-1:222222222222:instance/i-1"


def _together(work: Callable[[int], Any], times: int = 10) -> list[Any]:
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(work, range(times)))


def _open(record: IncidentRepository, number: int, **changes: Any) -> OnFinding:
    meta = {
        "incident_id": ID,
        "execution": f"e{number}",
        "mode": "auto",
        "severity": 8.0,
        "config_sha256": "c",
        "last_seen": iso(datetime.now(UTC) + timedelta(hours=1)),
        **changes,
    }
    return record.open(cast(IncidentRecord, meta)).outcome


def _acquire_together(record: IncidentRepository, gives_way: str = "") -> list[Any]:
    """Ten executions ask for the lease of i-1; ``gives_way``: an owner that is known to be dead."""
    return _together(
        lambda n: record.leases.acquire(
            ARN,
            f"e{n}",
            f"inc-{n}",
            60,
            gives_way,
        ),
    )


def _before_together(deployment: Deployment, record: IncidentRepository, first: int) -> Any:
    """Ten writers, numbered from ``first``, record a state before; returns the one that stands."""
    _together(
        lambda n: record.before(
            ID,
            "ec2_instance",
            "i-1",
            "interfaces",
            {"writer": first + n},
        ),
    )
    return deployment.targets(ID)[0]["before"]["interfaces"]


def test_ten_emissions_at_once_start_one_response(
    deployment: Deployment, record: IncidentRepository
) -> None:
    outcomes = Counter(_together(lambda n: _open(record, n)))
    assert outcomes == {OnFinding.START: 1, OnFinding.COUNT: 9}
    assert deployment.meta(ID)["emissions"] == 10


@pytest.mark.parametrize(
    "status", [Status.FAILED, Status.CONTAINMENT_LOST, Status.RESTORED, Status.CLOSED], ids=str
)
def test_ten_emissions_at_once_reopen_once(
    deployment: Deployment, record: IncidentRepository, status: Status
) -> None:
    _open(record, 99)
    record.move(ID, Status.OPEN, status)
    outcomes = Counter(_together(lambda n: _open(record, n)))
    assert outcomes[OnFinding.START] == 1
    assert outcomes[OnFinding.COUNT] == 9
    stored = deployment.meta(ID)
    assert stored["status"] == "OPEN"
    assert stored["execution"] != "e99"


def test_one_of_ten_gets_the_lease_and_the_rest_learn_who(
    deployment: Deployment, record: IncidentRepository
) -> None:
    answers = _acquire_together(record)
    assert answers.count(None) == 1
    winner = f"e{answers.index(None)}"
    assert {answer["owner"] for answer in answers if answer} == {winner}
    assert deployment.items(f"RESOURCE#{ARN}")[0]["owner"] == winner


def test_one_of_ten_replaces_a_dead_owner(record: IncidentRepository) -> None:
    record.leases.acquire(ARN, "dead", ID, 600)
    answers = _acquire_together(record, gives_way="dead")
    assert answers.count(None) == 1


def test_the_first_before_state_stands(deployment: Deployment, record: IncidentRepository) -> None:
    record.put_target(ID, {"kind": "ec2_instance", "id": "i-1"})
    stands = _before_together(deployment, record, 0)
    assert stands["writer"] < 10
    assert _before_together(deployment, record, 100) == stands


def test_actions_side_by_side_do_not_overwrite_each_other(
    deployment: Deployment, record: IncidentRepository
) -> None:
    record.put_target(ID, {"kind": "ec2_instance", "id": "i-1"})
    _together(
        lambda n: record.action(
            ID,
            "ec2_instance",
            "i-1",
            f"action{n}",
            "DONE",
            "done",
        )
    )
    assert len(deployment.targets(ID)[0]["actions"]) == 10


def test_verdicts_at_once_end_in_one_status(
    deployment: Deployment, record: IncidentRepository
) -> None:
    _open(record, 0)
    record.move(ID, Status.OPEN, Status.CONTAINING)
    assert set(_together(lambda _: record.transition(ID, Event.CONTAINED), 5)) == {Status.CONTAINED}
    assert deployment.meta(ID)["status"] == "CONTAINED"

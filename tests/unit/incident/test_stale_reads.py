"""DynamoDB answers late unless it is asked for a consistent read. moto never does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.errors import GateClosed
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.unit.containment.gates import Lab
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import EXECUTION, target


@pytest.fixture(autouse=True)
def late(record: IncidentRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a read that need not be consistent see nothing of what was written."""
    client = record.table.client
    get_item, query = client.get_item, client.query

    def get(**request: Any) -> Any:
        return get_item(**request) if request.get("ConsistentRead") else {}

    def find(**request: Any) -> Any:
        return query(**request) if request.get("ConsistentRead") else {"Items": []}

    monkeypatch.setattr(client, "get_item", get)
    monkeypatch.setattr(client, "query", find)


def test_what_decides_is_read_consistently(
    deployment: Deployment, record: IncidentRepository, incident: Callable[..., str]
) -> None:
    lab = Lab(deployment, incident)
    assert record.leases.acquire(
        ARN,
        "other",
        "inc-2",
        60,
    ), "the lease is ours"
    lab.gate().write_before("network", ["sg-web"])
    assert record.containments.read(*lab.place).before == {"network": ["sg-web"]}
    assert (
        record.containments.join(
            target(),
            "inc-2",
            "ec2_instance",
        ).generation
        == 1
    )
    assert (
        record.target(
            lab.incident_id,
            "ec2_instance",
            "i-1",
        )["status"]
        == Status.OPEN
    )
    assert len(record.read(lab.incident_id)[1]) == 1
    lab.control("OPERATOR", paused=True)
    with pytest.raises(GateClosed, match="paused"):
        lab.gate().permit()


def test_the_circuit_breaker_counts_what_others_have_just_marked(
    record: IncidentRepository,
) -> None:
    count = record.circuit_breaker.count_targets
    assert [
        count(
            "p",
            "1",
            [f"arn-{n}"],
            60,
        ).in_all
        for n in range(3)
    ] == [1, 2, 3]


def test_who_needs_a_shared_setting_is_read_consistently(record: IncidentRepository) -> None:
    joined = record.containments.join(
        target(),
        "inc-1",
        "ec2_instance",
    )
    with record.shared.hold(
        "arn:role",
        "tags",
        EXECUTION,
    ) as held:
        held.enter(
            (ARN, joined.generation),
            "made",
            "before",
        )
    shared = record.shared.read("arn:role", "tags")
    assert (shared.entries, shared.before) == ({(ARN, joined.generation): "made"}, "before")

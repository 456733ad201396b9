"""Provides the fixtures of the tests of monitoring: incidents that are contained, and roles on
which sessions are denied.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from botocore.client import BaseClient
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import WATCHED, Status
from guardduty_response.monitoring import expiry, upkeep

from tests.unit.deployment import Deployment, onlooker
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.monitoring.contained_incident import GOOD, TAGGED, Case
from tests.unit.monitoring.expiry_lab import (
    FUNCTION,
    REGION,
    Role,
)
from tests.unit.monitoring.watchdog_events import ENI, GROUP, Begin


@pytest.fixture
def case(deployment: Deployment, fake: FakePlaybook) -> Case:
    made = Case(deployment, fake)
    made.see(GOOD, TAGGED)
    made.contain()
    assert made.meta["status"] == "CONTAINED"
    return made


@pytest.fixture
def held(incident: Begin, record: IncidentRepository) -> Callable[..., str]:
    """Opens an incident of the given status whose containment names ENI, GROUP and app."""

    def make(status: str = "CONTAINED", *names: str, **fields: Any) -> str:
        incident_id = incident(*names, status=status, **fields)
        name = names[0] if names else "i-1"
        record.set_target(incident_id, "ec2_instance", name, watched=[ENI, GROUP, "app"])
        if Status(status) in WATCHED:
            record.set_target(incident_id, "ec2_instance", name, status=status)
        upkeep.take_up(record, [record.meta(incident_id)])
        return incident_id

    return make


@pytest.fixture
def api_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keeps the names of all API calls that the functions make."""
    made: list[str] = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def keep(self: Any, operation: str, arguments: Any) -> Any:
        made.append(operation)
        return call(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", keep)
    return made


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(datetime.now(UTC), tick=True) as traveller:
        yield traveller


@pytest.fixture
def role(
    deployment: Deployment,
    record: IncidentRepository,
    incident: Callable[..., str],
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Role:
    monkeypatch.setenv(expiry.FUNCTIONS, json.dumps({"ec2_instance": FUNCTION}))
    monkeypatch.setenv("GDR_PLAYBOOK", "ec2_instance")
    return Role(
        deployment,
        record,
        incident("i-1", status="CONTAINED"),
    )


@pytest.fixture
def instance() -> str:
    """An instance that exists, in the Region of the incident's target."""
    ec2 = onlooker("ec2", REGION)
    [image] = ec2.describe_images(Owners=["amazon"])["Images"][:1]
    found = ec2.run_instances(
        ImageId=image["ImageId"],
        MinCount=1,
        MaxCount=1,
    )["Instances"]
    return str(found[0]["InstanceId"])


@pytest.fixture
def closed(
    deployment: Deployment,
    record: IncidentRepository,
    incident: Callable[..., str],
    clock: Any,
    instance: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Role:
    """The role of an instance that exists, and whose incident was closed with it contained."""
    monkeypatch.setenv(expiry.FUNCTIONS, json.dumps({"ec2_instance": FUNCTION}))
    monkeypatch.setenv("GDR_PLAYBOOK", "ec2_instance")
    found = Role(
        deployment,
        record,
        incident(instance, status="CONTAINED"),
        instance,
    )
    found.close()
    return found

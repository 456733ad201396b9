"""Provides the fixtures of the tests of monitoring: incidents that are contained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import WATCHED, Status
from guardduty_response.monitoring import upkeep

from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.monitoring.contained_incident import GOOD, TAGGED, Case
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

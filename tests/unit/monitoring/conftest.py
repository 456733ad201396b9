"""Provides the fixtures of the tests of monitoring: incidents that are contained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.incident.repository import IncidentRepository

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
        record.set_target(
            incident_id, "ec2_instance", names[0] if names else "i-1", watched=[ENI, GROUP, "app"]
        )
        return incident_id

    return make

"""Provides the world of shared resources, and restores, to every test of the functions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.incident.repository import IncidentRepository

from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.function_calls import notified
from tests.unit.functions.restorer import Restorer
from tests.unit.functions.shared_world import World, make_world


@pytest.fixture
def world(deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch) -> World:
    """Several incidents of a resource, on the fake playbook."""
    return make_world(deployment, fake, monkeypatch)


@pytest.fixture
def restorer(fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch) -> Restorer:
    module = Restorer()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def stored(
    deployment: Deployment, restorer: Restorer, incident: Callable[..., str]
) -> Callable[..., str]:
    """An incident of the fake playbook in a status; nothing works on it any more."""

    def make(status: str = "CONTAINED", *names: str, **fields: Any) -> str:
        incident_id = incident(*names, status=status, **{"playbook": "fake", **fields})
        record = IncidentRepository("guardduty-response-incidents")
        for target in deployment.targets(incident_id):
            record.set_target(incident_id, target["kind"], target["id"], status=status)
            record.before(
                incident_id,
                target["kind"],
                target["id"],
                "profile",
                {"name": "x"},
            )
        notified(deployment)
        return incident_id

    return make

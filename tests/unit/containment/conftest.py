"""Provides an incident whose changes are guarded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.containment.gates import Clock, Lab
from tests.unit.deployment import Deployment


@pytest.fixture
def lab(deployment: Deployment, incident: Callable[..., str]) -> Lab:
    return Lab(deployment, incident)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)

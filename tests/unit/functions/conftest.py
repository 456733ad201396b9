"""Provides the world of shared resources to every test of the functions."""

from __future__ import annotations

import pytest

from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.functions.shared_world import World, make_world


@pytest.fixture
def world(deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch) -> World:
    """Several incidents of a resource, on the fake playbook."""
    return make_world(deployment, fake, monkeypatch)

"""Provides the fixture of the tests of monitoring: an incident that is contained."""

from __future__ import annotations

import pytest

from tests.unit.fake_playbook import Fake
from tests.unit.lambda_world import World
from tests.unit.monitoring.contained_incident import GOOD, TAGGED, Case


@pytest.fixture
def case(world: World, fake: Fake) -> Case:
    made = Case(world, fake)
    made.see(GOOD, TAGGED)
    made.contain()
    assert made.meta["status"] == "CONTAINED"
    return made

"""What every test may use: findings of our own, plans of the module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from repository import load_finding

if TYPE_CHECKING:
    from terraform_tools import Planner


@pytest.fixture
def finding_event() -> Callable[..., dict[str, Any]]:
    """(file name without .json, **changes to the detail) -> a fresh EventBridge event."""
    return load_finding


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planner]:
    """(**variables) -> terraform_tools.Plan of the module and the responder role, against no account at all."""
    from terraform_tools import Planner, identity

    with identity() as endpoint:
        yield Planner(tmp_path_factory.mktemp("plan"), endpoint)

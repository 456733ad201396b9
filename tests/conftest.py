"""What every test may use: findings of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from repository import load_finding


@pytest.fixture
def finding_event() -> Callable[..., dict[str, Any]]:
    """(file name without .json, **changes to the detail) -> a fresh EventBridge event."""
    return load_finding

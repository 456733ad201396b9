"""Where things are, and skips that a CI run does not allow."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
FINDINGS = ROOT / "tests" / "fixtures" / "findings"


def skip_or_fail(reason: str) -> NoReturn:
    """Skips with its reason; in CI, where everything is to be there, fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def load_finding(
    name: str = "cryptocurrency_ec2_bitcointool_b_dns", **changes: Any
) -> dict[str, Any]:
    """An EventBridge event from tests/fixtures/findings, ``changes`` made to its detail's top
    level.
    """
    event: dict[str, Any] = json.loads((FINDINGS / f"{name}.json").read_text())
    event["detail"] |= changes
    return event

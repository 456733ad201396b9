"""Where things are, and skips that a CI run does not allow."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sandbox.findings import moved_to_now

ROOT = Path(__file__).resolve().parents[2]
FINDINGS = ROOT / "tests" / "fixtures" / "findings"
# One moment for the whole session: the same finding loaded twice is the same.
STARTED = datetime.now(UTC)


def skip_or_fail(reason: str) -> NoReturn:
    """Skips with its reason; in CI, where everything is to be there, fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def project_files(pattern: str = "*") -> list[Path]:
    """Returns the project's files with such a name: tracked, or new and not ignored by Git."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        skip_or_fail("This is not a Git checkout; the project's files cannot be told from others.")
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file()]


def load_finding(
    name: str = "cryptocurrency_ec2_bitcointool_b_dns", **changes: Any
) -> dict[str, Any]:
    """Read an EventBridge event from tests/fixtures/findings, as if its finding had come when the
    session began; ``changes`` are made to its detail's top level.
    """
    event: dict[str, Any] = moved_to_now(
        json.loads((FINDINGS / f"{name}.json").read_text()), STARTED
    )
    event["detail"] |= changes
    return event


def later(event: dict[str, Any], hours: float = 1) -> dict[str, Any]:
    """Returns the event as GuardDuty sends it after new activity, so many hours from now."""
    seen = (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="milliseconds")
    service = {**event["detail"]["service"], "eventLastSeen": seen.replace("+00:00", "Z")}
    return {**event, "detail": {**event["detail"], "service": service}}

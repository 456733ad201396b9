"""A pytest plugin: the whole session runs 400 days on (``-p tests.support.clock``).

What asks Python for the time sees it: the functions, moto, boto3's signatures and the tests. Other
processes do not (Terraform, the sandbox), so only tests that run in this one belong here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

DAYS_ON = 400
_BEFORE = datetime.now(UTC)
_JOURNEY = time_machine.travel(_BEFORE + timedelta(days=DAYS_ON), tick=True)
# At import: before any test module is collected, so that its constants are of that day too.
_JOURNEY.start()


def pytest_report_header() -> str:
    return f"clock: {datetime.now(UTC):%Y-%m-%d}, {DAYS_ON} days on"


def pytest_unconfigure() -> None:
    _JOURNEY.stop()


@pytest.fixture(scope="session", autouse=True)
def _the_clock_is_moved() -> Iterator[None]:
    """Fail a session that believes it is of another day, and is not."""
    assert datetime.now(UTC) - _BEFORE >= timedelta(days=DAYS_ON)
    yield

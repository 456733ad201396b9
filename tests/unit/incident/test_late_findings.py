"""The aggregation Region was unavailable: EventBridge in the other Regions holds a finding for a
day, and the queue of what could not be delivered for 14. However late it comes, it is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from guardduty_response.decision import finding

from tests.unit.deployment import Deployment
from tests.unit.function_calls import NOTICE, call, kinds

Make = Callable[..., dict[str, Any]]


def delayed(event: dict[str, Any], hours: float) -> dict[str, Any]:
    """Returns the event as it was sent so many hours ago."""
    seen = datetime.now(UTC) - timedelta(hours=hours)
    service = event["detail"]["service"]
    service["eventFirstSeen"] = f"{seen - timedelta(minutes=10):%Y-%m-%dT%H:%M:%S.000Z}"
    service["eventLastSeen"] = f"{seen:%Y-%m-%dT%H:%M:%S.000Z}"
    event["detail"]["updatedAt"] = f"{seen + timedelta(minutes=5):%Y-%m-%dT%H:%M:%S.000Z}"
    event["time"] = f"{seen + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    return event


@pytest.mark.parametrize("hours", [0.5, 23.9, 14 * 24 - 1])
@pytest.mark.parametrize(("mode", "next_step"), [("auto", "triage"), ("approve", "triage")])
def test_a_late_finding_is_answered_as_one_in_time(
    deployment: Deployment, finding_event: Make, hours: float, mode: str, next_step: str
) -> None:
    deployment.configure({"remediations": {"CryptoCurrency:EC2/*": mode}})
    event = delayed(finding_event(), hours)
    opened = call("open", event=event)
    call(
        "notice",
        event=event,
        execution=NOTICE,
    )
    assert (opened["next"], opened["verify_only"]) == (next_step, False)
    [meta] = deployment.incidents()
    assert (meta["status"], meta["mode"]) == ("OPEN", mode)
    assert meta["last_seen"] == event["detail"]["service"]["eventLastSeen"]


def test_a_late_finding_that_is_only_told_is_told(
    deployment: Deployment, finding_event: Make
) -> None:
    deployment.configure({"remediations": {}})
    event = delayed(finding_event(), 23)
    call("open", event=event)
    call(
        "notice",
        event=event,
        execution=NOTICE,
    )
    [meta] = deployment.incidents()
    assert meta["status"] == "NOTIFIED" and kinds(deployment.messages()) == ["notice"]


def test_what_was_held_back_comes_after_what_is_newer(
    deployment: Deployment, finding_event: Make
) -> None:
    """Retries do not keep the order: both are of one incident, and one of them contains."""
    newer, older = delayed(finding_event(), 1), delayed(finding_event(), 20)
    assert call("open", event=newer)["next"] == "triage"
    later = call(
        "open",
        event=older,
        execution=f"{NOTICE}-later",
    )
    assert later["next"] == "done"
    [meta] = deployment.incidents()
    assert meta["incident_id"] == finding.parse(older).incident_id
    assert (meta["emissions"], meta["status"]) == (2, "OPEN")

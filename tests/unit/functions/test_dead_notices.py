"""The notice machine starts what the rule act did not: what is said when it fails itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.decision import finding

from tests.unit.deployment import TABLE, Deployment
from tests.unit.function_calls import NOTICE, call, notified, watch

Make = Callable[..., dict[str, Any]]


def _dies(event: Any) -> str:
    detail = {
        "executionArn": NOTICE,
        "status": "FAILED",
        "input": json.dumps(event),
        "cause": "x",
    }
    return str(watch({"source": "aws.states", "detail": detail})["incident_id"])


def _claim(deployment: Deployment, event: Any, **more: str) -> None:
    seen = finding.parse(event)
    named = {"pk": f"INCIDENT#{seen.incident_id}", "sk": f"CLAIM#{seen.last_seen}", **more}
    deployment.dynamodb.put_item(
        TableName=TABLE, Item={name: {"S": value} for name, value in named.items()}
    )


@pytest.mark.parametrize("left", [{}, {"left": "notify"}])
def test_a_finding_that_nobody_claimed_is_told(
    deployment: Deployment, finding_event: Make, left: dict[str, str]
) -> None:
    """Rule act is missing, and the incident could not be started either."""
    event = finding_event()
    if left:
        _claim(deployment, event, **left)
    incident_id = _dies(event)
    assert deployment.meta(incident_id)["status"] == "FAILED"
    assert notified(deployment) == (["FAILED"], ["FAILED"])


def test_a_finding_that_the_incident_machine_claimed_is_not(
    deployment: Deployment, finding_event: Make
) -> None:
    event = finding_event()
    _claim(deployment, event, execution="of the incident machine")
    _dies(event)
    assert (deployment.incidents(), notified(deployment)) == ([], ([], []))


def test_a_finding_that_was_delivered_again_by_a_pointer_is_not(
    deployment: Deployment, finding_event: Make
) -> None:
    """It claims a key of its own execution."""
    event = finding_event()
    call("open", event=event)
    incident_id = _dies(event)
    assert deployment.meta(incident_id)["status"] == "OPEN"
    assert notified(deployment) == ([], [])


def test_a_sample_that_nobody_claimed_wakes_nobody(
    deployment: Deployment, finding_event: Make
) -> None:
    _dies(finding_event("sample_cryptocurrency_ec2_bitcointool_b_dns"))
    assert notified(deployment) == (["FAILED"], [])

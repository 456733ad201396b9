"""A finding that may be about a victim: people are asked, with the reason, whatever the mode."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook, configure
from tests.unit.function_calls import call
from tests.unit.functions.respond_steps import open_incident, run_step

WHY = "does not show whether the instance began this network activity or is its victim"


@pytest.fixture(autouse=True)
def _everything_is_auto(deployment: Deployment, fake: FakePlaybook) -> None:
    configure(deployment, remediations={"*": "auto"})


def _event(load: dict[str, Any], direction: str) -> dict[str, Any]:
    action = {
        "actionType": "NETWORK_CONNECTION",
        "networkConnectionAction": {"connectionDirection": direction},
    }
    service = {**load["service"], "resourceRole": "TARGET", "action": action}
    kind = "UnauthorizedAccess:EC2/MaliciousIPCaller.Custom"
    return {"detail": {**load, "type": kind, "service": service}}


@pytest.mark.parametrize(
    ("direction", "decision", "mode"),
    [("UNKNOWN", "approve", "approve"), ("OUTBOUND", "act", "auto")],
)
def test_people_are_asked_and_read_why(
    deployment: Deployment,
    finding_event: Any,
    direction: str,
    decision: str,
    mode: str,
) -> None:
    incident_id = open_incident(**_event(finding_event()["detail"], direction))
    assert deployment.meta(incident_id)["mode"] == mode
    assert run_step("plan", incident_id)["decision"] == decision
    meta = deployment.meta(incident_id)
    in_doubt = direction == "UNKNOWN"
    assert (WHY in meta["in_doubt"]) == in_doubt
    assert any(WHY in reason for reason in meta["reasons"]) == in_doubt
    if in_doubt:
        call("ask", incident_id=incident_id, task_token="t")
        [asked] = deployment.messages("escalations")
        assert f"auto became approve: the finding {WHY}" in asked["Message"]


def test_what_a_person_approved_is_contained(deployment: Deployment, finding_event: Any) -> None:
    incident_id = open_incident(**_event(finding_event()["detail"], "UNKNOWN"))
    run_step("plan", incident_id)
    call("ask", incident_id=incident_id, task_token="t")
    call("decide", incident_id=incident_id, answer={"approved": True, "by": "ada"})
    assert run_step("plan", incident_id, approved=True)["decision"] == "act"

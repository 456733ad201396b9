"""An approval is bound to the plan that people were shown."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook, configure
from tests.unit.function_calls import call
from tests.unit.functions.respond_steps import open_incident, run_step

SHOWN = "instance i-2, i-3 with it (all of them need new credentials)"


def _approve(deployment: Deployment, fake: FakePlaybook, **meanwhile: Any) -> str:
    """Lets a person approve what was planned, and plans anew; returns the incident."""
    configure(deployment, remediations={"*": "approve"})
    fake.consequences = SHOWN
    incident_id = open_incident()
    assert run_step("plan", incident_id)["decision"] == "approve"
    call("ask", incident_id=incident_id, task_token="t")
    call("decide", incident_id=incident_id, answer={"approved": True, "by": "ada"})
    for name, value in meanwhile.items():
        setattr(fake, name, value)
    return incident_id


def test_what_aws_lists_in_another_order_is_not_asked_about_again(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    """EC2 promises no order of what it describes (API reference, DescribeInstances)."""
    other_order = "instance i-3, i-2 with it (all of them need new credentials)"
    incident_id = _approve(deployment, fake, consequences=other_order)
    assert run_step("plan", incident_id, approved=True)["decision"] == "act"


@pytest.mark.parametrize(
    "change",
    [{"consequences": SHOWN.replace("i-3", "i-4")}, {"consequences": ""}, {"ids": ["i-1", "i-9"]}],
)
def test_what_changed_meanwhile_is_asked_about_again(
    deployment: Deployment, fake: FakePlaybook, change: dict[str, Any]
) -> None:
    incident_id = _approve(deployment, fake, **change)
    assert run_step("plan", incident_id, approved=True)["decision"] == "approve"
    meta = deployment.meta(incident_id)
    assert meta["plan_digest"] != meta["approved_digest"]
    assert any("asked again" in reason for reason in meta["reasons"])

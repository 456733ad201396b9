"""What people read of a containment before it is done: in the plan, whichever mode it has."""

from __future__ import annotations

import pytest

from tests.support.repository import load_finding
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook, configure
from tests.unit.function_calls import EXECUTION, call
from tests.unit.functions.test_phases import _run


def test_consequences_are_told_before_anything_is_done(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    fake.consequences = "Spot instance: EC2 may reclaim it"
    incident_id = str(
        call(
            "open",
            event=load_finding(),
            execution=EXECUTION,
        )["incident_id"]
    )
    _run("plan", incident_id)
    [target] = deployment.targets(incident_id)
    assert target["actions"]["consequences"]["status"] == "NOTED"
    assert "reclaim" in target["actions"]["consequences"]["detail"]


def test_long_consequences_are_told_whole(deployment: Deployment, fake: FakePlaybook) -> None:
    sentences = [f"subnet-{n:03} loses its way out {'x' * 150}" for n in range(20)]
    fake.consequences = "; ".join(sentences)
    incident_id = str(call("open", event=load_finding(), execution=EXECUTION)["incident_id"])
    _run("plan", incident_id)
    [target] = deployment.targets(incident_id)
    lines = [
        line["detail"] for name, line in target["actions"].items() if name.startswith("conseq")
    ]
    assert sorted(text for line in lines for text in line.split("; ")) == sentences
    assert 1 < len(lines) < 6


@pytest.mark.parametrize("mode", ["approve", "dry_run", "auto"])
def test_what_is_foreseen_is_looked_up_for_people_alone(
    deployment: Deployment, fake: FakePlaybook, mode: str
) -> None:
    asked: list[str] = []

    def foresee() -> dict[str, str]:
        asked.append(mode)
        return {"remediation_undoes": f"{len(asked)} calls undone by itself"}

    fake.foresee = foresee
    configure(deployment, remediations={"CryptoCurrency:EC2/*": mode})
    incident_id = str(call("open", event=load_finding(), execution=EXECUTION)["incident_id"])
    _run("plan", incident_id)
    digest = deployment.incidents()[0]["plan_digest"]
    [target] = deployment.targets(incident_id)
    if mode == "auto":
        assert asked == [], "a containment waits for no look-up"
        assert "remediation_undoes" not in target["actions"]
        return
    line = target["actions"]["remediation_undoes"]
    assert (line["status"], line["detail"]) == ("NOTED", "1 calls undone by itself")
    _run("plan", incident_id)
    assert deployment.incidents()[0]["plan_digest"] == digest, "an approval is not bound to it"

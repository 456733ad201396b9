"""What changed after the decision or the verdict stops what is done late."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.functions import eradicate, respond, terminate
from guardduty_response.incident.statuses import Status

from tests.unit.fake_playbook import configure
from tests.unit.functions.shared_world import World, ask

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("step", "handler"),
    [
        ("terminate", terminate.handler),
        ("finish", respond.handler),
        ("remediate", eradicate.handler),
    ],
)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda world: world.pause(), "paused by ada (drill)"),
        (
            lambda world: configure(world.deployment, **{"guardrails.exempt_resources": ["i-1"]}),
            "i-1 is exempt",
        ),
        (lambda world: configure(world.deployment, remediations={"*": "off"}), "policy says off"),
        (lambda world: ask(world.deployment.incidents()[0]["incident_id"]), "newer|restored"),
    ],
)
def test_what_changed_after_the_verdict_stops_the_late_steps(
    world: World, step: str, handler: Any, change: Any, said: str
) -> None:
    incident_id = world.contain("a")
    event = {
        "verb": step,
        "incident_id": incident_id,
        "execution": world.execution("a"),
    }
    change(world)
    world.done.clear()
    assert handler(event)["done"]
    assert world.done == []
    [target] = world.deployment.targets(incident_id)
    logged = target["actions"][step]
    assert logged["status"] == "FAILED"
    assert any(part in logged["detail"] for part in said.split("|")), logged["detail"]


@pytest.mark.parametrize("step", ["terminate", "finish", "remediate"])
def test_without_such_a_change_they_run(world: World, step: str) -> None:
    handlers: Json = {
        "terminate": terminate,
        "finish": respond,
        "remediate": eradicate,
    }
    incident_id = world.contain("a")
    world.done.clear()
    handlers[step].handler(
        {
            "verb": step,
            "incident_id": incident_id,
            "execution": world.execution("a"),
        }
    )
    assert world.done == [(step, "i-1")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"guardrails.exempt_resources": ["i-1"]}, "i-1 is exempt"),
        ({"guardrails.exempt_accounts": ["222222222222"]}, "account 222222222222 is exempt"),
        ({"guardrails.exempt_principals": ["*role/web"]}, "role/web on i-1 is exempt"),
        ({"remediations": {"*": "approve"}}, "a person has to approve it"),
        ({"paused": True}, "paused = true"),
        ({"guardrails.management_account_id": "222222222222"}, "management account"),
        ({"responder.own_roles": ["*:role/web"]}, "a role of the response itself"),
    ],
)
def test_what_is_exempted_between_plan_and_contain_is_left_alone_and_said(
    world: World, changes: Json, said: str
) -> None:
    world.fake.principals = ["arn:aws:iam::222222222222:role/web"]
    world.verdicts = {"i-1": Status.FAILED}
    incident_id, targets = world.open("a")
    configure(world.deployment, **changes)
    world.act("a", incident_id, targets)
    assert world.done == []
    [target] = world.deployment.targets(incident_id)
    assert target["actions"]["gate"]["status"] == "FAILED"
    for text in (target["actions"]["gate"]["detail"], target["verdict"]):
        assert said in text
    assert world.status(incident_id) == "FAILED"
    assert "not contained" in world.deployment.timeline(incident_id)
    [message] = world.deployment.messages("escalations")
    assert said in message["Message"]

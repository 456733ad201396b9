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


ALWAYS = {"name": "year end", "start": "1970-01-01T00:00:00Z", "end": "2999-12-31T00:00:00Z"}


@pytest.mark.parametrize(
    ("step", "handler", "approved", "runs"),
    [
        ("terminate", terminate.handler, "", False),
        ("terminate", terminate.handler, "of the plan", True),
        ("terminate", terminate.handler, "of another plan", False),
        ("remediate", eradicate.handler, "", False),
        ("remediate", eradicate.handler, "of the plan", True),
        ("finish", respond.handler, "", True),  # it goes on containing
    ],
)
def test_in_a_freeze_window_what_comes_after_containment_needs_an_approval(
    world: World, step: str, handler: Any, approved: str, runs: bool
) -> None:
    """It was contained before the window."""
    incident_id = world.contain("a")
    digest = world.deployment.meta(incident_id)["plan_digest"]
    known = {"of the plan": digest, "of another plan": "0"}
    world.record.note(incident_id, approved_digest=known.get(approved, ""))
    configure(world.deployment, **{"guardrails.freeze_windows": [ALWAYS]})
    world.done.clear()
    execution = world.execution("a")
    assert handler({"verb": step, "incident_id": incident_id, "execution": execution})["done"]
    assert world.done == ([(step, "i-1")] if runs else [])
    logged = world.deployment.targets(incident_id)[0]["actions"].get(step, {})
    assert ("freeze window 'year end'" in logged.get("detail", "")) is not runs
    assert world.status(incident_id) == "CONTAINED"


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
    world.act(
        "a",
        incident_id,
        targets,
    )
    assert world.done == []
    [target] = world.deployment.targets(incident_id)
    assert target["actions"]["gate"]["status"] == "FAILED"
    for text in (target["actions"]["gate"]["detail"], target["verdict"]):
        assert said in text
    assert world.status(incident_id) == "FAILED"
    assert "not contained" in world.deployment.timeline(incident_id)
    [message] = world.deployment.messages("escalations")
    assert said in message["Message"]

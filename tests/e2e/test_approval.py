"""Approvals: recorded first, bound to the plan that people were shown, and never older than what
has happened since.
"""

from __future__ import annotations

import json
from typing import Any

from sandbox.findings import Sent
from tests.e2e.e2e_checks import assert_network_closed, assert_untouched
from tests.e2e.e2e_world import SECURITY, World, events

APPROVE = "UnauthorizedAccess:EC2/TorClient"  # e2e.tfvars


def _waiting(world: World, sent: Sent) -> str:
    world.status(sent, "AWAITING_APPROVAL")
    return str(sent.incident_id)


def _meta(world: World, name: str) -> dict[str, Any]:
    [meta] = [item for item in world.items(f"INCIDENT#{name}") if item["sk"]["S"] == "META"]
    return {key: next(iter(value.values())) for key, value in meta.items()}


def _answer(world: World, name: str, answer: Any) -> None:
    world.client("stepfunctions", SECURITY).send_task_success(
        taskToken=_meta(world, name)["task_token"], output=json.dumps(answer)
    )


def test_approved_by_somebody(world: World) -> None:
    victim = world.victim()
    sent = world.send(world.finding(victim, APPROVE))
    name = _waiting(world, sent)
    _answer(
        world,
        name,
        {"approved": True, "by": "carol"},
    )
    incident = world.settled(sent)
    assert (incident["status"], incident["decision"]) == ("CONTAINED", "act")
    assert_network_closed(world, victim)
    meta = _meta(world, name)
    assert (meta["approved_by"], meta["approved_digest"]) == ("carol", meta["plan_digest"])
    assert "answer: approved" in events(incident)
    token = meta["task_token"]
    assert all(token not in message["text"] for message in world.messages(name)), "never shown"


def test_only_true_approves(world: World) -> None:
    for answer in ({"approved": "true"}, {"approved": "false"}, {"approved": 1}, True, {}):
        victim = world.plain()
        before = world.look(victim)
        sent = world.send(world.finding(victim, APPROVE))
        _answer(
            world,
            _waiting(world, sent),
            answer,
        )
        assert world.settled(sent)["status"] == "REJECTED"
        assert_untouched(
            world,
            victim,
            before,
        )


def test_what_changed_meanwhile_is_asked_about_again(world: World) -> None:
    victim = world.plain()
    sent = world.send(world.finding(victim, APPROVE))
    name = _waiting(world, sent)
    first = _meta(world, name)["task_token"]
    world.client("ec2").modify_instance_attribute(
        InstanceId=victim.instance, DisableApiTermination={"Value": True}
    )
    world.spread()
    _answer(
        world,
        name,
        {"approved": True, "by": "carol", "plan": _meta(world, name)["plan_digest"]},
    )
    world.until(lambda: _meta(world, name)["task_token"] != first, "it is asked again")
    world.status(sent, "AWAITING_APPROVAL")
    _answer(
        world,
        name,
        {"approved": True, "by": "carol", "plan": _meta(world, name)["plan_digest"]},
    )
    assert world.settled(sent)["status"] == "CONTAINED"


def test_a_pause_while_an_approval_waits_holds(world: World) -> None:
    """The operator's item works at once, and a later approval changes nothing."""
    victim = world.plain()
    before = world.look(victim)
    sent = world.send(world.finding(victim, APPROVE))
    name = _waiting(world, sent)
    table, item = world.client("dynamodb", SECURITY), {"pk": {"S": "CONTROL"}}
    key = item | {"sk": {"S": "OPERATOR"}}
    paused = {
        "paused": {"BOOL": True},
        "by": {"S": "carol"},
        "reason": {"S": "a drill"},
    }
    table.put_item(TableName=world.outputs["table_name"], Item=key | paused)
    try:
        _answer(
            world,
            name,
            {"approved": True, "by": "dave"},
        )
        incident = world.settled(sent)
    finally:
        table.delete_item(TableName=world.outputs["table_name"], Key=key)
    assert incident["status"] == "SKIPPED"
    assert "paused by carol (a drill)" in str(incident["reasons"])
    assert_untouched(
        world,
        victim,
        before,
    )


def test_two_approvals_of_one_resource_make_one_containment(world: World) -> None:
    victim = world.victim()
    sent = [world.send(world.finding(victim, kind)) for kind in (APPROVE, APPROVE)]
    waiting = [_waiting(world, sending) for sending in sent]
    for name in waiting:
        _answer(
            world,
            name,
            {"approved": True, "by": "carol"},
        )
    both = [world.settled(sending) for sending in sent]
    assert [incident["status"] for incident in both] == ["CONTAINED", "CONTAINED"]
    [first, second] = [incident["targets"][0] for incident in both]
    assert first["before"] == second["before"]
    assert first["evidence"]["snapshots"] == second["evidence"]["snapshots"]

"""Containment that stands is watched until a person closes the incident: undone, it is contained
again or escalated.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandbox import cli, human_request, undo_containment
from sandbox.executions import Execution
from sandbox.seed import Victim
from sandbox.settings import SandboxError
from tests.e2e.e2e_checks import assert_network_closed
from tests.e2e.e2e_world import SECURITY, Json, World, events

APPROVE = "UnauthorizedAccess:EC2/TorClient"  # e2e.tfvars


@pytest.fixture(autouse=True)
def _heard(world: World) -> None:
    """CloudTrail tells, and the forwarder sends it on; what other tests have left is watched no
    longer.
    """
    dynamodb, table = world.client("dynamodb", SECURITY), world.outputs["table_name"]
    request = {":held": {"S": "held"}}
    for record in dynamodb.query(
        TableName=table,
        IndexName="open",
        KeyConditionExpression="#o = :held",
        ExpressionAttributeNames={"#o": "open"},
        ExpressionAttributeValues=request,
    )["Items"]:
        dynamodb.update_item(
            TableName=table,
            Key={name: record[name] for name in ("pk", "sk")},
            UpdateExpression="REMOVE #o",
            ExpressionAttributeNames={"#o": "open"},
        )
    world.clock(trail=1)


@contextmanager
def _scheduled(world: World) -> Iterator[None]:
    """The 15-minute schedule comes every 6 s meanwhile."""
    world.clock(long_rates=6 / 900)
    try:
        yield
    finally:
        world.clock(long_rates=1)


def _contained(world: World, victim: Victim, kind: str | None = None) -> str:
    sent = world.send(world.finding(victim, kind) if kind else world.finding(victim))
    if kind:
        world.status(sent, "AWAITING_APPROVAL")
        _approve(world, str(sent.incident_id))
    assert world.settled(sent)["status"] == "CONTAINED"
    return str(sent.incident_id)


def _approve(world: World, name: str) -> None:
    [meta] = [record for record in world.items(f"INCIDENT#{name}") if record["sk"]["S"] == "META"]
    world.client("stepfunctions", SECURITY).send_task_success(
        taskToken=meta["task_token"]["S"], output='{"approved": true}'
    )


def _meta(world: World, name: str) -> Json:
    [meta] = [record for record in world.items(f"INCIDENT#{name}") if record["sk"]["S"] == "META"]
    return meta


def _again(world: World, name: str) -> Json:
    """The incident once it was breached and contained again."""

    def there() -> Json | None:
        found = world.incident(name)
        notified = found["targets"][0].get("breach") or {}
        return found if found["status"] == "CONTAINED" and notified.get("ended") else None

    incident = world.until(there, f"incident {name} is contained again", 60)
    world.quiet(name)
    return incident


def test_undone_in_auto_it_is_contained_again_at_once_and_who_did_it_is_told(world: World) -> None:
    victim = world.victim(in_asg=False)
    name = _contained(world, victim)
    before = {interface: list(groups) for interface, groups in victim.groups.items()}
    done = undo_containment.undo(world.known, world.incident(name))
    incident = _again(world, name)
    assert_network_closed(world, victim)
    [by] = incident["targets"][0]["breach"]["by"]
    assert (by["who"], by["what"]) == (done.who, "ModifyNetworkInterfaceAttribute")
    assert f"interface {done.interface}" in incident["targets"][0]["breach"]["checks"]
    assert world.notified(name).count("BREACHED") == 1
    assert world.notified(name)[-1] == "CONTAINED"
    [escalated] = [
        message for message in world.messages(name, "escalations") if message["event"] == "BREACHED"
    ]
    for part in (
        done.who,
        "ModifyNetworkInterfaceAttribute",
        "127.0.0.1",
        by["event_id"],
        done.interface,
    ):
        assert part in escalated["text"], escalated["text"]
    assert {"verdict BREACHED", "contained again", "verdict CONTAINED"} <= set(events(incident))
    report = world.client("s3", SECURITY).get_object(
        Bucket=world.outputs["evidence_bucket"], Key=incident["report_key"]
    )
    assert done.who in report["Body"].read().decode()
    # What was before the first containment, not what was before the second, is what a restore
    # brings back.
    assert human_request.ask(world.known, world.incident(name))["status"] == "RESTORED"
    assert world.look(victim).interfaces == before


def test_the_schedule_finds_what_no_event_told_and_looks_up_who(world: World) -> None:
    victim = world.plain(interfaces=2)
    name = _contained(world, victim)
    world.clock(trail=0)  # as without a trail
    done = undo_containment.undo(world.known, world.incident(name))
    assert world.look(victim).interfaces[done.interface] == done.groups
    assert world.checks(name) == []
    with _scheduled(world):
        incident = _again(world, name)
    assert_network_closed(world, victim)
    assert [actor["who"] for actor in incident["targets"][0]["breach"]["by"]] == [done.who]
    assert done.who in next(
        message["text"]
        for message in world.messages(name, "escalations")
        if message["event"] == "BREACHED"
    )


def test_in_approve_it_is_escalated_once_and_left_to_a_person(world: World) -> None:
    victim = world.plain()
    name = _contained(world, victim, APPROVE)
    done = undo_containment.undo(world.known, world.incident(name))
    world.until(lambda: world.incident(name)["status"] == "BREACHED", "it is breached")
    with _scheduled(world):
        world.until(
            lambda: len(world.checks(name)) >= 3,
            "it is checked again",
            60,
        )
    world.quiet(name)
    assert world.look(victim).interfaces[done.interface] == done.groups
    incident = world.incident(name)
    assert (incident["status"], incident["targets"][0]["status"]) == ("BREACHED", "BREACHED")
    [escalated] = [
        message for message in world.messages(name, "escalations") if message["event"] == "BREACHED"
    ]
    for part in (
        done.who,
        "a person decides",
        "start-execution",
        '"close": true',
        "the mode is approve",
    ):
        assert part in escalated["text"], escalated["text"]
    answer = human_request.ask(world.known, incident, close=True)
    assert answer["status"] == "CLOSED"


def test_what_still_holds_is_checked_without_a_trace(world: World) -> None:
    victim = world.plain()
    name = _contained(world, victim)
    notified, timeline = world.notified(name), events(world.incident(name))
    with _scheduled(world):
        world.until(
            lambda: "checked_at" in _meta(world, name),
            "it is checked",
            60,
        )
    world.quiet(name)
    assert (world.notified(name), events(world.incident(name))) == (notified, timeline)
    assert world.items(f"RESOURCE#{world.incident(name)['targets'][0]['arn']}") == [], (
        "the lease is given back"
    )
    transitions = Execution(world.aws, world.checks(name)[-1]["executionArn"]).transitions()
    assert transitions <= 15, "docs/watch.md tells what a check costs"
    print(f"state transitions of a check: {transitions}")


def test_a_closed_incident_is_watched_no_longer(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    victim, other = world.plain(), world.plain()
    name, watched = _contained(world, victim), _contained(world, other)
    assert cli.main(["close", name]) == 0
    assert cli.main(["breach", name]) == 0
    assert "back into" in capsys.readouterr().out
    with _scheduled(world):
        world.until(
            lambda: world.checks(watched),
            "the other one is checked",
            60,
        )
    assert world.checks(name) == []
    assert list(world.look(victim).interfaces.values()) == [[victim.security_group]]
    assert world.incident(name)["status"] == "CLOSED"


def test_a_restore_at_the_same_time_is_not_disturbed(world: World) -> None:
    """Checks begin all the time while a slow restore is at work: none calls it a breach, and
    none contains again.
    """
    victim = world.plain(interfaces=2)
    name = _contained(world, victim)
    world.fault(
        "ec2",
        "ModifyNetworkInterfaceAttribute",
        victim.interfaces[0],
        latency_ms=8000,
    )
    answers: list[Json] = []

    def restore() -> None:
        while not answers:
            try:
                answers.append(human_request.ask(world.known, world.incident(name)))
            except SandboxError as refused:  # a check has the resource at this moment
                assert "is being worked on" in str(refused)

    thread = threading.Thread(target=restore)
    with _scheduled(world):
        thread.start()
        world.until(
            lambda: world.checks(name),
            "it is checked meanwhile",
            60,
        )
        thread.join()
    world.quiet(name)
    assert answers[0]["status"] == "RESTORED"
    assert world.look(victim).interfaces == victim.groups
    assert "verdict BREACHED" not in events(world.incident(name))
    assert "BREACHED" not in world.notified(name)
    assert world.incident(name)["status"] == "RESTORED"

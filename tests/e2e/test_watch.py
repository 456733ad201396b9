"""Containment that stands is watched until a person closes the incident: undone, it is contained
again or escalated.
"""

from __future__ import annotations

import json
import threading
import time

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
    """CloudTrail tells, and the forwarder sends it on."""
    world.clock(trail=1)


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

    incident = world.until(there, f"incident {name} is contained again")
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
    # CloudTrail's times are whole seconds: what was attached within the second in which containment
    # was seen to hold could have undone it.
    time.sleep(1)
    name = _contained(world, victim)
    world.clock(trail=0)  # as without a trail
    done = undo_containment.undo(world.known, world.incident(name))
    world.spread()
    assert world.look(victim).interfaces[done.interface] == done.groups
    assert world.checks(name) == []
    world.check_now(name)
    incident = _again(world, name)
    assert_network_closed(world, victim)
    found = incident["targets"][0]["breach"]["by"]
    assert [actor["who"] for actor in found] == [done.who], found
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
    for _ in range(2):
        world.quiet(name)
        world.check_now(name)
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
    world.check_now(name)
    assert world.checks(name) == [], "no execution, so no state transition"
    assert (world.notified(name), events(world.incident(name))) == (notified, timeline)
    assert world.items(f"RESOURCE#{world.incident(name)['targets'][0]['arn']}") == []
    [due] = world.due(name)
    assert "claimed_until" not in due, "it is free for the next check"
    assert_network_closed(world, victim)


def test_a_person_may_have_it_verified_by_the_machine(world: World) -> None:
    name = _contained(world, world.plain())
    notified, timeline = world.notified(name), events(world.incident(name))
    execution = world.client("stepfunctions", SECURITY).start_execution(
        stateMachineArn=world.outputs["incident_state_machine_arn"],
        input=json.dumps({"watch": {"incident_id": name, "why": "a person"}}),
    )["executionArn"]
    started = Execution(world.aws, execution)
    world.until(lambda: started.status() != "RUNNING", "it is verified")
    assert started.status() == "SUCCEEDED"
    assert (world.notified(name), events(world.incident(name))) == (notified, timeline)
    assert world.items(f"RESOURCE#{world.incident(name)['targets'][0]['arn']}") == [], (
        "the lease is given back"
    )
    transitions = started.transitions()
    assert transitions <= 15, "docs/monitoring.md tells what a verification in the machine costs"
    print(f"state transitions of a recheck: {transitions}")


def test_a_closed_incident_is_watched_no_longer(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    victim, other = world.plain(), world.plain()
    name, watched = _contained(world, victim), _contained(world, other)
    assert cli.main(["close", name]) == 0
    assert cli.main(["breach", name]) == 0
    assert "back into" in capsys.readouterr().out
    assert world.due(name) == []
    world.check_now(watched)
    assert world.checks(name) == []
    assert list(world.look(victim).interfaces.values()) == [[victim.security_group]]
    assert world.incident(name)["status"] == "CLOSED"


def test_a_restore_at_the_same_time_is_not_disturbed(world: World) -> None:
    """A check comes while a slow restore is at work: it does not call that a breach, and does not
    contain again.
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
    thread.start()
    world.until(
        lambda: world.hits("ModifyNetworkInterfaceAttribute", victim.interfaces[0]),
        "it is being restored",
    )
    world.check_now(name)
    thread.join()
    world.quiet(name)
    assert answers[0]["status"] == "RESTORED"
    assert world.look(victim).interfaces == victim.groups
    assert "verdict BREACHED" not in events(world.incident(name))
    assert "BREACHED" not in world.notified(name)
    assert world.incident(name)["status"] == "RESTORED"

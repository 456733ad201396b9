"""AWS answers slowly, refuses or throttles: containment goes on, and the incident says what did
not work.
"""

from __future__ import annotations

import pytest

from tests.e2e.e2e_checks import assert_contained, assert_network_closed
from tests.e2e.e2e_world import MANNERS, MINING, PREFIX, World, actions, events


def test_throttling_is_waited_out(world: World) -> None:
    """Beyond what the SDK repeats by itself: the state machine repeats the verb."""
    victim = world.victim(interfaces=2)
    event = world.finding(victim)  # describes the instance
    world.fault("ec2", "DescribeInstances", victim.instance, error="RequestLimitExceeded", count=4)
    for interface in victim.interfaces:
        world.fault(
            "ec2",
            "ModifyNetworkInterfaceAttribute",
            interface,
            error="RequestLimitExceeded",
            count=1,
        )
    world.fault("iam", "PutRolePolicy", victim.instance, error="Throttling", count=1)
    incident = world.settled(world.send(event))
    assert world.hits("DescribeInstances", victim.instance) == 4, (
        "all that the SDK tries: the verb failed once"
    )
    assert world.hits("PutRolePolicy", victim.instance) == 1
    assert_contained(world, victim, incident)


@pytest.mark.parametrize("error", ["Lambda.ServiceException", "Sandbox.Timedout"])
def test_lambda_fails_and_is_called_again(world: World, error: str) -> None:
    """Lambda's own errors, and a function that runs out of its time, in every state that calls
    one.
    """
    victim = world.plain()
    event = world.finding(victim)
    sent_id = world.incident_id(event)
    # the first state of each machine has the finding, which names its id
    world.fault("lambda", "Invoke", event.detail["id"], error=error, count=2)
    for step_name in (
        "plan",
        "contain",
        "verify",
        "verdict",
        "evidence",
        "finish",
        "close",
        "announce",
    ):
        world.fault(
            "lambda",
            "Invoke",
            f'"verb": "{step_name}", "incident_id": "{sent_id}"',
            error=error,
            count=1,
        )
    sent = world.send(event)
    incident = world.settled(sent)
    assert world.hits("Invoke", event.detail["id"]) == 2
    assert_contained(world, victim, incident)
    assert world.notified(sent) == ["started", "CONTAINED", "closing"]


def test_snapshots_fail_and_delay_nothing(world: World) -> None:
    """The verdict is out before the snapshots even answer; their failure is told in the second
    message.
    """
    victim = world.plain()
    world.fault("ec2", "CreateSnapshots", victim.instance, latency_ms=3000, count=1)
    world.fault("ec2", "CreateSnapshots", victim.instance, error="UnauthorizedOperation")
    sent = world.send(world.finding(victim))
    incident = world.settled(sent)
    assert_network_closed(world, victim)
    assert world.snapshots(victim) == []
    assert incident["targets"][0]["status"] == "CONTAINED"
    assert actions(incident)["snapshot"] == "FAILED"
    [evidence] = [
        action for action in incident["targets"][0]["actions"] if action["name"] == "snapshot"
    ]
    assert "By hand: aws ec2 create-snapshots" in evidence["detail"]
    [verdict] = [entry for entry in incident["timeline"] if entry["event"] == "verdict CONTAINED"]
    if MANNERS:
        return  # the verdict waits longer than the snapshots hang
    assert verdict["at"] < evidence["at"]
    messages = {message["event"]: message for message in world.messages(sent)}
    assert messages["CONTAINED"]["at"][:23] < evidence["at"][:23], (
        "told before the snapshots had an answer"
    )
    last = world.messages(sent)[-1]
    assert "snapshot" in last["text"].split("Open tasks")[1]


def test_the_evidence_branch_dies_and_the_end_makes_up_for_it(world: World) -> None:
    """Containment does not notice; the snapshots are taken before the incident is closed."""
    victim = world.plain()
    event = world.finding(victim)
    world.fault(
        "lambda",
        "Invoke",
        f'"verb": "evidence", "incident_id": "{world.incident_id(event)}"',
        error="Boom",
    )
    incident = world.settled(world.send(event))
    assert_contained(world, victim, incident)
    notified = events(incident)
    assert "evidence failed" in notified
    assert notified.count("verdict CONTAINED") == 1


def test_what_lies_beside_the_network_fails_alone(world: World) -> None:
    """The role refuses its policy, the group its member: PARTIAL, with what to do by hand;
    everything else is done.
    """
    victim = world.victim(interfaces=1, target_group=False, elastic_ip=False)
    world.fault("iam", "PutRolePolicy", victim.instance, error="UnmodifiableEntity")
    world.fault("autoscaling", "DetachInstances", victim.instance, error="ValidationError")
    sent = world.send(world.finding(victim))
    incident = world.settled(sent)
    seen = assert_network_closed(world, victim)
    assert seen.profile == f"{PREFIX}-quarantine"
    assert incident["status"] == "PARTIAL"
    statuses = actions(incident)
    assert (statuses["revoke_sessions"], statuses["detach_auto_scaling"]) == ("FAILED", "FAILED")
    assert (statuses["quarantine_network"], statuses["replace_instance_profile"]) == (
        "DONE",
        "DONE",
    )
    [woken] = [
        message for message in world.messages(sent, "escalations") if message["event"] == "PARTIAL"
    ]
    left = woken["text"].split("Open tasks")[1]
    for part in ("revoke_sessions", "detach_auto_scaling", "aws autoscaling detach-instances"):
        assert part in left


def test_terminated_before(world: World) -> None:
    victim = world.plain()
    world.client("ec2").terminate_instances(InstanceIds=[victim.instance])
    sent = world.send(world.finding(victim))
    incident = world.settled(sent)
    assert incident["status"] == "GONE"
    assert victim.instance in incident["reasons"][-1]
    assert world.notified(sent) == ["GONE"]
    assert world.notified(sent, "escalations") == []


def test_terminated_meanwhile(world: World) -> None:
    """Gone between the plan and the change."""
    victim = world.plain()
    event = world.finding(victim)
    call = f'"verb": "contain", "incident_id": "{world.incident_id(event)}"'
    world.clock(waits=1)
    world.fault("lambda", "Invoke", call, error="Lambda.ServiceException", count=1)
    sent = world.send(event)
    world.until(lambda: world.hits("Invoke", call), "contain is called")
    world.client("ec2").terminate_instances(InstanceIds=[victim.instance])
    world.mend()
    incident = world.settled(sent)
    assert (incident["status"], incident["targets"][0]["status"]) == ("GONE", "GONE")
    assert incident["finding_type"] == MINING

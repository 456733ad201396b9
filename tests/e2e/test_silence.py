"""Nothing ends in silence: machines that die, records that stand still, events that cannot be
delivered.
"""

from __future__ import annotations

import json
import secrets

import pytest

from tests.e2e.e2e_checks import assert_network_closed
from tests.e2e.e2e_world import MEMBER, MINING, PREFIX, SECURITY, Json, World, events


def _told_dead(world: World, name: str, what: str) -> None:
    """Both topics heard that it failed, and why."""
    for topic in ("notifications", "escalations"):
        texts = [
            message["text"]
            for message in world.messages(name, topic)
            if message["event"] == "FAILED"
        ]
        assert len(texts) == 1, (topic, world.notified(name, topic))
        assert what in texts[0]


def test_a_machine_killed_midway_is_announced(world: World) -> None:
    victim = world.plain()
    world.fault(
        "ec2",
        "DescribeNetworkInterfaces",
        victim.instance,
        latency_ms=2500,
    )
    event = world.finding(victim)
    sent = world.send(event)
    world.status(sent, "CONTAINING")
    [execution] = [
        execution for execution in world.answers(sent) if execution.machine == f"{PREFIX}-incident"
    ]
    world.client("stepfunctions", SECURITY).stop_execution(
        executionArn=execution.arn, error="Killed", cause="by a test"
    )
    world.mend()
    incident = world.status(sent, "FAILED")
    assert execution.status() == "ABORTED"
    assert "execution failed" in events(incident)
    assert "ABORTED" in incident["reasons"][-1]
    assert incident["targets"][0]["status"] == "FAILED"
    world.until(lambda: "FAILED" in world.notified(sent, "escalations"), "people are woken")
    _told_dead(world, str(sent.incident_id), "ABORTED")

    # The dead execution's lease is taken over: the next emission contains.
    contained = world.settled(world.send(event, again=True))
    assert contained["status"] == "CONTAINED"
    assert_network_closed(world, victim)


def test_a_finding_that_rule_1_misses_is_answered_all_the_same(world: World) -> None:
    """The notice machine finds no claim, and starts the incident."""
    victim = world.plain()
    rules = world.client("events", SECURITY)
    rules.disable_rule(Name=f"{PREFIX}-act")
    try:
        sent = world.send(world.finding(victim))
    finally:
        rules.enable_rule(Name=f"{PREFIX}-act")
    assert [execution.machine for execution in world.answers(sent)] == [f"{PREFIX}-notice"]
    incident = world.status(sent, "CONTAINED")
    assert f":execution:{PREFIX}-incident:{sent.incident_id}-" in incident["execution"]
    assert_network_closed(world, victim)
    assert world.notified(sent)[0] == "started"


def test_a_record_nobody_works_on_is_swept(world: World) -> None:
    """An incident in progress whose execution is gone: found by the schedule, failed, told."""
    name = f"inc-{secrets.token_hex(8)}"
    execution = (
        f"arn:aws:states:us-east-1:{SECURITY}:execution:{PREFIX}-incident:{secrets.token_hex(8)}"
    )
    text = {
        "pk": f"INCIDENT#{name}",
        "sk": "META",
        "incident_id": name,
        "finding_id": "stale",
        "finding_type": MINING,
        "account_id": MEMBER,
        "region": "us-east-1",
        "title": "stale",
        "resource_type": "Instance",
        "mode": "auto",
        "status": "CONTAINING",
        "playbook": "ec2_instance",
        "execution": execution,
        "open": "1",
        "config_sha256": "",
        "opened_at": "2026-01-01T00:00:00.000000Z",
        "updated_at": "2026-01-01T00:00:00.000000Z",
    }
    item: Json = {key: {"S": value} for key, value in text.items()}
    item |= {
        "severity": {"N": "8"},
        "emissions": {"N": "1"},
        "reasons": {"L": []},
        "targets": {"L": []},
        "sample": {"BOOL": False},
    }
    world.client("dynamodb", SECURITY).put_item(TableName=world.outputs["table_name"], Item=item)
    with world.sweeping():
        world.status(name, "FAILED")
    _told_dead(world, name, "CONTAINING")
    assert "open" not in world.items(f"INCIDENT#{name}")[-1], (
        "it has left the index the sweeper reads"
    )


def test_a_finding_beyond_the_payload_limit_is_contained(world: World) -> None:
    """EventBridge takes it, Step Functions does not: it comes by the queue of undelivered
    events, as a pointer.
    """
    victim = world.plain()
    event = world.finding(victim, service__additionalInfo={"padding": "x" * 300_000})
    sent = world.send(event)
    assert world.answers(sent) == [], "no machine takes an input of this size"
    incident = world.status(sent, "CONTAINED")
    assert_network_closed(world, victim)
    world.until(lambda: "closing" in world.notified(sent), "it is closed")
    described = world.client("stepfunctions", SECURITY).describe_execution(
        executionArn=incident["execution"]
    )
    assert list(json.loads(described["input"])) == ["finding_key"], "the machine got a pointer"
    assert world.notified(sent).count("started") == 1


def _dead_letter(world: World, finding_id: str) -> Json:
    """The dead letter about a finding: its body, its REASON; taken out of the queue."""
    sqs = world.client("sqs", SECURITY)
    queue = world.outputs["dead_letters_queue_url"]
    while found := sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    ).get("Messages"):
        for letter in found:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=letter["ReceiptHandle"])
            body = json.loads(letter["Body"])
            if key := body.get("finding_key"):
                stored = world.client("s3", SECURITY).get_object(
                    Bucket=world.outputs["evidence_bucket"], Key=key
                )
                body = json.loads(stored["Body"].read())
            if body.get("detail", {}).get("id") == finding_id:
                return {
                    "event": body,
                    "reason": letter["MessageAttributes"]["REASON"]["StringValue"],
                }
    pytest.fail(f"no dead letter about finding {finding_id}")


@pytest.mark.parametrize("size", [10, 300_000], ids=["small", "beyond 256 KiB"])
def test_what_cannot_be_delivered_is_kept_and_told(world: World, size: int) -> None:
    """The queue's consumer cannot start a machine either: a dead letter, with its reason, and
    people know.
    """
    event = world.finding(world.plain(), service__additionalInfo={"padding": "x" * size})
    name = world.incident_id(event)
    world.fault(
        "states",
        "StartExecution",
        name,
        error="StateMachineDoesNotExist",
    )
    if size > 262_144:
        world.send(event)
    else:  # what EventBridge gives up after a day
        body = {
            "source": "aws.guardduty",
            "detail-type": "GuardDuty Finding",
            "detail": event.detail,
        }
        queue = world.outputs["undelivered_queue_url"]
        world.client("sqs", SECURITY).send_message(QueueUrl=queue, MessageBody=json.dumps(body))
    # People are told before the status moves.
    incident = world.status(name, "FAILED")
    assert world.notified(name, "escalations") == ["FAILED"]
    assert "starting the response again failed too" in incident["reasons"][-1]
    assert world.hits("StartExecution", name) > 0
    letter = _dead_letter(world, event.detail["id"])
    assert letter["event"]["detail"] == event.detail, "the event itself is kept"
    assert "StateMachineDoesNotExist" in letter["reason"] or "could not deliver" in letter["reason"]


def test_the_topic_is_broken_and_the_incident_goes_on(world: World) -> None:
    """Every message fails: the incident comes to its end all the same, and people hear of all of
    it, once, when the topic takes messages again.
    """
    victim = world.plain()
    event = world.finding(victim)
    name = world.incident_id(event)
    world.fault(
        "sns",
        "Publish",
        name,
        error="AuthorizationErrorException",
        status=403,
    )
    sent = world.send(event)
    ended = world.ended(sent)
    assert_network_closed(world, victim)
    assert ended["incident"].status() == "SUCCEEDED"
    incident = world.incident(sent)
    assert (incident["status"], world.messages(sent)) == ("CONTAINED", [])
    assert events(incident).count("message waits") == 3
    world.control("DELETE", "faults")
    with world.sweeping():
        world.until(lambda: "closing" in world.notified(sent), "what waits is sent")
    assert world.notified(sent) == ["started", "CONTAINED", "closing"]
    assert world.notified(sent, "escalations") == []
    assert world.incident(sent)["status"] == "CONTAINED"

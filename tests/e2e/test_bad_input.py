"""What is no proper finding has a recorded, announced, clear outcome, or none when it is not the
response's business.
"""

from __future__ import annotations

import json
import secrets
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.findings import Event
from tests.e2e.e2e_checks import assert_untouched
from tests.e2e.e2e_world import MEMBER, MINING, PREFIX, SECURITY, Json, World


def _newest(world: World, since: float) -> Json:
    """The incident recorded since (seconds of the epoch)."""
    at = (
        datetime.fromtimestamp(since, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    )
    found: Json = world.until(lambda: world.incidents.opened_since(at), "an incident is recorded")
    return found


MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "empty detail": ({}, "lacks a usable id, type, accountId, region ("),
    "no id": (
        {"type": MINING, "accountId": MEMBER, "region": "us-east-1", "severity": 8},
        "lacks a usable id",
    ),
    "no type": (
        {"id": "x", "accountId": MEMBER, "region": "us-east-1", "severity": 8},
        "lacks a usable type",
    ),
    "severity is a word": (
        {
            "id": "word",
            "type": MINING,
            "accountId": MEMBER,
            "region": "us-east-1",
            "severity": "High",
        },
        "not a number from 0 to 10",
    ),
    "lists where objects belong": (
        {"id": ["x"], "type": {"a": 1}, "accountId": [], "resource": [], "service": "no"},
        "lacks a usable id, type",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_findings_are_recorded_and_told_once(world: World, name: str) -> None:
    detail, sentence = MALFORMED[name]
    began = time.time()
    sent = world.send(Event("aws.guardduty", "GuardDuty Finding", detail))
    ended = world.ended(sent)
    assert {execution.status() for execution in ended.values()} <= {"SUCCEEDED"}
    incident = _newest(world, began)
    assert incident["status"] == "SKIPPED"
    assert sentence in incident["reasons"][0]
    assert "look at it in the GuardDuty console" in incident["reasons"][0]
    assert world.notified(incident["incident_id"]) == ["SKIPPED"], (
        "once, however many machines got it"
    )


def test_no_instance_id(world: World) -> None:
    """An acting finding that names nothing to act on is FAILED: people must look."""
    for value in (..., None, "", "not-an-instance", 7):
        event = world.finding("i-00000000000000001")
        details = event.detail["resource"]["instanceDetails"]
        details.pop("instanceId")
        if value is not ...:
            details["instanceId"] = value
        sent = world.send(event)
        incident = world.settled(sent)
        assert incident["status"] == "FAILED", value
        assert "names no instance" in incident["reasons"][-1]
        assert world.notified(sent, "escalations") == ["FAILED"]


def test_an_instance_that_never_was(world: World) -> None:
    bare: dict[str, Any] = {"resource__instanceDetails__iamInstanceProfile": None}
    sent = world.send(world.finding("i-0123456789abcdef0", **bare))
    incident = world.settled(sent)
    assert incident["status"] == "GONE"
    assert "i-0123456789abcdef0" in incident["reasons"][-1]


OTHERS = {
    "another service": Event("aws.s3", "Object Created", {"bucket": {"name": "b"}, "type": MINING}),
    "another GuardDuty event": Event(
        "aws.guardduty",
        "GuardDuty Malware Protection Object Scan Result",
        {"s3ObjectDetails": {"bucketName": "b"}},
    ),
    "somebody pretending": Event(
        "my.guardduty", "GuardDuty Finding", {"type": MINING, "accountId": MEMBER, "id": "x"}
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_events_are_left_alone(world: World, name: str) -> None:
    known = len(world.incidents.all())
    sent = world.send(OTHERS[name])
    assert world.answers(sent) == []
    assert len(world.incidents.all()) == known


@pytest.mark.parametrize("machine", ["incident", "notice"])
def test_another_services_event_started_by_hand(world: World, machine: str) -> None:
    """Whoever starts a machine with something else learns what is wrong with it, and so do
    people.
    """
    began = time.time()
    states = world.client("stepfunctions", SECURITY)
    event = {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": secrets.token_hex(8)},
    }
    arn = states.start_execution(
        stateMachineArn=world.outputs[f"{machine}_state_machine_arn"], input=json.dumps(event)
    )["executionArn"]
    world.until(
        lambda: states.describe_execution(executionArn=arn)["status"] == "SUCCEEDED",
        "the execution ends",
    )
    incident = _newest(world, began)
    assert incident["status"] == "SKIPPED"
    assert "is not a GuardDuty finding; nothing was done" in incident["reasons"][0]
    assert world.notified(incident["incident_id"]) == ["SKIPPED"]


def test_a_pointer_out_of_the_evidence_leads_nowhere(world: World) -> None:
    """A hand-made input cannot make the response read other objects."""
    began = time.time()
    states = world.client("stepfunctions", SECURITY)
    arn = states.start_execution(
        stateMachineArn=world.outputs["incident_state_machine_arn"],
        input=json.dumps({"finding_key": f"../{secrets.token_hex(8)}"}),
    )["executionArn"]
    world.until(
        lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING",
        "the execution ends",
    )
    incident = _newest(world, began)
    assert (incident["status"], incident["targets"]) == ("SKIPPED", [])


def _new_environments(world: World) -> None:
    """No warm function is left: the next call of each reads the configuration document anew."""
    functions = world.client("lambda", SECURITY)
    for name in (f"{PREFIX}-incident", f"{PREFIX}-watchdog", f"{PREFIX}-playbook-ec2-instance"):
        timeout = functions.get_function_configuration(FunctionName=name)["Timeout"]
        functions.update_function_configuration(FunctionName=name, Timeout=timeout)


def test_a_document_changed_by_hand_stops_everything(world: World) -> None:
    """Whoever can write the table cannot change the policy: nothing acts, and people are woken."""
    victim = world.plain()
    before = world.look(victim)
    dynamodb = world.client("dynamodb", SECURITY)
    place = {"TableName": world.outputs["table_name"]}
    item = world.document()
    key, document = {name: item[name] for name in ("pk", "sk")}, item["document"]["S"]
    forged = document.replace('"Trojan:EC2/*":"dry_run"', '"Trojan:EC2/*":"auto"')
    assert forged != document
    try:
        dynamodb.put_item(Item={**key, "document": {"S": forged}}, **place)
        _new_environments(world)
        sent = world.send(world.finding(victim, "Trojan:EC2/DNSDataExfiltration"))
        world.ended(sent)
        failed = world.status(sent, "FAILED")
    finally:
        dynamodb.put_item(Item={**key, "document": {"S": document}}, **place)
        _new_environments(world)
    assert_untouched(world, victim, before)
    assert "changed it outside Terraform" in failed["reasons"][-1]
    assert "FAILED" in world.notified(sent, "escalations")

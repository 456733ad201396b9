"""What was applied is what was built and planned: the committed zips, the pinned document, where
every failure goes.
"""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from tests.e2e.e2e_world import PREFIX, SECURITY, World
from tests.support.repository import ROOT

COMMON = {
    "AWS_STS_REGIONAL_ENDPOINTS",
    "GDR_TABLE",
    "GDR_BUCKET",
    "GDR_CONFIG_SHA256",
    "GDR_NAME_PREFIX",
    "GDR_MESSAGES_A_MINUTE",
    "GDR_MONITOR_INTERVALS",
}
TOPICS = {"GDR_TOPIC_ARN", "GDR_ESCALATION_TOPIC_ARN"}
FUNCTIONS = {
    "incident": ("incident", COMMON | TOPICS),
    "watchdog": (
        "watchdog",
        COMMON
        | TOPICS
        | {"GDR_INCIDENT_MACHINE_ARN", "GDR_NOTICE_MACHINE_ARN", "GDR_DEAD_LETTERS_URL"}
        | {"GDR_EXPECTED_SUBSCRIPTIONS"}
        | {"GDR_MONITOR_FUNCTIONS", "GDR_MONITOR_IN_FLIGHT", "GDR_PLAYBOOK_FUNCTIONS"},
    ),
    "playbook-ec2-instance": (
        "playbook_ec2_instance",
        COMMON | {"GDR_PLAYBOOK", "GDR_RESPONDER_ROLE", "GDR_ORGANIZATION_ID"},
    ),
    "monitor-ec2-instance": (
        "monitor_ec2_instance",
        COMMON
        | {"GDR_PLAYBOOK", "GDR_RESPONDER_ROLE", "GDR_MONITOR_ROLE", "GDR_ORGANIZATION_ID"}
        | {"GDR_INCIDENT_MACHINE_ARN"},
    ),
    "restore-ec2-instance": (
        "restore_ec2_instance",
        COMMON | TOPICS | {"GDR_PLAYBOOK", "GDR_RESPONDER_ROLE", "GDR_ORGANIZATION_ID"},
    ),
    "remediate-iam-principal": (
        "remediate_iam_principal",
        COMMON | {"GDR_PLAYBOOK", "GDR_RESPONDER_ROLE", "GDR_ORGANIZATION_ID"},
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_run_the_committed_zips_with_terraforms_environment(
    world: World, name: str
) -> None:
    zip_name, wanted = FUNCTIONS[name]
    shown = world.client("lambda", SECURITY).get_function_configuration(
        FunctionName=f"{PREFIX}-{name}"
    )
    digest = hashlib.sha256(
        (ROOT / "lambda_src" / "dist" / f"{zip_name}.zip").read_bytes()
    ).digest()
    assert shown["CodeSha256"] == base64.b64encode(digest).decode(), (
        "rebuilt since it was applied? Apply again."
    )
    variables = shown["Environment"]["Variables"]
    assert set(variables) - {"GDR_ORGANIZATION_ID"} == wanted - {"GDR_ORGANIZATION_ID"}
    assert variables["GDR_CONFIG_SHA256"] == world.outputs["config_sha256"]
    assert variables["GDR_TABLE"] == world.outputs["table_name"]
    # Only monitoring's member role has the name of its function.
    role = name.replace("monitor-", "monitor-function-")
    assert shown["Role"].endswith(f"/{PREFIX}-{role}")


def test_the_document_is_the_one_that_is_pinned(world: World) -> None:
    item = world.document()
    text = item["document"]["S"]
    assert hashlib.sha256(text.encode()).hexdigest() == world.outputs["config_sha256"]
    assert json.loads(text)["remediations"]["CryptoCurrency:EC2/BitcoinTool.B"] == "off"


def test_every_failure_has_a_place_to_go(world: World) -> None:
    """Rules' targets, the undelivered queue, the watchdog's own asynchronous calls."""
    undelivered, dead = (
        world.outputs["undelivered_queue_arn"],
        world.outputs["dead_letters_queue_arn"],
    )
    events = world.client("events", SECURITY)
    places = {
        rule: target["DeadLetterConfig"]["Arn"]
        for rule in (
            f"{PREFIX}-act",
            f"{PREFIX}-notice",
            f"{PREFIX}-execution-status",
            f"{PREFIX}-sweeper",
            f"{PREFIX}-outbox",
        )
        for target in events.list_targets_by_rule(Rule=rule)["Targets"]
    }
    for rule in ("sweeper", "outbox"):
        assert places.pop(f"{PREFIX}-{rule}") == dead
    assert set(places.values()) == {undelivered}
    assert len(places) == 3
    sqs = world.client("sqs", SECURITY)
    found = sqs.get_queue_attributes(
        QueueUrl=world.outputs["undelivered_queue_url"], AttributeNames=["RedrivePolicy"]
    )
    assert json.loads(found["Attributes"]["RedrivePolicy"])["deadLetterTargetArn"] == dead
    watchdog = world.client("lambda", SECURITY).get_function_configuration(
        FunctionName=f"{PREFIX}-watchdog"
    )
    assert watchdog["DeadLetterConfig"]["TargetArn"] == dead
    [mapping] = world.client("lambda", SECURITY).list_event_source_mappings(
        FunctionName=f"{PREFIX}-watchdog"
    )["EventSourceMappings"]
    assert mapping["EventSourceArn"] == undelivered
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]

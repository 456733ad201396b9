"""A member account's forwarder is the same whether Terraform or CloudFormation makes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.planned_policies import Expression, planned_changes
from tests.terraform.plan.member_twins import substituted

pytestmark = pytest.mark.terraform
Json = dict[str, Any]
# The mocked provider's
ACCOUNT, REGION = "111111111111", "eu-central-1"
SECURITY = "999999999999"
BUS = f"arn:aws:events:us-east-1:{SECURITY}:event-bus/default"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:ours"
TAGS = {"team": "security", "cost:centre": "é"}
ROOT: Json = {
    "name_prefix": "gdr",
    "organization_id": "o-sandbox001",
    "iam": {"path": "/security/"},
    "remediations": {"*": "auto"},
    "event_forwarding": {"from_organization": True},
    "notifications": {"expected_subscriptions": 1},
}
# The root's value, from another account than that of the forwarder
HANDED_OVER = Expression(
    f'merge(run.root.for_member_accounts, {{ security_account_id = "{SECURITY}", forwarder ='
    f' merge(run.root.for_member_accounts.forwarder, {{ event_bus_arn = "{BUS}" }}) }})'
)
RUNS: dict[str, tuple[str, Json]] = {
    "root": ("", ROOT),
    "terraform": (
        "region-forwarder",
        {
            "for_member_accounts": HANDED_OVER,
            "permissions_boundary": BOUNDARY,
            "alarm_topic_arns": [TOPIC],
            "tags": TAGS,
        },
    ),
    "cloudformation": (
        "responder-stackset",
        {
            "for_member_accounts": HANDED_OVER,
            "permissions_boundary": BOUNDARY,
            "organizational_units": {"all": "r-ab12"},
            "forwarder_regions": [REGION],
            "alarm_topic_names": ["ours"],
            "tags": TAGS,
        },
    ),
}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Json]]:
    """Run -> address -> planned attributes."""
    changes = planned_changes(tmp_path_factory.mktemp("forwarders"), RUNS)
    return {
        run: {change["address"]: change["change"]["after"] for change in found}
        for run, found in changes.items()
    }


@pytest.fixture(scope="module")
def template(planned: dict[str, dict[str, Json]]) -> Json:
    """The template in the member's Region: logical id -> resource."""
    text = planned["cloudformation"]["aws_cloudformation_stack_set.forwarders[0]"]["template_body"]
    made: Json = substituted(json.loads(text), ACCOUNT, REGION)
    assert "${" not in json.dumps(made)
    return dict(made["Resources"])


def _properties(template: Json, kind: str) -> list[Json]:
    return [resource["Properties"] for resource in template.values() if resource["Type"] == kind]


def _tags(properties: Json) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties["Tags"]}


def test_the_same_rules_with_the_same_targets(
    planned: dict[str, dict[str, Json]], template: Json
) -> None:
    """Every call that the security account's own rules listen to, to its bus, with the same
    retries. A second role or queue there is none that a target could name.
    """
    plan = planned["terraform"]
    by_terraform = {}
    for key in ("changes", "changes-2"):
        rule = plan[f'aws_cloudwatch_event_rule.this["{key}"]']
        target = plan[f'aws_cloudwatch_event_target.this["{key}"]']
        [retries] = target["retry_policy"]
        by_terraform[rule["name"]] = {
            "description": rule["description"],
            "pattern": json.loads(rule["event_pattern"]),
            "target": [target["target_id"], target["arn"]],
            "retries": [retries["maximum_event_age_in_seconds"], retries["maximum_retry_attempts"]],
        }
    by_cloudformation = {}
    for rule in _properties(template, "AWS::Events::Rule"):
        [target] = rule["Targets"]
        by_cloudformation[rule["Name"]] = {
            "description": rule["Description"],
            "pattern": rule["EventPattern"],
            "target": [target["Id"], target["Arn"]],
            "retries": [
                target["RetryPolicy"]["MaximumEventAgeInSeconds"],
                target["RetryPolicy"]["MaximumRetryAttempts"],
            ],
        }
        assert target["RoleArn"] == {"Fn::GetAtt": ["ForwarderRole", "Arn"]}
        assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["UndeliveredQueue", "Arn"]}}
    assert by_cloudformation == by_terraform
    assert len([address for address in plan if "aws_cloudwatch_event_rule" in address]) == 2
    own = [
        json.loads(rule["event_pattern"])
        for address, rule in planned["root"].items()
        if address.startswith("module.incident[0].aws_cloudwatch_event_rule.changes[")
    ]
    assert [rule["pattern"] for rule in by_terraform.values()] == own


def test_the_same_role(planned: dict[str, dict[str, Json]], template: Json) -> None:
    role = planned["terraform"]["aws_iam_role.this"]
    policy = planned["terraform"]["aws_iam_role_policy.this"]
    [made] = _properties(template, "AWS::IAM::Role")
    assert made["RoleName"] == role["name"] == f"gdr-forwarder-{REGION}"
    assert made["Description"] == role["description"]
    assert made["Path"] == role["path"] == "/security/"
    assert made["PermissionsBoundary"] == role["permissions_boundary"] == BOUNDARY
    assert made["AssumeRolePolicyDocument"] == json.loads(role["assume_role_policy"])
    assert made["Policies"] == [
        {"PolicyName": policy["name"], "PolicyDocument": json.loads(policy["policy"])}
    ]
    assert _tags(made) == role["tags"] == TAGS


def test_the_same_queue(planned: dict[str, dict[str, Json]], template: Json) -> None:
    queue = planned["terraform"]["aws_sqs_queue.undelivered"]
    [made] = _properties(template, "AWS::SQS::Queue")
    [policy] = _properties(template, "AWS::SQS::QueuePolicy")
    assert made["QueueName"] == queue["name"]
    assert made["MessageRetentionPeriod"] == queue["message_retention_seconds"]
    assert made["SqsManagedSseEnabled"] is queue["sqs_managed_sse_enabled"] is True
    assert _tags(made) == queue["tags"]
    assert policy["Queues"] == [{"Ref": "UndeliveredQueue"}]
    assert policy["PolicyDocument"] == json.loads(queue["policy"])


def test_the_same_alarm(planned: dict[str, dict[str, Json]], template: Json) -> None:
    alarm = planned["terraform"]["aws_cloudwatch_metric_alarm.undelivered"]
    [made] = _properties(template, "AWS::CloudWatch::Alarm")
    assert [made["AlarmName"], made["AlarmDescription"]] == [
        alarm["alarm_name"],
        alarm["alarm_description"],
    ]
    assert [made["Namespace"], made["MetricName"], made["Statistic"]] == [
        alarm["namespace"],
        alarm["metric_name"],
        alarm["statistic"],
    ]
    assert [made["Period"], made["EvaluationPeriods"], made["Threshold"]] == [
        alarm["period"],
        alarm["evaluation_periods"],
        alarm["threshold"],
    ]
    assert [made["ComparisonOperator"], made["TreatMissingData"]] == [
        alarm["comparison_operator"],
        alarm["treat_missing_data"],
    ]
    assert made["Dimensions"] == [
        {"Name": "QueueName", "Value": {"Fn::GetAtt": ["UndeliveredQueue", "QueueName"]}}
    ]
    assert made["AlarmActions"] == alarm["alarm_actions"] == [TOPIC]
    assert _tags(made) == alarm["tags"]


def test_nothing_else_is_in_either(planned: dict[str, dict[str, Json]], template: Json) -> None:
    kinds = sorted(resource["Type"] for resource in template.values())
    assert kinds == [
        "AWS::CloudWatch::Alarm",
        "AWS::Events::Rule",
        "AWS::Events::Rule",
        "AWS::IAM::Role",
        "AWS::SQS::Queue",
        "AWS::SQS::QueuePolicy",
    ]
    # The queue's policy and the targets of the rules are resources of their own on one side.
    assert len(planned["terraform"]) == 8
    assert {resource["Condition"] for resource in template.values()} == {"MemberAccount"}


def test_the_template_fits_into_a_call(planned: dict[str, dict[str, Json]]) -> None:
    text = planned["cloudformation"]["aws_cloudformation_stack_set.forwarders[0]"]["template_body"]
    assert len(text.encode()) < 51200


def test_no_account_but_the_security_account_is_in_it(
    planned: dict[str, dict[str, Json]],
) -> None:
    """One template for every account and Region: the Region of the bus alone is in it."""
    text = planned["cloudformation"]["aws_cloudformation_stack_set.forwarders[0]"]["template_body"]
    assert ACCOUNT not in text and SECURITY in text
    assert REGION not in text

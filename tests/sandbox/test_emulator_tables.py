"""A state machine reads and writes items itself: AWS's error names, and its role's power only."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import ALLOW_ALL, SECURITY, Control, Identity
from tests.support.patience import until

Machine = Callable[..., str]
Run = Callable[..., dict[str, Any]]
CONDITION = "attribute_not_exists(pk)"


@pytest.fixture(scope="module")
def table(aws: Aws) -> Iterator[str]:
    dynamodb, name = aws.client("dynamodb", SECURITY), f"claims-{uuid.uuid4().hex[:8]}"
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.fixture
def run(aws: Aws, machine: Machine, identity: Identity) -> Run:
    """Runs a machine of one task; its result, or the error it caught."""

    def start(operation: str, policy: Any = ALLOW_ALL, **arguments: object) -> dict[str, Any]:
        caught = {
            "ErrorEquals": ["States.ALL"],
            "Output": "{% $states.errorOutput %}",
            "Next": "Caught",
        }
        task = {
            "Type": "Task",
            "Resource": f"arn:aws:states:::dynamodb:{operation}",
            "Arguments": arguments,
            "Catch": [caught],
            "End": True,
        }
        role = identity.role(policy, account=SECURITY, service="states.amazonaws.com")
        arn = machine({"Call": task, "Caught": {"Type": "Succeed"}}, "Call", role=role)
        states = aws.client("stepfunctions", SECURITY)
        execution = states.start_execution(stateMachineArn=arn, input="{}")["executionArn"]
        until(
            lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING",
            f"{execution} ends",
        )
        shown = states.describe_execution(executionArn=execution)
        output: dict[str, Any] = json.loads(shown["output"])
        return output

    return start


def _key(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}}


@pytest.mark.smoke
def test_a_conditional_put_is_won_once_and_lost_by_its_name(run: Run, table: str) -> None:
    """The key is a hash, as the incident machine makes it."""
    key = {"pk": {"S": "{% 'A#' & $substring($hash('abc', 'SHA-256'), 0, 16) %}"}}
    put = {"TableName": table, "Item": key, "ConditionExpression": CONDITION}
    assert "Error" not in run("putItem", **put)
    assert run("putItem", **put)["Error"] == "DynamoDB.ConditionalCheckFailedException"
    found = run("getItem", TableName=table, Key=_key("A#ba7816bf8f01cfea"), ConsistentRead=True)
    assert found["Item"] == _key("A#ba7816bf8f01cfea")
    assert "Item" not in run("getItem", TableName=table, Key=_key("A#other"))


def test_an_update_that_must_find_an_item_is_refused_by_its_name(run: Run, table: str) -> None:
    update = {
        "TableName": table,
        "Key": _key("B#1"),
        "UpdateExpression": "ADD n :n",
        "ConditionExpression": "attribute_exists(pk)",
        "ExpressionAttributeValues": {":n": {"N": "1"}},
    }
    assert run("updateItem", **update)["Error"] == "DynamoDB.ConditionalCheckFailedException"


def test_the_role_must_allow_it_for_these_keys(run: Run, table: str) -> None:
    allowed = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "dynamodb:PutItem",
                "Resource": f"arn:aws:dynamodb:*:{SECURITY}:table/{table}",
                "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["A#*"]}},
            }
        ],
    }
    assert "Error" not in run("putItem", allowed, TableName=table, Item=_key("A#2"))
    for operation, key in (("putItem", {"Item": _key("B#2")}), ("getItem", {"Key": _key("A#2")})):
        refused = run(operation, allowed, TableName=table, **key)
        assert refused["Error"] == "DynamoDB.AmazonDynamoDBException"
        assert "is not authorized to perform: dynamodb:" in refused["Cause"]


def test_a_fault_has_the_integrations_name(run: Run, table: str, control: Control) -> None:
    fault = {"service": "dynamodb", "action": "PutItem", "error": "ThrottlingException"}
    control("POST", "faults", {**fault, "resource": "C#fault"})
    failed = run("putItem", TableName=table, Item=_key("C#fault"))
    assert failed["Error"] == "DynamoDB.ThrottlingException"

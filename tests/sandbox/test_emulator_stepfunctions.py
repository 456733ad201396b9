"""Step Functions runs JSONata machines as AWS does, and executions end when they should."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import (
    ALLOW_ALL,
    SECURITY,
    Control,
    Identity,
    allow,
    mail_policy,
)
from tests.support.patience import until

Machine = Callable[..., str]
Function = Callable[..., str]


class Runner:
    def __init__(self, aws: Aws) -> None:
        self.states = aws.client("stepfunctions", SECURITY)

    def start(self, machine: str, data: object = None, **extra: str) -> str:
        started = self.states.start_execution(
            stateMachineArn=machine, input=json.dumps(data or {}), **extra
        )
        return str(started["executionArn"])

    def finish(self, execution: str) -> dict[str, Any]:
        def over() -> Any:
            shown = self.states.describe_execution(executionArn=execution)
            return shown if shown["status"] != "RUNNING" else None

        shown: dict[str, Any] = until(over, f"{execution} ends")
        return shown

    def run(self, machine: str, data: object = None) -> Any:
        shown = self.finish(self.start(machine, data))
        assert shown["status"] == "SUCCEEDED", shown
        return json.loads(shown["output"])

    def events(self, execution: str) -> list[dict[str, Any]]:
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]


@pytest.fixture(scope="module")
def runner(aws: Aws) -> Runner:
    return Runner(aws)


@pytest.fixture(scope="module")
def echo(function: Function) -> str:
    return function("def handler(event, context):\n    return event\n")


def task(arn: str, payload: object, **extra: Any) -> dict[str, Any]:
    arguments = {"FunctionName": arn, "Payload": payload}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": arguments,
        "End": True,
        **extra,
    }


def alone(state: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": "One", "States": {"One": state}}


@pytest.mark.smoke
def test_succeed_honours_output(runner: Runner, machine: Machine) -> None:
    assert runner.run(
        machine({"S": {"Type": "Succeed", "Output": {"a": "{% $states.input.b %}"}}}, "S"), {"b": 1}
    ) == {"a": 1}


def test_parallel_under_jsonata(runner: Runner, machine: Machine) -> None:
    def branch(value: int) -> dict[str, Any]:
        first = {"Type": "Pass", "Assign": {"v": value}, "Next": "Later"}
        later = {"Type": "Pass", "Output": "{% $v + $states.input.add %}", "End": True}
        return {"StartAt": "First", "States": {"First": first, "Later": later}}

    parallel = {
        "Type": "Parallel",
        "Arguments": {"add": "{% $states.input.n * 10 %}"},
        "Branches": [branch(1), branch(2)],
        "Output": {"sums": "{% $states.result %}"},
        "Assign": {"total": "{% $sum($states.result) %}"},
        "Next": "Show",
    }
    show = {
        "Type": "Pass",
        "Output": {"got": "{% $states.input.sums %}", "total": "{% $total %}"},
        "End": True,
    }
    assert runner.run(machine({"P": parallel, "Show": show}, "P"), {"n": 5}) == {
        "got": [51, 52],
        "total": 103,
    }


def test_the_first_failing_branch_fails_the_parallel(runner: Runner, machine: Machine) -> None:
    fail = alone({"Type": "Fail", "Error": "Broken", "Cause": "at once"})
    slow = alone({"Type": "Wait", "Seconds": 20, "End": True})
    caught = {
        "ErrorEquals": ["States.ALL"],
        "Output": "{% $states.errorOutput.Error %}",
        "Next": "Done",
    }
    states = {
        "P": {"Type": "Parallel", "Branches": [slow, fail], "Catch": [caught], "End": True},
        "Done": {"Type": "Succeed"},
    }
    began = time.monotonic()
    assert runner.run(machine(states, "P")) == "Broken"
    assert time.monotonic() - began < 10


def test_history_of_map_and_parallel(runner: Runner, machine: Machine, echo: str) -> None:
    inner = {
        "Type": "Parallel",
        "Branches": [alone(task(echo, {"x": 1})), alone({"Type": "Pass", "End": True})],
        "End": True,
    }
    states = {
        "M": {
            "Type": "Map",
            "Items": [1, 2],
            "ItemProcessor": {"StartAt": "P", "States": {"P": inner}},
            "End": True,
        }
    }
    execution = runner.start(machine(states, "M"))
    runner.finish(execution)
    events = runner.events(execution)
    entered = [
        event["stateEnteredEventDetails"]["name"]
        for event in events
        if event["type"].endswith("StateEntered")
    ]
    assert sorted(entered) == ["M", "One", "One", "One", "One", "P", "P"]
    exited = [event for event in events if event["type"].endswith("StateExited")]
    assert len(exited) == len(entered)
    types = {event["type"] for event in events}
    assert types >= {
        "MapStateStarted",
        "MapStateSucceeded",
        "ParallelStateStarted",
        "ParallelStateSucceeded",
        "TaskStarted",
    }


def test_a_machine_times_out_and_says_so(aws: Aws, runner: Runner, machine: Machine) -> None:
    queue = watch(aws)
    execution = runner.start(
        machine({"W": {"Type": "Wait", "Seconds": 30, "End": True}}, "W", TimeoutSeconds=1)
    )
    assert runner.finish(execution)["status"] == "TIMED_OUT"
    assert "ExecutionTimedOut" in {event["type"] for event in runner.events(execution)}
    until(lambda: "TIMED_OUT" in statuses(aws, queue, execution), "the time-out is told")
    time.sleep(0.5)
    assert runner.finish(execution)["status"] == "TIMED_OUT"


def watch(aws: Aws) -> str:
    """Return a queue that gets execution status changes; returns its URL."""
    events = aws.client("events", SECURITY)
    sqs = aws.client("sqs", SECURITY)
    name = f"status-{time.monotonic_ns()}"
    rule = events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.states"]}))[
        "RuleArn"
    ]
    arn = f"arn:aws:sqs:us-east-1:{SECURITY}:{name}"
    policy = allow("sqs:SendMessage", arn, ArnEquals={"aws:SourceArn": rule})
    policy["Statement"][0]["Principal"] = {"Service": "events.amazonaws.com"}
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)})["QueueUrl"]
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn}])
    return str(url)


def statuses(aws: Aws, queue: str, execution: str) -> list[str]:
    answer = aws.client("sqs", SECURITY).receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    details = [json.loads(message["Body"])["detail"] for message in answer.get("Messages", [])]
    return [detail["status"] for detail in details if detail["executionArn"] == execution]


def test_stopping_stops(aws: Aws, runner: Runner, machine: Machine, function: Function) -> None:
    table = f"calls-{time.monotonic_ns()}"
    dynamodb = aws.client("dynamodb", SECURITY)
    dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    count = function(
        "import boto3\nt = boto3.client('dynamodb')\ndef handler(event, context):\n   "
        f" t.update_item(TableName='{table}', Key={{'pk': {{'S': 'n'}}}}, UpdateExpression='ADD n"
        " :one', ExpressionAttributeValues={':one': {'N': '1'}})\n"
    )
    call = {**task(count, {}), "Next": "Again"}
    del call["End"]
    loop = {
        "StartAt": "Call",
        "States": {"Call": call, "Again": {"Type": "Wait", "Seconds": 1, "Next": "Call"}},
    }
    execution = runner.start(
        machine({"M": {"Type": "Map", "Items": [1], "ItemProcessor": loop, "End": True}}, "M")
    )

    def calls() -> int:
        item = dynamodb.get_item(TableName=table, Key={"pk": {"S": "n"}}).get("Item")
        return int(item["n"]["N"]) if item else 0

    until(calls, "the function is called")
    runner.states.stop_execution(executionArn=execution)
    time.sleep(0.3)
    before = calls()
    time.sleep(2)
    assert calls() == before
    assert runner.finish(execution)["status"] == "ABORTED"


def test_input_and_results_are_limited(
    runner: Runner, machine: Machine, function: Function
) -> None:
    arn = machine({"P": {"Type": "Pass", "End": True}}, "P")
    with pytest.raises(ClientError, match="262144"):
        runner.start(arn, {"x": "a" * 262144})
    large = function("def handler(event, context):\n    return 'a' * 300000\n")
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = {"T": task(large, {}, Catch=catch), "Caught": {"Type": "Succeed"}}
    shown = runner.finish(runner.start(machine(states, "T")))
    assert shown["status"] == "FAILED"
    assert shown["error"] == "States.DataLimitExceeded"


def test_the_same_name_and_input_is_the_same_execution(runner: Runner, machine: Machine) -> None:
    arn = machine({"W": {"Type": "Wait", "Seconds": 3, "End": True}}, "W")
    first = runner.start(arn, {"a": 1}, name="same")
    assert runner.start(arn, {"a": 1}, name="same") == first
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        runner.start(arn, {"a": 2}, name="same")
    runner.states.stop_execution(executionArn=first)


def test_a_task_timeout_may_be_an_expression(
    runner: Runner, machine: Machine, function: Function
) -> None:
    slow = function("import time\ndef handler(event, context):\n    time.sleep(10)\n")
    catch = [{"ErrorEquals": ["States.Timeout"], "Output": "late", "Next": "Late"}]
    states = {
        "T": task(slow, {}, TimeoutSeconds="{% $states.input.n %}", Catch=catch),
        "Late": {"Type": "Succeed"},
    }
    assert runner.run(machine(states, "T"), {"n": 1}) == "late"


def test_the_clock_shortens_waits_and_timeouts(
    control: Control, runner: Runner, machine: Machine, echo: str
) -> None:
    control("POST", "clock", {"waits": 0.01, "timeouts": 0.01})
    token = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {
            "FunctionName": echo,
            "Payload": {"token": "{% $states.context.Task.Token %}"},
        },
        "TimeoutSeconds": 100,
        "Catch": [{"ErrorEquals": ["States.Timeout"], "Output": "nobody", "Next": "End"}],
        "End": True,
    }
    states = {
        "W": {"Type": "Wait", "Seconds": 100, "Next": "T"},
        "T": token,
        "End": {"Type": "Succeed"},
    }
    began = time.monotonic()
    assert runner.run(machine(states, "W")) == "nobody"
    assert time.monotonic() - began < 6


def test_the_role_of_the_machine_is_enforced(
    runner: Runner, machine: Machine, identity: Identity, echo: str
) -> None:
    def role(policy: Any, service: str = "states.amazonaws.com") -> str:
        return identity.role(policy, account=SECURITY, service=service)

    states = {"T": task(echo, {"a": 1}, Output="{% $states.result.Payload %}")}
    assert runner.run(machine(states, "T", role=role(allow("lambda:InvokeFunction", echo)))) == {
        "a": 1
    }
    for wrong in (
        role(allow("lambda:InvokeFunction", f"{echo}x")),
        role(ALLOW_ALL, "lambda.amazonaws.com"),
    ):
        shown = runner.finish(runner.start(machine(states, "T", role=wrong)))
        assert shown["error"] == "Lambda.AWSLambdaException", shown


def test_publishing_with_attributes(aws: Aws, runner: Runner, machine: Machine) -> None:
    sns = aws.client("sns", SECURITY)
    sqs = aws.client("sqs", SECURITY)
    topic = sns.create_topic(Name=f"t-{time.monotonic_ns()}")["TopicArn"]
    policy = {"Version": "2012-10-17", "Statement": [mail_policy(topic.replace(":sns:", ":sqs:"))]}
    attributes = {"Policy": json.dumps(policy)}
    url = sqs.create_queue(QueueName=topic.rsplit(":", 1)[1], Attributes=attributes)["QueueUrl"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=topic.replace(":sns:", ":sqs:"),
        Attributes={"FilterPolicy": json.dumps({"kind": ["verdict"]})},
    )
    publish = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sns:publish",
        "Arguments": {
            "TopicArn": topic,
            "Message": {"a": 1},
            "MessageAttributes": {"kind": {"DataType": "String", "StringValue": "verdict"}},
        },
        "End": True,
    }
    runner.run(machine({"T": publish}, "T"))
    answer = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"), "the message arrives")
    assert json.loads(json.loads(answer[0]["Body"])["Message"]) == {"a": 1}


def test_a_stopped_execution_does_not_fail_afterwards(
    runner: Runner, machine: Machine, function: Function
) -> None:
    slow = function(
        "import time\ndef handler(event, context):\n    time.sleep(1.5)\n    raise"
        " KeyError('late')\n"
    )
    execution = runner.start(machine({"T": task(slow, {})}, "T"))
    until(
        lambda: any(event["type"] == "TaskStarted" for event in runner.events(execution)),
        "the task starts",
    )
    runner.states.stop_execution(executionArn=execution)
    time.sleep(2.5)
    assert runner.finish(execution)["status"] == "ABORTED"


def test_tracing_is_described(runner: Runner, machine: Machine) -> None:
    arn = machine({"P": {"Type": "Pass", "End": True}}, "P")
    assert runner.states.describe_state_machine(stateMachineArn=arn)["tracingConfiguration"] == {
        "enabled": False
    }
    runner.states.update_state_machine(stateMachineArn=arn, tracingConfiguration={"enabled": True})
    assert runner.states.describe_state_machine(stateMachineArn=arn)["tracingConfiguration"] == {
        "enabled": True
    }

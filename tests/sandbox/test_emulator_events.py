"""EventBridge delivers, refuses and dead-letters as AWS does; functions behave as on Lambda."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import (
    SECURITY,
    Control,
    Identity,
    allow,
    mail_policy,
)
from tests.support.patience import until, within

Machine = Callable[..., str]
Function = Callable[..., str]
PASS = {"P": {"Type": "Pass", "End": True}}


class Bus:
    """Rules, targets and queues of the security account."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.events, self.sqs = aws.client("events", SECURITY), aws.client("sqs", SECURITY)
        self.name = f"t-{time.monotonic_ns()}"

    def queue(self, suffix: str, *, policy: bool = True) -> tuple[str, str]:
        """Return a queue that rules may send to: (URL, ARN)."""
        name = f"{self.name}-{suffix}"
        arn = f"arn:aws:sqs:us-east-1:{SECURITY}:{name}"
        document = allow(
            "sqs:SendMessage",
            arn,
            ArnLike={"aws:SourceArn": f"arn:aws:events:*:*:rule/{self.name}*"},
        )
        document["Statement"][0]["Principal"] = {"Service": "events.amazonaws.com"}
        document["Statement"].append(mail_policy(arn))
        attributes = {"Policy": json.dumps(document)} if policy else {}
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], arn

    def rule(self, target: dict[str, Any], **extra: str) -> str:
        pattern = {
            "EventPattern": json.dumps({"source": ["aws.guardduty"], "detail-type": [self.name]})
        }
        arn = self.events.put_rule(Name=self.name, **(extra or pattern))["RuleArn"]
        self.events.put_targets(Rule=self.name, Targets=[{"Id": "t", **target}])
        return str(arn)

    def put(self, detail: dict[str, Any], account: str = SECURITY) -> dict[str, Any]:
        entry = {
            "Source": "aws.guardduty",
            "DetailType": self.name,
            "Detail": json.dumps(detail),
        }
        answer: dict[str, Any] = self.aws.client("events", account).put_events(Entries=[entry])
        return answer

    def receive(self, url: str, seconds: float | None = None) -> dict[str, Any]:
        """Return a message once it has come; ``seconds``: where none shall come."""

        def read() -> Any:
            found = self.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])
            return found.get("Messages")

        if seconds is None:
            return dict(until(read, f"a message is in {url}")[0])
        return dict((within(read, seconds) or [{}])[0])


@pytest.fixture
def bus(aws: Aws) -> Bus:
    return Bus(aws)


def test_only_the_account_itself_publishes_aws_events(
    aws: Aws, bus: Bus, identity: Identity
) -> None:
    assert bus.put({})["FailedEntryCount"] == 0
    events = identity.client("events", allow("events:PutEvents"))
    answer = events.put_events(
        Entries=[
            {
                "Source": "aws.guardduty",
                "DetailType": "x",
                "Detail": "{}",
            }
        ]
    )
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


def test_an_event_too_large_for_the_machine_is_dead_lettered(
    bus: Bus, machine: Machine, identity: Identity
) -> None:
    url, arn = bus.queue("dead")
    target = machine(PASS, "P")
    role = identity.role(
        allow("states:StartExecution", target), account=SECURITY, service="events.amazonaws.com"
    )
    rule = bus.rule(
        {
            "Arn": target,
            "RoleArn": role,
            "DeadLetterConfig": {"Arn": arn},
        }
    )
    bus.put({"x": "a" * 263000})
    message = bus.receive(url)
    attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert attributes["RULE_ARN"] == rule
    assert attributes["TARGET_ARN"] == target
    assert attributes["ERROR_CODE"] == "SDK_CLIENT_ERROR"
    assert len(json.loads(message["Body"])["detail"]["x"]) == 263000
    bus.put({"x": "fits"})
    states = bus.aws.client("stepfunctions", SECURITY)
    until(
        lambda: states.list_executions(stateMachineArn=target)["executions"], "an execution starts"
    )


def test_the_role_of_the_target_is_enforced(bus: Bus, machine: Machine, identity: Identity) -> None:
    url, arn = bus.queue("dead")
    target = machine(PASS, "P")
    role = identity.role(
        allow("states:StartExecution", f"{target}x"),
        account=SECURITY,
        service="events.amazonaws.com",
    )
    bus.rule(
        {
            "Arn": target,
            "RoleArn": role,
            "DeadLetterConfig": {"Arn": arn},
        }
    )
    bus.put({})
    assert bus.receive(url)["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


def test_policies_of_queues_and_topics_are_enforced(aws: Aws, bus: Bus) -> None:
    closed, closed_arn = bus.queue("closed", policy=False)
    dead, dead_arn = bus.queue("dead")
    bus.rule({"Arn": closed_arn, "DeadLetterConfig": {"Arn": dead_arn}})
    bus.put({})
    assert bus.receive(dead)["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert not bus.receive(closed, 0.2)
    topic = aws.client("sns", SECURITY).create_topic(Name=bus.name)["TopicArn"]
    bus.rule({"Arn": topic, "DeadLetterConfig": {"Arn": dead_arn}})
    bus.put({})
    message = bus.receive(dead)
    assert message["MessageAttributes"]["TARGET_ARN"]["StringValue"] == topic


def test_a_dead_letter_queue_without_a_policy_gets_nothing(bus: Bus) -> None:
    dead, dead_arn = bus.queue("dead", policy=False)
    bus.rule(
        {"Arn": f"arn:aws:sqs:us-east-1:{SECURITY}:nowhere", "DeadLetterConfig": {"Arn": dead_arn}}
    )
    bus.put({})
    assert not bus.receive(dead, 0.5)


def test_the_functions_policy_is_enforced_and_failures_are_kept(
    aws: Aws, bus: Bus, function: Function
) -> None:
    dead, dead_arn = bus.queue("dead")
    lost, lost_arn = bus.queue("lost")
    broken = function(
        "def handler(event, context):\n    raise KeyError('x')\n",
        DeadLetterConfig={"TargetArn": lost_arn},
    )
    rule = bus.rule({"Arn": broken, "DeadLetterConfig": {"Arn": dead_arn}})
    bus.put({"n": 1})
    assert bus.receive(dead)["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    aws.client("lambda", SECURITY).add_permission(
        FunctionName=broken,
        StatementId="r",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    bus.put({"n": 2})
    body = json.loads(bus.receive(lost)["Body"])
    assert body["requestPayload"]["detail"] == {"n": 2}
    assert body["responsePayload"]["errorType"] == "KeyError"


def test_a_function_without_the_right_cannot_dead_letter(
    aws: Aws, bus: Bus, function: Function
) -> None:
    lost, lost_arn = bus.queue("lost")
    source = "def handler(event, context):\n    raise KeyError('x')\n"
    broken = function(source, policy=allow("logs:*"), DeadLetterConfig={"TargetArn": lost_arn})
    aws.client("lambda", SECURITY).invoke(
        FunctionName=broken, InvocationType="Event", Payload=b"{}"
    )
    assert not bus.receive(lost, 2)


def test_error_documents_and_environments(aws: Aws, function: Function) -> None:
    source = (
        "calls = []\n"
        "class Throttled(Exception):\n    pass\n"
        "def handler(event, context):\n"
        "    calls.append(1)\n"
        "    if event.get('fail'):\n        raise Throttled('slow: down')\n"
        "    return len(calls)\n"
    )
    arn = function(source)
    client = aws.client("lambda", SECURITY)
    answer = client.invoke(FunctionName=arn, Payload=json.dumps({"fail": True}))
    body = json.loads(answer["Payload"].read())
    assert answer["FunctionError"]
    assert body["errorType"] == "Throttled"
    assert body["errorMessage"] == "slow: down"
    assert "handler" in body["stackTrace"][0]
    assert body["requestId"]
    assert json.loads(client.invoke(FunctionName=arn, Payload=b"{}")["Payload"].read()) == 2


def test_concurrent_invocations_run_side_by_side(aws: Aws, function: Function) -> None:
    from concurrent.futures import ThreadPoolExecutor

    arn = function("import time\ndef handler(event, context):\n    time.sleep(1)\n")
    client = aws.client("lambda", SECURITY)
    began = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: client.invoke(FunctionName=arn, Payload=b"{}"), range(3)))
    assert time.monotonic() - began < 2.9


def test_the_function_has_its_roles_identity(aws: Aws, function: Function) -> None:
    source = (
        "import boto3\ndef handler(event, context):\n    return"
        " boto3.client('sts').get_caller_identity()['UserId']\n"
    )
    user = json.loads(
        aws.client("lambda", SECURITY).invoke(FunctionName=function(source))["Payload"].read()
    )
    assert user.startswith("AROA"), user


def test_a_queue_feeds_a_function(aws: Aws, bus: Bus, function: Function) -> None:
    url, arn = bus.queue("in")
    out, _ = bus.queue("out")
    source = (
        "import boto3, json\n"
        "def handler(event, context):\n"
        "    failed = []\n"
        "    for record in event['Records']:\n"
        "        if record['body'] == 'bad':\n"
        "            failed.append({'itemIdentifier': record['messageId']})\n"
        "            continue\n"
        "        value = record['messageAttributes']['K']['stringValue']\n"
        f"        boto3.client('sqs').send_message(QueueUrl='{out}', MessageBody=value)\n"
        "    return {'batchItemFailures': failed}\n"
    )
    client = aws.client("lambda", SECURITY)
    bare = function("def handler(event, context):\n    pass\n", policy=allow("logs:*"))
    with pytest.raises(ClientError, match="does not have permissions to call ReceiveMessage"):
        client.create_event_source_mapping(EventSourceArn=arn, FunctionName=bare)
    client.create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName=function(source),
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    attributes = {"K": {"DataType": "String", "StringValue": "value"}}
    bus.sqs.send_message(
        QueueUrl=url,
        MessageBody="good",
        MessageAttributes=attributes,
    )
    bus.sqs.send_message(QueueUrl=url, MessageBody="bad")
    assert bus.receive(out)["Body"] == "value"

    def remaining() -> int:
        attributes = bus.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
            "Attributes"
        ]
        return int(attributes["ApproximateNumberOfMessages"]) + int(
            attributes["ApproximateNumberOfMessagesNotVisible"]
        )

    until(lambda: remaining() == 1, "one message remains")


def test_what_a_function_cannot_handle_is_dead_lettered(
    aws: Aws, bus: Bus, function: Function
) -> None:
    url, arn = bus.queue("in")
    dead, dead_arn = bus.queue("dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    bus.sqs.set_queue_attributes(
        QueueUrl=url, Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "1"}
    )
    broken = function("def handler(event, context):\n    raise KeyError('x')\n")
    aws.client("lambda", SECURITY).create_event_source_mapping(
        EventSourceArn=arn, FunctionName=broken
    )
    bus.sqs.send_message(QueueUrl=url, MessageBody="bad")
    assert bus.receive(dead)["Body"] == "bad"


def test_schedules_can_be_shortened(bus: Bus, control: Control) -> None:
    url, arn = bus.queue("tick")
    control("POST", "clock", {"rates": 0.01})
    bus.rule(
        {"Arn": arn, "Input": json.dumps({"source": "sweeper"})},
        ScheduleExpression="rate(1 minute)",
    )
    assert json.loads(bus.receive(url)["Body"]) == {"source": "sweeper"}
    bus.events.disable_rule(Name=bus.name)


def test_long_schedules_have_a_scale_of_their_own(bus: Bus, control: Control) -> None:
    url, arn = bus.queue("long")
    control("POST", "clock", {"rates": 1, "long_rates": 1 / 900})
    bus.rule(
        {
            "Arn": arn,
            "InputTransformer": {"InputPathsMap": {"id": "$.id"}, "InputTemplate": '{"id": <id>}'},
        },
        ScheduleExpression="rate(15 minutes)",
    )
    assert json.loads(bus.receive(url)["Body"])["id"]
    bus.events.disable_rule(Name=bus.name)


@pytest.mark.smoke
def test_a_function_publishes_and_writes(aws: Aws, bus: Bus, function: Function) -> None:
    url, arn = bus.queue("mail")
    sns = aws.client("sns", SECURITY)
    dynamodb = aws.client("dynamodb", SECURITY)
    topic = sns.create_topic(Name=bus.name)["TopicArn"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn,
    )
    dynamodb.create_table(
        TableName=bus.name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "open", "at")
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "open",
                "Projection": {"ProjectionType": "ALL"},
                "KeySchema": [
                    {"AttributeName": "open", "KeyType": "HASH"},
                    {"AttributeName": "at", "KeyType": "RANGE"},
                ],
            }
        ],
    )
    source = (
        "import boto3\ndef handler(event, context):\n   "
        f" boto3.client('sns').publish(TopicArn='{topic}', Subject='s', Message='m')\n    d, t ="
        f" boto3.client('dynamodb'), '{bus.name}'\n    item = {{'pk': {{'S': 'a'}}, 'sk': {{'S':"
        " 'b'}, 'open': {'S': '1'}, 'at': {'S': '2026'}}\n    d.put_item(TableName=t,"
        " Item=item, ConditionExpression='attribute_not_exists(pk)')\n    d.put_item(TableName=t,"
        " Item={'pk': {'S': 'closed'}, 'sk': {'S': 'b'}})\n    try:\n       "
        " d.put_item(TableName=t, Item=item, ConditionExpression='attribute_not_exists(pk)',\n    "
        "               ReturnValuesOnConditionCheckFailure='ALL_OLD')\n    except"
        " d.exceptions.ConditionalCheckFailedException as error:\n        old ="
        " error.response['Item']\n    found = d.query(TableName=t, IndexName='open',"
        " KeyConditionExpression='#o = :o AND #a < :a',\n                   "
        " ExpressionAttributeNames={'#o': 'open', '#a': 'at'},\n                   "
        " ExpressionAttributeValues={':o': {'S': '1'}, ':a': {'S': '2027'}})['Items']\n   "
        " return [old, found]\n"
    )
    scoped = allow(
        ["sns:Publish", "dynamodb:PutItem", "dynamodb:Query"],
        [
            topic,
            f"arn:aws:dynamodb:us-east-1:{SECURITY}:table/{bus.name}",
            f"arn:aws:dynamodb:us-east-1:{SECURITY}:table/{bus.name}/index/open",
        ],
    )
    answer = aws.client("lambda", SECURITY).invoke(FunctionName=function(source, policy=scoped))
    old, found = json.loads(answer["Payload"].read())
    assert old["sk"] == {"S": "b"}
    assert [item["pk"] for item in found] == [{"S": "a"}]
    assert json.loads(bus.receive(url)["Body"])["Message"] == "m"

"""moto hastened answers as moto does: whole answers of several services and protocols, compared."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from sandbox.emulator import moto_speed

Json = dict[str, Any]
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield lambda service: boto3.client(service, region_name="us-east-1")
    moto_speed.hasten()


def _said(answer: Json) -> Json:
    kept: Json = copy.deepcopy(answer)
    kept.pop("ResponseMetadata")
    return kept


def _asked(client: Any) -> list[Json]:
    """Reads alone: what they tell is the same, however often asked."""
    ec2 = client("ec2")
    iam = client("iam")
    found = [
        ec2.describe_instances(),
        ec2.describe_network_interfaces(),
        ec2.describe_security_groups(),
        ec2.describe_volumes(),
        ec2.describe_volumes(Filters=[{"Name": "tag:name", "Values": ["d?sk"]}]),
        ec2.describe_instances(Filters=[{"Name": "tag-key", "Values": ["name"]}]),
        ec2.describe_iam_instance_profile_associations(),
        iam.get_role(RoleName="r"),
        iam.list_users(),
        iam.list_attached_user_policies(UserName="u"),
        client("dynamodb").scan(TableName="t"),
        client("dynamodb").describe_table(TableName="t"),
        client("sns").list_topics(),
        client("sqs").list_queues(),
        client("s3").list_buckets(),
        client("kms").list_keys(),
        client("autoscaling").describe_auto_scaling_groups(),
        client("elbv2").describe_target_groups(),
        client("lambda").list_functions(),
        client("guardduty").list_detectors(),
    ]
    return [_said(answer) for answer in found]


def test_every_answer_is_the_same(client: Any) -> None:
    ec2 = client("ec2")
    iam = client("iam")
    dynamodb = client("dynamodb")
    ec2.run_instances(
        ImageId="ami-12c6146b",
        MinCount=2,
        MaxCount=2,
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "name", "Value": "web"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "name", "Value": "disk"}]},
        ],
    )
    iam.create_role(
        RoleName="r",
        AssumeRolePolicyDocument=TRUST,
        Tags=[{"Key": "a", "Value": "b"}],
    )
    iam.create_user(UserName="u")
    dynamodb.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    dynamodb.put_item(
        TableName="t",
        Item={"pk": {"S": "1"}, "deep": {"M": {"n": {"N": "1"}, "l": {"L": [{"BOOL": False}]}}}},
    )
    client("sns").create_topic(Name="t")
    client("sqs").create_queue(QueueName="q")
    client("s3").create_bucket(Bucket="b-of-ours")
    client("kms").create_key()
    client("guardduty").create_detector(Enable=True)
    moto_speed.slow()
    slow = _asked(client)
    moto_speed.hasten()
    assert _asked(client) == slow
    assert _asked(client) == slow, "nor when every name is known already"
    [instance, _] = slow[0]["Reservations"][0]["Instances"]
    assert instance["NetworkInterfaces"], "and there was something to tell"
    assert instance["Tags"] == [{"Key": "name", "Value": "web"}]
    assert len(slow[4]["Volumes"]) == 2


@pytest.mark.smoke
def test_messages_are_signed_with_one_key() -> None:
    assert moto_speed._sns.Subscription.private_key(
        None
    ) is moto_speed._sns.Subscription.private_key(None)

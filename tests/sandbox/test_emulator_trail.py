"""CloudTrail's events on EventBridge: where they arrive, what they hold, and who undoes a
containment in the sandbox.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox import seed
from sandbox.clients import Aws
from sandbox.emulator.trail_parameters import parameters
from tests.sandbox.emulator_helpers import MEMBER, SECURITY, Control, Identity, allow
from tests.support.patience import until

Make = Callable[..., seed.Victim]
Inbox = Callable[[str, str], list[dict[str, Any]]]


@pytest.fixture
def inbox(aws: Aws) -> Iterator[Inbox]:
    """(account, event name) -> the events with it that have arrived on the account's default
    bus.
    """
    urls: dict[str, str] = {}
    arrived: dict[str, list[dict[str, Any]]] = {}
    for account in (MEMBER, SECURITY):
        sqs = aws.client("sqs", account)
        name = "trail"
        arn = f"arn:aws:sqs:us-east-1:{account}:{name}"
        policy = allow("sqs:SendMessage", arn)
        policy["Statement"][0]["Principal"] = {"Service": "events.amazonaws.com"}
        urls[account] = sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)})[
            "QueueUrl"
        ]
        events = aws.client("events", account)
        events.put_rule(
            Name=name, EventPattern=json.dumps({"detail-type": ["AWS API Call via CloudTrail"]})
        )
        events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn}])
        arrived[account] = []

    def read(account: str, name: str) -> list[dict[str, Any]]:
        sqs = aws.client("sqs", account)
        while found := sqs.receive_message(QueueUrl=urls[account], MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in found:
                arrived[account].append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=urls[account], ReceiptHandle=message["ReceiptHandle"])
        return [event for event in arrived[account] if event["detail"]["eventName"] == name]

    yield read
    for account in (MEMBER, SECURITY):
        aws.client("events", account).remove_targets(Rule="trail", Ids=["q"])
        aws.client("events", account).delete_rule(Name="trail")
        aws.client("sqs", account).delete_queue(QueueUrl=urls[account])


@pytest.mark.smoke
def test_a_change_is_told_in_its_account_and_nowhere_else(
    aws: Aws, identity: Identity, victim: Make, inbox: Inbox
) -> None:
    found = victim()
    [interface] = found.interfaces
    role = identity.role(allow("ec2:ModifyNetworkInterfaceAttribute"))
    ec2 = aws.client("ec2", **identity.session(role, name="bob"))
    ec2.modify_network_interface_attribute(
        NetworkInterfaceId=interface, Groups=[found.security_group]
    )
    name = "ModifyNetworkInterfaceAttribute"
    [event] = until(lambda: inbox(MEMBER, name), f"{name} is told")
    assert event["source"] == "aws.ec2"
    assert event["account"] == MEMBER
    assert event["region"] == "us-east-1"
    detail = event["detail"]
    assert detail["requestParameters"] == {
        "networkInterfaceId": interface,
        "groupSet": {"items": [{"groupId": found.security_group}]},
    }
    issuer = detail["userIdentity"]["sessionContext"]["sessionIssuer"]
    assert detail["userIdentity"]["type"] == "AssumedRole"
    assert issuer["arn"] == role
    assert issuer["userName"] == role.rsplit("/", 1)[1]
    assert detail["sourceIPAddress"]
    assert detail["eventID"]
    assert detail["recipientAccountId"] == MEMBER
    assert "errorCode" not in detail
    assert inbox(SECURITY, name) == [], "a rule has to send it there"


def test_reads_and_refused_calls_are_not_told(
    aws: Aws, identity: Identity, victim: Make, inbox: Inbox
) -> None:
    found = victim()
    aws.client("ec2").describe_instances(InstanceIds=[found.instance])
    with pytest.raises(Exception, match="UnauthorizedOperation"):
        identity.client("ec2", allow("ec2:Describe*")).stop_instances(InstanceIds=[found.instance])
    aws.client("iam").create_user(UserName=f"mark-{found.instance}")
    until(lambda: inbox(MEMBER, "CreateUser"), "CreateUser is told, later than both")
    assert inbox(MEMBER, "DescribeInstances") == inbox(MEMBER, "StopInstances") == []


def test_changes_of_what_watches_are_told(aws: Aws, inbox: Inbox) -> None:
    trail = aws.client("cloudtrail")
    trail.create_trail(Name="told", S3BucketName="logs")
    trail.stop_logging(Name="told")
    [event] = until(lambda: inbox(MEMBER, "StopLogging"), "StopLogging is told")
    assert event["source"] == "aws.cloudtrail"
    assert event["detail"]["requestParameters"] == {"name": "told"}
    assert event["detail"]["readOnly"] is False
    trail.delete_trail(Name="told")


def test_they_can_be_kept_back(aws: Aws, victim: Make, inbox: Inbox, control: Control) -> None:
    found = victim()
    control("POST", "clock", {"trail": 0})
    aws.client("ec2").stop_instances(InstanceIds=[found.instance])
    control("POST", "clock", {"trail": 1})
    aws.client("ec2").start_instances(InstanceIds=[found.instance])
    until(lambda: inbox(MEMBER, "StartInstances"), "StartInstances is told")
    assert inbox(MEMBER, "StopInstances") == []
    looked = aws.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": found.instance}]
    )
    assert "StopInstances" in [event["EventName"] for event in looked["Events"]], (
        "CloudTrail itself knows"
    )


def test_a_role_is_found_by_its_name(aws: Aws, identity: Identity) -> None:
    role = identity.role(allow("s3:*")).rsplit("/", 1)[1]
    aws.client("iam").delete_role_policy(RoleName=role, PolicyName="p")
    looked = aws.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": role}]
    )
    assert "DeleteRolePolicy" in [event["EventName"] for event in looked["Events"]]


@pytest.mark.parametrize(
    ("items", "flat", "shaped"),
    [
        (
            True,
            {
                "Action": "X",
                "InstanceId.1": "i-1",
                "InstanceId.2": "i-2",
            },
            {"instanceId": {"items": ["i-1", "i-2"]}},
        ),
        (
            False,
            {"Targets.member.1.Id": "i-1", "Targets.member.1.Port": "80"},
            {"targets": [{"id": "i-1", "port": 80}]},
        ),
        (
            True,
            {"IpPermissions.1.IpRanges.1.CidrIp": "0.0.0.0/0"},
            {"ipPermissions": {"items": [{"ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]}},
        ),
        (False, {"RoleName": "app", "Version": "2010-05-08"}, {"roleName": "app"}),
        (
            True,
            {"Action": "StopInstances", "InstanceId.1": "i-1"},
            {"instancesSet": {"items": [{"instanceId": "i-1"}]}},
        ),
        (
            True,
            {"Action": "AuthorizeSecurityGroupIngress", "IpPermissions.1.FromPort": "22"},
            {
                "ipPermissions": {
                    "items": [
                        {
                            "fromPort": 22,
                            "groups": {},
                            "ipRanges": {},
                            "ipv6Ranges": {},
                            "prefixListIds": {},
                        }
                    ]
                }
            },
        ),
        (
            True,
            {
                "Action": "RunInstances",
                "ImageId": "ami-1",
                "MinCount": "1",
                "MaxCount": "2",
                "SubnetId": "subnet-1",
            },
            {
                "subnetId": "subnet-1",
                "instancesSet": {
                    "items": [
                        {
                            "imageId": "ami-1",
                            "minCount": 1,
                            "maxCount": 2,
                        }
                    ]
                },
            },
        ),
        (
            True,
            {
                "Action": "ModifyImageAttribute",
                "LaunchPermission.Add.1.Group": "all",
                "Attribute": "launchPermission",
            },
            {
                "launchPermission": {"add": {"items": [{"group": "all"}]}},
                "attributeType": "launchPermission",
            },
        ),
        (
            True,
            {
                "Action": "ModifySnapshotAttribute",
                "OperationType": "add",
                "UserId.1": "3",
            },
            {
                "createVolumePermission": {"add": {"items": [{"userId": "3"}]}},
                "attributeType": "CREATE_VOLUME_PERMISSION",
            },
        ),
        (True, {}, {}),
    ],
)
def test_parameters_are_nested_as_cloudtrail_writes_them(
    items: bool, flat: dict[str, Any], shaped: dict[str, Any]
) -> None:
    assert parameters(flat, items=items) == shaped

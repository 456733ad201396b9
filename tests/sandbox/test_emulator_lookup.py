"""CloudTrail's LookupEvents: who did what in which Region, as CloudTrail writes it; pages,
attributes, rate, what is late.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox import seed, settings
from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import (
    ALLOW_ALL,
    MEMBER,
    SECURITY,
    Control,
    Identity,
    allow,
    archive,
)

Json = dict[str, Any]
Events = Callable[..., list[Json]]


@pytest.fixture(autouse=True)
def unlimited(control: Control) -> None:
    control("POST", "clock", {"lookups": 0})


@pytest.fixture
def events(aws: Aws) -> Events:
    """(attribute=value, Region) -> the CloudTrail records with it, newest first."""

    def find(region: str = settings.REGION, account: str = MEMBER, **by: str) -> list[Json]:
        asked = [{"AttributeKey": key, "AttributeValue": value} for key, value in by.items()]
        client = Aws(aws.endpoint, region).client("cloudtrail", account)
        pages = client.get_paginator("lookup_events").paginate(LookupAttributes=asked)
        return [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]

    return find


class Person:
    """An IAM user with a key, whose calls are looked for."""

    def __init__(self, aws: Aws) -> None:
        self.aws, self.name = aws, f"person-{secrets.token_hex(4)}"
        iam = aws.client("iam")
        self.user = iam.create_user(UserName=self.name)["User"]
        iam.put_user_policy(
            UserName=self.name, PolicyName="all", PolicyDocument=json.dumps(ALLOW_ALL)
        )
        self.key = iam.create_access_key(UserName=self.name)["AccessKey"]

    def client(self, service: str, region: str = settings.REGION, key: Json | None = None) -> Any:
        key = key or self.key
        token = {"aws_session_token": key["SessionToken"]} if "SessionToken" in key else {}
        keys = {
            "aws_access_key_id": key["AccessKeyId"],
            "aws_secret_access_key": key["SecretAccessKey"],
        }
        return Aws(self.aws.endpoint, region).client(service, **keys, **token)


@pytest.fixture
def person(aws: Aws) -> Person:
    return Person(aws)


def _only_record(records: list[Json], name: str) -> Json:
    [found] = [record for record in records if record["eventName"] == name]
    return found


@pytest.mark.smoke
def test_a_user_is_named_as_on_aws(person: Person, events: Events) -> None:
    person.client("ec2").describe_vpcs()
    record = _only_record(events(AccessKeyId=person.key["AccessKeyId"]), "DescribeVpcs")
    assert record["userIdentity"] == {
        "type": "IAMUser",
        "principalId": person.user["UserId"],
        "arn": person.user["Arn"],
        "accountId": MEMBER,
        "accessKeyId": person.key["AccessKeyId"],
        "userName": person.name,
    }
    assert record["readOnly"] is True
    assert record["responseElements"] is None
    assert (
        _only_record(events(Username=person.name), "DescribeVpcs")["eventID"] == record["eventID"]
    )


def test_sessions_name_their_issuer_and_can_be_followed(
    person: Person, identity: Identity, events: Events
) -> None:
    role = identity.role(ALLOW_ALL, path="/people/")
    assumed = person.client("sts").assume_role(RoleArn=role, RoleSessionName="eve")
    key = assumed["Credentials"]
    person.client("ec2", key=key).describe_vpcs()
    followed = _only_record(events(AccessKeyId=person.key["AccessKeyId"]), "AssumeRole")
    assert followed["requestParameters"]["roleArn"] == role
    assert followed["responseElements"]["credentials"]["accessKeyId"] == key["AccessKeyId"]
    assert "secretAccessKey" not in json.dumps(followed)
    who = _only_record(events(AccessKeyId=key["AccessKeyId"]), "DescribeVpcs")["userIdentity"]
    issuer = who["sessionContext"]["sessionIssuer"]
    assert who["type"] == "AssumedRole"
    assert who["principalId"] == assumed["AssumedRoleUser"]["AssumedRoleId"]
    assert issuer["arn"] == role
    assert issuer["principalId"] == who["principalId"].split(":")[0]
    assert who["sessionContext"]["attributes"]["creationDate"]
    assert "DescribeVpcs" in [record["eventName"] for record in events(Username="eve")]
    federated = person.client("sts").get_federation_token(
        Name="guest", Policy=json.dumps(ALLOW_ALL)
    )["Credentials"]
    person.client("ec2", key=federated).describe_subnets()
    who = _only_record(events(AccessKeyId=federated["AccessKeyId"]), "DescribeSubnets")[
        "userIdentity"
    ]
    assert who["type"] == "FederatedUser"
    assert who["sessionContext"]["sessionIssuer"]["userName"] == person.name


def test_a_role_of_another_account_is_known_to_both(identity: Identity, events: Events) -> None:
    role = identity.role(
        ALLOW_ALL,
        trust={
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{SECURITY}:root"},
                    "Action": "sts:AssumeRole",
                }
            ],
        },
    )
    caller = identity.session(identity.role(allow("sts:AssumeRole"), account=SECURITY))
    identity.session(role, by=caller)
    assert (
        _only_record(events(account=SECURITY, ResourceName=role), "AssumeRole")["userIdentity"][
            "type"
        ]
        == "AssumedRole"
    )
    here = _only_record(events(ResourceName=role), "AssumeRole")
    assert here["userIdentity"]["type"] == "AWSAccount"
    assert here["userIdentity"]["accountId"] == SECURITY


def test_changes_of_iam_have_parameters_and_answers_without_secrets(
    person: Person, events: Events
) -> None:
    iam = person.client("iam")
    name = f"{person.name}-new"
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    password = secrets.token_urlsafe(20)
    iam.create_login_profile(UserName=name, Password=password)
    credential = iam.create_service_specific_credential(
        UserName=name, ServiceName="codecommit.amazonaws.com"
    )
    records = events(AccessKeyId=person.key["AccessKeyId"])
    key = _only_record(records, "CreateAccessKey")
    assert key["requestParameters"] == {"userName": name}
    assert key["responseElements"]["accessKey"]["accessKeyId"] == made["AccessKeyId"]
    assert _only_record(records, "CreateUser")["responseElements"]["user"]["userName"] == name
    assert _only_record(records, "CreateLoginProfile")["requestParameters"] == {"userName": name}
    text = json.dumps(records)
    hidden = [
        made["SecretAccessKey"],
        password,
        credential["ServiceSpecificCredential"]["ServicePassword"],
    ]
    assert [secret in text for secret in hidden] == [False] * 3
    assert {"CreateAccessKey", "CreateUser"} <= {
        record["eventName"] for record in events(ResourceName=name)
    }
    assert [record["eventName"] for record in events(ResourceName=made["AccessKeyId"])] == [
        "CreateAccessKey"
    ]


def test_changes_of_ec2(person: Person, events: Events, network: seed.Network) -> None:
    ec2 = person.client("ec2")
    launch = {
        "ImageId": seed.IMAGE,
        "InstanceType": "t3.micro",
        "MinCount": 1,
        "MaxCount": 1,
        "SubnetId": network.subnets[0],
    }
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]
    instance = ec2.run_instances(
        **launch,
        UserData="very secret",
        TagSpecifications=tags,
    )["Instances"][0]["InstanceId"]
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "203.0.113.0/24"}],
    }
    opened = ec2.authorize_security_group_ingress(
        GroupId=network.security_group, IpPermissions=[rule]
    )
    records = events(AccessKeyId=person.key["AccessKeyId"])
    ran = _only_record(records, "RunInstances")
    assert [item["instanceId"] for item in ran["responseElements"]["instancesSet"]["items"]] == [
        instance
    ]
    assert ran["requestParameters"]["tagSpecificationSet"]["items"][0]["tags"] == [
        {"key": "a", "value": "b"}
    ]
    assert "very secret" not in json.dumps(ran)
    assert ran["readOnly"] is False
    change = _only_record(records, "AuthorizeSecurityGroupIngress")
    [item] = change["responseElements"]["securityGroupRuleSet"]["items"]
    assert item["securityGroupRuleId"] == opened["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    assert change["requestParameters"] == {
        "groupId": network.security_group,
        "ipPermissions": {
            "items": [
                {
                    "ipProtocol": "tcp",
                    "fromPort": 22,
                    "toPort": 22,
                    "ipRanges": {"items": [{"cidrIp": "203.0.113.0/24"}]},
                    "groups": {},
                    "ipv6Ranges": {},
                    "prefixListIds": {},
                }
            ]
        },
    }


def test_changes_of_trails_buckets_functions_and_detectors(
    person: Person, identity: Identity, events: Events
) -> None:
    name = person.name
    trail = person.client("cloudtrail")
    trail.create_trail(Name=name, S3BucketName="logs")
    trail.start_logging(Name=name)
    assert trail.get_trail_status(Name=name)["IsLogging"] is True
    trail.stop_logging(Name=name)
    assert trail.get_trail_status(Name=name)["IsLogging"] is False
    trail.delete_trail(Name=name)  # its bucket is nowhere: who reads all trails would say so
    s3 = person.client("s3")
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.create_bucket(Bucket=name)
    s3.put_public_access_block(
        Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(names, False)
    )
    policy = allow("s3:GetObject", f"arn:aws:s3:::{name}/*")
    policy["Statement"][0]["Principal"] = "*"
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    s3.put_object(
        Bucket=name,
        Key="k",
        Body=b"x",
    )
    role = identity.role(ALLOW_ALL, service="lambda.amazonaws.com")
    person.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role=role,
        Code={"ZipFile": archive("def handler(e, c): pass")},
        Environment={"Variables": {"PIN": "8731"}},
    )
    guardduty = person.client("guardduty")
    detectors = guardduty.list_detectors()["DetectorIds"] or [
        guardduty.create_detector(Enable=True)["DetectorId"]
    ]
    guardduty.update_detector(DetectorId=detectors[0], Enable=False)
    records = events(AccessKeyId=person.key["AccessKeyId"])
    assert _only_record(records, "StopLogging")["requestParameters"] == {"name": name}
    assert _only_record(records, "StopLogging")["eventSource"] == "cloudtrail.amazonaws.com"
    blocked = _only_record(records, "PutBucketPublicAccessBlock")["requestParameters"]
    assert blocked["bucketName"] == name
    assert blocked["PublicAccessBlockConfiguration"] == dict.fromkeys(names, False)
    assert _only_record(records, "PutBucketPolicy")["requestParameters"]["bucketPolicy"] == policy
    made = _only_record(records, "CreateFunction20150331")
    assert made["requestParameters"]["functionName"] == name
    assert "8731" not in json.dumps(made)
    assert _only_record(records, "UpdateDetector")["requestParameters"] == {
        "detectorId": detectors[0],
        "enable": False,
    }
    assert "PutObject" not in [record["eventName"] for record in records], "a data event"
    assert {"CreateBucket", "PutBucketPolicy"} <= {
        record["eventName"] for record in events(ResourceName=name)
    }
    guardduty.update_detector(DetectorId=detectors[0], Enable=True)


def test_refused_calls_say_why(
    aws: Aws, identity: Identity, events: Events, person: Person
) -> None:
    keys = identity.session(identity.role(allow("ec2:DescribeVpcs")))
    for service, call in (("iam", "list_users"), ("ec2", "describe_subnets")):
        with pytest.raises(ClientError):
            getattr(aws.client(service, **keys), call)()
    records = events(AccessKeyId=keys["aws_access_key_id"])
    assert _only_record(records, "ListUsers")["errorCode"] == "AccessDenied"
    assert "iam:ListUsers" in _only_record(records, "ListUsers")["errorMessage"]
    assert _only_record(records, "DescribeSubnets")["errorCode"] == "Client.UnauthorizedOperation"
    aws.client("iam").update_access_key(
        UserName=person.name, AccessKeyId=person.key["AccessKeyId"], Status="Inactive"
    )
    with pytest.raises(ClientError):
        person.client("iam").list_users()
    assert events(AccessKeyId=person.key["AccessKeyId"]) == [], "a dead key is nobody"


def test_regions_keep_their_own(person: Person, events: Events) -> None:
    person.client("ec2", "eu-west-1").create_security_group(GroupName=person.name, Description="x")
    person.client("iam", "eu-west-1").create_user(UserName=f"{person.name}-eu")
    key = person.key["AccessKeyId"]
    assert [record["eventName"] for record in events("eu-west-1", AccessKeyId=key)] == [
        "CreateSecurityGroup"
    ]
    assert [record["eventName"] for record in events("us-east-1", AccessKeyId=key)] == [
        "CreateUser"
    ], "IAM is global"


def test_pages_attributes_and_times(aws: Aws, person: Person) -> None:
    ec2 = person.client("ec2")
    trail = aws.client("cloudtrail")
    for _ in range(7):
        ec2.describe_vpcs()
    mine = [{"AttributeKey": "AccessKeyId", "AttributeValue": person.key["AccessKeyId"]}]
    first = trail.lookup_events(LookupAttributes=mine, MaxResults=3)
    rest = trail.lookup_events(
        LookupAttributes=mine,
        MaxResults=50,
        NextToken=first["NextToken"],
    )
    ids = [event["EventId"] for event in first["Events"] + rest["Events"]]
    assert len(ids) == len(set(ids)) == 7
    assert "NextToken" not in rest
    now = time.time()
    for wrong, code in (
        (
            {"LookupAttributes": [*mine, {"AttributeKey": "ReadOnly", "AttributeValue": "true"}]},
            "InvalidLookupAttributesException",
        ),
        ({"StartTime": now, "EndTime": now - 60}, "InvalidTimeRangeException"),
        ({"NextToken": "nonsense"}, "InvalidNextTokenException"),
    ):
        with pytest.raises(ClientError) as caught:
            trail.lookup_events(**wrong)
        assert caught.value.response["Error"]["Code"] == code
    assert trail.lookup_events(LookupAttributes=mine, EndTime=now - 3600)["Events"] == []
    assert trail.lookup_events(LookupAttributes=mine, StartTime=now + 3600)["Events"] == []


def test_two_calls_a_second(aws: Aws, control: Control) -> None:
    control("POST", "clock", {"lookups": 2})
    session: Any = boto3.session.Session(
        aws_access_key_id=MEMBER, aws_secret_access_key=settings.SECRET, region_name=settings.REGION
    )
    trail = session.client(
        "cloudtrail", endpoint_url=aws.endpoint, config=Config(retries={"total_max_attempts": 1})
    )
    time.sleep(1.1)
    trail.lookup_events()
    trail.lookup_events()
    with pytest.raises(ClientError, match="ThrottlingException"):
        trail.lookup_events()
    time.sleep(1.1)
    trail.lookup_events()


def test_events_show_after_a_while(person: Person, events: Events, control: Control) -> None:
    control("POST", "clock", {"lag": 30})
    person.client("ec2").describe_vpcs()
    assert events(AccessKeyId=person.key["AccessKeyId"]) == []
    control("POST", "clock", {"lag": 0})
    assert len(events(AccessKeyId=person.key["AccessKeyId"])) == 1

"""A principal that does many things, and how the account looks before and after."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.deployment import REGION
from tests.unit.playbooks.iam_principal.eradication_lab import (
    EradicationLab,
)

Json = dict[str, Any]


def trust(*principals: Any, effect: str = "Allow") -> Json:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole"}
            for principal in principals
        ],
    }


TRUST = json.dumps(trust({"Service": "ec2.amazonaws.com"}))


def create_role(lab: EradicationLab, **also: Any) -> None:
    """The principal makes the role app. ``also``: fields of the event that differ."""
    lab.does("iam", "create_role", also=also, RoleName="app", AssumeRolePolicyDocument=TRUST)


def for_people(lab: EradicationLab) -> list[str]:
    """What people are told, but for the calls that made the user, the group and the role."""
    return [text for text in lab.left if " Create" not in text.partition(" by ")[0]]


def spree(lab: EradicationLab) -> Json:
    """A user, a key of it, an instance, an open rule, a stopped trail, and something that cannot
    be undone.
    """
    ec2, trail = lab.see("ec2"), lab.see("cloudtrail")
    lab.see("s3").create_bucket(
        Bucket="logs-of-the-account", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    trail.create_trail(Name="everything", S3BucketName="logs-of-the-account")
    trail.start_logging(Name="everything")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(
        GroupName="web",
        Description="web",
        VpcId=vpc,
    )["GroupId"]
    lab.does("iam", "create_user", UserName="mallory")
    key = lab.does(
        "iam",
        "create_access_key",
        UserName="mallory",
    )["AccessKey"]["AccessKeyId"]
    made = lab.does(
        "ec2",
        "run_instances",
        ImageId="ami-12c6146b",
        MinCount=1,
        MaxCount=1,
    )["Instances"][0]["InstanceId"]
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "ssh"}],
    }
    lab.does(
        "ec2",
        "authorize_security_group_ingress",
        GroupId=group,
        IpPermissions=[rule],
    )
    lab.does("cloudtrail", "stop_logging", Name="everything")
    lab.does("ec2", "create_vpc", CidrBlock="10.9.0.0/16")
    return {
        "group": group,
        "instance": made,
        "key": key,
        "rule": rule,
    }


def picture(lab: EradicationLab, made: Json) -> Json:
    iam, ec2 = lab.see("iam"), lab.see("ec2")
    keys = iam.list_access_keys(UserName="mallory")["AccessKeyMetadata"]
    return {
        "policies": [
            policy["PolicyArn"]
            for policy in iam.list_attached_user_policies(UserName="mallory")["AttachedPolicies"]
        ],
        "keys": {key["AccessKeyId"]: key["Status"] for key in keys},
        "instance": ec2.describe_instances(InstanceIds=[made["instance"]])["Reservations"][0][
            "Instances"
        ][0]["State"]["Name"],
        "rules": [
            (rule["FromPort"], rule["IpRanges"])
            for rule in ec2.describe_security_groups(GroupIds=[made["group"]])["SecurityGroups"][0][
                "IpPermissions"
            ]
        ],
        "logging": lab.see("cloudtrail").get_trail_status(Name="everything")["IsLogging"],
    }

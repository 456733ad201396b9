"""A principal that does many things, and how the account looks before and after."""

from __future__ import annotations

from typing import Any

from tests.unit.deployment import REGION
from tests.unit.playbooks.iam_principal.eradication_lab import (
    EradicationLab,
)

Json = dict[str, Any]


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

"""A second Region: a twin of the instance at home, what is to be seen there, and where calls
went.
"""

from __future__ import annotations

from typing import Any

from tests.unit.playbooks.ec2_instance.ec2_lab import AMI, REGION, Lab

AWAY = "eu-west-1"
Json = dict[str, Any]


def twin_at_home(lab: Lab) -> str:
    """An instance in the home Region as lab.build() makes one."""
    ec2 = lab.see("ec2", REGION)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(
        GroupName="web",
        Description="web",
        VpcId=vpc,
    )["GroupId"]
    made = ec2.run_instances(
        ImageId=AMI,
        MinCount=1,
        MaxCount=1,
        IamInstanceProfile={"Name": "app"},
        NetworkInterfaces=[
            {
                "DeviceIndex": 0,
                "SubnetId": subnet,
                "Groups": [group],
            }
        ],
    )
    return str(made["Instances"][0]["InstanceId"])


def home(lab: Lab) -> Json:
    """Everything of the home Region that a containment or its evidence could touch."""
    ec2 = lab.see("ec2", REGION)
    return {
        "instances": ec2.describe_instances()["Reservations"],
        "interfaces": ec2.describe_network_interfaces()["NetworkInterfaces"],
        "groups": ec2.describe_security_groups()["SecurityGroups"],
        "profiles": ec2.describe_iam_instance_profile_associations()[
            "IamInstanceProfileAssociations"
        ],
        "snapshots": ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"],
        "tags": ec2.describe_tags()["Tags"],
    }


def called(lab: Lab) -> set[str]:
    """Where calls of the member's sessions went (IAM has one endpoint for all, and CloudTrail is
    asked in all Regions).
    """
    everywhere = ("iam", "account", "cloudtrail")
    calls = [call for call in lab.calls if call.policy is not None]
    return {call.region for call in calls if call.service not in everywhere}

"""Makes the security groups of containment, and finds those that another incident makes at the same
moment.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.network_controls import edit_rule
from guardduty_response.playbooks.ec2_instance.state import InstanceState, filters

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient, IpPermission

EVERYTHING: list[IpPermission] = [
    {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
    {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
]
# Pauses before each look for a group that exists and is not listed yet (EC2 Developer Guide,
# "Eventual consistency in the Amazon EC2 API").
LISTED_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0)


def create(
    instance: InstanceContext, ec2: AwsClient, vpc: str, kind: str = "quarantine"
) -> AwsAnswer:
    name = f"{instance.prefix}-{kind}"
    tags = [{"Key": instance.prefix, "Value": kind}, {"Key": "Name", "Value": name}]
    try:
        got = ec2.create_security_group(
            GroupName=name,
            VpcId=vpc,
            Description=f"{instance.prefix} {kind}",
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
        )
        return {"GroupId": got["GroupId"], "IpPermissionsEgress": EVERYTHING}
    except ClientError as error:
        if error_code(error) != "InvalidGroup.Duplicate":
            raise
    return _existing(instance, ec2, vpc, name)


def _existing(instance: InstanceContext, ec2: AwsClient, vpc: str, name: str) -> AwsAnswer:
    """Returns the group that another incident has just made: AWS may show it late.

    Raises ResponseError when it is not shown, or is a stranger's: names differ by more than case.
    """
    for pause in LISTED_SECONDS:
        time.sleep(pause)
        found = ec2.describe_security_groups(Filters=filters(**{"vpc-id": vpc}))["SecurityGroups"]
        for group in filter(instance.owns, found):
            if group["GroupName"] == name:
                return dict(group)
            if group["GroupName"].lower() == name.lower():
                raise ResponseError(
                    f"security group {group['GroupId']} of {vpc} is named {group['GroupName']}, and"
                    f" AWS takes no other group {name} beside it: delete or replace that group, or"
                    f" name a group for {vpc} in quarantine_security_group_ids"
                )
    raise ResponseError(
        f"AWS says that security group {name} exists in {vpc}, and does not list it: it was made a"
        " moment ago, or this role may not see it"
    )


def flush_group(
    instance: InstanceContext, ec2: AwsClient, vpc: str, current: InstanceState
) -> AwsAnswer:
    """Returns the all-open group. A flow is no longer tracked only if all is open both ways."""
    if vpc in current.flush_groups:
        return current.flush_groups[vpc]
    group = create(instance, ec2, vpc, "untrack")
    for call in (ec2.authorize_security_group_ingress, ec2.authorize_security_group_egress):
        for permission in EVERYTHING:
            edit_rule(call, group["GroupId"], permission)
    return group

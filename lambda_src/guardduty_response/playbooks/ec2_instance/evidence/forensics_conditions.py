"""Says whether live forensics can run: what a contained instance lacks, and whether its agent
answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import allow, name_of
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.rules import to_endpoints
from guardduty_response.playbooks.ec2_instance.state import (
    TASKS,
    WHOSE,
    filters,
    look,
    looking,
)

if TYPE_CHECKING:
    from collections.abc import Container

    from guardduty_response.aws.api import AwsAnswer, AwsClient
    from guardduty_response.playbooks.ec2_instance.state import InstanceState


def endpoint_only(group: AwsAnswer, lists: Container[str]) -> str:
    """Returns why a security group lets out more than TLS to endpoints (or anything in), or ''.

    ``lists``: the prefix lists that AWS manages.
    """
    name = f"security group {group['GroupId']}"
    if group.get("IpPermissions"):
        return f"{name} lets something in"
    rules = group.get("IpPermissionsEgress") or []
    if not all(to_endpoints(lists, "egress", rule) for rule in rules):
        return f"{name} lets out more than tcp/443 to security groups and prefix lists of AWS"
    if not rules:
        return f"{name} lets nothing out, so the agent cannot reach Systems Manager"
    return ""


def missing_after(instance: InstanceContext) -> tuple[str, bool]:
    """Returns what live forensics after containment lacks, or '', and whether it may still come:
    containment takes a moment.

    Raises TargetGone and the errors of EC2.
    """
    ec2 = instance.open_session(
        allow((*looking(instance), "ec2:DescribeIamInstanceProfileAssociations"))
    ).client("ec2")
    current = look(instance, ec2)
    # Whose pods' and tasks' interfaces are is asked for the verdict. The agent uses the instance's.
    errors = [
        f"{item} could not be read ({reason})"
        for item, reason in current.read_errors.items()
        if item not in (TASKS, WHOSE)
    ]
    if errors:
        return "; ".join(errors), True
    without_group = [vpc for vpc in current.vpcs if vpc not in instance.own_groups]
    if without_group:
        vpcs = ", ".join(without_group)
        return f"quarantine_security_group_ids names no endpoint-only group for {vpcs}", False
    for id in sorted({instance.own_groups[vpc] for vpc in current.vpcs}):
        if wrong := _unfit(id, current):
            return wrong, False
    not_closed = [
        interface.id
        for interface in current.interfaces
        if interface.groups != (instance.own_groups[interface.vpc],)
    ]
    if not_closed:
        return f"{', '.join(not_closed)} does not carry the endpoint-only group", True
    wanted, profile = f"{instance.prefix}-quarantine-ssm", _profile(instance, ec2)
    if profile != wanted:
        return f"its instance profile is {profile}, not {wanted}", True
    return "", True


def _unfit(id: str, current: InstanceState) -> str:
    """Returns why a configured group is not one that lets the agent alone out, or ''."""
    if id not in current.quarantine_groups:
        return f"security group {id} of quarantine_security_group_ids does not exist"
    return endpoint_only(current.quarantine_groups[id], current.aws_lists)


def _profile(instance: InstanceContext, ec2: AwsClient) -> str:
    answer = ec2.describe_iam_instance_profile_associations(
        Filters=filters(**{"instance-id": instance.id})
    )
    for association in answer["IamInstanceProfileAssociations"]:
        if association["State"] in ("associating", "associated"):
            return name_of(association["IamInstanceProfile"]["Arn"])
    return "none"


def agent(instance: InstanceContext, ssm: AwsClient) -> tuple[str, str]:
    """Returns (platform, '') of an instance whose agent answers, else ('', why it does not)."""
    condition = {"Key": "InstanceIds", "Values": [instance.id]}
    try:
        answer = ssm.describe_instance_information(Filters=[condition])
        managed = answer["InstanceInformationList"]
    except ClientError as error:
        if error_code(error) != "InvalidInstanceId":
            raise
        managed = []
    if not managed:
        reason = "Systems Manager does not manage it (no agent, or no role that lets the agent in)"
        return "", reason
    status, platform = managed[0].get("PingStatus"), str(managed[0].get("PlatformType"))
    if status != "Online":
        last_seen = managed[0].get("LastPingDateTime", "never")
        return "", f"its Systems Manager agent is {status}, last seen {last_seen}"
    if platform not in ("Linux", "Windows"):
        return "", f"there are no scripts for platform {platform}"
    return platform, ""

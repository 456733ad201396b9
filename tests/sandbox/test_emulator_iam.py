"""IAM is enforced on forwarded services as on AWS: every resource a call names, with its
condition keys.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox import seed
from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import ALLOW_ALL, MEMBER, SECURITY, Identity, allow

Make = Callable[..., seed.Victim]


def refused(call: Callable[[], object]) -> bool:
    """True when IAM refuses the call, False when it is allowed; any other error is raised."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] in (
            "UnauthorizedOperation",
            "AccessDenied",
            "AccessDeniedException",
        ):
            return True
        raise
    return False


def arn(kind: str, name: str) -> str:
    account = "" if kind == "snapshot" else MEMBER
    return f"arn:aws:ec2:us-east-1:{account}:{kind}/{name}"


@pytest.fixture
def found(victim: Make) -> seed.Victim:
    return victim(interfaces=2)


@pytest.mark.smoke
def test_every_resource_of_a_call_is_checked(
    aws: Aws, identity: Identity, found: seed.Victim, victim: Make
) -> None:
    group, first, second = found.security_group, *found.interfaces
    ec2 = identity.client(
        "ec2",
        ALLOW_ALL,
        session_policy=allow(
            ["ec2:ModifyNetworkInterfaceAttribute", "ec2:StopInstances"],
            [
                arn("network-interface", first),
                arn("security-group", group),
                arn("instance", found.instance),
            ],
        ),
    )
    assert not refused(
        lambda: ec2.modify_network_interface_attribute(NetworkInterfaceId=first, Groups=[group])
    )
    assert refused(
        lambda: ec2.modify_network_interface_attribute(NetworkInterfaceId=second, Groups=[group])
    )
    assert refused(lambda: ec2.stop_instances(InstanceIds=[found.instance, victim().instance]))
    assert not refused(lambda: ec2.stop_instances(InstanceIds=[found.instance]))


def test_describe_calls_have_no_resource(identity: Identity, found: seed.Victim) -> None:
    scoped = identity.client("ec2", allow("ec2:DescribeInstances", arn("instance", found.instance)))
    assert refused(lambda: scoped.describe_instances(InstanceIds=[found.instance]))
    open_ = identity.client("ec2", allow("ec2:DescribeInstances"))
    assert not refused(lambda: open_.describe_instances(InstanceIds=[found.instance]))


def test_refusals_name_action_and_resource(identity: Identity, found: seed.Victim) -> None:
    ec2 = identity.client("ec2", allow("ec2:DescribeInstances"))
    with pytest.raises(ClientError) as caught:
        ec2.stop_instances(InstanceIds=[found.instance])
    message = caught.value.response["Error"]["Message"]
    assert "ec2:StopInstances" in message
    assert arn("instance", found.instance) in message


def test_tags_of_the_resource_are_condition_keys(
    aws: Aws, identity: Identity, victim: Make
) -> None:
    tagged = victim(tags={"stage": "test"})
    plain = victim()
    for key in ("aws:ResourceTag/stage", "ec2:ResourceTag/stage"):
        ec2 = identity.client("ec2", allow("ec2:StopInstances", "*", StringEquals={key: "test"}))
        assert not refused(functools.partial(ec2.stop_instances, InstanceIds=[tagged.instance]))
        assert refused(functools.partial(ec2.stop_instances, InstanceIds=[plain.instance]))
    vpc = identity.client("ec2", allow("ec2:*", "*", ArnEquals={"ec2:Vpc": arn("vpc", plain.vpc)}))
    modify = vpc.modify_network_interface_attribute
    assert not refused(
        lambda: modify(NetworkInterfaceId=plain.interfaces[0], Groups=[plain.security_group])
    )


def test_creating_a_group_with_tags(aws: Aws, identity: Identity, found: seed.Victim) -> None:
    create = {
        "Description": "q",
        "VpcId": found.vpc,
        "TagSpecifications": [
            {"ResourceType": "security-group", "Tags": [{"Key": "P", "Value": "quarantine"}]}
        ],
    }
    group = {
        "Effect": "Allow",
        "Action": "ec2:CreateSecurityGroup",
        "Resource": [arn("security-group", "*"), arn("vpc", "*")],
    }
    tag: dict[str, Any] = {
        "Effect": "Allow",
        "Action": "ec2:CreateTags",
        "Resource": arn("security-group", "*"),
    }
    only_here = {
        **tag,
        "Condition": {
            "StringEquals": {
                "ec2:CreateAction": "CreateSecurityGroup",
                "aws:RequestTag/P": "quarantine",
            }
        },
    }
    wrong = {**tag, "Condition": {"StringEquals": {"ec2:CreateAction": "RunInstances"}}}

    def policy(*statements: dict[str, Any]) -> dict[str, Any]:
        return {"Version": "2012-10-17", "Statement": list(statements)}

    for number, (statements, verdict) in enumerate(
        [
            ((group, only_here), False),
            ((group,), True),
            ((group, wrong), True),
            ((only_here,), True),
        ]
    ):
        ec2 = identity.client("ec2", policy(*statements))
        name = f"q-{number}-{found.instance}"
        assert (
            refused(functools.partial(ec2.create_security_group, GroupName=name, **create))
            is verdict
        ), statements


def test_creating_snapshots(identity: Identity, found: seed.Victim) -> None:
    named = [
        arn("instance", found.instance),
        arn("snapshot", "*"),
        *(arn("volume", name) for name in found.volumes),
    ]
    make = {"InstanceSpecification": {"InstanceId": found.instance}}
    all_of_them = identity.client("ec2", allow("ec2:CreateSnapshots", named))
    assert not refused(lambda: all_of_them.create_snapshots(**make))
    without_a_volume = identity.client("ec2", allow("ec2:CreateSnapshots", named[:-1]))
    assert refused(lambda: without_a_volume.create_snapshots(**make))
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "P", "Value": "x"}]}]
    assert refused(lambda: all_of_them.create_snapshots(**make, TagSpecifications=tags))


def test_handing_over_a_profile_is_passing_its_role(
    aws: Aws, identity: Identity, victim: Make
) -> None:
    found = victim(profile_attached=True)
    name = f"{found.instance_profile}-quiet"
    seed.profile(aws, MEMBER, name)
    ec2 = aws.client("ec2")
    association = ec2.describe_iam_instance_profile_associations(
        Filters=[{"Name": "instance-id", "Values": [found.instance]}]
    )["IamInstanceProfileAssociations"][0]["AssociationId"]
    swap = {
        "Effect": "Allow",
        "Action": "ec2:ReplaceIamInstanceProfileAssociation",
        "Resource": arn("instance", found.instance),
    }
    give: dict[str, Any] = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": f"arn:aws:iam::{MEMBER}:role/{name}",
        "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
    }
    change = {"AssociationId": association, "IamInstanceProfile": {"Name": name}}
    alone = identity.client("ec2", {"Version": "2012-10-17", "Statement": [swap]})
    assert refused(lambda: alone.replace_iam_instance_profile_association(**change))
    both = identity.client("ec2", {"Version": "2012-10-17", "Statement": [swap, give]})
    assert not refused(lambda: both.replace_iam_instance_profile_association(**change))


def test_groups_and_target_groups_have_their_arns(
    aws: Aws, identity: Identity, victim: Make
) -> None:
    found = victim(in_asg=True, target_group=True)
    name = found.auto_scaling_group
    groups = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])[
        "AutoScalingGroups"
    ]
    for resource, verdict in (
        (groups[0]["AutoScalingGroupARN"], False),
        (groups[0]["AutoScalingGroupARN"] + "x", True),
    ):
        scaling = identity.client("autoscaling", allow("autoscaling:SuspendProcesses", resource))
        assert (
            refused(functools.partial(scaling.suspend_processes, AutoScalingGroupName=name))
            is verdict
        )
    for resource, verdict in ((found.target_group, False), (f"{found.target_group}x", True)):
        balancing = identity.client(
            "elbv2", allow("elasticloadbalancing:DeregisterTargets", str(resource))
        )
        out = {"TargetGroupArn": found.target_group, "Targets": [{"Id": found.instance}]}
        assert refused(functools.partial(balancing.deregister_targets, **out)) is verdict
    reader = identity.client("elbv2", allow("elasticloadbalancing:DescribeTargetHealth"))
    assert not refused(lambda: reader.describe_target_health(TargetGroupArn=found.target_group))


def test_a_rule_is_closed_by_who_may_change_its_group(
    aws: Aws, identity: Identity, network: seed.Network
) -> None:
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 8443,
        "ToPort": 8443,
        "IpRanges": [{"CidrIp": "203.0.113.7/32"}],
    }
    made = aws.client("ec2").authorize_security_group_ingress(
        GroupId=network.security_group, IpPermissions=[rule]
    )
    close = {
        "GroupId": network.security_group,
        "SecurityGroupRuleIds": [made["SecurityGroupRules"][0]["SecurityGroupRuleId"]],
    }
    for group, verdict in (("sg-0123456789abcdef0", True), (network.security_group, False)):
        ec2 = identity.client(
            "ec2", allow("ec2:RevokeSecurityGroupIngress", arn("security-group", group))
        )
        assert refused(functools.partial(ec2.revoke_security_group_ingress, **close)) is verdict


def test_trust_names_the_role_and_the_organization(aws: Aws, identity: Identity) -> None:
    function = identity.role(allow("sts:AssumeRole"), account=SECURITY)
    other = identity.role(allow("sts:AssumeRole"), account=SECURITY)

    def trust(**keys: object) -> dict[str, Any]:
        return trusting(SECURITY, ArnEquals={"aws:PrincipalArn": function}, **keys)

    for organization, caller, verdict in (
        ("o-sandbox001", function, False),
        ("o-sandbox001", other, True),
        ("o-somebody00", function, True),
    ):
        target = identity.role(
            ALLOW_ALL, trust=trust(StringEquals={"aws:PrincipalOrgID": organization})
        )
        credentials = identity.session(caller)
        assert refused(functools.partial(identity.session, target, by=credentials)) is verdict


def test_the_organization_of_the_resource(identity: Identity) -> None:
    target = identity.role(ALLOW_ALL, trust=trusting(SECURITY))
    for organization, verdict in (("o-sandbox001", False), ("o-somebody00", True)):
        policy = allow("sts:AssumeRole", target, StringEquals={"aws:ResourceOrgID": organization})
        credentials = identity.session(identity.role(policy, account=SECURITY))
        assert refused(functools.partial(identity.session, target, by=credentials)) is verdict


def trusting(account: str, **condition: object) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    statement["Principal"] = {"AWS": f"arn:aws:iam::{account}:root"}
    if condition:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_sessions_of_one_instance_can_be_denied(aws: Aws, identity: Identity) -> None:
    policy = allow("ec2:DescribeInstances")
    policy["Statement"].append(
        {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"StringLike": {"aws:userid": "*:i-0bad*"}},
        }
    )
    role = identity.role(policy)
    for name, verdict in (("i-0bad00000000000000", True), ("i-0good0000000000000", False)):
        ec2 = aws.client("ec2", **identity.session(role, name=name))
        assert refused(ec2.describe_instances) is verdict


def test_iam_calls_are_checked_on_the_path(aws: Aws, identity: Identity) -> None:
    target = identity.role(None, path="/workload/")
    name = target.rsplit("/", 1)[-1]
    document = json.dumps(ALLOW_ALL)
    for resource, verdict in ((target, False), (f"arn:aws:iam::{MEMBER}:role/{name}", True)):
        iam = identity.client("iam", allow("iam:PutRolePolicy", resource))
        put = partial(
            iam.put_role_policy,
            RoleName=name,
            PolicyName="x",
            PolicyDocument=document,
        )
        assert refused(put) is verdict
    profile_arn, _ = seed.profile(aws, MEMBER, f"{name}-profile")
    iam = identity.client("iam", allow("iam:GetInstanceProfile", profile_arn))
    assert not refused(lambda: iam.get_instance_profile(InstanceProfileName=f"{name}-profile"))


def test_requests_count_as_tls(identity: Identity) -> None:
    policy = allow("ec2:DescribeVpcs")
    deny = {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy["Statement"].append(deny)
    assert not refused(identity.client("ec2", policy).describe_vpcs)


def test_guardduty_is_authorized_too(aws: Aws, identity: Identity) -> None:
    assert refused(identity.client("guardduty", allow("ec2:*")).list_detectors)
    guardduty = identity.client("guardduty", allow("guardduty:ListDetectors"))
    assert not refused(guardduty.list_detectors)
    assert refused(lambda: guardduty.create_detector(Enable=True))

"""What the responder role may do to what, and what nobody in the response may do: asked of an
IAM evaluator.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.member_plans import DEFAULTS, EVERY_ROLE
from tests.support.policy_oracle import decide

if TYPE_CHECKING:
    from tests.support.terraform_tools import Plan, Planner

pytestmark = pytest.mark.terraform
MEMBER, OTHER, P = "222222222222", "333333333333", "guardduty-response"
EC2, IAM = f"arn:aws:ec2:us-east-1:{MEMBER}", f"arn:aws:iam::{MEMBER}"
INSTANCE, ENI, GROUP = (
    f"{EC2}:instance/i-0a",
    f"{EC2}:network-interface/eni-0a",
    f"{EC2}:security-group/sg-0a",
)
SNAPSHOT, VOLUME = "arn:aws:ec2:us-east-1::snapshot/snap-0a", f"{EC2}:volume/vol-0a"
SCALING = f"arn:aws:autoscaling:us-east-1:{MEMBER}:autoScalingGroup:uuid:autoScalingGroupName/web"
TARGETS = f"arn:aws:elasticloadbalancing:us-east-1:{MEMBER}:targetgroup/web/0a"
OURS = {f"aws__ResourceTag___{P}": "quarantine"}
NEW = {f"aws__RequestTag___{P}": "quarantine"}


@pytest.fixture(scope="module")
def planned(plan_of_two_accounts: Planner) -> Plan:
    return plan_of_two_accounts(**DEFAULTS)


@pytest.fixture(scope="module")
def responder(planned: Plan) -> str:
    return str(planned.outputs["policies"]["responder"]["ec2_instance"])


SESSIONS_DENIED = {f"aws__ResourceTag___{P}-sessions": "denied"}
MAY: list[tuple[str, str, dict[str, Any]]] = [
    ("ec2:DescribeInstances", "*", {}),
    ("ec2:DescribeSecurityGroups", "*", {}),
    ("ec2:ModifyNetworkInterfaceAttribute", ENI, {}),
    ("ec2:ModifyNetworkInterfaceAttribute", GROUP, {}),
    # a shared group is its owner's
    ("ec2:ModifyNetworkInterfaceAttribute", GROUP.replace(MEMBER, OTHER), {}),
    ("ec2:CreateSecurityGroup", f"{EC2}:vpc/vpc-0a", {}),
    # a shared VPC is its owner's
    ("ec2:CreateSecurityGroup", f"{EC2.replace(MEMBER, OTHER)}:vpc/vpc-0a", {}),
    ("ec2:CreateSecurityGroup", GROUP, NEW),
    ("ec2:CreateTags", GROUP, {"ec2__CreateAction": "CreateSecurityGroup"}),
    ("ec2:RevokeSecurityGroupEgress", GROUP, OURS),
    ("ec2:RevokeSecurityGroupIngress", GROUP, OURS),
    ("ec2:ModifyInstanceAttribute", INSTANCE, {}),
    ("ec2:ReplaceIamInstanceProfileAssociation", INSTANCE, {}),
    ("ec2:CreateTags", INSTANCE, {"aws__TagKeys": [P, f"{P}-incident"]}),
    ("ec2:StopInstances", INSTANCE, {}),
    ("autoscaling:DetachInstances", SCALING, {}),
    ("elasticloadbalancing:DeregisterTargets", TARGETS, {}),
    ("iam:GetInstanceProfile", f"{IAM}:instance-profile/web", {}),
    ("iam:PutRolePolicy", f"{IAM}:role/web", {}),
    # a name like the response's keeps no role of anybody's out of reach
    ("iam:PutRolePolicy", f"{IAM}:role/{P}-mine", {}),
    ("iam:DeleteRolePolicy", f"{IAM}:role/web", SESSIONS_DENIED),
    ("iam:DetachRolePolicy", f"{IAM}:role/web", {"iam__PolicyARN": f"{IAM}:policy/{P}-sessions-0"}),
    ("iam:TagRole", f"{IAM}:role/web", {"aws__TagKeys": [f"{P}-sessions"]}),
    ("iam:UntagRole", f"{IAM}:role/web", {"aws__TagKeys": [f"{P}-sessions"]}),
    ("iam:PutRolePolicy", f"{IAM}:role/security/{P}-responder-ec2-instance", {}),
    ("iam:PutRolePolicy", f"{IAM}:role/{P}-terminator-ec2-instance", {}),  # not switched on here
    ("iam:PassRole", f"{IAM}:role/{P}-quarantine", {"iam__PassedToService": "ec2.amazonaws.com"}),
]

MAY_NOT: list[tuple[str, str, dict[str, Any]]] = [
    # nothing that destroys
    ("ec2:TerminateInstances", INSTANCE, {}),
    ("ec2:DeleteSnapshot", SNAPSHOT, {}),
    ("ec2:DeleteVolume", VOLUME, {}),
    ("ec2:DeleteSecurityGroup", GROUP, OURS),
    ("ec2:DeleteTags", INSTANCE, {}),
    ("ec2:ModifySnapshotAttribute", SNAPSHOT, {}),  # nor shares
    # nothing of the evidence: that is the collector's
    ("ec2:CreateSnapshots", INSTANCE, {}),
    ("ec2:CreateTags", SNAPSHOT, {"ec2__CreateAction": "CreateSnapshots"}),
    ("ec2:ReleaseAddress", f"{EC2}:elastic-ip/eipalloc-0a", {}),
    # nothing that opens, or starts
    ("ec2:AuthorizeSecurityGroupIngress", GROUP, OURS),
    ("ec2:AuthorizeSecurityGroupEgress", GROUP, OURS),
    ("ec2:StartInstances", INSTANCE, {}),
    ("ec2:RunInstances", INSTANCE, {}),
    # no group but its own
    ("ec2:CreateSecurityGroup", GROUP, {}),
    ("ec2:CreateSecurityGroup", GROUP, {f"aws__RequestTag___{P}": "something else"}),
    ("ec2:CreateSecurityGroup", GROUP.replace(MEMBER, OTHER), NEW),
    ("ec2:RevokeSecurityGroupIngress", GROUP, {}),
    ("ec2:RevokeSecurityGroupEgress", GROUP, {f"aws__ResourceTag___{P}": "something else"}),
    ("ec2:CreateTags", GROUP, {"aws__TagKeys": [P]}),  # an existing group cannot be made its own
    ("ec2:CreateTags", INSTANCE, {"aws__TagKeys": ["Name"]}),
    # credentials: it can take away, not give, and not to itself
    (
        "iam:PassRole",
        f"{IAM}:role/{P}-quarantine",
        {"iam__PassedToService": "lambda.amazonaws.com"},
    ),
    ("iam:PassRole", f"{IAM}:role/admin", {"iam__PassedToService": "ec2.amazonaws.com"}),
    ("iam:AttachRolePolicy", f"{IAM}:role/web", {}),
    ("iam:DeleteRolePolicy", f"{IAM}:role/web", {}),
    ("iam:DeleteRolePolicy", f"{IAM}:role/{P}-quarantine", SESSIONS_DENIED),
    ("iam:DetachRolePolicy", f"{IAM}:role/web", {}),
    ("iam:DetachRolePolicy", f"{IAM}:role/web", {"iam__PolicyARN": f"{IAM}:policy/app"}),
    ("iam:TagRole", f"{IAM}:role/web", {"aws__TagKeys": [f"{P}-sessions", "team"]}),
    ("iam:UntagRole", f"{IAM}:role/web", {"aws__TagKeys": ["team"]}),
    ("iam:UntagRole", f"{IAM}:role/{P}-quarantine", {"aws__TagKeys": [f"{P}-sessions"]}),
    ("iam:UpdateAssumeRolePolicy", f"{IAM}:role/web", {}),
    ("iam:CreateAccessKey", f"{IAM}:user/ann", {}),
    ("iam:PutUserPolicy", f"{IAM}:user/ann", {}),
    ("iam:PutRolePolicy", f"{IAM}:role/{P}-quarantine", {}),
    ("iam:PutRolePolicy", f"{IAM}:role/{P}-responder-ec2-instance", {}),
    ("iam:PutRolePolicy", f"{IAM}:role/{P}-collector-iam-principal", {}),
    (
        "iam:PutRolePolicy",
        f"{IAM}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
        {},
    ),
    ("iam:PutRolePolicy", f"{IAM}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0a", {}),
    ("sts:AssumeRole", f"{IAM}:role/web", {}),
    # no other account, no other service
    ("ec2:ModifyNetworkInterfaceAttribute", ENI.replace(MEMBER, OTHER), {}),
    ("ec2:StopInstances", INSTANCE.replace(MEMBER, OTHER), {}),
    ("iam:PutRolePolicy", f"arn:aws:iam::{OTHER}:role/web", {}),
    ("autoscaling:TerminateInstanceInAutoScalingGroup", SCALING, {}),
    ("autoscaling:UpdateAutoScalingGroup", SCALING, {}),
    ("elasticloadbalancing:DeleteTargetGroup", TARGETS, {}),
    ("s3:GetObject", "arn:aws:s3:::data/x", {}),
    ("ssm:SendCommand", INSTANCE, {}),
    ("kms:Decrypt", f"arn:aws:kms:us-east-1:{MEMBER}:key/0a", {}),
    ("guardduty:UpdateDetector", "*", {}),
]


def _name(case: tuple[str, str, dict[str, Any]]) -> str:
    return f"{case[0]} {case[1].split(':', 5)[-1]} {','.join(map(str, case[2].values()))}".strip()


@pytest.mark.parametrize("case", MAY, ids=_name)
def test_the_responder_may(responder: str, case: tuple[str, str, dict[str, Any]]) -> None:
    action, resource, context = case
    assert (
        decide(
            [responder],
            action,
            resource,
            **context,
        )
        == "Allow"
    )


@pytest.mark.parametrize("case", MAY_NOT, ids=_name)
def test_the_responder_may_not(responder: str, case: tuple[str, str, dict[str, Any]]) -> None:
    action, resource, context = case
    assert (
        decide(
            [responder],
            action,
            resource,
            **context,
        )
        != "Allow"
    )


def _statements(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["Statement"]
    return found


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def test_everything_but_looking_names_its_resources(responder: str) -> None:
    """``*`` as a resource is for Describe alone, and for calls that need no other; no action is a
    wildcard.
    """
    need_no_other = ("account:ListRegions", "cloudtrail:LookupEvents", "ecs:ListClusters")
    for statement in _statements(responder):
        assert "NotAction" not in statement and "NotResource" not in statement
        for action in _list(statement["Action"]):
            assert "*" not in action, statement["Sid"]
            if "*" in _list(statement["Resource"]):
                assert action.split(":")[1].startswith("Describe") or action in need_no_other, (
                    statement["Sid"]
                )
        for resource in _list(statement["Resource"]):
            account = resource.split(":")[4] if resource != "*" else MEMBER
            # the security account's roles too, and what others share
            others = (
                "NeverTheResponseItself",
                "ContainVpcs",
                "ContainInstancesNetworkInterfacesSecurityGroups",
            )
            assert account == MEMBER or statement["Sid"] in others, resource


def test_opening_a_group_needs_the_switch(plan_of_two_accounts: Planner) -> None:
    """Only where live flows are to be untracked, and only for the group that is made for that."""
    wide = plan_of_two_accounts(**EVERY_ROLE)
    policy = wide.outputs["policies"]["responder"]["ec2_instance"]
    allowed = {f"aws__ResourceTag___{P}": "untrack"}
    assert (
        decide(
            [policy],
            "ec2:AuthorizeSecurityGroupIngress",
            GROUP,
            **allowed,
        )
        == "Allow"
    )
    assert (
        decide(
            [policy],
            "ec2:AuthorizeSecurityGroupIngress",
            GROUP,
            **OURS,
        )
        != "Allow"
    )
    assert decide([policy], "ec2:AuthorizeSecurityGroupEgress", GROUP) != "Allow"


def test_the_quarantine_role_may_do_nothing(planned: Plan) -> None:
    policy = planned.values("module.member.aws_iam_role_policy.quarantine")["policy"]
    everything = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    for action in ("s3:GetObject", "sts:GetCallerIdentity", "ssm:UpdateInstanceInformation"):
        assert decide([policy, everything], action, "*") == "Deny", (
            "whatever else is attached to it"
        )

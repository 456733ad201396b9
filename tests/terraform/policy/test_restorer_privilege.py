"""What the restorer role may do to what, asked of an IAM evaluator; and that neither role can do
the other's work.
"""

from __future__ import annotations

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
SCALING = f"arn:aws:autoscaling:us-east-1:{MEMBER}:autoScalingGroup:uuid:autoScalingGroupName/web"
TARGETS = f"arn:aws:elasticloadbalancing:us-east-1:{MEMBER}:targetgroup/web/0a"
TO_EC2 = {"iam__PassedToService": "ec2.amazonaws.com"}
Case = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def planned(plan_of_two_accounts: Planner) -> Plan:
    return plan_of_two_accounts(**EVERY_ROLE)


MAY: list[Case] = [
    ("ec2:DescribeInstances", "*", {}),
    ("ec2:ModifyNetworkInterfaceAttribute", ENI, {}),
    ("ec2:ModifyNetworkInterfaceAttribute", GROUP, {}),
    # a shared group is its owner's
    ("ec2:ModifyNetworkInterfaceAttribute", GROUP.replace(MEMBER, OTHER), {}),
    ("ec2:AssociateAddress", f"{EC2}:elastic-ip/eipalloc-0a", {}),
    ("ec2:ReplaceIamInstanceProfileAssociation", INSTANCE, {}),
    ("ec2:ModifyInstanceAttribute", INSTANCE, {}),
    ("ec2:DeleteTags", INSTANCE, {"aws__TagKeys": [P]}),
    ("autoscaling:AttachInstances", SCALING, {}),
    ("autoscaling:ExitStandby", SCALING, {}),
    ("elasticloadbalancing:RegisterTargets", TARGETS, {}),
    ("iam:PassRole", f"{IAM}:role/web", TO_EC2),
    ("iam:PassRole", f"{IAM}:role/{P}-mine", TO_EC2),
    ("iam:DeleteRolePolicy", f"{IAM}:role/web", {}),
]
MAY_NOT: list[Case] = [
    ("ec2:AuthorizeSecurityGroupIngress", GROUP, {}),
    ("ec2:CreateSecurityGroup", GROUP, {}),
    ("ec2:StartInstances", INSTANCE, {}),
    ("ec2:TerminateInstances", INSTANCE, {}),
    ("ec2:DeleteTags", INSTANCE, {"aws__TagKeys": ["Name"]}),
    ("ec2:DisassociateAddress", f"{EC2}:elastic-ip/eipalloc-0a", {}),
    ("ec2:ModifyNetworkInterfaceAttribute", ENI.replace(MEMBER, OTHER), {}),
    ("autoscaling:DetachInstances", SCALING, {}),
    ("elasticloadbalancing:DeregisterTargets", TARGETS, {}),
    ("iam:PassRole", f"{IAM}:role/web", {"iam__PassedToService": "lambda.amazonaws.com"}),
    ("iam:PassRole", f"{IAM}:role/{P}-responder-ec2-instance", TO_EC2),
    ("iam:PassRole", f"{IAM}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0a", TO_EC2),
    ("iam:DeleteRolePolicy", f"{IAM}:role/{P}-quarantine", {}),
    ("iam:PutRolePolicy", f"{IAM}:role/{P}-restorer-ec2-instance", {}),
    ("iam:AttachRolePolicy", f"{IAM}:role/web", {}),
    ("iam:AddRoleToInstanceProfile", f"{IAM}:instance-profile/web", {}),
    ("sts:AssumeRole", f"{IAM}:role/web", {}),
]


def _name(case: Case) -> str:
    return f"{case[0]} {case[1].split(':', 5)[-1]}"


@pytest.mark.parametrize("case", MAY, ids=_name)
def test_the_restorer_may(planned: Plan, case: Case) -> None:
    action, resource, context = case
    assert (
        decide(
            [planned.outputs["policies"]["restorer"]["ec2_instance"]], action, resource, **context
        )
        == "Allow"
    )


@pytest.mark.parametrize("case", MAY_NOT, ids=_name)
def test_the_restorer_may_not(planned: Plan, case: Case) -> None:
    action, resource, context = case
    assert (
        decide(
            [planned.outputs["policies"]["restorer"]["ec2_instance"]], action, resource, **context
        )
        != "Allow"
    )


@pytest.mark.parametrize("case", MAY, ids=_name)
def test_what_undoes_is_not_the_responders(planned: Plan, case: Case) -> None:
    """But for the calls that both need, of which the session policy names the resources."""
    both = (
        "ec2:Describe",
        "ec2:ModifyNetworkInterfaceAttribute",
        "ec2:ReplaceIamInstanceProfileAssociation",
        "ec2:ModifyInstanceAttribute",
    )
    action, resource, context = case
    if not action.startswith(both):
        assert (
            decide(
                [planned.outputs["policies"]["responder"]["ec2_instance"]],
                action,
                resource,
                **context,
            )
            != "Allow"
        )


def test_off_there_is_none(plan_of_two_accounts: Planner) -> None:
    off = plan_of_two_accounts(**DEFAULTS)
    assert [address for address in off.resources if "restor" in address] == []

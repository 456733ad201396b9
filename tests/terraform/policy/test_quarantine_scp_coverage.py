"""Every action of any service that changes what a quarantine rests on, asked of an IAM evaluator
under the service control policies: it is denied to an administrator, or listed in
tests/support/quarantine_cases.py with the reason why it stays allowed. And every change that the
response's own roles may make passes.

The actions come from AWS's service authorization reference, so that a new one fails here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.authorization_data import changes_of
from tests.support.member_plans import EVERY_ROLE
from tests.support.policy_oracle import decide
from tests.support.quarantine_cases import CONTAINED, IAM, KINDS, OURS, PROTECTED, P, Protected

if TYPE_CHECKING:
    from tests.support.terraform_tools import Plan, Planner

pytestmark = pytest.mark.terraform
EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
# What the IAM policies of the response's roles ask of a call, beside the resource
ASKED: list[dict[str, Any]] = [
    {
        "iam__PolicyARN": DENY_ALL,
        "iam__PermissionsBoundary": DENY_ALL,
        "ec2__Attribute___HttpEndpoint": "disabled",
    },
    {"ec2__Add___userId": "333333333333"},
]
OPENING = {"ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress"}
# Role, contained resource -> the changes that its IAM policy allows and the policies here deny
# By design: to give back what a credential's eradication changed lifts no instance's quarantine.
# Nor does ec2_instance, which may write our tags, need any of a contained role.
TAGS = {"iam:TagRole", "iam:UntagRole"}
WITHHELD = {
    (f"{P}-responder-ec2-instance", "role"): TAGS,
    (f"{P}-restorer-ec2-instance", "role"): {"iam:UntagRole"},
    (f"{P}-restorer-iam-principal", "instance"): {"ec2:StartInstances"},
    (f"{P}-restorer-iam-principal", "quarantine group"): OPENING,
    (f"{P}-restorer-iam-principal", "flush group"): OPENING,
    (f"{P}-restorer-iam-principal", "snapshot"): {"ec2:ModifySnapshotAttribute"},
}


@pytest.fixture(scope="module")
def planned(plan_of_two_accounts: Planner) -> Plan:
    """With every role of the response."""
    return plan_of_two_accounts(**EVERY_ROLE)


def _changes(policies: list[Any], case: Protected, role: str, **asked: Any) -> set[str]:
    """As aws:PrincipalArn is for a session: its role's ARN."""
    return {
        action
        for action in changes_of(*case.kind)
        if decide(policies, action, case.arn, f"{IAM}:role/{role}", **case.context, **asked)
        == "Allow"
    }


@pytest.mark.parametrize("case", PROTECTED.values(), ids=list(PROTECTED))
def test_every_change_is_denied_or_listed(planned: Plan, case: Protected) -> None:
    assert len(changes_of(*case.kind)) >= 6
    assert _changes([EVERYTHING, planned.outputs[case.policy]], case, "admin") == set(case.allowed)


@pytest.mark.parametrize("name", CONTAINED)
def test_the_response_makes_every_change_that_it_may(planned: Plan, name: str) -> None:
    """Also on a role that the other playbook has contained."""
    case, changed = CONTAINED[name], 0
    for role, own in _roles(planned):
        for asked in ASKED:
            may = _changes(
                [own],
                case,
                role,
                **asked,
            )
            passes = _changes(
                [own, planned.outputs[case.policy]],
                case,
                role,
                **asked,
            )
            assert may - passes == WITHHELD.get((role, name), set()), (role, asked)
            changed += len(passes)
    assert changed


@pytest.mark.parametrize("case", PROTECTED.values(), ids=list(PROTECTED))
def test_who_is_exempt_makes_every_change(planned: Plan, case: Protected) -> None:
    policies = [EVERYTHING, planned.outputs[case.policy]]
    assert _changes(policies, case, "break-glass") == changes_of(*case.kind)


@pytest.mark.parametrize(
    "role", ["deploy", "stacksets-exec-0a", "AWSCloudFormationStackSetExecutionRole"]
)
def test_who_deploys_changes_the_roles_and_lifts_no_quarantine(planned: Plan, role: str) -> None:
    for name, case in PROTECTED.items():
        made = _changes(
            [EVERYTHING, planned.outputs[case.policy]],
            case,
            role,
        )
        tags = {"iam:TagRole", "iam:TagUser", "iam:UntagRole", "iam:UntagUser"}
        expected = changes_of(*case.kind) - tags if name in OURS else set(case.allowed)
        assert made == expected, name


def test_no_role_of_the_response_changes_another(planned: Plan) -> None:
    for name, case in OURS.items():
        for role, _ in _roles(planned):
            made = _changes(
                [EVERYTHING, planned.outputs[case.policy]],
                case,
                role,
            )
            assert made == set(case.allowed), (role, name)


def _roles(planned: Plan) -> list[tuple[str, str]]:
    """Returns the response's roles in a member account, each with its IAM policy."""
    policies = planned.outputs["policies"]
    assert all(policies[kind] for kind in KINDS)
    return [
        (f"{P}-{kind}-{playbook.replace('_', '-')}", own)
        for kind in KINDS
        for playbook, own in policies[kind].items()
    ]

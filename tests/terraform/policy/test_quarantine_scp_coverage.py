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
from tests.support.policy_oracle import decide
from tests.support.quarantine_cases import CONTAINED, IAM, OURS, PROTECTED, P, Protected

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
# Role, contained resource -> the changes that its IAM policy allows and the policies here deny
WITHHELD: dict[tuple[str, str], tuple[set[str], str]] = {}


@pytest.fixture(scope="module")
def planned(plan_of_two_accounts: Planner) -> Plan:
    """With every role of the response."""
    return plan_of_two_accounts(
        remediations={"CryptoCurrency:EC2/BitcoinTool.B!DNS": "auto"},
        organization_id="o-sandbox001",
        ec2_instance={"restore": True},
    )


def _changes(
    policies: list[Any], case: Protected, role: str, **asked: Any
) -> set[str]:
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


def test_probe(planned: Plan) -> None:
    print({k: {p: len(t) for p, t in v.items()} for k, v in planned.outputs["policies"].items()})
    for kind, of_playbook in planned.outputs["policies"].items():
        for playbook, own in of_playbook.items():
            role = f"{P}-{kind}-{playbook.replace('_', '-')}"
            for name, case in CONTAINED.items():
                for asked in ASKED:
                    may = _changes([own], case, role, **asked)
                    left = may - _changes([own, planned.outputs[case.policy]], case, role, **asked)
                    if may: print(role, name, "may", len(may), "withheld", sorted(left))

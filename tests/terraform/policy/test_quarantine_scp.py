"""Who may lift a quarantine under the service control policy: asked of an IAM evaluator.

No emulator enforces service control policies: one is a policy beside the principal's own, and its
denials win (AWS Organizations User Guide, "SCP evaluation").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.policy_oracle import decide

if TYPE_CHECKING:
    from tests.support.terraform_tools import Planner

pytestmark = pytest.mark.terraform
P, MEMBER = "guardduty-response", "222222222222"
USER, ROLE = f"arn:aws:iam::{MEMBER}:user/alice", f"arn:aws:iam::{MEMBER}:role/app"
EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
QUARANTINED = {f"aws__ResourceTag___{P}": "quarantined"}
DENY_ALL = {"iam__PolicyARN": "arn:aws:iam::aws:policy/AWSDenyAll"}
LIFTING: list[tuple[str, str, dict[str, Any]]] = [
    ("iam:DetachUserPolicy", USER, DENY_ALL),
    ("iam:DeleteUserPermissionsBoundary", USER, QUARANTINED),
    ("iam:UpdateAccessKey", USER, QUARANTINED),
    ("iam:CreateAccessKey", USER, QUARANTINED),
    ("iam:CreateLoginProfile", USER, QUARANTINED),
    ("iam:UpdateUser", USER, QUARANTINED),
    ("iam:DeleteRolePolicy", ROLE, QUARANTINED),
    ("iam:PutRolePolicy", ROLE, QUARANTINED),
    ("iam:UntagUser", USER, {"aws__TagKeys": [P]}),
    ("iam:TagRole", ROLE, {"aws__TagKeys": ["team", P]}),
]
USUAL: list[tuple[str, str, dict[str, Any]]] = [
    ("iam:DetachUserPolicy", USER, {"iam__PolicyARN": "arn:aws:iam::aws:policy/ReadOnlyAccess"}),
    ("iam:CreateAccessKey", USER, {}),
    ("iam:PutRolePolicy", ROLE, {}),
    ("iam:TagUser", USER, {"aws__TagKeys": ["team"]}),
    ("ec2:StopInstances", f"arn:aws:ec2:us-east-1:{MEMBER}:instance/i-0a", {}),
]


@pytest.fixture(scope="module")
def scp(plan: Planner) -> str:
    return str(plan(remediations={"CryptoCurrency:EC2/BitcoinTool.B!DNS": "auto"}).outputs["scp"])


def _who(role: str) -> dict[str, Any]:
    """As aws:PrincipalArn is for a session: its role's ARN."""
    return {"principal": f"arn:aws:iam::{MEMBER}:role/{role}"}


@pytest.mark.parametrize(
    ("action", "resource", "context"), LIFTING, ids=[action[0] for action in LIFTING]
)
def test_nobody_else_lifts_a_quarantine(
    scp: str, action: str, resource: str, context: dict[str, Any]
) -> None:
    for role in (
        "admin",
        f"{P}-collector-iam-principal",
        f"x-{P}-responder-iam-principal",
        f"{P}-responder-ec2-instance",
    ):
        assert decide([EVERYTHING, scp], action, resource, **_who(role), **context) == "Deny", role


@pytest.mark.parametrize(
    "role", [f"{P}-responder-iam-principal", f"{P}-restorer-iam-principal", "break-glass"]
)
@pytest.mark.parametrize(
    ("action", "resource", "context"), LIFTING, ids=[action[0] for action in LIFTING]
)
def test_the_response_and_break_glass_may(
    scp: str, role: str, action: str, resource: str, context: dict[str, Any]
) -> None:
    assert decide([EVERYTHING, scp], action, resource, **_who(role), **context) == "Allow"


@pytest.mark.parametrize(("action", "resource", "context"), USUAL)
def test_everything_else_stays_as_it_was(
    scp: str, action: str, resource: str, context: dict[str, Any]
) -> None:
    assert decide([EVERYTHING, scp], action, resource, **_who("admin"), **context) == "Allow"


def test_it_fits(scp: str) -> None:
    assert len(scp) < 5120

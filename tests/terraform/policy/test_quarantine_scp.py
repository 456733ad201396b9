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
OTHER_POLICY = {"iam__PolicyARN": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
DENY_ALL = {"iam__PolicyARN": "arn:aws:iam::aws:policy/AWSDenyAll"}
BOUNDARY = {"iam__PermissionsBoundary": "arn:aws:iam::aws:policy/AWSDenyAll"}
SESSIONS_DENIED = {f"aws__ResourceTag___{P}-sessions": "denied"}
SESSIONS = f"arn:aws:iam::{MEMBER}:policy/{P}-sessions-0123456789ab"
LIFTING: list[tuple[str, str, dict[str, Any]]] = [
    ("iam:DetachUserPolicy", USER, DENY_ALL),
    ("iam:DeleteUserPermissionsBoundary", USER, QUARANTINED),
    ("iam:DeleteUserPermissionsBoundary", USER, BOUNDARY),
    ("iam:DeleteRolePermissionsBoundary", ROLE, BOUNDARY),
    ("iam:UpdateAccessKey", USER, QUARANTINED),
    ("iam:CreateAccessKey", USER, QUARANTINED),
    ("iam:CreateLoginProfile", USER, QUARANTINED),
    ("iam:UpdateUser", USER, QUARANTINED),
    ("iam:DeleteRolePolicy", ROLE, QUARANTINED),
    ("iam:PutRolePolicy", ROLE, QUARANTINED),
    ("iam:DetachRolePolicy", ROLE, {"iam__PolicyARN": SESSIONS}),
    ("iam:CreatePolicy", SESSIONS, {}),
    # A name is taken once in an account, whatever its path
    ("iam:CreatePolicy", SESSIONS.replace(":policy/", ":policy/elsewhere/"), {}),
    ("iam:CreatePolicyVersion", SESSIONS, {}),
    ("iam:DeletePolicy", SESSIONS, {}),
    ("iam:DeletePolicyVersion", SESSIONS, {}),
    ("iam:SetDefaultPolicyVersion", SESSIONS, {}),
    ("iam:UntagUser", USER, {"aws__TagKeys": [P]}),
    ("iam:TagRole", ROLE, {"aws__TagKeys": ["team", P]}),
    # To IAM, keys that differ in case alone are one
    ("iam:TagRole", ROLE, {"aws__TagKeys": [P.upper()]}),
    ("iam:UntagUser", USER, {"aws__TagKeys": [f"{P}-Incident"]}),
    # A role on which sessions are denied, and which is not contained itself
    ("iam:DeleteRolePolicy", ROLE, SESSIONS_DENIED),
    ("iam:PutRolePolicy", ROLE, SESSIONS_DENIED),
    ("iam:UntagRole", ROLE, {**SESSIONS_DENIED, "aws__TagKeys": [f"{P}-sessions"]}),
    ("iam:TagRole", ROLE, {**SESSIONS_DENIED, "aws__TagKeys": ["team", f"{P}-Sessions"]}),
]
TO_EC2_INSTANCE = [
    case
    for case in LIFTING
    if "RolePolicy" in case[0] or ":policy/" in case[1] or case[2].keys() >= SESSIONS_DENIED.keys()
]
EC2 = f"arn:aws:ec2:us-east-1:{MEMBER}"
INSTANCE, GROUP = f"{EC2}:instance/i-0a", f"{EC2}:security-group/sg-0a"
SNAPSHOT = "arn:aws:ec2:us-east-1::snapshot/snap-0a"
OF_AN_INCIDENT = {f"aws__ResourceTag___{P}-incident": "inc-0a"}
LIFTING_EC2: list[tuple[str, str, dict[str, Any]]] = [
    ("ec2:CreateTags", INSTANCE, {**QUARANTINED, "aws__TagKeys": [P]}),
    ("ec2:CreateTags", f"{EC2}:instance/i-0b", {"aws__TagKeys": ["team", f"{P}-incident"]}),
    ("ec2:DeleteTags", INSTANCE, {**QUARANTINED, "aws__TagKeys": [P]}),
    # Without keys it deletes all tags, and has no aws:TagKeys
    ("ec2:DeleteTags", INSTANCE, QUARANTINED),
    ("ec2:DeleteTags", GROUP, {f"aws__ResourceTag___{P}": "quarantine"}),
    ("ec2:DeleteTags", SNAPSHOT, OF_AN_INCIDENT),
    ("ec2:ModifySnapshotAttribute", SNAPSHOT, OF_AN_INCIDENT),
    ("ssm:StartSession", INSTANCE, QUARANTINED),
]
USUAL_EC2: list[tuple[str, str, dict[str, Any]]] = [
    ("ec2:CreateTags", INSTANCE, {**QUARANTINED, "aws__TagKeys": ["team"]}),
    ("ec2:DeleteTags", INSTANCE, {}),
    ("ec2:AuthorizeSecurityGroupIngress", GROUP, {}),
    ("ec2:ModifyNetworkInterfaceAttribute", f"{EC2}:network-interface/eni-0a", {}),
    ("ec2:TerminateInstances", INSTANCE, {}),
    ("ec2:DeleteSnapshot", SNAPSHOT, {}),
    ("ssm:StartSession", INSTANCE, {}),
]
USUAL: list[tuple[str, str, dict[str, Any]]] = [
    ("iam:DetachUserPolicy", USER, {"iam__PolicyARN": "arn:aws:iam::aws:policy/ReadOnlyAccess"}),
    ("iam:CreateAccessKey", USER, {}),
    ("iam:PutRolePolicy", ROLE, {}),
    ("iam:DetachRolePolicy", ROLE, OTHER_POLICY),
    ("iam:CreatePolicyVersion", f"arn:aws:iam::{MEMBER}:policy/app", {}),
    ("iam:TagUser", USER, {"aws__TagKeys": ["team"]}),
    ("iam:TagRole", ROLE, {**QUARANTINED, "aws__TagKeys": ["team"]}),
    # Of a role on which sessions are denied, its owner's deployments keep all but inline policies
    ("iam:AttachRolePolicy", ROLE, SESSIONS_DENIED),
    ("iam:DetachRolePolicy", ROLE, {**SESSIONS_DENIED, **OTHER_POLICY}),
    ("iam:UpdateAssumeRolePolicy", ROLE, SESSIONS_DENIED),
    ("iam:UpdateRole", ROLE, SESSIONS_DENIED),
    ("iam:PutRolePermissionsBoundary", ROLE, SESSIONS_DENIED),
    ("iam:TagRole", ROLE, {**SESSIONS_DENIED, "aws__TagKeys": ["team"]}),
    ("iam:UntagRole", ROLE, {**SESSIONS_DENIED, "aws__TagKeys": ["team"]}),
    ("iam:CreateRole", f"arn:aws:iam::{MEMBER}:role/x-{P}-responder", {}),
    ("iam:UpdateAssumeRolePolicy", ROLE, {}),
    ("iam:DeleteRolePermissionsBoundary", ROLE, {}),
]


@pytest.fixture(scope="module")
def planned(plan: Planner) -> dict[str, str]:
    """The two policies, scp and scp_ec2."""
    return plan(remediations={"CryptoCurrency:EC2/BitcoinTool.B!DNS": "auto"}).outputs


@pytest.fixture(scope="module")
def scp(planned: dict[str, str]) -> str:
    return planned["scp"]


@pytest.fixture(scope="module")
def scp_ec2(planned: dict[str, str]) -> str:
    return planned["scp_ec2"]


def _names(cases: list[tuple[str, str, dict[str, Any]]]) -> list[str]:
    return [case[0] for case in cases]


def _who(role: str) -> dict[str, Any]:
    """As aws:PrincipalArn is for a session: its role's ARN."""
    return {"principal": f"arn:aws:iam::{MEMBER}:role/{role}"}


@pytest.mark.parametrize(("action", "resource", "context"), LIFTING, ids=_names(LIFTING))
def test_nobody_else_lifts_a_quarantine(
    scp: str, action: str, resource: str, context: dict[str, Any]
) -> None:
    for role in (
        "admin",
        f"{P}-collector-iam-principal",
        f"{P}-monitor-iam-principal",
        f"{P}-terminator-ec2-instance",
        f"x-{P}-responder-iam-principal",
        f"elsewhere/{P}-restorer-iam-principal",
        "deploy",
        "stacksets-exec-0a",
    ):
        assert (
            decide(
                [EVERYTHING, scp],
                action,
                resource,
                **_who(role),
                **context,
            )
            == "Deny"
        ), role


@pytest.mark.parametrize(
    "role", [f"{P}-responder-iam-principal", f"{P}-restorer-iam-principal", "break-glass"]
)
@pytest.mark.parametrize(("action", "resource", "context"), LIFTING, ids=_names(LIFTING))
def test_the_response_and_break_glass_may(
    scp: str, role: str, action: str, resource: str, context: dict[str, Any]
) -> None:
    assert (
        decide(
            [EVERYTHING, scp],
            action,
            resource,
            **_who(role),
            **context,
        )
        == "Allow"
    )


@pytest.mark.parametrize("job", ["responder", "restorer"])
@pytest.mark.parametrize(("action", "resource", "context"), LIFTING, ids=_names(LIFTING))
def test_ec2_instance_changes_no_more_than_the_denials_of_a_quarantined_role(
    scp: str, job: str, action: str, resource: str, context: dict[str, Any]
) -> None:
    expected = "Allow" if (action, resource, context) in TO_EC2_INSTANCE else "Deny"
    who = _who(f"{P}-{job}-ec2-instance")
    assert (
        decide(
            [EVERYTHING, scp],
            action,
            resource,
            **who,
            **context,
        )
        == expected
    )


@pytest.mark.parametrize(("action", "resource", "context"), LIFTING_EC2, ids=_names(LIFTING_EC2))
def test_nobody_else_lifts_the_quarantine_of_an_instance(
    scp_ec2: str, action: str, resource: str, context: dict[str, Any]
) -> None:
    for role in ("admin", f"{P}-responder-iam-principal", f"x-{P}-restorer-ec2-instance", "deploy"):
        assert (
            decide(
                [EVERYTHING, scp_ec2],
                action,
                resource,
                **_who(role),
                **context,
            )
            == "Deny"
        )
    for role in (f"{P}-restorer-ec2-instance", "break-glass"):
        assert (
            decide(
                [EVERYTHING, scp_ec2],
                action,
                resource,
                **_who(role),
                **context,
            )
            == "Allow"
        )


@pytest.mark.parametrize(("action", "resource", "context"), USUAL_EC2)
def test_other_instances_stay_as_they_were(
    scp_ec2: str, action: str, resource: str, context: dict[str, Any]
) -> None:
    assert (
        decide(
            [EVERYTHING, scp_ec2],
            action,
            resource,
            **_who("admin"),
            **context,
        )
        == "Allow"
    )


@pytest.mark.parametrize(("action", "resource", "context"), USUAL)
def test_everything_else_stays_as_it_was(
    scp: str, action: str, resource: str, context: dict[str, Any]
) -> None:
    assert (
        decide(
            [EVERYTHING, scp],
            action,
            resource,
            **_who("admin"),
            **context,
        )
        == "Allow"
    )


def test_a_forged_role_of_the_response_is_not_made(scp: str) -> None:
    """The two calls by which the quarantine used to fall: a role of a name that is exempt, or a
    role of the response that trusts somebody else.
    """
    for action in ("iam:CreateRole", "iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy"):
        for name in (f"{P}-restorer-iam-principal", "stacksets-exec-0a", "break-glass"):
            arn = f"arn:aws:iam::{MEMBER}:role/{name}"
            for who in ("admin", "app", f"{P}-responder-ec2-instance"):
                assert (
                    decide(
                        [EVERYTHING, scp],
                        action,
                        arn,
                        **_who(who),
                    )
                    == "Deny"
                ), (name, who)


def test_they_fit(planned: dict[str, str]) -> None:
    """With room for further exempt principals: AWS Organizations takes 5,120 characters."""
    assert len(planned["scp"]) < 4400 and len(planned["scp_ec2"]) < 4096

"""What the remediator role may undo, and that it opens, destroys and reads nothing: asked of an
IAM evaluator.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from guardduty_response.containment.session_policy import accepted
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.playbooks.iam_principal import reversals
from guardduty_response.playbooks.iam_principal.eradicate import rotate

from tests.support.policy_oracle import decide
from tests.support.repository import ROOT

MEMBER, OTHER, SECURITY, P = "222222222222", "333333333333", "111111111111", "guardduty-response"
IAM, EC2 = f"arn:aws:iam::{MEMBER}", f"arn:aws:ec2:us-east-1:{MEMBER}"
USER, ROLE, GROUP = f"{IAM}:user/team/bob", f"{IAM}:role/app", f"{IAM}:group/admins"
INSTANCE, SECURITY_GROUP = f"{EC2}:instance/i-0a", f"{EC2}:security-group/sg-0a"
SNAPSHOT, IMAGE = "arn:aws:ec2:us-east-1::snapshot/snap-0a", "arn:aws:ec2:us-east-1::image/ami-0a"
TRAIL, DETECTOR = (
    f"arn:aws:cloudtrail:us-east-1:{MEMBER}:trail/all",
    f"arn:aws:guardduty:us-east-1:{MEMBER}:detector/0a",
)
FUNCTION, BUCKET = f"arn:aws:lambda:us-east-1:{MEMBER}:function:miner", "arn:aws:s3:::data"
SECRET = f"arn:aws:secretsmanager:us-east-1:{MEMBER}:secret:{P}/bob/inc-1-a1b2c3"
KEY = f"arn:aws:kms:us-east-1:{OTHER}:key/k"
DENY = {"iam__PolicyARN": "arn:aws:iam::aws:policy/AWSDenyAll"}
BOUND = {"iam__PermissionsBoundary": "arn:aws:iam::aws:policy/AWSDenyAll"}
# A bucket's ARN has no account: the evaluator takes it to be the caller's.
OURS, THEIRS = (
    {"principal": f"arn:aws:sts::{account}:assumed-role/r/s"} for account in (MEMBER, OTHER)
)
VIA = {"kms__ViaService": "secretsmanager.us-east-1.amazonaws.com"}
Case = tuple[str, str, dict[str, Any]]

MAY: list[Case] = [
    ("iam:AttachUserPolicy", USER, DENY),
    ("iam:PutUserPermissionsBoundary", USER, BOUND),
    ("iam:PutRolePermissionsBoundary", ROLE, BOUND),
    ("iam:UpdateAccessKey", USER, {}),
    ("iam:UpdateLoginProfile", USER, {}),
    ("iam:PutRolePolicy", ROLE, {}),
    ("iam:DetachUserPolicy", USER, {}),
    ("iam:DetachRolePolicy", ROLE, {}),
    ("iam:DetachGroupPolicy", GROUP, {}),
    ("iam:DeleteUserPolicy", USER, {}),
    ("iam:DeleteRolePolicy", ROLE, {}),
    ("iam:DeleteGroupPolicy", GROUP, {}),
    ("iam:RemoveUserFromGroup", GROUP, {}),
    ("iam:UpdateAssumeRolePolicy", ROLE, {}),
    ("ec2:StopInstances", INSTANCE, {}),
    ("ec2:RevokeSecurityGroupIngress", SECURITY_GROUP, {}),
    ("ec2:RevokeSecurityGroupEgress", SECURITY_GROUP, {}),
    ("ec2:ModifyImageAttribute", IMAGE, {}),
    ("ec2:ModifySnapshotAttribute", SNAPSHOT, {"ec2__Remove___userId": OTHER}),
    ("cloudtrail:StartLogging", TRAIL, {}),
    ("s3:PutBucketPublicAccessBlock", BUCKET, OURS),
    ("guardduty:UpdateDetector", DETECTOR, {}),
    ("lambda:PutFunctionConcurrency", FUNCTION, {}),
]
MAY_TO_ROTATE: list[Case] = [
    ("iam:CreateAccessKey", USER, {}),
    ("iam:DeleteAccessKey", USER, {}),
    ("secretsmanager:CreateSecret", SECRET, {}),
    ("secretsmanager:TagResource", SECRET, {}),
    ("secretsmanager:DescribeSecret", SECRET, {}),
    ("secretsmanager:PutSecretValue", SECRET, {}),
    ("secretsmanager:PutResourcePolicy", SECRET, {"secretsmanager__BlockPublicPolicy": "true"}),
    ("kms:GenerateDataKey", KEY, VIA),
    ("kms:Decrypt", KEY, VIA),
]
MAY_NOT: list[Case] = [
    # nothing is opened or given
    (
        "iam:AttachUserPolicy",
        USER,
        {"iam__PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"},
    ),
    ("iam:AttachUserPolicy", USER, {}),
    ("iam:AttachRolePolicy", ROLE, DENY),
    ("iam:PutUserPolicy", USER, {}),
    ("iam:PutUserPermissionsBoundary", USER, {"iam__PermissionsBoundary": f"{IAM}:policy/wide"}),
    ("iam:DeleteUserPermissionsBoundary", USER, {}),
    ("iam:AddUserToGroup", GROUP, {}),
    ("iam:CreateLoginProfile", USER, {}),
    ("iam:CreateUser", USER, {}),
    ("iam:CreateRole", ROLE, {}),
    ("iam:PassRole", ROLE, {}),
    ("sts:AssumeRole", ROLE, {}),
    ("iam:CreatePolicyVersion", f"{IAM}:policy/all", {}),
    ("ec2:AuthorizeSecurityGroupIngress", SECURITY_GROUP, {}),
    ("ec2:StartInstances", INSTANCE, {}),
    ("ec2:ModifySnapshotAttribute", SNAPSHOT, {"ec2__Add___userId": OTHER}),
    ("ec2:ModifyImageAttribute", IMAGE, {"ec2__Add___group": "all"}),
    ("s3:PutBucketPolicy", BUCKET, OURS),
    ("lambda:DeleteFunctionConcurrency", FUNCTION, {}),
    ("lambda:UpdateFunctionCode", FUNCTION, {}),
    # what denies is not taken away
    ("iam:DetachUserPolicy", USER, DENY),
    # nothing is destroyed, blinded or read
    ("iam:DeleteUser", USER, {}),
    ("iam:DeleteRole", ROLE, {}),
    ("iam:DeleteLoginProfile", USER, {}),
    ("ec2:TerminateInstances", INSTANCE, {}),
    ("cloudtrail:StopLogging", TRAIL, {}),
    ("guardduty:DeleteDetector", DETECTOR, {}),
    ("lambda:DeleteFunction", FUNCTION, {}),
    ("s3:GetObject", f"{BUCKET}/x", OURS),
    ("secretsmanager:GetSecretValue", SECRET, {}),
    # no other account
    ("s3:PutBucketPublicAccessBlock", BUCKET, THEIRS),
    ("iam:UpdateAccessKey", USER.replace(MEMBER, OTHER), {}),
    ("ec2:StopInstances", INSTANCE.replace(MEMBER, OTHER), {}),
    # nothing of the response, of Identity Center, of AWS services
    ("iam:PutRolePolicy", f"{IAM}:role/{P}-responder-iam-principal", {}),
    ("iam:DeleteRolePolicy", f"{IAM}:role/{P}-remediator-iam-principal", {}),
    ("iam:UpdateAssumeRolePolicy", f"{IAM}:role/{P}-restorer-iam-principal", {}),
    (
        "iam:DetachRolePolicy",
        f"{IAM}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0a",
        {},
    ),
    (
        "iam:PutRolePolicy",
        f"{IAM}:role/aws-service-role/guardduty.amazonaws.com/AWSServiceRoleForAmazonGuardDuty",
        {},
    ),
]
MAY_NOT_TO_ROTATE: list[Case] = [
    ("secretsmanager:GetSecretValue", SECRET, {}),
    ("secretsmanager:PutSecretValue", SECRET.replace(f"{P}/", "db/"), {}),
    ("secretsmanager:DeleteSecret", SECRET, {}),
    ("secretsmanager:PutResourcePolicy", SECRET, {}),
    ("kms:Decrypt", KEY, {}),
    ("kms:Decrypt", KEY, {"kms__ViaService": "s3.us-east-1.amazonaws.com"}),
]


def filled(rotates: bool, account: str = MEMBER) -> str:
    """The policy as modules/member-roles fills it in."""
    text = Path(ROOT / "playbooks" / "iam_principal" / "remediator-policy.json").read_text()
    text = re.sub(
        r"%\{ if rotate ~\}\n(.*?)%\{ endif ~\}\n", r"\1" if rotates else "", text, flags=re.DOTALL
    )
    own = [
        f"{IAM}:role/{P}-{name}-iam-principal"
        for name in ("responder", "collector", "remediator", "restorer")
    ]
    own.append(f"arn:aws:iam::{SECURITY}:role/{P}-*")
    values = {"own_role_arns": ",".join(f'"{arn}"' for arn in own), "security_account_id": SECURITY}
    for name, value in {
        "partition": "aws",
        "account_id": account,
        "name_prefix": P,
        **values,
    }.items():
        text = text.replace(f"${{{name}}}", value)
    assert "${" not in text and "%{" not in text
    return text


def _name(case: Case) -> str:
    return f"{case[0]} {case[1].split(':', 5)[-1]}"


@pytest.mark.parametrize("case", MAY, ids=_name)
def test_may(case: Case) -> None:
    action, resource, context = case
    assert decide([filled(False)], action, resource, **context) == "Allow"


@pytest.mark.parametrize(
    ("action", "arn"),
    [
        ("iam:PutRolePolicy", f"{IAM}:role/{P}-mine"),
        ("iam:PutRolePolicy", f"{IAM}:role/x/{P}-responder-iam-principal"),
        ("iam:DetachRolePolicy", f"{IAM}:role/{P}-terminator-iam-principal"),
        ("iam:UpdateAccessKey", f"{IAM}:user/{P}-ci"),
        ("lambda:PutFunctionConcurrency", f"arn:aws:lambda:us-east-1:{MEMBER}:function:{P}-miner"),
    ],
)
def test_our_prefix_keeps_nobody_out_of_reach(action: str, arn: str) -> None:
    assert decide([filled(False)], action, arn) == "Allow"


@pytest.mark.parametrize(
    ("action", "arn"),
    [
        ("iam:PutRolePolicy", f"arn:aws:iam::{SECURITY}:role/{P}-incident-machine"),
        ("iam:DeleteRolePolicy", f"arn:aws:iam::{SECURITY}:role/{P}-playbook-iam-principal"),
        (
            "lambda:PutFunctionConcurrency",
            f"arn:aws:lambda:us-east-1:{SECURITY}:function:{P}-playbook-iam-principal",
        ),
    ],
)
def test_in_the_security_account_the_response_is_out_of_reach(action: str, arn: str) -> None:
    assert decide([filled(False, SECURITY)], action, arn) == "Deny"
    assert decide([filled(False, SECURITY)], action, arn.replace(P, "app")) == "Allow"


@pytest.mark.parametrize("case", MAY_NOT, ids=_name)
@pytest.mark.parametrize("rotates", [False, True])
def test_may_not(case: Case, rotates: bool) -> None:
    action, resource, context = case
    assert decide([filled(rotates)], action, resource, **context) != "Allow"


@pytest.mark.parametrize("case", MAY_TO_ROTATE, ids=_name)
def test_may_only_where_keys_are_rotated(case: Case) -> None:
    action, resource, context = case
    assert decide([filled(True)], action, resource, **context) == "Allow"
    assert decide([filled(False)], action, resource, **context) != "Allow"


@pytest.mark.parametrize("case", MAY_NOT_TO_ROTATE, ids=_name)
def test_may_not_even_then(case: Case) -> None:
    action, resource, context = case
    assert decide([filled(True)], action, resource, **context) != "Allow"


RESOURCES = {
    "iam": (USER, ROLE, GROUP),
    "ec2": ("*",),
    "s3": (BUCKET,),
    "cloudtrail": (TRAIL,),
    "guardduty": (DETECTOR,),
    "lambda": (FUNCTION,),
    "secretsmanager": (SECRET,),
}


@pytest.mark.parametrize("action", [*reversals.READS, *rotate.KEYS, *rotate.SECRET])
def test_what_the_code_asks_for_is_allowed(action: str) -> None:
    context = {"secretsmanager__BlockPublicPolicy": "true"}
    assert any(
        decide([filled(True)], action, resource, **context) == "Allow"
        for resource in RESOURCES[action.partition(":")[0]]
    )


@pytest.mark.parametrize("rotates", [False, True])
def test_it_fits_a_role(rotates: bool) -> None:
    assert len(json.dumps(json.loads(filled(rotates)), separators=(",", ":"))) < 6144


def test_its_reads_fit_a_session() -> None:
    assert accepted(policy(allow(reversals.READS)))

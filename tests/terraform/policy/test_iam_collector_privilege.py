"""What the collector role of iam_principal may read, and that it changes nothing: asked of an
IAM evaluator.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.policy_oracle import decide
from tests.support.repository import ROOT

MEMBER, P = "222222222222", "guardduty-response"
IAM = f"arn:aws:iam::{MEMBER}"
USER, GROUP, ROLE, POLICY = (
    f"{IAM}:user/team/alice",
    f"{IAM}:group/admins",
    f"{IAM}:role/app",
    f"{IAM}:policy/own",
)
RECORDER = f"arn:aws:config:us-east-1:{MEMBER}:configuration-recorder/default/0a"
READING = ("Get", "List", "Describe", "Lookup")

MAY = [
    ("cloudtrail:LookupEvents", "*"),
    ("account:ListRegions", "*"),
    ("config:GetResourceConfigHistory", "*"),
    ("config:DescribeConfigurationRecorders", RECORDER),
    ("config:DescribeConfigurationRecorderStatus", RECORDER),
    ("iam:GetAccessKeyLastUsed", USER),
    ("iam:GetUser", USER),
    ("iam:GetLoginProfile", USER),
    ("iam:ListAccessKeys", USER),
    ("iam:ListGroupsForUser", USER),
    ("iam:ListMFADevices", USER),
    ("iam:ListAttachedUserPolicies", USER),
    ("iam:GetUserPolicy", USER),
    ("iam:ListAttachedGroupPolicies", GROUP),
    ("iam:GetGroupPolicy", GROUP),
    ("iam:GetRole", ROLE),
    ("iam:ListRolePolicies", ROLE),
    ("iam:GetRolePolicy", ROLE),
    ("iam:GetPolicyVersion", POLICY),
]

MAY_NOT = [
    # containing, undoing and rotating belong to others
    ("iam:UpdateAccessKey", USER),
    ("iam:AttachUserPolicy", USER),
    ("iam:DeleteLoginProfile", USER),
    ("iam:CreateAccessKey", USER),
    ("iam:PutRolePolicy", ROLE),
    ("iam:UpdateAssumeRolePolicy", ROLE),
    ("iam:CreatePolicyVersion", POLICY),
    ("iam:PassRole", ROLE),
    ("sts:AssumeRole", ROLE),
    ("cloudtrail:StopLogging", "*"),
    ("cloudtrail:StartLogging", "*"),
    ("config:StopConfigurationRecorder", RECORDER),
    ("config:DeleteConfigurationRecorder", RECORDER),
    ("config:SelectResourceConfig", "*"),
    ("ec2:StopInstances", "*"),
    # nothing that is secret, and no other account's
    ("secretsmanager:GetSecretValue", "*"),
    ("s3:GetObject", "arn:aws:s3:::trails/AWSLogs/x"),
    ("iam:GenerateCredentialReport", "*"),
    ("iam:GetUser", USER.replace(MEMBER, "999999999999")),
    ("iam:GetAccountAuthorizationDetails", "*"),
]


@pytest.fixture(scope="module")
def collector() -> str:
    """The policy as modules/responder-role fills it in."""
    text = Path(ROOT / "playbooks" / "iam_principal" / "collector-policy.json").read_text()
    for name, value in {"partition": "aws", "account_id": MEMBER, "name_prefix": P}.items():
        text = text.replace(f"${{{name}}}", value)
    return text


@pytest.mark.parametrize(("action", "resource"), MAY)
def test_may(collector: str, action: str, resource: str) -> None:
    assert decide([collector], action, resource) == "Allow"


@pytest.mark.parametrize(("action", "resource"), MAY_NOT)
def test_may_not(collector: str, action: str, resource: str) -> None:
    assert decide([collector], action, resource) != "Allow"


def test_it_only_reads(collector: str) -> None:
    for statement in json.loads(collector)["Statement"]:
        for action in (
            statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        ):
            assert "*" not in action and action.split(":")[1].startswith(READING), action


def test_every_session_of_the_collector_is_within_it(collector: str) -> None:
    """What the code asks for by its session policies is what the role has: a missing action
    would show on AWS alone.
    """
    from guardduty_response.evidence import config_history as history
    from guardduty_response.playbooks.iam_principal.evidence import config_history, permissions

    resources = {"READ_USER": USER, "READ_GROUP": GROUP, "READ_ROLE": ROLE, "READ_POLICY": POLICY}
    asked: list[tuple[str, Any]] = [
        (action, arn) for name, arn in resources.items() for action in getattr(permissions, name)
    ]
    asked += [(action, "*") for action in history.ACTIONS]
    asked += [(action, USER) for action in config_history.READ_ID_USER]
    asked += [(action, ROLE) for action in config_history.READ_ID_ROLE]
    assert len(asked) == 22
    for action, arn in asked:
        assert decide([collector], action, arn) == "Allow", action


def test_it_fits_a_role(collector: str) -> None:
    assert len(json.dumps(json.loads(collector), separators=(",", ":"))) < 6144

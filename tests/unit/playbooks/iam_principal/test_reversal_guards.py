"""What is never touched, and how a principal's own words reach people."""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.playbooks.iam_principal.reversals import changes

from tests.unit.deployment import MEMBER, PREFIX, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import (
    NOTHING,
    EradicationLab,
)

Json = dict[str, Any]
OTHER = "999999999999"


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    return EradicationLab(deployment, monkeypatch)


def attach(lab: EradicationLab, user: str) -> None:
    lab.see("iam").create_user(UserName=user)
    lab.does("iam", "create_access_key", UserName=user)


@pytest.mark.parametrize(
    ("user", "rails", "why"),
    [
        (f"{PREFIX}-quarantine", {}, "belongs to the response itself"),
        (
            "break-glass",
            {"exempt_principals": [f"arn:aws:iam::{MEMBER}:user/break-*"]},
            "is exempt (exempt_principals",
        ),
        ("deployer", {"exempt_resources": ["deployer"]}, "is exempt (exempt_resources"),
        ("bob", {"exempt_accounts": [MEMBER]}, "is exempt (exempt_accounts)"),
    ],
)
def test_never_touched(lab: EradicationLab, user: str, rails: Json, why: str) -> None:
    lab.deployment.configure({f"guardrails.{name}": value for name, value in rails.items()})
    attach(lab, user)
    lab.eradicate()
    assert (
        lab.see("iam").list_access_keys(UserName=user)["AccessKeyMetadata"][0]["Status"] == "Active"
    )
    assert lab.changed() == [] and why in lab.left[0] and "aws iam update-access-key" in lab.left[0]


def test_our_prefix_alone_spares_nobody(lab: EradicationLab) -> None:
    attach(lab, f"{PREFIX}-watcher")
    lab.eradicate()
    found = lab.see("iam").list_access_keys(UserName=f"{PREFIX}-watcher")
    assert [key["Status"] for key in found["AccessKeyMetadata"]] == ["Inactive"]


def test_not_in_another_account(lab: EradicationLab) -> None:
    lab.account = OTHER
    attach(lab, "bob")
    lab.eradicate()
    assert lab.changed() == [] and f"in account {OTHER}, not in {MEMBER}" in lab.left[0]


def test_the_responses_own_role_keeps_its_policies(lab: EradicationLab) -> None:
    role = f"{PREFIX}-responder-iam-principal"
    lab.see("iam").create_role(RoleName=role, AssumeRolePolicyDocument="{}")
    lab.does(
        "iam", "put_role_policy", RoleName=role, PolicyName="p", PolicyDocument=json.dumps(NOTHING)
    )
    lab.eradicate()
    assert lab.see("iam").list_role_policies(RoleName=role)["PolicyNames"] == ["p"]
    assert "belongs to the response itself" in lab.left[0]


def test_values_are_quoted_and_one_line() -> None:
    event = {
        "id": "e",
        "at": "2026-01-01T00:00:00Z",
        "name": "CreateKeyPair",
        "source": "ec2.amazonaws.com",
        "region": "r;x",
        "who": "arn:aws:iam::1:user/a\nb",
        "parameters": {"keyName": "a b'; rm -rf /\n"},
    }
    change = changes.parse(event)
    assert change is not None
    text = changes.sentence(
        change,
        "x" * 500,
        changes.command(
            "ec2 delete-key-pair --key-name", change.request_text("keyName"), region="r;x"
        ),
    )
    assert len(text) <= changes.MOST_SENTENCE and "\n" not in text
    assert text.endswith(
        """aws ec2 delete-key-pair --key-name 'a b'"'"'; rm -rf /' --region 'r;x'"""
    )

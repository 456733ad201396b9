"""A member account's roles are the same whether Terraform or CloudFormation makes them, and stay
trusted.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.identity_server import identity
from tests.support.repository import ROOT
from tests.support.terraform_tools import copy_module, initialized, terraform
from tests.terraform.plan.member_twins import (
    COMBINATIONS,
    SECURITY,
    Twins,
    add_playbook,
    of_template,
    plan_twins,
    root_of,
    substituted,
)

pytestmark = pytest.mark.terraform
MODULES = ("member-roles", "responder-role", "responder-stackset")


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Twins]:
    with identity() as endpoint:
        return plan_twins(tmp_path_factory.mktemp("twins"), endpoint)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_terraform_and_cloudformation_make_the_same_roles(
    twins: dict[str, Twins], combination: str
) -> None:
    """Names, paths, boundaries, descriptions, session lengths, tags, trust and permissions; and
    no role more.
    """
    pair = twins[combination]
    assert len(pair.terraform) >= 3
    assert pair.template == pair.terraform


def test_the_combinations_differ(twins: dict[str, Twins]) -> None:
    """Equal pairs of unequal combinations: what is compared is what the switches change."""
    every = [json.dumps(pair.template, sort_keys=True) for pair in twins.values()]
    assert len(set(every)) == len(COMBINATIONS)
    everything = twins["everything"].template
    assert {name for name in everything if name.startswith("profile")} == {
        "profile gdr-quarantine",
        "profile gdr-quarantine-ssm",
    }
    assert len(everything) == 17
    assert {
        role["tags"]["cost:centre"] for name, role in everything.items() if name.startswith("role")
    } == {"é"}


def test_what_cloudformation_reads_in_a_policy(twins: dict[str, Twins]) -> None:
    """IAM's own variables, quotes and brackets survive; the account's placeholder does not."""
    [document] = (
        twins["awkward"].template["role guardduty-response-responder-awk-ward"]["policies"].values()
    )
    first, second, third = document["Statement"]
    assert first["Resource"] == "arn:aws:s3:::b/${aws:username}/222222222222/*"
    assert second["Resource"] == "arn:aws:s3:::${aws:PrincipalAccount}/*"
    assert third["Condition"]["StringLike"]["aws:userid"] == '\\"<&>é", aws":'


KEYED = {"Condition": {"StringEquals": {"aws:ResourceTag/${account_id}": "x"}}, "Resource": "*"}
LONG = {"Resource": [f"arn:aws:s3:::bucket-{number}" for number in range(400)]}


@pytest.mark.parametrize(
    ("more", "notified"),
    [(KEYED, "in the key of a condition"), (LONG, "Too long: collector/made_up (")],
    ids=["key", "length"],
)
def test_a_policy_that_cannot_be_made_fails_the_plan(
    tmp_path: Path, more: dict[str, Any], notified: str
) -> None:
    """Fn::Sub fills in values only: a placeholder in a key would reach IAM. And IAM takes so
    many characters a role.
    """
    module = copy_module(tmp_path / "module")
    statement = {"Effect": "Allow", "Action": "s3:GetObject", **more}
    add_playbook(
        module,
        "made_up",
        {"Version": "2012-10-17", "Statement": [statement]},
    )
    root = initialized(root_of(module, {"made_up": {"playbooks": ["made_up"]}}), tmp_path)
    with identity() as endpoint:
        done = terraform(
            root, tmp_path, "plan", "-input=false", "-no-color", "-refresh=false", endpoint=endpoint
        )
    assert done.returncode and notified in " ".join(done.stdout.replace("│", " ").split())


def test_no_role_is_trusted_by_its_id(twins: dict[str, Twins]) -> None:
    """A function role that is made again has another unique id and the same ARN: nothing here
    depends on the id.

    IAM turns a role's ARN in Principal into that id when it saves the policy; an account's root it
    leaves alone.
    """
    looked_at = 0
    for pair in twins.values():
        for name, role in pair.template.items():
            if not name.startswith("role") or "quarantine" in name:
                continue
            [statement] = role["trust"]["Statement"]
            partition = statement["Principal"]["AWS"].split(":")[1]
            assert statement["Principal"] == {"AWS": f"arn:{partition}:iam::{SECURITY}:root"}
            assert statement["Action"] == "sts:AssumeRole" and statement["Effect"] == "Allow"
            assert set(statement["Condition"]) <= {"ArnEquals", "StringEquals"}
            assert list(statement["Condition"]["ArnEquals"]) == ["aws:PrincipalArn"]
            looked_at += 1
    assert looked_at > 30


def test_one_template_for_every_account(twins: dict[str, Twins]) -> None:
    """No account id in it but the security account's, and no partition but the organization's and
    that of a boundary as it was given.
    """
    for name, pair in twins.items():
        boundary = (
            COMBINATIONS[name].get("permissions_boundary", "").split("::")[0] or "no boundary"
        )
        assert set(re.findall(r"\d{12}", pair.text)) == {SECURITY}, name
        partition = "aws-us-gov" if name == "GovCloud" else "aws"
        named = {f"arn:{partition}:iam", boundary}
        assert set(re.findall(r"arn:aws[a-z-]*:iam", pair.text)) <= named, name
        assert len(pair.text.encode()) < 51200
    elsewhere = of_template(twins["defaults"].text, "333333333333")
    assert "arn:aws:ec2:*:333333333333:instance/*" in json.dumps(elsewhere)


def test_the_hand_over_is_one_variable() -> None:
    """Three modules take it; an attribute or a rule that one lacks would be a difference nobody
    asked for.
    """
    first, *others = [
        Path(ROOT / "modules" / name / "variables-members.tf").read_bytes() for name in MODULES
    ]
    assert others == [first, first]
    calls = [
        (ROOT / "modules" / name / "main.tf")
        .read_text()
        .split('module "roles" {')[1]
        .split("}\n\n")[0]
        for name in MODULES[1:]
    ]
    passed = [
        {line.split("=")[0].strip() for line in call.splitlines() if "=" in line} for call in calls
    ]
    declared = {
        line.split('"')[1] for line in first.decode().splitlines() if line.startswith("variable ")
    }
    assert passed[0] == passed[1] == declared | {"source", "account_id"}


def test_the_comparison_sees_a_difference(twins: dict[str, Twins]) -> None:
    pair = twins["defaults"]
    changed = copy.deepcopy(json.loads(pair.text))
    changed["Resources"]["QuarantineRole"]["Properties"]["Policies"][0]["PolicyDocument"][
        "Statement"
    ][0]["Effect"] = "Allow"
    assert of_template(json.dumps(changed), "222222222222") != pair.terraform
    with pytest.raises(KeyError):
        substituted({"Fn::Sub": "arn:${AWS::Region}"}, "222222222222")
    with pytest.raises(AssertionError):
        substituted({"Fn::Sub": "plain"}, "222222222222")

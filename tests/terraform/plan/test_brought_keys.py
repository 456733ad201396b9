"""What a first plan knows, and what it does not: keys and topics brought along that are made in the
same apply have unknown ARNs, and nothing goes round in circles.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.identity_server import identity
from tests.support.terraform_tools import copy_module, initialized, plan_of, terraform

pytestmark = pytest.mark.terraform
ROOT = """
provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

resource "aws_kms_key" "ours" {}

resource "aws_kms_key_policy" "ours" {
  key_id = aws_kms_key.ours.key_id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = jsondecode(module.brought.kms_key_policy_statements)
  })
}

resource "aws_kms_key" "soc" {}

resource "aws_sns_topic" "soc" {
  name              = "soc"
  kms_master_key_id = aws_kms_key.soc.arn
}

module "brought" {
  source        = "../"
  name_prefix   = "gdr-a"
  kms           = { create = false, key_arn = aws_kms_key.ours.arn }
  notifications = {
    create_topic      = false
    topic_arn         = aws_sns_topic.soc.arn
    topic_kms_key_arn = aws_kms_key.soc.arn
  }
  guardduty     = { spend_watch = { monthly_limit_usd = 250, trial_ends_on = "2099-12-31" } }
}

# A topic of its own owner, encrypted with the key that the module makes.
resource "aws_sns_topic" "shared" {
  name              = "shared"
  kms_master_key_id = module.made.kms_key_arn
}

module "made" {
  source        = "../"
  name_prefix   = "gdr-b"
  notifications = {
    create_topic      = false
    topic_arn         = aws_sns_topic.shared.arn
    topic_kms_key_arn = module.made.kms_key_arn
  }
  guardduty     = { spend_watch = { monthly_limit_usd = 250, trial_ends_on = "2099-12-31" } }
}

# A key that is there already, and everything that has a policy.
module "known" {
  source        = "../"
  name_prefix   = "gdr-c"
  remediations  = { "*:EC2/*" = "auto", "*:IAMUser/*" = "auto" }
  kms           = { create = false, key_arn = "arn:aws:kms:us-east-1:111111111111:key/k" }
  ec2_instance  = { restore = true, finish = "terminate" }
  iam_principal = { restore = true, remediate = ["users"] }
}

module "patterns" {
  source      = "../modules/event-patterns"
  name_prefix = "gdr-c"
  playbooks   = ["ec2_instance", "iam_principal"]
}

module "member" {
  source              = "../modules/responder-role"
  for_member_accounts = module.known.for_member_accounts
}

module "forwarder" {
  source = "../modules/region-forwarder"
  for_member_accounts = {
    name_prefix = "gdr-c"
    iam_path    = "/"
    forwarder = {
      event_bus_arn = "arn:aws:events:eu-west-1:111111111111:event-bus/default"
      rules         = module.patterns.forwarder_rules
    }
  }
}
"""
# What reviewers read in a plan
DECISIONS = ("assume_role_policy", "definition", "event_pattern", "item", "policy")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root above, initialized, with an empty state."""
    made = copy_module(tmp_path_factory.mktemp("keys") / "module") / "root"
    made.mkdir()
    (made / "main.tf").write_text(ROOT)
    initialized(made, made.parent.parent)
    return made


@pytest.fixture(scope="module")
def planned(root: Path) -> dict[str, dict[str, Any]]:
    """Address => what is planned."""
    with identity() as endpoint:
        plan = plan_of(
            root,
            root.parent.parent,
            "-refresh=false",
            endpoint=endpoint,
        )
    return {change["address"]: change["change"] for change in plan["resource_changes"]}


@pytest.mark.parametrize("module", ["brought", "made"])
def test_unknown_keys_decide_nothing_that_must_be_known(
    planned: dict[str, dict[str, Any]], module: str
) -> None:
    for function in ("incident", "watchdog"):
        change = planned[
            f'module.{module}.module.incident[0].aws_iam_role_policy.function["{function}"]'
        ]
        assert (change["actions"], change["after_unknown"]["policy"]) == (["create"], True)
    spend_watch = f"module.{module}.module.guardduty[0].module.spend_watch[0]"
    assert planned[f"{spend_watch}.aws_iam_role_policy.notice[0]"]["actions"] == ["create"]


def test_a_key_takes_its_statements_from_the_module_it_is_brought_to(
    planned: dict[str, dict[str, Any]],
) -> None:
    assert planned["aws_kms_key_policy.ours"]["actions"] == ["create"]
    assert "module.brought.aws_kms_key.this[0]" not in planned
    assert "module.made.aws_kms_key.this[0]" in planned


def _unknown(planned: dict[str, dict[str, Any]], module: str) -> set[str]:
    """Returns what a module decides and the plan does not show: address and attribute. A bucket
    and a queue have further attributes of these names, which are policies of their own here.
    """
    return {
        f"{address.removeprefix(f'module.{module}.')} {name}"
        for address, change in planned.items()
        for name in DECISIONS
        if address.startswith(f"module.{module}.")
        and "aws_s3_bucket.evidence" not in address
        and change.get("after_unknown", {}).get(name) is True
    }


def test_a_first_plan_shows_every_policy_and_both_machines(
    planned: dict[str, dict[str, Any]],
) -> None:
    """Where the key is there. The document's item has a key that is made in the apply."""
    assert len([address for address in planned if address.startswith("module.known.")]) > 100
    document = "module.incident[0].aws_dynamodb_table_item.document item"
    assert _unknown(planned, "known") == {document}
    assert _unknown(planned, "member") == set()
    incident = planned['module.known.module.incident[0].aws_sfn_state_machine.this["incident"]']
    assert ":function:gdr-c-playbook-ec2-instance" in incident["after"]["definition"]


def test_a_key_of_its_own_hides_only_who_may_use_it(planned: dict[str, dict[str, Any]]) -> None:
    """Its ARN has an ID that AWS gives it: unknown are the policies that name it."""
    roles = "module.incident[0].aws_iam_role_policy"
    assert _unknown(planned, "made") == {
        "module.incident[0].aws_dynamodb_table_item.document item",
        f'{roles}.function["incident"] policy',
        f'{roles}.function["watchdog"] policy',
        f'{roles}.machine["incident"] policy',
        f'{roles}.machine["notice"] policy',
        "module.guardduty[0].module.spend_watch[0].aws_iam_role_policy.notice[0] policy",
    }


def test_an_empty_state_can_be_refreshed(root: Path) -> None:
    """As somebody does who has lost the state, or has just made the backend."""
    with identity() as endpoint:
        done = terraform(
            root,
            root.parent.parent,
            "plan",
            "-refresh-only",
            "-input=false",
            "-no-color",
            endpoint=endpoint,
        )
    assert done.returncode == 0, done.stdout[-5000:]

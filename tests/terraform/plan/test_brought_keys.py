"""Keys and topics brought along that are made in the same apply: their ARNs are unknown, and
nothing goes round in circles.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.identity_server import identity
from tests.support.terraform_tools import copy_module, initialized, plan_of

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
  spend_watch   = { monthly_limit_usd = 250, trial_ends_on = "2099-12-31" }
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
  spend_watch   = { monthly_limit_usd = 250, trial_ends_on = "2099-12-31" }
}
"""


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Address => what is planned."""
    scratch = tmp_path_factory.mktemp("keys")
    root = copy_module(scratch / "module") / "root"
    root.mkdir()
    (root / "main.tf").write_text(ROOT)
    initialized(root, scratch)
    with identity() as endpoint:
        plan = plan_of(root, scratch, "-refresh=false", endpoint=endpoint)
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
    assert planned[f"module.{module}.module.spend_watch[0].aws_iam_role_policy.notice[0]"][
        "actions"
    ] == ["create"]


def test_a_key_takes_its_statements_from_the_module_it_is_brought_to(
    planned: dict[str, dict[str, Any]],
) -> None:
    assert planned["aws_kms_key_policy.ours"]["actions"] == ["create"]
    assert "module.brought.aws_kms_key.this[0]" not in planned
    assert "module.made.aws_kms_key.this[0]" in planned

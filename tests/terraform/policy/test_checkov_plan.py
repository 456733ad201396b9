"""checkov over the plan of everything switched on: what only a plan shows, such as policies put
together from parts.

The key is brought along: the ARN of one that is made is unknown while planning, and an unknown key
counts as none.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.identity_server import identity
from tests.support.repository import ROOT
from tests.support.terraform_tools import FIXED, copy_module, initialized, terraform
from tests.terraform.policy.checkov_run import checkov

pytestmark = pytest.mark.terraform
Json = dict[str, Any]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plan of sandbox/terraform (the module, and a member account) as JSON, in a copy of the
    sources.
    """
    scratch = tmp_path_factory.mktemp("plan")
    root = initialized(copy_module(scratch / "module") / "sandbox" / "terraform", scratch)
    fixed = FIXED
    switches = json.loads(
        (ROOT / "tests" / "terraform" / "policy" / "all_on.tfvars.json").read_text()
    )
    (root / "all.auto.tfvars.json").write_text(json.dumps({**fixed, **switches}))
    with identity() as endpoint:
        done = terraform(
            root, scratch, "plan", "-input=false", "-no-color", "-out=all.tfplan", endpoint=endpoint
        )
    assert done.returncode == 0, done.stdout[-4000:]
    shown = terraform(root, scratch, "show", "-json", "all.tfplan").stdout
    file = scratch / "module" / "plan.json"
    file.write_text(shown[shown.index("{") :])
    for part in ("examples", "tests"):  # checkov reads all sources beside the plan
        shutil.rmtree(scratch / "module" / part)
    return file


@pytest.fixture(scope="module")
def report(planned: Path, tmp_path_factory: pytest.TempPathFactory) -> Json:
    return _report(planned, tmp_path_factory.mktemp("checkov"))


def _report(plan: Path, out: Path, *more: str) -> Json:
    # With the sources beside the plan: inline skips are read from them.
    return checkov(
        plan.parent,
        out,
        "-f",
        plan,
        "--framework",
        "terraform_plan",
        "--repo-root-for-plan-enrichment",
        plan.parent,
        "--skip-download",
        "--compact",
        "--quiet",
        *more,
    )


def test_everything_is_on(planned: Path) -> None:
    types = [change["address"] for change in json.loads(planned.read_text())["resource_changes"]]
    for part in (
        "aws_s3_bucket_object_lock_configuration",
        "aws_ssm_document",
        '"ec2_instance/terminate"',
        '"iam_principal/remediate"',
    ):
        assert any(part in address for address in types), part


def test_plan_is_clean(report: Json) -> None:
    assert report["summary"]["parsing_errors"] == 0
    failed = report["results"].get("failed_checks", [])
    assert [
        f"{failed_check['check_id']} {failed_check['resource']}: {failed_check['check_name']}"
        for failed_check in failed
    ] == []
    assert report["summary"]["passed"] > 100


def test_every_skip_says_why(report: Json) -> None:
    for skipped_check in report["results"].get("skipped_checks", []):
        assert len(skipped_check["check_result"].get("suppress_comment", "")) > 20, (
            skipped_check["check_id"],
            skipped_check["resource"],
        )


@pytest.mark.proof  # a test of the test above, for five seconds
def test_a_fault_that_only_the_plan_shows_is_found(planned: Path, tmp_path: Path) -> None:
    """Queues without encryption."""
    document = json.loads(planned.read_text())
    changed = 0
    for module in document["planned_values"]["root_module"]["child_modules"]:
        for resource in [
            resource
            for inner in [module, *module.get("child_modules", [])]
            for resource in inner.get("resources", [])
        ]:
            if resource["type"] == "aws_sqs_queue":
                resource["values"] |= {"kms_master_key_id": None, "sqs_managed_sse_enabled": False}
                changed += 1
    for change in document["resource_changes"]:
        if change["type"] == "aws_sqs_queue":
            change["change"]["after"] |= {
                "kms_master_key_id": None,
                "sqs_managed_sse_enabled": False,
            }
            change["change"]["after_unknown"].pop("kms_master_key_id", None)
    assert changed
    (planned.parent / "bad.json").write_text(json.dumps(document))
    assert (
        _report(planned.parent / "bad.json", tmp_path, "--check", "CKV_AWS_27")["summary"]["failed"]
        >= 1
    )

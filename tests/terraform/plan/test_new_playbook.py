"""A playbook that is added to a copy of the repository is planned, without another edit.

tests/e2e/test_new_playbook.py applies the same copy and sees a finding contained.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from guardduty_response.decision import configuration

from tests.support import dummy_playbook
from tests.support.identity_server import identity
from tests.support.terraform_tools import FIXED, Plan, PlanError, initialized, plan_of
from tests.terraform.plan.plan_events import matches

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.terraform
SWITCHES: dict[str, Any] = {
    "remediations": {dummy_playbook.TYPE: "auto", "CryptoCurrency:EC2/*": "auto"},
    "organization_id": "o-sandbox001",
}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Plan]:
    """Plans the copy with the playbook, with further variables."""
    scratch = tmp_path_factory.mktemp("new-playbook")
    copy = dummy_playbook.copy_with_playbook(scratch / "copy")
    root = dummy_playbook.sandbox_root(copy)
    initialized(root, scratch)

    def plan(**variables: Any) -> Plan:
        file = scratch / "case.tfvars.json"
        file.write_text(json.dumps({**FIXED, **SWITCHES, **variables}))
        with identity() as endpoint:
            shown = plan_of(root, scratch, "-refresh=false", f"-var-file={file}", endpoint=endpoint)
        return Plan(shown)

    return plan


@pytest.fixture(scope="module")
def plan(planned: Callable[..., Plan]) -> Plan:
    return planned(dummy_bucket={"ignore_acls": False})


def test_it_has_its_functions_with_its_code(plan: Plan) -> None:
    functions = {
        values["function_name"]: Path(values["filename"]).name
        for values in plan.of_type("aws_lambda_function").values()
    }
    assert functions["guardduty-response-playbook-dummy-bucket"] == "playbook_dummy_bucket.zip"
    assert functions["guardduty-response-collect-dummy-bucket"] == "collect_dummy_bucket.zip"
    assert len(functions) == 7, "the other playbook in use, its monitoring, incident and watchdog"


def test_members_have_its_roles(plan: Plan) -> None:
    roles = {
        values["name"]
        for address, values in plan.of_type("aws_iam_role").items()
        if address.startswith("module.member.")
    }
    assert roles >= {
        "guardduty-response-responder-dummy-bucket",
        "guardduty-response-collector-dummy-bucket",
        "guardduty-response-responder-ec2-instance",
    }


def test_its_finding_types_are_answered_by_it(plan: Plan) -> None:
    entry = plan.outputs["effective_policy"][dummy_playbook.TYPE]
    assert (entry["mode"], entry["playbook"]) == ("auto", "dummy_bucket")
    others = {name: entry["playbook"] for name, entry in plan.outputs["effective_policy"].items()}
    assert others["CryptoCurrency:EC2/BitcoinTool.B"] == "ec2_instance"
    assert others["Policy:S3/BucketPublicAccessGranted"] is None


def test_the_functions_know_its_options(plan: Plan) -> None:
    sha256 = hashlib.sha256(plan.document.encode()).hexdigest()
    config = configuration.parse(plan.document, sha256)
    assert config.active_playbooks == ["dummy_bucket", "ec2_instance"]
    assert config.playbooks["dummy_bucket"] == {"ignore_acls": False, "level": "bucket"}


def test_a_call_that_undoes_it_wakes_the_reconciler(plan: Plan) -> None:
    event = {
        "source": "aws.s3",
        "detail-type": "AWS API Call via CloudTrail",
        "detail": {"eventName": "DeleteBucketPublicAccessBlock", "userIdentity": {"type": "Root"}},
    }
    rules = {name: rule for name, rule in plan.patterns.items() if name.startswith("changes")}
    assert len(rules) == 2
    assert [name for name, rule in rules.items() if matches(rule, event)] == ["changes"]
    own = "guardduty-response-responder-dummy-bucket"
    event["detail"] = {
        "eventName": "PutBucketPublicAccessBlock",
        "userIdentity": {"sessionContext": {"sessionIssuer": {"userName": own}}},
    }
    assert not any(matches(rule, event) for rule in rules.values())


def test_a_mistake_in_its_options_fails_the_plan(planned: Callable[..., Plan]) -> None:
    """In a key and in a value: both are told."""
    with pytest.raises(PlanError) as caught:
        planned(dummy_bucket={"ignore_acl": True, "level": "object"})
    text = " ".join(str(caught.value).replace("│", " ").split())
    assert "dummy_bucket.ignore_acl is no option of this playbook; the" in text
    assert "dummy_bucket.level must be one of bucket; it is" in text

"""Every policy that Terraform plans, asked of AWS's service authorization reference
(tests/support/authorization_data.py): of functions and state machines, of rules and topics, of
keys, buckets and queues, and who may assume a role.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.authorization_data import remarks
from tests.support.planned_policies import RUNS, Planned, of, planned_policies

if TYPE_CHECKING:
    from tests.support.forwarding_plan import Forwarding

pytestmark = pytest.mark.terraform
Json = dict[str, Any]
# Remark -> why it stands, whatever the document
EXCUSED: dict[str, str] = {
    "states:DescribeExecution needs a resource of type express": "the reference marks both kinds of"
    " execution as required; the response has standard ones",
}


@pytest.fixture(scope="module")
def policies(
    tmp_path_factory: pytest.TempPathFactory,
    findings_policies: dict[str, str],
    forwarding: Forwarding,
) -> dict[str, Planned]:
    """Run and address => policy."""
    found = {
        address: policy
        for address, policy in planned_policies(tmp_path_factory.mktemp("policies")).items()
        if "aws_iam_role_policy.member[" not in address  # test_authorization_data.py
    }
    for address, text in findings_policies.items():
        found[f"findings: {address}"] = of(address, _type(address), text)
    for address, values in forwarding.resources.items():
        if document := values.get("policy") or values.get("assume_role_policy"):
            found[f"forwarding: {address}"] = of(address, _type(address), str(document))
    return found


def _type(address: str) -> str:
    [kind] = [part for part in address.split(".") if part.startswith("aws_")]
    return kind


def _against(policies: dict[str, Planned]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for address, policy in policies.items():
        for why in remarks(policy.document, policy.grants):
            found.setdefault(why, []).append(address)
    return found


def test_the_reference_says_nothing_against_them_but_what_is_excused(
    policies: dict[str, Planned],
) -> None:
    found = _against(policies)
    assert {why: where for why, where in found.items() if why not in EXCUSED} == {}
    assert set(EXCUSED) <= set(found), "only what is found is excused"


def test_every_kind_of_policy_was_asked_about(policies: dict[str, Planned]) -> None:
    assert {address.split(":")[0] for address in policies} == {*RUNS, "findings", "forwarding"}
    kinds = {address.split(": ")[1].split("[")[0].split(".")[-2] for address in policies}
    assert kinds >= {
        "aws_cloudwatch_event_bus_policy",
        "aws_iam_role",
        "aws_iam_role_policy",
        "aws_kms_key",
        "aws_organizations_policy",
        "aws_s3_bucket_policy",
        "aws_sns_topic",
        "aws_sqs_queue",
    }
    assert len(policies) > 60


@pytest.mark.parametrize(
    ("kind", "text", "instead", "expected"),
    [
        ("aws_sqs_queue", "sqs:SendMessage", "sqs:SendMessages", "no action is sqs:SendMessages"),
        ("aws_sns_topic", "sns:Publish", "sns:Publishes", "no action is sns:Publishes"),
        ("aws_iam_role", "sts:AssumeRole", "sts:Assume", "no action is sts:Assume"),
        (
            "aws_iam_role_policy",
            "dynamodb:LeadingKeys",
            "dynamodb:LeadingKey",
            "has no condition key dynamodb:LeadingKey",
        ),
        ("aws_kms_key", "kms:GenerateDataKey", "kms:MakeDataKey", "no action is kms:MakeDataKey"),
    ],
)
def test_it_finds_a_fault(
    policies: dict[str, Planned], kind: str, text: str, instead: str, expected: str
) -> None:
    changed = {}
    for address, policy in policies.items():
        written = json.dumps(policy.document)
        if _type(address.split(": ")[1]) == kind and text in written:
            document: Json = json.loads(written.replace(text, instead))
            changed[address] = Planned(document, policy.grants)
    found = [why for why in _against(changed) if expected in why]
    assert changed and found

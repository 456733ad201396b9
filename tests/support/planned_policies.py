"""Every policy that a plan of this repository's modules holds, under a mocked provider: nothing of
it is unknown then. Terraform prints the plan of each run as ``terraform show -json`` does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.repository import ROOT
from tests.support.terraform_tools import copy_module, initialized, terraform

Json = dict[str, Any]


class Expression(str):
    """What stands in a test file as it is, such as an output of an earlier run."""


MEMBER, SECURITY, ORGANIZATION = "222222222222", "111111111111", "o-sandbox001"
_SWITCHES = (ROOT / "tests" / "terraform" / "policy" / "all_on.tfvars.json").read_text()
# A mocked provider is in eu-central-1
_ALL_ON: Json = json.loads(_SWITCHES.replace("us-east-1", "eu-central-1"))
# Run -> module (the root, unless named) and its variables
RUNS: dict[str, tuple[str, Json]] = {
    "everything": ("", _ALL_ON),
    "own_key": ("", {**_ALL_ON, "kms": {"create": True}}),
    "one_account": ("", {"remediations": {"CryptoCurrency:EC2/*": "auto"}}),
    "events_from_members": ("", {**_ALL_ON, "event_forwarding": {"from_organization": True}}),
    "member": (
        "responder-role",
        {
            # With the role that forensics after containment needs; the switches say before.
            "for_member_accounts": Expression(
                "merge(run.events_from_members.for_member_accounts, { instance_roles ="
                ' { quarantine = "q", quarantine_ssm = "q-ssm" } })'
            ),
        },
    ),
    "vault": (
        "forensics-account",
        {"security_account_id": SECURITY, "organization_id": ORGANIZATION},
    ),
    "quarantine_scp": ("quarantine-scp", {"target_ids": ["ou-ab12-cdef3456"]}),
    "forwarder": (
        "region-forwarder",
        {
            "for_member_accounts": Expression(
                'merge(run.events_from_members.for_other_regions, { iam_path = "/", forwarder ='
                " merge(run.events_from_members.for_other_regions.forwarder, { event_bus_arn ="
                f' "arn:aws:events:us-east-1:{SECURITY}:event-bus/default" }}) }})'
            )
        },
    ),
}
# Type -> attribute that holds a policy
_ATTRIBUTES = {
    "aws_cloudwatch_event_bus_policy": "policy",
    "aws_iam_policy": "policy",
    "aws_iam_role": "assume_role_policy",
    "aws_iam_role_policy": "policy",
    "aws_kms_key": "policy",
    "aws_kms_replica_key": "policy",
    "aws_organizations_policy": "content",
    "aws_s3_bucket_policy": "policy",
    "aws_sns_topic": "policy",
    "aws_sqs_queue": "policy",
}
_OF_IDENTITIES = ("aws_iam_policy", "aws_iam_role_policy", "aws_organizations_policy")


class Planned(NamedTuple):
    """A policy as planned. ``grants``: it is one of an identity; else it is of a resource, and
    somebody else's policy grants what a call needs beside it.
    """

    document: Json
    grants: bool


def planned_policies(
    scratch: Path, runs: Mapping[str, tuple[str, Json]] = RUNS
) -> dict[str, Planned]:
    """Returns run and address of a resource -> its policy."""
    return {
        f"{run}: {change['address']}": _policy(change)
        for run, changes in planned_changes(scratch, runs).items()
        for change in changes
        if change["type"] in _ATTRIBUTES
    }


def planned_changes(scratch: Path, runs: Mapping[str, tuple[str, Json]]) -> dict[str, list[Json]]:
    """Returns each run with the changes of resources that it plans."""
    module = copy_module(scratch / "module")
    (module / "policies").mkdir()
    (module / "policies" / "policies.tftest.hcl").write_text(_test_file(runs))
    initialized(
        module,
        scratch,
        "-test-directory=policies",
    )
    done = terraform(
        module, scratch, "test", "-test-directory=policies", "-json", "-verbose", "-no-color"
    )
    plans = list(_plans(done.stdout))
    assert done.returncode == 0 and len(plans) == len(runs), done.stdout[-4000:]
    return dict(plans)


def of(address: str, resource_type: str, text: str) -> Planned:
    """Returns a policy of a plan that other tests make."""
    assert resource_type in address
    return Planned(json.loads(text), resource_type in _OF_IDENTITIES)


def _test_file(runs: Mapping[str, tuple[str, Json]]) -> str:
    lines = ['mock_provider "aws" {', '  source = "./tests/terraform/mocks"']
    lines += ["  override_during = plan", "}"]
    for run, (name, given) in runs.items():
        subscribed = {} if name else {"notifications": {"expected_subscriptions": 1}}
        variables = {**subscribed, **given}
        lines += [f'run "{run}" {{', "  command = plan"]
        if name:
            lines += ["  module {", f'    source = "./modules/{name}"', "  }"]
        lines += ["  variables {"]
        lines += [f"    {key} = {_written(value)}" for key, value in variables.items()]
        lines += ["  }", "}"]
    return "\n".join([*lines, ""])


def _written(value: Any) -> str:
    return value if isinstance(value, Expression) else json.dumps(value)


def _plans(printed: str) -> Iterator[tuple[str, list[Json]]]:
    for line in printed.splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("type") == "test_plan":
            yield message["@testrun"], message["test_plan"]["resource_changes"]


def _policy(change: Json) -> Planned:
    text = change["change"]["after"].get(_ATTRIBUTES[change["type"]])
    assert text, f"{change['address']} has a policy that is not known while planning"
    return Planned(json.loads(text), change["type"] in _OF_IDENTITIES)

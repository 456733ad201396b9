"""Detection has a lifecycle of its own: a response that goes, and an upgrade, leave GuardDuty as it
is; giving it up takes the steps of UPGRADING.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.clients import Aws
from tests.sandbox.response_lab import INCIDENT
from tests.support.terraform_tools import copy_module, init, terraform

pytestmark = pytest.mark.terraform
Json = dict[str, Any]
ACCOUNT, REGION = "111111111111", "us-east-1"
PROVIDER = f"""
provider "aws" {{
  region                      = "{REGION}"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
}}
"""
FILTERS = '[{ name = "quiet", criteria = { type = { equals = ["Recon:EC2/Portscan"] } } }]'
LISTS = '{ seen = { addresses = ["192.0.2.66"] } }'
# Detection as release 0.1 had it in the root module
BEFORE = f"""
module "detector" {{
  source = "../modules/detector"
  count  = 1
}}

module "suppression_filters" {{
  source      = "../modules/suppression-filters"
  count       = 1
  detector_id = module.detector[0].id
  filters     = {FILTERS}
}}

module "ip_lists" {{
  source       = "../modules/ip-lists"
  count        = 1
  name_prefix  = "guardduty-response"
  arn_base     = {{ partition = "aws", region = "{REGION}", account_id = "{ACCOUNT}" }}
  detector_id  = module.detector[0].id
  threat_lists = {LISTS}
}}
"""
ALONE = f"""
module "guardduty" {{
  source              = "../modules/guardduty"
  suppression_filters = {FILTERS}
}}
"""
RESPONSE = """
module "guardduty_response" {
  source              = "../"
  deletion_protection = false
}
"""
TOGETHER = RESPONSE.replace(
    "deletion_protection",
    f"guardduty = {{ suppression_filters = {FILTERS} }}\n  deletion_protection",
)
MOVED = """
moved {
  from = module.guardduty_response.module.guardduty[0]
  to   = module.guardduty
}
"""
REMOVED = """
removed {
  from = module.guardduty_response.module.guardduty.module.detector

  lifecycle {
    destroy = false
  }
}
"""


def with_lists(configuration: str) -> str:
    """Adds a threat list that is written here to a configuration of GuardDuty."""
    return configuration.replace(FILTERS, f"{FILTERS}\n  threat_lists = {LISTS}")


class Roots:
    """Terraform directories beside one copy of the module, and GuardDuty as AWS describes it."""

    def __init__(self, aws: Aws, scratch: Path) -> None:
        self.aws, self.scratch = aws, scratch
        self.module = copy_module(scratch / "module")
        (self.module / "before").mkdir()
        (self.module / "before" / "main.tf").write_text(BEFORE)

    def write(self, root: str, *blocks: str) -> None:
        directory = self.module / root
        directory.mkdir(exist_ok=True)
        (directory / "main.tf").write_text("".join((PROVIDER, *blocks)))
        done = init(directory, self.scratch)
        assert done.returncode == 0, done.stdout[-3000:]

    def run(self, root: str, *arguments: str) -> tuple[int, str]:
        done = terraform(self.module / root, self.scratch, *arguments, endpoint=self.aws.endpoint)
        return int(done.returncode), str(done.stdout)

    def change(self, root: str, command: str, *arguments: str) -> str:
        options = ("-auto-approve", "-input=false", "-no-color", *arguments)
        code, output = self.run(root, command, *options)
        assert code == 0, output[-4000:]
        return output

    def forget_module(self, root: str, name: str) -> None:
        """Makes the state one in which what is in modules of this name was outside of them."""
        state = self.module / root / "terraform.tfstate"
        text = state.read_text()
        assert f".module.{name}" in text
        state.write_text(text.replace(f".module.{name}", ""))

    def plan(self, root: str) -> tuple[int, str]:
        return self.run(
            root,
            "plan",
            "-input=false",
            "-no-color",
            "-out=made.tfplan",
        )

    def planned(self, root: str) -> dict[str, tuple[str, str]]:
        """Address => its address before and what is done, of everything of GuardDuty's and of the
        files of lists.
        """
        code, output = self.plan(root)
        assert code == 0, output[-4000:]
        _, shown = self.run(
            root,
            "show",
            "-json",
            "made.tfplan",
        )
        return {
            change["address"]: (
                change.get("previous_address", ""),
                " ".join(change["change"]["actions"]),
            )
            for change in json.loads(shown[shown.index("{") :])["resource_changes"]
            if change["mode"] == "managed"
            and (
                change["type"].startswith("aws_guardduty_")
                or "module.ip_lists" in change["address"]
            )
        }

    def guardduty(self) -> Json:
        """The detector with its protection plans and filters."""
        client = self.aws.client("guardduty", ACCOUNT)
        [detector] = client.list_detectors()["DetectorIds"]
        answer = client.get_detector(DetectorId=detector)
        plans = {}
        for feature in answer["Features"]:
            plans[feature["Name"]] = feature["Status"]
            for agent in feature.get("AdditionalConfiguration", []):
                plans[f"{feature['Name']}/{agent['Name']}"] = agent["Status"]
        return {
            "id": detector,
            "filters": client.list_filters(DetectorId=detector)["FilterNames"],
            "plans": plans,
            **{
                name: answer[name] for name in ("CreatedAt", "Status", "FindingPublishingFrequency")
            },
        }


@pytest.fixture
def roots(aws: Aws, tmp_path: Path) -> Iterator[Roots]:
    made = Roots(aws, tmp_path)
    yield made
    client = aws.client("guardduty", ACCOUNT)
    for detector in client.list_detectors()["DetectorIds"]:
        client.delete_detector(DetectorId=detector)


def test_an_upgrade_keeps_detection_or_fails(roots: Roots) -> None:
    roots.write("root", 'module "guardduty_response" {\n  source = "../before"\n}\n')
    roots.change("root", "apply")
    before = roots.guardduty()
    roots.forget_module("root", "files")  # which release 0.1 did not have

    roots.write("root", RESPONSE)
    code, output = roots.plan("root")
    text = " ".join(output.split())
    assert code == 1 and "lifecycle.prevent_destroy set" in text
    assert "To go on with it: guardduty = { … }." in text
    assert 'UPGRADING.md, "Giving GuardDuty up"' in text

    old, new = "module.guardduty_response", "module.guardduty_response.module.guardduty[0]"
    roots.write("root", with_lists(TOGETHER))
    planned = roots.planned("root")
    # The detector, six protection plans, a filter, a list; its object, bucket and four settings
    assert len(planned) == 15, planned
    for address, (previous, action) in planned.items():
        assert action == "no-op", f"{address}: {action}"
        moved = previous.replace("detector[0]", "detector").replace(old, new)
        assert moved == address.replace(".module.files.", ".")

    # Apart, in the same state
    roots.write(
        "root",
        with_lists(ALONE),
        RESPONSE,
        MOVED,
    )
    planned = roots.planned("root")
    assert len(planned) == 15 and {action for _, action in planned.values()} == {"no-op"}, planned
    assert all(address.startswith("module.guardduty.module.") for address in planned), planned
    assert roots.guardduty() == before


def test_a_response_that_goes_leaves_detection(roots: Roots) -> None:
    roots.write("detection", ALONE)
    roots.change("detection", "apply")
    before = roots.guardduty()
    assert before["filters"] == ["quiet"]

    roots.write("response", RESPONSE)
    table = f"{INCIDENT}.aws_dynamodb_table.incidents"
    roots.change(
        "response",
        "apply",
        f"-target={table}",
    )
    assert "destroyed" in roots.change("response", "destroy")
    assert roots.guardduty() == before

    code, output = roots.run(
        "detection",
        "destroy",
        "-auto-approve",
        "-no-color",
    )
    assert code == 1 and "lifecycle.prevent_destroy set" in " ".join(output.split())
    assert roots.guardduty() == before


def test_detection_is_handed_to_a_state_of_its_own(roots: Roots) -> None:
    roots.write("together", TOGETHER)
    roots.change(
        "together",
        "apply",
        "-target=module.guardduty_response.module.guardduty",
    )
    before = roots.guardduty()

    # The module's block goes, and leaves the detector and its protection plans behind.
    roots.write("together", REMOVED)
    done = {address: action for address, (_, action) in roots.planned("together").items()}
    for address, action in done.items():
        assert action == ("forget" if ".module.detector." in address else "delete"), done
    roots.change("together", "apply")
    assert roots.guardduty() == {**before, "filters": []}

    to = "module.guardduty.module.detector.aws_guardduty_detector.this[0]"
    imported = f'import {{\n  to = {to}\n  id = "{before["id"]}"\n}}\n'
    roots.write(
        "detection",
        ALONE,
        imported,
    )
    assert "1 imported" in roots.change("detection", "apply")
    assert roots.guardduty() == before

    # Given up for good
    roots.run(
        "detection",
        "state",
        "rm",
        "module.guardduty.module.detector",
    )
    roots.change("detection", "destroy")
    assert roots.guardduty() == {**before, "filters": []}

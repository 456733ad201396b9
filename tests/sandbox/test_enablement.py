"""GuardDuty on for an organization, with real Terraform: the management account delegates, the
security account configures, in one configuration, whose order is that of its references. Only
modules/delegated-admin and modules/detector.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import MEMBER, SECURITY
from tests.sandbox.test_emulator_guardduty import MANAGEMENT, Region, statuses
from tests.support.repository import ROOT
from tests.support.terraform_tools import initialized, terraform

REGION = "us-west-2"
CONFIGURATION = """
variable "features" {{ default = {{}} }}
variable "organization" {{ default = {{}} }}
variable "adopt" {{ default = null }}
variable "managing" {{ default = "{management}" }}
variable "delegate" {{ default = true }}
variable "management_features" {{ default = {{}} }}

provider "aws" {{
  region     = "{region}"
  access_key = "{security}"
  secret_key = "test"
}}

provider "aws" {{
  alias      = "management"
  region     = "{region}"
  access_key = var.managing
  secret_key = "test"
}}

module "delegated_admin" {{
  source    = "{root}/modules/delegated-admin"
  count     = var.delegate ? 1 : 0
  providers = {{ aws = aws.management }}

  admin_account_id  = "{security}"
  admin_detector_id = module.detector.id
  features          = var.management_features
}}

module "detector" {{
  source = "{root}/modules/detector"

  create       = var.adopt == null
  id           = var.adopt
  features     = var.features
  managed_by   = try(module.delegated_admin[0].enablement_managed_by, "MODULE")
  organization = merge(var.organization, {{
    administrator_account_id = one(module.delegated_admin[*].admin_account_id)
  }})
  tags         = {{ team = "security" }}
}}

output "detector_id" {{ value = module.detector.id }}
output "organization_features" {{ value = module.detector.organization_features }}
"""


@dataclass
class Stack:
    """One Terraform directory, and GuardDuty as its accounts see it."""

    directory: Path
    scratch: Path
    endpoint: str
    region: Region

    def run(self, command: str, *arguments: str, **variables: object) -> tuple[int, str]:
        file = self.scratch / "stack.tfvars.json"
        file.write_text(json.dumps(variables))
        done = terraform(
            self.directory,
            self.scratch,
            command,
            "-no-color",
            "-input=false",
            f"-var-file={file}",
            *arguments,
            endpoint=self.endpoint,
        )
        return done.returncode, done.stdout

    def apply(self, **variables: object) -> str:
        code, output = self.run("apply", "-auto-approve", **variables)
        assert code == 0, output[-4000:]
        return output

    def plan(self, **variables: object) -> tuple[int, str]:
        """0: nothing to do, 1: an error, 2: changes."""
        return self.run("plan", "-detailed-exitcode", **variables)

    def destroy(self, **variables: object) -> tuple[int, str]:
        return self.run("destroy", "-auto-approve", **variables)

    def forget(self, *addresses: str) -> None:
        """Leave what is in GuardDuty as it is, and end its management."""
        done = terraform(
            self.directory,
            self.scratch,
            "state",
            "rm",
            *addresses,
            endpoint=self.endpoint,
        )
        assert done.returncode == 0, done.stdout[-4000:]


@pytest.fixture
def stack(aws: Aws, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    region = getattr(request, "param", REGION)
    directory = tmp_path / "stack"
    directory.mkdir()
    text = CONFIGURATION.format(
        root=ROOT,
        region=region,
        security=SECURITY,
        management=MANAGEMENT,
    )
    (directory / "main.tf").write_text(text)
    initialized(directory, tmp_path)
    yield Stack(directory, tmp_path, aws.endpoint, Region(Aws(aws.endpoint, region)))


FEATURES = {"RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT": "ENABLED", "RDS_LOGIN_EVENTS": "DISABLED"}
ORGANIZATION = {
    "manage": True,
    "auto_enable_members": "NEW",
    "features": {"S3_DATA_EVENTS": "NEW", "RUNTIME_MONITORING": "NEW"},
    "members": {MEMBER: f"{MEMBER}@example.com", MANAGEMENT: "management@example.com"},
    "member_features": {
        MEMBER: {
            "S3_DATA_EVENTS": "DISABLED",
            "RUNTIME_MONITORING": "ENABLED",
            "RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT": "ENABLED",
        }
    },
}


def test_on_for_the_organization_and_off_again(stack: Stack) -> None:
    off_there = {"RDS_LOGIN_EVENTS": "DISABLED"}
    output = stack.apply(
        features=FEATURES, organization=ORGANIZATION, management_features=off_there
    )
    created = [line.split(":")[0] for line in output.splitlines() if "Creation complete" in line]
    detector = "module.detector.aws_guardduty_detector.this[0]"
    registered = "module.delegated_admin[0].aws_guardduty_organization_admin_account.this"
    configured = "module.detector.aws_guardduty_organization_configuration.this[0]"
    exception = (
        f'module.detector.aws_guardduty_member_detector_feature.this["{MEMBER}/S3_DATA_EVENTS"]'
    )
    order = [created.index(address) for address in (detector, registered, configured, exception)]
    assert order == sorted(order), created

    region = stack.region
    own = region.features(SECURITY)
    assert own["RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT"] == own["LAMBDA_NETWORK_LOGS"] == "ENABLED"
    assert own["RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT"] == own["RDS_LOGIN_EVENTS"] == "DISABLED"
    known = region.of(SECURITY).describe_organization_configuration(
        DetectorId=region.detector(SECURITY)
    )
    everybody = statuses(known["Features"], "AutoEnable")
    assert known["AutoEnableOrganizationMembers"] == "NEW"
    assert everybody["EKS_AUDIT_LOGS"] == "ALL"
    assert everybody["RDS_LOGIN_EVENTS"] == "NONE"
    assert everybody["RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT"] == "NEW"
    member = region.features(MEMBER)
    assert member["S3_DATA_EVENTS"] == "DISABLED"
    assert member["EKS_AUDIT_LOGS"] == "ENABLED"
    assert (
        member["RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT"]
        == member["RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT"]
        == "ENABLED"
    )
    assert {MEMBER, MANAGEMENT} <= region.members(region.detector(SECURITY))

    management = region.features(MANAGEMENT)
    assert (management["RDS_LOGIN_EVENTS"], management["EKS_AUDIT_LOGS"]) == (
        "DISABLED",
        "ENABLED",
    ), "NONE turns nothing off."

    # GuardDuty answers with RDS_DATA_RISK, which the provider cannot name: no plan takes it away.
    assert own["RDS_LOGIN_EVENTS/RDS_DATA_RISK"] == "DISABLED"
    assert everybody["RDS_LOGIN_EVENTS/RDS_DATA_RISK"] == "NONE"
    on = {"Status": "ENABLED"}
    region.of(SECURITY).update_detector(
        DetectorId=region.detector(SECURITY),
        Features=[{"Name": "AI_PROTECTION", **on}, {"Name": "AI_ANALYST", **on}],
    )
    code, output = stack.plan(
        features=FEATURES, organization=ORGANIZATION, management_features=off_there
    )
    assert code == 0, output[-4000:]

    # Off by a status, not by leaving it out.
    features = {**ORGANIZATION["features"], "EKS_AUDIT_LOGS": "NONE"}  # type: ignore[dict-item]
    off = {**ORGANIZATION, "features": features}
    stack.apply(features={**FEATURES, "EKS_AUDIT_LOGS": "DISABLED"}, organization=off)
    own = stack.region.features(SECURITY)
    assert own["EKS_AUDIT_LOGS"] == "DISABLED"
    assert own["AI_PROTECTION"] == own["AI_ANALYST"] == "ENABLED", "Not named, so left alone."

    own, known = region.features(SECURITY), region.detector(SECURITY)
    code, output = stack.destroy(features=FEATURES, organization=ORGANIZATION)
    text = " ".join(output.replace("│", " ").split())
    assert code == 1 and "Destruction complete" not in output, "a destroy stops at detection"
    # The first that would go; what it depends on is not even planned.
    assert f"Resource {exception} has lifecycle.prevent_destroy set" in text
    assert 'UPGRADING.md, "Giving GuardDuty up"' in output
    stack.forget("module.detector")
    code, output = stack.destroy(features=FEATURES, organization=ORGANIZATION)
    assert code == 0, output[-4000:]
    assert (region.detector(SECURITY), region.features(SECURITY)) == (known, own), (
        "What was taken out of the state stays as it was."
    )
    assert region.of(MANAGEMENT).list_organization_admin_accounts()["AdminAccounts"] == []
    assert region.features(MEMBER)["S3_DATA_EVENTS"] == "DISABLED", (
        "Members keep GuardDuty, as it was set."
    )


@pytest.mark.parametrize("stack", ["ca-west-1"], indirect=True)
def test_auto_enable_changes_and_an_account_is_let_go(stack: Stack) -> None:
    """A plan that is ALL stays ALL. Terraform lets no member go, whatever it says:
    docs/off-boarding.md does.
    """
    region = stack.region
    members = {MEMBER: f"{MEMBER}@example.com", MANAGEMENT: "management@example.com"}
    organization: dict[str, Any] = {
        "manage": True,
        "auto_enable_members": "NEW",
        "members": members,
    }
    stack.apply(organization=organization)
    detector = region.detector(SECURITY)

    organization["auto_enable_members"] = "ALL"
    output = " ".join(stack.apply(organization=organization).replace("│", " ").split())
    assert (
        f"organization.members names {MEMBER}, {MANAGEMENT}, but auto_enable_members is ALL"
        in output
    )
    known = region.of(SECURITY).describe_organization_configuration(DetectorId=detector)
    plans = {
        feature["Name"]: feature["AutoEnable"]
        for feature in known["Features"]
        if feature["Name"] not in ("EKS_RUNTIME_MONITORING", "AI_PROTECTION")
    }
    assert known["AutoEnableOrganizationMembers"] == "ALL" and set(plans.values()) == {"ALL"}, plans

    organization["members"] = {MANAGEMENT: members[MANAGEMENT]}
    code, output = stack.plan(organization=organization)
    assert code == 1 and "docs/off-boarding.md" in output, "the provider would only say so"
    assert MEMBER in region.members(detector)
    organization["members"] = members

    plans_off = dict.fromkeys(plans, "NONE")
    stack.apply(
        organization={
            **organization,
            "auto_enable_members": "NONE",
            "features": plans_off,
        }
    )
    for operation in (region.of(SECURITY).disassociate_members, region.of(SECURITY).delete_members):
        assert operation(DetectorId=detector, AccountIds=[MEMBER])["UnprocessedAccounts"] == []
    assert MEMBER not in region.members(detector)
    assert MANAGEMENT in region.members(detector)
    assert region.features(MEMBER)["EKS_AUDIT_LOGS"] == "ENABLED", (
        "A standalone account now, with what it had."
    )
    organization["members"] = {MANAGEMENT: members[MANAGEMENT]}
    stack.apply(
        organization={
            **organization,
            "auto_enable_members": "NONE",
            "features": plans_off,
        }
    )

    code, output = stack.plan(organization={"manage": False})
    assert code == 1 and "organization.manage = true" in output
    stack.forget(
        "module.detector.aws_guardduty_organization_configuration.this",
        "module.detector.aws_guardduty_member.this",
    )
    stack.apply(organization={"manage": False})
    assert MANAGEMENT in region.members(detector), (
        "No longer managed here; in GuardDuty nothing changes."
    )


@pytest.mark.parametrize("stack", ["eu-west-3"], indirect=True)
def test_a_detector_that_exists_is_adopted(stack: Stack) -> None:
    created = stack.region.of(SECURITY).create_detector(Enable=True)["DetectorId"]
    variables = {
        "adopt": created,
        "delegate": False,
        "features": {"S3_DATA_EVENTS": "UNMANAGED", "LAMBDA_NETWORK_LOGS": "DISABLED"},
    }
    stack.region.of(SECURITY).update_detector(
        DetectorId=created, Features=[{"Name": "S3_DATA_EVENTS", "Status": "DISABLED"}]
    )
    before = stack.region.features(SECURITY)
    code, output = stack.plan(**variables)
    text = " ".join(output.replace("│", " ").split())
    assert "this apply will change LAMBDA_NETWORK_LOGS from ENABLED to DISABLED." in text
    stack.apply(**variables)
    found = stack.region.features(SECURITY)
    assert found == {**before, "LAMBDA_NETWORK_LOGS": "DISABLED"}, "Only what is named changes."
    code, output = stack.plan(**variables)
    assert code == 0 and "this apply will change" not in output
    code, output = stack.plan(**{**variables, "features": {}})
    assert code == 1 and "name its status in guardduty.detector.features" in output, (
        "No plan is left alone again without a word."
    )
    stack.forget("module.detector.aws_guardduty_detector_feature.this")
    code, output = stack.destroy(**variables)
    assert code == 0, output[-4000:]
    assert stack.region.detector(SECURITY) == created, (
        "What was not created here is not deleted here."
    )
    assert stack.region.features(SECURITY) == found, (
        "Removing a feature from Terraform does not turn it off."
    )
    assert stack.region.frequency(SECURITY) == "SIX_HOURS", (
        "AWS's own choice: nothing here may promise another."
    )

    to = "module.detector.aws_guardduty_detector.this[0]"
    (stack.directory / "import.tf").write_text(f'import {{\n  to = {to}\n  id = "{created}"\n}}\n')
    stack.apply(**{**variables, "adopt": None})
    assert stack.region.detector(SECURITY) == created
    assert stack.region.frequency(SECURITY) == "FIFTEEN_MINUTES"


@pytest.mark.parametrize("stack", ["us-west-1"], indirect=True)
def test_mistakes_are_told_before_anything_is_done(stack: Stack, aws: Aws) -> None:
    code, output = stack.plan(managing=SECURITY, organization={"manage": True})
    text = " ".join(output.split())
    assert code == 1
    assert (
        "must run in the management account of organization o-sandbox001, which is "
        f"{MANAGEMENT}" in text
    )
    assert f"these credentials are of account {SECURITY}" in text
    assert "Trusted access" not in text

    organizations = aws.client("organizations", MANAGEMENT)
    organizations.disable_aws_service_access(ServicePrincipal="guardduty.amazonaws.com")
    try:
        code, output = stack.plan(organization={"manage": True})
    finally:
        organizations.enable_aws_service_access(ServicePrincipal="guardduty.amazonaws.com")
    text = " ".join(output.split())
    assert code == 1
    assert (
        "Trusted access for guardduty.amazonaws.com is not enabled in organization o-sandbox001"
        in text
    )
    assert (
        "aws organizations enable-aws-service-access --service-principal guardduty.amazonaws.com"
        in text
    )
    assert stack.region.of(SECURITY).list_detectors()["DetectorIds"] == []


@pytest.mark.parametrize("stack", ["us-east-2"], indirect=True)
def test_another_administrator_is_not_replaced(stack: Stack) -> None:
    stack.region.of(MANAGEMENT).enable_organization_admin_account(AdminAccountId=MEMBER)
    code, output = stack.run("apply", "-auto-approve", organization={"manage": True})
    text = " ".join(output.replace("│", " ").split())
    assert code == 1
    assert "another account is already enabled as GuardDuty delegated administrator" in text
    # the organization's configuration waited, and nothing of it was done
    with pytest.raises(ClientError):
        stack.region.of(SECURITY).describe_organization_configuration(
            DetectorId=stack.region.detector(SECURITY)
        )

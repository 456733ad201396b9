"""The root module as people call it, of which parts are applied to the emulators: what holds the
incidents, the evidence and the exported findings.
"""

from __future__ import annotations

from pathlib import Path

from sandbox.clients import Aws
from sandbox.terraform import detection
from tests.support.terraform_tools import copy_module, initialized, terraform

ACCOUNT = "111111111111"
REGION = "us-east-1"
P = "gdr-keys"
EVIDENCE = f"{P}-evidence-{ACCOUNT}-{REGION}"
FINDINGS = f"{P}-findings-{ACCOUNT}-{REGION}"
MODULE = "module.guardduty_response"
KEY = f"{MODULE}.aws_kms_key.this[0]"
KEY_OF_FINDINGS = f"{MODULE}.module.guardduty[0].module.findings_export[0].aws_kms_key.this[0]"
INCIDENT = f"{MODULE}.module.incident[0]"
EXPORT = f"{MODULE}.module.guardduty[0].module.findings_export[0]"
APPLIED = [
    KEY,
    KEY_OF_FINDINGS,
    f"{INCIDENT}.aws_s3_bucket_policy.evidence[0]",
    f"{EXPORT}.aws_s3_bucket_policy.this[0]",
    f"{INCIDENT}.aws_s3_bucket_server_side_encryption_configuration.evidence[0]",
    f"{EXPORT}.aws_s3_bucket_server_side_encryption_configuration.this[0]",
]
CONFIGURATION = f"""
provider "aws" {{
  region                      = "{REGION}"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
}}

module "guardduty_response" {{
  source          = "../"
  name_prefix     = "{P}"
  guardduty       = {{ findings_export = {{ create = true }} }}
}}
"""


class Applied:
    """Buckets and keys, applied, with something in each bucket."""

    def __init__(self, aws: Aws, scratch: Path) -> None:
        self.aws, self.scratch = aws, scratch
        self.root = copy_module(scratch / "module") / "root"
        self.root.mkdir()
        (self.root / "main.tf").write_text(CONFIGURATION)
        initialized(self.root, scratch)
        self.s3, self.kms = aws.client("s3", ACCOUNT), aws.client("kms", ACCOUNT)

    def run(self, *arguments: str) -> tuple[int, str]:
        done = terraform(
            self.root, self.scratch, *arguments, "-no-color", endpoint=self.aws.endpoint
        )
        return int(done.returncode), " ".join(str(done.stdout).split())

    def apply_parts(self, *addresses: str) -> str:
        targets = [f"-target={address}" for address in addresses]
        code, output = self.run("apply", "-auto-approve", "-input=false", *targets)
        assert code == 0, output[-4000:]
        return output

    def apply(self) -> None:
        self.apply_parts(*APPLIED)
        for bucket in (EVIDENCE, FINDINGS):
            self.s3.put_object(
                Bucket=bucket,
                Key="incidents/1.json",
                Body=b"{}",
            )

    def destroy(self) -> tuple[int, str]:
        """Destroy, and leave GuardDuty on: what docs/off-boarding.md says."""
        listed = terraform(
            self.root,
            self.scratch,
            "state",
            "list",
            endpoint=self.aws.endpoint,
        )
        if addresses := detection(listed.stdout):
            self.run("state", "rm", *addresses)
        return self.run(
            "destroy",
            "-auto-approve",
            "-input=false",
        )

    def keys(self) -> dict[str, str]:
        """Alias or purpose => state of the keys of this deployment."""
        found = {}
        for key in self.kms.list_keys()["Keys"]:
            about = self.kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            if f"({P})" in about["Description"]:
                found["findings" if "exported" in about["Description"] else "evidence"] = about[
                    "KeyState"
                ]
        return found

    def buckets(self) -> set[str]:
        return {
            bucket["Name"]
            for bucket in self.s3.list_buckets()["Buckets"]
            if bucket["Name"].startswith(P)
        }

    def empty(self) -> None:
        for bucket in self.buckets():
            versions = self.s3.list_object_versions(Bucket=bucket)
            for version in [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]:
                self.s3.delete_object(
                    Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"]
                )

"""The module from Python: CDK for Terraform (cdktf) or its successor CDK Terrain (cdktn), one
source for both.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from constructs import Construct

try:
    from cdktn import App, TerraformHclModule, TerraformOutput, TerraformStack
except ImportError:
    from cdktf import App, TerraformHclModule, TerraformOutput, TerraformStack

# A path that starts with ./ would need the CLI's settings; an absolute one works everywhere. In
# your own project: "github.com/…/terraform-aws-guardduty-response?ref=v1.0.0", and with
# //modules/responder-role before the question mark.
MODULE = os.environ.get("GUARDDUTY_RESPONSE_SOURCE", str(Path(__file__).resolve().parents[2]))

SECURITY_ACCOUNT = os.environ.get("SECURITY_ACCOUNT_ID", "111122223333")
MEMBER_ACCOUNT = os.environ.get("MEMBER_ACCOUNT_ID", "222233334444")
REGION = os.environ.get("AWS_REGION", "eu-central-1")


class GuardDutyResponse(TerraformStack):
    """The response in the security account, and the responder's roles in a member account."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        self._providers()

        response = TerraformHclModule(
            self,
            "guardduty_response",
            source=MODULE,
            variables={
                "guardduty": {},
                "remediations": {
                    "CryptoCurrency:EC2/*": "dry_run",
                    "CryptoCurrency:EC2/BitcoinTool.B!DNS": "auto",
                },
                "minimum_severity": {"auto": 7, "approve": 4},
            },
        )
        member = TerraformHclModule(
            self,
            "responder_role",
            source=f"{MODULE}//modules/responder-role",
            variables={"for_member_accounts": response.get("for_member_accounts")},
        )
        # Provider aliases of modules are no typed property without a provider package: said as
        # Terraform says them.
        member.add_override("providers", {"aws": "aws.member"})

        TerraformOutput(self, "policy_summary", value=response.get("policy_summary"))
        TerraformOutput(self, "responder_role_arns", value=member.get("role_arns"))

    def _providers(self) -> None:
        """Written as overrides: no provider package, nothing to generate."""
        role = f"arn:aws:iam::{MEMBER_ACCOUNT}:role/OrganizationAccountAccessRole"
        providers: list[dict[str, Any]] = [
            {"region": REGION, "allowed_account_ids": [SECURITY_ACCOUNT]},
            {"alias": "member", "region": REGION, "assume_role": [{"role_arn": role}]},
        ]
        self.add_override("terraform.required_version", ">= 1.9")
        self.add_override(
            "terraform.required_providers.aws", {"source": "hashicorp/aws", "version": ">= 5.80"}
        )
        self.add_override("provider.aws", providers)


app = App()
GuardDutyResponse(app, "guardduty-response")
app.synth()

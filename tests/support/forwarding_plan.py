"""A plan of what is between the Regions and accounts, with ARNs that are known: a first plan of the
module knows none.

Forwarders of the security account and of a member, and the root's own regions.tf with its values
given.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.support.terraform_tools import copy_module, initialized, terraform

Json = dict[str, Any]
SECURITY, ORGANIZATION, PREFIX, PATH = (
    "111111111111",
    "o-sandbox001",
    "guardduty-response",
    "/security/",
)
HOME_BUS = f"arn:aws:events:us-east-1:{SECURITY}:event-bus/default"
_ROOT = f"""
locals {{
  partition        = "aws"
  region           = "us-east-1"
  account_id       = "{SECURITY}"
  home_bus         = "{HOME_BUS}"
  # As settings.tf makes them of the variables
  iam_settings              = {{ path = "{PATH}" }}
  event_forwarding_settings = {{
    from_organization = true
    manage_policy     = true
    more_statements   = []
  }}
}}
variable "create" {{ default = true }}
variable "name_prefix" {{ default = "{PREFIX}" }}
variable "organization_id" {{ default = "{ORGANIZATION}" }}

provider "aws" {{
  region                      = "eu-west-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}}
module "patterns" {{
  source      = "./module/modules/event-patterns"
  name_prefix = var.name_prefix
  playbooks   = ["ec2_instance", "iam_principal"]
}}
module "one_pattern" {{
  source      = "./module/modules/event-patterns"
  name_prefix = var.name_prefix
  playbooks   = ["ec2_instance"]
}}
module "away" {{
  source = "./module/modules/region-forwarder"
  for_member_accounts = {{
    name_prefix = var.name_prefix
    iam_path    = "/"
    forwarder   = {{ event_bus_arn = local.home_bus, rules = module.patterns.forwarder_rules }}
  }}
}}
module "one_playbook" {{
  source = "./module/modules/region-forwarder"
  for_member_accounts = {{
    name_prefix = var.name_prefix
    iam_path    = "/"
    forwarder   = {{ event_bus_arn = local.home_bus, rules = module.one_pattern.forwarder_rules }}
  }}
}}
module "in_member" {{
  source = "./module/modules/region-forwarder"
  for_member_accounts = {{
    name_prefix = var.name_prefix
    iam_path    = "/"
    forwarder = {{
      event_bus_arn = "{HOME_BUS.replace(SECURITY, "999999999999")}"
      rules = {{
        for name, rule in module.patterns.forwarder_rules : name => rule if name != "findings"
      }}
    }}
  }}
}}
"""


class Forwarding:
    """Planned attributes by address."""

    def __init__(self, scratch: Path, endpoint: str) -> None:
        root = scratch / "forwarding"
        module = copy_module(root / "module")
        for name in ("regions.tf", "variables-regions.tf"):
            shutil.copy(module / name, root)
        (root / "main.tf").write_text(_ROOT)
        initialized(root, scratch)
        for arguments in (
            ("plan", "-input=false", "-no-color", "-refresh=false", "-out=plan"),
            ("show", "-json", "plan"),
        ):
            done = terraform(root, scratch, *arguments, endpoint=endpoint)
            assert done.returncode == 0, done.stdout[-3000:]
        shown = json.loads(done.stdout[done.stdout.index("{") :])
        modules = [
            shown["planned_values"]["root_module"],
            *shown["planned_values"]["root_module"]["child_modules"],
        ]
        self.resources: dict[str, Json] = {
            resource["address"]: resource["values"]
            for module in modules
            for resource in module["resources"]
        }

    def patterns(self, module: str) -> dict[str, str]:
        """findings, changes, changes-2, … -> event pattern of a forwarder."""
        head = f'module.{module}.aws_cloudwatch_event_rule.this["'
        return {
            address.removeprefix(head).removesuffix('"]'): str(rule["event_pattern"])
            for address, rule in self.resources.items()
            if address.startswith(head)
        }

    def role_policy(self, module: str) -> str:
        return str(self.resources[f"module.{module}.aws_iam_role_policy.this"]["policy"])

    @property
    def bus_policy(self) -> str:
        return str(self.resources["aws_cloudwatch_event_bus_policy.default[0]"]["policy"])

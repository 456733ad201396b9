"""A root module with everything around the findings, applied to the emulators and asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sandbox.clients import Aws
from tests.support.terraform_tools import copy_module, initialized, terraform

ACCOUNT = "111111111111"
REGION = "us-east-1"
P = "gdr-findings"
ROOT = f"""
provider "aws" {{
  region                      = "{REGION}"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
}}

variable "filters" {{
  type = any
}}

variable "addresses" {{
  type = list(string)
}}

variable "trial_ends_on" {{
  type = string
}}

variable "prefixes" {{
  type = list(string)
}}

locals {{
  arn_base = {{ partition = "aws", region = "{REGION}", account_id = "{ACCOUNT}" }}
}}

resource "aws_guardduty_detector" "this" {{
  enable = true
}}

resource "aws_kms_key" "this" {{}}

resource "aws_s3_bucket" "uploads" {{
  bucket        = "{P}-uploads"
  force_destroy = true
}}

module "notifications" {{
  source        = "../modules/notifications"
  name_prefix   = "{P}"
  kms_key_arn   = aws_kms_key.this.arn
  arn_base      = local.arn_base
  budget_alerts = true
  topics        = {{ notifications = {{ create = true }} }}
}}

module "filters" {{
  source      = "../modules/suppression-filters"
  detector_id = aws_guardduty_detector.this.id
  filters     = var.filters
}}

module "lists" {{
  source           = "../modules/ip-lists"
  name_prefix      = "{P}"
  arn_base         = local.arn_base
  detector_id      = aws_guardduty_detector.this.id
  trusted_ip_lists = {{ office = {{ addresses = var.addresses }} }}
  threat_lists = {{
    feed = {{ location = "s3://feeds/list.txt", format = "TXT" }}
    seen = {{ addresses = ["192.0.2.66"] }}
  }}
}}

module "export" {{
  source        = "../modules/findings-export"
  name_prefix   = "{P}"
  detector_arn  = aws_guardduty_detector.this.arn
  prefix        = "security/guardduty"
  object_lock   = {{ mode = "GOVERNANCE", days = 30 }}
  force_destroy = true
}}

module "malware" {{
  source      = "../modules/malware-protection-s3"
  name_prefix = "{P}"
  arn_base    = local.arn_base
  buckets     = {{ (aws_s3_bucket.uploads.bucket) = {{ prefixes = var.prefixes }} }}
}}

module "spend" {{
  source            = "../modules/spend-watch"
  name_prefix       = "{P}"
  arn_base          = local.arn_base
  monthly_limit_usd = 250
  email_addresses   = ["finance@example.org"]
  notify_topic      = true
  topic_arn         = module.notifications.topic_arns.notifications
  topic_encrypted   = true
  topic_kms_key_arn = aws_kms_key.this.arn
  trial_ends_on     = var.trial_ends_on
}}

output "detector_id" {{
  value = aws_guardduty_detector.this.id
}}
"""


def suppress(*names: str) -> list[dict[str, Any]]:
    """Filters of these names, each with criteria of its own."""
    common = {"type": {"equals": ["Recon:EC2/Portscan"]}, "severity": {"less_than": ["4"]}}
    return [
        {
            "name": name,
            "description": f"Known: {name}",
            "criteria": {**common, "service.serviceName": {"not_equals": [name]}},
        }
        for name in names
    ]


class Applied:
    """The root above: apply it with values, ask what a second plan would do, destroy it."""

    def __init__(self, aws: Aws, scratch: Path) -> None:
        self.aws, self.scratch = aws, scratch
        self.root = copy_module(scratch / "module") / "root"
        self.root.mkdir()
        (self.root / "main.tf").write_text(ROOT)
        self.values: dict[str, Any] = {
            "filters": suppress("first", "second", "third", "fourth", "fifth"),
            "addresses": ["198.51.100.7", "203.0.113.0/24"],
            "trial_ends_on": "2099-12-31",
            "prefixes": ["in/"],
        }
        initialized(self.root, scratch)

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        (self.root / "values.auto.tfvars.json").write_text(json.dumps(self.values))
        done = terraform(
            self.root, self.scratch, *arguments, "-no-color", endpoint=self.aws.endpoint
        )
        assert done.returncode in codes, done.stdout[-4000:]
        return str(done.stdout)

    def apply(self, **values: object) -> str:
        self.values.update(values)
        return self.run("apply", "-auto-approve", "-input=false", "-parallelism=30")

    def second_plan(self) -> str:
        """Empty when nothing would change."""
        text = self.run("plan", "-input=false", "-detailed-exitcode", codes=(0, 2))
        return "" if "No changes." in text else text

    def client(self, service: str) -> Any:
        return self.aws.client(service, ACCOUNT)

    @property
    def detector(self) -> str:
        return str(json.loads(self.run("output", "-json"))["detector_id"]["value"])

    def ranks(self) -> dict[str, int]:
        guardduty = self.client("guardduty")
        detector = self.detector
        names = guardduty.list_filters(DetectorId=detector)["FilterNames"]
        return {
            name: guardduty.get_filter(DetectorId=detector, FilterName=name)["Rank"]
            for name in names
        }

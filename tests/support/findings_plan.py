"""A plan of the modules around the findings, with ARNs that are known."""

from __future__ import annotations

from pathlib import Path

from tests.support.terraform_tools import copy_module, initialized, plan_of

ACCOUNT, REGION = "111111111111", "us-east-1"
DETECTOR = f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/0a"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:gdr-notifications"
_ROOT = f"""
provider "aws" {{
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}}

locals {{
  arn_base = {{ partition = "aws", region = "{REGION}", account_id = "{ACCOUNT}" }}
}}

module "bucket" {{
  source       = "../modules/findings-export"
  name_prefix  = "gdr"
  detector_arn = "{DETECTOR}"
  create_key   = false
  kms_key_arn  = "{KEY}"
  prefix       = "gd"
}}

module "key" {{
  source        = "../modules/findings-export"
  name_prefix   = "gdr"
  detector_arn  = "{DETECTOR}"
  create_bucket = false
  bucket_arn    = "arn:aws:s3:::archive"
}}

module "lists" {{
  source       = "../modules/ip-lists"
  name_prefix  = "gdr"
  arn_base     = local.arn_base
  detector_id  = "0a"
  threat_lists = {{ seen = {{ addresses = ["192.0.2.66"] }} }}
}}

module "malware" {{
  source      = "../modules/malware-protection-s3"
  name_prefix = "gdr"
  arn_base    = local.arn_base
  buckets = {{
    uploads = {{ prefixes = ["in/"], encrypted_with_key = true, kms_key_arn = "{KEY}" }}
  }}
}}

module "notifications" {{
  source        = "../modules/notifications"
  name_prefix   = "gdr"
  kms_key_arn   = "{KEY}"
  arn_base      = local.arn_base
  budget_alerts = true
  topics        = {{ notifications = {{ create = true }} }}
}}

module "spend" {{
  source            = "../modules/spend-watch"
  name_prefix       = "gdr"
  arn_base          = local.arn_base
  notify_topic      = true
  topic_arn         = "{TOPIC}"
  topic_encrypted   = true
  topic_kms_key_arn = "{KEY}"
  trial_ends_on     = "2099-12-31"
}}
"""


def findings_policies(scratch: Path, endpoint: str) -> dict[str, str]:
    """Returns address of a resource => its policy, or who may assume it."""
    root = copy_module(scratch / "module") / "root"
    root.mkdir()
    (root / "main.tf").write_text(_ROOT)
    initialized(root, scratch)
    plan = plan_of(root, scratch, "-refresh=false", endpoint=endpoint)
    found: dict[str, str] = {}
    for change in plan["resource_changes"]:
        after = change["change"]["after"]
        if text := after.get("policy") or after.get("assume_role_policy"):
            found[change["address"]] = text
    return found

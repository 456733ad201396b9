"""Fixed facts of the sandbox: accounts, Regions, paths."""

from __future__ import annotations

import os
from pathlib import Path

SECURITY_ACCOUNT = "111111111111"
MEMBER_ACCOUNT = "222222222222"
SECOND_MEMBER_ACCOUNT = "333333333333"
MANAGEMENT_ACCOUNT = "999999999999"  # the organization and its delegated administrator, no workload
NEW_ACCOUNT = "444444444444"  # in the organization, without the responder's roles
ORGANIZATION_ID = "o-sandbox001"
ORGANIZATION = (
    SECURITY_ACCOUNT,
    MEMBER_ACCOUNT,
    SECOND_MEMBER_ACCOUNT,
    NEW_ACCOUNT,
    MANAGEMENT_ACCOUNT,
)
REGION = "us-east-1"
SECOND_REGION = "eu-west-1"
REGIONS = (REGION, SECOND_REGION)
# The emulator takes a 12-digit access key as that account's root user.
SECRET = "test"  # noqa: S105  (of the emulator, not of anybody)
ROOT = Path(__file__).resolve().parent.parent
# SANDBOX_STATE_DIRECTORY keeps a second sandbox apart from the first.
STATE_DIRECTORY = Path(os.environ.get("SANDBOX_STATE_DIRECTORY") or ROOT / ".sandbox")
TERRAFORM_ROOT = Path(__file__).resolve().parent / "terraform"
DEFAULT_VAR_FILE = TERRAFORM_ROOT / "default.tfvars"
# Seconds that sandbox and tests wait for what shall come: a machine that does much else is slow
PATIENCE = 240.0


class SandboxError(Exception):
    """Something a person can put right; the message says what and how."""

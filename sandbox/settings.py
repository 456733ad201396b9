"""Fixed facts of the sandbox: accounts, Region, paths."""

from __future__ import annotations

import os
from pathlib import Path

SECURITY_ACCOUNT = "111111111111"
MEMBER_ACCOUNT = "222222222222"
ORGANIZATION_ID = "o-sandbox001"
REGION = "us-east-1"
# The emulator takes a 12-digit access key as that account's root user.
SECRET = "test"  # noqa: S105 (of the emulator, not of anybody)
ROOT = Path(__file__).resolve().parent.parent
# SANDBOX_STATE_DIRECTORY keeps a second sandbox apart from the first.
STATE_DIRECTORY = Path(os.environ.get("SANDBOX_STATE_DIRECTORY") or ROOT / ".sandbox")
TERRAFORM_ROOT = Path(__file__).resolve().parent / "terraform"
DEFAULT_VAR_FILE = TERRAFORM_ROOT / "default.tfvars"


class SandboxError(Exception):
    """Something a person can put right; the message says what and how."""

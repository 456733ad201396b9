"""Commands of the document, run as they stand there with an aws and a terraform that write down
what they are asked.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE
from tests.support.repository import ROOT

AT_ONCE = 50  # what one call of GuardDuty's takes
AWS = """#!/bin/sh
case "$2" in
  list-detectors) echo 12abc34d567e8fa901bc2d34e56789f0 ;;
  list-members) cat "$MEMBERS" ;;
  *) echo "$@" >> "$CALLS" ;;
esac
"""


TERRAFORM = """#!/bin/sh
case "$2" in
  list) cat "$STATE" ;;
  rm) shift 2; printf '%s\\n' "$@" > "$CALLS" ;;
esac
"""
KEPT = [
    "module.here.aws_kms_key.this[0]",
    "module.here.module.incident[0].aws_s3_bucket.evidence[0]",
    'module.units["red"].module.findings_export[0].aws_kms_key.this[0]',
    'module.units["red"].module.findings_export[0].aws_s3_bucket_policy.this[0]',
    'module.copies["red"].aws_kms_replica_key.evidence',
    "module.vault.aws_s3_bucket.evidence_replica[0]",
    "module.vault.aws_s3_bucket_policy.evidence_replica[0]",
]
DETECTION = [
    'module.units["red"].module.guardduty[0].module.detector.aws_guardduty_detector.this[0]',
    'module.detector.aws_guardduty_detector_feature.this["RUNTIME_MONITORING"]',
    "module.detector.aws_guardduty_organization_configuration.this[0]",
    'module.detector.aws_guardduty_member.this["222222222222"]',
    'module.detector.aws_guardduty_member_detector_feature.this["222222222222/S3_DATA_EVENTS"]',
]
GOES = [
    'module.detector.aws_guardduty_organization_configuration_feature.this["S3_DATA_EVENTS"]',
    "module.delegated_admin.aws_guardduty_detector.management[0]",
    "module.here.aws_kms_alias.this[0]",
    "module.here.module.incident[0].aws_iam_role.replication[0]",
]


def _commands(containing: str) -> str:
    blocks = re.findall(
        r"^ *```console\n(.*?)```",
        (ROOT / "docs/off-boarding.md").read_text(),
        flags=re.DOTALL | re.MULTILINE,
    )
    [found] = [block for block in blocks if containing in block]
    return str(found)


@pytest.mark.parametrize("count", [1, 50, 120])
def test_every_member_is_let_go_within_what_a_call_takes(tmp_path: Path, count: int) -> None:
    accounts = [f"{number:012}" for number in range(1, count + 1)]
    aws = tmp_path / "aws"
    aws.write_text(AWS)
    aws.chmod(0o755)
    # Text output: a page of the answer is a line, its items are between tabs.
    (tmp_path / "members").write_text(
        "\n".join("\t".join(accounts[at : at + 40]) for at in range(0, count, 40)) + "\n"
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {
        "PATH": path,
        "MEMBERS": str(tmp_path / "members"),
        "CALLS": str(tmp_path / "calls"),
    }
    subprocess.run(
        ["bash", "-eu", "-c", _commands("disassociate-members")],
        env=environment,
        check=True,
        timeout=PATIENCE,
    )

    asked: dict[str, list[str]] = {}
    for call in (tmp_path / "calls").read_text().splitlines():
        service, operation, *rest = call.split()
        names = rest[rest.index("--account-ids") + 1 :]
        assert service == "guardduty" and 1 <= len(names) <= AT_ONCE, call[:200]
        assert rest[rest.index("--detector-id") + 1] == "12abc34d567e8fa901bc2d34e56789f0"
        asked.setdefault(operation, []).extend(names)
    assert list(asked) == [
        "disassociate-members",
        "delete-members",
    ], "a member is deleted once it is disassociated"
    assert asked["disassociate-members"] == asked["delete-members"] == accounts


@pytest.mark.parametrize(
    ("containing", "left"), [("aws_kms_(replica_)?key", KEPT), ("aws_guardduty_(", DETECTION)]
)
def test_what_is_left_is_named_to_terraform_as_it_names_it(
    tmp_path: Path, containing: str, left: list[str]
) -> None:
    """Quotes in addresses (of modules called with for_each) are part of the name."""
    terraform = tmp_path / "terraform"
    terraform.write_text(TERRAFORM)
    terraform.chmod(0o755)
    (tmp_path / "state").write_text("\n".join(KEPT + DETECTION + GOES) + "\n")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "STATE": str(tmp_path / "state"), "CALLS": str(tmp_path / "calls")}
    subprocess.run(
        ["bash", "-eu", "-c", _commands(containing)],
        env=environment,
        check=True,
        timeout=PATIENCE,
    )
    assert (tmp_path / "calls").read_text().splitlines() == left

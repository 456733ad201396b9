"""What the collector role may read and copy, and that it contains, opens and destroys nothing:
asked of an IAM evaluator.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.policy_oracle import decide
from tests.support.repository import ROOT

MEMBER, P = "222222222222", "guardduty-response"
EC2 = f"arn:aws:ec2:us-east-1:{MEMBER}"
INSTANCE, VOLUME, ENI = (
    f"{EC2}:instance/i-0a",
    f"{EC2}:volume/vol-0a",
    f"{EC2}:network-interface/eni-0a",
)
SNAPSHOT, SOURCE = "arn:aws:ec2:us-east-1::snapshot/snap-0a", f"{EC2}:snapshot/snap-0a"
KEY, FOREIGN_KEY = (
    f"arn:aws:kms:us-east-1:{MEMBER}:key/k",
    "arn:aws:kms:us-east-1:333333333333:key/k",
)
GROUP, BUCKET = f"arn:aws:logs:us-east-1:{MEMBER}:log-group:flow:*", "arn:aws:s3:::central"
RECORDER = f"arn:aws:config:us-east-1:{MEMBER}:configuration-recorder/default/0a"
NEW, OURS = (
    {f"aws__RequestTag___{P}-incident": "inc-1"},
    {f"aws__ResourceTag___{P}-incident": "inc-1"},
)
VIA_EC2, VIA_S3 = (
    {"kms__ViaService": "ec2.us-east-1.amazonaws.com"},
    {"kms__ViaService": "s3.us-east-1.amazonaws.com"},
)
SHARE = {"ec2__Add___userId": "333333333333"}
FLOWS = f"AWSLogs/{MEMBER}/vpcflowlogs/us-east-1/2026/01/02/x.log.gz"
HIVE = (
    f"net/AWSLogs/aws-account-id={MEMBER}/aws-service=vpcflowlogs/aws-region=us-east-1/"
    "year=2026/x.log.gz"
)
TRAIL = f"AWSLogs/o-a1b2c3d4e5/{MEMBER}/CloudTrail/us-east-1/2026/01/02/x.json.gz"

MAY: list[tuple[str, str, dict[str, Any]]] = [
    ("ec2:DescribeFlowLogs", "*", {}),
    ("cloudtrail:LookupEvents", "*", {}),
    ("config:GetResourceConfigHistory", "*", {}),
    ("config:DescribeConfigurationRecorders", RECORDER, {}),
    ("config:DescribeConfigurationRecorderStatus", RECORDER, {}),
    ("ec2:GetConsoleScreenshot", INSTANCE, {}),
    ("ec2:CreateSnapshots", INSTANCE, {}),
    ("ec2:CreateSnapshots", VOLUME, {}),
    ("ec2:CreateSnapshots", SNAPSHOT, NEW),
    ("ec2:CreateTags", SNAPSHOT, {"ec2__CreateAction": "CreateSnapshots"}),
    ("ec2:CreateTags", SNAPSHOT, {"ec2__CreateAction": "CopySnapshot"}),
    ("ec2:CopySnapshot", SOURCE, OURS),
    ("ec2:CopySnapshot", SNAPSHOT, NEW),
    ("ec2:ModifySnapshotAttribute", SNAPSHOT, {**OURS, **SHARE}),
    ("kms:ReEncryptTo", FOREIGN_KEY, VIA_EC2),
    ("kms:Decrypt", KEY, VIA_EC2),
    ("kms:Decrypt", KEY, VIA_S3),
    ("kms:CreateGrant", FOREIGN_KEY, {**VIA_EC2, "kms__GrantIsForAWSResource": "true"}),
    ("logs:FilterLogEvents", GROUP, {}),
    ("s3:GetObject", f"{BUCKET}/{FLOWS}", {}),
    ("s3:GetObject", f"{BUCKET}/{HIVE}", {}),
    ("s3:GetObject", f"{BUCKET}/{TRAIL}", {}),
    ("s3:ListBucket", BUCKET, {"s3__prefix": FLOWS}),
    ("s3:ListBucket", BUCKET, {"s3__prefix": "AWSLogs/"}),
]

MAY_NOT: list[tuple[str, str, dict[str, Any]]] = [
    # what belongs to containing, restoring and finishing
    ("ec2:ModifyNetworkInterfaceAttribute", ENI, {}),
    ("ec2:ModifyInstanceAttribute", INSTANCE, {}),
    ("ec2:StopInstances", INSTANCE, {}),
    ("ec2:TerminateInstances", INSTANCE, {}),
    ("iam:PutRolePolicy", f"arn:aws:iam::{MEMBER}:role/web", {}),
    # nothing that destroys evidence, or makes it public
    ("ec2:DeleteSnapshot", SNAPSHOT, OURS),
    ("ec2:ResetSnapshotAttribute", SNAPSHOT, OURS),
    ("ec2:ModifySnapshotAttribute", SNAPSHOT, SHARE),
    ("ec2:ModifySnapshotAttribute", SNAPSHOT, OURS),
    ("ec2:ModifySnapshotAttribute", SNAPSHOT, {**OURS, **SHARE, "ec2__Add___group": "all"}),
    # no snapshot but its own
    ("ec2:CopySnapshot", SOURCE, {}),
    ("ec2:CreateSnapshots", SNAPSHOT, {}),
    ("ec2:CreateTags", SNAPSHOT, {}),
    ("ec2:CreateTags", INSTANCE, {"ec2__CreateAction": "CreateSnapshots"}),
    ("ec2:CreateVolume", VOLUME, {}),
    # keys only through EC2 and S3
    ("kms:Decrypt", KEY, {}),
    ("kms:Decrypt", KEY, {"kms__ViaService": "secretsmanager.us-east-1.amazonaws.com"}),
    ("kms:ReEncryptTo", KEY, VIA_S3),
    ("kms:CreateGrant", KEY, VIA_EC2),
    ("kms:PutKeyPolicy", KEY, VIA_EC2),
    # logs of this account, and nothing else that lies in a bucket
    ("s3:GetObject", f"{BUCKET}/secrets.txt", {}),
    ("s3:GetObject", f"{BUCKET}/AWSLogs/999999999999/CloudTrail/us-east-1/x", {}),
    ("s3:GetObject", f"{BUCKET}/AWSLogs/{MEMBER}/elasticloadbalancing/x", {}),
    ("s3:ListBucket", BUCKET, {}),
    ("s3:ListBucket", BUCKET, {"s3__prefix": "home/"}),
    ("s3:PutObject", f"{BUCKET}/{FLOWS}", {}),
    ("logs:FilterLogEvents", GROUP.replace(MEMBER, "999999999999"), {}),
    ("logs:PutLogEvents", GROUP, {}),
    ("cloudtrail:StopLogging", "*", {}),
    ("config:StopConfigurationRecorder", RECORDER, {}),
    ("config:DeleteConfigurationRecorder", RECORDER, {}),
    ("config:SelectResourceConfig", "*", {}),
]


@pytest.fixture(scope="module")
def collector() -> str:
    """The policy as modules/responder-role fills it in."""
    text = Path(ROOT / "playbooks" / "ec2_instance" / "collector-policy.json").read_text()
    for name, value in {"partition": "aws", "account_id": MEMBER, "name_prefix": P}.items():
        text = text.replace(f"${{{name}}}", value)
    return text


@pytest.mark.parametrize(("action", "resource", "context"), MAY)
def test_may(collector: str, action: str, resource: str, context: dict[str, Any]) -> None:
    assert decide([collector], action, resource, **context) == "Allow"


@pytest.mark.parametrize(("action", "resource", "context"), MAY_NOT)
def test_may_not(collector: str, action: str, resource: str, context: dict[str, Any]) -> None:
    assert decide([collector], action, resource, **context) != "Allow"


def test_it_fits_a_role(collector: str) -> None:
    assert len(json.dumps(json.loads(collector), separators=(",", ":"))) < 6144

"""What the vault role of the forensics account may do, in every Region: copy under its own key,
and nothing that destroys.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.policy_oracle import decide
from tests.support.repository import ROOT

VAULT, MEMBER, ID = "333333333333", "222222222222", "key/mrk-0123456789abcdef0123456789abcdef"
REGIONS = ("us-east-1", "eu-west-1")


def ec2(region: str) -> dict[str, str]:
    return {"kms__ViaService": f"ec2.{region}.amazonaws.com"}


@pytest.fixture(scope="module")
def policy() -> str:
    """As modules/forensics-account fills it in for a multi-Region key
    (tests/terraform/forensics_account.tftest.hcl).
    """
    text = (ROOT / "modules" / "forensics-account" / "copy-policy.json").read_text()
    return text.replace("${partition}", "aws").replace("${key_arn}", f"arn:aws:kms:*:{VAULT}:{ID}")


@pytest.mark.parametrize("region", REGIONS)
def test_may_copy_what_is_shared(policy: str, region: str) -> None:
    shared, new = (
        f"arn:aws:ec2:{region}:{MEMBER}:snapshot/snap-0a",
        f"arn:aws:ec2:{region}::snapshot/snap-0b",
    )
    key = f"arn:aws:kms:{region}:{VAULT}:{ID}"
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("ec2:DescribeSnapshots", "*", {}),
        ("ec2:CopySnapshot", shared, {}),
        ("ec2:CopySnapshot", new, {}),
        ("ec2:CreateTags", new, {"ec2__CreateAction": "CopySnapshot"}),
        ("kms:ReEncryptTo", key, ec2(region)),
        ("kms:CreateGrant", key, {**ec2(region), "kms__GrantIsForAWSResource": "true"}),
    ]
    assert [
        action
        for action, resource, context in asked
        if decide([policy], action, resource, **context) != "Allow"
    ] == []


@pytest.mark.parametrize("region", REGIONS)
def test_may_destroy_share_and_open_nothing(policy: str, region: str) -> None:
    own, key = (
        f"arn:aws:ec2:{region}:{VAULT}:snapshot/snap-0b",
        f"arn:aws:kms:{region}:{VAULT}:{ID}",
    )
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("ec2:DeleteSnapshot", own, {}),
        ("ec2:ModifySnapshotAttribute", own, {}),
        ("ec2:CreateTags", own, {}),
        ("ec2:CreateVolume", f"arn:aws:ec2:{region}:{VAULT}:volume/vol-0a", {}),
        ("kms:Decrypt", key, {}),
        ("kms:Decrypt", key, {"kms__ViaService": f"s3.{region}.amazonaws.com"}),
        ("kms:CreateGrant", key, ec2(region)),
        ("kms:ScheduleKeyDeletion", key, ec2(region)),
        ("kms:Decrypt", key.replace("mrk-0", "mrk-1"), ec2(region)),
        ("kms:Decrypt", key.replace(VAULT, MEMBER), ec2(region)),
    ]
    assert [
        action
        for action, resource, context in asked
        if decide([policy], action, resource, **context) == "Allow"
    ] == []

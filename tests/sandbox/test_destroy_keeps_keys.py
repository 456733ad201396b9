"""What is in a bucket can be read as long as the bucket stands: a destroy that a bucket stops
leaves its key alone, and Object Lock is switched on without another bucket.

Both buckets that the module makes, in the root module as people call it. Only they, their keys and
what guards them are applied: Terraform goes by the dependencies that it keeps with them, and those
are of the whole configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.clients import Aws
from tests.sandbox.response_lab import (
    ACCOUNT,
    APPLIED,
    CONFIGURATION,
    EVIDENCE,
    EXPORT,
    FINDINGS,
    INCIDENT,
    Applied,
    P,
)
from tests.support.repository import ROOT

pytestmark = pytest.mark.terraform
LOCKS = [
    f"{INCIDENT}.aws_s3_bucket_object_lock_configuration.evidence[0]",
    f"{EXPORT}.aws_s3_bucket_object_lock_configuration.this[0]",
]
LOCKED = {"Mode": "GOVERNANCE", "Days": 30}
LOCKING = CONFIGURATION.replace(
    "{ create = true } }",
    """{ create = true, object_lock = { mode = "GOVERNANCE", days = 30 } } }
  evidence        = { object_lock = { days = 30 } }""",
)


@pytest.fixture
def applied(aws: Aws, tmp_path: Path) -> Iterator[Applied]:
    made = Applied(aws, tmp_path)
    made.apply()
    yield made
    made.empty()
    made.destroy()
    guardduty = aws.client("guardduty", ACCOUNT)
    for detector in guardduty.list_detectors()["DetectorIds"]:
        guardduty.delete_detector(DetectorId=detector)  # which the destroy leaves
    for bucket in made.buckets():
        made.s3.delete_bucket(Bucket=bucket)
    for key in made.kms.list_keys()["Keys"]:
        about = made.kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        if f"({P})" in about["Description"] and about["KeyState"] == "Enabled":
            made.kms.schedule_key_deletion(KeyId=key["KeyId"])
        if f"({P})" in about["Description"]:
            made.kms.update_key_description(KeyId=key["KeyId"], Description="gone")


def test_a_bucket_that_cannot_go_keeps_its_key(applied: Applied) -> None:
    code, output = applied.destroy()
    assert code != 0
    assert output.count("BucketNotEmpty") == 2, output[-4000:]
    assert applied.keys() == {"evidence": "Enabled", "findings": "Enabled"}
    assert applied.buckets() == {EVIDENCE, FINDINGS}

    applied.empty()
    code, output = applied.destroy()
    assert code == 0, output[-4000:]
    assert applied.keys() == {
        "evidence": "PendingDeletion",
        "findings": "PendingDeletion",
    }, "the empty bucket's key goes with it"
    assert applied.buckets() == set()


def test_what_is_taken_out_of_the_state_stays_as_it_was(applied: Applied) -> None:
    """docs/off-boarding.md: bucket and key kept on purpose, with the settings that guard them."""
    [pattern] = set(
        re.findall(
            r"state list \| grep -E '([^']+)'", (ROOT / "docs" / "off-boarding.md").read_text()
        )
    )
    kept = [name for name in applied.run("state", "list")[1].split() if re.search(pattern, name)]
    assert {name.rsplit(".", 2)[1] for name in kept} == {
        "aws_kms_key",
        "aws_s3_bucket",
        "aws_s3_bucket_policy",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_server_side_encryption_configuration",
    }
    assert len(kept) == 10, kept
    code, output = applied.run("state", "rm", *kept)
    assert code == 0, output
    code, output = applied.destroy()
    assert code == 0, output[-4000:]
    assert applied.keys() == {"evidence": "Enabled", "findings": "Enabled"}
    for bucket in (EVIDENCE, FINDINGS):
        assert applied.s3.get_bucket_policy(Bucket=bucket)["Policy"]
        assert applied.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"][
            "Rules"
        ]
        assert applied.s3.get_object(Bucket=bucket, Key="incidents/1.json")["Body"].read() == b"{}"


def test_object_lock_is_switched_on_for_buckets_that_hold_something(applied: Applied) -> None:
    """And off again, which ends the default retention alone: S3 keeps Object Lock enabled."""
    made = {
        bucket["Name"]: bucket["CreationDate"] for bucket in applied.s3.list_buckets()["Buckets"]
    }
    (applied.root / "main.tf").write_text(LOCKING)
    output = applied.apply_parts(*APPLIED, *LOCKS)
    assert "0 destroyed" in output, output[-4000:]
    for bucket in (EVIDENCE, FINDINGS):
        lock = applied.s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
        assert lock == {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": LOCKED}}
        assert applied.s3.get_object(Bucket=bucket, Key="incidents/1.json")["Body"].read() == b"{}"
        assert applied.s3.get_bucket_policy(Bucket=bucket)["Policy"]
    code, output = applied.run("plan", "-input=false", *(f"-target={name}" for name in APPLIED))
    assert code == 0
    assert "No changes" in output, output[-4000:]

    (applied.root / "main.tf").write_text(CONFIGURATION)
    assert "2 destroyed" in applied.apply_parts(*APPLIED, *LOCKS), "the two default retentions"
    now = {
        bucket["Name"]: bucket["CreationDate"] for bucket in applied.s3.list_buckets()["Buckets"]
    }
    assert {name: now[name] for name in (EVIDENCE, FINDINGS)} == {
        name: made[name] for name in (EVIDENCE, FINDINGS)
    }, "the same buckets"

"""Public buckets, stopped trails, detectors that are off: reverted, left alone, and brought back
where they should be.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import resource_state

from tests.unit.deployment import MEMBER, REGION, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import (
    EradicationLab,
)

Json = dict[str, Any]
OTHER = "999999999999"


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    return EradicationLab(deployment, monkeypatch)


# -- buckets ---------------------------------------------------------------------------------------

OPEN: Json = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::data/*",
        }
    ],
}
SOME = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": False,
    "BlockPublicPolicy": False,
    "RestrictPublicBuckets": False,
}


IN_REGION: Json = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}


@pytest.fixture
def bucket(lab: EradicationLab) -> str:
    lab.see("s3").create_bucket(Bucket="data", **IN_REGION)
    return "data"


@pytest.fixture
def new_bucket(lab: EradicationLab) -> str:
    """A bucket that a call of the finding made."""
    lab.does("s3", "create_bucket", Bucket="data", **IN_REGION)
    return "data"


def block(lab: EradicationLab) -> Json:
    return resource_state.public_access_block(lab.see("s3"), "data") or {}


WAYS = ["policy", "acl", "delete", "looser"]


def open_up(lab: EradicationLab, bucket: str, name: str) -> None:
    """The principal makes the bucket public."""
    if name == "policy":
        lab.does("s3", "put_bucket_policy", Bucket=bucket, Policy=json.dumps(OPEN))
    elif name == "acl":
        lab.does("s3", "put_bucket_acl", Bucket=bucket, ACL="public-read")
    elif name == "delete":
        lab.does("s3", "delete_public_access_block", Bucket=bucket)
    else:
        lab.does(
            "s3", "put_public_access_block", Bucket=bucket, PublicAccessBlockConfiguration=SOME
        )


@pytest.mark.parametrize("name", WAYS)
def test_a_bucket_made_public(lab: EradicationLab, new_bucket: str, name: str) -> None:
    s3 = lab.see("s3")
    s3.put_public_access_block(Bucket=new_bucket, PublicAccessBlockConfiguration=SOME)
    open_up(lab, new_bucket, name)
    before = block(lab)
    lab.eradicate()
    assert (block(lab), set(lab.lines().values())) == (resource_state.BLOCKED, {"DONE"})
    [left] = lab.left
    assert "CreateBucket by " in left, "a bucket itself is not deleted"
    assert lab.restore().status is Status.RESTORED
    assert block(lab) == before


@pytest.mark.parametrize("name", WAYS)
def test_a_bucket_that_may_have_been_public_is_for_people(
    lab: EradicationLab, bucket: str, name: str
) -> None:
    """It is public on purpose, and the event does not say so."""
    s3 = lab.see("s3")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=SOME)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(OPEN))
    open_up(lab, bucket, name)
    before = block(lab)
    lab.eradicate()
    assert (block(lab), set(lab.lines().values()), lab.changed()) == (before, {"SKIPPED"}, [])
    [left] = lab.left
    assert "whether bucket data was open before is not known" in left
    assert "aws s3api put-public-access-block --bucket data" in left


def test_a_bucket_that_was_created_again_is_not_new(lab: EradicationLab) -> None:
    """S3 answers 200 to that in us-east-1 (Amazon S3 API Reference, BucketAlreadyOwnedByYou)."""
    lab.does("s3", "create_bucket", region="us-east-1", Bucket="data")
    lab.does("s3", "put_bucket_policy", Bucket="data", Policy=json.dumps(OPEN))
    lab.eradicate()
    assert (block(lab), lab.lines()) == ({}, {"PutBucketPolicy": "SKIPPED"})


@pytest.mark.parametrize(
    ("call", "more", "manual_command"),
    [
        (
            "put_bucket_policy",
            {
                "Policy": json.dumps(
                    {**OPEN, "Statement": [{**OPEN["Statement"][0], "Principal": {"AWS": OTHER}}]}
                )
            },
            "aws s3api get-bucket-policy --bucket data",
        ),
        ("put_bucket_acl", {"ACL": "private"}, "aws s3api get-bucket-acl --bucket data"),
    ],
)
def test_a_change_that_does_not_make_it_public_is_for_people(
    lab: EradicationLab,
    bucket: str,
    call: str,
    more: Json,
    manual_command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # moto calls every policy public; AWS says no of one that names an account.
    monkeypatch.setattr(resource_state, "public_policy", lambda *_: False)
    lab.does("s3", call, Bucket=bucket, **more)
    lab.eradicate()
    assert (block(lab), lab.changed()) == ({}, [])
    assert "it may let other accounts in" in lab.left[0] and manual_command in lab.left[0]


def test_a_tighter_block_is_not_taken_away(lab: EradicationLab, bucket: str) -> None:
    lab.does(
        "s3",
        "put_public_access_block",
        Bucket=bucket,
        PublicAccessBlockConfiguration=resource_state.BLOCKED,
    )
    lab.eradicate()
    assert (block(lab), lab.lines(), len(lab.left)) == (resource_state.BLOCKED, {}, 1)


def test_blocked_already(lab: EradicationLab, bucket: str) -> None:
    lab.does("s3", "put_bucket_policy", Bucket=bucket, Policy=json.dumps(OPEN))
    lab.see("s3").put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=resource_state.BLOCKED
    )
    lab.eradicate()
    assert (lab.lines(), lab.changed()) == ({"PutBucketPolicy": "ALREADY"}, [])


def test_a_block_changed_since_is_not_restored(lab: EradicationLab, new_bucket: str) -> None:
    lab.does("s3", "delete_public_access_block", Bucket=new_bucket)
    lab.eradicate()
    lab.see("s3").put_public_access_block(Bucket=new_bucket, PublicAccessBlockConfiguration=SOME)
    assert lab.restore().status is Status.RESTORE_PARTIAL and block(lab) == SOME


@pytest.mark.parametrize(
    ("name", "manual_command"),
    [
        (
            "DeleteBucketPolicy",
            "aws s3api put-bucket-policy --policy file://policy.json --bucket data",
        ),
        (
            "DeleteAccountPublicAccessBlock",
            f"aws s3control put-public-access-block --account-id {MEMBER} ",
        ),
        ("CreateBucket", "aws s3api delete-bucket --bucket data"),
    ],
)
def test_buckets_for_people(lab: EradicationLab, name: str, manual_command: str) -> None:
    lab.happened("s3", name, {"bucketName": "data"})
    lab.eradicate()
    assert manual_command in lab.left[0]


# -- trails and detectors --------------------------------------------------------------------------


def test_a_trail_named_by_arn(lab: EradicationLab, bucket: str) -> None:
    client = lab.see("cloudtrail")
    arn = client.create_trail(Name="everything", S3BucketName=bucket)["TrailARN"]
    lab.does("cloudtrail", "stop_logging", Name=arn)
    lab.eradicate()
    assert client.get_trail_status(Name=arn)["IsLogging"] is True
    result = lab.restore()
    assert (client.get_trail_status(Name=arn)["IsLogging"], result.status) == (
        True,
        Status.RESTORE_PARTIAL,
    )


@pytest.mark.parametrize(
    "name", ["gone", f"arn:aws:cloudtrail:{REGION}:{OTHER}:trail/organization"]
)
def test_a_trail_that_is_gone_or_another_accounts(lab: EradicationLab, name: str) -> None:
    lab.happened("cloudtrail", "StopLogging", {"name": name})
    lab.eradicate()
    assert (lab.lines(), lab.changed()) == ({"StopLogging": "SKIPPED"}, [])
    assert "aws cloudtrail" in lab.left[0]


def test_a_detector_switched_off(lab: EradicationLab) -> None:
    client = lab.see("guardduty")
    id = client.create_detector(Enable=True)["DetectorId"]
    lab.does("guardduty", "update_detector", DetectorId=id, Enable=False)
    lab.eradicate()
    assert client.get_detector(DetectorId=id)["Status"] == "ENABLED"
    result = lab.restore()
    assert (client.get_detector(DetectorId=id)["Status"], result.status) == (
        "ENABLED",
        Status.RESTORE_PARTIAL,
    )
    assert f"aws guardduty update-detector --no-enable --detector-id {id}" in result.not_restored[0]


@pytest.mark.parametrize(
    ("source", "name", "parameters", "manual_command"),
    [
        (
            "guardduty",
            "UpdateDetector",
            {"detectorId": "0" * 32, "findingPublishingFrequency": "SIX_HOURS"},
            f"aws guardduty get-detector --detector-id {'0' * 32}",
        ),
        (
            "guardduty",
            "UpdateDetector",
            {"detectorId": "0" * 32, "enable": False},
            "aws guardduty create-detector --enable",
        ),
        (
            "guardduty",
            "DeleteDetector",
            {"detectorId": "0" * 32},
            "aws guardduty create-detector --enable",
        ),
        ("cloudtrail", "DeleteTrail", {"name": "everything"}, "aws cloudtrail create-trail "),
        (
            "cloudtrail",
            "UpdateTrail",
            {"name": "everything"},
            "aws cloudtrail get-trail --name everything",
        ),
        (
            "cloudtrail",
            "PutEventSelectors",
            {"trailName": "all"},
            "aws cloudtrail put-event-selectors --event-selectors file://selectors.json"
            " --trail-name all",
        ),
    ],
)
def test_watching_for_people(
    lab: EradicationLab, source: str, name: str, parameters: Json, manual_command: str
) -> None:
    lab.happened(source, name, parameters)
    lab.eradicate()
    assert manual_command in lab.left[0] and lab.changed() == []

"""Faults, CloudTrail, GuardDuty and S3 of the sandbox."""

from __future__ import annotations

import importlib
import json
import re
import time
import urllib.error
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypercorn.config import Config

from sandbox import seed
from sandbox.clients import Aws
from sandbox.emulator.patching import PINS
from tests.sandbox.emulator_helpers import SECURITY, Control, Identity, allow
from tests.support.patience import until

Make = Callable[..., seed.Victim]


def test_faults_fail_so_many_times(aws: Aws, control: Control, victim: Make) -> None:
    found = victim()
    ec2 = aws.client("ec2")
    control(
        "POST",
        "faults",
        {
            "service": "ec2",
            "action": "CreateSnapshots",
            "error": "UnauthorizedOperation",
            "count": 1,
        },
    )
    make = {"InstanceSpecification": {"InstanceId": found.instance}}
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.create_snapshots(**make)
    assert ec2.create_snapshots(**make)["Snapshots"]
    assert [fault["hits"] for fault in control("GET", "faults")["faults"]] == [1]
    control(
        "POST",
        "faults",
        {
            "service": "ec2",
            "error": "RequestLimitExceeded",
            "resource": found.interfaces[0],
        },
    )
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        ec2.describe_network_interfaces(NetworkInterfaceIds=found.interfaces)
    assert ec2.describe_instances(InstanceIds=[found.instance])
    control("DELETE", "faults")
    assert ec2.describe_network_interfaces(NetworkInterfaceIds=found.interfaces)


def test_faults_slow_down_any_service(aws: Aws, control: Control) -> None:
    sqs = aws.client("sqs", SECURITY)
    control("POST", "faults", {"latency_ms": 300})
    began = time.monotonic()
    sqs.list_queues()
    assert time.monotonic() - began > 0.3


def test_a_malformed_fault_is_explained(control: Control) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        control("POST", "faults", {"servcie": "ec2"})
    assert "servcie" in json.loads(caught.value.read())["message"]


def test_cloudtrail_knows_who_did_what(aws: Aws, identity: Identity, victim: Make) -> None:
    found = victim()
    role = identity.role(allow("ec2:StopInstances"))
    aws.client("ec2", **identity.session(role, name="responder")).stop_instances(
        InstanceIds=[found.instance]
    )
    lookup = aws.client("cloudtrail").lookup_events
    attribute = {"AttributeKey": "ResourceName", "AttributeValue": found.instance}
    events = until(
        lambda: lookup(LookupAttributes=[attribute])["Events"], "CloudTrail tells of the call"
    )
    event = next(item for item in events if item["EventName"] == "StopInstances")
    record = json.loads(event["CloudTrailEvent"])
    assert event["Username"] == "responder"
    assert record["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == role


def test_guardduty_resources(aws: Aws, control: Control) -> None:
    guardduty = aws.client("guardduty", SECURITY)
    detector = guardduty.create_detector(
        Enable=True, Features=[{"Name": "S3_DATA_EVENTS", "Status": "ENABLED"}]
    )["DetectorId"]
    guardduty.update_detector(
        DetectorId=detector, Features=[{"Name": "RDS_LOGIN_EVENTS", "Status": "ENABLED"}]
    )
    features = {
        item["Name"]: item["Status"]
        for item in guardduty.get_detector(DetectorId=detector)["Features"]
    }
    assert (
        features["S3_DATA_EVENTS"]
        == features["RDS_LOGIN_EVENTS"]
        == features["DNS_LOGS"]
        == "ENABLED"
    )
    finding = {
        "id": "f1",
        "accountId": SECURITY,
        "severity": 8,
        "service": {"archived": False},
    }
    control("PUT", f"findings/{detector}?account={SECURITY}&region=us-east-1", finding)
    high = {
        "Criterion": {
            "severity": {"GreaterThanOrEqual": 7},
            "service.archived": {"Equals": ["false"]},
        }
    }
    assert guardduty.list_findings(DetectorId=detector, FindingCriteria=high)["FindingIds"] == [
        "f1"
    ]
    guardduty.archive_findings(DetectorId=detector, FindingIds=["f1"])
    assert not guardduty.list_findings(DetectorId=detector, FindingCriteria=high)["FindingIds"]
    with pytest.raises(ClientError, match="already exists"):
        guardduty.create_detector(Enable=True)
    guardduty.delete_detector(DetectorId=detector)
    with pytest.raises(ClientError, match="not owned by the current account"):
        guardduty.get_detector(DetectorId=detector)


def test_an_object_of_parts_is_locked(aws: Aws) -> None:
    s3 = aws.client("s3", SECURITY)
    bucket = f"evidence-{time.monotonic_ns()}"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    rule = {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
    }
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=rule)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="memory")["UploadId"]
    part = s3.upload_part(
        Bucket=bucket,
        Key="memory",
        UploadId=upload,
        PartNumber=1,
        Body=b"x",
    )["ETag"]
    parts = {"Parts": [{"ETag": part, "PartNumber": 1}]}
    s3.complete_multipart_upload(
        Bucket=bucket, Key="memory", UploadId=upload, MultipartUpload=parts
    )
    assert s3.head_object(Bucket=bucket, Key="memory")["ObjectLockMode"] == "GOVERNANCE"


@pytest.mark.smoke
def test_the_pins_are_the_projects() -> None:
    from sandbox.settings import ROOT

    required = (ROOT / "requirements" / "dev.txt").read_text()
    assert f"ministack=={PINS['ministack']}" in required
    assert re.search(rf"^moto\[.*\]=={re.escape(PINS['moto'])}$", required, re.MULTILINE)


def test_idle_connections_stay_open() -> None:
    """MiniStack asks for 75 s, at the end of which a call that comes in may lose its answer."""
    importlib.import_module("sandbox.emulator.connections")  # patches, when it is imported
    asked = Config()
    asked.keep_alive_timeout = 75
    assert asked.keep_alive_timeout >= 3600


def test_a_call_repeated_because_its_answer_was_lost_is_not_done_twice(aws: Aws) -> None:
    """As SDKs repeat it, with the same id; what was refused is asked again in earnest."""
    iam = aws.client("iam", "555555555555")
    ids = iter(["one", "one", "two"])
    iam.meta.events.register("before-send.iam.*", lambda request, **_: _say(request, next(ids)))
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    roles = [
        iam.create_role(RoleName="lost", AssumeRolePolicyDocument=trust)["Role"]["RoleId"]
        for _ in range(2)
    ]
    assert roles[0] == roles[1]
    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        iam.create_role(RoleName="lost", AssumeRolePolicyDocument=trust)


def _say(request: Any, name: str) -> None:
    assert "amz-sdk-invocation-id" in request.headers
    del request.headers["amz-sdk-invocation-id"]
    request.headers["amz-sdk-invocation-id"] = name

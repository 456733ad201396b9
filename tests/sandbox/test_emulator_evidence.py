"""The evidence parts against the emulated AWS, under the collector's own policy and their
session policies, enforced.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import botocore.loaders
import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients as function_aws
from guardduty_response.cloudtrail import query
from guardduty_response.containment.contract import Context, Target
from guardduty_response.decision.configuration import Config
from guardduty_response.decision.finding import Finding
from guardduty_response.evidence.items import EvidenceItem
from guardduty_response.incident.model import StoredObject
from guardduty_response.playbooks.ec2_instance.evidence import (
    api_calls,
    copies,
    instance_description,
    network_logs,
    snapshots,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

from sandbox import seed, settings
from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import MEMBER, SECURITY, Identity

Json = dict[str, Any]
Make = Callable[..., seed.Victim]
PREFIX = "guardduty-response"
REGION = settings.REGION
KEY = f"arn:aws:kms:{REGION}:{SECURITY}:key/11111111-2222-3333-4444-555555555555"


def policy(path: str, **values: str) -> Json:
    """Return a policy template as Terraform fills it in."""
    text = Path(settings.ROOT / path).read_text()
    for name, value in {
        "partition": "aws",
        "region": REGION,
        "name_prefix": PREFIX,
        **values,
    }.items():
        text = text.replace(f"${{{name}}}", value)
    found: Json = json.loads(text)
    return found


@dataclass
class Collector:
    """Parts of one instance's evidence, kept in memory instead of the incident table."""

    victim: seed.Victim
    role: str
    copy_role: str
    evidence: Json = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)

    def target_context(self) -> InstanceContext:
        detail = {
            "resource": {"instanceDetails": {"instanceId": self.victim.instance}},
            "service": {
                "eventFirstSeen": datetime.fromtimestamp(time.time() - 300, UTC).isoformat()
            },
        }
        finding = Finding(
            "f",
            "CryptoCurrency:EC2/BitcoinTool.B!DNS",
            MEMBER,
            REGION,
            "aws",
            8.0,
            "t",
            "Instance",
            False,
            False,
            1,
            detail,
        )
        account = {"account_id": SECURITY, "kms_key_arn": KEY, "copy_role_name": self.copy_role}
        values: Json = {name: {} for name in Config._fields} | {
            "name_prefix": PREFIX,
            "partition": "aws",
            "evidence": {"forensics_account": account},
            "responder": {"role_path": "/", "quarantine_profile": f"{PREFIX}-quarantine"},
            "forensics": {"when": "off"},
        }
        options: Json = {
            "quarantine_security_group_ids": {},
            "auto_scaling": "none",
            "revoke_sessions": "instance",
        }
        context = Context(
            Config(**values),
            options,
            finding,
            "inc-0123456789abcdef",
            "arn:aws:states:x:1:execution:m:run-1",
            None,  # type: ignore[arg-type]
            self.assume,
            self.put,
        )
        arn = f"arn:aws:ec2:{REGION}:{MEMBER}:instance/{self.victim.instance}"
        instance = InstanceContext(
            context, Target("ec2_instance", self.victim.instance, arn, MEMBER, REGION)
        )
        instance.stored = {"evidence": self.evidence}
        instance.read_stored = instance.stored.copy  # type: ignore[method-assign]
        record = self.evidence.__setitem__
        instance.record_evidence = record  # type: ignore[method-assign, assignment]
        return instance

    def assume(self, account: str, region: str, document: Json) -> function_aws.Session:
        assert len(json.dumps(document, separators=(",", ":"))) <= 2048
        return function_aws.Session(self.role, "collector", region, document)

    def put(self, name: str, content: bytes) -> StoredObject:
        self.stored[name] = content
        return {"key": name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}

    def collect(self, module: ModuleType) -> EvidenceItem:
        for _ in range(60):
            evidence_item: EvidenceItem = module.run(
                self.target_context(), dict(self.evidence.get(module.NAME) or {})
            )
            self.evidence[module.NAME] = json.loads(json.dumps(evidence_item.__dict__))
            if evidence_item.outcome != "RUNNING":
                return evidence_item
            time.sleep(0.2)
        raise AssertionError(f"never ends: {evidence_item}")

    def lines(self, ending: str) -> list[Json]:
        (name,) = [name for name in self.stored if name.endswith(ending)]
        return [
            json.loads(line) for line in gzip.decompress(self.stored[name]).decode().splitlines()
        ]


@pytest.fixture
def collector(
    aws: Aws, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[seed.Victim], Collector]]:
    """(victim) -> its collector: a function of the security account with the collector's role in
    the member account.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    own = identity.session(
        identity.role(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}],
            },
            account=SECURITY,
        )
    )
    environment = {"AWS_ENDPOINT_URL": aws.endpoint, "AWS_DEFAULT_REGION": REGION}
    for name, value in {
        **environment,
        **{name.upper(): value for name, value in own.items()},
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(function_aws, "_loader", botocore.loaders.create_loader)
    monkeypatch.setattr(query, "PAUSE_SECONDS", 0)
    function_aws.client.cache_clear()
    function_aws._own.cache_clear()
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{SECURITY}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = identity.role(
        policy("playbooks/ec2_instance/collector-policy.json", account_id=MEMBER), trust=trust
    )
    copy_role = identity.role(
        policy("modules/forensics-account/copy-policy.json", key_arn=KEY),
        account=SECURITY,
        trust=trust,
    )
    yield lambda victim: Collector(victim, role, copy_role.rsplit("/", 1)[-1])
    function_aws.client.cache_clear()
    function_aws._own.cache_clear()


Start = Callable[[seed.Victim], Collector]


def test_snapshots_then_copies_into_the_forensics_account(
    aws: Aws, victim: Make, collector: Start
) -> None:
    use = collector(victim())
    evidence_item = use.collect(snapshots)
    assert evidence_item.outcome == "COMPLETE", evidence_item.detail
    evidence_item = use.collect(copies)
    assert evidence_item.outcome == "COMPLETE", evidence_item.detail
    made = use.evidence["copies"]["state"]["set"]
    assert len(made) == 2
    kept = aws.client("ec2", SECURITY).describe_snapshots(
        SnapshotIds=[snapshot["vault"] for snapshot in made]
    )["Snapshots"]
    assert {
        (snapshot["KmsKeyId"], snapshot["State"], snapshot["OwnerId"]) for snapshot in kept
    } == {(KEY, "completed", SECURITY)}


def test_the_collector_shares_only_what_is_tagged_as_its_own(
    aws: Aws, victim: Make, collector: Start
) -> None:
    use = collector(victim())
    ec2 = aws.client("ec2")
    other = ec2.create_snapshot(VolumeId=use.victim.volumes[0])["SnapshotId"]
    everything = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    client = use.assume(MEMBER, REGION, everything).client("ec2")
    time.sleep(0.7)
    share = {"Attribute": "createVolumePermission", "OperationType": "add"}
    partial = functools.partial
    for call in (
        partial(client.modify_snapshot_attribute, SnapshotId=other, UserIds=[SECURITY], **share),
        partial(client.copy_snapshot, SourceSnapshotId=other, SourceRegion=REGION),
        partial(client.delete_snapshot, SnapshotId=other),
    ):
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            call()
    use.collect(snapshots)
    own = use.evidence["snapshots"]["state"]["ids"][0]
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        client.modify_snapshot_attribute(
            SnapshotId=own, GroupNames=["all"], UserIds=[SECURITY], **share
        )
    client.modify_snapshot_attribute(SnapshotId=own, UserIds=[SECURITY], **share)


def test_the_aws_managed_key_cannot_be_shared(aws: Aws, victim: Make) -> None:
    victim()
    ec2 = aws.client("ec2")
    volume = ec2.create_volume(Size=1, AvailabilityZone=f"{REGION}a", Encrypted=True)["VolumeId"]
    made = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    with pytest.raises(ClientError, match="OperationNotPermitted"):
        ec2.modify_snapshot_attribute(
            SnapshotId=made,
            Attribute="createVolumePermission",
            OperationType="add",
            UserIds=[SECURITY],
        )


def test_a_snapshot_that_is_not_shared_cannot_be_copied(aws: Aws, victim: Make) -> None:
    ec2 = aws.client("ec2")
    made = ec2.create_snapshot(VolumeId=victim().volumes[0])["SnapshotId"]
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.NotFound"):
        aws.client("ec2", SECURITY).copy_snapshot(SourceSnapshotId=made, SourceRegion=REGION)


@pytest.mark.smoke
def test_metadata_console_and_screen(victim: Make, collector: Start) -> None:
    use = collector(victim(profile_attached=True))
    evidence_item = use.collect(instance_description)
    assert evidence_item.outcome == "COMPLETE", evidence_item.detail
    assert {name.rsplit("/", 1)[-1] for name in use.stored} == {
        "metadata.json",
        "console.txt",
        "screenshot.jpg",
    }


def test_flow_logs_of_a_seeded_log_group(victim: Make, aws: Aws, collector: Start) -> None:
    found = seed.instance(
        aws, interfaces=2, in_asg=False, target_group=False, elastic_ip=False, flow_logs=True
    )
    use = collector(found)
    evidence_item = use.collect(network_logs)
    assert evidence_item.outcome == "COMPLETE", evidence_item.detail
    streams = {line["logStreamName"] for line in use.lines(f"{found.flow_log}-001.jsonl.gz")}
    assert streams == {f"{interface}-all" for interface in found.interfaces}
    assert "60 records" in evidence_item.detail


def test_flow_logs_of_a_bucket(victim: Make, aws: Aws, collector: Start) -> None:
    found = seed.instance(aws, interfaces=1, in_asg=False, target_group=False, elastic_ip=False)
    use = collector(found)
    bucket = f"flows-{time.monotonic_ns()}"
    aws.client("s3").create_bucket(Bucket=bucket)
    options = {
        "FileFormat": "plain-text",
        "HiveCompatiblePartitions": True,
        "PerHourPartition": True,
    }
    made = aws.client("ec2").create_flow_logs(
        ResourceIds=[found.vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        MaxAggregationInterval=60,
        LogDestinationType="s3",
        LogDestination=f"arn:aws:s3:::{bucket}/net",
        DestinationOptions=options,
    )["FlowLogIds"][0]
    at = datetime.fromtimestamp(time.time() - 60, UTC)
    path = (
        f"net/AWSLogs/aws-account-id={MEMBER}/aws-service=vpcflowlogs/aws-region={REGION}/"
        f"{at:year=%Y/month=%m/day=%d/hour=%H}/"
    )
    line = f"2 {MEMBER} {found.interfaces[0]} 10.20.0.10 203.0.113.9 1 2 6 1 1 1 2 ACCEPT OK"
    body = gzip.compress(
        f"version account-id interface-id srcaddr\n{line}\n2 {MEMBER} eni-0a 1.1.1.1\n".encode()
    )
    aws.client("s3").put_object(
        Bucket=bucket,
        Key=f"{path}{MEMBER}_vpcflowlogs_{REGION}_{made}_{at:%Y%m%dT%H%M}Z_1.log.gz",
        Body=body,
    )
    evidence_item = use.collect(network_logs)
    assert evidence_item.outcome == "COMPLETE", evidence_item.detail
    assert "1 records" in evidence_item.detail


def test_the_collector_reads_logs_alone(aws: Aws, victim: Make, collector: Start) -> None:
    use = collector(victim())
    bucket = f"data-{time.monotonic_ns()}"
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    for key in (
        "secrets.txt",
        "AWSLogs/999999999999/CloudTrail/x",
        f"AWSLogs/{MEMBER}/CloudTrail/x",
    ):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    everything = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    client = use.assume(MEMBER, REGION, everything).client("s3")
    client.get_object(Bucket=bucket, Key=f"AWSLogs/{MEMBER}/CloudTrail/x")
    for key in ("secrets.txt", "AWSLogs/999999999999/CloudTrail/x"):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.get_object(Bucket=bucket, Key=key)


def test_calls_on_the_instance_with_the_trail(aws: Aws, victim: Make, collector: Start) -> None:
    use = collector(victim())
    name = f"trail-{time.monotonic_ns()}"
    aws.client("ec2").modify_instance_attribute(
        InstanceId=use.victim.instance, DisableApiTermination={"Value": True}
    )
    aws.client("s3").create_bucket(Bucket=name)
    aws.client("cloudtrail").create_trail(Name=name, S3BucketName=name)
    try:
        record = {
            "eventName": "GetObject",
            "userIdentity": {"principalId": f"AROA:{use.victim.instance}"},
        }
        at = datetime.fromtimestamp(time.time() - 60, UTC)
        path = (
            f"AWSLogs/{MEMBER}/CloudTrail/{REGION}/{at:%Y/%m/%d}/"
            f"{MEMBER}_CloudTrail_{REGION}_{at:%Y%m%dT%H%M}Z_1.json.gz"
        )
        aws.client("s3").put_object(
            Bucket=name, Key=path, Body=gzip.compress(json.dumps({"Records": [record]}).encode())
        )
        time.sleep(1.1)  # the window ends with the last whole second
        evidence_item = use.collect(api_calls)
    finally:
        aws.client("cloudtrail").delete_trail(Name=name)
    assert evidence_item.outcome == "COMPLETE", evidence_item.detail
    assert "ModifyInstanceAttribute" in {
        line["eventName"] for line in use.lines("lookup-001.jsonl.gz")
    }
    assert use.lines(f"trail-{name}-001.jsonl.gz") == [record]

"""Flow logs of a lab's VPC, delivered to a log group and to a bucket.

moto creates flow logs without a prefix, without DestinationOptions and to CloudWatch Logs and S3
alone: those are set by hand.
"""

from __future__ import annotations

import gzip
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from guardduty_response.cloudtrail import log_reader
from guardduty_response.containment.contract import Target
from moto.ec2.models import ec2_backends

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, REGION
from tests.unit.playbooks.ec2_instance.evidence_lab import EvidenceLab

Json = dict[str, Any]
GROUP, BUCKET = "flow-logs", "central-flow-logs"
HEADER = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start"
    " end action log-status"
)


def record(eni: str, at: float, to: str = "203.0.113.9") -> str:
    return f"2 {MEMBER} {eni} 10.0.1.5 {to} 49152 3333 6 10 840 {int(at)} {int(at) + 60} ACCEPT OK"


def interface(lab: EvidenceLab) -> str:
    return next(iter(lab.groups()))


def flow(lab: EvidenceLab, kind: str = "cloud-watch-logs", resource: str = "", **more: Any) -> str:
    """A flow log of the VPC; ``more``: attributes of moto's own object."""
    where: Json = {
        "LogGroupName": GROUP,
        "DeliverLogsPermissionArn": f"arn:aws:iam::{MEMBER}:role/flow",
    }
    if kind != "cloud-watch-logs":
        where = {"LogDestinationType": "s3", "LogDestination": f"arn:aws:s3:::{BUCKET}"}
    types = {"vpc": "VPC", "subnet": "Subnet", "eni": "NetworkInterface"}
    resource = resource or lab.ids["vpc"]
    made = lab.see("ec2").create_flow_logs(
        ResourceIds=[resource],
        ResourceType=types[resource.split("-", 1)[0]],
        TrafficType="ALL",
        MaxAggregationInterval=60,
        **where,
    )
    assert not made.get("Unsuccessful"), made
    id = str(made["FlowLogIds"][0])
    for name, value in more.items():
        setattr(ec2_backends[MEMBER][REGION].flow_logs[id], name, value)
    return id


def write(lab: EvidenceLab, stream: str, *lines: tuple[float, str]) -> None:
    client = lab.see("logs")
    client.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    events = [{"timestamp": int(at * 1000), "message": line} for at, line in lines]
    client.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)


def deliver(
    lab: EvidenceLab,
    id: str,
    at: float,
    *lines: str,
    prefix: str = "",
    hive: bool = False,
    hourly: bool = False,
) -> str:
    """One object as Amazon VPC writes it."""
    when = datetime.fromtimestamp(at, UTC)
    if hive:
        path = (
            f"AWSLogs/aws-account-id={MEMBER}/aws-service=vpcflowlogs/aws-region={REGION}/"
            f"{when:year=%Y/month=%m/day=%d}/"
        )
        path += f"{when:hour=%H}/" if hourly else ""
    else:
        path = f"AWSLogs/{MEMBER}/vpcflowlogs/{REGION}/{when:%Y/%m/%d}/" + (
            f"{when:%H}/" if hourly else ""
        )
    key = (
        f"{prefix}{path}{MEMBER}_vpcflowlogs_{REGION}_{id}_{when:%Y%m%dT%H%M}"
        f"Z_{abs(hash(lines)) % 10**8:08x}.log.gz"
    )
    body = gzip.compress("\n".join([HEADER, *lines, ""]).encode())
    lab.see("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
    return key


def built(lab: EvidenceLab) -> Target:
    lab.build()
    lab.see("s3").create_bucket(Bucket=BUCKET)
    lab.see("logs").create_log_group(logGroupName=GROUP)
    lab.ids["detail"] = {
        "resource": {"instanceDetails": {"instanceId": lab.ids["instance"]}},
        "service": {
            "eventFirstSeen": (
                datetime.fromtimestamp(time.time() - 600, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            )
        },
    }
    return lab.plan()


def small(lab: EvidenceLab, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Pages of ``limit`` events."""
    original = log_reader.filter_events
    monkeypatch.setattr(
        log_reader,
        "filter_events",
        lambda client, request, *rest: original(client, {**request, "limit": limit}, *rest),
    )

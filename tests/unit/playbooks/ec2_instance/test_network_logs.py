"""Flow log records of the instance's interfaces, from every destination there is; what cannot be
read is said.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from guardduty_response.cloudtrail.time_range import iso
from guardduty_response.containment.contract import Target
from guardduty_response.playbooks.ec2_instance.evidence import flow_log_reader, network_logs
from guardduty_response.playbooks.ec2_instance.evidence.flow_logs import InterfaceNames
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from moto.logs.models import logs_backends

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, REGION
from tests.unit.playbooks.ec2_instance.evidence_lab import EvidenceLab, short
from tests.unit.playbooks.ec2_instance.flow_logs_lab import (
    BUCKET,
    GROUP,
    HEADER,
    built,
    deliver,
    flow,
    interface,
    record,
    small,
    write,
)


def test_absent_flow_logs_are_said_with_what_switches_them_on(evidence: EvidenceLab) -> None:
    (part,) = evidence.collect(network_logs, built(evidence))
    assert part.outcome == "NOT_POSSIBLE"
    assert evidence.ids["vpc"] in part.detail
    assert (
        f"aws ec2 create-flow-logs --resource-type VPC --resource-ids {evidence.ids['vpc']}"
        in part.task
    )
    assert evidence.stored == {}


def test_the_window_and_the_interfaces_of_a_log_group(evidence: EvidenceLab) -> None:
    target, eni, now = built(evidence), interface(evidence), time.time()
    id = flow(evidence)
    inside = [record(eni, now - 3600), record(eni, now - 5)]
    write(
        evidence,
        f"{eni}-all",
        (now - 5 * 3600, record(eni, now - 5 * 3600)),
        (now - 3600, inside[0]),
        (now - 5, inside[1]),
    )
    write(
        evidence, "eni-0aaaaaaaaaaaaaaaa-all", (now - 60, record("eni-0aaaaaaaaaaaaaaaa", now - 60))
    )
    part = evidence.collect(network_logs, target)[-1]
    assert part.outcome == "COMPLETE"
    assert "2 records" in part.detail
    (name,) = evidence.stored
    assert name == f"{evidence.ids['instance']}/flow-logs/{id}-001.jsonl.gz"
    assert [json.loads(line)["message"] for line in evidence.lines(name)] == inside
    assert [stored["key"] for stored in part.objects] == [f"incidents/inc-0123456789abcdef/{name}"]
    # 10 minutes to the first event, 60 before it
    start, end = part.state["window"]
    assert 69 * 60 < end - start < 71 * 60
    assert f"to {iso(end)}" in part.detail
    assert short(evidence.policies)


def test_the_window_is_configured(evidence: EvidenceLab) -> None:
    evidence.evidence["log_window_minutes"] = 5
    target, eni, now = built(evidence), interface(evidence), time.time()
    flow(evidence)
    write(
        evidence,
        f"{eni}-all",
        (now - 1200, record(eni, now - 1200)),
        (now - 700, record(eni, now - 700)),
    )
    assert "1 records" in evidence.collect(network_logs, target)[-1].detail


def with_five_pages(lab: EvidenceLab, monkeypatch: pytest.MonkeyPatch) -> Target:
    """25 records in a log group, of which five are a page."""
    target, eni, start = built(lab), interface(lab), time.time() - 900
    flow(lab)
    write(lab, f"{eni}-all", *[(start + i, record(eni, start + i)) for i in range(25)])
    small(lab, monkeypatch, 5)
    return target


def test_pages_go_on_in_the_next_call(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = with_five_pages(evidence, monkeypatch)
    monkeypatch.setattr(flow_log_reader, "PAGES_PER_CALL", 2)
    parts = evidence.collect(network_logs, target)
    assert [part.outcome for part in parts[:-1]] == ["RUNNING"] * (len(parts) - 1)
    assert len(parts) >= 3
    assert sum(len(evidence.lines(name)) for name in evidence.stored) == 25
    assert len(parts[-1].objects) == len(evidence.stored)
    assert "25 records" in parts[-1].detail


def test_what_the_bounds_cut_off_is_said(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = with_five_pages(evidence, monkeypatch)
    monkeypatch.setattr(flow_log_reader, "MAX_PAGES", 3)
    part = evidence.collect(network_logs, target)[-1]
    assert part.outcome == "PARTIAL"
    assert "15 records; cut off after 3 pages" in part.detail
    assert "aws logs filter-log-events --log-group-name flow-logs" in part.task


@pytest.mark.parametrize("hive", [False, True])
@pytest.mark.parametrize("hourly", [False, True])
@pytest.mark.parametrize("prefix", ["", "network/eu/"])
def test_every_layout_of_a_bucket(
    evidence: EvidenceLab, hive: bool, hourly: bool, prefix: str
) -> None:
    target, eni, now = built(evidence), interface(evidence), time.time()
    options = {
        "FileFormat": "plain-text",
        "HiveCompatiblePartitions": hive,
        "PerHourPartition": hourly,
    }
    where = f"arn:aws:s3:::{BUCKET}/{prefix}".rstrip("/")
    id = flow(
        evidence,
        "s3",
        destination_options=options,
        log_destination=where,
    )
    mine = [record(eni, now - 3000), record(eni, now - 60)]
    layout: dict[str, Any] = {"prefix": prefix, "hive": hive, "hourly": hourly}
    deliver(
        evidence,
        id,
        now - 2900,
        mine[0],
        record("eni-0aaaaaaaaaaaaaaaa", now),
        **layout,
    )
    deliver(evidence, id, now - 30, mine[1], **layout)
    # before the window
    deliver(
        evidence,
        id,
        now - 8 * 3600,
        record(eni, now - 8 * 3600),
        **layout,
    )
    # another flow log's
    deliver(
        evidence,
        "fl-0bbbbbbbbbbbbbbbb",
        now - 30,
        record(eni, now - 10),
        **layout,
    )
    part = evidence.collect(network_logs, target)[-1]
    assert part.outcome == "COMPLETE", part.detail
    (name,) = evidence.stored
    assert name.endswith(f"flow-logs/{id}-001.log.gz")
    assert evidence.lines(name) == [HEADER, *mine]
    assert short(evidence.policies)


def test_a_format_without_interfaces_is_kept_by_address() -> None:
    lines = [
        "srcaddr dstaddr action",
        "10.0.1.5 203.0.113.9 ACCEPT",
        "203.0.113.9 10.0.1.5 ACCEPT",
        "10.0.1.50 1.1.1.1 ACCEPT",
    ]
    who: InterfaceNames = {"ids": ["eni-0a"], "addresses": ["10.0.1.5"]}
    assert list(flow_log_reader.lines_of_interfaces(lines, who, header=True)) == lines[:3]
    assert list(
        flow_log_reader.lines_of_interfaces(["action bytes", "ACCEPT 1"], who, header=False)
    ) == ["ACCEPT 1"]
    assert list(flow_log_reader.lines_of_interfaces([], who, header=True)) == []


def test_parquet_is_copied_whole(evidence: EvidenceLab) -> None:
    target, eni, now = built(evidence), interface(evidence), time.time()
    id = flow(evidence, "s3", destination_options={"FileFormat": "parquet"})
    key = deliver(evidence, id, now - 60, record(eni, now - 60))
    part = evidence.collect(network_logs, target)[-1]
    assert part.outcome == "COMPLETE"
    (name,) = evidence.stored
    assert name.endswith(".parquet")
    assert (
        evidence.stored[name]
        == evidence.see("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    )
    assert key in part.objects[0]["what"]


def test_objects_are_bounded(evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch) -> None:
    target, eni, now = built(evidence), interface(evidence), time.time()
    id = flow(evidence, "s3")
    keys = sorted(
        deliver(
            evidence,
            id,
            now - 60 * minute,
            record(eni, now - 60 * minute),
        )
        for minute in range(1, 6)
    )
    monkeypatch.setattr(flow_log_reader, "MAX_OBJECTS", 2)
    part = evidence.collect(network_logs, target)[-1]
    assert part.outcome == "PARTIAL"
    assert "cut off after 2 objects of" in part.detail
    assert keys[2] in part.detail
    assert (
        f"aws s3 cp --recursive s3://{BUCKET}/AWSLogs/ . --exclude '*' --include '*{id}*'"
        in part.task
    )
    assert "2 records" in part.detail


def test_a_broken_object_stops_nothing(evidence: EvidenceLab) -> None:
    target, eni, now = built(evidence), interface(evidence), time.time()
    id = flow(evidence, "s3")
    first = deliver(evidence, id, now - 120, record(eni, now - 120))
    evidence.see("s3").put_object(Bucket=BUCKET, Key=first, Body=b"no gzip")
    deliver(evidence, id, now - 60, record(eni, now - 60))
    part = evidence.collect(network_logs, target)[-1]
    assert part.outcome == "COMPLETE"
    assert "1 records" in part.detail


@pytest.mark.parametrize("operation", ["ListObjectsV2", "GetObject"])
def test_an_unreadable_bucket_is_named(evidence: EvidenceLab, operation: str) -> None:
    target, eni, now = built(evidence), interface(evidence), time.time()
    id = flow(evidence, "s3")
    deliver(evidence, id, now - 60, record(eni, now - 60))
    evidence.fail(operation, "AccessDenied")
    part = evidence.collect(network_logs, target)[-1]
    assert part.outcome == "NOT_POSSIBLE"
    assert f"bucket {BUCKET} cannot be read (AccessDenied" in part.detail
    assert f"s3://{BUCKET}/AWSLogs/" in part.task


def test_one_of_two_readable_is_partial(evidence: EvidenceLab) -> None:
    target, eni, now = built(evidence), interface(evidence), time.time()
    flow(evidence)
    flow(evidence, "s3", resource=evidence.ids["subnet"])
    write(evidence, f"{eni}-all", (now - 60, record(eni, now - 60)))
    evidence.fail("ListObjectsV2", "AccessDenied")
    part = evidence.collect(network_logs, target)[-1]
    assert part.outcome == "PARTIAL"
    assert "1 records" in part.detail
    assert BUCKET in part.task


def test_firehose_and_other_accounts_are_not_read(evidence: EvidenceLab) -> None:
    target = built(evidence)
    stream = f"arn:aws:firehose:{REGION}:{MEMBER}:deliverystream/flows"
    flow(evidence, log_destination_type="kinesis-data-firehose", log_destination=stream)
    flow(
        evidence,
        resource=interface(evidence),
        log_destination=f"arn:aws:logs:{REGION}:999999999999:log-group:flow-logs:*",
    )
    part = evidence.collect(network_logs, target)[-1]
    assert part.outcome == "NOT_POSSIBLE"
    assert stream in part.detail
    assert "another account" in part.detail
    assert "FilterLogEvents" not in evidence.operations()


def test_a_failing_delivery_and_one_sided_traffic_are_told(evidence: EvidenceLab) -> None:
    target = built(evidence)
    flow(
        evidence,
        traffic_type="REJECT",
        deliver_logs_status="FAILED",
        deliver_logs_error_message="Access error",
    )
    part = evidence.collect(network_logs, target)[-1]
    assert "REJECT traffic only" in part.detail
    assert "Access error" in part.detail


def test_a_long_window_is_read_from_its_end(evidence: EvidenceLab) -> None:
    target, eni, now = built(evidence), interface(evidence), time.time()
    first = datetime.fromtimestamp(now - 10 * 86400, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    evidence.ids["detail"]["service"]["eventFirstSeen"] = first
    flow(evidence)
    write(
        evidence,
        f"{eni}-all",
        (now - 30 * 3600, record(eni, now - 30 * 3600)),
        (now - 3600, record(eni, now - 3600)),
    )
    part = evidence.collect(network_logs, target)[-1]
    assert part.outcome == "PARTIAL"
    assert "1 records" in part.detail
    assert "older records were left" in part.detail


def test_late_records_are_asked_for_once_while_others_collect(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, eni, now = built(evidence), interface(evidence), time.time()
    id = flow(evidence)
    write(evidence, f"{eni}-all", (now - 60, record(eni, now - 60)))
    InstanceContext(evidence.context(), target).record_evidence(
        "forensics", {"outcome": "RUNNING", "state": {}}
    )
    first = evidence.once(network_logs, target)
    assert first.outcome == "RUNNING"
    assert len(first.objects) == 1
    assert 15 <= first.wait_seconds <= 60
    late = record(eni, now - 10)
    evidence.see("logs").put_log_events(
        logGroupName=GROUP,
        logStreamName=f"{eni}-all",
        logEvents=[{"timestamp": int((now - 10) * 1000), "message": late}],
    )
    early, new = logs_backends[MEMBER][REGION].groups[GROUP].streams[f"{eni}-all"].events
    early.ingestion_time, new.ingestion_time = int(now - 30) * 1000, int(now + 300) * 1000
    monkeypatch.setattr(time, "time", lambda: now + 400)
    parts = evidence.collect(network_logs, target)
    assert parts[-1].outcome == "COMPLETE"
    (name,) = [name for name in evidence.stored if "-late-" in name]
    assert name.endswith(f"{id}-late-002.jsonl.gz")
    assert [json.loads(line)["message"] for line in evidence.lines(name)] == [late]
    assert "2 records" in parts[-1].detail
    assert len(parts[-1].objects) == 2


def test_nobody_waits_for_late_records_alone(evidence: EvidenceLab) -> None:
    target = built(evidence)
    flow(evidence)
    InstanceContext(evidence.context(), target).record_evidence(
        "api_calls", {"outcome": "RUNNING", "state": {"late": True}}
    )
    assert evidence.collect(network_logs, target)[-1].outcome == "COMPLETE"


def test_throttling_loses_nothing(evidence: EvidenceLab) -> None:
    target, eni, now = built(evidence), interface(evidence), time.time()
    flow(evidence)
    write(evidence, f"{eni}-all", (now - 60, record(eni, now - 60)))
    evidence.fail("FilterLogEvents", "ThrottlingException", times=1)
    with pytest.raises(Exception, match="ThrottlingException"):  # the collector asks again
        evidence.once(network_logs, target)
    assert "1 records" in evidence.collect(network_logs, target)[-1].detail


def test_switched_off(evidence: EvidenceLab) -> None:
    target = built(evidence)
    evidence.options["copy_logs"] = False
    assert evidence.collect(network_logs, target)[-1].outcome == "SKIPPED"
    assert "DescribeFlowLogs" not in evidence.operations()

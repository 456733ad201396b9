"""Calls on the instance and by it: all pages, within CloudTrail's rate, with a summary of who did
what.

moto has no LookupEvents: the lab answers it where botocore's Stubber does, after botocore validated
the parameters.
"""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.cloudtrail import log_reader, query, trails
from guardduty_response.containment.contract import Target
from guardduty_response.playbooks.ec2_instance.evidence import api_calls
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, REGION
from tests.unit.playbooks.ec2_instance.evidence_lab import EvidenceLab, short

Json = dict[str, Any]
BUCKET, GROUP = "organization-trail", "trail"
PAUSE = query.PAUSE_SECONDS


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "PAUSE_SECONDS", 0)


def built(lab: EvidenceLab, key: str = "") -> Target:
    lab.build()
    lab.ids["detail"] = {
        "resource": {
            "instanceDetails": {"instanceId": lab.ids["instance"]},
            "accessKeyDetails": {"accessKeyId": key},
        },
        "service": {
            "eventFirstSeen": (
                datetime.fromtimestamp(time.time() - 600, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            )
        },
    }
    return lab.plan()


def events(lab: EvidenceLab, kind: str = "lookup") -> list[Json]:
    return [
        json.loads(line)
        for name in sorted(lab.stored)
        if f"/{kind}-" in name
        for line in lab.lines(name)
    ]


def summary(lab: EvidenceLab) -> Json:
    found: Json = json.loads(lab.stored[f"{lab.ids['instance']}/api-calls/summary.json"])
    return found


def test_on_the_instance_and_by_it(evidence: EvidenceLab) -> None:
    target = built(evidence)
    id = evidence.ids["instance"]
    on = evidence.happened("StopInstances", 120, ResourceName=id)
    by = evidence.happened(
        "ListBuckets",
        60,
        error="AccessDenied",
        Username=id,
    )
    evidence.happened("RunInstances", 60, Username="somebody")  # neither
    evidence.happened("RunInstances", 5 * 3600, ResourceName=id)  # before the window
    part = evidence.collect(api_calls, target)[-1]
    assert part.outcome == "COMPLETE"
    assert events(evidence) == [on, by]
    assert f"1 events of ResourceName {id}; 1 events of Username {id}" in part.detail
    calls = {call["what"]: call for call in summary(evidence)["calls"]}
    assert calls["ec2:ListBuckets"]["errors"] == {"AccessDenied": 1}
    assert calls["ec2:ListBuckets"]["from"] == "198.51.100.7"
    assert calls["ec2:ListBuckets"]["who"].endswith(f"assumed-role/app/{id}")
    assert calls["ec2:StopInstances"]["first"] == on["eventTime"]
    assert {stored["key"].rsplit("/", 1)[-1] for stored in part.objects} == {
        "lookup-001.jsonl.gz",
        "summary.json",
    }
    assert "delivers up to 15 minutes late" in part.detail
    assert short(evidence.policies)


def test_the_findings_access_key_is_asked_for_and_nothing_twice(evidence: EvidenceLab) -> None:
    target = built(evidence, "ASIAEXAMPLE")
    evidence.happened(
        "GetObject",
        60,
        Username=evidence.ids["instance"],
        AccessKeyId="ASIAEXAMPLE",
    )
    evidence.happened(
        "PutObject",
        60,
        Username="elsewhere",
        AccessKeyId="ASIAEXAMPLE",
    )
    part = evidence.collect(api_calls, target)[-1]
    assert sorted(event["eventName"] for event in events(evidence)) == ["GetObject", "PutObject"]
    assert "1 events of AccessKeyId ASIAEXAMPLE" in part.detail


def with_nine_pages(lab: EvidenceLab) -> Target:
    """43 calls by the instance, of which five are a page."""
    target = built(lab)
    lab.page = 5
    for index in range(43):
        lab.happened("DescribeInstances", 60 + index, Username=lab.ids["instance"])
    return target


def test_all_pages_over_several_calls(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = with_nine_pages(evidence)
    monkeypatch.setattr(query, "PAGES_A_CALL", 3)
    parts = evidence.collect(api_calls, target)
    assert [part.outcome for part in parts] == ["RUNNING", "RUNNING", "COMPLETE"]
    assert len(events(evidence)) == 43
    (row,) = summary(evidence)["calls"]
    assert row["count"] == 43
    assert len(parts[-1].objects) == len(evidence.stored) == 4


def test_what_the_bounds_cut_off_is_said(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = with_nine_pages(evidence)
    monkeypatch.setattr(query, "MOST_PAGES", 2)
    part = evidence.collect(api_calls, target)[-1]
    assert part.outcome == "PARTIAL"
    assert "cut off after 2 pages, older calls were left" in part.detail
    assert f"AttributeKey=Username,AttributeValue={evidence.ids['instance']}" in part.task
    assert "ResourceName" not in part.task
    assert len(events(evidence)) == 10


def test_two_calls_a_second_are_not_exceeded(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PAUSE > 0.5
    monkeypatch.setattr(query, "PAUSE_SECONDS", PAUSE)
    target = built(evidence, "ASIAEXAMPLE")
    evidence.page = 1
    for index in range(3):
        evidence.happened("DescribeInstances", 60 + index, Username=evidence.ids["instance"])
    started = time.monotonic()
    evidence.once(api_calls, target)
    assert evidence.operations().count("LookupEvents") == 5  # also from one question to the next
    assert time.monotonic() - started >= 4 * PAUSE


def test_throttling_keeps_what_there_is(evidence: EvidenceLab) -> None:
    target = built(evidence)
    evidence.page = 5
    for index in range(12):
        evidence.happened("DescribeInstances", 60 + index, Username=evidence.ids["instance"])
    evidence.fail(
        "LookupEvents",
        "ThrottlingException",
        lambda params: params.get("NextToken") == "5",
        times=1,
    )
    first = evidence.once(api_calls, target)
    assert first.outcome == "RUNNING"
    assert evidence.collect(api_calls, target)[-1].outcome == "COMPLETE"
    assert len(events(evidence)) == 12
    assert summary(evidence)["calls"][0]["count"] == 12


def test_throttled_from_the_start_is_left_to_the_collector(evidence: EvidenceLab) -> None:
    target = built(evidence)
    evidence.fail("LookupEvents", "ThrottlingException")
    with pytest.raises(ClientError, match="ThrottlingException"):
        evidence.once(api_calls, target)


def test_a_token_that_did_not_last(evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch) -> None:
    target = built(evidence)
    evidence.page = 5
    for index in range(12):
        evidence.happened("DescribeInstances", 60 + 10 * index, Username=evidence.ids["instance"])
    monkeypatch.setattr(query, "PAGES_A_CALL", 1)
    evidence.once(api_calls, target)
    evidence.fail(
        "LookupEvents", "InvalidNextTokenException", lambda params: "NextToken" in params, times=1
    )
    assert evidence.collect(api_calls, target)[-1].outcome == "COMPLETE"
    assert len({event["eventTime"] for event in events(evidence)}) == 12


def test_not_allowed_is_failed_and_says_so(evidence: EvidenceLab) -> None:
    target = built(evidence)
    evidence.fail("LookupEvents", "AccessDeniedException")
    part = evidence.collect(api_calls, target)[-1]
    assert part.outcome == "FAILED"
    assert "cannot be looked up (AccessDeniedException" in part.detail
    assert "aws cloudtrail lookup-events" in part.task


def test_the_summary_is_bounded(evidence: EvidenceLab) -> None:
    rows: Json = {}
    for index in range(500):
        who = {"arn": f"arn:aws:iam::1:user/u{index}"}
        query.summarize(
            rows,
            {
                "userIdentity": who,
                "eventName": "X",
                "errorCode": f"E{index}",
                "eventTime": f"t{index:03}",
            },
        )
    assert len(rows) == query.MOST_ROWS + 1
    assert rows["others"][0] == 500 - query.MOST_ROWS
    assert len(rows["others"][3]) == 8
    assert len(json.dumps(rows)) < 12_000


# -- trails ----------------------------------------------------------------------------------------


def trail(lab: EvidenceLab, name: str = "main", group: bool = False, **more: Any) -> None:
    lab.see("s3").create_bucket(Bucket=BUCKET)
    if group:
        lab.see("logs").create_log_group(logGroupName=GROUP)
        more["CloudWatchLogsLogGroupArn"] = f"arn:aws:logs:{REGION}:{MEMBER}:log-group:{GROUP}:*"
        more["CloudWatchLogsRoleArn"] = f"arn:aws:iam::{MEMBER}:role/trail"
    lab.see("cloudtrail").create_trail(Name=name, S3BucketName=BUCKET, **more)


def deliver(lab: EvidenceLab, ago: float, *records: Json, between: str = "") -> str:
    when = datetime.fromtimestamp(time.time() - ago, UTC)
    path = f"AWSLogs/{between}{MEMBER}/CloudTrail/{REGION}/{when:%Y/%m/%d}/"
    key = (
        f"{path}{MEMBER}_CloudTrail_{REGION}_{when:%Y%m%dT%H%M}Z_{len(lab.trail)}{int(ago)}.json.gz"
    )
    lab.see("s3").put_object(
        Bucket=BUCKET, Key=key, Body=gzip.compress(json.dumps({"Records": list(records)}).encode())
    )
    return key


def test_data_events_from_the_trails_log_group(evidence: EvidenceLab) -> None:
    target = built(evidence)
    trail(evidence, group=True)
    client, now = evidence.see("logs"), int(time.time() * 1000)
    client.create_log_stream(logGroupName=GROUP, logStreamName="s")
    mine = json.dumps(
        {
            "eventName": "GetObject",
            "userIdentity": {"principalId": f"AROA:{evidence.ids['instance']}"},
        }
    )
    written = [
        {"timestamp": now - 60_000, "message": mine},
        {"timestamp": now - 50_000, "message": '{"eventName": "Other"}'},
    ]
    client.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=written)
    part = evidence.collect(api_calls, target)[-1]
    assert part.outcome == "COMPLETE"
    assert events(evidence, "trail") == [json.loads(mine)]
    assert "trail main: 1 events" in part.detail
    assert short(evidence.policies)


@pytest.mark.parametrize("organization", [False, True])
def test_data_events_from_the_trails_bucket(evidence: EvidenceLab, organization: bool) -> None:
    target = built(evidence)
    trail(evidence, IsOrganizationTrail=organization)
    between = "o-a1b2c3d4e5/" if organization else ""
    mine = {
        "eventName": "GetObject",
        "userIdentity": {"principalId": f"AROA:{evidence.ids['instance']}"},
    }
    deliver(evidence, 60, mine, {"eventName": "Other"}, between=between)
    deliver(
        evidence,
        9 * 3600,
        {**mine, "eventName": "TooOld"},
        between=between,
    )
    part = evidence.collect(api_calls, target)[-1]
    assert part.outcome == "COMPLETE", part.detail
    assert events(evidence, "trail") == [mine]
    assert short(evidence.policies)


@pytest.mark.parametrize("operation", ["ListObjectsV2", "GetObject"])
def test_an_unreadable_bucket_is_named(evidence: EvidenceLab, operation: str) -> None:
    target = built(evidence)
    trail(evidence)
    deliver(evidence, 60, {"eventName": "GetObject"})
    evidence.fail(operation, "AccessDenied")
    part = evidence.collect(api_calls, target)[-1]
    assert part.outcome == "PARTIAL"
    assert (
        f"data events lie in bucket {BUCKET}, which cannot be read from here (AccessDenied"
        in part.detail
    )
    assert f"aws s3 cp --recursive s3://{BUCKET}/AWSLogs/" in part.task


def test_a_trails_objects_are_bounded(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = built(evidence)
    trail(evidence)
    for minute in range(1, 5):
        deliver(evidence, minute * 60, {"eventName": evidence.ids["instance"]})
    monkeypatch.setattr(trails, "MOST_OBJECTS", 2)
    part = evidence.collect(api_calls, target)[-1]
    assert part.outcome == "PARTIAL"
    assert "cut off after 2 objects" in part.detail
    assert len(events(evidence, "trail")) == 2


def test_an_object_that_is_too_large_or_broken_is_told(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = built(evidence)
    trail(evidence)
    key = deliver(evidence, 60, {"eventName": evidence.ids["instance"] * 100})
    monkeypatch.setattr(log_reader, "OBJECT_BYTES", 1000)
    part = evidence.collect(api_calls, target)[-1]
    assert part.outcome == "PARTIAL"
    assert f"{key} was left" in part.detail


def test_a_trail_is_read_for_the_newest_day(evidence: EvidenceLab) -> None:
    target = built(evidence)
    first = datetime.fromtimestamp(time.time() - 10 * 86400, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    evidence.ids["detail"]["service"]["eventFirstSeen"] = first
    trail(evidence)
    deliver(evidence, 30 * 3600, {"eventName": evidence.ids["instance"]})
    deliver(evidence, 3600, {"eventName": evidence.ids["instance"]})
    part = evidence.collect(api_calls, target)[-1]
    assert part.outcome == "PARTIAL"
    assert "1 events, what is older than" in part.detail
    assert f"s3://{BUCKET}/AWSLogs/" in part.task


def test_trails_that_cannot_be_listed(evidence: EvidenceLab) -> None:
    target = built(evidence)
    evidence.fail("DescribeTrails", "AccessDeniedException")
    part = evidence.collect(api_calls, target)[-1]
    assert part.outcome == "COMPLETE"
    assert "trail (all): not listed" in part.detail


def test_late_events_are_asked_for_once_while_others_collect(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, now = built(evidence), time.time()
    first = evidence.happened("StopInstances", 120, ResourceName=evidence.ids["instance"])
    InstanceContext(evidence.context(), target).record_evidence(
        "forensics", {"outcome": "RUNNING", "state": {}}
    )
    assert evidence.once(api_calls, target).outcome == "RUNNING"
    late = evidence.happened("StartInstances", 90, ResourceName=evidence.ids["instance"])
    monkeypatch.setattr(time, "time", lambda: now + 16 * 60)
    parts = evidence.collect(api_calls, target)
    assert parts[-1].outcome == "COMPLETE"
    assert events(evidence) == [first, late]
    assert sum(call["count"] for call in summary(evidence)["calls"]) == 2


def test_nobody_waits_for_late_events_alone(evidence: EvidenceLab) -> None:
    target = built(evidence)
    InstanceContext(evidence.context(), target).record_evidence(
        "network_logs", {"outcome": "RUNNING", "state": {"late": True}}
    )
    assert evidence.collect(api_calls, target)[-1].outcome == "COMPLETE"


def test_switched_off(evidence: EvidenceLab) -> None:
    target = built(evidence)
    evidence.options["copy_logs"] = False
    assert evidence.collect(api_calls, target)[-1].outcome == "SKIPPED"
    assert "LookupEvents" not in evidence.operations()

"""Reads what a trail of the account adds to LookupEvents: data events, from its log group or its
bucket.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import is_transient
from guardduty_response.cloudtrail import log_reader
from guardduty_response.cloudtrail.time_range import CALL_SECONDS, Budget, TimeRange, iso
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    TargetContext,
    allow,
    describe_error,
)

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient
    from guardduty_response.incident.model import StoredObject

MOST_PAGES, PAGES_A_CALL = 40, 15  # of FilterLogEvents, per trail
MOST_OBJECTS, MOST_BYTES = 300, 128 << 20  # of a trail's deliveries to S3, as delivered
MOST_SECONDS = 24 * 3600  # of a trail's window: the newest part


class Trail(TypedDict, total=False):
    """One trail, where it is read, and how far; kept between calls.

    ``kind``: ``group`` or ``bucket``; each has fields of its own. ``note``: what a person is told.
    ``cut``: where reading stopped at a limit. ``task``: the command that reads the rest.
    """

    name: str
    kind: str
    pages: int
    found: int
    files: int
    done: bool
    note: str
    cut: str
    task: str
    # a log group
    arn: str
    token: str
    # a bucket
    bucket: str
    prefix: str
    roots: list[str]
    period: int
    after: str
    objects: int
    bytes: int
    organization: bool


def list_trails(target_context: TargetContext) -> list[Trail]:
    """Returns the trails that record this account and Region, each with where it is read; when
    they cannot be listed, a single entry that says so.
    """
    try:
        session = target_context.open_session(allow(("cloudtrail:DescribeTrails",)))
        described = session.client("cloudtrail").describe_trails(includeShadowTrails=True)
    except AWS_ERRORS as error:
        if is_transient(error):
            raise
        note = f"not listed ({describe_error(error)})"
        return [{"name": "(all)", "done": True, "note": note, "task": ""}]
    target = target_context.target
    trails: list[Trail] = []
    buckets: set[str] = set()
    for found in described["trailList"]:
        group, bucket = str(found.get("CloudWatchLogsLogGroupArn") or ""), found.get("S3BucketName")
        if group.split(":")[3:5] == [target.region, target.account_id]:
            trails.append(_group_trail(found["Name"], group.removesuffix(":*")))
        elif bucket and bucket not in buckets:
            buckets.add(bucket)
            trails.append(_bucket_trail(found))
    return trails


def _group_trail(name: str, arn: str) -> Trail:
    return {
        "name": name,
        "pages": 0,
        "found": 0,
        "task": "",
        "kind": "group",
        "arn": arn,
        "token": "",
    }


def _bucket_trail(found: AwsAnswer) -> Trail:
    prefix = f"{found['S3KeyPrefix'].strip('/')}/" if found.get("S3KeyPrefix") else ""
    return {
        "name": found["Name"],
        "pages": 0,
        "found": 0,
        "task": "",
        "kind": "bucket",
        "bucket": str(found["S3BucketName"]),
        "prefix": prefix,
        "period": 0,
        "after": "",
        "objects": 0,
        "bytes": 0,
        "organization": found.get("IsOrganizationTrail", False),
    }


def read_trail(
    target_context: TargetContext, trail: Trail, window: TimeRange, terms: list[str]
) -> list[StoredObject]:
    """Does one call's share of one trail: its events that name one of ``terms``.

    Returns what was stored. Raises what is transient; another refusal ends the trail with a note.
    """
    if window.end - window.start > MOST_SECONDS:
        window = TimeRange(window.end - MOST_SECONDS, window.end)
        trail.setdefault("cut", f"what is older than {iso(window.start)} was left")
    terms = list(dict.fromkeys(terms))
    in_bucket = trail["kind"] == "bucket"
    read = _bucket if in_bucket else _group
    try:
        lines = read(target_context, trail, window, terms)
    except ClientError as error:
        if is_transient(error):
            raise
        where = f"bucket {trail['bucket']}" if in_bucket else f"log group {trail['arn']}"
        trail["done"] = True
        trail["task"] = _manual_command(target_context, trail, window)
        trail["note"] = (
            f"data events lie in {where}, which cannot be read from here ({describe_error(error)})"
        )
        return []
    trail["found"] += len(lines)
    if trail.get("done"):
        cut = trail.get("cut")
        trail["note"] = f"{trail['found']} events" + (f", {cut}" if cut else "")
        trail["task"] = _manual_command(target_context, trail, window) if cut else ""
    if not lines:
        return []
    trail["files"] = trail.get("files", 0) + 1
    name = f"{target_context.id}/api-calls/trail-{trail['name']}-{trail['files']:03}.jsonl.gz"
    stored = target_context.context.put_evidence(name, log_reader.gzip_lines(lines))
    what = f"events of trail {trail['name']} that name {target_context.id}, {window}"
    return [{**stored, "what": what}]


def _group(
    target_context: TargetContext, trail: Trail, window: TimeRange, terms: list[str]
) -> list[str]:
    client, lines = log_reader.group_client(target_context, trail["arn"]), []
    budget = Budget.start(min(MOST_PAGES, trail["pages"] + PAGES_A_CALL), trail["pages"])
    pattern = " ".join(f'?"{term}"' for term in terms) if len(terms) > 1 else f'"{terms[0]}"'
    request: dict[str, object] = {
        "logGroupName": trail["arn"].split(":log-group:")[1],
        "filterPattern": pattern,
        "startTime": window.start * 1000,
        "endTime": window.end * 1000,
    }
    if trail["token"]:
        request["nextToken"] = trail["token"]
    trail["token"] = log_reader.filter_events(
        client, request, budget, lambda event: lines.append(str(event.get("message", "")))
    )
    trail["pages"], trail["done"] = budget.pages, not trail["token"]
    if trail["token"] and budget.pages >= MOST_PAGES:
        trail |= {"done": True, "cut": f"cut off after {MOST_PAGES} pages"}
    return lines


def _bucket(
    target_context: TargetContext, trail: Trail, window: TimeRange, terms: list[str]
) -> list[str]:
    account, region = target_context.target.account_id, target_context.target.region
    if "roots" not in trail:
        trail["roots"] = _roots(target_context, trail)
    s3 = log_reader.bucket_client(target_context, trail["bucket"], trail["roots"])
    prefixes = [
        f"{root}{region}/{at:%Y/%m/%d}/{account}_CloudTrail_{region}_"
        for root in trail["roots"]
        for at in window.days()
    ]
    lines: list[str] = []
    until = time.monotonic() + CALL_SECONDS
    while trail["period"] < len(prefixes) and time.monotonic() < until:
        for stored in log_reader.list_objects(
            s3, trail["bucket"], prefixes[trail["period"]], trail["after"], window
        ):
            if trail["objects"] >= MOST_OBJECTS or trail["bytes"] + stored["Size"] > MOST_BYTES:
                trail |= {
                    "done": True,
                    "cut": f"cut off after {trail['objects']} objects, at {stored['Key']}",
                }
                return lines
            content = log_reader.read_object(s3, trail["bucket"], stored["Key"])
            if not content:
                trail["cut"] = (
                    f"{stored['Key']} was left: no gzip, or larger than "
                    f"{log_reader.OBJECT_BYTES >> 20} MiB"
                )
            lines += _records(content, terms)
            trail |= {
                "objects": trail["objects"] + 1,
                "bytes": trail["bytes"] + stored["Size"],
                "after": stored["Key"],
            }
            if time.monotonic() >= until:
                return lines
        trail |= {"period": trail["period"] + 1, "after": ""}
    trail["done"] = trail["period"] >= len(prefixes)
    return lines


def _roots(target_context: TargetContext, trail: Trail) -> list[str]:
    """Returns the prefixes above the Region: an organization's trail has the organization's id
    between ``AWSLogs`` and the account.
    """
    base, own = f"{trail['prefix']}AWSLogs/", f"{target_context.target.account_id}/CloudTrail/"
    if not trail["organization"]:
        return [base + own]
    s3: AwsClient = log_reader.listing_client(target_context, trail["bucket"], base)
    found = s3.list_objects_v2(Bucket=trail["bucket"], Prefix=base, Delimiter="/").get(
        "CommonPrefixes", []
    )
    return [
        listed["Prefix"] + own
        for listed in found
        if listed["Prefix"].removeprefix(base).startswith("o-")
    ] or [base + own]


def _records(content: bytes, terms: list[str]) -> list[str]:
    try:
        records = json.loads(content).get("Records", [])
    except (ValueError, AttributeError):
        return []
    lines = [log_reader.jsonl(record) for record in records]
    return [line for line in lines if any(term in line for term in terms)]


def _manual_command(target_context: TargetContext, trail: Trail, window: TimeRange) -> str:
    if trail["kind"] == "bucket":
        path = f"s3://{trail['bucket']}/{trail['prefix']}AWSLogs/"
        name = f"{target_context.target.account_id}_CloudTrail_{target_context.target.region}_"
        return f"aws s3 cp --recursive {path} . --exclude '*' --include '*{name}*'"
    return (
        f"aws logs filter-log-events --log-group-name {trail['arn'].split(':log-group:')[-1]}"
        f" --filter-pattern '\"{target_context.id}\"' --start-time {window.start * 1000} --end-time"
        f" {window.end * 1000} --region {target_context.target.region}"
    )

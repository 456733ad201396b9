"""Reads the records of one flow log, from its log group or its bucket, within limits.

Layouts of deliveries: Amazon VPC User Guide, "Flow log files" (S3) and "Publish flow logs to
CloudWatch Logs".
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import is_transient
from guardduty_response.cloudtrail import log_reader
from guardduty_response.cloudtrail.time_range import CALL_SECONDS, Budget, TimeRange
from guardduty_response.containment.target_context import describe_error
from guardduty_response.playbooks.ec2_instance.evidence.flow_logs import (
    FlowLogSource,
    InterfaceNames,
    NetworkLogsState,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient
    from guardduty_response.incident.model import StoredObject

# Of FilterLogEvents, 10,000 records or 1 MB each: for each flow log, and in one call.
MAX_PAGES = 60
PAGES_PER_CALL = 15
# Of a delivery to S3, as delivered, for each flow log.
MAX_OBJECTS = 300
MAX_BYTES = 256 << 20
ADDRESS_FIELDS = ("srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr")


def read(
    instance: InstanceContext, state: NetworkLogsState, source: FlowLogSource, window: TimeRange
) -> list[StoredObject]:
    """Does one call's share of one flow log.

    Returns what was stored. Raises botocore errors for throttling and outages alone: any other
    refusal ends the source with a ``note``.
    """
    try:
        if source["kind"] == "group":
            return _read_group(instance, state, source, window)
        return _BucketPass(instance, state, source, window).run()
    except ClientError as error:
        if is_transient(error):
            raise
        where = f"bucket {source['bucket']}" if source["kind"] == "bucket" else ""
        where = where or f"log group {source['arn'].split(':')[-1]}"
        source["done"] = True
        source["note"] = (
            f"{where} cannot be read ({describe_error(error)}): its owner has to give the records"
        )
        return []


def _store(
    instance: InstanceContext,
    state: NetworkLogsState,
    source: FlowLogSource,
    content: bytes,
    ending: str,
    what: str,
) -> StoredObject:
    source["files"] += 1
    late = "-late" if state.get("round") else ""
    name = f"{instance.id}/flow-logs/{source['id']}{late}-{source['files']:03}.{ending}"
    return {**instance.context.put_evidence(name, content), "what": what}


# -- a log group -----------------------------------------------------------------------------------


def _read_group(
    instance: InstanceContext, state: NetworkLogsState, source: FlowLogSource, window: TimeRange
) -> list[StoredObject]:
    client = log_reader.group_client(instance, source["arn"])
    lines: list[str] = []
    budget = Budget.start(min(MAX_PAGES, source["pages"] + PAGES_PER_CALL), source["pages"])
    # In the second pass: only what was delivered since the first.
    ingested_since = int(state["window"][1]) * 1000 if state.get("round") else 0
    interfaces = state["who"]["ids"]
    while source["stream"] < len(interfaces) and budget.more():
        prefix = f"{interfaces[source['stream']]}-"
        request: dict[str, object] = {
            "logGroupName": source["arn"].split(":log-group:")[1],
            "logStreamNamePrefix": prefix,
            "startTime": window.start * 1000,
            "endTime": window.end * 1000,
        }
        if source["token"]:
            request["nextToken"] = source["token"]

        def take(event: AwsAnswer, prefix: str = prefix) -> None:
            of_interface = str(event.get("logStreamName", "")).startswith(prefix)
            if of_interface and event.get("ingestionTime", ingested_since) >= ingested_since:
                shown = {key: event.get(key) for key in ("logStreamName", "timestamp", "message")}
                lines.append(log_reader.jsonl(shown))

        source["token"] = log_reader.filter_events(client, request, budget, take)
        source["stream"] += 0 if source["token"] else 1
    source["pages"] = budget.pages
    source["records"] += len(lines)
    source["done"] = source["stream"] >= len(interfaces)
    if not source["done"] and budget.pages >= MAX_PAGES:
        source["done"] = True
        source["cut"] = f"cut off after {MAX_PAGES} pages"
    if not lines:
        return []
    what = f"flow log records of {source['id']} from CloudWatch Logs, {window}"
    return [_store(instance, state, source, log_reader.gzip_lines(lines), "jsonl.gz", what)]


# -- a bucket --------------------------------------------------------------------------------------


class _BucketPass:
    """One call's share of a flow log that is delivered to S3."""

    def __init__(
        self,
        instance: InstanceContext,
        state: NetworkLogsState,
        source: FlowLogSource,
        window: TimeRange,
    ) -> None:
        self.instance, self.state, self.source, self.window = instance, state, source, window
        account = instance.target.account_id
        roots = [
            f"{source['prefix']}AWSLogs/{account}/vpcflowlogs/",
            f"{source['prefix']}AWSLogs/aws-account-id={account}/aws-service=vpcflowlogs/",
        ]
        self.s3: AwsClient = log_reader.bucket_client(instance, source["bucket"], roots)
        self.prefixes = _prefixes(instance, source, window)
        self.until = time.monotonic() + CALL_SECONDS
        self.lines: list[str] = []
        self.stored: list[StoredObject] = []

    def run(self) -> list[StoredObject]:
        source = self.source
        while source["period"] < len(self.prefixes) and time.monotonic() < self.until:
            if not self._read_period(self.prefixes[source["period"]]):
                break
        source["done"] = bool(source.get("cut")) or source["period"] >= len(self.prefixes)
        if len(self.lines) > 1:  # more than the header
            source["records"] += len(self.lines) - 1
            content = log_reader.gzip_lines(self.lines)
            what = f"flow log records of {source['id']} from S3, {self.window}"
            self._store(content, "log.gz", what)
        return self.stored

    def _read_period(self, prefix: str) -> bool:
        """Reads one day or hour. False: this call has done its share, or reached a limit."""
        source = self.source
        listing = log_reader.list_objects(
            self.s3, source["bucket"], prefix, source["after"], self.window
        )
        for listed in listing:
            if self._read_in_first_pass(listed):
                continue
            too_large = source["bytes"] + listed["Size"] > MAX_BYTES
            if source["objects"] >= MAX_OBJECTS or too_large:
                source["cut"] = (
                    f"cut off after {source['objects']} objects of {source['bytes']} bytes, at"
                    f" {listed['Key']}"
                )
                return False
            self._read_object(listed["Key"])
            source["objects"] += 1
            source["bytes"] += listed["Size"]
            source["after"] = listed["Key"]
            if self._done_its_share():
                return False
        source["period"] += 1
        source["after"] = ""
        return True

    def _read_in_first_pass(self, listed: AwsAnswer) -> bool:
        if not self.state.get("round"):
            return False
        return bool(listed["LastModified"].timestamp() < self.state["window"][1])

    def _done_its_share(self) -> bool:
        full = sum(map(len, self.lines)) > log_reader.OBJECT_BYTES
        return full or time.monotonic() >= self.until

    def _read_object(self, key: str) -> None:
        bucket = self.source["bucket"]
        if self.source["parquet"]:
            content = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            self._store(content, "parquet", f"flow log records as delivered, all of it: {key}")
            return
        lines = log_reader.read_lines(self.s3, bucket, key)
        self.lines.extend(lines_of_interfaces(lines, self.state["who"], header=not self.lines))

    def _store(self, content: bytes, ending: str, what: str) -> None:
        stored = _store(self.instance, self.state, self.source, content, ending, what)
        self.stored.append(stored)


def _prefixes(instance: InstanceContext, source: FlowLogSource, window: TimeRange) -> list[str]:
    """Returns where S3 holds the window's objects, as far as their names go."""
    account, region = instance.target.account_id, instance.target.region
    name = f"{account}_vpcflowlogs_{region}_{source['id']}_"
    prefixes = []
    for at in window.days(source["hourly"]):
        if source["hive"]:
            path = (
                f"AWSLogs/aws-account-id={account}/aws-service=vpcflowlogs/"
                f"aws-region={region}/{at:year=%Y/month=%m/day=%d}/"
            )
            path += f"{at:hour=%H}/" if source["hourly"] else ""
        else:
            path = f"AWSLogs/{account}/vpcflowlogs/{region}/{at:%Y/%m/%d}/"
            path += f"{at:%H}/" if source["hourly"] else ""
        prefixes.append(f"{source['prefix']}{path}{name}")
    return prefixes


def lines_of_interfaces(lines: Iterable[str], who: InterfaceNames, header: bool) -> Iterator[str]:
    """Yields the lines of these interfaces, below the header if asked for.

    Where the format has no interface id, lines of their addresses are taken; where it has no
    address either, all.
    """
    lines = iter(lines)
    first = next(lines, "")
    names = first.split()
    fields = [index for index, name in enumerate(names) if name == "interface-id"]
    wanted = set(who["ids"])
    if not fields:
        fields = [index for index, name in enumerate(names) if name in ADDRESS_FIELDS]
        wanted = set(who["addresses"])
    if header and first:
        yield first
    for line in lines:
        values = line.split()
        if not fields or any(index < len(values) and values[index] in wanted for index in fields):
            yield line

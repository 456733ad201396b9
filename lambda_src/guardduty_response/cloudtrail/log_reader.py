"""Reading logs of a window of time within bounds: CloudWatch Logs groups and deliveries in S3.

What is read here was written by the account under suspicion: sizes are bounded before anything is
unpacked.
"""

from __future__ import annotations

import gzip
import json
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict

from guardduty_response.cloudtrail.event import CloudTrailRecord
from guardduty_response.cloudtrail.time_range import Budget, TimeRange
from guardduty_response.containment.target_context import TargetContext, allow
from guardduty_response.evidence.items import Outcome

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient, PolicyStatement
    from guardduty_response.incident.model import EvidenceEntry

OBJECT_BYTES = 32 << 20  # of one delivered object held in memory
STREAM_BYTES = 1 << 30  # of one delivered object read line by line
# in the names of flow log and CloudTrail objects: when it was written
_STAMP = re.compile(r"_(\d{8}T\d{4})Z_")


class LatePassState(TypedDict, total=False):
    """What an evidence item keeps of its second pass, for events that are delivered late.

    ``late``: it waits for nothing else any more. ``round``: when the second pass began, in seconds
    since 1970.
    """

    late: bool
    round: int


def others_running(target_context: TargetContext, name: str) -> bool:
    """Says whether an evidence item other than ``name`` is still being collected.

    One that merely waits for late records itself does not count: else two would wait for each
    other.
    """
    stored: dict[str, EvidenceEntry] = target_context.stored.get("evidence") or {}
    for key, item in stored.items():
        waits = (item.get("state") or {}).get("late")
        if key != name and item.get("outcome") == Outcome.RUNNING and not waits:
            return True
    return False


def wait_for_late_events(
    target_context: TargetContext, name: str, state: LatePassState, due: float
) -> int | None:
    """Returns the seconds until the second pass, for what was not delivered in the first.

    0: now, and ``state["round"]`` says so. None: there is no second pass, because it has been
    made, or because waiting would hold up the end of all evidence. ``due``: when everything will
    have been delivered, in seconds since 1970.
    """
    state["late"] = True
    if state.get("round") or not others_running(target_context, name):
        return None
    now = time.time()
    if now < due:
        return int(max(15, min(60, due - now)))
    state["round"] = int(now)
    return 0


def gzip_lines(lines: Iterable[str]) -> bytes:
    # No time stamp inside: the same lines always have the same hash.
    return gzip.compress("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"), mtime=0)


def group_arns(arn: str) -> list[str]:
    """A log group's ARN as policies need it, with and without its streams."""
    bare = arn.removesuffix(":*")
    return [bare, f"{bare}:*"]


def group_client(target_context: TargetContext, arn: str) -> AwsClient:
    """A client that may filter the events of this one log group."""
    return target_context.open_session(allow(("logs:FilterLogEvents",), group_arns(arn))).client(
        "logs"
    )


def filter_events(
    logs: AwsClient, request: dict[str, object], budget: Budget, take: Callable[[AwsAnswer], None]
) -> str:
    """Pages of FilterLogEvents into ``take``. Returns the token to go on with, or empty."""
    while budget.more():
        got = logs.filter_log_events(**request)
        budget.pages += 1
        for event in got.get("events", []):
            take(event)
        token = str(got.get("nextToken") or "")
        if not token or token == request.get("nextToken"):
            return ""
        request = {**request, "nextToken": token}
    return str(request.get("nextToken") or "")


def listing_client(target_context: TargetContext, bucket: str, prefix: str) -> AwsClient:
    """Returns a client that may list a prefix of one bucket, and read nothing."""
    partition = target_context.context.config.partition
    return target_context.open_session(_may_list(partition, bucket, [prefix])).client("s3")


def _may_list(partition: str, bucket: str, prefixes: list[str]) -> PolicyStatement:
    listing = allow(("s3:ListBucket",), f"arn:{partition}:s3:::{bucket}")
    listing["Condition"] = {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}}
    return listing


def bucket_client(target_context: TargetContext, bucket: str, prefixes: list[str]) -> AwsClient:
    """A client that may list and read these prefixes of one bucket, and have S3 decrypt what
    lies there.
    """
    partition = target_context.context.config.partition
    listing = _may_list(partition, bucket, prefixes)
    via = {"StringLike": {"kms:ViaService": "s3.*"}}
    key = {
        "Effect": "Allow",
        "Action": ["kms:Decrypt"],
        "Resource": f"arn:{partition}:kms:*:*:key/*",
        "Condition": via,
    }
    reading = allow(
        ("s3:GetObject",), [f"arn:{partition}:s3:::{bucket}/{prefix}*" for prefix in prefixes]
    )
    return target_context.open_session(listing, reading, key).client("s3")


def list_objects(
    s3: AwsClient, bucket: str, prefix: str, after: str, window: TimeRange
) -> Iterator[AwsAnswer]:
    """Objects under ``prefix``, after the key ``after``, that may hold records of the window.

    An object is written up to 15 minutes after its records (Amazon VPC User Guide, "Flow log
    files"; CloudTrail alike).
    """
    request = {"Bucket": bucket, "Prefix": prefix}
    if after:
        request["StartAfter"] = after
    while True:
        got = s3.list_objects_v2(**request)
        for listed in got.get("Contents", []):
            found = _STAMP.search(listed["Key"])
            written = (
                datetime.strptime(found[1], "%Y%m%dT%H%M").replace(tzinfo=UTC).timestamp()
                if found
                else 0
            )
            if not found or window.start - 300 <= written <= window.end + 900:
                yield listed
        if not got.get("IsTruncated"):
            return
        request["ContinuationToken"] = got["NextContinuationToken"]


def decompress(s3: AwsClient, bucket: str, key: str) -> Iterator[bytes]:
    """A gzip object in pieces of at most 1 MiB. Raises zlib.error when it is none."""
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    engine = zlib.decompressobj(zlib.MAX_WBITS | 16)
    while chunk := body.read(1 << 20):
        while chunk:
            yield engine.decompress(chunk, 1 << 20)
            chunk = engine.unconsumed_tail
            if engine.eof:  # several gzip members in one object
                chunk, engine = engine.unused_data, zlib.decompressobj(zlib.MAX_WBITS | 16)


def read_object(s3: AwsClient, bucket: str, key: str) -> bytes:
    """The whole object, or nothing when it is larger than OBJECT_BYTES or no gzip."""
    out, size = [], 0
    try:
        for chunk in decompress(s3, bucket, key):
            size += len(chunk)
            if size > OBJECT_BYTES:
                return b""
            out.append(chunk)
    except zlib.error:
        return b""
    return b"".join(out)


def read_lines(s3: AwsClient, bucket: str, key: str) -> Iterator[str]:
    """The object's lines, up to STREAM_BYTES; a broken end is left out."""
    rest, size = b"", 0
    try:
        for chunk in decompress(s3, bucket, key):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in whole)
            size += len(chunk)
            if size > STREAM_BYTES or len(rest) > OBJECT_BYTES:
                return
    except zlib.error:
        return
    if rest:
        yield rest.decode("utf-8", "replace")


def bucket_of(arn: str) -> tuple[str, str]:
    """(bucket, prefix with its slash or empty) of ``arn:…:s3:::bucket[/prefix]``."""
    bucket, _, prefix = arn.split(":::", 1)[-1].partition("/")
    prefix = prefix.strip("/")
    return bucket, f"{prefix}/" if prefix else ""


def jsonl(record: CloudTrailRecord) -> str:
    return json.dumps(record, separators=(",", ":"), default=str)

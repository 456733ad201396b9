"""Makes the presigned URLs that the instance uploads to without credentials, one for each key, and
reads what has arrived there.

The URLs are secrets: whoever has one may write that key until it expires. They exist in this
process, in the plan (an object of the evidence bucket) and on the instance; never in the record, a
log line, a message or an exception's text.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, cast

import botocore.session
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import result_or_raise, run_all
from guardduty_response.decision.configuration import Forensics
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

if TYPE_CHECKING:
    from typing import TypedDict

    from guardduty_response.aws.api import AwsAnswer, AwsClient
    from guardduty_response.decision.configuration import MemoryTool
    from guardduty_response.incident.model import StoredObject

    class UploadsState(TypedDict):
        """Declares ``Uploads`` as the record keeps them."""

        folder: str
        names: list[str]
        memory: str
        part_bytes: int
        parts: int
        upload_id: str


INDEX, MEMORY = "index.tsv", "memory.lime"
SECTIONS = ("processes.txt", "network.txt", "users.txt", "modules.txt", "jobs.txt")
MIB = 1024 * 1024
# AWS S3: 5 MiB to 5 GiB a part, 10,000 parts
SMALLEST_PART, LARGEST_PART, PARTS = 64 * MIB, 5120 * MIB, 500
# larger objects are not read back: the instance's own hash stands, and that is said
HASHED = 64 * MIB
STATES = ("ok", "cut", "failed", "absent", "skipped", "lost")  # what the script says of a section
# without s3:ListBucket, S3 answers 403 for a key that is not there
ABSENT = {"NoSuchKey", "404", "AccessDenied", "403"}
_LINE = re.compile(
    rf"([a-z.]{{1,40}})\t(\d{{1,15}})\t([0-9a-f]{{64}}|-)\t(\d{{1,5}})\t({'|'.join(STATES)})"
)
_WHAT = {
    "processes.txt": "processes, open files, deleted executables",
    "network.txt": "connections, routes, neighbours, name servers",
    "users.txt": "users, administrators, sessions, SSH keys",
    "modules.txt": "kernel modules and drivers",
    "jobs.txt": "scheduled jobs and services",
    "capture.pcap": "packets",
    "capture.etl": "packets",
    "commands.txt": "output of the configured commands",
    MEMORY: "memory",
    "memory.raw": "memory",
    INDEX: "what the instance says it uploaded",
}


@lru_cache(maxsize=1)
def _s3() -> AwsClient:
    """Signature version 4 (botocore presigns with 2 in us-east-1, which buckets with KMS refuse), a
    Regional endpoint (what a VPC endpoint serves), no checksum that curl could not send. The whole
    S3 model: the trimmed one has no multipart.
    """
    config = ClientConfig(
        signature_version="s3v4",
        s3={"us_east_1_regional_endpoint": "regional"},
        request_checksum_calculation="when_required",
        retries={"mode": "standard", "total_max_attempts": 4},
        connect_timeout=3,
        read_timeout=30,
        max_pool_connections=16,
    )
    return botocore.session.Session().create_client("s3", config=config)


@dataclass(frozen=True)
class Uploads:
    """What one collection uploads. ``folder``: below the incident's prefix. ``memory``: the file
    that comes in parts, or ''.
    """

    folder: str
    names: list[str]
    memory: str = ""
    part_bytes: int = 0
    parts: int = 0
    upload_id: str = ""

    def key(self, instance: InstanceContext, name: str) -> str:
        return f"incidents/{instance.context.incident_id}/{self.folder}/{name}"

    def state(self) -> UploadsState:
        """Returns what the record keeps: keys and ids, no URL."""
        return cast("UploadsState", asdict(self))


@dataclass
class Arrived:
    """What arrived. ``objects``: as an EvidenceItem has them; ``problems``: what is missing or
    doubtful, a sentence each; ``remarks``: what else a person should know.
    """

    objects: list[StoredObject] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _IndexLine:
    """What the instance's index says of a file."""

    bytes: int
    sha256: str
    parts: int
    state: str


def names(platform: str, settings: Forensics) -> tuple[list[str], str]:
    """(single files, memory file or '') for ``platform`` (Linux, Windows), in the order the
    scripts upload them.
    """
    windows, of = platform == "Windows", platform.lower()
    out = list(SECTIONS)
    if int(settings.get("packet_capture_seconds") or 0):
        out.append("capture.etl" if windows else "capture.pcap")
    if (settings.get("commands") or {}).get(of):
        out.append("commands.txt")
    tool = (settings.get("memory") or {}).get(of)
    return out, ("memory.raw" if windows else MEMORY) if tool else ""


def begin(
    instance: InstanceContext, folder: str, platform: str, settings: Forensics, memory_mib: int
) -> Uploads:
    """Starts the multipart upload where memory is asked for. ``memory_mib``: of the instance
    type.
    """
    single, memory = names(platform, settings)
    if not memory:
        return Uploads(folder, single)
    # A dump holds a little more than the memory: device ranges and headers.
    part = min(max(SMALLEST_PART, math.ceil(memory_mib * 1.1 / (PARTS - 2)) * MIB), LARGEST_PART)
    parts = min(math.ceil(memory_mib * MIB * 1.1 / part) + 1, PARTS)
    made = Uploads(folder, single, memory, part, parts)
    got = _s3().create_multipart_upload(
        Bucket=os.environ["GDR_BUCKET"], Key=made.key(instance, memory)
    )
    return Uploads(
        folder,
        single,
        memory,
        part,
        parts,
        str(got["UploadId"]),
    )


def plan(
    instance: InstanceContext,
    uploads: Uploads,
    settings: Forensics,
    platform: str,
    deadline: int,
    lifetime: int,
) -> str:
    """Stores the plan and returns the URL to read it by, a secret like all in it.

    ``deadline``: seconds the script may take. ``lifetime``: seconds the URLs are good for (less
    where this function's credentials end sooner). Single files are written once: the signed
    ``If-None-Match`` refuses a second writer.
    """
    sign = partial(_signed, int(lifetime))
    lines = [f"@deadline\t0\t{deadline}"]
    for name in (*uploads.names, INDEX):
        lines.append(
            f"{name}\t0\t{sign('put_object', Key=uploads.key(instance, name), IfNoneMatch='*')}"
        )
    if uploads.memory:
        lines.append(f"@part_bytes\t0\t{uploads.part_bytes}")
        tools = cast("dict[str, MemoryTool]", settings["memory"])
        location = str(tools[platform.lower()]["location"])
        if location.startswith("s3://"):
            lines.append(f"@tool\t0\t{sign('get_object', Key=location.split('/', 3)[3])}")
        key = uploads.key(instance, uploads.memory)
        for number in range(1, uploads.parts + 1):
            url = sign("upload_part", Key=key, UploadId=uploads.upload_id, PartNumber=number)
            lines.append(f"{uploads.memory}\t{number}\t{url}")
    stored = instance.context.put_evidence(
        f"{uploads.folder}/plan.txt", ("\n".join(lines) + "\n").encode()
    )
    return sign("get_object", Key=stored["key"])


def _signed(lifetime: int, operation: str, **params: object) -> str:
    params["Bucket"] = os.environ["GDR_BUCKET"]
    return str(_s3().generate_presigned_url(operation, Params=params, ExpiresIn=lifetime))


# -- afterwards ------------------------------------------------------------------------------------


def harvest(instance: InstanceContext, uploads: Uploads) -> Arrived:
    """Reads back what arrived and compares it with the instance's index; ends the multipart
    upload one way or the other.
    """
    reads = {name: partial(_read, uploads.key(instance, name)) for name in (*uploads.names, INDEX)}
    files: dict[str, _File | None] = {
        name: result_or_raise(result) for name, result in run_all(reads).items()
    }
    arrived, index = Arrived(), files.pop(INDEX)
    lines = _index_lines(index.head if index else b"", uploads)
    if index is None:
        arrived.problems.append(
            "the instance's index did not arrive, so its own hashes are missing"
        )
    else:
        key = uploads.key(instance, INDEX)
        arrived.objects.append(_object(key, INDEX, index.size, index.sha256))
    for name, file in files.items():
        _assess(
            uploads.key(instance, name),
            name,
            file,
            lines.get(name),
            arrived,
        )
    if uploads.memory:
        _memory(instance, uploads, lines.get(uploads.memory), arrived)
    return arrived


@dataclass(frozen=True)
class _File:
    """A file that arrived. ``head``: its first bytes. ``sha256``: '' when it is too large to be
    read back.
    """

    size: int
    head: bytes
    sha256: str


def _read(key: str) -> _File | None:
    """Reads a file; None when nothing is there."""
    try:
        answer = _s3().get_object(Bucket=os.environ["GDR_BUCKET"], Key=key)
    except ClientError as error:
        if error_code(error) in ABSENT:
            return None
        raise
    size, body = int(answer["ContentLength"]), answer["Body"]
    if size > HASHED:
        body.close()
        return _File(size, b"", "")
    digest, head = hashlib.sha256(), b""
    for chunk in body.iter_chunks(MIB):
        digest.update(chunk)
        head = head or chunk
    return _File(size, head, digest.hexdigest())


def _index_lines(content: bytes, uploads: Uploads) -> dict[str, _IndexLine]:
    """Returns the lines that name a file of the plan.

    The index is written by a suspect machine: nothing else of it is taken.
    """
    lines = {}
    for line in content.decode("ascii", "replace").splitlines()[:100]:
        fields = _LINE.fullmatch(line)
        if fields and fields[1] in (*uploads.names, uploads.memory):
            sha256 = fields[3].replace("-", "")
            lines[fields[1]] = _IndexLine(int(fields[2]), sha256, int(fields[4]), fields[5])
    return lines


def _object(key: str, name: str, size: int, sha256: str) -> StoredObject:
    return {
        "key": key,
        "sha256": sha256,
        "bytes": size,
        "what": _WHAT.get(name, name),
    }


MISSING = {
    "absent": "no tool for it on the instance",
    "skipped": "no time left for it",
    "failed": "failed on the instance",
    "lost": "could not be uploaded",
}
INCOMPLETE = {"cut": "ended by its time limit", "failed": "incomplete"}


def _assess(
    key: str, name: str, file: _File | None, line: _IndexLine | None, arrived: Arrived
) -> None:
    """Compares a file with what the index says of it."""
    state = line.state if line else ""
    if file is None:
        arrived.problems.append(f"{name}: {MISSING.get(state, 'did not arrive')}")
        return
    claimed = line.sha256 if line else ""
    arrived.objects.append(_object(key, name, file.size, file.sha256 or claimed))
    if not file.sha256:
        arrived.remarks.append(_unverified(name, file.size))
    elif line and claimed and (claimed, line.bytes) != (file.sha256, file.size):
        arrived.problems.append(
            f"{name}: its SHA-256 is not the one the instance gave: it was changed on its way, or"
            " there"
        )
    if state in INCOMPLETE:
        arrived.problems.append(f"{name}: {INCOMPLETE[state]}")


def _unverified(name: str, size: int) -> str:
    return f"{name}: {size} bytes, not read back; the hash is the instance's own, unverified"


def _memory(
    instance: InstanceContext, uploads: Uploads, line: _IndexLine | None, arrived: Arrived
) -> None:
    """Completes the dump from the parts that are there without a gap, or aborts the upload."""
    name, key = uploads.memory, uploads.key(instance, uploads.memory)
    size = _end_upload(key, uploads.upload_id)
    whole = bool(line and line.state == "ok" and line.bytes == size)
    if size:
        arrived.objects.append(_object(key, name, size, line.sha256 if line and whole else ""))
        if whole:
            arrived.remarks.append(_unverified(name, size))
    if not whole:
        problem = f"only its first {size} bytes arrived" if size else "did not arrive"
        state = f" ({line.state} on the instance)" if line and line.state != "ok" else ""
        arrived.problems.append(f"{name}: {problem}{state}")


def _end_upload(key: str, upload_id: str) -> int:
    """Completes or aborts the multipart upload; returns the bytes of the object."""
    s3, where = _s3(), {"Bucket": os.environ["GDR_BUCKET"], "Key": key}
    try:
        parts = _parts(s3, where, upload_id)
        if not parts:
            s3.abort_multipart_upload(**where, UploadId=upload_id)
            return 0
        listed = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
        s3.complete_multipart_upload(**where, UploadId=upload_id, MultipartUpload={"Parts": listed})
        return sum(int(part["Size"]) for part in parts)
    except ClientError as error:
        if error_code(error) != "NoSuchUpload":
            raise
        return _size(s3, where)  # an earlier call that died completed or aborted it


def _parts(s3: AwsClient, where: dict[str, str], upload_id: str) -> list[AwsAnswer]:
    """The parts that arrived, from the first up to the first gap."""
    listed: dict[int, AwsAnswer] = {}
    marker = 0
    while True:
        page = s3.list_parts(**where, UploadId=upload_id, PartNumberMarker=marker)
        listed |= {int(part["PartNumber"]): part for part in page.get("Parts", [])}
        if not page.get("IsTruncated"):
            break
        marker = int(page["NextPartNumberMarker"])
    out: list[AwsAnswer] = []
    while len(out) + 1 in listed:
        out.append(listed[len(out) + 1])
    return out


def _size(s3: AwsClient, where: dict[str, str]) -> int:
    try:
        return int(s3.head_object(**where)["ContentLength"])
    except ClientError as error:
        if error_code(error) in ABSENT:
            return 0
        raise

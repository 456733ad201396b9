"""Reads the configuration document that Terraform wrote: an item under its own SHA-256.

The hash is in the function's environment, so write access to the table alone cannot change the
policy. Each document has an item of its own, so a function finds the one that it was deployed with
while an apply replaces it (docs/decisions/0007).
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict

from guardduty_response.aws import clients
from guardduty_response.errors import ConfigError

if TYPE_CHECKING:

    class MemoryTool(TypedDict):
        """The tool that copies an instance's memory: where it lies (URL), and its SHA-256."""

        location: str
        sha256: str


# Options of one playbook (the variable of its name): its manifest says which there are.
PlaybookOptions = dict[str, Any]
# Every reason that names a pause begins with this, so that a finding that comes again is known to
# have met one.
PAUSED = "the response is paused"


class ApprovalTag(TypedDict):
    """A tag on a resource that turns ``auto`` into ``approve``."""

    key: str
    value: str


class FreezeWindow(TypedDict):
    """A time range in which nothing is changed without approval (RFC 3339 times)."""

    name: str
    start: str
    end: str


class CircuitBreaker(TypedDict):
    """The number of resources that may be contained in ``minutes`` without approval.

    ``targets``: by one playbook. The other two: in one account, and by all playbooks; None is no
    such limit, and documents of earlier releases lack them.
    """

    targets: int
    minutes: int
    targets_per_account: NotRequired[int | None]
    targets_in_all: NotRequired[int | None]


class Guardrails(TypedDict):
    """Limits the response (variables-guardrails.tf)."""

    exempt_accounts: list[str]
    exempt_resources: list[str]
    exempt_principals: list[str]
    approval_tag: ApprovalTag | None
    freeze_windows: list[FreezeWindow]
    circuit_breaker: CircuitBreaker | None
    management_account_id: str | None
    approval_timeout_minutes: int


class NotificationSettings(TypedDict, total=False):
    """Links that messages carry (variable ``notifications``)."""

    runbook_url: str | None
    siem_search_url: str | None


class Responder(TypedDict):
    """Names of roles and profiles in member accounts."""

    role_path: str
    quarantine_profile: str
    own_roles: list[str]  # "<account or *>:role/<path>/<name>"


class Forensics(TypedDict):
    """Commands run on an instance, and how long containment waits for them (``forensics``)."""

    when: str  # off, before or after containment
    deadline_seconds: int
    deadlines: dict[str, int]  # finding type or glob -> seconds
    timeout_minutes: int
    packet_capture_seconds: int
    memory: dict[str, MemoryTool | None]  # by platform
    commands: dict[str, int]  # platform -> number of commands


class ForensicsAccount(TypedDict, total=False):
    """The account that receives copies of snapshots."""

    account_id: str
    kms_key_arn: str
    copy_role_name: str | None


class EvidenceReplica(TypedDict):
    """The bucket into which S3 replicates the evidence bucket, and its account."""

    bucket_arn: str
    account_id: str


class EvidenceSettings(TypedDict, total=False):
    """What is collected from logs, and where copies go (variable ``evidence``)."""

    log_window_minutes: int
    forensics_account: ForensicsAccount | None
    replica: EvidenceReplica | None  # documents of earlier releases lack it


class Config(NamedTuple):
    """The configuration document (shape: config.tf of the root module).

    Durations carry their unit in the name; severities are 0 to 10.
    """

    sha256: str
    name_prefix: str
    partition: str
    security_account: str
    paused: bool
    remediations: dict[str, str]
    account_remediations: dict[str, dict[str, str]]
    minimum_severity: dict[str, float]
    playbooks: dict[str, PlaybookOptions]
    active_playbooks: list[str]  # those whose finding types have an acting mode somewhere
    guardrails: Guardrails
    notifications: NotificationSettings
    responder: Responder
    forensics: Forensics
    evidence: EvidenceSettings


def parse(document: str, expected_sha256: str) -> Config:
    """Verifies the hash and reads the document. Raises ConfigError, which names what is wrong."""
    sha256 = hashlib.sha256(document.encode()).hexdigest()
    if sha256 != expected_sha256:
        raise ConfigError(
            f"the configuration document in the incident table has SHA-256 {sha256}, but Terraform"
            f" wrote {expected_sha256}: somebody changed it outside Terraform. Run terraform apply;"
            " nothing acts until then."
        )
    try:
        raw = json.loads(document)
        fields = {name: raw[name] for name in Config._fields if name != "sha256"}
        return Config(sha256=sha256, **fields)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the configuration document cannot be read ({error!r}): run terraform apply again"
        ) from error


def _find_document(sha256: str) -> str:
    """Returns the document that lies under ``sha256``. Raises ConfigError."""
    table, client = os.environ["GDR_TABLE"], clients.client("dynamodb")
    found = client.query(
        TableName=table,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :hash)",
        ExpressionAttributeValues={":pk": {"S": "CONFIG"}, ":hash": {"S": f"{sha256}#"}},
        ConsistentRead=True,
        Limit=1,  # an apply may leave two items of the same document for a moment
    )["Items"]
    if found:
        return str(found[0]["document"]["S"])
    # An earlier release kept the document here; its hash is with a function that an apply has
    # given new code and not yet a new environment.
    earlier = client.get_item(
        TableName=table, Key={"pk": {"S": "CONFIG"}, "sk": {"S": "CURRENT"}}, ConsistentRead=True
    ).get("Item")
    document = str(earlier["document"]["S"]) if earlier else ""
    if hashlib.sha256(document.encode()).hexdigest() == sha256:
        return document
    raise ConfigError(
        f"the incident table {table} holds no configuration document with SHA-256 {sha256}, which"
        " this function was deployed with: somebody removed it outside Terraform, or deployed the"
        " function by other means. Run terraform apply; nothing acts until then."
    )


def read(sha256: str) -> Config:
    """Returns the configuration with this hash. Raises ConfigError."""
    return parse(_find_document(sha256), sha256)


@lru_cache(maxsize=1)
def load() -> Config:
    """Returns this deployment's configuration, read once per container. Raises ConfigError."""
    return read(os.environ["GDR_CONFIG_SHA256"])

"""The configuration document that Terraform wrote: one DynamoDB item, pinned by its SHA-256.

The hash travels in the function's environment, so whoever can write the table still cannot change
the policy.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from guardduty_response.aws import clients
from guardduty_response.errors import ConfigError

Json = dict[str, Any]


@dataclass(frozen=True)
class Config:
    """The document's parts (shape: config.tf of the root module). Durations in minutes,
    severities 0-10.
    """

    sha256: str
    name_prefix: str
    partition: str
    security_account: str
    paused: bool
    remediations: dict[str, str]
    account_remediations: dict[str, dict[str, str]]
    minimum_severity: dict[str, float]
    playbooks: dict[str, Json]
    active_playbooks: list[str]  # those deployed because a switch lets them act
    guardrails: Json
    notifications: Json
    responder: Json
    forensics: Json
    evidence: Json


def parse(document: str, expected_sha256: str) -> Config:
    """Checks the hash and reads the document. Raises ConfigError naming what is wrong."""
    found = hashlib.sha256(document.encode()).hexdigest()
    if found != expected_sha256:
        raise ConfigError(
            f"the configuration document in the incident table has SHA-256 {found}, but Terraform"
            f" wrote {expected_sha256}: somebody changed it outside Terraform. Run terraform apply;"
            " nothing acts until then."
        )
    try:
        raw: Json = json.loads(document)
        return Config(
            sha256=found,
            name_prefix=raw["name_prefix"],
            partition=raw["partition"],
            security_account=raw["security_account"],
            paused=bool(raw["paused"]),
            remediations=raw["remediations"],
            account_remediations=raw["account_remediations"],
            minimum_severity=raw["minimum_severity"],
            playbooks=raw["playbooks"],
            active_playbooks=raw["active_playbooks"],
            guardrails=raw["guardrails"],
            notifications=raw["notifications"],
            responder=raw["responder"],
            forensics=raw["forensics"],
            evidence=raw["evidence"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the configuration document cannot be read ({error!r}): run terraform apply again"
        ) from error


@lru_cache(maxsize=1)
def load() -> Config:
    """The document of this deployment; one read per container. Raises ConfigError."""
    item = (
        clients.client("dynamodb")
        .get_item(
            TableName=os.environ["GDR_TABLE"], Key={"pk": {"S": "CONFIG"}, "sk": {"S": "CURRENT"}}
        )
        .get("Item")
    )
    if not item:
        raise ConfigError(
            "the incident table holds no configuration document (CONFIG/CURRENT): run terraform"
            " apply"
        )
    return parse(item["document"]["S"], os.environ["GDR_CONFIG_SHA256"])

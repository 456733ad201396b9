"""Provides a playbook's context that has placeholders for names, and reaches nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from guardduty_response.aws import clients
from guardduty_response.containment.contract import Context
from guardduty_response.decision.configuration import Config
from guardduty_response.decision.finding import Finding
from guardduty_response.incident.model import StoredObject
from guardduty_response.incident.repository import IncidentRepository

PREFIX, INCIDENT = "P", "INCIDENT"
# What an intruder changed is newer than the finding.
FOUND = "2020-01-01T00:00:00Z"


def context(options: dict[str, Any]) -> Context:
    """Returns a context with the options of a playbook, in which no call can be made."""
    config = SimpleNamespace(
        name_prefix=PREFIX,
        partition="aws",
        evidence={},
        forensics={"when": "off"},
        responder={"role_path": "/", "quarantine_profile": f"{PREFIX}-quarantine"},
    )
    finding = SimpleNamespace(type="", account_id="A", region="R", detail={"createdAt": FOUND})
    return Context(
        config=cast("Config", config),
        options=options,
        finding=cast("Finding", finding),
        incident_id=INCIDENT,
        execution="",
        record=cast("IncidentRepository", SimpleNamespace()),
        assume=_assume,
        put_evidence=_put_evidence,
    )


def _assume(*_: object, **__: object) -> clients.Session:
    return cast("clients.Session", SimpleNamespace())


def _put_evidence(_: str, __: bytes) -> StoredObject:
    raise NotImplementedError("a stand-in keeps nothing")

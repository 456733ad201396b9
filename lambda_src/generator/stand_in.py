"""Provides a playbook's context that has placeholders for names, and reaches nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar, cast

from guardduty_response.aws import clients
from guardduty_response.containment.contract import Context
from guardduty_response.decision.configuration import Config, PlaybookOptions
from guardduty_response.decision.finding import Finding
from guardduty_response.incident.model import StoredObject
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.shared_settings import SharedSetting

PREFIX, INCIDENT = "P", "INCIDENT"
# What an intruder changed is newer than the finding.
FOUND = "2020-01-01T00:00:00Z"


def context(options: PlaybookOptions) -> Context:
    """Returns a context with the options of a playbook, in which no call can be made."""
    config = SimpleNamespace(
        name_prefix=PREFIX,
        partition="aws",
        evidence={},
        forensics={"when": "off"},
        responder={"role_path": "/", "quarantine_profile": f"{PREFIX}-quarantine"},
    )
    finding = SimpleNamespace(
        type="",
        account_id="A",
        region="R",
        detail={"createdAt": FOUND},
    )
    return Context(
        config=cast("Config", config),
        options=options,
        finding=cast("Finding", finding),
        incident_id=INCIDENT,
        execution="",
        record=cast("IncidentRepository", SimpleNamespace(shared=_Shared())),
        assume=_assume,
        put_evidence=_put_evidence,
    )


_Entry = dict[str, object]


class _Known(dict[tuple[str, int], _Entry]):
    """Knows of every containment that it denied a role's older sessions."""

    ENTRY: ClassVar[_Entry] = {"denials": {}, "older": "NOW", "base": ""}

    def __missing__(self, _: object) -> _Entry:
        return self.ENTRY

    def get(self, *_: object) -> _Entry:
        return self.ENTRY


class _Shared:
    """Shared settings that nobody else needs."""

    def read(self, *_: str) -> SharedSetting:
        return SharedSetting(
            {},
            _Known({("", 0): _Known.ENTRY}),
            None,
            {},
        )


def _assume(*_: object, **__: object) -> clients.Session:
    return cast("clients.Session", SimpleNamespace())


def _put_evidence(_: str, __: bytes) -> StoredObject:
    raise NotImplementedError("a stand-in keeps nothing")

"""Real findings as events, and EventBridge's matcher (MiniStack's, which agrees with AWS's
documentation in every form).
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from sandbox import findings
from sandbox.settings import SandboxError
from tests.support.repository import ROOT

Json = dict[str, Any]
REAL = ROOT.parent / "shared" / "findings"


def matches(pattern: str, event: Json) -> bool:
    """Whether an event (source, detail-type, detail) matches a rule's pattern."""
    from ministack.services import eventbridge

    assert eventbridge._event_pattern_error(pattern) is None, pattern
    return bool(
        eventbridge._matches_pattern(
            pattern,
            {
                "EventId": "1",
                "EventBusName": "default",
                "Time": 1,
                "Resources": [],
                "Account": "111111111111",
                "Region": "us-east-1",
                "Source": event["source"],
                "DetailType": event["detail-type"],
                "Detail": json.dumps(event["detail"]),
            },
        )
    )


@cache
def real_findings() -> dict[str, Json]:
    """File -> event, of every file that holds one finding in a shape that GuardDuty delivers or
    shows.
    """
    found: dict[str, Json] = {}
    for path in sorted(REAL.rglob("*.json")):
        event = _event(path)
        if (
            event
            and event["source"] == "aws.guardduty"
            and event["detail-type"] == "GuardDuty Finding"
        ):
            found[str(path.relative_to(REAL))] = event
    return found


@cache
def other_events() -> dict[str, Json]:
    """GuardDuty's events that are no findings."""
    found = {
        path.name: _event(path) for path in sorted((REAL / "non-finding-event").glob("*.json"))
    }
    return {name: event for name, event in found.items() if event}


def _event(path: Path) -> Json | None:
    try:
        event = findings.recognise(findings.read(path), path.name)
    except SandboxError:
        return None  # Security Hub's format, several findings, no JSON
    if re.fullmatch(r"\d{3,11}|\d{13,}", str(event.detail.get("accountId"))):
        findings.bind_account(event, "222222222222")  # its publisher disguised the account's id
    return {"source": event.source, "detail-type": event.detail_type, "detail": event.detail}


def made_up(kind: str, archived: Any = False, **detail: Any) -> Json:
    """An event about a finding of a type."""
    service: Json = {"serviceName": "guardduty"} | (
        {} if archived is ... else {"archived": archived}
    )
    return {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "detail": {"type": kind, "service": service, **detail},
    }

"""The corpus of findings as events, and EventBridge's matcher (MiniStack's, which agrees with AWS's
documentation in every form).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from sandbox import findings
from sandbox.settings import SandboxError
from tests.support.finding_corpus import added_files, corpus
from tests.support.repository import FINDINGS

Json = dict[str, Any]


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
def delivered_findings() -> dict[str, Json]:
    """File -> event, of every file that holds one finding in a shape that GuardDuty delivers or
    shows: the corpus, and what GUARDDUTY_FINDINGS adds.
    """
    files = {entry.name: FINDINGS / entry.file for entry in corpus()}
    files |= {f"added {path.name}": path for path in added_files()}
    events = {name: _event(path) for name, path in files.items()}
    return {
        name: event
        for name, event in events.items()
        if event
        and event["source"] == "aws.guardduty"
        and event["detail-type"] == "GuardDuty Finding"
    }


def malformed() -> set[str]:
    """Name those among them that lack what decides, or hide it inside a message."""
    return {entry.name for entry in corpus("malformed", "wrapped")}


@cache
def other_events() -> dict[str, Json]:
    """Events of GuardDuty and of others that are no findings."""
    events = {entry.name: _event(FINDINGS / entry.file) for entry in corpus("other-event")}
    return {name: event for name, event in events.items() if event}


def _event(path: Path) -> Json | None:
    try:
        event = findings.recognise(findings.read(path), path.name)
    except SandboxError:
        return None  # Security Hub's format, several findings, no JSON object
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
